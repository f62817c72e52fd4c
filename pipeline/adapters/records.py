"""Adapter `records`: any JSON, CSV or Parquet log whose sidecar can say where each field stands; no code."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from pipeline.core.guessing.columns import (
    CHOSEN,
    Columns,
    annotator,
    created_at,
    further,
    models,
    order,
    prompt,
    responses,
)
from pipeline.core.guessing.verdicts import entry, panel, preference, strength
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


def guess(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Say which paths look like the fields of a comparison; None without two responses or a verdict that is certain.

    `fields` holds what was found alone, and `notes` what an owner should know of a field; see docs/sources.md.
    """
    columns = Columns(records)
    pair = responses(columns)
    named = models(columns, pair.marks if pair else None)
    several = panel(columns, pair)
    spoken, others = (None, []) if several else preference(columns, pair)
    trained = pair is not None and pair.marks == CHOSEN
    if pair is None and not (spoken and spoken.certain) and not several:
        return None
    who, kind = annotator(columns)
    fields: dict[str, Any] = {
        "prompt": prompt(columns),
        "response_a": pair and pair.a,
        "response_b": pair and pair.b,
        "preference": {"constant": "a"} if trained else spoken and spoken.spec(),
        "presented_order": order(columns),
        "annotator": who,
        "annotator_kind": kind and {"constant": kind},
        "model_a": named and named.a,
        "model_b": named and named.b,
        "strength": strength(columns),
        "created_at": created_at(columns),
        **further(columns),
    }
    notes = {"fields.preference": f"labels stand in these too: {', '.join(others)}"} if others else {}
    if trained:
        notes["fields.preference"] = "response a is what the log calls chosen"
    if kind:
        notes["fields.annotator_kind"] = f"`{who}` is called so"
    said: dict[str, Any] = {"fields": {name: spec for name, spec in fields.items() if spec is not None}, "notes": notes}
    return said | ({"fan_out": [entry(one) for one in several]} if several else {})
