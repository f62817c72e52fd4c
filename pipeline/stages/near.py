"""Near: which ingested prompts are near each other; the one step that must see all of them at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipeline.core.closure import code_digest
from pipeline.core.near.across import KINDS, across
from pipeline.core.near.components import components
from pipeline.core.near.cutting import cut
from pipeline.core.near.minhash import Bands, Keys
from pipeline.core.near.neighbours import near_pairs, ordered
from pipeline.core.near.prompts import Prompts
from pipeline.core.near.shingles import Sets
from pipeline.core.neighbours import standing
from pipeline.core.params import STRICT, section
from pipeline.core.pins import pinned_roots
from pipeline.core.project import Project
from pipeline.core.receiving import await_stage
from pipeline.core.released import scan_released
from pipeline.core.sides import division, sided
from pipeline.core.spill import spilling
from pipeline.core.tables import whole_folder, write_json, write_table
from schemas.near import NEAR

REASONS: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Params(Bands):
    """The section `near` of params.yaml."""

    __pydantic_config__ = STRICT


def run(project: Project) -> str:
    """Find the near neighbours of all ingested prompts and roots; return the summary line.

    Which of them dedupe kept decides nothing but whose neighbours must be listed where there are too many for all.
    """
    params = section(Params, "near", project.params)
    await_stage(project, "dedupe")
    with spilling(project.spill / "near") as folder, whole_folder(project.stage("near")) as built:
        prompts = Prompts(project)
        sets, buckets = cut(prompts.texts(), params, folder / "shingles.bin")
        # By the order of keys, so that nothing hangs on that of files and rows.
        order = prompts.keys.select(pl.arg_sort_by("match_key", "root_id")).to_series()
        sets = sets.renumbered(order.arg_sort().to_numpy().astype(np.int64))
        keys = _with_sides(prompts.keys[order], project)
        pairs = _named(_near(sets, buckets, keys, params), keys)
        account = _account(keys, pairs) | {"code_digest": code_digest([__name__])}
        write_table(pairs, built / "near.parquet", NEAR, ["kind", "a", "b"])
        write_json(account, built / "counts.json")
    counts = ", ".join(f"{count:,} near pairs of {kind}s" for kind, count in account["pairs"].items())
    return f"near: {account['prompts']:,} prompts of {account['roots']:,} roots: {counts}"


def _with_sides(keys: pl.DataFrame, project: Project) -> pl.DataFrame:
    """Add what decides which neighbours matter: sides, which keys stand, and which were released (see `across`)."""
    placed = sided(keys.with_row_index("row").lazy(), "root_id", division(project), pinned_roots(project))
    named = pl.concat([keys.select(key=kind) for kind in KINDS]).drop_nulls().unique()
    known, stand = scan_released(project), standing(project, named)["key"]
    facts = {}
    for kind in KINDS:
        released = known.select(key=kind).unique().collect(engine="streaming")["key"]
        facts[f"released_{kind}"] = pl.col(kind).is_in(released.implode()).fill_null(value=False)
        facts[f"stands_{kind}"] = pl.col(kind).is_in(stand.implode()).fill_null(value=False)
    return placed.with_columns(**facts).sort("row").drop("row").collect()


def _near(sets: Sets, buckets: Keys, keys: pl.DataFrame, params: Params) -> pl.DataFrame:
    told = keys.select(pl.col("match_key").is_not_null() | pl.col("is_root")).to_series().to_numpy()
    among = np.flatnonzero(told[sets.texts])
    found = [near_pairs(sets, buckets, among, params), across(sets, keys, params.threshold)]
    return ordered(pl.concat(found)).group_by("left", "right").agg(pl.col("similarity").max())


def _named(pairs: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """Name the texts of pairs by the keys that they stand for; two of one root are one conversation, and left out."""
    columns = keys.select("match_key", "root_id", "is_root")
    one, other = columns[pairs["left"]], columns[pairs["right"]]
    both = pl.concat(
        [one.select(pl.all().name.suffix("_a")), other.select(pl.all().name.suffix("_b")), pairs], how="horizontal"
    )
    apart = both.filter(pl.col("root_id_a") != pl.col("root_id_b"))
    prompts = apart.filter(pl.col("match_key_a").is_not_null() & pl.col("match_key_b").is_not_null())
    roots = apart.filter(pl.col("is_root_a") & pl.col("is_root_b"))
    return pl.concat([_rows(prompts, "prompt", "match_key"), _rows(roots, "root", "root_id")])


def _rows(pairs: pl.DataFrame, kind: str, key: str) -> pl.DataFrame:
    swap = pl.col(f"{key}_a") > pl.col(f"{key}_b")
    named = {
        name: pl.when(swap).then(f"{column}_{other}").otherwise(f"{column}_{one}")
        for name, column, one, other in (
            ("a", key, "a", "b"),
            ("b", key, "b", "a"),
            ("root_a", "root_id", "a", "b"),
            ("root_b", "root_id", "b", "a"),
        )
    }
    return pairs.select(pl.lit(kind).alias("kind"), "similarity", **named).unique(["kind", "a", "b"])


def _account(keys: pl.DataFrame, pairs: pl.DataFrame) -> dict[str, Any]:
    return {
        "prompts": keys["match_key"].count(),
        "roots": keys["root_id"].n_unique(),
        "pairs": {kind: pairs.filter(kind=kind).height for kind in ("prompt", "root")},
        "components": components(pairs.filter(kind="prompt")),
    }
