"""Pins: a source, a category or a root that a person put on a side, with a reason.

The strictest pin of a root wins, whichever of its rows matches it: a root stands on one side.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import polars as pl
from pydantic import BeforeValidator, StringConstraints

from pipeline.core.errors import PairtrailError
from pipeline.core.ingested import scan_comparisons
from pipeline.core.ledgers import ledger_files, read_entries
from pipeline.core.params import STRICT, Known, Stated
from pipeline.core.project import Project

STRICTEST_LAST = ("train", "validation", "heldout")
COLUMNS = {"source": "source", "category": "category", "root": "root_id"}
"""By selector: the column whose value a pin names."""
_PINS = {"place": pl.String, "selector": pl.String, "value": pl.String, "side": pl.String}
_ROOT = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of the ledger of pins: exactly one of source, category and root."""

    __pydantic_config__ = STRICT
    side: Literal["train", "validation", "heldout"]
    reason: Stated
    by: Stated
    source: Known = None
    category: Known = None
    root: Annotated[_ROOT | None, BeforeValidator(lambda stated: stated)] = None

    def __post_init__(self) -> None:
        """Refuse a pin that names nothing, or two things: nobody could say whether both must hold."""
        if len(self.selected()) != 1:
            msg = f"a pin names exactly one of {', '.join(COLUMNS)}"
            raise ValueError(msg)

    def selected(self) -> dict[str, str]:
        """Return what the pin names."""
        return {name: value for name in COLUMNS if (value := getattr(self, name)) is not None}


def read_pins(project: Project) -> pl.DataFrame:
    """Read all pins: the place of each in the ledger, what it names, its side."""
    rows = [
        (f"{path.name}: pin {number}", selector, value, pin.side)
        for path in ledger_files(project.pins)
        for number, pin in enumerate(read_entries(path, Pin, f"data/ledger/pins/{path.name}"), 1)
        for selector, value in pin.selected().items()
    ]
    return pl.DataFrame(rows, schema=_PINS, orient="row")


def pins(project: Project) -> pl.LazyFrame:
    """Read all pins, each with whether any ingested comparison matches it; a source that gave none is refused."""
    read, comparisons = read_pins(project), scan_comparisons(project)
    met = {
        selector: _met(comparisons, COLUMNS[selector], named["value"])
        for (selector,), named in read.partition_by("selector", as_dict=True).items()
    }
    matched = [value in met[selector] for selector, value in read.select("selector", "value").iter_rows()]
    told = read.with_columns(pl.Series("matched", matched, dtype=pl.Boolean))
    unknown = told.filter(~pl.col("matched") & (pl.col("selector") == "source"))
    if unknown.height:
        known = comparisons.select(pl.col("source").unique().sort()).collect(engine="streaming")["source"]
        named = ", ".join(f"{place}: `{value}`" for place, value in unknown.select("place", "value").iter_rows())
        msg = f"data/ledger/pins: {named}: no ingested comparison is of this source (known: {', '.join(known)})"
        raise PairtrailError(msg)
    return told.lazy()


def _met(comparisons: pl.LazyFrame, column: str, values: pl.Series) -> set[str]:
    wanted = values.unique().to_frame(column).lazy()
    return set(
        comparisons.select(column).join(wanted, on=column, how="semi").unique().collect(engine="streaming")[column]
    )


def pinned_roots(project: Project) -> pl.LazyFrame:
    """Read which roots are pinned to which side: the strictest of the pins that match any ingested row of the root."""
    return pinned(scan_comparisons(project), read_pins(project).lazy()).collect(engine="streaming").lazy()


def pinned(comparisons: pl.LazyFrame, pins: pl.LazyFrame) -> pl.LazyFrame:
    """Give the side of each root that a pin matches: `root_id` and `side`, each root once."""
    ranked = pins.with_columns(rank=_rank()).group_by("selector", "value").agg(pl.col("rank").max()).collect()
    of = {selector: dict(rows.select("value", "rank").iter_rows()) for selector, rows in _by_selector(ranked)}
    if not of:
        return comparisons.select("root_id", side=pl.lit(None, pl.String)).head(0)
    ranks = [
        pl.col(COLUMNS[selector]).replace_strict(known, default=None, return_dtype=pl.Int8)
        for selector, known in of.items()
    ]
    strictest = comparisons.select("root_id", rank=pl.max_horizontal(ranks)).drop_nulls("rank")
    sides = dict(enumerate(STRICTEST_LAST))
    return (
        strictest.group_by("root_id")
        .agg(pl.col("rank").max())
        .select("root_id", side=pl.col("rank").replace_strict(sides, return_dtype=pl.String))
    )


def _rank() -> pl.Expr:
    ranks = {side: rank for rank, side in enumerate(STRICTEST_LAST)}
    return pl.col("side").replace_strict(ranks, return_dtype=pl.Int8)


def _by_selector(ranked: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    return [(str(name), rows) for (name,), rows in sorted(ranked.partition_by("selector", as_dict=True).items())]


def matching(rows: pl.LazyFrame, pins: pl.LazyFrame) -> pl.LazyFrame:
    """Add `pin_matches`: whether a pin to the side on which the row stands names its source, category or root."""
    for selector, column in COLUMNS.items():
        named = pins.filter(pl.col("selector") == selector)
        keys = named.select(pl.col("value").alias(column), "side", pl.lit(value=True).alias(f"by_{selector}")).unique()
        rows = rows.join(keys, on=[column, "side"], how="left")
    flags = [f"by_{selector}" for selector in COLUMNS]
    return rows.with_columns(pin_matches=pl.any_horizontal(flags).fill_null(value=False)).drop(flags)
