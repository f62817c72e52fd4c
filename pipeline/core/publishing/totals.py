"""Totals: what a build says about all its rows, gathered while it folds them a part at a time."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.accounts import must_add_up
from pipeline.core.publishing.coverage import STATED_BY
from pipeline.core.publishing.slices import Slices
from pipeline.core.publishing.statement import Statement
from pipeline.core.spill import Spill
from schemas.vocabulary import SIDES

_TABLES = ("pairs", "ties")


class Totals:
    """Counts of verdicts and rows, of what verdicts state, versions judged under, roots, slices; the data statement."""

    def __init__(self, folder: Path, parts: int) -> None:
        """Begin with nothing; sizes of roots, and those of slices, are put aside in `folder`."""
        self.verdicts = self.passed_over = 0
        self.behind: Counter[str] = Counter()
        self.rows: Counter[tuple[str, str]] = Counter()
        self.stated: Counter[tuple[str, int]] = Counter()
        self.versions: dict[str, set[str]] = {"policy_version": set(), "rubric_version": set()}
        self.statement = Statement()
        self._roots = Spill(folder / "roots", "root_id", parts)
        self.slices = Slices(folder / "slices", parts)

    def add(self, verdicts: pl.DataFrame, folded: pl.DataFrame) -> None:
        """Count the verdicts of a part (`folded` says which of them are), and the rows that they became."""
        self.verdicts += verdicts.height
        self.passed_over += verdicts.height - int(verdicts["folded"].sum())
        for side, table, rows, behind in folded.group_by("side", "table").agg(_ROWS, _BEHIND).iter_rows():
            self.rows[side, table] += rows
            self.behind[table] += behind
        for source, stated, rows in verdicts.group_by("source", STATED_BY).len().iter_rows():
            self.stated[source, stated] += rows
        for name, seen in self.versions.items():
            seen.update(folded[name].unique())
        self.statement.add(verdicts, folded)
        self._roots.add(folded.group_by("root_id", "side").len("rows"))
        self.slices.add(folded)

    def height(self) -> int:
        """Return how many rows there are."""
        return self.rows.total()

    def roots(self) -> Iterator[pl.DataFrame]:
        """Yield the number of rows of each root and side, root by root, once."""
        for part in self._roots.parts():
            yield part.group_by("root_id", "side").agg(pl.col("rows").sum())

    def account(self) -> dict[str, Any]:
        """Account for publish: each verdict stands behind a pair or a tie, or was passed over."""
        folded_into = {name: self.behind[name] for name in _TABLES}
        must_add_up("comparisons", self.verdicts, {**folded_into, "human_judged": self.passed_over})
        must_add_up("stated provenance", self.verdicts, {"verdicts": self.stated.total()})
        return {
            "in": self.verdicts,
            "kept": self.verdicts - self.passed_over,
            "dropped": self.passed_over,
            "dropped_by": {"human_judged": self.passed_over} if self.passed_over else {},
            "folded_into": folded_into,
            "rows": {side: {name: self.rows[side, name] for name in _TABLES} for side in SIDES},
        }


_ROWS = pl.len().alias("rows")
_BEHIND = pl.col("comparison_ids").list.len().sum().alias("behind")
