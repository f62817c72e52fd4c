"""What is held out: the published heldout side, and every comparison that split put there, the withheld ones too."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.core.canary import canary
from pipeline.core.epochs import recorded_epochs, stated_epoch
from pipeline.core.errors import PairtrailError
from pipeline.core.ingested import scan_comparisons
from pipeline.core.mapping.identify import prompt_ids, response_id
from pipeline.core.near.index import NearIndex
from pipeline.core.near.texts import matched_texts
from pipeline.core.neighbours import both_ways, scan_near
from pipeline.core.project import Project
from pipeline.core.released import released
from pipeline.core.sides import division
from pipeline.core.tables import batches_of, scan_table
from pipeline.core.withholding import seen

# Shorter responses are the same by chance, or because there is one short answer.
LEAST_CHARACTERS = 200
SPENT = "seen_in_training"
_PUBLISHED = {"pairs": ("chosen", "rejected"), "ties": ("response_a", "response_b")}
_RESPONSES = {"response_a": "one_id", "response_b": "other_id"}


@dataclass(frozen=True, slots=True)
class Heldout:
    """What rows are compared with.

    `prompts` and `roots`: texts with their keys. `pairs`: for each pair of responses to a prompt (`low`, `high`: their
    ids in order) the published choices (`chosen_ids`, empty for none). `answered`: those two
    ids that stand on no other side, with their pair. `responses`: long ones, with their pair.
    """

    prompts: pl.DataFrame
    roots: pl.DataFrame
    pairs: pl.DataFrame
    pair_ids: pl.DataFrame
    answered: pl.DataFrame
    responses: pl.DataFrame
    near_prompts: NearIndex
    near_roots: NearIndex
    canaries: list[str]
    spent: int
    """How many comparisons of the heldout side do not count, as train and validation held their prompts before."""


def heldout(project: Project, threshold: float) -> Heldout:
    """Read what is held out. Raises PairtrailError where a stage's output was not pulled or written."""
    decided = scan_table(_there(project, project.decisions("split"), "split"))
    _there(project, project.shards, "ingest")
    on_side = decided.filter(pl.col("side") == "heldout").select("comparison_id", "drop_reason").collect()
    counted = _counted(project, on_side)
    judged = _judged(project, counted)
    every = pl.concat([judged, *_published(project)], how="diagonal")
    texts = _texts(every)
    prompts = texts.select("match_key", "turns").filter(pl.col("turns").str.strip_chars() != "").sort("match_key")
    roots = texts.select("root_id", "root").unique("root_id").filter(pl.col("root") != "").sort("root_id")
    pairs = _pairs(every)
    elsewhere = scan_comparisons(project).join(
        decided.filter(pl.col("side") != "heldout").select("comparison_id"), on="comparison_id", how="semi"
    )
    return Heldout(
        prompts=prompts,
        roots=roots,
        pairs=pairs,
        pair_ids=every.select("pair_id").unique(),
        answered=_answered(pairs, elsewhere),
        responses=_responses(judged, elsewhere),
        near_prompts=NearIndex(prompts["turns"], threshold),
        near_roots=NearIndex(roots["root"], threshold),
        canaries=_canaries(project),
        spent=on_side.height - counted.height,
    )


def _there(project: Project, path: Path, stage: str) -> Path:
    if not path.exists():
        place = path.relative_to(project.root).as_posix()
        msg = f"{place} does not exist, so nobody knows what is held out; `dvc pull {place}` fetches it, "
        msg += f"`pairtrail {stage}` (or `dvc repro`) makes it"
        raise PairtrailError(msg)
    return path


def _counted(project: Project, on_side: pl.DataFrame) -> pl.DataFrame:
    """Return the comparisons that are held out still: those of no prompt that train or validation held, or one near it.

    The reason of split alone does not tell, as a row has one reason, and another one may come first.
    """
    _there(project, project.stage("near") / "near.parquet", "near")
    touched = seen(both_ways(scan_near(project)), released(project)).select("key").collect(engine="streaming")
    fresh = on_side.filter(pl.col("drop_reason").ne_missing(SPENT)).select("comparison_id")
    rows = scan_comparisons(project).join(fresh.lazy(), on="comparison_id", how="semi")
    for key in ("match_key", "root_id"):
        rows = rows.join(touched.lazy(), left_on=key, right_on="key", how="anti")
    return rows.select("comparison_id").unique().collect(engine="streaming")


