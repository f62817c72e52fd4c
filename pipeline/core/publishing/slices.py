"""Slices: by source, category and language, how many held-out roots and pairs there are, and what they can show."""

from collections.abc import Mapping
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import polars as pl

from pipeline.core.publishing.quality import share
from pipeline.core.spill import Spill

KINDS = ("source", "category", "language")
FEW_VOTES = 3
"""With fewer votes than this on a pair, one vote decides it."""

_SLICE = ["kind", "value"]
_WHOLE = "all"
_DISCORDANT = 0.25
_SIGNIFICANCE, _POWER = 0.05, 0.8


def smallest_change(roots: int) -> float | None:
    """Return the smallest change of an accuracy that so many roots show: power 80 %, tested at 5 %, two-sided.

    (z(.975) + z(.80)) * sqrt(psi / n), n being the number of roots and psi = .25: Connor, Sample size for testing
    differences in proportions for the paired-sample design (Biometrics 43, 1987, 207-211), without its term of second
    order. psi is the share of roots on which the two that are compared differ; .25 is also the largest variance that
    one accuracy can have, at .5. Roots and not pairs are counted: pairs of one conversation are no independent trials.
    Null where not even a change from 0 to 1 would show. Of few roots it is a rough figure.
    """
    if not roots:
        return None
    normal = NormalDist()
    change = (normal.inv_cdf(1 - _SIGNIFICANCE / 2) + normal.inv_cdf(_POWER)) * sqrt(_DISCORDANT / roots)
    return round(change, 6) if change <= 1 else None


class Slices:
    """Counts of the held-out pairs of each slice, gathered from folded rows a part at a time."""

    def __init__(self, folder: Path, parts: int) -> None:
        """Begin with nothing; (root, slice) wait in `folder`, as a root may stand in any part."""
        self._counts = _NOTHING
        self._roots = Spill(folder, "root_id", parts)

    def add(self, folded: pl.DataFrame) -> None:
        """Count the rows of a part: every slice of all sides is told, so that one without held-out pairs is seen."""
        rows = folded.select(
            "root_id",
            "n",
            heldout=(pl.col("side") == "heldout") & (pl.col("table") == "pairs"),
            source="sources",
            **{name: pl.concat_list(name) for name in KINDS[1:]},
            **{_WHOLE: pl.lit([_WHOLE])},
        )
        told = rows.unpivot(
            [*KINDS, _WHOLE], index=["root_id", "n", "heldout"], variable_name="kind", value_name="value"
        ).explode("value")
        held = pl.col("heldout")
        counts = told.group_by(_SLICE).agg(
            pairs=held.sum().cast(pl.Int64),
            votes=pl.col("n").filter("heldout").sum(),
            few=(held & (pl.col("n") < FEW_VOTES)).sum().cast(pl.Int64),
        )
        self._counts = pl.concat([self._counts, counts]).group_by(_SLICE).agg(pl.all().sum())
        self._roots.add(told.filter("heldout").select("root_id", *_SLICE).unique())

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says of heldout as a whole and of each slice, values in their order; once."""
        counts = self._counts.join(self._rooted(), on=_SLICE, how="left")
        rows = counts.with_columns(pl.col("roots").fill_null(0)).sort(_SLICE).to_dicts()
        named = {kind: {row["value"]: row for row in rows if row["kind"] == kind} for kind in (*KINDS, _WHOLE)}
        whole = named.pop(_WHOLE).get(_WHOLE, _EMPTY)
        return {"heldout": _fact(whole), "slices": {kind: _of_kind(found) for kind, found in named.items()}}

    def _rooted(self) -> pl.DataFrame:
        """Count the different roots of each slice, root by root."""
        found = [part.unique().group_by(_SLICE).len("roots") for part in self._roots.parts()]
        return pl.concat([_NO_ROOTS, *found]).group_by(_SLICE).agg(pl.col("roots").cast(pl.Int64).sum())


def _of_kind(rows: Mapping[str | None, Mapping[str, Any]]) -> dict[str, Any]:
    values = {value: _fact(row) for value, row in rows.items() if value is not None}
    return {"unnamed": rows.get(None, _EMPTY)["pairs"], "values": values}


def _fact(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "heldout_roots": row["roots"],
        "heldout_pairs": row["pairs"],
        "votes_per_pair": share(row["votes"], row["pairs"]) if row["pairs"] else None,
        "fewer_than_three_votes": row["few"],
        "smallest_change": smallest_change(row["roots"]),
    }


_EMPTY: dict[str, Any] = {"roots": 0, "pairs": 0, "votes": 0, "few": 0}
_NAMES: dict[str, Any] = dict.fromkeys(_SLICE, pl.String)
_NOTHING = pl.DataFrame(schema={**_NAMES, **dict.fromkeys(["pairs", "votes", "few"], pl.Int64)})
_NO_ROOTS = pl.DataFrame(schema={**_NAMES, "roots": pl.UInt32})
