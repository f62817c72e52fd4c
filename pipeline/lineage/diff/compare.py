"""Two builds compared: both are read in key order, side by side, a range of pair ids at a time."""

import json
from collections import Counter
from collections.abc import Mapping

import polars as pl
import pyarrow as arrow
from pyarrow import parquet

from pipeline.core.accounts import must_add_up
from pipeline.core.progress import track
from pipeline.core.project import Project
from pipeline.core.publishing.folding import KEY
from pipeline.core.tables import scan_table
from pipeline.lineage.diff.builds import DECISIONS, MANIFEST, Builds, Readers, builds_of, place_of
from pipeline.lineage.diff.decisions import consents_changed, dropped
from pipeline.lineage.diff.found import ORDER, Diff, build_facts
from pipeline.lineage.diff.reading import ROWS, columns_of, labels_of
from pipeline.lineage.diff.rows import NEW, joined, row_changes
from pipeline.lineage.diff.votes import Fates, account_of, fates_of_rows, joined_votes, vote_changes
from schemas.changes import CHANGES
from schemas.columns import dtypes
from schemas.vocabulary import SIDES

_PART_ROWS = 2**18
# The keys, what is compared as the vote's source, and a number that holds in one build only.
_NOT_SAID = {*KEY, "comparison_id", "source", "annotator_number"}


def compare(old: Project, new: Project, away: Mapping[str, str] | None = None) -> Diff:
    """Compare two builds by row.

    Held-out tables and the decisions of the stages may be missing, and `away` may say why; then what they tell is not
    compared. Raises PairtrailError where anything else is missing.
    """
    builds = builds_of(old, new, away or {})
    changes, rows, votes = _compared(builds, _fates(builds))
    whole = pl.concat([changes, _moved_roots(builds, changes)]).drop("root_id").sort(ORDER)
    manifests = [json.loads(path.read_text(encoding="utf-8")) for path in builds.paths(MANIFEST)]
    return Diff(whole, rows, votes, build_facts(*manifests), dict(builds.missing), _unseen(builds))


def _no_changes() -> pl.DataFrame:
    types = list(dtypes(CHANGES).items())
    return pl.DataFrame(schema=dict([*types[:8], ("root_id", pl.String()), *types[8:]]))


def _unseen(builds: Builds) -> frozenset[str]:
    """Return the kinds of which nothing is known without the stages' decisions."""
    found = set() if builds.decided else {"withheld", "freed"}
    return frozenset(found | ({"consent_changed"} if DECISIONS[0] in builds.missing else set()))


def _fates(builds: Builds) -> Fates:
    """Read what the stages say of comparisons, where that is asked for and can be read."""
    consents = None
    if DECISIONS[0] not in builds.missing and not builds.alike(DECISIONS[0]):
        count = sum(parquet.read_metadata(path).num_rows for path in builds.paths(DECISIONS[0]))
        consents = consents_changed(builds.old, builds.new, bounds_for(count))
    asked = builds.decided and not builds.all_alike("votes")
    old, new = (dropped(build) if asked else None for build in (builds.old, builds.new))
    return Fates(old, new, consents, whole=builds.sides == SIDES)


def bounds_for(rows: int) -> list[str | None]:
    """Return where ranges of ids end, so that each holds few enough rows for memory; None ends the last."""
    digits = 0
    while rows > 16**digits * _PART_ROWS:
        digits += 1
    return [*(f"{part:0{digits}x}" for part in range(1, 16**digits)), None]


