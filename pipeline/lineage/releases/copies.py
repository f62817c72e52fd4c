"""Looking at the files that a release gave away: bytes, digests, rows, contents, footers, the manifest's accounts."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as arrow
from pyarrow import parquet

from pipeline.core.errors import PairtrailError
from pipeline.core.progress import track
from pipeline.core.publishing.content import content_digest, file_digest
from pipeline.lineage.dvcfiles import md5_of
from pipeline.lineage.releases.croissant import croissant_faults
from pipeline.lineage.releases.looks import Look, look
from pipeline.lineage.releases.records import CROISSANT, Release, read_json
from schemas.vocabulary import SIDES

_MANIFEST = "manifest.json"
_STATED = ("rows", "bytes", "sha256", "content_sha256")
_TABLE = ".parquet"


def copy_looks(found: Mapping[str, Path], release: Release) -> list[Look]:
    """Look at files of a release by their places below data/publish."""
    facts = release.facts
    manifest = look("accounts", lambda: _manifest_faults(found[_MANIFEST], facts)) if _MANIFEST in found else None
    footer = _footer(found[_MANIFEST]) if manifest and not manifest.faults else None
    places = sorted(place for place in facts["files"] if place in found)
    looks = [
        look(place, partial(_file_faults, found[place], facts["files"][place], footer))
        for place in track(places, "files", len(places))
    ]
    return [*looks, *([manifest] if manifest else [])]


def _file_faults(path: Path, stated: Mapping[str, Any], footer: Any) -> Iterator[str]:  # noqa: ANN401
    if (size := path.stat().st_size) != stated["bytes"]:
        yield f"{size:,} bytes, where {stated['bytes']:,} were released"
    changed = file_digest(path) != stated["sha256"] or md5_of(path) != stated["md5"]
    if not path.name.endswith(_TABLE):
        yield from ["not the bytes that were released (SHA-256)"] if changed else []
        return
    table = list(_table_faults(path, stated, footer))
    if changed:
        yield f"not the bytes that were released (SHA-256){'' if table else '; its rows and its footer are'}"
    yield from table


def _table_faults(path: Path, stated: Mapping[str, Any], footer: Any) -> Iterator[str]:  # noqa: ANN401
    try:
        told = parquet.read_metadata(path)
        if told.num_rows != stated["rows"]:
            yield f"{told.num_rows:,} rows, where {stated['rows']:,} were released"
        if content_digest(path) != stated["content_sha256"]:
            yield "its rows are not those that were released"
        if footer is not None and json.loads((told.metadata or {}).get(b"pairtrail", b"null")) != footer:
            yield "its footer does not say what the manifest says"
    except (arrow.ArrowException, OSError, RecursionError, ValueError):
        yield "not a Parquet file that can be read whole"


def _footer(manifest: Path) -> dict[str, Any]:
    """Return what the footer of each table says: the manifest, but for the files, which were not there yet."""
    facts: dict[str, Any] = read_json(manifest)
    return {name: fact for name, fact in facts.items() if name != "files"}


def _manifest_faults(path: Path, facts: Mapping[str, Any]) -> Iterator[str]:
    """Hold the manifest against release.json, and its accounts against each other and against the files' rows."""
    manifest = read_json(path)
    files = facts["files"]
    for place, stated in manifest["files"].items():
        if any(files.get(place, {}).get(name) != stated[name] for name in _STATED):
            yield f"{place}: another file than release.json names"
    for name in ("key_fingerprint", "schema_digest", "code_digest"):
        if manifest[name] != facts[name]:
            yield f"{name}: not as release.json says"
    yield from _account_faults(manifest)


def _account_faults(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Add up the accounts of the stages: each received what the one before it kept, and each row is in one place."""
    accounts, files = manifest["accounts"], manifest["files"]
    kept = accounts["ingest"]["comparisons"]["kept"]
    for stage in ("validate", "dedupe", "split", "publish"):
        account = accounts[stage]
        if account["in"] != kept or account["kept"] + account["dropped"] != account["in"]:
            yield f"the account of {stage} does not add up"
        kept = account["kept"]
    rows = {side: {table: files[f"{side}/{table}.parquet"]["rows"] for table in ("pairs", "ties")} for side in SIDES}
    if accounts["publish"]["rows"] != rows:
        yield "the account of publish names other rows than the files hold"
    if sum(files[f"{side}/votes.parquet"]["rows"] for side in SIDES) != accounts["publish"]["in"]:
        yield "the votes are not as many as publish received"


def croissant_looks(release: Release, copy: Path) -> list[Look]:
    """Hold both Croissant files, the one that was given away and the release's own, against the files themselves."""
    described = {
        f"{CROISSANT} describes the files": copy / CROISSANT,
        f"{CROISSANT} of the release describes the files": release.folder / CROISSANT,
    }
    return [look(what, partial(_croissant_faults, path, copy)) for what, path in described.items() if path.is_file()]


def _croissant_faults(path: Path, copy: Path) -> list[str]:
    return croissant_faults(read_json(path), copy)


def _others(folder: Path, facts: Mapping[str, Any]) -> Iterator[str]:
    """Name what lies in a copy and was not given away: a loader might read it. What git and DVC write may lie there."""
    for path in folder.rglob("*"):
        place = path.relative_to(folder).as_posix()
        own = place in facts["files"] or place.startswith("docs/") or path.name in {"counts.json", ".gitignore"}
        if (path.is_symlink() and path.is_dir()) or (not path.is_dir() and not own and path.suffix != ".dvc"):
            yield place


def files_in(folder: Path, facts: Mapping[str, Any]) -> tuple[dict[str, Path], list[str], list[Look]]:
    """Return what a bare copy holds of a release, what it lacks, and a look at which files it must and must not hold.

    Heldout may be away: consumers do not get it. Whatever else was given away must be there.
    """
    if not folder.is_dir():
        msg = f"{folder}: no such folder; name the one that holds train/, validation/ and manifest.json"
        raise PairtrailError(msg)
    found = {place: folder / place for place in facts["files"] if (folder / place).is_file()}
    away = sorted(facts["files"].keys() - found.keys())
    faults = [f"{place}: it is not there" for place in away if not place.startswith("heldout/")]
    faults += [f"{place}: nothing of this release" for place in sorted(_others(folder, facts))]
    return found, away, [Look("which files there are", faults)]
