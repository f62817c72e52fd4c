"""Votes compared: which verdicts came, left, were described otherwise or stand on other consents, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from pipeline.core.publishing.folding import KEY
from pipeline.lineage.diff.reading import said
from pipeline.lineage.diff.rows import NEW, SEVERAL, SLICED, UNKNOWN, differs, named

NOT_INGESTED, FIRST, OTHER_ROW = "not_ingested", "new", "other_row"


@dataclass(frozen=True, slots=True)
class Fates:
    """What the stages of both builds say of comparisons; None where that cannot be read."""

    old: pl.DataFrame | None
    new: pl.DataFrame | None
    consents: pl.DataFrame | None
    whole: bool
    """Whether the votes of all sides can be read: else one that is on no side that can be is not known to be gone."""


def joined_votes(old: pl.DataFrame, new: pl.DataFrame, fates: Fates) -> pl.DataFrame:
    """Join votes by comparison, with `moved` (to another row) and the `fate` of each that left or came."""
    both = old.join(new, on="comparison_id", how="full", suffix=NEW, coalesce=True)
    stands = pl.col("side").is_not_null() & pl.col(f"side{NEW}").is_not_null()
    with_moves = both.with_columns(moved=stands & differs(*KEY))
    left = _fates(with_moves.filter(pl.col(f"side{NEW}").is_null()), fates.new, fates, NOT_INGESTED)
    came = _fates(with_moves.filter(pl.col("side").is_null()), fates.old, fates, FIRST)
    rest = with_moves.filter(stands).with_columns(
        fate=pl.when("moved").then(pl.lit(OTHER_ROW)), dropped=pl.lit(value=False)
    )
    return pl.concat([left, came, rest])


def _fates(votes: pl.DataFrame, dropped: pl.DataFrame | None, fates: Fates, otherwise: str) -> pl.DataFrame:
    """Say by which stage and reason votes are dropped in the build in which they are no votes."""
    if dropped is None:
        return votes.with_columns(fate=pl.lit(UNKNOWN), dropped=pl.lit(value=False))
    found = votes.join(dropped, on="comparison_id", how="left")
    rest = pl.lit(otherwise if fates.whole else UNKNOWN)
    return found.with_columns(dropped=pl.col("fate").is_not_null(), fate=pl.coalesce("fate", rest))


def fates_of_rows(votes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return, by row, why votes left it, and why votes came; `several` where not all for one reason."""
    fate = pl.when(pl.col("fate").n_unique() == 1).then(pl.col("fate").first()).otherwise(pl.lit(SEVERAL))
    left = _left(votes).group_by(KEY).agg(fate_left=fate)
    after = [pl.col(f"{name}{NEW}").alias(name) for name in KEY]
    came = _came(votes).select("fate", *after).group_by(KEY).agg(fate_came=fate)
    return left, came


def _left(votes: pl.DataFrame) -> pl.DataFrame:
    return votes.filter(pl.col(f"side{NEW}").is_null() | pl.col("moved"))


def _came(votes: pl.DataFrame) -> pl.DataFrame:
    return votes.filter(pl.col("side").is_null() | pl.col("moved"))


def vote_changes(
    votes: pl.DataFrame, old: pl.DataFrame, new: pl.DataFrame, columns: Sequence[str], fates: Fates
) -> list[pl.DataFrame]:
    """Tell each change of votes; `old` and `new` are the rows of both builds."""
    stay = votes.filter(pl.col("side").is_not_null() & pl.col(f"side{NEW}").is_not_null() & ~pl.col("moved"))
    names = {name: differs(said(name)) for name in columns} | {"source": differs("source")}
    restated = stay.filter(differs(*map(said, columns), "source"))
    left, came = votes.filter(pl.col(f"side{NEW}").is_null()), votes.filter(pl.col("side").is_null())
    after = [f"{name}{NEW}" for name in KEY]
    came_to_old = _came(votes).join(old, left_on=after, right_on=KEY, how="semi")
    told = [
        _told("votes_removed", _left(votes).join(new, on=KEY, how="semi"), old, "fate"),
        _told("votes_added", came_to_old, new, "fate", NEW),
        _told("votes_restated", restated.with_columns(reason=named(names)), new, "reason", NEW),
        _told("withheld", left.filter("dropped"), old, "fate"),
        _told("freed", came.filter("dropped"), new, "fate", NEW),
    ]
    if fates.consents is not None:
        changed = votes.filter(pl.col("side").is_not_null() & pl.col(f"side{NEW}").is_not_null())
        told.append(_told("consent_changed", changed.join(fates.consents, on="comparison_id"), new, "reason", NEW))
    return told


def _told(kind: str, votes: pl.DataFrame, rows: pl.DataFrame, reason: str, build: str = "") -> pl.DataFrame:
    """Tell votes as changes, with the slices of their row in the build in which they stand."""
    keyed = votes.select(
        "comparison_id",
        *(pl.col(f"{name}{build}").alias(name) for name in KEY),
        reason=pl.col(reason),
        side_before=pl.col("side"),
        side_after=pl.col(f"side{NEW}"),
        sources=pl.col(f"source{build}"),
    )
    sliced = keyed.join(rows.select(*KEY, "root_id", *SLICED[1:]), on=KEY, how="left")
    ordered = ["kind", *KEY, "comparison_id", "reason", "side_before", "side_after", "root_id", *SLICED]
    return sliced.with_columns(kind=pl.lit(kind)).select(ordered)


def account_of(votes: pl.DataFrame) -> Mapping[str, int]:
    """Count the votes of a part by what became of them."""
    left, came = pl.col(f"side{NEW}").is_null(), pl.col("side").is_null()
    dropped, known = pl.col("dropped"), pl.col("fate") != UNKNOWN
    counted = votes.select(
        before=(~came).sum(),
        after=(~left).sum(),
        stand=(~came & ~left & ~pl.col("moved")).sum(),
        other_row=pl.col("moved").sum(),
        withheld=(left & dropped).sum(),
        not_ingested=(left & ~dropped & known).sum(),
        unknown_before=(left & ~known).sum(),
        freed=(came & dropped).sum(),
        new=(came & ~dropped & known).sum(),
        unknown_after=(came & ~known).sum(),
    )
    return {name: int(count) for name, count in counted.row(0, named=True).items()}
