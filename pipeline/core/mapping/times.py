"""Times: ISO 8601 texts, epoch numbers or a stated format, to instants in UTC."""

from typing import Any

import polars as pl

from pipeline.core.mapping.candidates import Found
from pipeline.core.sidecar.specs import AnySpec, FromPath
from schemas.columns import INSTANT

_MICROSECONDS = {"seconds": 1_000_000, "milliseconds": 1_000}
# 0001-01-01 to 9999-12-31 in microseconds since 1970: what every reader of the published files can hold.
_EARLIEST, _LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999


def times_column(values: list[Any], spec: AnySpec) -> tuple[pl.Series, Found]:
    """Read times; one without a zone is UTC, an unreadable one `bad_time`, one beyond the calendar `out_of_range`."""
    unit = spec.unit if isinstance(spec, FromPath) else None
    if unit is not None:
        return _from_numbers(values, _MICROSECONDS[unit])
    pattern = spec.format if isinstance(spec, FromPath) else None
    wrong = [value is not None and type(value) is not str for value in values]
    stated = [value if type(value) is str and value else None for value in values]
    texts = pl.Series(stated, dtype=pl.String)
    read = _read(texts, pattern)
    bad = texts.is_not_null() & read.is_null()
    micros = read.dt.timestamp("us")
    beyond = ~micros.is_between(_EARLIEST, _LATEST).fill_null(value=True)
    found = [("wrong_type", pl.Series(wrong, dtype=pl.Boolean)), ("bad_time", bad), ("out_of_range", beyond)]
    return read.set(beyond, None), found


def _read(texts: pl.Series, pattern: str | None) -> pl.Series:
    if pattern is not None:
        aware = "%z" in pattern or "%:z" in pattern
        read = texts.str.to_datetime(pattern, time_unit="us", strict=False, time_zone="UTC" if aware else None)
        return read.dt.replace_time_zone("UTC") if read.dtype == pl.Datetime("us") else read.cast(INSTANT)
    text = pl.col("text")
    spelt = (
        text.str.strip_chars().str.replace(r"^(\d{4}-\d\d-\d\d)[ t]", "${1}T").str.replace(r" ?([zZ]|UTC)$", "+00:00")
    )
    # Hours alone, and hours and minutes without a colon, are offsets too.
    spelt = spelt.str.replace(r"(T.*[+-]\d\d)$", "${1}:00").str.replace(r"(T.*[+-]\d\d)(\d\d)$", "${1}:${2}")
    shapes = pl.DataFrame({"text": texts}).select(pl.when(spelt.str.contains(r"^\d{4}-")).then(spelt).alias("text"))
    clocks = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
    zoned = [text.str.to_datetime(f"{clock}%:z", time_unit="us", strict=False, time_zone="UTC") for clock in clocks]
    naive = [text.str.to_datetime(clock, time_unit="us", strict=False).dt.replace_time_zone("UTC") for clock in clocks]
    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return shapes.select(pl.coalesce(*zoned, *naive, day).cast(INSTANT).alias("created_at")).to_series()


def _from_numbers(values: list[Any], factor: int) -> tuple[pl.Series, Found]:
    values = [None if value == "" else value for value in values]
    numbers = [_number(value) for value in values]
    wrong = [value is not None and number is None for value, number in zip(values, numbers, strict=True)]
    scaled = [None if number is None else number * factor for number in numbers]
    beyond = [value is not None and not _EARLIEST <= value <= _LATEST for value in scaled]
    micros = [None if value is None or out else round(value) for value, out in zip(scaled, beyond, strict=True)]
    column = pl.Series(micros, dtype=pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return column, [
        ("bad_time", pl.Series(wrong, dtype=pl.Boolean)),
        ("out_of_range", pl.Series(beyond, dtype=pl.Boolean)),
    ]


def _number(value: Any) -> float | int | None:  # noqa: ANN401
    if type(value) in {int, float}:
        return value  # type: ignore[no-any-return]
    try:
        return float(value) if type(value) is str else None
    except ValueError:
        return None
