"""All prompts of the ingested comparisons, each once by its match key, in batches of bounded size."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl
from pyarrow import parquet

from pipeline.core.ingested import PLACE, shards_of
from pipeline.core.progress import track
from pipeline.core.project import Project
from pipeline.core.receiving import divided, parts_of, received
from pipeline.core.tables import batches_of

_COLUMNS = ["match_key", "root_id", "prompt"]
_BATCH_BYTES = 16 * 2**20


def first_places(project: Project, folder: Path) -> pl.Series:
    """Return the place of one comparison for each match key, sorted; all prompts with one key say the same texts."""
    rows = received(project, "ingest", ["match_key", PLACE], {}, folder / "received")
    parts = divided(rows, folder / "keys", "match_key", parts_of(project))
    firsts = [part.group_by("match_key").agg(pl.col(PLACE).min())[PLACE] for _, part in parts]
    return pl.concat([pl.Series(PLACE, [], dtype=pl.UInt32), *firsts]).sort()


def prompts_at(project: Project, places: pl.Series, most: int = _BATCH_BYTES) -> Iterator[pl.DataFrame]:
    """Yield `match_key`, `root_id` and `prompt` of the comparisons at `places`, about `most` bytes of text a time."""
    held, size = [], 0
    for rows in _pieces(_read(project, places), most):
        held.append(rows)
        size += int(_bytes(rows).sum())
        if size >= most:
            yield pl.concat(held)
            held, size = [], 0
    if held:
        yield pl.concat(held)


def _read(project: Project, places: pl.Series) -> Iterator[pl.DataFrame]:
    shards, start = shards_of(project), 0
    groups = sum(parquet.read_metadata(shard).num_row_groups for shard in shards)
    batches = (batch for shard in shards for batch in batches_of(shard, _COLUMNS))
    for batch in track(batches, "decontaminate", groups):
        low, high = places.search_sorted(pl.Series([start, start + batch.height], dtype=places.dtype))
        if low < high:
            yield batch.select(_COLUMNS)[places.slice(low, high - low) - start]
        start += batch.height


def _pieces(frames: Iterable[pl.DataFrame], most: int) -> Iterator[pl.DataFrame]:
    """Cut frames where their texts together pass another `most` bytes."""
    for frame in frames:
        cut = frame.with_columns(piece=_bytes(frame).cum_sum() // most)
        yield from (piece.drop("piece") for piece in cut.partition_by("piece", maintain_order=True))


def _bytes(rows: pl.DataFrame) -> pl.Series:
    content = pl.element().struct.field("content").str.len_bytes()
    return rows.select(pl.col("prompt").list.eval(content).list.sum().fill_null(0).cast(pl.Int64)).to_series()
