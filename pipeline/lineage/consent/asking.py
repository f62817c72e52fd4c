"""Whom a question is about: all, a source, or a person, whose raw id never stands among a command's arguments."""

import re
import sys
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.core.sidecar.sources import load_sources
from pipeline.lineage.consent.subjects import Subjects

_PSEUDONYM = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Whom:
    """Whom a question is about: a subject of the ledger, a source, or (both null) everybody."""

    subject: str | None = None
    source: str | None = None
    raw_id: str | None = None


def whom(project: Project, named: str | None, *, person: bool = False, person_file: Path | None = None) -> Whom:
    """Read whom a command names: nobody, a source, a pseudonym, or a source and a person of its namespace.

    Raises PairtrailError for anything else, without repeating it.
    """
    if named is None:
        if person or person_file:
            msg = "name the source whose ids the person's is one of: `pairtrail consent status SOURCE --person`"
            raise PairtrailError(msg)
        return Whom()
    if _PSEUDONYM.fullmatch(named) and not (person or person_file):
        return Whom(subject=named)
    sources = [source.name for source in load_sources(project.raw)]
    if named not in sources:
        msg = (
            "the argument is neither a source nor a pseudonym (32 hexadecimal digits). A raw id is never one, as "
            f"shells keep what is typed: name the source and add --person.\nSources: {', '.join(sources)}"
        )
        raise PairtrailError(msg)
    if not (person or person_file):
        return Whom(source=named)
    raw = _raw_id(person_file)
    return Whom(subject=Subjects(project, named).of_person(raw), source=named, raw_id=raw)


def one_person(asked: Whom) -> str:
    """Return the subject that a question must be about."""
    if asked.subject is None:
        msg = "this asks about one person: give their pseudonym, or a source and --person (or --person-file FILE)"
        raise PairtrailError(msg)
    return asked.subject


def _raw_id(file: Path | None) -> str:
    """Read a raw id from a file, or from the person who asks, unseen."""
    if file is None:
        raw = getpass("Raw id: ") if sys.stdin.isatty() else sys.stdin.readline()
    else:
        try:
            raw = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            msg = f"{file.name}: cannot be read as text"
            raise PairtrailError(msg) from None
    lines = raw.splitlines()
    if len(lines) != 1 or not lines[0]:
        msg = "one raw id is needed, on a line of its own"
        raise PairtrailError(msg)
    return lines[0]
