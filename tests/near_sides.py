"""What split should withhold for near neighbours, told by plain Python from the texts of all rows that it received."""

from itertools import product

import polars as pl

from pipeline.core.near.texts import matched_texts
from tests import brute
from tests.building import Built

STRICT = {"train": 0, "validation": 1, "heldout": 2}
THRESHOLD = 0.7
TEXTS = ("turns", "root")


def prompts_of(built: Built) -> pl.DataFrame:
    """Each row that split received, with the two texts of its prompt and what split says."""
    comparisons = built.comparisons().select("comparison_id", "prompt", "match_key", "root_id")
    decided = comparisons.unique("comparison_id").join(built.table("split/decisions"), on="comparison_id")
    return decided.with_columns(matched_texts(decided["prompt"])).drop("prompt")


def expected_reasons(rows: pl.DataFrame) -> dict[str, str | None]:
    """By comparison: the reason for which a near prompt, or a near root, of a stricter side withholds it."""
    near = {}
    for text, side in product(TEXTS, ("validation", "heldout")):
        mine = [*rows.filter(side=side)[text].unique().sort()]
        others = [*rows.filter(pl.col("side").replace_strict(STRICT) < STRICT[side])[text].unique().sort()]
        near[text, side] = {other for other, _, _ in brute.near_some(others, mine, THRESHOLD)}
    found: dict[str, str | None] = {}
    for row in rows.to_dicts():
        stricter = [side for side in ("heldout", "validation") if STRICT[row["side"]] < STRICT[side]]
        by = [side for side in stricter if any(row[text] in near[text, side] for text in TEXTS)]
        found[row["comparison_id"]] = f"near_{by[0]}" if by else None
    return found


def met_reasons(rows: pl.DataFrame, expected: dict[str, str | None]) -> set[str | None]:
    """Hold what split says of rows against what is expected; return the reasons that are met."""
    told = dict(rows.select("comparison_id", "drop_reason").iter_rows())
    assert told == {comparison: expected[comparison] for comparison in told}
    return set(told.values())
