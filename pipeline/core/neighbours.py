"""Near neighbours as split needs them: both ways, those that bear on heldout or validation, and which of them stand."""

import polars as pl

from pipeline.core.pins import pinned_roots
from pipeline.core.project import Project
from pipeline.core.receiving import received
from pipeline.core.sides import division, sided
from pipeline.core.spill import spilling
from pipeline.core.tables import scan_table

_KEYS = ("match_key", "root_id")


def scan_near(project: Project) -> pl.LazyFrame:
    """Scan what the stage near found: each two prompts, or two roots, that are near each other."""
    return scan_table(project.needs(project.stage("near") / "near.parquet", "near"))


def both_ways(pairs: pl.LazyFrame) -> pl.LazyFrame:
    """Give each of two near neighbours the other: `key`, `root`, `near_key`, `near_root`."""
    there = pairs.select(key="a", root="root_a", near_key="b", near_root="root_b")
    back = pairs.select(key="b", root="root_b", near_key="a", near_root="root_a")
    return pl.concat([there, back])


def near(project: Project) -> pl.LazyFrame:
    """Read near neighbours as (key, near_key, near_root), and whether the near one `stands`: dedupe kept a row of it.

    Two of train say nothing, and are left out: most pairs, where there are millions. A released prompt counts for its
    neighbours even where no row of it stands any more, so that those which do not stand are told from the others, and
    stay.
    """
    by, pinned = division(project), pinned_roots(project)
    pairs = sided(sided(both_ways(scan_near(project)), "root", by, pinned), "near_root", by, pinned, "near_side")
    bearing = pairs.filter((pl.col("side") == "heldout") | (pl.col("near_side") != "train"))
    found = bearing.select("key", "near_key", "near_root").collect(engine="streaming")
    stood = standing(project, found.select(key="near_key").unique())
    return found.with_columns(stands=pl.col("near_key").is_in(stood["key"].implode())).lazy()


def standing(project: Project, asked: pl.DataFrame) -> pl.DataFrame:
    """Return those of the keys of which dedupe kept a comparison."""
    found = [asked.clear()]
    if asked.height:
        with spilling(project.spill / "standing") as folder:
            for part in received(project, "dedupe", ("comparison_id", *_KEYS), {}, folder):
                keys = pl.concat([part.select(key=name) for name in _KEYS]).unique()
                found.append(asked.join(keys, on="key", how="semi"))
    return pl.concat(found).unique()
