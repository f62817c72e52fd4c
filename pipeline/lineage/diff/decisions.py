"""What the deciding stages of two builds say of comparisons: which they drop, and on which consents they stand."""

from collections.abc import Iterator

import polars as pl
import pyarrow as arrow

from pipeline.core.project import Project
from pipeline.core.tables import batches_of, scan_table
from pipeline.lineage.diff.reading import BOTH, Cursor
from pipeline.lineage.diff.rows import NEW, differs

STAGES = ("validate", "dedupe", "split")
_ID = "comparison_id"
_SAID = ["consent_events", "purposes"]


def dropped(build: Project) -> pl.DataFrame:
    """Return the comparisons that a stage drops, with `fate`: the stage and its reason."""
    found = [
        scan_table(build.decisions(stage))
        .filter(pl.col("drop_reason").is_not_null())
        .select(_ID, fate=pl.format("{}: {}", pl.lit(stage), "drop_reason"))
        for stage in STAGES
    ]
    return pl.concat(found).collect(engine="streaming")


def consents_changed(old: Project, new: Project, bounds: list[str | None]) -> pl.DataFrame:
    """Return the comparisons of both builds that hang on other consent events, with what that did to their purposes."""
    cursors = [Cursor(_consents(build), _ID, "validate/decisions.parquet") for build in (old, new)]
    found = []
    reason = pl.when(differs("purposes")).then(pl.lit("other_purposes")).otherwise(pl.lit("same_purposes"))
    for bound in bounds:
        before, after = (pl.concat([_NOTHING, *cursor.up_to(bound)]) for cursor in cursors)
        both = before.join(after, on=_ID, suffix=NEW)
        changed = both.filter(differs("consent_events")).select(_ID, reason=reason)
        found.append(changed.to_arrow(compat_level=pl.CompatLevel.oldest()))
    return pl.DataFrame(pl.from_arrow(arrow.concat_tables(found)))


_NOTHING = pl.DataFrame(schema=dict.fromkeys([_ID, *_SAID], pl.String))


def _consents(build: Project) -> Iterator[pl.DataFrame]:
    for rows in batches_of(build.decisions("validate"), [_ID, *_SAID]):
        yield rows.select(_ID, *(pl.col(name).list.join(BOTH) for name in _SAID))
