"""Withholding: what is known of a prompt's keys, its match key and its root, that keeps a row off its side.

The rules, all of them about direct neighbours:

- a key is *seen* where it was released in train or validation, or is near one that was;
- a held-out row of a seen key is no longer held out; so it withholds none of its neighbours either;
- a row near a held-out prompt that stands may be neither in train nor in validation; one near a validation prompt that
  stands may not be in train.
"""

import polars as pl

from pipeline.core.sides import Division, sided

FACTS = ("contaminated", "seen", "near_heldout", "near_validation")
"""What is said of a key: whether it is contaminated; for the others the least neighbour, or the key itself."""


def seen(near: pl.LazyFrame, released: pl.LazyFrame) -> pl.LazyFrame:
    """Return every key that was released, or is near one that was, with the least released one: `key`, `seen`."""
    own = released.select("key", seen="key")
    beside = near.join(released.select(near_key="key"), on="near_key", how="semi").select("key", seen="near_key")
    return pl.concat([own, beside]).group_by("key").agg(pl.col("seen").min())


def neighbours(near: pl.LazyFrame, seen: pl.LazyFrame, by: Division, pinned: pl.LazyFrame) -> pl.LazyFrame:
    """Return the least near key that stands on heldout, and on validation: `key`, `near_heldout`, `near_validation`."""
    standing = sided(near.filter("stands"), "near_root", by, pinned, "near_side")
    fresh = standing.filter(pl.col("near_side") == "heldout")
    for column in ("near_key", "near_root"):
        fresh = fresh.join(seen.select(pl.col("key").alias(column)), on=column, how="anti")
    tuned = standing.filter(pl.col("near_side") == "validation")
    both = pl.concat(
        [fresh.select("key", near_heldout="near_key"), tuned.select("key", near_validation="near_key")],
        how="diagonal",
    )
    return both.group_by("key").agg(pl.col("near_heldout", "near_validation").min())


def facts_of(
    near: pl.LazyFrame, released: pl.LazyFrame, contaminated: pl.LazyFrame, by: Division, pinned: pl.LazyFrame
) -> pl.LazyFrame:
    """Gather what is said of each key: `key` and `FACTS`, each key once."""
    touched = seen(near, released)
    bad = contaminated.select("key", contaminated=pl.lit(value=True))
    all_said = pl.concat([bad, touched, neighbours(near, touched, by, pinned)], how="diagonal")
    return all_said.group_by("key").agg(pl.col(FACTS).min())


def with_facts(rows: pl.LazyFrame, facts: pl.LazyFrame) -> pl.LazyFrame:
    """Add to rows what is said of their match key or their root, the least where both say something."""
    for key in ("match_key", "root_id"):
        named = facts.rename({fact: f"{fact}_{key}" for fact in FACTS})
        rows = rows.join(named, left_on=key, right_on="key", how="left")
    least = {fact: pl.min_horizontal(f"{fact}_match_key", f"{fact}_root_id") for fact in FACTS}
    return rows.with_columns(**least)
