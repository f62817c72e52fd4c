"""Side files: records that verdicts are joined to by key (the texts that votes are about, say)."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.mapping.candidates import CANDIDATES, PARTS, RECORDS, Batch, Found, Reading
from pipeline.core.mapping.fieldmap import Joined
from pipeline.core.mapping.lists import regrouped
from pipeline.core.sidecar.sidecars import Source


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


_Account = tuple[pl.DataFrame, dict[int, list[tuple[str, str]]]]
"""A side file's records, and by record number the joins and keys that it is found by."""


@dataclass(frozen=True, slots=True)
class Sides:
    """All that a source's side files hold."""

    joins: dict[str, Side]
    accounts: dict[Path, _Account]

    def found(self, records: list[dict[str, Any]]) -> dict[str, list[SideRecord | None]]:
        """Return, by join, the side record of each record (None where there is none)."""
        return {name: _looked_up(side, records) for name, side in self.joins.items()}


def _looked_up(side: Side, records: list[dict[str, Any]]) -> list[SideRecord | None]:
    keys = (as_key(value) for value in Joined(records).at(side.on))
    return [None if key is None else side.by_key.get(key) for key in keys]


def contents(found: dict[str, list[SideRecord | None]]) -> dict[str, list[dict[str, Any] | None]]:
    """Return the contents of side records that were found, as the field map reads them."""
    return {name: [None if one is None else one.content for one in column] for name, column in found.items()}


def unjoined(used: list[list[SideRecord | None]]) -> Found:
    """Mark the records that found no side record in one of the joins used."""
    return [("no_side_record", pl.Series([one is None for one in column], dtype=pl.Boolean)) for column in used]


def side_parts(used: list[list[SideRecord | None]], height: int) -> pl.Series:
    """Return, per record, where the side records that it draws on stand."""
    if not used:
        return pl.repeat(pl.lit([], dtype=PARTS), height, eager=True).alias("sides")
    rows = zip(*used, strict=True)
    return parts_column([sorted({(one.file, one.row, one.digest) for one in row if one}) for row in rows])


def parts_column(parts: list[list[tuple[str, int, str]]]) -> pl.Series:
    """Build the column `sides` from (file, record number, digest) triples."""
    flat = [part for row in parts for part in row]
    members = {
        "file": pl.Series([file for file, _, _ in flat], dtype=pl.String),
        "row": pl.Series([row for _, row, _ in flat], dtype=pl.Int64),
        "digest": pl.Series([digest for _, _, digest in flat], dtype=pl.String),
    }
    return regrouped([len(row) for row in parts], members, PARTS).alias("sides")


def side_files(source: Source) -> list[Path]:
    """Return the side files of a source, sorted by path."""
    return sorted({path for join in source.sidecar.join.values() for path in source.matching(join.glob)})


@lru_cache(maxsize=1)
def read_sides(source: Source, reading: Reading) -> Sides:
    """Read all side files of a source into memory, where the next of its files finds them."""
    joins = {name: Side(join.on) for name, join in source.sidecar.join.items()}
    accounts = {path: _read_side(source, path, joins, reading) for path in side_files(source)}
    return Sides(joins, accounts)


def _read_side(source: Source, path: Path, joins: dict[str, Side], reading: Reading) -> _Account:
    stated = [(name, join) for name, join in source.sidecar.join.items() if path in source.matching(join.glob)]
    keyed: dict[int, list[tuple[str, str]]] = {}
    rows: list[tuple[int, str, str | None]] = []
    for batch in reading.batches(path, source.format(stated[0][1])):
        rows += zip(batch.rows, batch.digests, batch.reasons, strict=True)
        joined = Joined([value or {} for value in batch.values])
        for name, join in stated:
            for place, found in enumerate(joined.at(join.key)):
                content, key = batch.values[place], as_key(found)
                if content is not None and key is not None:
                    record = SideRecord(content, source.relative(path), batch.rows[place], batch.digests[place])
                    joins[name].add(key, record)
                    keyed.setdefault(batch.rows[place], []).append((name, key))
    schema = {"source_row": pl.Int64, "record_digest": pl.String, "reason": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row"), keyed


def side_account(source: Source, path: Path, reading: Reading) -> Batch:
    """Account for the records of a side file: `reference`, or quarantined."""
    sides = read_sides(source, reading)
    frame, keyed = sides.accounts[path]
    ambiguous = [row for row, keys in keyed.items() if any(sides.joins[name].by_key[key] is None for name, key in keys)]
    reason = pl.coalesce("reason", pl.when(pl.col("source_row").is_in(ambiguous)).then(pl.lit("ambiguous_key")))
    outcome = pl.when(reason.is_null()).then(pl.lit("reference")).otherwise(pl.lit("quarantined"))
    records = frame.with_columns(outcome=outcome, reason=reason).select(list(RECORDS))
    return Batch(records, pl.DataFrame(schema=CANDIDATES))
