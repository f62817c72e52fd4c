"""Groups: records of one file that give comparisons only together, such as ratings of several responses to one prompt.

A group is complete within its file. Groups that do not fit into memory are put aside by the digest of their key.
"""

import json
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pipeline.core.digests import digest_text
from pipeline.core.mapping.candidates import CANDIDATES, RECORDS, Batch, RawFile
from pipeline.core.mapping.sides import SideRecord
from pipeline.core.mapping.verdicts import (
    TEXT_BYTES,
    Fills,
    NoVerdict,
    Seen,
    Verdict,
    candidates_of,
    outcomes,
    seen_in,
    text_size,
)
from pipeline.core.spill import parts_for

Key = tuple[str | None, ...]
"""What the records of a group have in common."""

_UNPACKED = 6
_VERDICTS = 20_000


@dataclass(slots=True)
class _Aside:
    """Keyed records, in memory or in files that are cut by the leading digits of the key's digest."""

    folder: Path
    parts: int
    held: list[tuple[str, Seen]] = field(default_factory=list)

    def add(self, key: Key, seen: Seen) -> None:
        name = digest_text(*key)
        if self.parts == 1:
            self.held.append((name, seen))
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sides = {
            name: None if side is None else [side.content, side.file, side.row, side.digest]
            for name, side in seen.sides.items()
        }
        line = json.dumps([name, seen.row, seen.digest, seen.content, sides], ensure_ascii=False, default=_unfit)
        with (self.folder / name[: len(f"{self.parts:x}") - 1]).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def groups(self) -> Iterator[list[Seen]]:
        """Yield the groups in the order of their keys' digests; then leave nothing behind."""
        if self.parts == 1:
            yield from _grouped(self.held)
        elif self.folder.is_dir():
            for path in sorted(self.folder.iterdir()):
                with path.open(encoding="utf-8") as lines:
                    yield from _grouped([_read(line) for line in lines])
        shutil.rmtree(self.folder, ignore_errors=True)


def _unfit(value: object) -> dict[str, str]:
    """Stand for what JSON does not know (bytes or a decimal in Parquet, say): as unfit for any field as it was."""
    return {"": type(value).__name__}


def _read(line: str) -> tuple[str, Seen]:
    name, row, digest, content, sides = json.loads(line)
    joined = {join: None if side is None else SideRecord(*side) for join, side in sides.items()}
    return name, Seen(row, digest, content, joined)


def _grouped(keyed: Sequence[tuple[str, Seen]]) -> Iterator[list[Seen]]:
    found: dict[str, list[Seen]] = {}
    for name, seen in keyed:
        found.setdefault(name, []).append(seen)
    for name in sorted(found):
        yield found[name]


def read_groups(
    file: RawFile,
    key_of: Callable[[Seen], Key | NoVerdict | Verdict],
    pair: Callable[[list[Seen]], Iterator[Verdict] | list[Verdict]],
    given: Fills,
    alone: Callable[[list[Seen]], str | Mapping[int, str]],
) -> Iterator[Batch]:
    """Yield a file's batches, where the records with one key give their verdicts together.

    `key_of` names a record's group, says why it is in none, or returns its fault as a `Verdict` with a `fault`. `pair`
    is given each group's distinct records, in an order that hangs on their content alone; each verdict says `of` which
    it draws, its own record first. A record that no verdict draws on gets the reason that `alone` gives for its group:
    one for all, or one by record number.
    """
    shutil.rmtree(file.spill, ignore_errors=True)
    aside = _Aside(file.spill, parts_for(file.path.stat().st_size * _UNPACKED))
    records: list[pl.DataFrame] = []
    for raw in file.batches():
        silent: dict[int, str] = {}
        faults: list[tuple[Seen, Verdict]] = []
        for seen in seen_in(file, raw):
            match key_of(seen):
                case NoVerdict(reason):
                    silent[seen.row] = reason
                case Verdict() as fault:
                    faults.append((seen, fault))
                case key:
                    aside.add(key, seen)
        records.append(outcomes(raw, silent))
        yield Batch(pl.DataFrame(schema=RECORDS), candidates_of(file, faults, given))
    silent = yield from _paired(file, aside, pair, given, alone)
    yield Batch(_silenced(pl.concat(records), silent), pl.DataFrame(schema=CANDIDATES))


def _paired(
    file: RawFile,
    aside: _Aside,
    pair: Callable[[list[Seen]], Iterator[Verdict] | list[Verdict]],
    given: Fills,
    alone: Callable[[list[Seen]], str | Mapping[int, str]],
) -> Generator[Batch, None, dict[int, str]]:
    """Yield the groups' verdicts; return the records that none draws on, with the reason why."""
    silent: dict[int, str] = {}
    placed: list[tuple[Seen, Verdict]] = []
    size = 0
    for members in aside.groups():
        copies = _copies(members)
        drawn: set[int] = set()
        for verdict in pair([found[0] for found in copies.values()]):
            delivered = list(_delivered(verdict, copies))
            placed += delivered
            drawn |= {seen.row for _, one in delivered for seen in one.of}
            size += sum(text_size(one.values) + text_size(seen.content) for seen, one in delivered)
            if len(placed) >= _VERDICTS or size >= TEXT_BYTES:
                yield Batch(pl.DataFrame(schema=RECORDS), candidates_of(file, placed, given))
                placed, size = [], 0
        silent |= _left([seen for seen in members if seen.row not in drawn], members, alone)
    yield Batch(pl.DataFrame(schema=RECORDS), candidates_of(file, placed, given))
    return silent


def _left(
    left: list[Seen], members: list[Seen], alone: Callable[[list[Seen]], str | Mapping[int, str]]
) -> dict[int, str]:
    if not left:
        return {}
    why = alone(members)
    return {seen.row: why if isinstance(why, str) else why[seen.row] for seen in left}


def _copies(members: list[Seen]) -> dict[str, list[Seen]]:
    """Gather a group's records by content, in an order that hangs on nothing else."""
    found: dict[str, list[Seen]] = {}
    for seen in sorted(members, key=lambda one: (one.digest, one.row)):
        found.setdefault(seen.digest, []).append(seen)
    return found


def _delivered(verdict: Verdict, copies: dict[str, list[Seen]]) -> Iterator[tuple[Seen, Verdict]]:
    """Give a verdict once for each time that the records it draws on were delivered."""
    sets = [copies[seen.digest] for seen in verdict.of]
    for number in range(max(map(len, sets))):
        of = tuple(found[min(number, len(found) - 1)] for found in sets)
        yield of[0], Verdict(verdict.values, verdict.key, verdict.fault, of)


def _silenced(records: pl.DataFrame, silent: dict[int, str]) -> pl.DataFrame:
    if not silent:
        return records
    rows, reasons = list(silent), list(silent.values())
    named = pl.DataFrame({"source_row": rows, "why": reasons}, schema={"source_row": pl.Int64, "why": pl.String})
    joined = records.join(named, on="source_row", how="left", maintain_order="left")
    return joined.with_columns(
        outcome=pl.coalesce("outcome", pl.when(pl.col("why").is_not_null()).then(pl.lit("no_comparison"))),
        reason=pl.coalesce("reason", "why"),
    ).drop("why")
