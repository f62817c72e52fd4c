"""Ingest: raw logs to comparisons; the only place where raw text is parsed, and where ids are made."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.adapters import adapter_for
from pipeline.core.accounts import must_add_up, tally, tally_by
from pipeline.core.closure import code_digest
from pipeline.core.deliveries import delivered, outcomes_of, side_parts_of
from pipeline.core.digests import keyed_digest_bytes
from pipeline.core.errors import PairtrailError
from pipeline.core.ingested import copies_elsewhere, shard_name
from pipeline.core.keys import load_key
from pipeline.core.mapping.candidates import PARTS, Batch, RawFile, Reading
from pipeline.core.mapping.identify import identify
from pipeline.core.mapping.sides import side_account, side_files
from pipeline.core.params import STRICT, section
from pipeline.core.progress import track
from pipeline.core.project import Project
from pipeline.core.raw.rawfiles import Limits, RawBatch, read_batches
from pipeline.core.sidecar.sidecars import Format, Source
from pipeline.core.sidecar.sources import load_sources
from pipeline.core.tables import (
    Spill,
    parts_for,
    scan_table,
    spilling,
    whole_folder,
    write_json,
    write_sorted,
    write_table,
)
from schemas.columns import dtypes
from schemas.comparisons import COMPARISONS
from schemas.ingested import OCCURRENCES, OUTCOMES, QUARANTINE, RECORDS

# Raw logs are often compressed; parts are cut by what they may unpack to.
_UNPACKED = 6
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

    key: str
    reading: Reading
    shards: Path


@dataclass(frozen=True, slots=True)
class FileAccount:
    """What became of one raw file: thin tables, and how many candidates its records gave."""

    records: pl.DataFrame
    quarantine: pl.DataFrame
    occurrences: pl.DataFrame
    candidates: int


def run(project: Project) -> str:
    """Ingest every source below data/raw; return the summary line."""
    params = section(Params, "ingest", project.params)
    sources = load_sources(project.raw)
    key = load_key(project.root, params.key_fingerprint, [s.name for s in sources if not s.sidecar.synthetic])
    files = sum(len(source.files(group)) for source in sources for group in source.sidecar.files)
    with whole_folder(project.stage("ingest")) as built, spilling(project.spill / "ingest") as spill:
        shards = built / project.shards.name
        shards.mkdir()
        build = _Build(key, _reading(key, params, spill), shards)
        steps = (account for source in sources for account in _ingest_source(source, build))
        accounts = list(track(steps, "ingest", files))
        tables = _tables(accounts)
        account = _account(accounts, tables, sources, shards) | {"code_digest": code_digest([__name__])}
        for name, (schema, by) in _TABLES.items():
            write_table(tables[name], built / f"{name}.parquet", schema, by)
        write_json(account, built / "counts.json")
    return _summary(account)


def _reading(key: str, params: Params, spill: Path) -> Reading:
    limits = Limits(record_bytes=params.record_bytes, depth=params.record_depth)

    def batches(path: Path, declared: Format) -> Iterator[RawBatch]:
        return read_batches(path, declared, lambda raw: keyed_digest_bytes(key, raw), limits)

    return Reading(batches, spill)


_TABLES = {
    "occurrences": (OCCURRENCES, ["comparison_id", "delivery", "part", "source_file", "source_row"]),
    "records": (RECORDS, ["source_file", "source_row"]),
    "quarantine": (QUARANTINE, ["source_file", "source_row", "fan_out", "reason"]),
}


def _ingest_source(source: Source, build: _Build) -> Iterator[FileAccount]:
    adapter = adapter_for(source)
    for path in side_files(source):
        yield _ingest_file(source, path, iter([side_account(source, path, build.reading)]), build)
    for group in source.sidecar.files:
        for path in source.files(group):
            yield _ingest_file(source, path, adapter.read(RawFile(source, group, path, build.reading)), build)


def _ingest_file(source: Source, path: Path, batches: Iterator[Batch], build: _Build) -> FileAccount:
    folder = build.reading.spill / shard_name(source.relative(path))
    spill = Spill(folder, "comparison_id", parts_for(path.stat().st_size * _UNPACKED))
    place = {"source": pl.lit(source.name), "source_file": pl.lit(source.relative(path))}
    records, quarantine, occurrences, candidates = [], [], [], 0
    for batch in batches:
        good, bad = _parted(batch)
        candidates += good.height + bad.height
        identified = identify(good, source, build.key).with_columns(good["record_digest"])
        spill.add(identified.drop("event", "sides", "fan_out"))
        occurrences.append(identified.select("comparison_id", "event", "source_row", "record_digest", "sides"))
        quarantine.append(bad)
        records.append(batch.records)
    _write_shard(spill, build.shards / shard_name(source.relative(path)))
    named = [pl.concat(frames).with_columns(**place) for frames in (records, quarantine, occurrences)]
    return FileAccount(named[0], named[1], named[2], candidates)


def _parted(batch: Batch) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the candidates that can be written, and the quarantine rows of the others and of whole records."""
    whole = batch.records.filter(pl.col("outcome") == "quarantined").with_columns(
        fan_out=pl.lit(None, pl.String), sides=pl.lit([], PARTS)
    )
    columns = ["source_row", "fan_out", "reason", "record_digest", "sides"]
    unfit = pl.col("reason").is_not_null()
    good = batch.candidates.filter(~unfit)
    return good, pl.concat([whole.select(columns), batch.candidates.filter(unfit).select(columns)])


