"""A benchmark's records to items and texts: each turn is a text of its own, and so is an item of several turns."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.benchmarks.sidecars import SIDECAR, Benchmark
from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.fieldmap import value_at
from pipeline.core.raw.rawfiles import read_batches
from schemas.columns import MESSAGES
from schemas.vocabulary import ROLES

_SHOWN = 5
_LONGEST_ID = 128


@dataclass(frozen=True, slots=True)
class Item:
    """One item: its id, its user turns, and where it stands."""

    item: str
    turns: list[str]
    file: str
    record: int

    @property
    def place(self) -> str:
        """Name its record, as `trace` names one."""
        return f"{self.file}:{self.record}"


def read_items(benchmark: Benchmark) -> list[Item]:
    """Read a benchmark whole, in the order of its files and records.

    Raises PairtrailError where other than `unread` records cannot be read or have no prompt, with their places, and
    where two items have one id: nothing of a benchmark is missed in silence. No text is ever told.
    """
    items, faults = [], []
    for path in benchmark.files():
        for number, record, reason in _records(path, benchmark):
            found = reason or _item(benchmark, path, number, record)
            if isinstance(found, Item):
                items.append(found)
            else:
                faults.append(f"{benchmark.relative(path)}:{number}: {found}")
    _refuse_unread(benchmark, faults)
    if not items:
        msg = f"benchmark {benchmark.name}: no item; take the folder away, or name its files in {SIDECAR}"
        raise PairtrailError(msg)
    _refuse_twins(benchmark, items)
    return items


def texts_of(items: list[Item]) -> pl.DataFrame:
    """Return the texts of items: `item`, `turn` (from 1; null for an item of several turns as a whole), `prompt`."""
    rows = [
        (one.item, turn, [{"role": "user", "content": text} for text in texts])
        for one in items
        for turn, texts in _texts(one.turns)
    ]
    return pl.DataFrame(rows, schema={"item": pl.String, "turn": pl.Int64, "prompt": MESSAGES}, orient="row")


def _texts(turns: list[str]) -> Iterator[tuple[int | None, list[str]]]:
    yield from ((number, [text]) for number, text in enumerate(turns, 1))
    if len(turns) > 1:
        yield None, turns


def _records(path: Path, benchmark: Benchmark) -> Iterator[tuple[int, Any, str | None]]:
    for batch in read_batches(path, benchmark.sidecar.format, lambda raws: [""] * len(raws)):
        yield from zip(batch.rows, batch.values, batch.reasons, strict=True)


def _item(benchmark: Benchmark, path: Path, number: int, record: Any) -> Item | str:  # noqa: ANN401
    """Make an item of a record, or say why it is none."""
    sidecar, file = benchmark.sidecar, benchmark.relative(path)
    turns = _turns(value_at(record, sidecar.prompt))
    if isinstance(turns, str):
        return f"`{sidecar.prompt}`: {turns}"
    if sidecar.item is None:
        return Item(f"{file}:{number}", turns, file, number)
    named = value_at(record, sidecar.item)
    if type(named) not in {str, int} or not 0 < len(str(named).strip()) <= _LONGEST_ID:
        return f"`{sidecar.item}`: an id is needed, a text of at most {_LONGEST_ID} characters or a whole number"
    return Item(str(named).strip(), turns, file, number)


def _turns(value: Any) -> list[str] | str:  # noqa: ANN401
    """Return the user turns that a value holds, or say why it holds none."""
    if value is None:
        return "nothing there"
    said = [value] if type(value) is str else value
    if type(said) is list and said and all(type(one) is dict for one in said):
        if any(one.get("role") not in ROLES for one in said):
            return f"a message without a known role (known: {', '.join(ROLES)})"
        said = [one.get("content") for one in said if one.get("role") == "user"]
    if type(said) is not list or not all(type(text) is str for text in said):
        return "a text, a list of texts, or a list of messages with role and content is needed"
    return said if said and all(text.strip() for text in said) else "no text of a user's turn, or an empty one"


def _refuse_unread(benchmark: Benchmark, faults: list[str]) -> None:
    if len(faults) == benchmark.sidecar.unread:
        return
    shown = [f"  {fault}" for fault in faults[:_SHOWN]]
    more = [f"  and {len(faults) - _SHOWN:,} more"] if len(faults) > _SHOWN else []
    told = f"benchmark {benchmark.name}: {len(faults):,} records give no item"
    if benchmark.sidecar.unread:
        told += f", where `unread` says {benchmark.sidecar.unread:,}"
    what = f"A benchmark is read whole: mend {SIDECAR}, or say there `unread: {len(faults)}`."
    raise PairtrailError("\n".join([told, *shown, *more, what]))


def _refuse_twins(benchmark: Benchmark, items: list[Item]) -> None:
    first: dict[str, Item] = {}
    for one in items:
        if (other := first.setdefault(one.item, one)) is not one:
            msg = (
                f"benchmark {benchmark.name}: {other.place} and {one.place} have one id at `{benchmark.sidecar.item}`; "
                f"name another path as `item` in {SIDECAR}, or none: then a record's place is its id"
            )
            raise PairtrailError(msg)
