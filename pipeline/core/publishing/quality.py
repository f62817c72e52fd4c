"""What the release gate looks at: aggregates of the build, and the limits that they must keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.params import STRICT
from pipeline.core.publishing.gate import Row, Rule
from pipeline.core.tables import scan_table
from schemas.vocabulary import SIDES


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the release gate, from params.yaml: publish.gate."""

    __pydantic_config__ = STRICT
    most_quarantined: float
    most_dropped: float
    most_withheld: float
    fewest_train_pairs: int


def aggregates(
    manifest: Mapping[str, Any], accounts: Mapping[str, Mapping[str, Any]], built: Path
) -> dict[str, list[Row]]:
    """Build the gate's tables; none holds more than names of ours, counts and shares."""
    return {
        "sources": _sources(accounts["ingest"]),
        "stages": [_stage(stage, account) for stage, account in accounts.items() if stage != "ingest"],
        "withheld": [
            {"reason": reason, "withheld_share": part} for reason, part in withheld(accounts["split"]).items()
        ],
        "sides": [_side(side, manifest, built) for side in SIDES],
        "train": [{"pairs": manifest["files"]["train/pairs.parquet"]["rows"]}],
        "roots": _roots(built),
    }


def _sources(account: Mapping[str, Any]) -> list[Row]:
    rows: list[Row] = []
    for source, outcomes in account["records_by_source"].items():
        read = sum(outcomes.values())
        quarantined = outcomes.get("quarantined", 0)
        kept = account["kept_by_source"].get(source, 0)
        rows.append(
            {"source": source, "records": read, "comparisons": kept, "quarantined_share": share(quarantined, read)}
        )
    return rows


def _stage(stage: str, account: Mapping[str, Any]) -> Row:
    return {
        "stage": stage,
        "in": account["in"],
        "kept": account["kept"],
        "dropped_share": share(account["dropped"], account["in"]),
    }


def _side(side: str, manifest: Mapping[str, Any], built: Path) -> Row:
    texts = ("prompt", "chosen", "rejected")
    pairs = scan_table(built / side / "pairs.parquet")
    faults = pairs.select(
        nulls=pl.sum_horizontal(pl.col(name).null_count() for name in texts),
        empty=pl.sum_horizontal((pl.col(name).str.strip_chars() == "").sum() for name in texts[1:]),
        equal=(pl.col("chosen") == pl.col("rejected")).sum(),
        minority=(pl.col("votes").struct.field("chosen") <= pl.col("votes").struct.field("rejected")).sum(),
    ).collect(engine="streaming")
    files = manifest["files"]
    counts = {table: files[f"{side}/{table}.parquet"]["rows"] for table in ("pairs", "ties", "votes")}
    return {"side": side, **counts, **faults.to_dicts()[0]}


def _roots(built: Path) -> list[Row]:
    """Count the roots that stand on each pair of sides; every such count must be zero."""
    roots = {side: _side_roots(built / side) for side in SIDES}
    pairs = [(one, other) for i, one in enumerate(SIDES) for other in SIDES[i + 1 :]]
    return [
        {"sides": f"{one} and {other}", "shared_roots": roots[one].join(roots[other], on="root_id", how="semi").height}
        for one, other in pairs
    ]


def _side_roots(folder: Path) -> pl.DataFrame:
    tables = [scan_table(folder / f"{table}.parquet").select("root_id") for table in ("pairs", "ties")]
    return pl.concat(tables).unique().collect(engine="streaming")


def withheld(split: Mapping[str, Any]) -> dict[str, float]:
    """Return the share of what split received that it withheld, by each of its reasons, the largest first."""
    return {reason: share(count, split["in"]) for reason, count in split["dropped_by"].items()}


def share(part: int, whole: int) -> float:
    """Return a share rounded to six decimals; nothing of nothing is 0."""
    return round(part / whole, 6) if whole else 0.0


def rules(limits: Limits) -> list[Rule]:
    """Return the gate's rules: what must always hold, and the limits of params.yaml."""
    never = {
        "nulls": "trainers crash on a null text",
        "empty": "trainers learn from empty answers without a word",
        "equal": "chosen equal to rejected trains nothing and says nothing",
        "minority": "a chosen response that lost the vote",
    }
    quarantined = "the share of a source's records that may be quarantined"
    kept_back = "the share of the comparisons that split may withhold for one reason"
    dropped = "the share of what a stage receives that it may drop"
    return [
        Rule("sources", "source", unique=True, why="each source is told once"),
        Rule("sources", "quarantined_share", minimum=0, maximum=limits.most_quarantined, why=quarantined),
        Rule("stages", "dropped_share", minimum=0, maximum=limits.most_dropped, why=dropped),
        Rule("withheld", "withheld_share", minimum=0, maximum=limits.most_withheld, why=kept_back),
        *(Rule("sides", column, minimum=0, maximum=0, why=why) for column, why in never.items()),
        Rule("train", "pairs", minimum=limits.fewest_train_pairs, why="the pairs that train must hold"),
        Rule("roots", "shared_roots", minimum=0, maximum=0, why="a prompt on two sides is a leak"),
    ]
