"""Rows of CSV or TSV whose columns are the ledger's keys: each is an event."""

from difflib import get_close_matches
from typing import Any

from pipeline.lineage.consent.faults import UnfitError
from pipeline.lineage.consent.subjects import Subjects
from schemas.columns import dtypes
from schemas.consents import EVENTS

COLUMNS = (*dtypes(EVENTS), "pseudonym", "source")
SEVERAL = ("purposes", "legal_basis", "recipients")
_WHOSE = {"subject", "pseudonym", "source"}
_FLAGS = {"true": True, "false": False}


def unknown_columns(header: list[str]) -> list[str]:
    """Tell the columns that are not known, by their place: a file without a header has a person's data there."""
    faults = []
    for place, name in enumerate(header, 1):
        if name not in COLUMNS:
            near = get_close_matches(name.lower(), COLUMNS, n=1)
            hint = f"nearest known: {near[0]}" if near else f"known: {', '.join(COLUMNS)}"
            faults.append(f"column {place} is none of the ledger's keys; {hint}")
    return faults


def event_of_row(row: dict[str, str], subjects: Subjects) -> dict[str, Any]:
    """Turn a row into an event; an empty cell is not stated, and `;` parts the values of a list."""
    cells = {name: cell.strip() for name, cell in row.items() if name not in _WHOSE and cell.strip()}
    event: dict[str, Any] = {**cells, "subject": _subject(row, subjects)}
    for name in SEVERAL:
        if name in cells:
            event[name] = [one.strip() for one in cells[name].split(";") if one.strip()]
    if flag := cells.get("special_category"):
        if flag.lower() not in _FLAGS:
            msg = "`special_category`: true or false is needed"
            raise UnfitError(msg)
        event["special_category"] = _FLAGS[flag.lower()]
    return event


def _subject(row: dict[str, str], subjects: Subjects) -> str:
    """Tell whom a row is about; a raw id counts as it stands, white space included, as it does in ingest."""
    raw, ready, source = row.get("subject", ""), row.get("pseudonym", "").strip(), row.get("source", "").strip()
    if raw.strip() and ready:
        msg = "both `subject` and `pseudonym` are filled in: a row is about one of them"
        raise UnfitError(msg)
    if raw.strip():
        return subjects.of_person(raw, source or None)
    if not ready and not source:
        msg = "whom is it about? `subject` and `pseudonym` are empty, and its own `source` names no whole source"
        raise UnfitError(msg)
    return ready or subjects.of_source(source)
