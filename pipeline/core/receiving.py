"""What a stage receives: the comparisons that the stage before kept, a part at a time, so that memory stays bounded."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import polars as pl
from pyarrow import parquet

from pipeline.core.errors import PairtrailError
from pipeline.core.ingested import scan_comparisons, scan_occurrences, shards_of
from pipeline.core.project import Project
from pipeline.core.spill import Spill, parts_for
from pipeline.core.tables import batches_of, scan_table

# What a row without texts takes in memory, copies that a step makes of it aside.
_ROW_BYTES = 640
_BATCH = 131_072


def parts_of(project: Project) -> int:
    """Return into how many parts the comparisons are divided, texts aside."""
    return parts_for(_ROW_BYTES * sum(parquet.read_metadata(shard).num_rows for shard in shards_of(project)))


def await_stage(project: Project, after: str) -> None:
    """Refuse to begin before the stage `after` has run."""
    project.needs(project.shards if after == "ingest" else project.decisions(after), after)


def received(
    project: Project, after: str, columns: Iterable[str | pl.Expr], beside: Mapping[str, list[str]], folder: Path
) -> Iterator[pl.DataFrame]:
    """Yield what the stage `after` kept: `columns` of comparisons, and `beside` them columns that stages decided.

    Shards and decisions are joined where their ids begin alike; with ingest before it, nothing is to be joined.
    Raises PairtrailError when what comes is not what the stage before says it kept.
    """
    scan = scan_comparisons(project).select(*columns)
    parts = _joined(project, scan, {after: [], **beside}, folder) if after != "ingest" else batches(scan)
    count = 0
    for part in parts:
        count += part.height
        yield part
    if count != (kept := _number_kept(project, after)):
        msg = f"{after} kept {kept:,} comparisons, but {count:,} are found; run `pairtrail {after}` and the rest again"
        raise PairtrailError(msg)


def _number_kept(project: Project, after: str) -> int:
    if after == "ingest":
        kept = scan_occurrences(project).filter(pl.col("canonical") & (pl.col("part") == "verdict"))
    else:
        kept = scan_table(project.decisions(after)).filter(pl.col("drop_reason").is_null())
    return int(kept.select(pl.len()).collect(engine="streaming").item())


def batches(scan: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Collect a scan in frames of bounded size, in its order."""
    yield from scan.collect_batches(chunk_size=_BATCH, engine="streaming")


def divided(frames: Iterable[pl.DataFrame], folder: Path, key: str, parts: int) -> Iterator[tuple[str, pl.DataFrame]]:
    """Divide rows by the leading digits of `key`; yield each part with the digits that its keys begin with."""
    spill = Spill(folder, key, parts)
    for frame in frames:
        spill.add(frame)
    for part, prefix in zip(spill.parts(), spill.prefixes, strict=False):
        yield prefix, part


def _joined(
    project: Project, scan: pl.LazyFrame, decisions: Mapping[str, list[str]], folder: Path
) -> Iterator[pl.DataFrame]:
    for prefix, part in divided(batches(scan), folder, "comparison_id", parts_of(project)):
        rows = part
        for stage, columns in decisions.items():
            rows = rows.join(_kept(project, stage, columns, prefix), on="comparison_id", how="inner")
        yield rows


def _kept(project: Project, stage: str, columns: list[str], prefix: str) -> pl.DataFrame:
    """Read what a stage said of the comparisons that it kept and whose ids begin with `prefix`."""
    path = project.needs(project.decisions(stage), stage)
    # Files are sorted by id, so row groups outside of the bounds are skipped; "g" follows the digits.
    here = pl.col("comparison_id").is_between(pl.lit(prefix), pl.lit(f"{prefix}g"))
    kept = scan_table(path).filter(pl.col("drop_reason").is_null() & here)
    return kept.select("comparison_id", *columns).collect(engine="streaming")


def rows_at(project: Project, places: pl.Series, columns: list[str]) -> Iterator[pl.DataFrame]:
    """Read every shard once, a row group at a time, and yield the rows at `places` (among all rows, sorted)."""
    start = 0
    for shard in shards_of(project):
        for batch in batches_of(shard, columns):
            low, high = places.search_sorted(pl.Series([start, start + batch.height], dtype=places.dtype))
            if low < high:
                yield batch[places.slice(low, high - low) - start]
            start += batch.height
