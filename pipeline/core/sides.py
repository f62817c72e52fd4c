"""Sides: train, validation or heldout, by the root that a conversation grew from; a side is a root's own for good.

Nothing moves a root but a pin, which a person wrote down with a reason.
"""

from dataclasses import dataclass

import polars as pl

from pipeline.core.digests import keyed_digest
from pipeline.core.errors import PairtrailError
from pipeline.core.params import STRICT, part_of_section
from pipeline.core.project import Project

# 52 bits of the keyed hash: every such number is exact as a float, on every machine.
_DIGITS, _RANGE = 13, 16**13
_EPOCHS = 10**9
_PINNED = "__pinned"


@dataclass(frozen=True, slots=True)
class Division:
    """How roots are divided among the sides; from the section `split` of params.yaml."""

    __pydantic_config__ = STRICT
    salt: str
    epoch: int
    heldout: float
    validation: float

    def __post_init__(self) -> None:
        """Refuse fractions that leave nothing to train on."""
        if not (0 < self.heldout < 1 and 0 < self.validation < 1 and self.heldout + self.validation < 1):
            msg = f"params.yaml: split: heldout {self.heldout}, validation {self.validation}: train needs a share too"
            raise PairtrailError(msg)
        if not 0 <= self.epoch < _EPOCHS:
            msg = f"params.yaml: split: epoch {self.epoch} is no number from 0 to {_EPOCHS - 1:,}"
            raise PairtrailError(msg)


def division(project: Project) -> Division:
    """Read how the project divides its roots, for those who need the sides before split says them."""
    return part_of_section(Division, "split", project.params)


def side(root: pl.Expr, by: Division) -> pl.Expr:
    """Return the side of a root: a keyed hash of the root alone, so that no other row can ever move it."""
    hashed = keyed_digest(by.salt, pl.lit("side"), pl.lit(str(by.epoch)), root)
    place = hashed.str.head(_DIGITS).str.to_integer(base=16, dtype=pl.Int64)
    heldout = round(by.heldout * _RANGE)
    validation = heldout + round(by.validation * _RANGE)
    return (
        pl.when(place < heldout)
        .then(pl.lit("heldout"))
        .when(place < validation)
        .then(pl.lit("validation"))
        .otherwise(pl.lit("train"))
    )


def sided(rows: pl.LazyFrame, root: str, by: Division, pinned: pl.LazyFrame, name: str = "side") -> pl.LazyFrame:
    """Add the side of the root that the column `root` names: the one it is pinned to, else its own.

    `pinned` holds `root_id` and `side`, each root once; rows come back in any order.
    """
    pins = pinned.select(pl.col("root_id").alias(root), pl.col("side").alias(_PINNED))
    joined = rows.join(pins, on=root, how="left")
    return joined.with_columns(pl.coalesce(_PINNED, side(pl.col(root), by)).alias(name)).drop(_PINNED)
