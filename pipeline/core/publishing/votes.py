"""Votes: the verdicts behind published rows, with annotators as numbers of this build and times as dates."""

from hashlib import sha256

import polars as pl

from pipeline.core.digests import ID_LENGTH, digest, framed
from pipeline.core.project import Project
from pipeline.core.publishing.folding import KEY
from pipeline.core.receiving import batches
from pipeline.core.tables import scan_table
from schemas.columns import dtypes
from schemas.published import VOTES

_NUMBER = "annotator_number"


def votes_of_rows(verdicts: pl.DataFrame, folded: pl.DataFrame) -> pl.DataFrame:
    """Name the table of each verdict's row, and turn times into dates; annotators get their numbers later."""
    votes = verdicts.join(folded.select(*KEY, "table"), on=KEY, how="left")
    columns = [name for name in dtypes(VOTES) if name != _NUMBER]
    return votes.with_columns(created_on=pl.col("created_at").dt.date()).select(*columns, "annotator", "side")


def numbered(annotators: pl.DataFrame, project: Project) -> pl.DataFrame:
    """Give annotators numbers that hold in this build only: in the order of digests over all its comparison ids."""
    ordered = annotators.sort(digest(pl.lit(_build(project)), pl.col("annotator")))
    return ordered.with_row_index(_NUMBER, offset=1).with_columns(pl.col(_NUMBER).cast(pl.Int64))


def _build(project: Project) -> str:
    """Digest the ids of all comparisons that split kept, in order, as `digest_text` would."""
    whole = sha256()
    kept = scan_table(project.needs(project.decisions("split"), "split")).filter(pl.col("drop_reason").is_null())
    for ids in batches(kept.select(framed(pl.col("comparison_id")).alias("framed"))):
        whole.update(ids["framed"].str.join("").item().encode())
    return whole.hexdigest()[:ID_LENGTH]


def as_votes(votes: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
    """Turn a part's votes into the published columns, sorted, with their side."""
    rows = votes.join(numbers, on="annotator", how="left")
    return rows.sort(*KEY, "comparison_id").select(*dtypes(VOTES), "side")
