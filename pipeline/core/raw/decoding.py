"""Raw JSON records to values: a dict, or the reason why there is none."""

import json
import math
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any

Decoded = tuple[dict[str, Any] | None, str | None]
Decode = Callable[[bytes], Decoded]

# The first that applies is the reason.
_BY_RANK = ("duplicate_key", "not_finite", "lone_surrogate", "nul_character")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SUSPECT_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])"
    rb"|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]"
)
# A double holds no whole number of more digits, and the time Python takes to read one grows with its square.
_DOUBLE_DIGITS = 308


def json_decoder(depth: int) -> Decode:
    """Make the decoder of one JSON text, stripped of white space, that may nest `depth` levels.

    Depth is judged before anything is decoded, as a nested call per level could end the interpreter: what is too deep
    is not looked into for other faults. What can only stand in an escape is looked for only where there is one.
    """
    found: set[str] = set()
    read = _reader(found)

    def decode(raw: bytes) -> Decoded:
        found.clear()
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return None, "invalid_utf8"
        # Deleting is three times as fast as counting: it looks for the next bracket by memchr.
        if len(raw) - len(raw.replace(b"{", b"").replace(b"[", b"")) > depth and _depth(raw) > depth:
            return None, "too_deep"
        try:
            value = _read(text, read, found)
        except json.JSONDecodeError:
            return None, "broken_json"
        if _SUSPECT_ESCAPE.search(raw):
            found.update(escaped_reasons(raw))
        if found:
            return None, min(found, key=_BY_RANK.index)
        return (value, None) if isinstance(value, dict) else (None, "not_an_object")

    return decode


def _reader(found: set[str]) -> Callable[[str], tuple[Any, int]]:
    """Make the standard library's decoder, which adds to `found` what is allowed by its letter and not by ours.

    It is strict where faster ones change values in silence (`true` to "true", a lone surrogate to NUL).
    """

    def unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(members)
        if len(made) != len(members):
            found.add("duplicate_key")
        return made

    def finite(number: str) -> float:
        value = float(number)
        if not math.isfinite(value):
            found.add("not_finite")
        return value

    def whole(number: str) -> float:
        return int(number) if len(number) <= _DOUBLE_DIGITS else finite(number)

    hooks: dict[str, Any] = {"parse_float": finite, "parse_int": whole, "parse_constant": finite}
    return json.JSONDecoder(object_pairs_hook=unique, **hooks).raw_decode


def _read(text: str, read: Callable[[str], tuple[Any, int]], found: set[str]) -> Any:  # noqa: ANN401
    """Decode the whole text; where only raw NUL characters are in the way, say so."""
    try:
        value, end = read(text)
    except json.JSONDecodeError:
        end = -1
    if end == len(text):
        return value
    if "\0" in text:
        readable = text.replace("\0", " ").strip(" ")
        value, end = read(readable)
        if end == len(readable):
            found.add("nul_character")
            return value
    msg = "not one JSON text"
    raise json.JSONDecodeError(msg, "", 0)


def _depth(raw: bytes) -> int:
    """Count the levels of nesting, brackets inside strings aside, without nesting calls."""
    outside = raw.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2]
    brackets = b"".join(outside).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def escaped_reasons(raw: bytes) -> set[str]:
    """Find the escapes of characters that no text may hold; a backslash that is itself escaped begins none."""
    escapes = raw.replace(rb"\\", b"  ")
    found = set()
    if b"\\u0000" in escapes:
        found.add("nul_character")
    if _LONE_SURROGATE.search(escapes):
        found.add("lone_surrogate")
    return found
