"""Filing: what one raw file gives. Its comparisons go to a shard, what else is known of its records to thin tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.core.ingested import shard_name
from pipeline.core.mapping.candidates import PARTS, Batch
from pipeline.core.mapping.identify import identify
from pipeline.core.raw.bytestream import is_compressed
from pipeline.core.sidecar.sidecars import Source
from pipeline.core.spill import Spill, parts_for
from pipeline.core.tables import write_sorted
from schemas.comparisons import COMPARISONS

# What compressed logs, and rows of Parquet, may unpack to.
_UNPACKED = 6
_HELD_BYTES = 256 * 2**20
_FEWEST_PARTS = 16


@dataclass(frozen=True, slots=True)
class FileAccount:
    """What became of one raw file's records: thin tables, without text."""

    records: pl.DataFrame
    """`source, source_file, source_row, record_digest, outcome, reason`; outcome null where candidates decide."""
    quarantine: pl.DataFrame
    """`source, source_file, source_row, fan_out, reason, record_digest, sides`"""
    verdicts: pl.DataFrame
    """`source, source_file, source_row, record_digest, comparison_id, event, sides`: one row per delivery."""


@dataclass(frozen=True, slots=True)
class Filer:
    """Where the shards of one run go, and the key that ids are made with."""

    key: str
    shards: Path
    spill: Path

    def file(self, source: Source, path: Path, batches: Iterator[Batch]) -> FileAccount:
        """Write a raw file's shard (none where it gives no comparison); return its account."""
        name = shard_name(source.relative(path))
        aside = _Aside(self.spill / name, unpacked_size(path))
        tables: tuple[list[pl.DataFrame], ...] = ([], [], [])
        for batch in batches:
            good, bad = _parted(batch)
            identified = identify(good, source, self.key).with_columns(good["record_digest"])
            aside.add(identified.drop("event", "sides", "fan_out"))
            thin = identified.select("source_row", "record_digest", "comparison_id", "event", "sides")
            for table, frame in zip(tables, (batch.records, bad, thin), strict=True):
                table.append(frame)
        _write_shard(aside, self.shards / name)
        place = {"source": pl.lit(source.name), "source_file": pl.lit(source.relative(path))}
        return FileAccount(*(pl.concat(frames).with_columns(**place) for frames in tables))


class _Aside:
    """The comparisons of one file: in memory while they are few, in parts on disk as soon as they are many.

    How many they will be is not known before: one record may give thousands, and each repeats its prompt.
    """

    def __init__(self, folder: Path, size: int) -> None:
        """Expect a file of about `size` bytes of text."""
        self._folder, self._parts = folder, parts_for(size)
        self._held: list[pl.DataFrame] = []
        self._bytes = 0
        self._spill: Spill | None = None

    def add(self, frame: pl.DataFrame) -> None:
        """Put rows aside."""
        self._held.append(frame)
        self._bytes += int(frame.estimated_size())
        if self._bytes > _HELD_BYTES or self._parts > 1:
            self._spill = self._spill or Spill(self._folder, "comparison_id", max(self._parts, _FEWEST_PARTS))
            for held in self._held:
                self._spill.add(held)
            self._held = []

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield the rows in parts that follow each other by id; unsorted inside."""
        return self._spill.parts() if self._spill else iter([pl.concat(self._held)])


def unpacked_size(path: Path) -> int:
    """Estimate how many bytes of text a raw file holds."""
    with path.open("rb") as file:
        head = file.read(4)
    return path.stat().st_size * (_UNPACKED if is_compressed(head) or head == b"PAR1" else 1)


def _parted(batch: Batch) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the candidates that can be written, and the quarantine rows of the others and of whole records."""
    whole = batch.records.filter(pl.col("outcome") == "quarantined").with_columns(
        fan_out=pl.lit(None, pl.String), sides=pl.lit([], PARTS)
    )
    columns = ["source_row", "fan_out", "reason", "record_digest", "sides"]
    fit = batch.candidates["reason"].is_null()
    # Texts are copied only where there is something to leave out.
    good = batch.candidates if fit.all() else batch.candidates.filter(fit)
    return good, pl.concat([whole.select(columns), batch.candidates.select(columns).filter(~fit)])


def _write_shard(aside: "_Aside", path: Path) -> None:
    """Write each comparison of a file once: of equal ids the row with the least record digest."""
    if not write_sorted(map(_once, aside.parts()), path, COMPARISONS):
        path.unlink()


def _once(part: pl.DataFrame) -> pl.DataFrame:
    """Keep one row of each comparison; it names everybody whom any of them names as having consented."""
    ordered = part.sort("comparison_id", "record_digest", "source_row")
    kept = ordered.unique("comparison_id", keep="first", maintain_order=True)
    if kept.height == ordered.height:
        return kept
    copied = ordered.filter(pl.col("comparison_id").is_duplicated()).select("comparison_id", "consent_refs")
    each = copied.explode("consent_refs").drop_nulls().unique().sort("comparison_id", "consent_refs")
    named = each.group_by("comparison_id", maintain_order=True).agg(pl.col("consent_refs").alias("named"))
    rows = kept.join(named, on="comparison_id", how="left", maintain_order="left")
    more = pl.col("named").list.len() > pl.col("consent_refs").list.len()
    return rows.with_columns(pl.when(more).then("named").otherwise("consent_refs").alias("consent_refs")).drop("named")
