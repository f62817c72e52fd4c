"""Adapter `records`: any JSON, CSV or Parquet log whose sidecar can say where each field stands; no code."""

from collections.abc import Iterator

import polars as pl

from pipeline.core.mapping.candidates import Batch, Found, RawFile, assemble
from pipeline.core.mapping.fieldmap import Joined, columns_for
from pipeline.core.mapping.sides import SideRecord, Sides, contents, read_sides, side_parts, unjoined
from pipeline.core.mapping.statements import consent_column, own_statements, record_outcomes
from pipeline.core.raw.rawfiles import RawBatch
from pipeline.core.sidecar.sidecars import Source
from pipeline.core.sidecar.specs import AnySpec

NEEDS = ("prompt", "response_a", "response_b", "preference", "annotator", "annotator_kind")
FILLS = ()
USES = ("join", "fan_out")


def read(file: RawFile) -> Iterator[Batch]:
    """Yield a file's records with one candidate per fan-out entry."""
    sides = read_sides(file.source, file.reading)
    for raw in file.batches():
        yield _batch(file, raw, sides)


def _batch(file: RawFile, raw: RawBatch, sides: Sides) -> Batch:
    rows, digests, records = raw.decoded()
    found = sides.found(records)
    joined = Joined(records, contents(found), file.source.text_alone(file.group))
    frames = [
        assemble(rows, digests, fan_out, *_variant(file.source, specs, joined, found))
        for fan_out, specs in file.variants()
    ]
    return Batch(record_outcomes(raw), pl.concat(frames))


def _variant(
    source: Source, specs: dict[str, AnySpec], joined: Joined, found: dict[str, list[SideRecord | None]]
) -> tuple[dict[str, pl.Series], Found]:
    columns, faults = columns_for(specs, joined)
    used = [found[name] for name in source.used_sides(specs)]
    columns["consent_refs"], ref_faults = consent_column(source.consent_refs, joined)
    columns["sides"] = side_parts(used, len(joined.records))
    columns["own"] = own_statements(specs, columns, len(joined.records))
    return columns, faults + ref_faults + unjoined(used)
