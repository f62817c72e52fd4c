"""The ledger's events: lines of JSON in data/ledger/consent, each held against the codes before any is believed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import TypeAdapter, ValidationError

from pipeline.core.consent.rules import RULES, TIMES, as_instant, is_license, time_needed
from pipeline.core.digests import digest, framed
from pipeline.core.errors import PairtrailError
from pipeline.core.params import STRICT, build
from pipeline.core.raw.bytestream import open_stream
from pipeline.core.raw.decoding import json_decoder
from pipeline.core.raw.rawfiles import uncollected
from pipeline.core.raw.splitting import Slice, json_lines
from schemas.columns import dtypes
from schemas.consents import EVENTS

Where = Callable[[int], str]

LINES = 50_000
LINE_BYTES = 64 * 2**10
_DEPTH = 4
_MOST_TOLD = 20
# No further line is looked at once so many are malformed.
MOST_FOUND = 1_000
# A member's name, where no backslash stands in the line: what ends a string and has a colon behind it.
_MEMBER = r'"\s*:'


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the ledger, as it is written; what each key means: schemas/consents.py."""

    __pydantic_config__ = STRICT
    consent_id: str
    subject: str
    status_time: str
    status: str | None = None
    purposes: list[str] | None = None
    legal_basis: list[str] | None = None
    jurisdiction: str | None = None
    valid_until: str | None = None
    retention_until: str | None = None
    special_category: bool | None = None
    license: str | None = None
    conforms_to: str | None = None
    withdrawal_method: str | None = None
    notice_uri: str | None = None
    notice_version: str | None = None
    language: str | None = None
    evidence_sha256: str | None = None
    collection_method: str | None = None
    controller: str | None = None
    recipients: list[str] | None = None


_AS_WRITTEN = {name: pl.String if name in TIMES else dtype for name, dtype in dtypes(EVENTS).items()}
_SEVERAL = [name for name, dtype in _AS_WRITTEN.items() if dtype == pl.List(pl.String)]
_SHAPE = TypeAdapter(list[Event])
_decode = json_decoder(_DEPTH)


def ledger_files(ledger: Path) -> list[Path]:
    """Return the files of the consent ledger, sorted by name."""
    return sorted((ledger / "consent").glob("*.jsonl"))


def read_events(ledger: Path) -> pl.DataFrame:
    """Return all events of the ledger, each once, with their digests as `event`; in one order, whatever the files'.

    Raises PairtrailError that names file, line and key of what is malformed; then nothing of the ledger is used.
    """
    faults: list[str] = []
    read = [_empty()]
    for path in ledger_files(ledger):
        for frame, found in _read_file(path):
            faults += found
            read.append(frame)
            if len(faults) >= MOST_FOUND:
                refuse("the consent ledger", faults)
    refuse("the consent ledger", faults)
    return pl.concat(read).unique("event").sort("consent_id", "subject", "status_time", "event")


def refuse(what: str, faults: list[str]) -> None:
    """Raise PairtrailError with the first faults of `what`, and how many there are, unless there are none."""
    if not faults:
        return
    count = f"{len(faults):,}" if len(faults) < MOST_FOUND else f"{MOST_FOUND:,} or more"
    more = [f"  and {len(faults) - _MOST_TOLD:,} more"] if len(faults) > _MOST_TOLD else []
    head = f"{what} has {count} faults; nothing of it was used:"
    raise PairtrailError("\n".join([head, *(f"  {fault}" for fault in faults[:_MOST_TOLD]), *more]))


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema={**dtypes(EVENTS), "event": pl.String})


def _read_file(path: Path) -> Iterator[tuple[pl.DataFrame, list[str]]]:
    """Yield the events of a file, some lines at a time, with the faults found among them."""
    try:
        with path.open("rb", buffering=0) as file:
            slices = json_lines(open_stream(file), LINE_BYTES)
            while lines := list(islice(slices, LINES)):
                yield read_lines(lines, lambda row: f"{path.name}: line {row}")
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); check that it is there, whole, and may be read"
        raise PairtrailError(msg) from error


