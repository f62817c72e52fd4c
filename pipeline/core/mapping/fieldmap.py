"""The field map at work: value specs over a batch of records, to typed columns and reasons for what does not fit.

Raw text is parsed record by record (in C), because a columnar JSON decoder turns `true` into "true" in silence; the
values of a column are then judged by the set of their types, so that a clean column costs one pass.
"""

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipeline.core.mapping.candidates import Found
from pipeline.core.mapping.messages import messages_column, user_messages
from pipeline.core.mapping.times import times_column
from pipeline.core.params import written
from pipeline.core.sidecar.fields import CHOICES, LABELS, NEEDED, NUMBERS, TEXTS
from pipeline.core.sidecar.specs import AnySpec, Constant, FromPath, Messages, Template, side_of

_LARGEST = 2**63 - 1


@dataclass(slots=True)
class Joined:
    """Decoded records with the side records that each was joined to (None where there is none)."""

    records: list[dict[str, Any]]
    sides: dict[str, list[dict[str, Any] | None]] = field(default_factory=dict)
    text_alone: frozenset[str | None] = frozenset()
    """The sides (None = the record itself) that are CSV, which knows nothing but text."""

    def reads_text(self, spec: AnySpec) -> bool:
        """Say whether a spec reads from CSV, where a number is a text and a blank is nothing."""
        return any(side_of(path)[0] in self.text_alone for path in spec.paths())

    def at(self, path: str) -> list[Any]:
        """Return each record's value at a path; None where it is absent or null."""
        side, inner = side_of(path)
        found: list[Any] = list(self.records if side is None else self.sides[side])
        if side is None and "." not in inner:
            return [record.get(inner) for record in self.records]
        if "." in inner and any(type(value) is dict and inner in value for value in found):
            # Each record by itself: what one of them holds must not change how the others are read.
            return [value_at(value, inner) for value in found]
        for step in inner.split("."):
            found = [_step(value, step) for value in found]
        return found


def value_at(record: Any, path: str) -> Any:  # noqa: ANN401
    """Return the value at a path of one record, or of a part of one; None where it is absent."""
    if type(record) is dict and path in record:
        return record[path]
    for step in path.split("."):
        record = _step(record, step)
    return record


def _step(value: Any, step: str) -> Any:  # noqa: ANN401
    if type(value) is dict:
        return value.get(step)
    if type(value) is list and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return None


def columns_for(specs: dict[str, AnySpec], joined: Joined) -> tuple[dict[str, pl.Series], Found]:
    """Evaluate a complete field map; return its columns and what does not fit."""
    columns: dict[str, pl.Series] = {}
    found: Found = []
    for name, spec in specs.items():
        column, faults = column_for(name, spec, joined)
        columns[name] = column.alias(name)
        found += faults
        if name in NEEDED:
            found.append(("missing_field", column.is_null()))
    if "strength" in specs:
        columns |= _strength_statement(specs["strength"], joined)
    return columns, found


def column_for(name: str, spec: AnySpec, joined: Joined) -> tuple[pl.Series, Found]:
    """Evaluate one field's spec to a typed column."""
    if name == "prompt":
        return _prompt(spec, joined)
    values, found = _values(spec, joined)
    if name in TEXTS:
        column, faults = _typed(values, {str}, pl.String)
    elif name in LABELS:
        column, faults = _labels(values)
    elif name in CHOICES:
        column, faults = _labels(values)
        unknown = column.is_not_null() & ~column.is_in(list(CHOICES[name]))
        faults = [*faults, ("unknown_value", unknown)]
        column = column.set(unknown, None)
    elif name in NUMBERS or name == "strength":
        column, faults = numbers_column(values, numbers_as_text=joined.reads_text(spec))
        column = _scaled(column, spec)
        if name == "duration_s":
            negative = (column < 0).fill_null(value=False)
            column, faults = column.set(negative, None), [*faults, ("out_of_range", negative)]
    else:
        column, faults = times_column(values, spec)
    return column, found + faults


def _values(spec: AnySpec, joined: Joined) -> tuple[list[Any], Found]:
    height = len(joined.records)
    match spec:
        case Constant():
            return [spec.constant] * height, []
        case Template():
            return _filled(spec, joined)
        case FromPath():
            values = joined.at(spec.path)
            if joined.reads_text(spec) and spec.values is not None and "" not in spec.values:
                values = [None if value == "" else value for value in values]
            return (values, []) if spec.values is None else _mapped(values, spec.values)
        case Messages():
            return [None] * height, [("wrong_type", pl.repeat(value=True, n=height, eager=True))]


