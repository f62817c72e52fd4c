"""Published rows: folded rows joined with the texts that they are about, in bounded batches."""

import polars as pl

from pipeline.core.project import Project
from pipeline.core.receiving import rows_at
from pipeline.core.spill import Spill
from schemas.columns import dtypes
from schemas.published import PAIRS, TIES

_TEXTS = ["comparison_id", "pair_id", "prompt", "response_a", "response_b", "response_a_id"]


def put_texts_aside(project: Project, places: pl.Series, texts: Spill) -> None:
    """Put aside the texts of the rows at `places` (among all shards' rows, sorted)."""
    for rows in rows_at(project, places, _TEXTS):
        texts.add(rows)


def with_texts(folded: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Give folded rows the texts of their least comparison; a and b in the order of the response ids."""
    rows = folded.rename({"response_a_id": "lesser_id"}).join(
        texts.drop("pair_id"), left_on="text_id", right_on="comparison_id", how="inner"
    )
    swap = pl.col("response_a_id") != pl.col("lesser_id")
    return rows.with_columns(
        response_a=pl.when(swap).then("response_b").otherwise("response_a"),
        response_b=pl.when(swap).then("response_a").otherwise("response_b"),
    )


def as_pairs(rows: pl.DataFrame) -> pl.DataFrame:
    """Turn rows whose votes chose a side into the published pairs' columns."""
    a = pl.col("chosen") == "a"

    def either(when_a: str, when_b: str) -> pl.Expr:
        return pl.when(a).then(when_a).otherwise(when_b)

    votes = pl.struct(
        either("n_a", "n_b").alias("chosen"), either("n_b", "n_a").alias("rejected"), tie="n_tie", both_bad="n_bad"
    )
    sided = {
        f"{name}_{role}": either(f"{name}_{x}", f"{name}_{y}")
        for name in ("model", "behaviour")
        for role, x, y in (("chosen", "a", "b"), ("rejected", "b", "a"))
    }
    strength = pl.col("strength")
    return rows.with_columns(
        votes=votes,
        chosen=either("response_a", "response_b"),
        rejected=either("response_b", "response_a"),
        strength=pl.when(a).then(strength).otherwise(0.0 - strength),
        p_chosen=pl.when(a).then("p_a").otherwise(1 - pl.col("p_a")).round(9),
        adjudication_id=pl.lit(None, pl.String),
        **sided,
    ).select(*dtypes(PAIRS))


def as_ties(rows: pl.DataFrame) -> pl.DataFrame:
    """Turn rows whose votes chose no side into the published ties' columns."""
    votes = pl.struct(a="n_a", b="n_b", tie="n_tie", both_bad="n_bad")
    return rows.with_columns(votes=votes, adjudication_id=pl.lit(None, pl.String)).select(*dtypes(TIES))
