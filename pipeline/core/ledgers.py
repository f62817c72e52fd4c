"""Ledgers of few lines (pins, epochs, exceptions): JSON lines, each held against its dataclass, added to and no more.

The consent ledger, which may hold millions of events, has readers of its own.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipeline.core.alone import alone
from pipeline.core.errors import PairtrailError
from pipeline.core.params import build, read_text
from pipeline.core.raw.decoding import json_decoder
from pipeline.core.settling import settle

T = TypeVar("T")
_DEEP = 8
_MOST_BYTES = 64 * 2**10
_MOST_FAULTS = 20


def ledger_files(folder: Path, suffix: str = ".jsonl") -> list[Path]:
    """Return a ledger's files, sorted by name.

    What is not read would be missed in silence: a file, or the whole folder, that was never pulled is refused, and a
    file of another name.
    """
    refuse_unpulled(folder, f"data/ledger/{folder.name}")
    found = sorted(path for path in folder.glob("*") if not path.name.startswith("."))
    files = [path for path in found if path.suffix == suffix]
    away = [path.name for path in found if path.suffix == ".dvc" and path.with_suffix("") not in files]
    odd = [path.name for path in found if path.suffix not in {suffix, ".dvc"}]
    faults = [f"{', '.join(away)}: not pulled; run `dvc pull`"] if away else []
    faults += [f"{', '.join(odd)}: no file of data/ledger/{folder.name}; call it NAME{suffix}"] if odd else []
    if faults:
        raise PairtrailError("\n".join(faults))
    return files


def refuse_unpulled(path: Path, place: str) -> None:
    """Raise PairtrailError where DVC tracks a file or folder that is not there: it is not empty, nobody pulled it."""
    if not path.exists() and path.with_name(f"{path.name}.dvc").exists():
        msg = f"{place}: not pulled; run `dvc pull`"
        raise PairtrailError(msg)


def read_entries(path: Path, kind: type[T], place: str) -> list[T]:
    """Read one file, each line as the dataclass `kind`; the lines that are none are an error with their numbers.

    `place` names the file in errors.
    """
    entries: list[T] = []
    faults: list[str] = []
    lines = read_text(path).split("\n")
    for number, line in enumerate(lines, 1):
        try:
            entries += [_entry(kind, line, f"{place}: line {number}")] if line.strip() else []
        except PairtrailError as error:
            faults.append(str(error))
    if faults:
        more = [f"{place}: {len(faults) - _MOST_FAULTS:,} more lines"] if len(faults) > _MOST_FAULTS else []
        raise PairtrailError("\n".join([*faults[:_MOST_FAULTS], *more]))
    return entries


def _entry(kind: Any, line: str, where: str) -> Any:  # noqa: ANN401
    raw = line.encode("utf-8", "surrogatepass")
    content, reason = json_decoder(_DEEP)(raw.strip()) if len(raw) <= _MOST_BYTES else (None, "too_long")
    if content is None:
        msg = f"{where}: not one JSON object of this ledger ({reason})"
        raise PairtrailError(msg)
    return build(kind, content, where)


def append_entries(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Add lines to a ledger's file, which grows by all of them or not at all; keys in the order given."""
    if not entries:
        return
    lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone(path):
        held = path.read_bytes() if path.exists() else b""
        if held and not held.endswith(b"\n"):
            held += b"\n"
        part = path.with_name(f".{path.name}.part")
        with part.open("wb") as file:
            file.write(held + lines.encode())
            file.flush()
            os.fsync(file.fileno())
        # A link into DVC's cache is replaced, never written through.
        part.replace(path)
        settle(path.parent)
