"""One line of the ledger: is it an event, and if not, what is wrong with it? What a line states is never repeated."""

import json
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import polars as pl

from pipeline.core.raw.decoding import json_decoder
from pipeline.core.raw.splitting import SPACE
from schemas.columns import dtypes
from schemas.consents import EVENTS

MOST_BYTES = 64 * 2**10
TEXTS = pl.List(pl.String)
KEYS = {name: dtype if dtype in (TEXTS, pl.Boolean) else pl.String for name, dtype in dtypes(EVENTS).items()}
"""The keys of an event, each with the type that it is written in; a time is written as a text."""
REQUIRED = [name for name, column in EVENTS.columns.items() if not column.nullable]

_NEEDED = {pl.String: "a text", TEXTS: "a list of texts", pl.Boolean: "true or false"}
KEY_TWICE = "a key stands twice"
_UNDECODED = {
    "broken_json": "not one JSON object on one line",
    "duplicate_key": KEY_TWICE,
    "invalid_utf8": "not UTF-8",
    "lone_surrogate": "half of a surrogate pair, which no text may hold",
    "not_an_object": "not a JSON object",
    "not_finite": "a number that is not finite",
    "nul_character": "a NUL character, which no text may hold",
    "too_deep": "nested deeper than any event",
}
_decode = json_decoder(depth=4)

# An event as a regular language: an object of known keys, each with a value of its type. Reading lines into columns
# forgives too much (Polars turns 5 into "5"), so only lines of this language are read so.
_SPACE = r"[ \t\r]*"
_TEXT = r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"'
_LIST = rf"\[{_SPACE}(?:{_TEXT}{_SPACE}(?:,{_SPACE}{_TEXT}{_SPACE})*)?\]"


def _members() -> Iterator[str]:
    for dtype, written in ((pl.String, _TEXT), (TEXTS, _LIST), (pl.Boolean, "true|false")):
        for needed, value in ((True, written), (False, f"{written}|null")):
            names = [name for name, kind in KEYS.items() if kind == dtype and (name in REQUIRED) is needed]
            if names:
                yield rf'"(?:{"|".join(names)})":{_SPACE}(?:{value})'


_MEMBER = f"(?:{'|'.join(_members())}){_SPACE}"
_EVENT = rf"^{_SPACE}\{{{_SPACE}{_MEMBER}(?:,{_SPACE}{_MEMBER})*\}}{_SPACE}$"
# NUL and surrogates, whether in pairs or not.
_UNTOLD = r"\\u(?:0000|[dD][89a-fA-F])"
# In such a line these are the keys and nothing else: a quote inside a text has a backslash before it.
_KEY = r'"[a-z0-9_]+":'


def plainly_events(lines: pl.Series) -> pl.Series:
    """Say which lines are surely events, but for keys that miss or stand twice; the others are to be looked at."""
    sound = lines.str.contains(_EVENT) & ~lines.str.contains(_UNTOLD) & (lines.str.len_bytes() <= MOST_BYTES)
    return sound.fill_null(value=False)


def repeating(lines: pl.Series, written: pl.DataFrame) -> pl.Series:
    """Say in which of the lines that are plainly events a key stands twice; `written` is what was read of them.

    Where as many keys stand in the line as values were read, none does, and there is no need to look at each.
    """
    values = written.select(pl.sum_horizontal(pl.all().is_not_null())).to_series()
    unsure = lines.str.count_matches('":', literal=True) != values
    keys = lines.filter(unsure).str.extract_all(_KEY)
    return unsure.clone().scatter(unsure.arg_true(), keys.list.n_unique() != keys.list.len())


def looked_at(line: bytes) -> tuple[str | None, list[str]]:
    """Return the event of a line, written plainly, or what is wrong with it; neither for a blank line."""
    if len(line) > MOST_BYTES:
        return None, [f"longer than {MOST_BYTES:,} bytes"]
    text = line.strip(SPACE)
    if not text:
        return None, []
    event, reason = _decode(text)
    if event is None:
        return None, [_UNDECODED[reason or "broken_json"]]
    faults = [fault for key, value in event.items() if (fault := _fault(key, value))]
    faults += [f"missing key `{key}`" for key in REQUIRED if key not in event]
    return (None, faults) if faults else (json.dumps(event), [])


def _fault(key: str, value: Any) -> str | None:  # noqa: ANN401
    """Say what is wrong with a key or with the type of its value."""
    if key not in KEYS:
        return f"an unknown key; {nearest(key, tuple(KEYS))}"
    if value is None and key not in REQUIRED:
        return None
    kind = KEYS[key]
    if kind == TEXTS:
        sound = isinstance(value, list) and all(isinstance(one, str) for one in value)
    else:
        sound = isinstance(value, bool if kind == pl.Boolean else str)
    return None if sound else f"`{key}`: {_NEEDED[kind]} is needed"


def nearest(stated: str, known: tuple[str, ...]) -> str:
    """Name the known word that is nearest to what is stated, or all of them; what is stated may be anything."""
    near = get_close_matches(stated, known, n=1)
    return f"nearest known: {near[0]}" if near else f"known: {', '.join(known)}"
