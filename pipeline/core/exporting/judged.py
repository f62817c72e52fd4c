"""Under which rubric and policy rows were judged: an export may be limited to one of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.core.errors import PairtrailError
from pipeline.core.tables import scan_table

OTHERS = ("other_rubric", "other_policy")
"""Why a row is left out of an export that is limited to one rubric or policy."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The one rubric and the one policy whose rows are wanted; None: all."""

    rubric: str | None = None
    policy: str | None = None

    def others(self) -> dict[str, pl.Expr]:
        """Return the rows that are not wanted, by reason."""
        versions = {"rubric": self.rubric, "policy": self.policy}
        return {
            f"other_{what}": pl.col(f"{what}_version").ne_missing(version)
            for what, version in versions.items()
            if version is not None
        }

    def wanted(self) -> pl.Expr:
        """Say which rows are wanted."""
        return ~pl.any_horizontal(pl.lit(value=False), *self.others().values())

    def check(self, tables: Mapping[str, Path]) -> None:
        """Raise PairtrailError for a version that no row of the tables has."""
        for what, version in {"rubric": self.rubric, "policy": self.policy}.items():
            rows = pl.concat(scan_table(path).select(f"{what}_version") for path in tables.values())
            known = rows.unique().sort(pl.all()).collect().to_series().to_list()
            if version is not None and version not in known:
                msg = f"no row was judged under {what} `{version}` (known: {', '.join(known) or 'none'})"
                raise PairtrailError(msg)


def first_that_holds(reasons: Mapping[str, pl.Expr]) -> pl.Expr:
    """Return the first reason that holds for a row, else null."""
    return pl.coalesce(*(pl.when(holds).then(pl.lit(reason)) for reason, holds in reasons.items()), pl.lit(None))
