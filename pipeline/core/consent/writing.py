"""The ledger's only writer: whole lines at the end of a file, of events that the ledger does not hold yet."""

import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.alone import alone
from pipeline.core.consent.appending import refuse_rewritten
from pipeline.core.consent.events import MOST_FOUND, read_events, read_lines, refuse
from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.core.raw.bytestream import is_compressed
from pipeline.core.settling import settle
from schemas.columns import dtypes
from schemas.consents import EVENTS

Where = Callable[[int], str]
"""Names an event by its place, in an error."""

LINES = 20_000
_KEYS = tuple(dtypes(EVENTS))
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")


def append_events(
    project: Project, file_name: str, events: Sequence[Mapping[str, Any]], where: Where | None = None
) -> int:
    """Append to data/ledger/consent/FILE_NAME.jsonl those events that the ledger does not hold; return their number.

    An event states the keys of `schemas/consents.py`; what is null is not stated. All are checked as the ledger's own
    lines are, and where one is malformed nothing is written. `where` names an event in an error, by its place.
    """
    if not _NAME.fullmatch(file_name):
        msg = "a ledger file's name is made of a-z, 0-9, `_`, `-` and `.`, without the ending .jsonl"
        raise PairtrailError(msg)
    path = project.ledger / "consent" / f"{file_name}.jsonl"
    lines = [as_line(event) for event in events]
    digests = _digests(lines, where or (lambda place: f"event {place + 1}"))
    with alone(path.parent):
        refuse_rewritten(project)
        held = set(read_events(project.ledger)["event"])
        new = {digest: line for digest, line in zip(digests, lines, strict=True) if digest not in held}
        if new:
            _append(path, b"".join(line + b"\n" for line in new.values()))
    return len(new)


def as_line(event: Mapping[str, Any]) -> bytes:
    """Write an event as the ledger does: one line of JSON, keys in the schema's order, what is not stated left out."""
    unknown = [key for key in event if key not in _KEYS]
    ordered = {key: event[key] for key in (*_KEYS, *unknown) if event.get(key) is not None}
    return json.dumps(ordered, ensure_ascii=False, separators=(", ", ": ")).encode("utf-8", "surrogatepass")


def _digests(lines: list[bytes], where: Where) -> list[str]:
    """Check lines as the ledger's are, some at a time; return the digests of their events."""
    digests: list[str] = []
    faults: list[str] = []
    for first in range(0, len(lines), LINES):
        events, found = read_lines((first, lines[first : first + LINES]))
        digests += events["event"].to_list()
        faults += [f"{where(place)}: {told}" for place, told in found]
        if len(faults) >= MOST_FOUND:
            break
    refuse("what was to be written to the consent ledger", faults)
    return digests


def _append(path: Path, added: bytes) -> None:
    """Write the old content and the new lines beside the file, and put that in its place: it grows whole or not at all.

    What stood in the file stays its beginning, to the byte. A link into DVC's cache is replaced, never written through.
    """
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("wb") as file:
            if path.exists():
                _copy(path, file)
                part.chmod(path.stat().st_mode & 0o777 | stat.S_IWUSR)  # DVC's cache is read-only
            file.write(added)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        settle(path.parent)
    except OSError as error:
        msg = f"{path.name}: cannot be written ({error.strerror}); the ledger is as it was"
        raise PairtrailError(msg) from error
    finally:
        part.unlink(missing_ok=True)


def _copy(path: Path, file: Any) -> None:  # noqa: ANN401
    with path.open("rb") as old:
        if is_compressed(old.read(4)):
            msg = f"{path.name}: it is compressed, and lines cannot be added to it; name another file"
            raise PairtrailError(msg)
        old.seek(0)
        shutil.copyfileobj(old, file)
        if old.tell() and old.seek(-1, os.SEEK_END) >= 0 and old.read(1) != b"\n":
            file.write(b"\n")
