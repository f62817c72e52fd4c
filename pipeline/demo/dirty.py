"""Ways to spoil a record: bytes that cannot be decoded, and values that do not fit."""

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pipeline.demo.ledger import Entry

Record = dict[str, Any]
ABSENT = object()
_LEVELS = 100


@dataclass(frozen=True, slots=True)
class Same:
    """The value that stands at another path."""

    path: str


Changes = Mapping[str, object]


def compact(record: Record) -> bytes:
    """Write a record as one line of JSON."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def changed(record: Record, changes: Changes) -> Record:
    """Return a copy with other values at dotted paths; ABSENT takes the key away."""
    copy: Record = deepcopy(record)
    for path, value in changes.items():
        *way, last = path.split(".")
        holder = _at(copy, way)
        if value is ABSENT:
            del holder[last]
        else:
            holder[int(last) if isinstance(holder, list) else last] = (
                _at(copy, value.path.split(".")) if isinstance(value, Same) else value
            )
    return copy


def _at(record: Record, way: list[str]) -> Any:  # noqa: ANN401 -- JSON holds anything
    found: Any = record
    for step in way:
        found = found[int(step) if isinstance(found, list) else step]
    return found


def _with(member: bytes) -> Callable[[bytes], bytes]:
    return lambda line: line[:-1] + b"," + member + b"}"


IN_LINES: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("invalid_utf8", lambda line: line.replace(b"zzmark", b"\xff\xfezzmark", 1)),
    ("broken_json", lambda line: line[: line.rindex(b',"')]),
    ("broken_json", lambda line: line.replace(b"{", b"{'single': 1,", 1)),
)
"""What only a line can show: in an array it would spoil all that follows."""

IN_OBJECTS: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("too_deep", _with(b'"trail":' + b"[" * _LEVELS + b"]" * _LEVELS)),
    ("duplicate_key", _with(b'"note":1,"note":2')),
    ("not_finite", _with(b'"score":NaN')),
    ("not_finite", _with(b'"score":1e400')),
    ("lone_surrogate", _with(b'"note":"\\ud83d"')),
    ("nul_character", _with(b'"note":"a\\u0000b"')),
    ("not_an_object", lambda line: b"[" + line + b"]"),
    ("not_an_object", lambda _: b'"zzmark0"'),
)
"""What an object can show wherever it stands."""


def spoilt(lines: Iterator[bytes], ways: tuple[tuple[str, Callable[[bytes], bytes]], ...]) -> Iterator[Entry]:
    """Spoil one line in each of these ways."""
    for (reason, spoil), line in zip(ways, lines, strict=False):
        yield Entry(spoil(line), fault=reason)
