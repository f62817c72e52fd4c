"""The laws hold for every deciding stage; and each law catches the bug that is planted for it, and no other does."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

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
from tests.leak_laws import (
    MATCHES,
    ROOTS,
    Leaks,
    neighbours_stand_apart,
    own_side,
    pins_move_only_their_own,
    what_was_seen_is_not_held_out,
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


def keeps_lonely_rows_out(stage: ModuleType, comparisons: pl.DataFrame, references: Frames) -> pl.DataFrame:
    """A root of one row is withheld, as it says little: another row lets it back in."""
    lonely = comparisons.filter(pl.len().over("root_id") == 1)["comparison_id"].to_list()
    reason = pl.when(pl.col("comparison_id").is_in(lonely)).then(pl.lit("near_heldout")).otherwise("drop_reason")
    return decide(stage, comparisons, references).with_columns(drop_reason=reason)


def ignores_roots(stage: ModuleType, comparisons: pl.DataFrame, references: Frames) -> pl.DataFrame:
    """Whole prompts are compared, and openings are not."""
    return decide(stage, comparisons, _but(references, near=pl.col("key").is_in(list(MATCHES))))


def looks_one_way(stage: ModuleType, comparisons: pl.DataFrame, references: Frames) -> pl.DataFrame:
    """Pairs are read as they are written, the lesser key first: the greater one has no neighbour."""
    return decide(stage, comparisons, _but(references, near=pl.col("key") < pl.col("near_key")))


def looks_among_its_own_rows(stage: ModuleType, comparisons: pl.DataFrame, references: Frames) -> pl.DataFrame:
    """A neighbour counts where the stage meets a row of it: another part's is not met."""
    met = [*comparisons["match_key"], *comparisons["root_id"]]
    return decide(stage, comparisons, _but(references, near=pl.col("near_key").is_in(met)))


def forgets_releases(stage: ModuleType, comparisons: pl.DataFrame, references: Frames) -> pl.DataFrame:
    """What was trained on last time is held out this time."""
    return decide(stage, comparisons, _but(references, released=pl.lit(value=False)))


def forgets_the_neighbours_of_releases(
    stage: ModuleType, comparisons: pl.DataFrame, references: Frames
) -> pl.DataFrame:
    """Released prompts are not held out, and those near them are."""
    near = ~pl.col("near_key").is_in(references["released"]["key"].to_list())
    return decide(stage, comparisons, _but(references, near=near))


def takes_benchmarks_in(stage: ModuleType, comparisons: pl.DataFrame, references: Frames) -> pl.DataFrame:
    """What stands in a benchmark is trained on."""
    return decide(stage, comparisons, _but(references, contaminated=pl.lit(value=False)))


def moves_the_others_along(stage: ModuleType, comparisons: pl.DataFrame, references: Frames) -> pl.DataFrame:
    """A pin takes all rows of its roots along, whoever they are of."""
    decisions = decide(stage, comparisons, references)
    return decisions.with_columns(drop_reason=pl.col("drop_reason").replace("pinned_elsewhere", None))


def takes_the_first_pin(stage: ModuleType, comparisons: pl.DataFrame, references: Frames) -> pl.DataFrame:
    """The pin that was written first wins, not the strictest."""
    first = references["pins"].filter(selector="source").head(1)["side"].item(0) if references["pins"].height else None
    return decide(
        stage, comparisons, references | {"pinned_roots": references["pinned_roots"].with_columns(side=pl.lit(first))}
    )


def _but(references: Frames, **kept: pl.Expr) -> Frames:
    return references | {name: references[name].filter(rule) for name, rule in kept.items()}


STAND_APART, SEEN, PINS = neighbours_stand_apart, what_was_seen_is_not_held_out, pins_move_only_their_own
PLANTED = [
    (loses_unnamed, dedupe, {nothing_is_lost}),
    (drops_the_first, dedupe, {twice_is_once}),
    (keeps_who_comes_first, dedupe, {order_does_not_matter}),
    (looks_across_annotators, dedupe, {parts_do_not_touch}),
    (weighs_the_root, split, {sides_do_not_change, PINS}),
    (keeps_lonely_rows_out, split, {sides_do_not_change, twice_is_once}),
    (ignores_roots, split, {STAND_APART}),
    (looks_one_way, split, {STAND_APART, SEEN}),
    (looks_among_its_own_rows, split, {parts_do_not_touch}),
    (forgets_releases, split, {SEEN}),
    (forgets_the_neighbours_of_releases, split, {SEEN}),
    (takes_benchmarks_in, split, {SEEN}),
    (moves_the_others_along, split, {PINS}),
    (takes_the_first_pin, split, {PINS}),
]


BASE: dict[str, Any] = {
    "prompt": PROMPTS[1],
    "strength": None,
    "policy_version": "p-1",
    "rubric_version": "r-1",
    "license": "MIT",
    "source": "free",
    "category": None,
    "consent_refs": REFS[0],
    "purposes": PURPOSES[1],
    "conflict": False,
    "copied": [],
    "presented_order": "ab",
    "created_at": NOON,
    "response_a_id": RESPONSES[1],
    "response_b_id": RESPONSES[2],
    "annotator_kind": "human",
}


def sound_rows() -> Case:
    """Rows that validate would pass: two annotators and nobody, repeats, changes of mind, several roots."""
    ann = [("ann", said) for said in ("a", "a", "a", "b", "tie", "both_bad")]
    rows = [*ann, ("bob", "a"), ("bob", "b"), (None, "a"), (None, "b")]
    named = [{**BASE, "annotator": who, "preference": said} for who, said in rows]
    return case([{**row, "match_key": list(MATCHES)[place // 4 * 2]} for place, row in enumerate(named)])


def leaking_rows() -> Case:
    """Rows of which some must be withheld: near neighbours, released prompts, benchmarks, pins."""
    on = {side: [root for root in ROOTS if own_side(root) == side] for side in ("train", "validation", "heldout")}
    prompts = {root: sorted(key for key in MATCHES if MATCHES[key] == root) for root in ROOTS}
    near, opening, pinned = on["train"]
    fresh, gone = on["heldout"]
    drawn = Leaks(
        near=[
            _pair(prompts[near][1], prompts[fresh][0]),
            _pair(prompts[on["validation"][0]][0], prompts[fresh][0]),
            _pair(opening, fresh),
            _pair(prompts[near][0], prompts[gone][1]),
        ],
        released=[(prompts[near][0], "train"), (prompts[gone][0], "validation")],
        pins=[("source", "bound", "validation"), ("source", "silent", "heldout")],
        contaminated=[prompts[near][0]],
    )
    rows = [{**BASE, "match_key": key} for key in MATCHES]
    rows += [{**BASE, "match_key": prompts[pinned][0], "source": source} for source in ("bound", "silent")]
    return case([{**row, "annotator": str(place), "preference": "a"} for place, row in enumerate(rows)], drawn)


def _pair(one: str, other: str) -> tuple[str, str]:
    return min(one, other), max(one, other)


@pytest.mark.parametrize(("bug", "stage", "caught_by"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_each_law_catches_its_bug(bug: Decide, stage: ModuleType, caught_by: set[object]) -> None:
    caught = set()
    rows = leaking_rows() if stage is split else sound_rows()
    for law in LAWS:
        law(decide, stage, rows)
        try:
            law(bug, stage, rows)
        except AssertionError:
            caught.add(law)
    assert caught == caught_by
