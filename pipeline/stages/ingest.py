"""Ingest: raw logs to comparisons; the only place where raw text is parsed, and where ids are made."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from typing import Any

import polars as pl

from pipeline.adapters import adapter_for
from pipeline.core.accounts import must_add_up, tally, tally_by
from pipeline.core.closure import code_digest
from pipeline.core.deliveries import Delivered, outcomes_of, write_occurrences
from pipeline.core.digests import keyed_digests
from pipeline.core.errors import PairtrailError
from pipeline.core.filing import FileAccount, Filer
from pipeline.core.keys import load_key
from pipeline.core.mapping.candidates import RawFile, Reading
from pipeline.core.mapping.sides import side_account, side_files
from pipeline.core.params import STRICT, section
from pipeline.core.progress import track
from pipeline.core.project import Project
from pipeline.core.raw.rawfiles import Limits, RawBatch, read_batches
from pipeline.core.reuse import Before, before, inputs_of, write_files
from pipeline.core.sidecar.sidecars import Format, Group, Source
from pipeline.core.sidecar.sources import load_sources
from pipeline.core.spill import Spill, parts_for, spilling
from pipeline.core.tables import scan_table, whole_folder, write_json, write_table
from schemas.columns import dtypes
from schemas.ingested import OUTCOMES, QUARANTINE, RECORDS

WORKERS = "PAIRTRAIL_WORKERS"
_MOST_WORKERS = 8
# Starting a process takes about as long as reading this many bytes.
_WORTH_PROCESSES = 32 * 2**20
_SMALLEST = 1024


@dataclass(frozen=True, slots=True)
class Params:
    """The section `ingest` of params.yaml."""

    __pydantic_config__ = STRICT
    key_fingerprint: str
    record_bytes: int
    record_depth: int

    def __post_init__(self) -> None:
        """Refuse limits that would quarantine everything."""
        if self.record_bytes < _SMALLEST or self.record_depth < 1:
            msg = f"params.yaml: ingest: record_bytes must be at least {_SMALLEST}, record_depth at least 1"
            raise PairtrailError(msg)


@dataclass(frozen=True, slots=True)
class _Build:
    """What every file of one run is ingested with."""

    sources: list[Source]
    places: dict[str, tuple[Source, Group | None]]
    """By raw file: its source, and the group that it is read by (None for a side file)."""
    reading: Reading
    filer: Filer

    def ingest(self, name: str) -> FileAccount:
        """Ingest one raw file, named relative to data/raw."""
        source, group = self.places[name]
        path = source.folder.parent / name
        if group is None:
            return self.filer.file(source, path, iter([side_account(source, path, self.reading)]))
        return self.filer.file(source, path, adapter_for(source).read(RawFile(source, group, path, self.reading)))


def _places(sources: list[Source]) -> dict[str, tuple[Source, Group | None]]:
    """Find all raw files once: a look into a folder for each of its files takes the square of their number."""
    found: dict[str, tuple[Source, Group | None]] = {}
    for source in sources:
        found |= {source.relative(path): (source, None) for path in side_files(source)}
        for group in source.sidecar.files:
            found |= {source.relative(path): (source, group) for path in source.files(group)}
    return found


def _build(project: Project, shards: Path) -> _Build:
    params = section(Params, "ingest", project.params)
    sources = load_sources(project.raw)
    key = load_key(project.root, params.key_fingerprint, [s.name for s in sources if not s.sidecar.synthetic])
    for source in sources:
        adapter_for(source)
    limits = Limits(record_bytes=params.record_bytes, depth=params.record_depth)

    def batches(path: Path, declared: Format) -> Iterator[RawBatch]:
        return read_batches(path, declared, partial(keyed_digests, key), limits)

    spill = project.spill / "ingest"
    return _Build(sources, _places(sources), Reading(batches, spill), Filer(key, shards, spill))


def run(project: Project) -> str:
    """Ingest every source below data/raw that is new or changed, take over the rest; return the summary line."""
    with whole_folder(project.stage("ingest")) as built, spilling(project.spill / "ingest") as spill:
        shards = built / project.shards.name
        shards.mkdir()
        build = _build(project, shards)
        code = code_digest([__name__])
        params = section(Params, "ingest", project.params)
        inputs = inputs_of(build.sources, build.filer.key, f"{code} {params}")
        old = before(project.stage("ingest"), shards.name, inputs)
        size = sum((project.raw / name).stat().st_size for name in inputs)
        verdicts = Spill(spill / "verdicts", "comparison_id", parts_for(size))
        records, quarantine = _gathered(project, build, old, sorted(set(inputs) - old.unchanged), verdicts)
        delivered = write_occurrences(verdicts.parts(), built / "occurrences.parquet")
        known = outcomes_of(records, delivered, quarantine)
        write_table(known, built / "records.parquet", RECORDS, ["source_file", "source_row"])
        by = ["source_file", "source_row", "fan_out", "reason"]
        write_table(quarantine.select(*dtypes(QUARANTINE)), built / "quarantine.parquet", QUARANTINE, by)
        account = _account(known, quarantine, delivered, [source.name for source in build.sources], shards)
        write_files(built, shards, inputs)
        write_json(account | {"code_digest": code}, built / "counts.json")
    return _summary(account)


def _gathered(
    project: Project, build: _Build, old: Before, changed: list[str], verdicts: Spill
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Ingest the changed files and take over the others; put verdicts aside, return records and quarantine."""
    records, quarantine = [], []
    for account in track(_accounts(project, build, changed), "ingest", len(changed)):
        verdicts.add(account.verdicts)
        records.append(account.records)
        quarantine.append(account.quarantine)
    if old.unchanged:
        for name in sorted(old.unchanged):
            old.take_shard(name, build.filer.shards)
        for prefix in "0123456789abcdef":
            verdicts.add(old.verdicts(prefix))
        records.append(old.records())
        quarantine.append(old.quarantine())
    return pl.concat(records), pl.concat(quarantine)


