"""Side files: records that verdicts are joined to by key (the texts that votes are about, say)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.mapping.candidates import CANDIDATES, RECORDS, Batch, Reader
from pipeline.core.mapping.fieldmap import Joined
from pipeline.core.sidecar.sidecars import Join, Source


@dataclass(frozen=True, slots=True)
class SideRecord:
    """A decoded side record and where it stands."""

    content: dict[str, Any]
    file: str
    row: int
    digest: str


@dataclass(slots=True)
class Side:
    """One join's records by key; a key with two contents names nothing."""

    on: str
    by_key: dict[str, SideRecord | None] = field(default_factory=dict)

    def add(self, key: str, record: SideRecord) -> None:
        """Take a record; equal ones are one, two contents under one key are none."""
        known = self.by_key.setdefault(key, record)
        if known is None or known.digest != record.digest:
            self.by_key[key] = None


def as_key(value: Any) -> str | None:  # noqa: ANN401
    """Write a key so that a CSV's `7` finds a JSON file's 7; anything but a text or a whole number finds nothing."""
    return str(value) if type(value) in {str, int} else None


def read_sides(source: Source, reader: Reader) -> tuple[dict[str, Side], Iterator[tuple[Path, Batch]]]:
    """Read all side files into memory; return the joins, and the account of the files' records."""
    sides = {name: Side(join.on) for name, join in source.sidecar.join.items()}
    files: dict[Path, list[tuple[str, Join]]] = {}
    for name, join in source.sidecar.join.items():
        for path in source.matching(join.glob):
            files.setdefault(path, []).append((name, join))
    frames = {path: _read_side(source, path, joins, sides, reader) for path, joins in sorted(files.items())}
    return sides, _accounts(frames, sides)


_Found = tuple[pl.DataFrame, dict[int, list[tuple[str, str]]]]


def _read_side(
    source: Source, path: Path, joins: list[tuple[str, Join]], sides: dict[str, Side], reader: Reader
) -> _Found:
    keyed: dict[int, list[tuple[str, str]]] = {}
    rows: list[tuple[int, str, str | None]] = []
    for batch in reader(path, source.format(joins[0][1])):
        rows += zip(batch.rows, batch.digests, batch.reasons, strict=True)
        joined = Joined([value or {} for value in batch.values])
        for name, join in joins:
            for place, found in enumerate(joined.at(join.key)):
                content, key = batch.values[place], as_key(found)
                if content is not None and key is not None:
                    record = SideRecord(content, source.relative(path), batch.rows[place], batch.digests[place])
                    sides[name].add(key, record)
                    keyed.setdefault(batch.rows[place], []).append((name, key))
    return pl.DataFrame(
        rows, schema={"source_row": pl.Int64, "record_digest": pl.String, "reason": pl.String}, orient="row"
    ), keyed


def _accounts(frames: dict[Path, _Found], sides: dict[str, Side]) -> Iterator[tuple[Path, Batch]]:
    for path, (frame, keyed) in frames.items():
        ambiguous = [row for row, keys in keyed.items() if any(sides[name].by_key[key] is None for name, key in keys)]
        reason = pl.coalesce("reason", pl.when(pl.col("source_row").is_in(ambiguous)).then(pl.lit("ambiguous_key")))
        outcome = pl.when(reason.is_null()).then(pl.lit("reference")).otherwise(pl.lit("quarantined"))
        records = frame.with_columns(outcome=outcome, reason=reason).select(list(RECORDS))
        yield path, Batch(records, pl.DataFrame(schema=CANDIDATES))
