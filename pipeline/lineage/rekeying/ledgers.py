"""The subjects in the ledgers' lines: found, and replaced in place, with no other byte of a line touched."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project

_KEY = "subject"
_PSEUDONYM = re.compile("[0-9a-f]{32}")
# A key of JSON as it is plainly written. No text holds one: there a quotation mark has a backslash before it.
_WRITTEN = re.compile(rb'(?<=[{,\s])"subject"\s*:\s*"([0-9a-f]{32})"')


def all_ledgers(project: Project) -> list[Path]:
    """Return the files of every ledger, that of consent and others, sorted by place."""
    return sorted(path for path in project.ledger.rglob("*.jsonl") if path.is_file())


def subjects_of(project: Project, path: Path) -> set[str]:
    """Return the pseudonyms that a ledger's lines name as `subject`.

    Raises PairtrailError where a line is no JSON, or writes one in a way that could not be replaced in place.
    """
    found: set[str] = set()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            written = [one.decode() for one in _WRITTEN.findall(line)]
            if line.strip() and sorted(written) != _stated(line):
                msg = (
                    f"{path.relative_to(project.root)}: line {number}: it is no JSON (is the file compressed?), or a "
                    "subject in it is written with escapes.\nNothing was changed: mend it, or the old one would stay."
                )
                raise PairtrailError(msg)
            found.update(written)
    return found


def _stated(line: bytes) -> list[str] | None:
    """Return the pseudonyms that JSON's own rules find as subjects, at any depth, sorted; None where it is no JSON."""
    stated: list[str] = []

    def note(members: list[tuple[str, Any]]) -> None:
        stated.extend(
            value for name, value in members if name == _KEY and isinstance(value, str) and _PSEUDONYM.fullmatch(value)
        )

    try:
        json.loads(line, object_pairs_hook=note)
    except (ValueError, RecursionError):
        return None
    return sorted(stated)


def replaced(path: Path, renamed: Mapping[str, str]) -> Iterator[bytes]:
    """Yield a ledger's lines with each subject's new pseudonym in the place of the old one."""
    with path.open("rb") as lines:
        for line in lines:
            yield _WRITTEN.sub(lambda found: _with_subject(found, renamed), line)


def _with_subject(found: re.Match[bytes], renamed: Mapping[str, str]) -> bytes:
    written, old = found[0], found[1]
    return written[: -len(old) - 1] + renamed[old.decode()].encode() + b'"'
