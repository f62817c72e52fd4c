"""Split: each comparison stands on the side of its root, and is withheld where it may not be used there.

A side is never changed to make room: a row that would leak is withheld, and stays on its side.
"""

from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.core.errors import PairtrailError
from pipeline.core.params import STRICT
from pipeline.core.pins import matching
from pipeline.core.references import References
from pipeline.core.running import Contract, first_drop_reason
from pipeline.core.sides import Division, side, sided
from pipeline.core.withholding import facts_of, with_facts
from schemas.decisions import SPLIT
from schemas.vocabulary import PURPOSES, SIDES

REASONS = {
    "purpose_not_covered": "the row's purposes do not cover its side (training, or evaluation for heldout)",
    "pinned_elsewhere": "its root is pinned to another side than its own, and no pin to that side names the row",
    "contaminated": "on train or validation: its prompt holds a text of a benchmark",
    "seen_in_training": "on heldout: its prompt or root, or a near neighbour, was released in train or validation",
    "near_heldout": "on train or validation: its prompt or root is near one that is held out",
    "near_validation": "on train: its prompt or root is near one of validation",
}

CONTRACT = Contract(
    name="split",
    after="dedupe",
    columns=("comparison_id", "root_id", "match_key", "source", "category"),
    references=("purposes", "epochs", "near", "releases", "released", "pins", "pinned_roots", "contaminated"),
    schema=SPLIT,
    parted_by=("root_id",),
)
# By reason: what it is the least neighbour of.
_NEAR = {"seen_in_training": "seen", "near_heldout": "near_heldout", "near_validation": "near_validation"}


@dataclass(frozen=True, slots=True)
class Params(Division):
    """The section `split` of params.yaml."""

    __pydantic_config__ = STRICT
    train_purpose: str
    heldout_purpose: str

    def __post_init__(self) -> None:
        """Refuse purposes that nobody knows."""
        # `super()` does not work in a dataclass with slots: it is another class than the one that is written here.
        Division.__post_init__(self)
        for name in ("train_purpose", "heldout_purpose"):
            if getattr(self, name) not in PURPOSES:
                msg = f"params.yaml: split: {name} is not a known purpose (known: {', '.join(PURPOSES)})"
                raise PairtrailError(msg)


def prepared(references: References, params: Params) -> References:
    """Gather, as `facts`, what near neighbours, releases and benchmarks say of each key."""
    near, released, contaminated = (references[name] for name in ("near", "released", "contaminated"))
    return {"facts": facts_of(near, released, contaminated, params, references["pinned_roots"])}


def decide(comparisons: pl.LazyFrame, references: References, params: Params) -> pl.LazyFrame:
    """Give each comparison the side of its root, and withhold it where it may not be used there."""
    rows = sided(comparisons, "root_id", params, references["pinned_roots"])
    allowed = rows.join(references["purposes"], on="comparison_id", how="left")
    told = with_facts(matching(allowed, references["pins"]), references["facts"])
    reasoned = told.select(first_drop_reason(_rules(params)), "comparison_id", "side", *_NEAR.values())
    least = [pl.when(pl.col("drop_reason") == reason).then(fact) for reason, fact in _NEAR.items()]
    return reasoned.select("comparison_id", "drop_reason", "side", near=pl.coalesce(least))


def _rules(params: Params) -> dict[str, pl.Expr]:
    stands, own = pl.col("side"), side(pl.col("root_id"), params)
    heldout = stands == "heldout"
    needed = pl.when(heldout).then(pl.lit(params.heldout_purpose)).otherwise(pl.lit(params.train_purpose))
    return {
        "purpose_not_covered": ~pl.col("purposes").list.contains(needed).fill_null(value=False),
        "pinned_elsewhere": (stands != own) & ~pl.col("pin_matches"),
        "contaminated": ~heldout & pl.col("contaminated"),
        "seen_in_training": heldout & pl.col("seen").is_not_null(),
        "near_heldout": ~heldout & pl.col("near_heldout").is_not_null(),
        "near_validation": (stands == "train") & pl.col("near_validation").is_not_null(),
    }


def noted(references: References, params: Params) -> dict[str, Any]:
    """Say under which epoch the build stands, how many prompts releases gave away, and what the pins moved.

    Pins are told by their place in the ledger, and roots are only counted: accounts stand in the manifest.
    """
    pins, roots = references["pins"].collect(), references["pinned_roots"].collect()
    moved = roots.filter(pl.col("side") != side(pl.col("root_id"), params))
    prompts = references["releases"].collect()["prompts"]
    return {
        "epoch": references["epochs"].collect().to_dicts()[0],
        "released": {"releases": prompts.len(), "prompts": int(prompts.sum())},
        "pins": {
            "pins": pins.height,
            "matching_nothing": sorted(pins.filter(~pl.col("matched"))["place"]),
            "roots": _by_side(roots),
            "roots_moved": _by_side(moved),
        },
    }


def _by_side(roots: pl.DataFrame) -> dict[str, int]:
    return {name: int((roots["side"] == name).sum()) for name in SIDES}