def _accounts(project: Project, build: _Build, names: list[str]) -> Iterator[FileAccount]:
    """Ingest raw files, side by side where there is enough to read; the order in which they end is of no matter."""
    sizes = {name: (project.raw / name).stat().st_size for name in names}
    workers = min(len(names), worker_count())
    if workers < 2 or sum(sizes.values()) < _WORTH_PROCESSES:  # noqa: PLR2004
        yield from map(build.ingest, names)
        return
    # A fresh interpreter each, as a copy of this one could inherit a lock that nobody will ever release.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        largest_first = sorted(names, key=lambda name: (-sizes[name], name))
        place = (project.root, build.filer.shards)
        try:
            for done in as_completed([pool.submit(_ingest_in_worker, *place, name) for name in largest_first]):
                yield done.result()
        except BrokenProcessPool:
            msg = (
                f"a process that read raw files was killed, perhaps for want of memory; "
                f"{WORKERS}=1 reads one file at a time"
            )
            raise PairtrailError(msg) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker when its parent is killed: nobody would take what it writes, and others may write there."""
    parent = parent_process()

    def watch() -> None:
        if parent:
            wait([parent.sentinel])
            os._exit(1)

    Thread(target=watch, daemon=True).start()


def _ingest_in_worker(root: Path, shards: Path, name: str) -> FileAccount:
    return _build_in_worker(root, shards).ingest(name)


@cache
def _build_in_worker(root: Path, shards: Path) -> _Build:
    """Make a worker's own build, once: side files are then read once per worker."""
    return _build(Project(root), shards)


def worker_count() -> int:
    """Return how many raw files are read at once: PAIRTRAIL_WORKERS, else one per processor, eight at most."""
    stated = os.environ.get(WORKERS)
    if stated is None:
        return min(os.cpu_count() or 1, _MOST_WORKERS)
    if not stated.isdecimal() or int(stated) < 1:
        msg = f"{WORKERS} is {stated!r}; a whole number from 1 is needed"
        raise PairtrailError(msg)
    return int(stated)


def _account(
    records: pl.DataFrame, quarantine: pl.DataFrame, delivered: Delivered, sources: list[str], shards: Path
) -> dict[str, Any]:
    outcomes = tally(records, "outcome")
    must_add_up("records", records.height, outcomes)
    rows = sum(scan_table(path).select(pl.len()).collect().item() for path in sorted(shards.iterdir()))
    kept, copies = rows - delivered.unread, delivered.verdicts - delivered.comparisons
    candidates = delivered.verdicts + quarantine.height
    must_add_up("comparisons", candidates, {"kept": kept, "copies": copies, "quarantined": quarantine.height})
    return {
        "records": {"in": records.height, **{outcome: outcomes.get(outcome, 0) for outcome in OUTCOMES}},
        "comparisons": {"candidates": candidates, "kept": kept, "copies": copies, "quarantined": quarantine.height},
        "quarantined_by": tally(quarantine, "reason"),
        "records_by_source": {**{source: {} for source in sources}, **tally_by(records, "source", "outcome")},
        "kept_by_source": dict(delivered.kept_by_source.most_common()),
    }


def _summary(account: dict[str, Any]) -> str:
    records, comparisons = account["records"], account["comparisons"]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in account["quarantined_by"].items())
    told = f" ({reasons})" if reasons else ""
    return (
        f"ingest: {comparisons['kept']:,} comparisons from {records['in']:,} records, "
        f"{comparisons['copies']:,} copies, {comparisons['quarantined']:,} quarantined{told}"
    )
