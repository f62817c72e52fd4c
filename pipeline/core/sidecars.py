"""The sidecar `source.yaml`: what a source states about itself. A missing statement is an error, never a guess."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from pipeline.core.errors import PairtrailError
from pipeline.core.fields import CHOICES, FIELDS, REQUIRED
from pipeline.core.params import STRICT, build, read_yaml
from pipeline.core.specs import AnySpec, Constant, FromPath, Spec, VersionSpec, side_of

Format = Literal["json", "csv", "tsv", "parquet"]
SIDECAR = "source.yaml"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
# Never data: what DVC and git keep beside the files.
_BESIDE = (SIDECAR, ".gitignore", "*.dvc")


@dataclass(frozen=True, slots=True)
class Consent:
    """What a source states about the legal basis of its use."""

    __pydantic_config__ = STRICT
    basis: str
    purposes: list[str]
    roles: list[Literal["prompt_author", "annotator", "third_party", "publisher"]]
    statement: str


@dataclass(frozen=True, slots=True)
class ConsentRef:
    """Where a record says who consented, in which role, by which consent record."""

    __pydantic_config__ = STRICT
    role: Literal["prompt_author", "annotator", "third_party", "publisher"]
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


def _as_group(content: Any) -> Any:  # noqa: ANN401
    return {"glob": content} if isinstance(content, str) else content


def _as_consent(content: Any) -> Any:  # noqa: ANN401
    return None if content == "none" else content


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
    license: str
    attribution: str
    collected_by: str
    approved_by: str
    policy_version: VersionSpec
    rubric_version: VersionSpec
    consent: Annotated[Consent | None, BeforeValidator(_as_consent)]
    format: Format
    files: list[Annotated[Group, BeforeValidator(_as_group)]]
    fields: Annotated[dict[str, Spec], BeforeValidator(_as_fields)]
    namespace: str | None = None
    join: dict[str, Join] = field(default_factory=dict)
    ignore: list[str] = field(default_factory=list)
    fan_out: list[FanOut] = field(default_factory=list)
    slices: dict[Literal["category", "language", "template_id", "safety"], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """A folder under data/raw with its sidecar."""

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

    def relative(self, path: Path) -> str:
        """Name a raw file relative to data/raw."""
        return path.relative_to(self.folder.parent).as_posix()

    def format(self, group: Group | Join) -> Format:
        """Return the format that a group's or a join's files are declared to have."""
        return group.format or self.sidecar.format

    def files(self, group: Group) -> list[Path]:
        """Return the group's raw files, sorted by path."""
        return self.matching(group.glob)

    def matching(self, pattern: str) -> list[Path]:
        """Return the folder's files that match a glob, sorted by path; links are not followed out of the folder."""
        found = (path for path in self.folder.glob(pattern) if path.is_file() and path.name != SIDECAR)
        return sorted(path for path in found if not any(path.match(beside) for beside in _BESIDE))

    def unmatched(self) -> list[Path]:
        """Return the files that no glob names: nothing in a source's folder is skipped in silence."""
        sidecar = self.sidecar
        globs = [group.glob for group in sidecar.files] + [join.glob for join in sidecar.join.values()] + sidecar.ignore
        named = {path for pattern in globs for path in self.matching(pattern)}
        return [path for path in self.matching("**/*") if path not in named]


def load_source(path: Path) -> Source:
    """Read and check one source.yaml; raises PairtrailError with every fault found."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        msg = f"{path}: a mapping is needed, with adapter, files, license, ..."
        raise PairtrailError(msg)
    sidecar = build(Sidecar, content, str(path))
    raw_refs = (content.get("fields") or {}).get("consent_refs", [])
    refs = [build(ConsentRef, ref, f"{path}: fields.consent_refs") for ref in raw_refs]
    source = Source(path.parent.name, path.parent, sidecar, refs)
    if faults := list(_faults(source)):
        raise PairtrailError("\n".join([f"{path}:", *(f"  {fault}" for fault in faults)]))
    return source


def load_sources(raw: Path) -> list[Source]:
    """Read every source below data/raw, sorted by name; a folder without a sidecar is an error."""
    folders = sorted(path for path in raw.iterdir() if path.is_dir()) if raw.is_dir() else []
    for folder in folders:
        if not (folder / SIDECAR).is_file():
            msg = f"{folder}: no {SIDECAR}; a source must state its adapter, licence, consent, policy and rubric"
            raise PairtrailError(msg)
    if not folders:
        msg = f"{raw}: no sources; put your logs into a folder below it, with a {SIDECAR}, or run `pairtrail demo`"
        raise PairtrailError(msg)
    return [load_source(folder / SIDECAR) for folder in folders]


def _faults(source: Source) -> Iterator[str]:
    if not _NAME.fullmatch(source.name):
        yield f"folder `{source.name}`: a source's name is lower-case letters, digits and _"
    globs = [group.glob for group in source.sidecar.files] + [join.glob for join in source.sidecar.join.values()]
    for pattern in globs:
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            yield f"glob `{pattern}` leaves the source's folder"
        elif not source.matching(pattern):
            yield f"glob `{pattern}` matches no file in {source.folder.name}/"
    if not source.sidecar.files:
        yield "`files` names no file"
    yield from _shared_files(source)
    yield from sorted({fault for group in source.sidecar.files for fault in _map_faults(source, group)})


def _shared_files(source: Source) -> Iterator[str]:
    """Find the files that would be read twice: by two groups, or as verdicts and as a side."""
    matched = [path for group in source.sidecar.files for path in source.files(group)]
    matched += {path for join in source.sidecar.join.values() for path in source.matching(join.glob)}
    for path in sorted({path for path in matched if matched.count(path) > 1}):
        yield f"{source.relative(path)} is matched by more than one of `files` and `join`"


def _map_faults(source: Source, group: Group) -> Iterator[str]:
    for _, specs in source.variants(group):
        for name, spec in specs.items():
            yield from _spec_faults(source, name, spec)
        for name in REQUIRED.get(source.sidecar.adapter, ()):
            if name not in specs:
                yield f"field `{name}` is not mapped: give a path, or {{constant: ...}} (null where nobody can say)"


def _spec_faults(source: Source, name: str, spec: AnySpec) -> Iterator[str]:
    if name not in FIELDS:
        near = get_close_matches(name, FIELDS, n=1)
        yield f"unknown field `{name}`{f'; did you mean `{near[0]}`?' if near else ''} (known: {', '.join(FIELDS)})"
    for path in spec.paths():
        side, _ = side_of(path)
        if side is not None and side not in source.sidecar.join:
            known_sides = ", ".join(source.sidecar.join) or "none"
            yield f"field `{name}`: `{path}` reads side `{side}`, but `join` has {known_sides}"
    known = CHOICES.get(name)
    targets: list[Any] = []
    if isinstance(spec, FromPath) and spec.values:
        targets = list(spec.values.values())
    elif isinstance(spec, Constant) and spec.constant is not None:
        targets = [spec.constant]
    for target in sorted({str(target) for target in targets if known and target not in known}):
        yield f"field `{name}`: `{target}` is not one of {', '.join(known or ())}"
