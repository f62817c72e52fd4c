"""The laws hold for every deciding stage; and each law catches the bug that is planted for it, and no other does."""

from collections.abc import Callable
from types import ModuleType

import polars as pl
import pytest
from hypothesis import given, settings

from pipeline.stages import dedupe, split, validate
from tests.laws import (
    LAWS,
    NOON,
    PROMPTS,
    PURPOSES,
    REFS,
    RESPONSES,
    Case,
    Decide,
    case,
    cases,
    decide,
    nothing_is_lost,
    order_does_not_matter,
    parts_do_not_touch,
    sides_do_not_change,
    twice_is_once,
)

DECIDING = [validate, dedupe, split]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("stage", DECIDING)
@given(given_case=cases())
@settings(max_examples=60)
def test_law(law: Callable[[Decide, ModuleType, Case], None], stage: ModuleType, given_case: Case) -> None:
    law(decide, stage, given_case)


Frames = dict[str, pl.DataFrame]


def loses_unnamed(stage: ModuleType, comparisons: pl.DataFrame, references: Frames) -> pl.DataFrame:
    """A filter where a mark belongs: rows of nobody vanish."""
    unnamed = comparisons.filter(pl.col("annotator").is_null()).select("comparison_id")
    return decide(stage, comparisons, references).join(unnamed, on="comparison_id", how="anti")


def drops_the_first(stage: ModuleType, comparisons: pl.DataFrame, references: Frames) -> pl.DataFrame:
    """Of each annotator's verdicts on a pair one more is dropped at every pass."""
    key = ["pair_id", "annotator"]
    named = comparisons.filter(pl.col("annotator").is_not_null())
    first = named.group_by(key).agg(pl.col("comparison_id").min(), n=pl.len()).filter(pl.col("n") > 1)
    gone = pl.col("comparison_id").is_in(first["comparison_id"].to_list())
    reason = pl.when(gone).then(pl.lit("repeated")).otherwise("drop_reason").alias("drop_reason")
    return decide(stage, comparisons, references).with_columns(reason)


def keeps_who_comes_first(stage: ModuleType, comparisons: pl.DataFrame, references: Frames) -> pl.DataFrame:
    """`keep="first"` without an order: which of two equal verdicts stays hangs on the rows' order."""
    key = ["pair_id", "annotator", "preference"]
    named = comparisons.filter(pl.col("annotator").is_not_null())
    kept = named.unique(key, keep="first", maintain_order=True)["comparison_id"].to_list()
    gone = pl.col("comparison_id").is_in(named["comparison_id"].to_list()) & ~pl.col("comparison_id").is_in(kept)
    reason = pl.when(gone).then(pl.lit("repeated")).alias("drop_reason")
    return decide(stage, comparisons, references).with_columns(reason)


def looks_across_annotators(stage: ModuleType, comparisons: pl.DataFrame, references: Frames) -> pl.DataFrame:
    """A verdict counts as repeated when somebody else gave it: parts are no longer strangers."""
    key = ["pair_id", "preference"]
    kept = comparisons.group_by(key).agg(pl.col("comparison_id").min())["comparison_id"].to_list()
    reason = pl.when(~pl.col("comparison_id").is_in(kept)).then(pl.lit("repeated")).alias("drop_reason")
    return decide(stage, comparisons, references).with_columns(reason)


def weighs_the_root(stage: ModuleType, comparisons: pl.DataFrame, references: Frames) -> pl.DataFrame:
    """Large roots go to heldout, so that fractions come out better: one more row moves a root to another side."""
    sizes = comparisons.select("comparison_id", size=pl.len().over("root_id"))
    side = pl.when(pl.col("size") > 3).then(pl.lit("heldout")).otherwise(pl.lit("train")).alias("side")
    decisions = decide(stage, comparisons, references).join(sizes, on="comparison_id", how="left")
    return decisions.with_columns(side).drop("size").sort("comparison_id")


PLANTED = [
    (loses_unnamed, dedupe, {nothing_is_lost}),
    (drops_the_first, dedupe, {twice_is_once}),
    (keeps_who_comes_first, dedupe, {order_does_not_matter}),
    (looks_across_annotators, dedupe, {parts_do_not_touch}),
    (weighs_the_root, split, {sides_do_not_change}),
]


def sound_rows() -> Case:
    """Rows that validate would pass: two annotators and nobody, repeats, changes of mind, several roots."""
    base = {
        "prompt": PROMPTS[1],
        "strength": None,
        "policy_version": "p-1",
        "rubric_version": "r-1",
        "license": "MIT",
        "source": "free",
        "consent_refs": REFS[0],
        "purposes": PURPOSES[1],
        "conflict": False,
        "copied": [],
        "presented_order": "ab",
        "created_at": NOON,
        "response_a_id": RESPONSES[1],
        "response_b_id": RESPONSES[2],
    }
    ann = [("ann", said) for said in ("a", "a", "a", "b", "tie", "both_bad")]
    rows = [*ann, ("bob", "a"), ("bob", "b"), (None, "a"), (None, "b")]
    named = [{**base, "annotator": who, "annotator_kind": "human", "preference": said} for who, said in rows]
    return case([{**row, "root_id": f"{place // 4:032x}"} for place, row in enumerate(named)])


@pytest.mark.parametrize(("bug", "stage", "caught_by"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_each_law_catches_its_bug(bug: Decide, stage: ModuleType, caught_by: set[object]) -> None:
    caught = set()
    for law in LAWS:
        law(decide, stage, sound_rows())
        try:
            law(bug, stage, sound_rows())
        except AssertionError:
            caught.add(law)
    assert caught == caught_by