def _write_shard(spill: Spill, path: Path) -> None:
    """Write each comparison of a file once: of equal ids the row with the least record digest."""
    keys = ["comparison_id", "record_digest", "source_row"]
    parts = (part.sort(keys).unique("comparison_id", keep="first", maintain_order=True) for part in spill.parts())
    if not write_sorted(parts, path, COMPARISONS):
        path.unlink()


def _tables(accounts: list[FileAccount]) -> dict[str, pl.DataFrame]:
    verdicts = delivered(pl.concat(account.occurrences for account in accounts))
    quarantine = pl.concat(account.quarantine for account in accounts)
    records = pl.concat(account.records for account in accounts)
    occurrences = pl.concat([verdicts.drop("sides").select(*dtypes(OCCURRENCES)), side_parts_of(verdicts)])
    return {
        "occurrences": occurrences,
        "records": outcomes_of(records, occurrences, quarantine),
        "quarantine": quarantine.select(*dtypes(QUARANTINE)),
    }


def _account(
    accounts: list[FileAccount], tables: dict[str, pl.DataFrame], sources: list[Source], shards: Path
) -> dict[str, Any]:
    records, occurrences, quarantine = tables["records"], tables["occurrences"], tables["quarantine"]
    read = sum(account.records.height for account in accounts)
    outcomes = tally(records, "outcome")
    must_add_up("records", read, outcomes)
    verdicts = occurrences.filter(pl.col("part") == "verdict")
    rows = sum(scan_table(path).select(pl.len()).collect().item() for path in sorted(shards.iterdir()))
    kept = rows - copies_elsewhere(occurrences).height
    copies = verdicts.height - verdicts["comparison_id"].n_unique()
    candidates = sum(account.candidates for account in accounts)
    must_add_up("comparisons", candidates, {"kept": kept, "copies": copies, "quarantined": quarantine.height})
    return {
        "records": {"in": read, **{outcome: outcomes.get(outcome, 0) for outcome in OUTCOMES}},
        "comparisons": {"candidates": candidates, "kept": kept, "copies": copies, "quarantined": quarantine.height},
        "quarantined_by": tally(quarantine, "reason"),
        "records_by_source": {**{source.name: {} for source in sources}, **tally_by(records, "source", "outcome")},
        "kept_by_source": tally(verdicts.filter("canonical"), "source"),
    }


def _summary(account: dict[str, Any]) -> str:
    records, comparisons = account["records"], account["comparisons"]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in account["quarantined_by"].items())
    told = f" ({reasons})" if reasons else ""
    return (
        f"ingest: {comparisons['kept']:,} comparisons from {records['in']:,} records, "
        f"{comparisons['copies']:,} copies, {comparisons['quarantined']:,} quarantined{told}"
    )
