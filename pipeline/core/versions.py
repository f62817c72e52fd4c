"""Policies and rubrics: Markdown files with front matter, one per version."""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from pipeline.core.errors import PairtrailError
from pipeline.core.params import STRICT, Day, Known, Stated, build, parse_yaml, read_text

_FENCE = "---"


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What a policy or rubric states about itself."""

    __pydantic_config__ = STRICT
    version: str
    title: str
    effective: Day
    approved_by: Stated
    approved_on: Day
    written_by: Known = None
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a policy or rubric, with the digest of its whole file."""

    front_matter: FrontMatter
    sha256: str
    path: Path = field(compare=False)


def load_versions(folder: Path) -> dict[str, Version]:
    """Read every version in a folder; the file's name must be the version's."""
    return {path.stem: _load(path) for path in sorted(folder.glob("*.md"))} if folder.is_dir() else {}


def _load(path: Path) -> Version:
    parts = read_text(path).split(f"{_FENCE}\n", 2)
    if len(parts) != 3 or parts[0].strip():  # noqa: PLR2004
        keys = "version, title, effective, approved_by and approved_on"
        msg = f"{path}: no front matter; between two `{_FENCE}` lines state {keys}"
        raise PairtrailError(msg)
    front = build(FrontMatter, parse_yaml(parts[1], str(path)), str(path))
    if front.version != path.stem:
        msg = f"{path}: `version` is {front.version}, but the file's name says {path.stem}"
        raise PairtrailError(msg)
    return Version(front, sha256(path.read_bytes()).hexdigest(), path)
