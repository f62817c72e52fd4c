"""The ledger's events: lines of JSON in data/ledger/consent, each held against the codes before any is believed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from itertools import islice
from pathlib import Path

import polars as pl

from pipeline.core.consent.lines import KEY_TWICE, KEYS, MOST_BYTES, TEXTS, looked_at, plainly_events, repeating
from pipeline.core.consent.rules import RULES, broken, read_times
from pipeline.core.digests import digest, framed
from pipeline.core.errors import PairtrailError
from pipeline.core.raw.bytestream import is_compressed
from schemas.columns import dtypes
from schemas.consents import EVENTS

Piece = tuple[int, list[bytes]]
Fault = tuple[int, str]

_PIECE = 8 * 2**20
_MOST_TOLD = 20
# No further line is looked at once so many faults are found.
MOST_FOUND = 1_000
_LISTS = [name for name, dtype in KEYS.items() if dtype == TEXTS]
_NONE = pl.DataFrame(schema={**dtypes(EVENTS), "event": pl.String})
_ORDER = ["consent_id", "subject", "status_time", "event"]


def ledger_files(ledger: Path) -> list[Path]:
    """Return the files of the consent ledger, sorted by name.

    A file that is not read might hold a withdrawal: one of another name is refused, and one that was never pulled.
    """
    found = sorted(path for path in (ledger / "consent").glob("*") if not path.name.startswith("."))
    files = [path for path in found if path.suffix == ".jsonl"]
    faults = [
        f"{path.name}: not pulled; run `dvc pull`"
        for path in found
        if path.suffix == ".dvc" and path.with_suffix("") not in files
    ]
    faults += [
        f"{path.name}: not a file of events; call it NAME.jsonl, or put it elsewhere"
        for path in found
        if path.suffix not in {".jsonl", ".dvc"}
    ]
    if faults:
        raise PairtrailError("\n".join(["the consent ledger cannot be read whole:", *(f"  {one}" for one in faults)]))
    return files


def read_events(ledger: Path) -> pl.DataFrame:
    """Return all events of the ledger, each once, with their digests as `event`; in one order, whatever the files'.

    Raises PairtrailError that names file, line and key of what is malformed; then nothing of the ledger is used.
    """
    faults: list[str] = []
    read = [_NONE]
    for path in ledger_files(ledger):
        for events, found in _read_file(path):
            faults += [f"{path.name}: line {line}: {told}" for line, told in found]
            read.append(events)
            if len(faults) >= MOST_FOUND:
                refuse("the consent ledger", faults)
    refuse("the consent ledger", faults)
    events = pl.concat(read).sort(_ORDER)
    return events.filter(pl.col("event").ne_missing(pl.col("event").shift()))


def refuse(what: str, faults: list[str]) -> None:
    """Raise PairtrailError with the first faults of `what`, and how many there are, unless there are none."""
    if not faults:
        return
    count = f"{len(faults):,}" if len(faults) < MOST_FOUND else f"{MOST_FOUND:,} or more"
    more = [f"  and {len(faults) - _MOST_TOLD:,} more"] if len(faults) > _MOST_TOLD else []
    head = f"{what} has {count} faults; nothing of it was used:"
    raise PairtrailError("\n".join([head, *(f"  {fault}" for fault in faults[:_MOST_TOLD]), *more]))


def _read_file(path: Path) -> Iterator[tuple[pl.DataFrame, list[Fault]]]:
    """Yield the events of a file, some lines at a time, with what is wrong with the others."""
    events = 0
    try:
        with path.open("rb") as file:
            if is_compressed(file.peek(4)):
                yield _NONE, [(1, "compressed; a ledger is plain text, so that lines can be added to it")]
                return
            for found, faults in _read_pieces(_pieces(file)):
                events += found.height + len(faults)
                yield found, faults
    except OSError as error:
        msg = f"{path.name}: cannot be read ({error.strerror}); check that it is there, whole, and may be read"
        raise PairtrailError(msg) from error
    if not events:
        yield _NONE, [(1, "the file holds no event; remove it, or take it back if it held some")]


def _pieces(file: BufferedReader) -> Iterator[Piece]:
    """Yield lines, some megabytes at a time, with the number of the first; reading ends at one that has no end."""
    first, rest = 1, b""
    while (block := file.read(_PIECE)) and len(rest) <= MOST_BYTES:
        *lines, rest = (rest + block).split(b"\n")
        yield first, lines
        first += len(lines)
    yield first, [rest]


def _read_pieces(pieces: Iterator[Piece]) -> Iterator[tuple[pl.DataFrame, list[Fault]]]:
    """Read as many pieces at once as there are threads; each part of the work by itself keeps one thread busy."""
    at_once = pl.thread_pool_size()
    with ThreadPoolExecutor(at_once) as threads:
        while group := list(islice(pieces, at_once)):
            yield from threads.map(read_lines, group)


def read_lines(piece: Piece) -> tuple[pl.DataFrame, list[Fault]]:
    """Read the lines that are plainly events by column, once each other one is found to be an event, or to be wrong."""
    first, lines = piece
    texts = _texts(lines)
    doubtful = (~plainly_events(texts)).arg_true().to_list()
    found: list[str | None] = []
    faults: list[Fault] = []
    for place in doubtful:
        event, told = looked_at(lines[place])
        found.append(event)
        faults += [(first + place, one) for one in told]
        if len(faults) >= MOST_FOUND:
            return _NONE, faults
    texts = texts.scatter(doubtful, found)
    places = texts.is_not_null().arg_true()
    events, broken = _read_columns(texts.drop_nulls())
    return events, sorted(faults + [(first + places[row], told) for row, told in broken])


def _texts(lines: list[bytes]) -> pl.Series:
    r"""Decode lines; what is not UTF-8 becomes `\x`, which stands in no event."""
    try:
        return pl.Series("line", lines, dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series("line", [line.decode(errors="backslashreplace") for line in lines])


def _read_columns(lines: pl.Series) -> tuple[pl.DataFrame, list[Fault]]:
    """Read lines that are plainly events, and hold each value against its rule; faults are told by place."""
    if lines.is_empty():
        return _NONE, []
    written = lines.str.json_decode(pl.Struct(KEYS)).struct.unnest()
    typed = read_times(written)
    faults = [(row, KEY_TWICE) for row in repeating(lines, written).arg_true().head(MOST_FOUND)]
    faults += broken(written, typed, MOST_FOUND)
    return typed.with_columns(pl.col(_LISTS).list.eval(pl.element().unique().sort())).with_columns(
        event=_event_digest()
    ), faults


def _event_digest() -> pl.Expr:
    """Name an event by all that it states; codes hold no comma, so that one can part them."""
    parts = []
    for column, dtype in dtypes(EVENTS).items():
        value = pl.col(column)
        if dtype == TEXTS:
            coded = column in RULES
            value = (value if coded else value.list.eval(framed(pl.element()))).list.join("," if coded else "")
        elif dtype != pl.String:
            value = value.to_physical().cast(pl.String)
        parts.append(value)
    return digest(pl.lit("consent event"), *parts)
