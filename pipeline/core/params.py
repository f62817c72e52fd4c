"""YAML to frozen dataclasses, where an unknown or missing key is an error that lists the known ones."""

import json
import re
from copy import deepcopy
from dataclasses import fields
from datetime import date
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

from pydantic import BeforeValidator, ConfigDict, StringConstraints, TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from pipeline.core.errors import PairtrailError

_MOST_VALUES = 100_000
STRICT = ConfigDict(extra="forbid", strict=True)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def is_day(text: str) -> bool:
    """Say whether a text is a day of the calendar, written as 2026-01-31."""
    try:
        return _DAY.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _as_day(content: Any) -> Any:  # noqa: ANN401
    if isinstance(content, str) and is_day(content):
        return content
    msg = "a day of the calendar is needed, written as 2026-01-31"
    raise ValueError(msg)


def _as_known(content: Any) -> Any:  # noqa: ANN401
    if content is None:
        msg = "it is blank; state it, or take the key out where nobody knows"
        raise ValueError(msg)
    return content


Day = Annotated[str, BeforeValidator(_as_day)]
# A blank states nothing.
Stated = Annotated[str, StringConstraints(pattern=r"\S")]
# May be left out, which says that nobody knows; but not left blank.
Known = Annotated[Stated | None, BeforeValidator(_as_known)]


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


T = TypeVar("T", bound=_Dataclass)


def read_yaml(path: Path) -> Any:  # noqa: ANN401
    """Read one YAML 1.2 document (so `yes` and `no` stay words); a repeated key or broken syntax is an error."""
    return parse_yaml(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Read a UTF-8 text file, whatever system's line ends it has."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        msg = f"{path}: no such file"
    except UnicodeDecodeError:
        msg = f"{path}: not UTF-8"
    raise PairtrailError(msg)


def parse_yaml(text: str, where: str = "YAML") -> Any:  # noqa: ANN401
    """Parse YAML 1.2 with the safe loader; `where` names the text in errors, with a line number beside it."""
    try:
        return deepcopy(_bounded(_loaded(text), where))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        msg = f"{where}: line {line}: {error.problem}"
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        msg = f"{where}: line {line}: a character that YAML does not allow"
    except (ValueError, RecursionError):
        msg = f"{where}: {_no_day(text) or 'a date or number that does not exist, or lists too deep to read'}"
    raise PairtrailError(msg)


@lru_cache(maxsize=64)
def _loaded(text: str) -> Any:  # noqa: ANN401
    """Load a text once: dvc.lock alone takes half a second, and a check asks each sidecar several times."""
    return YAML(typ="safe", pure=True).load(text)


@cache
def _reader(kind: type[T]) -> TypeAdapter[T]:
    """Make the reader of a dataclass once, as that takes longer than to read with it."""
    return TypeAdapter(kind)


def _no_day(text: str) -> str | None:
    """Name the first line with a date that no calendar has, such as 2026-02-30: the parser does not say which."""
    for number, line in enumerate(text.split("\n"), start=1):
        if wrong := next((day for day in _DAY.findall(line) if not is_day(day)), None):
            return f"line {number}: {wrong} is no day of the calendar"
    return None


def written(value: Any) -> str:  # noqa: ANN401
    """Write a value as YAML does: `true`, not `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bounded(content: Any, where: str) -> Any:  # noqa: ANN401
    """Refuse content that repeats itself through aliases beyond any sidecar's size, or without end."""
    waiting, seen = [content], 0
    while waiting:
        one = waiting.pop()
        seen += 1
        if seen > _MOST_VALUES:
            msg = f"{where}: more than {_MOST_VALUES:,} values; are aliases repeating each other?"
            raise PairtrailError(msg)
        if isinstance(one, dict) and len({written(key) for key in one}) < len(one):
            msg = f"{where}: two keys are written alike, such as 1 and '1'"
            raise PairtrailError(msg)
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return content


def section(kind: type[T], name: str, path: Path) -> T:
    """Read the section `name` of params.yaml into the frozen dataclass `kind`."""
    return build(kind, _stated(kind, name, path), f"{path}: {name}")


def part_of_section(kind: type[T], name: str, path: Path) -> T:
    """Read the keys of the section `name` that the dataclass `kind` has; the others are their own reader's to check."""
    stated = _stated(kind, name, path)
    held = {field.name: stated[field.name] for field in fields(kind) if field.name in stated}
    return build(kind, held, f"{path}: {name}")


def _stated(kind: type[T], name: str, path: Path) -> dict[Any, Any]:
    params = read_yaml(path)
    if not isinstance(params, dict) or not isinstance(params.get(name), dict):
        held = ", ".join(field.name for field in fields(kind)) or "nothing yet, so write {}"
        msg = f"{path}: no section `{name}`; it holds {held}"
        raise PairtrailError(msg)
    if unquoted := [key for key, value in params[name].items() if isinstance(value, date)]:
        msg = f'{path}: {name}: {", ".join(unquoted)}: write the day in quotes, as "2026-01-31": DVC reads no bare one'
        raise PairtrailError(msg)
    stated: dict[Any, Any] = params[name]
    return stated


def build(kind: type[T], content: Any, where: str) -> T:  # noqa: ANN401
    """Build the dataclass `kind` from parsed YAML; every fault is named in one error."""
    try:
        # As JSON, because strict validation of Python objects would ask for the dataclass itself.
        built: T = _reader(kind).validate_json(json.dumps(content, default=str))
    except TypeError:
        msg = f"{where}: a key is a list or a mapping; keys are plain words"
        raise PairtrailError(msg) from None
    except ValidationError as error:
        lines = "\n".join(f"  {_fault(kind, fault)}" for fault in error.errors(include_url=False, include_input=False))
        msg = f"{where}:\n{lines}"
        raise PairtrailError(msg) from None
    return built


def _fault(kind: type[_Dataclass], fault: Any) -> str:  # noqa: ANN401
    path = [str(step) for step in fault["loc"] if not str(step).startswith(("function-", "tagged-"))]
    where, last = ".".join(path), path[-1] if path else ""
    if fault["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return f"unknown key `{where}`{_nearest(last, _known(kind, path[:-1]))}"
    if fault["type"] in {"missing", "missing_argument"}:
        return f"missing key `{where}`: it must be stated, never guessed"
    told = str(fault["msg"]).removeprefix("Value error, ")
    return f"`{where}`: {told}" if where else told


def _known(kind: Any, path: list[str]) -> list[str]:  # noqa: ANN401
    """Return the keys known at a path of field names, list places and free keys."""
    for step in path:
        known = {field.name: field.type for field in fields(kind)}
        if step not in known:
            continue
        kind = next((part for part in _parts(known[step]) if hasattr(part, "__dataclass_fields__")), None)
        if kind is None:
            return []
    return [field.name for field in fields(kind)]


def _parts(annotation: Any) -> list[Any]:  # noqa: ANN401
    return [annotation, *(part for inner in getattr(annotation, "__args__", ()) for part in _parts(inner))]


def _nearest(word: str, known: list[str]) -> str:
    near = get_close_matches(word, known, n=1)
    hint = f"; did you mean `{near[0]}`?" if near else ""
    return f"{hint} (known: {', '.join(known)})" if known else hint