def _judged(project: Project, counted: pl.DataFrame) -> pl.DataFrame:
    """Read the comparisons of the heldout side: each pair of responses to a prompt once."""
    found = scan_comparisons(project).join(counted.lazy(), on="comparison_id", how="semi").select(
        *("pair_id", "match_key", "root_id", "prompt"),
        *(pl.col(f"{side}_id").alias(name) for side, name in _RESPONSES.items()),
        pl.lit(None, pl.String).alias("chosen_id"),
        *((_length(side) >= LEAST_CHARACTERS).alias(f"long_{name}") for side, name in _RESPONSES.items()),
    )  # fmt: skip
    return found.collect(engine="streaming").unique("pair_id")


def _length(response: str) -> pl.Expr:
    return pl.col(response).str.strip_chars().str.len_chars()


def _published(project: Project) -> Iterator[pl.DataFrame]:
    """Read the published heldout side, with the response that was chosen where one was."""
    for table, (one, other) in _PUBLISHED.items():
        path = _there(project, project.stage("publish") / "heldout" / f"{table}.parquet", "publish")
        for rows in batches_of(path, ["pair_id", "prompt", one, other]):
            ids = rows.select("pair_id", "prompt", one_id=response_id(pl.col(one)), other_id=response_id(pl.col(other)))
            keys = prompt_ids(rows["prompt"]).select("match_key", "root_id")
            yield ids.with_columns(*keys, chosen_id="one_id" if table == "pairs" else pl.lit(None, pl.String))


def _texts(rows: pl.DataFrame) -> pl.DataFrame:
    """Give each prompt, beside its keys, the texts that it is matched by."""
    prompts = rows.unique("match_key")
    return pl.concat([prompts.select("match_key", "root_id"), matched_texts(prompts["prompt"])], how="horizontal")


def _pairs(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each pair of responses to a prompt; prompts that differ in their system messages alone are one."""
    low, high = pl.min_horizontal("one_id", "other_id"), pl.max_horizontal("one_id", "other_id")
    folded = rows.with_columns(low=low, high=high).group_by("match_key", "low", "high")
    return folded.agg(pl.col("pair_id").min(), chosen_ids=pl.col("chosen_id").drop_nulls().unique())


def _answered(pairs: pl.DataFrame, elsewhere: pl.LazyFrame) -> pl.DataFrame:
    """Return the pairs of responses that stand on the heldout side alone: two stock answers tell nothing."""
    one, other = (pl.col(f"{side}_id") for side in _RESPONSES)
    both = elsewhere.select(low=pl.min_horizontal(one, other), high=pl.max_horizontal(one, other))
    known = both.join(pairs.lazy(), on=["low", "high"], how="semi").unique().collect(engine="streaming")
    return pairs.join(known, on=["low", "high"], how="anti").group_by("low", "high").agg(pl.col("pair_id").min())


def _responses(judged: pl.DataFrame, elsewhere: pl.LazyFrame) -> pl.DataFrame:
    """Return the long responses that stand on the heldout side alone, each with one of its pairs.

    A stock answer (a refusal, say) that train or validation holds too tells nothing.
    """
    names = _RESPONSES.values()
    held = pl.concat(judged.filter(f"long_{name}").select("pair_id", response_id=name) for name in names)
    others = pl.concat(elsewhere.select(response_id=pl.col(f"{side}_id")) for side in _RESPONSES)
    known = others.join(held.lazy(), on="response_id", how="semi").unique().collect(engine="streaming")
    return held.join(known, on="response_id", how="anti").group_by("response_id").agg(pl.col("pair_id").min())


def _canaries(project: Project) -> list[str]:
    """Return the canaries of all recorded epochs, and of the one that params.yaml states."""
    every = [*recorded_epochs(project).values(), stated_epoch(division(project), "-")]
    return sorted({canary(one.salt_sha256, one.epoch, one.normalisation) for one in every})
