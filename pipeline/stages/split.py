"""Split: train, validation or heldout, by the root that a conversation grew from; a side is a prompt's own for good."""

from dataclasses import dataclass

import polars as pl

from pipeline.core.digests import keyed_digest
from pipeline.core.errors import PairtrailError
from pipeline.core.params import STRICT
from pipeline.core.references import References
from pipeline.core.running import Contract, first_drop_reason
from schemas.decisions import SPLIT
from schemas.vocabulary import PURPOSES

REASONS = {"purpose_not_covered": "the row's purposes do not cover its side (training, or evaluation for heldout)"}

CONTRACT = Contract(
    name="split",
    after="dedupe",
    columns=("comparison_id", "root_id"),
    references=("purposes",),
    schema=SPLIT,
    parted_by=("root_id",),
)

# 52 bits of the keyed hash: every such number is exact as a float, on every machine.
_DIGITS, _RANGE = 13, 16**13


@dataclass(frozen=True, slots=True)
class Params:
    """The section `split` of params.yaml."""

    __pydantic_config__ = STRICT
    salt: str
    epoch: int
    heldout: float
    validation: float
    train_purpose: str
    heldout_purpose: str

    def __post_init__(self) -> None:
        """Refuse fractions that leave nothing to train on."""
        if not (0 < self.heldout < 1 and 0 < self.validation < 1 and self.heldout + self.validation < 1):
            msg = f"params.yaml: split: heldout {self.heldout}, validation {self.validation}: train needs a share too"
            raise PairtrailError(msg)
        for name in ("train_purpose", "heldout_purpose"):
            if getattr(self, name) not in PURPOSES:
                msg = f"params.yaml: split: {name} is not a known purpose (known: {', '.join(PURPOSES)})"
                raise PairtrailError(msg)


def decide(comparisons: pl.LazyFrame, references: References, params: Params) -> pl.LazyFrame:
    """Give each comparison the side of its root, and withhold it where its purposes do not cover that side."""
    sided = comparisons.with_columns(side=side(pl.col("root_id"), params)).join(
        references["purposes"], on="comparison_id", how="left"
    )
    needed = (
        pl.when(pl.col("side") == "heldout")
        .then(pl.lit(params.heldout_purpose))
        .otherwise(pl.lit(params.train_purpose))
    )
    covered = pl.col("purposes").list.contains(needed).fill_null(value=False)
    return sided.select("comparison_id", first_drop_reason({"purpose_not_covered": ~covered}), "side")


def side(root: pl.Expr, params: Params) -> pl.Expr:
    """Return the side of a root: a keyed hash of the root alone, so that no other row can ever move it."""
    hashed = keyed_digest(params.salt, pl.lit("side"), pl.lit(str(params.epoch)), root)
    place = hashed.str.head(_DIGITS).str.to_integer(base=16, dtype=pl.Int64)
    heldout = round(params.heldout * _RANGE)
    validation = heldout + round(params.validation * _RANGE)
    return (
        pl.when(place < heldout)
        .then(pl.lit("heldout"))
        .when(place < validation)
        .then(pl.lit("validation"))
        .otherwise(pl.lit("train"))
    )
