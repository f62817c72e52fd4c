"""Dedupe: verdicts that the same annotator gave again, or took back.

The other presentation order is a second verdict, opposite verdicts of different people are votes, and a null annotator
is nobody's equal: none of these is dropped here.
"""

from dataclasses import dataclass

import polars as pl

from pipeline.core.conflicts import Conflicts
from pipeline.core.params import STRICT
from pipeline.core.references import References
from pipeline.core.running import Contract
from schemas.decisions import DEDUPE

REASONS = {
    "superseded": "the same annotator judged the same pair otherwise at a later time",
    "repeated": "the same annotator gave the same verdict on the same pair, shown in the same order",
}

CONTRACT = Contract(
    name="dedupe",
    after="validate",
    columns=(
        "comparison_id",
        "pair_id",
        "prompt_id",
        "response_a_id",
        "response_b_id",
        "preference",
        "presented_order",
        "annotator",
        "annotator_kind",
        "policy_version",
        "rubric_version",
        "created_at",
    ),
    references=("purposes",),
    schema=DEDUPE,
    parted_by=("pair_id", "annotator"),
    gathers=Conflicts,
)

_SAME = ["annotator", "annotator_kind", "pair_id", "policy_version", "rubric_version", "shown_first", "purposes"]


@dataclass(frozen=True, slots=True)
class Params:
    """The section `dedupe` of params.yaml: it has no parameters yet."""

    __pydantic_config__ = STRICT


def decide(comparisons: pl.LazyFrame, references: References, params: Params) -> pl.LazyFrame:  # noqa: ARG001
    """Mark superseded and repeated verdicts, and name the comparison that stays in their place.

    A verdict is superseded when its group's latest verdicts are later than it and none of them agrees with it; a
    verdict without a time is never superseded. Of equal verdicts the latest stays, then the least id.
    """
    verdicts = comparisons.join(references["purposes"], on="comparison_id", how="left").select(
        "comparison_id",
        *(column for column in _SAME if column not in {"shown_first", "purposes"}),
        "created_at",
        shown_first=_shown_first(),
        verdict=_verdict(),
        purposes=pl.col("purposes").list.join("\0"),
    )
    named = verdicts.filter(pl.col("annotator").is_not_null())
    nobody = verdicts.filter(pl.col("annotator").is_null()).select(
        "comparison_id", drop_reason=_nothing(), stays=_nothing()
    )
    return pl.concat([_said_before(_taken_back(named)).select("comparison_id", "drop_reason", "stays"), nobody])


def _nothing() -> pl.Expr:
    return pl.lit(None, pl.String)


def _shown_first() -> pl.Expr:
    """Name the response that was shown first; where nobody says, the one that the source lists first."""
    return pl.when(pl.col("presented_order") == "ba").then("response_b_id").otherwise("response_a_id")


def _verdict() -> pl.Expr:
    """Name the response that was preferred, whichever column it stands in; ties keep their own name."""
    preference = pl.col("preference")
    named = pl.when(preference == "a").then("response_a_id").when(preference == "b").then("response_b_id")
    return named.otherwise(preference)


def _taken_back(verdicts: pl.LazyFrame) -> pl.LazyFrame:
    """Name the successor of each superseded verdict: the least id among its group's latest."""
    is_latest = (pl.col("created_at") == pl.col("created_at").max().over(_SAME)).fill_null(value=False)
    # One step after the other: a window inside a window would see the inner group only.
    timed = verdicts.with_columns(is_latest=is_latest)
    judged = timed.with_columns(
        upheld=pl.col("is_latest").any().over([*_SAME, "verdict"]),
        latest_id=pl.col("comparison_id").filter("is_latest").min().over(_SAME),
    )
    superseded = pl.col("created_at").is_not_null() & ~pl.col("is_latest") & ~pl.col("upheld")
    return judged.with_columns(successor=pl.when(superseded).then("latest_id"))


def _said_before(verdicts: pl.LazyFrame) -> pl.LazyFrame:
    """Of equal verdicts that were not taken back, keep the latest, then the least id."""
    standing = pl.col("successor").is_null()
    key = [*_SAME, "verdict", "successor"]
    keeper = (
        pl.col("comparison_id")
        .sort_by(["created_at", "comparison_id"], descending=[True, False], nulls_last=True)
        .first()
    )
    kept = keeper.over(key)
    repeated = standing & (pl.col("comparison_id") != kept)
    return verdicts.with_columns(
        drop_reason=pl.when(~standing).then(pl.lit("superseded")).when(repeated).then(pl.lit("repeated")),
        stays=pl.when(~standing).then("successor").when(repeated).then(kept),
    )
