"""Trying a source: what its adapter makes of the first records of each file, without writing anything."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from pipeline.adapters import Adapter
from pipeline.core.mapping.candidates import NO_COMPARISON_REASONS, Batch, RawFile, Reading
from pipeline.core.mapping.sides import side_files
from pipeline.core.raw.rawfiles import RawBatch, read_batches
from pipeline.core.sidecar.sidecars import Format, Group, Source
from pipeline.lineage.looking import LOOK

# Verdicts name side records anywhere in a side file, so more of it is read: 100,000 records or 1.3 GB.
_SIDE_BATCHES = 20
# A group of files that are read alike shows what it is in its first few.
_MOST_FILES = 20
_MOST_TOLD = 4
# What records further down could mend where a file is cut: any sound record that gives nothing yet, as the first that
# does may follow, and one whose other half was not read.
_MENDABLE = {*NO_COMPARISON_REASONS, "no_side_record", "no_shown_event"}


@dataclass(slots=True)
class Tried:
    """What came of the records looked at: comparisons (copies included), and for how many records which reason."""

    records: int = 0
    comparisons: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    cut: bool = False
    """Whether files go on beyond what was looked at."""
    grouped: bool = False
    """Whether the adapter reads records in groups: what one lacks, another may bring."""

    def told(self) -> str:
        """Tell it in one line."""
        listed = [
            f"{reason} {count:,}" for reason, count in sorted(self.reasons.items(), key=lambda one: (-one[1], one[0]))
        ]
        more = [f"{len(listed) - _MOST_TOLD} reasons more"] if len(listed) > _MOST_TOLD else []
        reasons = ", ".join([*listed[:_MOST_TOLD], *more])
        of = f"{'the first ' if self.cut else ''}{self.records:,} records"
        return f"{self.comparisons:,} comparisons from {of}{f': {reasons}' if reasons else ''}"

    def fault(self) -> str | None:
        """Say what is wrong where no comparison comes out, and nothing further down could change that."""
        mendable = _MENDABLE | ({"missing_field"} if self.grouped else set())
        # A log holds a broken record here and there, before its first verdict too.
        mended = sum(count for reason, count in self.reasons.items() if reason in mendable)
        if self.comparisons or (self.cut and 2 * mended >= self.reasons.total()):
            return None
        return f"{self.told()}; mend `fields` or `options`, or take another `adapter`"


def tried(source: Source, adapter: Adapter, group: Group) -> Tried:
    """Run a source's adapter over the first records of a group's files; texts are put aside for that long alone."""
    found = Tried()
    files = source.files(group)
    found.cut = len(files) > _MOST_FILES
    with TemporaryDirectory(prefix="pairtrail-") as spill:
        looking = _Looking(frozenset(side_files(source)))
        reading = Reading(looking.batches, Path(spill))
        for path in files[:_MOST_FILES]:
            file = RawFile(source, group, path, reading)
            _add(found, file.name, adapter.read(file))
        found.cut |= looking.cut
    return found


@dataclass(slots=True)
class _Looking:
    """Reads the beginning of files, and remembers whether one goes on."""

    sides: frozenset[Path]
    cut: bool = False

    def batches(self, path: Path, declared: Format) -> Iterator[RawBatch]:
        most = _SIDE_BATCHES if path in self.sides else 1
        for number, batch in enumerate(read_batches(path, declared, _digest, LOOK)):
            if number == most:
                self.cut = True
                return
            yield batch


def _digest(raws: list[bytes]) -> list[str]:
    """Tell records apart; nothing of it is kept."""
    return [sha256(raw).hexdigest() for raw in raws]


def _add(found: Tried, file: str, batches: Iterator[Batch]) -> None:
    reasons: set[tuple[int, str]] = set()
    for batch in batches:
        found.records += batch.records.height
        # Verdicts of groups come apart from their records.
        found.grouped |= batch.records.is_empty()
        found.comparisons += batch.candidates["reason"].null_count()
        for frame in (batch.records, batch.candidates, _partners(batch.candidates, file)):
            told = frame.filter(pl.col("reason").is_not_null()).select("source_row", "reason").unique()
            reasons |= set(zip(told["source_row"], told["reason"], strict=True))
    found.reasons.update(reason for _, reason in reasons)


def _partners(candidates: pl.DataFrame, file: str) -> pl.DataFrame:
    """Name the file's other records that candidates draw on: a fault of theirs is told for each of them."""
    drawn_on = candidates.filter(pl.col("sides").list.len() > 0).explode("sides")
    side = pl.col("sides").struct.field
    return drawn_on.filter(side("file") == file).with_columns(source_row=side("row"))
