"""Candidates: what an adapter makes of records, before ids; each becomes a comparison, a copy or a quarantine row."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.raw.rawfiles import Declared, RawBatch
from pipeline.core.sidecar.fields import CHOICES, LABELS, NUMBERS, TEXTS
from schemas.columns import CONSENT_REFS, INSTANT, MESSAGES

Reader = Callable[[Path, Declared], Iterator[RawBatch]]
"""How an adapter reads a raw file: path and declared format to decoded records."""

# Fixed order: a candidate that fails several rules gets the first.
CANDIDATE_REASONS = {
    "no_side_record": "the record names a side record that does not exist (or is itself quarantined)",
    "wrong_type": "a value has another type than the field: a boolean where a text is expected, say",
    "unknown_value": "a value is neither in the sidecar's value map nor in the field's vocabulary",
    "unknown_role": "a message has a role that is not system, user, assistant or tool",
    "bad_time": "a time cannot be read in the stated unit or format",
    "out_of_range": "a number is not finite, or a time lies outside what the column holds",
    "missing_field": "a field that a comparison cannot do without is absent or null",
    "contexts_differ": "the transcripts differ before the last assistant turn",
    "no_assistant_turn": "a transcript has no assistant turn",
}

Found = list[tuple[str, pl.Series]]
"""Pairs of a quarantine reason and a mask of the rows it holds for."""

PARTS = pl.List(pl.Struct({"file": pl.String, "row": pl.Int64, "digest": pl.String}))

CANDIDATES: dict[str, Any] = {
    "source_row": pl.Int64,
    "fan_out": pl.String,
    "reason": pl.String,
    "sides": PARTS,
    "prompt": MESSAGES,
    **dict.fromkeys(TEXTS, pl.String),
    **dict.fromkeys(LABELS, pl.String),
    **dict.fromkeys(CHOICES, pl.String),
    **dict.fromkeys(NUMBERS, pl.Float64),
    "strength": pl.Float64,
    "strength_raw": pl.String,
    "strength_scale": pl.String,
    "created_at": INSTANT,
    "consent_refs": CONSENT_REFS,
    "own": pl.String,
}
"""The columns of a candidates frame; `own` holds what the record itself says beside its verdict, for the id."""

RECORDS: dict[str, Any] = {
    "source_row": pl.Int64,
    "record_digest": pl.String,
    "outcome": pl.String,
    "reason": pl.String,
}
"""The columns of a records frame: `outcome` is null where the record's candidates decide it, else `quarantined` (the
record as a whole), `no_comparison` or `reference`, with the reason."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A bounded part of one raw file: its records and the candidates that they give."""

    records: pl.DataFrame
    candidates: pl.DataFrame


def assemble(rows: list[int], fan_out: str | None, columns: dict[str, pl.Series], found: Found) -> pl.DataFrame:
    """Build a candidates frame from the columns that an adapter filled; the others are null."""
    height = len(rows)
    given = {"source_row": pl.Series(rows, dtype=pl.Int64), "reason": first_reason(found, height), **columns}
    empty = {name: pl.Series([None] * height, dtype=dtype) for name, dtype in CANDIDATES.items() if name not in given}
    everything = {**given, **empty, "fan_out": pl.Series([fan_out] * height, dtype=pl.String)}
    return pl.DataFrame({name: everything[name].cast(dtype) for name, dtype in CANDIDATES.items()})


def first_reason(found: Found, height: int) -> pl.Series:
    """Return, per row, the first reason in the fixed order among `found` pairs of reason and boolean mask."""
    order = list(CANDIDATE_REASONS)
    masks = sorted(found, key=lambda pair: order.index(pair[0]))
    if not masks:
        return pl.Series("reason", [None] * height, dtype=pl.String)
    named = [pl.when(pl.lit(mask)).then(pl.lit(reason)) for reason, mask in masks]
    return pl.select(pl.coalesce(named).cast(pl.String).alias("reason")).to_series()
