"""What later stages read of ingest: each comparison once, and where it was found."""

import json
from typing import Any

import polars as pl

from pipeline.core.digests import digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.core.tables import scan_table
from schemas.columns import dtypes
from schemas.comparisons import COMPARISONS


def shard_name(source_file: str) -> str:
    """Name the shard of a raw file: its source, and a digest of its place (any two names stay apart)."""
    return f"{source_file.split('/', maxsplit=1)[0]}-{digest_text(source_file)[:16]}.parquet"


def scan_occurrences(project: Project) -> pl.LazyFrame:
    """Scan where each comparison was found."""
    return scan_table(project.needs(project.stage("ingest") / "occurrences.parquet", "ingest"))


def copies_elsewhere(occurrences: pl.DataFrame) -> pl.DataFrame:
    """Return the (comparison, raw file) deliveries whose shard row is not read, because another shard's is."""
    verdicts = occurrences.filter(pl.col("part") == "verdict").select("comparison_id", "source_file", "canonical")
    read = verdicts.filter("canonical")
    return verdicts.filter(~pl.col("canonical")).join(read, on=["comparison_id", "source_file"], how="anti").unique()


def scan_comparisons(project: Project) -> pl.LazyFrame:
    """Scan the canonical row of every comparison over all shards; order is not defined."""
    occurrences = scan_occurrences(project).select("comparison_id", "source_file", "canonical", "part").collect()
    copies = copies_elsewhere(occurrences).partition_by("source_file", as_dict=True)
    unread = {shard_name(str(name)): frame.select("comparison_id").lazy() for (name,), frame in copies.items()}
    scans = []
    for shard in sorted(project.needs(project.shards, "ingest").glob("*.parquet")):
        scan = scan_table(shard)
        scans.append(scan.join(unread[shard.name], on="comparison_id", how="anti") if shard.name in unread else scan)
    return pl.concat(scans) if scans else pl.LazyFrame(schema=dtypes(COMPARISONS))


def read_account(project: Project, stage: str) -> dict[str, Any]:
    """Read a stage's account."""
    content = json.loads(project.needs(project.counts(stage), stage).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        msg = f"{project.counts(stage).name} of {stage} is not an account; run `pairtrail {stage}` again"
        raise PairtrailError(msg)
    return content
