"""Adapter `hh_rlhf`: `{chosen, rejected}` transcripts as Anthropic's HH-RLHF publishes them (2022 layout).

A transcript is turns that each begin with a blank line and `Human:` or `Assistant:`. The prompt is everything up to
the LAST assistant turn, which must be the same in both; the response is that turn.
"""

from collections.abc import Iterator
from typing import Any

import polars as pl

from pipeline.core.mapping.candidates import Batch, Found, RawFile, assemble
from pipeline.core.mapping.fieldmap import Joined, column_for, columns_for
from pipeline.core.mapping.statements import consent_column, own_statements, record_outcomes
from pipeline.core.raw.rawfiles import RawBatch
from pipeline.core.sidecar.sidecars import Source
from pipeline.core.sidecar.specs import AnySpec, FromPath
from schemas.columns import MESSAGES

_LAST_TURN = r"(?s)^(.*)\n\nAssistant:(.*)$"
_TURN = r"\n\n(Human|Assistant):"
# Cannot stand in a text: records with a NUL are quarantined before they come here.
_MARK = "\x00"
# Logs hold a broken transcript here and there.
_MOST_SHARE = 0.9


NEEDS = ("annotator", "annotator_kind")
FILLS = ("prompt", "response_a", "response_b", "preference", "presented_order")
USES = ("fan_out",)


def read(file: RawFile) -> Iterator[Batch]:
    """Yield a file's records with one candidate each: response a is the chosen one."""
    for raw in file.batches():
        yield _batch(file, raw)


def _batch(file: RawFile, raw: RawBatch) -> Batch:
    rows, digests, records = raw.decoded()
    joined = Joined(records, {}, file.source.text_alone(file.group))
    frames = [
        assemble(rows, digests, fan_out, *_variant(file.source, len(rows), joined, specs))
        for fan_out, specs in file.variants()
    ]
    return Batch(record_outcomes(raw), pl.concat(frames))


def _variant(
    source: Source, height: int, joined: Joined, specs: dict[str, AnySpec]
) -> tuple[dict[str, pl.Series], Found]:
    columns, found = columns_for(specs, joined)
    chosen, chosen_faults = column_for("response_a", FromPath("chosen"), joined)
    rejected, rejected_faults = column_for("response_b", FromPath("rejected"), joined)
    texts, text_faults = transcripts(chosen, rejected)
    columns |= texts
    columns["preference"] = pl.Series(["a"] * height, dtype=pl.String)
    columns["consent_refs"], ref_faults = consent_column(source.consent_refs, joined)
    columns["own"] = own_statements(specs, columns, height)
    return columns, found + chosen_faults + rejected_faults + ref_faults + text_faults


def transcripts(chosen: pl.Series, rejected: pl.Series) -> tuple[dict[str, pl.Series], Found]:
    """Split pairs of transcripts into prompt, response a (chosen) and response b (rejected)."""
    given = pl.DataFrame({"chosen": chosen, "rejected": rejected})
    parts = given.select(
        context_a=pl.col("chosen").str.extract(_LAST_TURN, 1),
        context_b=pl.col("rejected").str.extract(_LAST_TURN, 1),
        response_a=pl.col("chosen").str.extract(_LAST_TURN, 2).str.strip_chars(),
        response_b=pl.col("rejected").str.extract(_LAST_TURN, 2).str.strip_chars(),
    )
    absent = given.select(pl.any_horizontal(pl.all().is_null())).to_series()
    no_turn = parts.select(pl.any_horizontal(pl.all().is_null())).to_series() & ~absent
    differ = (parts["context_a"] != parts["context_b"]).fill_null(value=False)
    found = [("missing_field", absent), ("no_assistant_turn", no_turn), ("contexts_differ", differ)]
    texts = {"prompt": turns(parts["context_a"]), "response_a": parts["response_a"], "response_b": parts["response_b"]}
    return texts, found


def turns(contexts: pl.Series) -> pl.Series:
    """Turn the text before the last assistant turn into messages; text before the first turn is a system message."""
    marked = pl.col("context").str.replace_all(_TURN, f"{_MARK}${{1}}{_MARK}").str.split(_MARK)
    frame = pl.DataFrame({"context": contexts}).with_row_index("place").with_columns(part=marked)
    head = pl.concat_list(pl.lit("system"), pl.col("part").list.get(0, null_on_oob=True))
    pairs = frame.with_columns(part=pl.concat_list(head, pl.col("part").list.slice(1)))
    long = pairs.select(
        "place", role=pl.col("part").list.gather_every(2), content=pl.col("part").list.gather_every(2, 1)
    )
    messages = (
        long.explode("role", "content")
        .with_columns(
            role=pl.col("role").replace({"Human": "user", "Assistant": "assistant"}),
            content=pl.col("content").str.strip_chars(),
        )
        .filter((pl.col("role") != "system") | (pl.col("content") != ""))
        .group_by("place", maintain_order=True)
        .agg(pl.struct("role", "content").alias("prompt"))
    )
    joined = frame.select("place", "context").join(messages, on="place", how="left", maintain_order="left")
    given = pl.col("prompt").cast(MESSAGES).fill_null(pl.lit([], dtype=MESSAGES))
    return joined.select(pl.when(pl.col("context").is_not_null()).then(given).alias("prompt")).to_series()


def guess(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Claim records that hold two transcripts; where they hold nothing else, they name nobody."""
    both = [[record.get(name) for name in ("chosen", "rejected")] for record in records]
    fitting = sum(all(isinstance(text, str) and "\n\nAssistant:" in text for text in pair) for pair in both)
    if not records or fitting < _MOST_SHARE * len(records):
        return None
    alone = all(set(record) <= {"chosen", "rejected"} for record in records)
    if not alone:
        return {"fields": {}}
    notes = {"fields.annotator": "the records hold two transcripts and nothing else"}
    return {"fields": {"annotator": {"constant": None}}, "notes": notes}