def _compared(builds: Builds, fates: Fates) -> tuple[pl.DataFrame, dict[str, int], dict[str, int]]:
    """Compare part by part: all changes, the account of rows, the account of votes."""
    sizes = {"rows": builds.sizes(*ROWS), "votes": builds.sizes("votes")}
    with_votes = not builds.all_alike("votes") or (fates.consents is not None and not fates.consents.is_empty())
    if not with_votes and all(builds.all_alike(table) for table in ROWS):
        same = _no_changes()
        return same, _account_rows(same, sizes["rows"], sizes["rows"][0]), _account_votes({}, sizes["votes"])
    labels = labels_of(name for path in builds.tables(*ROWS) for name in columns_of(path))
    columns = sorted({name for path in builds.tables("votes") for name in columns_of(path)} - _NOT_SAID)
    readers = Readers(builds, labels, columns, with_votes=with_votes)
    bounds = bounds_for(sum(sizes["rows"]))
    changes = [_kept(_no_changes())]
    counted, stand = Counter[str](), 0
    for bound in track(bounds, "comparing", len(bounds)):
        old, new, old_votes, new_votes = readers.up_to(bound)
        votes = joined_votes(old_votes, new_votes, fates)
        both = _with_fates(joined(old, new), votes)
        stand += int(both.select((pl.col("side").is_not_null() & pl.col(f"side{NEW}").is_not_null()).sum()).item())
        counted.update(account_of(votes))
        told = [*row_changes(both, labels), *vote_changes(votes, old, new, columns, fates)]
        changes.append(_kept(pl.concat(told)))
    whole = pl.DataFrame(pl.from_arrow(arrow.concat_tables(changes)))
    rows = _account_rows(whole, sizes["rows"], stand)
    return whole, rows, _account_votes(counted if with_votes else {}, sizes["votes"])


def _kept(changes: pl.DataFrame) -> arrow.Table:
    """Copy changes out of their part: a Polars frame of a few rows would keep all texts of the frame that it is of."""
    return changes.to_arrow(compat_level=pl.CompatLevel.oldest())


def _with_fates(both: pl.DataFrame, votes: pl.DataFrame) -> pl.DataFrame:
    """Add to rows why votes left and came, and whether any did."""
    left, came = fates_of_rows(votes)
    found = both.join(left, on=KEY, how="left").join(came, on=KEY, how="left")
    return found.with_columns(voted=pl.col("fate_left").is_not_null() | pl.col("fate_came").is_not_null())


def _account_rows(changes: pl.DataFrame, sizes: tuple[int, int], stand: int) -> dict[str, int]:
    """Account for the rows of both builds; a row that stands changed once, in however many ways."""
    told = {kind: changes.filter(kind=kind).height for kind in ("removed", "added")}
    must_add_up("rows before", sizes[0], {"that stand": stand, "removed": told["removed"]})
    must_add_up("rows after", sizes[1], {"that stand": stand, "added": told["added"]})
    stands = (
        pl.col("side_before").is_not_null() & pl.col("side_after").is_not_null() & pl.col("comparison_id").is_null()
    )
    changed = changes.filter(stands).select(KEY).n_unique()
    return {"before": sizes[0], "after": sizes[1], "stand": stand, "unchanged": stand - changed, **told}


def _account_votes(counted: Mapping[str, int], sizes: tuple[int, int]) -> dict[str, int]:
    """Account for the votes of both builds; where nothing was counted, they are the same ones."""
    left = {name: counted.get(name, 0) for name in ("withheld", "not_ingested", "unknown_before", "other_row")}
    came = {name: counted.get(name, 0) for name in ("freed", "new", "unknown_after", "other_row")}
    stand = counted.get("stand", sizes[0])
    must_add_up("votes before", sizes[0], {"that stand": stand, **left})
    must_add_up("votes after", sizes[1], {"that stand": stand, **came})
    return {"before": sizes[0], "after": sizes[1], "stand": stand, **left, **came}


def _moved_roots(builds: Builds, changes: pl.DataFrame) -> pl.DataFrame:
    """Tell the added rows whose root stood on another side before: a leak that no row of both builds shows."""
    added = changes.filter(kind="added")
    if added.is_empty():
        return added
    roots = added.select("root_id").unique().lazy()
    stood = [
        scan_table(builds.old.root / place_of(side, table))
        .select("root_id").join(roots, on="root_id", how="semi").unique().with_columns(stood=pl.lit(side))
        for side in builds.sides
        for table in ROWS
    ]  # fmt: skip
    before = pl.concat(stood).unique().collect(engine="streaming")
    moved = added.join(before, on="root_id").filter(pl.col("stood") != pl.col("side_after"))
    least = moved.sort("stood").unique(KEY, keep="first", maintain_order=True)
    reason = pl.format("{} to {}", "stood", "side_after")
    return least.with_columns(kind=pl.lit("moved_root"), reason=reason).select(added.columns)
