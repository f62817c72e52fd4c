"""Value specs: the few ways in which a sidecar says where a comparison's field comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from pipeline.core.errors import PairtrailError
from pipeline.core.params import STRICT, build

Label = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class FromPath:
    """The value at a path of the record (`a.b.0`), or of a joined side record (`side:a.b`)."""

    __pydantic_config__ = STRICT
    path: str
    values: dict[str, str | float | int] | None = None
    scale: list[float] | None = None
    unit: Literal["seconds", "milliseconds"] | None = None
    format: str | None = None

    def paths(self) -> list[str]:
        """Return the paths that are read."""
        return [self.path]


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value for every record."""

    __pydantic_config__ = STRICT
    constant: Label

    def paths(self) -> list[str]:
        """Return the paths that are read: none."""
        return []


@dataclass(frozen=True, slots=True)
class Template:
    """A text with `{path}` placeholders, stripped at both ends."""

    __pydantic_config__ = STRICT
    template: str

    def pieces(self) -> Iterator[tuple[str, str | None]]:
        """Yield pairs of literal text and the path that follows it (None at the end)."""
        for literal, path, format_spec, _ in Formatter().parse(self.template):
            yield literal, f"{path}:{format_spec}" if format_spec else path

    def paths(self) -> list[str]:
        """Return the paths that are read."""
        return [path for _, path in self.pieces() if path is not None]


@dataclass(frozen=True, slots=True)
class Messages:
    """A list of messages at a path, with the names of its role and content keys and of its roles."""

    __pydantic_config__ = STRICT
    messages: str
    role: str = "role"
    content: str = "content"
    roles: dict[str, str] | None = None

    def paths(self) -> list[str]:
        """Return the paths that are read."""
        return [self.messages]


AnySpec = FromPath | Constant | Template | Messages
_KINDS = {"path": FromPath, "constant": Constant, "template": Template, "messages": Messages}


def as_spec(content: Any) -> AnySpec:  # noqa: ANN401
    """Turn parsed YAML into a spec: a bare string is a path, a mapping is told by its first key."""
    if isinstance(content, str):
        return FromPath(content)
    kind = next((kind for key, kind in _KINDS.items() if isinstance(content, dict) and key in content), None)
    if kind is None:
        msg = f"a field is a path, or a mapping with one of {', '.join(_KINDS)}"
        raise ValueError(msg)
    try:
        spec: AnySpec = build(kind, content, "value spec")
    except PairtrailError as error:
        raise ValueError(str(error).replace("\n", " ")) from None
    if isinstance(spec, Template):
        _whole(spec)
    if isinstance(spec, FromPath) and spec.scale is not None and not _rising(spec.scale):
        msg = f"scale {spec.scale} must be two numbers, the lower first"
        raise ValueError(msg)
    return spec


def _whole(template: Template) -> None:
    """Refuse a template with a brace too many, or with a placeholder that names no path."""
    try:
        named = all(template.paths()) and not any(part[3] for part in Formatter().parse(template.template))
    except ValueError:
        named = False
    if not named:
        msg = "template: placeholders are paths in braces, `{like.this}`; a brace itself is written twice, `{{`"
        raise ValueError(msg)


def as_version(content: Any) -> AnySpec:  # noqa: ANN401
    """Turn a policy or rubric statement into a spec: a bare string is the version itself."""
    return Constant(content) if isinstance(content, str) else as_spec(content)


def _rising(scale: list[float]) -> bool:
    return len(scale) == 2 and all(map(isfinite, scale)) and scale[0] < scale[1]  # noqa: PLR2004


Spec = Annotated[AnySpec, BeforeValidator(as_spec)]
VersionSpec = Annotated[AnySpec, BeforeValidator(as_version)]


def side_of(path: str) -> tuple[str | None, str]:
    """Split `side:path` into the side's name (None for the record itself) and the path within it."""
    side, colon, rest = path.partition(":")
    return (side, rest) if colon else (None, path)