def _mapped(values: list[Any], known: dict[Any, Any]) -> tuple[list[Any], Found]:
    named = {written(key): target for key, target in known.items()}
    missing = object()
    mapped = [None if value is None else named.get(written(value), missing) for value in values]
    unknown = [value is missing for value in mapped]
    return [None if value is missing else value for value in mapped], [
        ("unknown_value", pl.Series(unknown, dtype=pl.Boolean))
    ]


def _filled(spec: Template, joined: Joined) -> tuple[list[Any], Found]:
    pieces = [(literal, None if path is None else joined.at(path)) for literal, path in spec.pieces()]
    height = len(joined.records)
    needed = [column for _, column in pieces if column is not None]
    wrong = [any(column[i] is not None and type(column[i]) is not str for column in needed) for i in range(height)]
    absent = [any(column[i] is None for column in needed) for i in range(height)]
    texts = [
        None
        if wrong[i] or absent[i]
        else "".join(literal + (column[i] if column else "") for literal, column in pieces).strip()
        for i in range(height)
    ]
    return texts, [("wrong_type", pl.Series(wrong, dtype=pl.Boolean))]


def _typed(values: list[Any], allowed: set[type], dtype: pl.DataType | type[pl.DataType]) -> tuple[pl.Series, Found]:
    if set(map(type, values)) <= allowed | {type(None)}:
        return pl.Series(values, dtype=dtype), []
    wrong = [value is not None and type(value) not in allowed for value in values]
    fitting = [None if bad else value for value, bad in zip(values, wrong, strict=True)]
    return pl.Series(fitting, dtype=dtype), [("wrong_type", pl.Series(wrong, dtype=pl.Boolean))]


def _labels(values: list[Any]) -> tuple[pl.Series, Found]:
    """Accept texts and whole numbers (a worker may be 58); nothing else names anybody, and a blank names nobody."""
    if not set(map(type, values)) <= {str, type(None)}:
        values = [str(value) if type(value) is int else value for value in values]
    labels, wrong = _typed(values, {str}, pl.String)
    return labels.set(labels.str.strip_chars() == "", None), wrong


def numbers_column(values: list[Any], *, numbers_as_text: bool) -> tuple[pl.Series, Found]:
    """Read finite numbers; text is read as a number only where the format knows nothing else (CSV)."""
    empty = [None if numbers_as_text and value == "" else value for value in values]
    read = [_number(value) if numbers_as_text and type(value) is str else value for value in empty]
    numbers, wrong = _typed([_bounded(value) for value in read], {float}, pl.Float64)
    beyond = numbers.is_infinite().fill_null(value=False) | numbers.is_nan().fill_null(value=False)
    return numbers.set(beyond, None), [*wrong, ("out_of_range", beyond)]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _bounded(value: Any) -> Any:  # noqa: ANN401
    if type(value) is int:
        return float(value) if abs(value) <= _LARGEST else float("inf")
    return value


def _scaled(numbers: pl.Series, spec: AnySpec) -> pl.Series:
    if isinstance(spec, FromPath) and spec.scale is not None:
        low, high = spec.scale
        return (numbers - low) / (high - low)
    return numbers


def _strength_statement(spec: AnySpec, joined: Joined) -> dict[str, pl.Series]:
    """Keep the strength as stated, and the scale it was stated on, beside the number made of it."""
    stated = joined.at(spec.path) if isinstance(spec, FromPath) else [None] * len(joined.records)
    raw = pl.Series(
        "strength_raw",
        [None if value in {None, ""} else written(value) for value in map(_plain, stated)],
        dtype=pl.String,
    )
    scale = _scale_name(spec)
    named = pl.select(
        pl.when(raw.is_not_null()).then(pl.lit(scale, dtype=pl.String)).alias("strength_scale")
    ).to_series()
    return {"strength_raw": raw, "strength_scale": named}


def _plain(value: Any) -> str | int | float | None:  # noqa: ANN401
    return value if type(value) in {str, int, float, bool} else None


def _scale_name(spec: AnySpec) -> str | None:
    if not isinstance(spec, FromPath):
        return None
    if spec.values is not None:
        return ", ".join(f"{key}={value}" for key, value in sorted(spec.values.items()))
    low, high = spec.scale or (0, 1)
    return f"{low:g}..{high:g}"


def _prompt(spec: AnySpec, joined: Joined) -> tuple[pl.Series, Found]:
    if isinstance(spec, Messages):
        return messages_column(joined.at(spec.messages), spec)
    values, found = _values(spec, joined)
    texts, faults = _typed(values, {str}, pl.String)
    return user_messages(texts), found + faults
