"""What git keeps of releases: releases/VERSION/release.json and what stands beside it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from semver import Version

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.lineage.releases.naming import as_version

FORMAT = "pairtrail-release-1"
FACTS = "release.json"
SUMS = "SHA256SUMS"
STATEMENT = "statement.dsse.json"
NOTES = "notes.md"
CROISSANT = "croissant.json"
WITHDRAWN = "withdrawn.dsse.json"
_LARGEST = 256 * 2**20
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_KEYS = {"version", "name", "build_commit", "approvals_needed", "signed_by", "schema", "ledgers", "files"}


PUBLISHED = "data/publish"
_NOT_GIVEN = ("docs", "counts.json")


@dataclass(frozen=True, slots=True)
class Release:
    """A release as git keeps it: its version, its folder, and the facts of its release.json."""

    version: Version
    folder: Path
    facts: dict[str, Any]

    @property
    def withdrawn(self) -> bool:
        """Whether it was withdrawn."""
        return (self.folder / WITHDRAWN).exists()


def given_away(outputs: Mapping[str, str]) -> dict[str, str]:
    """Return those of a build's outputs (MD5 by place) that a release gives away, by places below data/publish."""
    below = {
        place.removeprefix(f"{PUBLISHED}/"): digest
        for place, digest in outputs.items()
        if place.startswith(f"{PUBLISHED}/")
    }
    return {place: digest for place, digest in below.items() if place not in _NOT_GIVEN}


def releases(project: Project) -> list[Release]:
    """Read all releases of the working tree, the oldest version first."""
    found = [read_release(path.parent) for path in project.releases.glob(f"*/{FACTS}")]
    return sorted(found, key=lambda release: release.version)


def read_release(folder: Path) -> Release:
    """Read a release from its folder. Raises PairtrailError where it is none."""
    return Release(as_version(folder.name), folder, _facts(folder / FACTS))


def release_of(project: Project, text: str) -> Release:
    """Find a release by its version. Raises PairtrailError with the known ones where there is none."""
    version, known = as_version(text), releases(project)
    found = next((release for release in known if release.version == version), None)
    if found is None:
        told = ", ".join(str(release.version) for release in known) or "none"
        msg = f"{version}: no such release in releases/ (known: {told})"
        raise PairtrailError(msg)
    return found


def last_release(project: Project) -> Release | None:
    """Return the release of the highest version, withdrawn or not: what was given away was given away."""
    return next(reversed(releases(project)), None)


def _facts(path: Path) -> dict[str, Any]:
    """Read a release.json. Raises PairtrailError where it is none."""
    try:
        facts = read_json(path)
    except PairtrailError:
        facts = None
    if not isinstance(facts, dict) or not _is_sound(facts):
        msg = f"releases/{path.parent.name}/{path.name}: not as `pairtrail release` wrote it; take it back from git"
        raise PairtrailError(msg)
    return facts


def read_json(path: Path) -> Any:  # noqa: ANN401
    """Read a JSON file of a release. Raises PairtrailError where it is none, too deep, or larger than any of ours."""
    try:
        if path.stat().st_size <= _LARGEST:
            return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        pass
    msg = f"{path.name}: no JSON file that can be read"
    raise PairtrailError(msg)


def _is_sound(facts: dict[str, Any]) -> bool:
    """Say whether facts have the shape of a release.json, and name files below their folder only."""
    if facts.get("format") != FORMAT or not facts.keys() >= _KEYS:
        return False
    if not _COMMIT.fullmatch(str(facts["build_commit"])):
        return False
    files = facts["files"]
    return isinstance(files, dict) and all(_is_below(place) and isinstance(files[place], dict) for place in files)


def _is_below(place: str) -> bool:
    path = PurePosixPath(place)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in place
