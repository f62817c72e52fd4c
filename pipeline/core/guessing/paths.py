"""The paths that records hold, their names as words, and pairs of them such as `answer_1` and `answer_2`."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

# What a path can name without doubt: no dots or colons, and no text or person where a header is missing.
NAME = re.compile(r"[A-Za-z_][\w-]{0,40}( [\w-]{1,12}){0,3}", re.ASCII)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_DEPTH = 6
_MOST_PATHS = 400
# The share of values that must fit a guess: logs hold a broken record here and there, and the rest is told by count.
MOST = 0.9

# What tells two paths of a pair apart, and what would make them more than two.
MARKS: dict[tuple[str, str], tuple[str, ...]] = {
    ("a", "b"): ("c",),
    ("1", "2"): ("0", "3"),
    ("0", "1"): ("2",),
    ("x", "y"): ("z",),
    ("left", "right"): (),
    ("first", "second"): ("third",),
    ("one", "two"): ("three",),
    ("chosen", "rejected"): (),
}
MESSAGE_KEYS = (
    ("role", "content"),
    ("from", "value"),
    ("role", "text"),
    ("speaker", "text"),
    ("author", "text"),
    ("sender", "text"),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two paths that differ in a mark alone; `stem` is their words without it."""

    stem: tuple[str, ...]
    a: str
    b: str
    marks: tuple[str, str]


def words(name: str) -> tuple[str, ...]:
    """Cut a name into lower-case words: `responseA` and `response_a` are alike."""
    return tuple(word.lower() for word in _WORD.findall(name))


def found_paths(records: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Count, for each path with a plain name, the records in which it is not null; at most some hundred paths."""
    counts: dict[str, int] = {}
    for record in records:
        for path, value in _walked(record, "", _DEPTH):
            if value is not None and (path in counts or len(counts) < _MOST_PATHS):
                counts[path] = counts.get(path, 0) + 1
    return counts


def _walked(value: Any, above: str, depth: int) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Yield the leaves; a list of two is entered too, as the two responses may stand in it."""
    if isinstance(value, dict) and depth:
        for key, member in value.items():
            if isinstance(key, str) and NAME.fullmatch(key):
                yield from _walked(member, f"{above}.{key}" if above else key, depth - 1)
        return
    if isinstance(value, dict):
        return
    yield above, value
    if isinstance(value, list) and len(value) == 2 and depth and not message_keys([value]):  # noqa: PLR2004
        for place, member in enumerate(value):
            yield from _walked(member, f"{above}.{place}", depth - 1)


def message_keys(values: Sequence[Any]) -> tuple[str, str] | None:
    """Return the keys of role and text that most values have, which are lists of messages; None where they are not."""
    for keys in MESSAGE_KEYS:
        if values and sum(is_chat(value, *keys) for value in values) >= MOST * len(values):
            return keys
    return None


def is_chat(value: Any, role: str, content: str) -> bool:  # noqa: ANN401
    """Say whether a value is a list of messages with texts under these two keys."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(one, dict) and isinstance(one.get(role), str) and isinstance(one.get(content), str)
            for one in value
        )
    )


def pairs_among(paths: Iterable[str]) -> list[Pair]:
    """Find the paths that come in twos, and not in threes."""
    by_words = {words(path): path for path in paths}
    return [pair for spelt, path in by_words.items() for pair in _pairs_of(spelt, path, by_words)]


def _pairs_of(spelt: tuple[str, ...], path: str, by_words: dict[tuple[str, ...], str]) -> Iterator[Pair]:
    for place, word in enumerate(spelt):
        before, after = spelt[:place], spelt[place + 1 :]
        for (first, second), others in MARKS.items():
            partner = by_words.get((*before, second, *after))
            more = any((*before, other, *after) in by_words for other in others)
            if word == first and partner is not None and not more:
                yield Pair(before + after, path, partner, (first, second))
