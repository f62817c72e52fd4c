"""What releases are called: a semantic version, and the tag that GTO reads, NAME@vVERSION."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints
from semver import Version

from pipeline.core.errors import PairtrailError
from pipeline.core.params import STRICT, section
from pipeline.core.project import Project


@dataclass(frozen=True, slots=True)
class Params:
    """The section `release` of params.yaml."""

    __pydantic_config__ = STRICT
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])$")]
    """What the tags call the dataset."""
    approvals: Annotated[int, Field(ge=0)]
    """How many signatures beside the releaser's a release needs before `pairtrail release verify` passes it."""


def release_params(project: Project) -> Params:
    """Read the section `release` of params.yaml."""
    return section(Params, "release", project.params)


def as_version(text: str) -> Version:
    """Read `1.2.0` or `v1.2.0`. Raises PairtrailError where it is no semantic version."""
    try:
        return Version.parse(text.removeprefix("v"))
    except ValueError:
        msg = f"`{text}` is no version; write MAJOR.MINOR.PATCH, such as 1.2.0 (semver.org)"
        raise PairtrailError(msg) from None


def tag_of(project: Project, text: str) -> str | None:
    """Return the tag of the release that a text may name; None where it is no version."""
    version = text.removeprefix("v")
    return f"{release_params(project).name}@v{version}" if Version.is_valid(version) else None
