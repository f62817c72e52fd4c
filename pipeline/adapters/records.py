"""Adapter `records`: any JSON, CSV or Parquet log whose sidecar can say where each field stands; no code."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pipeline.core.mapping.candidates import PARTS, Batch, Found, Reader, assemble
from pipeline.core.mapping.fieldmap import Joined, columns_for
from pipeline.core.mapping.lists import regrouped
from pipeline.core.mapping.sides import Side, SideRecord, as_key, read_sides
from pipeline.core.mapping.statements import consent_column, own_statements, record_outcomes
from pipeline.core.raw.rawfiles import RawBatch
from pipeline.core.sidecar.sidecars import Group, Source
from pipeline.core.sidecar.specs import AnySpec


def read(source: Source, reader: Reader) -> Iterator[tuple[Path, Batch]]:
    """Yield the side files' records, then each file's records with one candidate per fan-out entry."""
    sides, accounts = read_sides(source, reader)
    yield from accounts
    for group in source.sidecar.files:
        for path in source.files(group):
            for raw in reader(path, source.format(group)):
                yield path, _batch(source, group, raw, sides)


def _batch(source: Source, group: Group, raw: RawBatch, sides: dict[str, Side]) -> Batch:
    rows, records = raw.decoded()
    found = {name: _looked_up(side, records) for name, side in sides.items()}
    contents = {name: [None if one is None else one.content for one in column] for name, column in found.items()}
    joined = Joined(records, contents, source.text_alone(group))
    frames = [
        assemble(rows, fan_out, *_variant(source, specs, joined, found)) for fan_out, specs in source.variants(group)
    ]
    return Batch(record_outcomes(raw), pl.concat(frames))


def _looked_up(side: Side, records: list[dict[str, object]]) -> list[SideRecord | None]:
    keys = (as_key(value) for value in Joined(records).at(side.on))
    return [None if key is None else side.by_key.get(key) for key in keys]


def _variant(
    source: Source, specs: dict[str, AnySpec], joined: Joined, found: dict[str, list[SideRecord | None]]
) -> tuple[dict[str, pl.Series], Found]:
    columns, faults = columns_for(specs, joined)
    used = [found[name] for name in source.used_sides(specs)]
    columns["consent_refs"], ref_faults = consent_column(source.consent_refs, joined)
    columns["sides"] = _side_parts(used, len(joined.records))
    columns["own"] = own_statements(specs, columns, len(joined.records))
    return columns, faults + ref_faults + _unjoined(used)


def _unjoined(used: list[list[SideRecord | None]]) -> Found:
    return [("no_side_record", pl.Series([one is None for one in column], dtype=pl.Boolean)) for column in used]


def _side_parts(used: list[list[SideRecord | None]], height: int) -> pl.Series:
    rows = zip(*used, strict=True) if used else ((),) * height
    parts = [sorted({(one.file, one.row, one.digest) for one in row if one}) for row in rows]
    flat = [part for row in parts for part in row]
    members = {
        "file": pl.Series([file for file, _, _ in flat], dtype=pl.String),
        "row": pl.Series([row for _, row, _ in flat], dtype=pl.Int64),
        "digest": pl.Series([digest for _, _, digest in flat], dtype=pl.String),
    }
    return regrouped([len(row) for row in parts], members, PARTS).alias("sides")
