"""What a release says of itself: release.json, checksums, and notes; all from the build, no clock or user."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semver import Version

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.core.publishing.content import file_digest
from pipeline.lineage.dvcfiles import md5_of
from pipeline.lineage.releases.naming import release_params
from pipeline.lineage.releases.records import FORMAT, Release, given_away
from pipeline.lineage.revisions import Revision, inputs_of
from schemas.contract import contract
from schemas.vocabulary import SIDES

_LEDGER = "data/ledger/"


def ledger_of(version: str) -> str:
    """Return where the prompts of a release are remembered."""
    return f"{_LEDGER}released/{version}.parquet"


@dataclass(frozen=True, slots=True)
class Change:
    """What a release is called, and how it differs from the one before it: the level that asks for, and the counts."""

    version: Version
    last: Release | None
    level: str
    counts: dict[str, Any] | None
    """None where there is no release before it, or where nobody can read that one any more."""


def release_facts(
    build: Revision, view: Project, manifest: Mapping[str, Any], change: Change, inputs: Mapping[str, str]
) -> dict[str, Any]:
    """Gather what release.json says but who signs; `inputs`: SHA-256 of what the build read, by place."""
    params = release_params(build.project)
    return {
        "format": FORMAT,
        "version": str(change.version),
        "name": params.name,
        "previous": str(change.last.version) if change.last else None,
        "level": change.level,
        "changes": change.counts,
        "build_commit": build.commit,
        "as_of": str(manifest["accounts"]["validate"]["consent_ledger"]["as_of"]),
        "epoch": manifest["split"]["epoch"],
        "key_fingerprint": manifest["key_fingerprint"],
        "synthetic": manifest["synthetic"],
        "approvals_needed": params.approvals,
        "schema": contract(),
        "schema_digest": manifest["schema_digest"],
        "code_digest": manifest["code_digest"],
        "policies": {name: stated["sha256"] for name, stated in manifest["policies"].items()},
        "rubrics": {name: stated["sha256"] for name, stated in manifest["rubrics"].items()},
        "ledgers": _ledgers(build, inputs),
        "files": _files(build, view.stage("publish"), manifest),
    }


def _ledgers(build: Revision, inputs: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of each ledger file that the build read, by its place below data/ledger."""
    read = [one for one in inputs_of(build.lock()) if one.path.startswith(_LEDGER)]
    return {one.path.removeprefix(_LEDGER): {"size": one.size, "sha256": inputs[one.path]} for one in read}


def _files(build: Revision, published: Path, manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Describe each file that is given away, heldout too, by its place below data/publish; its bytes are read anew."""
    places = given_away({path: one.md5 for path, one in sorted(build.outputs().items())})
    found = {place: _file(published / place, manifest["files"].get(place, {}), md5) for place, md5 in places.items()}
    wrong = [
        place for place, stated in manifest["files"].items() if found.get(place, {}).get("sha256") != stated["sha256"]
    ]
    if wrong:
        msg = f"{', '.join(wrong)}: not the files that manifest.json names; run `pairtrail publish` again"
        raise PairtrailError(msg)
    return found


def _file(path: Path, stated: Mapping[str, Any], md5: str) -> dict[str, Any]:
    if md5_of(path) != md5:
        msg = f"{path.name}: DVC's cache holds another file than dvc.lock names; run `dvc repro --force publish`"
        raise PairtrailError(msg)
    return {
        "rows": stated.get("rows"),
        "bytes": path.stat().st_size,
        "sha256": file_digest(path),
        "content_sha256": stated.get("content_sha256"),
        "md5": md5,
    }


def sums(facts: Mapping[str, Any]) -> str:
    """Write the files' digests as `sha256sum --check` reads them, by places below the published folder."""
    return "".join(f"{stated['sha256']}  {place}\n" for place, stated in sorted(facts["files"].items()))


def notes(facts: Mapping[str, Any], begun: str | None) -> str:
    """Write the release notes: what the releaser `begun` them with, what the release holds, and what it changed."""
    rows = {side: [facts["files"][f"{side}/{table}.parquet"]["rows"] for table in ("pairs", "ties")] for side in SIDES}
    before = f"{facts['level'].upper()} change of {facts['previous']}" if facts["previous"] else "The first release"
    changed = [f"{one['kind']} {one['count']:,}" for one in (facts["changes"] or {"why": []})["why"]]
    why = f": {', '.join(changed)}" if changed else ""
    versions = ", ".join([*facts["policies"], *facts["rubrics"]]) or "none"
    return "\n".join(
        [
            f"# {facts['name']} {facts['version']}\n",
            *([f"{begun.strip()}\n"] if begun else []),
            f"{before}{why}. Consent looked at as of {facts['as_of']}; policies and rubrics: {versions}.\n",
            "| side | pairs | ties |\n|---|---:|---:|",
            *(f"| {side} | {pairs:,} | {ties:,} |" for side, (pairs, ties) in rows.items()),
            "",
        ]
    )
