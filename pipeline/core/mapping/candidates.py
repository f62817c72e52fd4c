"""Candidates: what an adapter makes of records, before ids; each becomes a comparison, a copy or a quarantine row."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.digests import digest_text
from pipeline.core.raw.rawfiles import Declared, RawBatch
from pipeline.core.sidecar.fields import CHOICES, LABELS, NUMBERS, TEXTS
from pipeline.core.sidecar.sidecars import Group, Source
from pipeline.core.sidecar.specs import AnySpec
from schemas.columns import CONSENT_REFS, INSTANT, MESSAGES


@dataclass(frozen=True, slots=True)
class Reading:
    """How an adapter reads raw files, and where it may put aside what does not fit into memory."""

    batches: Callable[[Path, Declared], Iterator[RawBatch]]
    """Path and declared format to decoded records, in bounded batches."""
    spill: Path


@dataclass(frozen=True, slots=True)
class RawFile:
    """One raw file of a source: what an adapter is given."""

    source: Source
    group: Group
    path: Path
    reading: Reading

    @property
    def name(self) -> str:
        """Name the file relative to data/raw."""
        return self.source.relative(self.path)

    @property
    def spill(self) -> Path:
        """The folder for what of this file does not fit into memory; the file's own, as others are read beside it."""
        return self.reading.spill / digest_text(self.name)

    def batches(self) -> Iterator[RawBatch]:
        """Yield the file's records, decoded, in bounded batches."""
        return self.reading.batches(self.path, self.source.format(self.group))

    def variants(self) -> Iterator[tuple[str | None, dict[str, AnySpec]]]:
        """Yield each fan-out key with its complete field map (one None key where records give one comparison)."""
        return self.source.variants(self.group)


# Fixed order: a candidate that fails several rules gets the first.
CANDIDATE_REASONS = {
    "no_side_record": "the record names a side record that does not exist (or is itself quarantined)",
    "withdrawn": "a message of it is deleted in the source, or failed the source's review",
    "no_shown_event": "what the event is about was not shown in its turn, or stands there in two versions",
    "too_many_responses": "one prompt has more responses to compare than any sound log holds",
    "off_scale": "a rating lies outside the scale that the sidecar declares",
    "conflicting_ratings": "one annotator rates one response to one prompt in two ways",
    "unknown_response": "a ranking names a response that the record does not hold, or that it holds twice",
    "lists_disagree": "lists that belong together, item by item, have different lengths",
    "over_cap": "the prompt has more pairs than the sidecar's cap; those with the least digests are written",
    "not_one_text": "a response is several messages or none, or a message is more than its text (a tool call, say)",
    "broken_json": "a text that should hold JSON does not, or holds in it what no text may",
    "wrong_type": "a value has another type than the field: a boolean where a text is expected, say",
    "unknown_value": "a value is neither in the sidecar's value map nor in the field's vocabulary",
    "unknown_role": "a message has a role that is not system, user, assistant or tool",
    "bad_time": "a time cannot be read in the stated unit or format",
    "out_of_range": "a number is not finite, or a time lies outside what the column holds",
    "missing_field": "a field that a comparison cannot do without is absent or null",
    "contexts_differ": "the two conversations differ before the responses",
    "no_assistant_turn": "a conversation has no assistant turn, or a response is not the assistant's",
}

# Why a sound record gives no comparison.
NO_COMPARISON_REASONS = {
    "one_response": "it holds fewer than two responses to compare",
    "not_ranked": "fewer than two of its responses carry a rank",
    "not_rated": "it states no rating",
    "not_judged": "nobody has judged it",
    "not_submitted": "the judgement is a draft, or was discarded",
    "cancelled": "the annotator cancelled or skipped it",
    "deleted": "the source marks it as deleted",
    "overruled": "somebody corrected its score, and nobody says who",
    "one_label": "all responses to its prompt have the same label",
    "no_partner": "no other record judges another response to the same prompt, by the same annotator or rating group",
    "not_a_comparison": "it is of a kind that the sidecar's options do not name",
    "nothing_said": "it tells what happened and not what anybody preferred",
}

Found = list[tuple[str, pl.Series]]
"""Pairs of a quarantine reason and a mask of the rows it holds for."""

PARTS = pl.List(pl.Struct({"file": pl.String, "row": pl.Int64, "digest": pl.String}))

CANDIDATES: dict[str, Any] = {
    "source_row": pl.Int64,
    "record_digest": pl.String,
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


def assemble(
    rows: list[int],
    digests: list[str],
    fan_out: str | list[str | None] | None,
    columns: dict[str, pl.Series],
    found: Found,
) -> pl.DataFrame:
    """Build a candidates frame from the columns that an adapter filled; the others are null."""
    height = len(rows)
    keys = fan_out if isinstance(fan_out, list) else [fan_out] * height
    given = {
        "source_row": pl.Series(rows, dtype=pl.Int64),
        "record_digest": pl.Series(digests, dtype=pl.String),
        "fan_out": pl.Series(keys, dtype=pl.String),
        "reason": first_reason(found, height),
        **columns,
    }
    empty = {name: pl.Series([None] * height, dtype=dtype) for name, dtype in CANDIDATES.items() if name not in given}
    everything = {**given, **empty}
    return pl.DataFrame({name: everything[name].cast(dtype) for name, dtype in CANDIDATES.items()})


def first_reason(found: Found, height: int) -> pl.Series:
    """Return, per row, the first reason in the fixed order among `found` pairs of reason and boolean mask."""
    order = list(CANDIDATE_REASONS)
    masks = sorted(found, key=lambda pair: order.index(pair[0]))
    if not masks:
        return pl.Series("reason", [None] * height, dtype=pl.String)
    named = [pl.when(pl.lit(mask)).then(pl.lit(reason)) for reason, mask in masks]
    return pl.select(pl.coalesce(named).cast(pl.String).alias("reason")).to_series()
