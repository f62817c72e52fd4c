"""What later stages read of ingest: each comparison once, and where it was found.

`trace` answers within a second, so pandera and Arrow are not imported here.
"""

import json
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.digests import digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project

PLACE = "place"
_SHARD = "shard"


def shard_name(source_file: str) -> str:
    """Name the shard of a raw file: its source, and a digest of its place (any two names stay apart)."""
    return f"{source_file.split('/', maxsplit=1)[0]}-{digest_text(source_file)[:16]}.parquet"


def scan_occurrences(project: Project) -> pl.LazyFrame:
    """Scan where each comparison was found."""
    return pl.scan_parquet(project.needs(project.stage("ingest") / "occurrences.parquet", "ingest"), glob=False)


def copies_elsewhere(occurrences: pl.DataFrame) -> pl.DataFrame:
    """Return the (comparison, raw file) deliveries whose shard row is not read, because another shard's is."""
    verdicts = occurrences.filter(pl.col("part") == "verdict").select("comparison_id", "source_file", "canonical")
    read = verdicts.filter("canonical")
    return verdicts.filter(~pl.col("canonical")).join(read, on=["comparison_id", "source_file"], how="anti").unique()


def scan_comparisons(project: Project) -> pl.LazyFrame:
    """Scan the canonical row of every comparison over all shards, with its `place`: its number among all their rows."""
    shards = shards_of(project)
    if not shards:
        from schemas.columns import dtypes
        from schemas.comparisons import COMPARISONS

        return pl.LazyFrame(schema={PLACE: pl.UInt32, **dtypes(COMPARISONS)})
    scan = pl.scan_parquet(shards, glob=False, row_index_name=PLACE, include_file_paths=_SHARD)
    unread = _unread(project)
    if unread.height:
        scan = scan.join(unread.lazy(), on=["comparison_id", _SHARD], how="anti")
    return scan.drop(_SHARD)


def shards_of(project: Project) -> list[Path]:
    """Return the shards of ingest, in the order in which their rows are numbered."""
    return sorted(project.needs(project.shards, "ingest").glob("*.parquet"))


def scan_copied_refs(project: Project) -> pl.LazyFrame:
    """Scan the consent references of comparisons that several shards hold, those of the rows that are not read too."""
    copied = _unread(project).select("comparison_id").unique()
    if copied.is_empty():
        return scan_comparisons(project).select("comparison_id", "consent_refs").head(0)
    scan = pl.scan_parquet(shards_of(project), glob=False).select("comparison_id", "consent_refs")
    return scan.join(copied.lazy(), on="comparison_id", how="semi")


def _unread(project: Project) -> pl.DataFrame:
    """Return (comparison, shard) of the rows that are not read; only comparisons with copies are looked at."""
    occurrences = scan_occurrences(project).select("comparison_id", "source_file", "canonical", "part")
    copied = occurrences.filter(~pl.col("canonical") & (pl.col("part") == "verdict")).select("comparison_id")
    copies = copies_elsewhere(occurrences.join(copied, on="comparison_id", how="semi").collect(engine="streaming"))
    files = copies["source_file"].unique().to_list()
    paths = [str(project.shards / shard_name(file)) for file in files]
    return copies.select("comparison_id", pl.col("source_file").replace_strict(files, paths).alias(_SHARD))


def read_account(project: Project, stage: str) -> dict[str, Any]:
    """Read a stage's account."""
    content = json.loads(project.needs(project.counts(stage), stage).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        msg = f"{project.counts(stage).name} of {stage} is not an account; run `pairtrail {stage}` again"
        raise PairtrailError(msg)
    return content
