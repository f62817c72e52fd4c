"""What git keeps of releases: releases/VERSION/release.json and what stands beside it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semver import Version

from pipeline.core.errors import PairtrailError
from pipeline.core.params import read_text
from pipeline.core.project import Project
from pipeline.lineage.releases.naming import as_version

FORMAT = "pairtrail-release-1"
FACTS = "release.json"
SUMS = "SHA256SUMS"
STATEMENT = "statement.dsse.json"
NOTES = "notes.md"
WITHDRAWN = "withdrawn.json"


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


def releases(project: Project) -> list[Release]:
    """Read all releases of the working tree, the oldest version first."""
    folders = [path.parent for path in project.releases.glob(f"*/{FACTS}")]
    found = [Release(as_version(folder.name), folder, _facts(folder / FACTS)) for folder in folders]
    return sorted(found, key=lambda release: release.version)


def last_release(project: Project) -> Release | None:
    """Return the release of the highest version, withdrawn or not: what was given away was given away."""
    return next(reversed(releases(project)), None)


def _facts(path: Path) -> dict[str, Any]:
    """Read a release.json. Raises PairtrailError where it is none."""
    try:
        facts = json.loads(read_text(path))
    except ValueError:
        facts = None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        msg = f"releases/{path.parent.name}/{path.name}: not as `pairtrail release` wrote it; take it back from git"
        raise PairtrailError(msg)
    return facts
