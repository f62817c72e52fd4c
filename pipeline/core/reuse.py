"""Reuse: an unchanged raw file is not read again. What the last run made of it is taken over, and is the same bytes.

`files.json` says, per raw file, what its shard hangs on, as one keyed digest, and the SHA-256 of the shard; and the
SHA-256 of the thin tables. What does not agree with it to the byte is made anew.
"""

import hmac
import json
import os
import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import file_digest
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.digests import keyed_digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.ingested import shard_name
from pipeline.core.mapping.candidates import PARTS
from pipeline.core.mapping.sides import side_files
from pipeline.core.sidecar.sidecars import SIDECAR, Source
from pipeline.core.tables import scan_table, write_json

FORMAT = "pairtrail-files-1"
FILES = "files.json"
TABLES = ("occurrences", "records", "quarantine")
# The libraries whose versions the bytes of a shard hang on.
_WRITERS = ("polars", "polars-hash", "pyarrow")
_DECIDED_BY_VERDICTS = ("gave_comparisons", "only_copies")


def inputs_of(sources: list[Source], key: str, settings: str) -> dict[str, str]:
    """Return, by raw file, one keyed digest of all that its shard hangs on.

    That is its name and bytes, its source's sidecar and side files, and `settings` (code and parameters). Keyed, as a
    plain digest of a small file would let anyone test a guess about it.
    """
    made_with = keyed_digest_text(key, settings, str(sys.version_info[:2]), *(version(name) for name in _WRITERS))
    paths = [path for source in sources for path in [source.folder / SIDECAR, *_raw_files(source)]]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        digests = dict(zip(paths, threads.map(lambda path: _keyed(path, key), paths), strict=True))
    found = {}
    for source in sources:
        beside = [digests[source.folder / SIDECAR]]
        beside += [part for path in side_files(source) for part in (source.relative(path), digests[path])]
        for path in _raw_files(source):
            name = source.relative(path)
            found[name] = keyed_digest_text(key, "inputs", made_with, name, digests[path], *beside)
    return found


def _raw_files(source: Source) -> list[Path]:
    return sorted({path for pattern in source.globs() for path in source.matching(pattern)})


def _keyed(path: Path, key: str) -> str:
    try:
        return _keyed_content(path, key)
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); check that it is there, whole, and may be read"
        raise PairtrailError(msg) from error


def _keyed_content(path: Path, key: str) -> str:
    with path.open("rb") as file:
        return file_digest(file, lambda: hmac.new(key.encode(), digestmod="sha256")).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Before:
    """What the last run wrote, as far as it still stands to the byte."""

    folder: Path
    unchanged: frozenset[str]
    """The raw files whose shards can be taken over."""

    def take_shard(self, name: str, shards: Path) -> None:
        """Put an unchanged file's shard into the new folder: the same bytes under a second name, where possible."""
        shard = self.folder / shards.name / shard_name(name)
        if not shard.exists():
            return
        try:
            os.link(shard.resolve(), shards / shard.name)
        except OSError:
            shutil.copyfile(shard, shards / shard.name)

    def verdicts(self, prefix: str) -> pl.DataFrame:
        """Return the unchanged files' deliveries of comparisons whose ids begin with `prefix`."""
        rows = scan_table(self.folder / "occurrences.parquet").filter(_begins(prefix))
        mine = rows.filter((pl.col("part") == "verdict") & pl.col("source_file").is_in(self.unchanged)).collect()
        sides = rows.filter(pl.col("part") == "side").collect()
        delivery = ["comparison_id", "delivery"]
        part = pl.struct(file="source_file", row="source_row", digest="record_digest")
        listed = sides.group_by(delivery).agg(sides=part).cast({"sides": PARTS})
        joined = mine.join(listed, on=delivery, how="left").with_columns(pl.col("sides").fill_null([]))
        return joined.select("source_row", "record_digest", "comparison_id", "event", "sides", "source", "source_file")

    def records(self) -> pl.DataFrame:
        """Return the unchanged files' records; where verdicts decided about a record, they will again."""
        rows = scan_table(self.folder / "records.parquet").filter(pl.col("source_file").is_in(self.unchanged)).collect()
        decided = pl.col("outcome").is_in(_DECIDED_BY_VERDICTS)
        return rows.with_columns(outcome=pl.when(~decided).then("outcome")).select(
            "source_row", "record_digest", "outcome", "reason", "source", "source_file"
        )

    def quarantine(self) -> pl.DataFrame:
        """Return the unchanged files' quarantined candidates; whom they draw on is already in the records' outcomes."""
        rows = scan_table(self.folder / "quarantine.parquet").filter(pl.col("source_file").is_in(self.unchanged))
        columns = ["source_row", "fan_out", "reason", "record_digest", "sides", "source", "source_file"]
        return rows.with_columns(sides=pl.lit([], PARTS)).select(columns).collect()


def _begins(prefix: str) -> pl.Expr:
    """Match ids by their beginning as a range, which Parquet's statistics can use."""
    return pl.col("comparison_id").is_between(pl.lit(prefix), pl.lit(prefix + "g"), closed="left")


def before(folder: Path, shards: str, inputs: Mapping[str, str]) -> Before:
    """Compare the last run with the inputs of this one; where anything of it is missing or damaged, nothing stands."""
    said = _read(folder / FILES)
    tables = said.get("tables", {})
    if said.get("format") != FORMAT or any(
        not (folder / f"{name}.parquet").is_file() or _sha256(folder / f"{name}.parquet") != tables.get(name)
        for name in TABLES
    ):
        return Before(folder, frozenset())
    known = said["files"]
    same = [name for name, digest in inputs.items() if known.get(name, {}).get("inputs") == digest]
    found = shard_digests(folder / shards, same)
    return Before(folder, frozenset(name for name in same if known[name]["shard"] == found[name]))


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def shard_digests(shards: Path, names: list[str]) -> dict[str, str | None]:
    """Return the SHA-256 of each raw file's shard; None where the file gave none."""

    def digest(name: str) -> str | None:
        shard = shards / shard_name(name)
        return _sha256(shard) if shard.is_file() else None

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return dict(zip(names, threads.map(digest, names), strict=True))


def write_files(built: Path, shards: Path, inputs: Mapping[str, str]) -> None:
    """Write down what each shard hangs on, for the next run."""
    found = shard_digests(shards, sorted(inputs))
    files = {name: {"inputs": digest, "shard": found[name]} for name, digest in inputs.items()}
    tables = {name: _sha256(built / f"{name}.parquet") for name in TABLES}
    write_json({"format": FORMAT, "tables": tables, "files": files}, built / FILES)
