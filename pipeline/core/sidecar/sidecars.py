"""The sidecar `source.yaml`: what a source states about itself. A missing statement is an error, never a guess."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from pipeline.core.params import STRICT, Day, Known, Stated
from pipeline.core.sidecar.specs import AnySpec, Constant, Spec, VersionSpec, side_of

Format = Literal["json", "csv", "tsv", "parquet"]
SIDECAR = "source.yaml"
# Never data: what DVC and git keep beside the files.
_BESIDE = (".gitignore", "*.dvc")

Role = Literal["prompt_author", "annotator", "third_party", "publisher"]


@dataclass(frozen=True, slots=True)
class Consent:
    """What a source states about the legal basis of its use; `record` is the consent record of the whole source."""

    __pydantic_config__ = STRICT
    basis: Stated
    purposes: list[Stated]
    roles: list[Role]
    statement: Stated
    record: Stated | None = None


@dataclass(frozen=True, slots=True)
class ConsentRef:
    """Where a record says who consented, in which role, by which consent record."""

    __pydantic_config__ = STRICT
    role: Role
    subject: Spec
    consent_id: Spec


@dataclass(frozen=True, slots=True)
class Group:
    """Files that are read alike; its fields override the source's."""

    __pydantic_config__ = STRICT
    glob: str
    format: Format | None = None
    fields: dict[str, Spec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Join:
    """A side file whose records are found by key: `on` is a path in the verdict, `key` one in the side record."""

    __pydantic_config__ = STRICT
    glob: str
    key: str
    on: str
    format: Format | None = None


@dataclass(frozen=True, slots=True)
class FanOut:
    """One of several comparisons that each record gives."""

    __pydantic_config__ = STRICT
    key: str
    fields: dict[str, Spec]


def leaves(pattern: str) -> bool:
    """Say whether a glob could reach beyond the folder that it stands in."""
    return not pattern.strip() or Path(pattern).is_absolute() or ".." in Path(pattern).parts


def matching(folder: Path, pattern: str, sidecar: str) -> list[Path]:
    """Return a folder's files that match a glob, sorted by path, less its sidecar and what DVC and git keep there.

    A glob that leaves the folder matches none.
    """
    if leaves(pattern):
        return []
    try:
        found = [path for path in folder.glob(pattern) if path.is_file()]
    except (ValueError, IndexError, NotImplementedError):
        return []
    return sorted(path for path in found if not any(path.match(beside) for beside in (sidecar, *_BESIDE)))


def _as_group(content: Any) -> Any:  # noqa: ANN401
    return {"glob": content} if isinstance(content, str) else content


def _as_consent(content: Any) -> Any:  # noqa: ANN401
    if content is None:
        msg = "state basis, purposes, roles and statement, or write `none`"
        raise ValueError(msg)
    return None if content == "none" else content


def _as_names(content: Any) -> Any:  # noqa: ANN401
    """Take a key whose last name was struck for an empty list."""
    return [] if content is None else content


def _as_fields(content: Any) -> Any:  # noqa: ANN401
    """Take `consent_refs` out of the field map: it is a list, not a value."""
    return (
        {name: spec for name, spec in content.items() if name != "consent_refs"}
        if isinstance(content, dict)
        else content
    )


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A source's statements, as its source.yaml gives them."""

    __pydantic_config__ = STRICT
    synthetic: bool
    adapter: str
    license: Stated
    attribution: Stated
    collected_by: Stated
    approved_by: Stated
    approved_on: Day
    policy_version: VersionSpec
    rubric_version: VersionSpec
    consent: Annotated[Consent | None, BeforeValidator(_as_consent)]
    format: Format
    files: list[Annotated[Group, BeforeValidator(_as_group)]]
    fields: Annotated[dict[str, Spec], BeforeValidator(_as_fields)]
    written_by: Known = None
    filtered_by: Known = None
    namespace: str | None = None
    join: dict[str, Join] = field(default_factory=dict)
    ignore: list[str] = field(default_factory=list)
    fan_out: list[FanOut] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    slices: dict[Literal["category", "language", "template_id", "safety"], str] = field(default_factory=dict)
    # Always empty here: a source with guesses that wait is refused before it is built.
    unconfirmed: Annotated[list[str], BeforeValidator(_as_names)] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A folder under data/raw with its sidecar; itself and no other, so that what was read for it can be kept."""

    name: str
    folder: Path
    sidecar: Sidecar
    consent_refs: list[ConsentRef]

    @property
    def namespace(self) -> str:
        """Name the space in which the raw annotator ids are distinct."""
        return self.sidecar.namespace or self.name

    def variants(self, group: Group) -> Iterator[tuple[str | None, dict[str, AnySpec]]]:
        """Yield each fan-out key with its complete field map (one None key where records give one comparison)."""
        base: dict[str, AnySpec] = {
            "policy_version": self.sidecar.policy_version,
            "rubric_version": self.sidecar.rubric_version,
            **{name: Constant(value) for name, value in self.sidecar.slices.items()},
            **self.sidecar.fields,
            **group.fields,
        }
        if not self.sidecar.fan_out:
            yield None, base
        for entry in self.sidecar.fan_out:
            yield entry.key, {**base, **entry.fields}

    def used_sides(self, specs: dict[str, AnySpec]) -> list[str]:
        """Return the joins that a field map and the consent references read, sorted."""
        read = [*specs.values(), *(spec for ref in self.consent_refs for spec in (ref.subject, ref.consent_id))]
        return sorted({side for spec in read for path in spec.paths() if (side := side_of(path)[0])})

    def patterns(self) -> list[tuple[str, Format]]:
        """Return the globs of everything that is read, each with the format that its files are declared to have."""
        read: list[Group | Join] = [*self.sidecar.files, *self.sidecar.join.values()]
        return [(one.glob, self.format(one)) for one in read]

    def globs(self) -> list[str]:
        """Return the globs of everything that is read."""
        return [pattern for pattern, _ in self.patterns()]

    def relative(self, path: Path) -> str:
        """Name a raw file relative to data/raw."""
        return path.relative_to(self.folder.parent).as_posix()

    def format(self, group: Group | Join) -> Format:
        """Return the format that a group's or a join's files are declared to have."""
        return group.format or self.sidecar.format

    def text_alone(self, group: Group) -> frozenset[str | None]:
        """Return what is CSV among a group's records (None) and the sides."""
        formats: dict[str | None, Format] = {name: self.format(join) for name, join in self.sidecar.join.items()}
        formats[None] = self.format(group)
        return frozenset(name for name, declared in formats.items() if declared in {"csv", "tsv"})

    def files(self, group: Group) -> list[Path]:
        """Return the group's raw files, sorted by path."""
        return self.matching(group.glob)

    def matching(self, pattern: str) -> list[Path]:
        """Return the folder's files that match a glob, sorted by path; a glob that leaves the folder matches none."""
        return matching(self.folder, pattern, SIDECAR)

    def unmatched(self) -> list[Path]:
        """Return the files that no glob names: nothing in a source's folder is skipped in silence."""
        named = {path for pattern in self.globs() + self.sidecar.ignore for path in self.matching(pattern)}
        return [path for path in self.matching("**/*") if path not in named]
