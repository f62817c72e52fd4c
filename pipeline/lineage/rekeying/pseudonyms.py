"""Pseudonyms under two keys: what a change of key needs, from the raw ids of the logs and from a list of more."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from pipeline.adapters import adapter_for
from pipeline.core.digests import keyed_digest, keyed_digests
from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.candidates import Batch, RawFile, Reading
from pipeline.core.mapping.identify import pseudonym
from pipeline.core.progress import track
from pipeline.core.project import Project
from pipeline.core.raw.rawfiles import Limits, RawBatch, read_batches
from pipeline.core.sidecar.sidecars import Format, Source
from pipeline.core.spill import spilling

_COLUMNS = ("source", "id")
_EMPTY = pl.DataFrame(schema={"old": pl.String, "new": pl.String})
# Rows held before the repeated ones among them are thrown away.
_HELD_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Keys:
    """The key that a project has, and the one that it is given."""

    old: str
    new: str

    def pseudonyms(self, namespace: str, raw: pl.Series) -> pl.DataFrame:
        """Name raw ids under both keys: the columns `old` and `new`."""
        known = pl.DataFrame({"raw": raw}, schema={"raw": pl.String})
        return known.select(old=self._under(self.old, namespace), new=self._under(self.new, namespace))

    @staticmethod
    def _under(key: str, namespace: str) -> pl.Expr:
        return pseudonym(key, namespace, pl.col("raw"))

    def without_raw(self, old: list[str]) -> pl.DataFrame:
        """Give pseudonyms whose raw ids nobody states new ones, from which the old ones cannot be told."""
        known = pl.DataFrame({"old": old}, schema={"old": pl.String})
        return known.with_columns(new=keyed_digest(self.new, pl.lit("pseudonym of"), pl.col("old")))


def of_raw_files(project: Project, sources: list[Source], limits: Limits, keys: Keys) -> pl.DataFrame:
    """Read every raw file by its adapter; return the pseudonyms of all whom it names, each once, as `old` and `new`.

    What is held is bounded by how many they are; of a raw id itself nothing is kept.
    """

    def batches(path: Path, declared: Format) -> Iterator[RawBatch]:
        return read_batches(path, declared, partial(keyed_digests, keys.old), limits)

    with spilling(project.spill / "rotation") as spill:
        reading = Reading(batches, spill)
        files = [
            RawFile(source, group, path, reading)
            for source in sources
            for group in source.sidecar.files
            for path in source.files(group)
        ]
        return _distinct(
            keys.pseudonyms(file.source.namespace, _raw_ids(batch))
            for file in track(files, "raw files", len(files))
            for batch in adapter_for(file.source).read(file)
        )


def _raw_ids(batch: Batch) -> pl.Series:
    """Return whom a batch names, what of it is quarantined included: a consent record may name them all the same."""
    subjects = batch.candidates["consent_refs"].explode().struct.field("subject")
    return pl.concat([batch.candidates["annotator"], subjects.alias("annotator")]).drop_nulls().unique()


def _distinct(frames: Iterator[pl.DataFrame]) -> pl.DataFrame:
    known, waiting = _EMPTY, 0
    held = [known]
    for frame in frames:
        held.append(frame)
        waiting += frame.height
        if waiting > max(_HELD_ROWS, known.height):
            known, waiting = pl.concat(held).unique("old"), 0
            held = [known]
    return pl.concat(held).unique("old")


def of_list(path: Path, sources: list[Source], limits: Limits, keys: Keys) -> pl.DataFrame:
    """Read raw ids from a CSV file with the columns `source` and `id`; return their pseudonyms as `old` and `new`.

    `source` names a source, or, where its folder is gone, the namespace that its ids had. Raises PairtrailError that
    names the row, never an id.
    """
    if not path.is_file():
        msg = f"{path}: no such file; a CSV file with the columns {' and '.join(_COLUMNS)} is needed"
        raise PairtrailError(msg)
    namespaces = {source.name: source.namespace for source in sources}
    listed: dict[str, set[str]] = {}
    for batch in read_batches(path, "csv", lambda raws: [""] * len(raws), limits):
        for row, value, reason in zip(batch.rows, batch.values, batch.reasons, strict=True):
            where, raw = ((value or {}).get(name) for name in _COLUMNS)
            if reason or not where or not raw or not raw.strip():
                told = reason or f"{' and '.join(_COLUMNS)} are needed, and one is blank or no column"
                msg = f"{path.name}: row {row} after the header: {told}"
                raise PairtrailError(msg)
            listed.setdefault(namespaces.get(where, where), set()).add(raw)
    return _distinct(keys.pseudonyms(namespace, pl.Series(sorted(raw))) for namespace, raw in listed.items())