def read_lines(lines: list[Slice], where: Where) -> tuple[pl.DataFrame, list[str]]:
    """Read lines by column, with their digests; where any has a fault, the faults count and the events do not.

    A line that is not plainly sound is looked at by itself, as columns forgive too much. `where` names a line in its
    faults, by its number.
    """
    raws = [raw for _, raw, _ in lines]
    if any(reason for *_, reason in lines) or not _are_events(raws):
        return _empty(), list(islice((fault for line in lines for fault in _faults_of_line(line, where)), MOST_FOUND))
    written = pl.read_ndjson(BytesIO(b"\n".join(raws)), schema=_AS_WRITTEN)
    doubtful = _doubtful(pl.Series(raws, dtype=pl.Binary).cast(pl.String), written)
    faults = list(islice((fault for place in doubtful for fault in _faults_of_line(lines[place], where)), MOST_FOUND))
    return _typed(written, [row for row, *_ in lines], where, faults)


def _are_events(raws: list[bytes]) -> bool:
    try:
        with uncollected():
            return len(_SHAPE.validate_json(b"[" + b",".join(raws) + b"]")) == len(raws)
    except ValidationError:
        return False


def _doubtful(texts: pl.Series, written: pl.DataFrame) -> list[int]:
    """Find the lines in which a key may stand twice, or an escape may hide something."""
    stated = written.select(pl.sum_horizontal(pl.all().is_not_null())).to_series()
    unequal = texts.str.count_matches(_MEMBER) != stated
    return (unequal | texts.str.contains("\\", literal=True)).arg_true().to_list()


def _faults_of_line(line: Slice, where: Where) -> list[str]:
    row, raw, reason = line
    here = where(row)
    value, undecoded = (None, reason) if reason else _decode(raw)
    if value is None:
        return [f"{here}: {undecoded}"]
    try:
        build(Event, value, here)
    except PairtrailError as error:
        return [" ".join(str(error).split("\n  "))]
    return []


def _typed(written: pl.DataFrame, rows: list[int], where: Where, faults: list[str]) -> tuple[pl.DataFrame, list[str]]:
    """Read times, and hold every value against its rule."""
    typed = written.with_columns(as_instant(column) for column in TIMES)
    for column in TIMES:
        unread = (written[column].is_not_null() & typed[column].is_null()).arg_true()
        faults += [f"{where(rows[place])}: {time_needed(column)}" for place in unread]
    broken = written.select(rule.broken(column, several=column in _SEVERAL) for column, rule in RULES.items())
    for column in broken.columns:
        faults += [
            f"{where(rows[place])}: {RULES[column].told(column, _first(written, column, place))}"
            for place in broken[column].arg_true()
        ]
    unlicensed = [one for one in written["license"].unique().drop_nulls() if not is_license(one)]
    faults += [
        f"{where(rows[place])}: `license`: an SPDX expression is needed; LicenseRef-NAME where SPDX lists none"
        for place in written["license"].is_in(unlicensed).arg_true()
    ]
    return typed.with_columns(event=_event_digest()), faults


def _first(written: pl.DataFrame, column: str, place: int) -> str:
    """Return the value that breaks a rule, for the nearest known one to be found."""
    value: Any = written[column][place]
    if isinstance(value, str):
        return value
    codes = RULES[column].codes or ()
    return next((one for one in value if one not in codes), None) or ""


def _event_digest() -> pl.Expr:
    """Name an event by all that it states, a list in any order."""
    parts = []
    for column, dtype in dtypes(EVENTS).items():
        if column in _SEVERAL:
            parts.append(pl.col(column).list.eval(framed(pl.element())).list.unique().list.sort().list.join(""))
        else:
            value = pl.col(column)
            parts.append(value if dtype == pl.String else value.to_physical().cast(pl.String))
    return digest(pl.lit("consent event"), *parts)
