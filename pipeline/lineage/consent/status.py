"""Status: how consents stand, in all, of one source, or of one person with their history; and which end soon."""

import re
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

import polars as pl

from pipeline.core.consent.events import read_events
from pipeline.core.consent.standing import Terms
from pipeline.core.consent.states import KEY, contradictions
from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.lineage.consent.asking import Whom
from pipeline.lineage.consent.held import STANDS, judged, references, rows_by_consent, terms_of

_DAYS = re.compile(r"([1-9]\d{0,4})d")
_SHOWN = ("legal_basis", "purposes", "jurisdiction", "license", "special_category", "valid_until", "retention_until")
_BY = ("standing", "status")
_HEAD = ("consent_id", "subject", "status_time", "event")


def status(project: Project, asked: Whom) -> dict[str, Any]:
    """Tell how consents stand as of params.yaml's day; of one person each consent, with all that was ever stated."""
    terms = terms_of(project)
    known = judged(project, terms)
    if asked.subject:
        return _of_person(project, terms, known.filter(subject=asked.subject), asked.subject)
    if asked.source:
        named = rows_by_consent(project).filter(source=asked.source).select(KEY).unique()
        whole = pl.col("subject") == f"source:{asked.source}"
        known = pl.concat([known.join(named, on=KEY, how="semi"), known.filter(whole)]).unique(KEY)
    by = (
        known.group_by(_BY)
        .agg(consents=pl.len().cast(pl.Int64), contradictions=pl.col("contradictions").sum())
        .join(_rows_by_standing(project, known, asked.source), on=_BY, how="left", nulls_equal=True)
    )
    shown = by.select(*_BY, "consents", pl.col("rows").fill_null(0).cast(pl.Int64), "contradictions").sort(_BY)
    return {"as_of": str(terms.as_of), "source": asked.source, "consents": shown.to_dicts()}


def _rows_by_standing(project: Project, known: pl.DataFrame, source: str | None) -> pl.DataFrame:
    """Count the rows, those of a source where one is asked for, that name any consent which stands in one way.

    A row that names two such consents is one row.
    """
    counted = [pl.DataFrame(schema={"standing": pl.String, "status": pl.String, "rows": pl.UInt32})]
    for refs in references(project) if project.shards.exists() else ():
        asked = refs if source is None else refs.filter(source=source)
        named = asked.join(known.select(*KEY, *_BY), on=KEY, how="inner").unique(["comparison_id", *_BY])
        counted.append(named.group_by(_BY).agg(rows=pl.len()))
    return pl.concat(counted).group_by(_BY).agg(pl.col("rows").sum())


def _with_rows(known: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Put beside each consent how many rows name it, of whatever source."""
    of_all = rows.group_by(KEY).agg(pl.col("rows").sum().cast(pl.Int64))
    return known.join(of_all, on=KEY, how="left", maintain_order="left").with_columns(pl.col("rows").fill_null(0))


def _of_person(project: Project, terms: Terms, known: pl.DataFrame, subject: str) -> dict[str, Any]:
    rows = rows_by_consent(project).filter(subject=subject)
    if known.is_empty() and rows.is_empty():
        msg = "neither the ledger nor a row of the last build names this subject; is the source the right one?"
        raise PairtrailError(msg)
    columns = ("consent_id", "standing", "status", *_SHOWN, "rows", "contradictions")
    shown = _with_rows(known, rows).select(columns).to_dicts()
    consents = [{name: _written(value) for name, value in row.items()} for row in shown]
    events = read_events(project.ledger).filter(subject=subject)
    disputed = [{name: _written(value) for name, value in row.items()} for row in contradictions(events).to_dicts()]
    return {
        "as_of": str(terms.as_of),
        "subject": subject,
        "consents": consents,
        "contradictions": disputed,
        "history": _history(events),
    }


def history(project: Project, subject: str) -> list[dict[str, Any]]:
    """Return all events of a subject, in order, each with what it states and no more."""
    return _history(read_events(project.ledger).filter(subject=subject))


def _history(events: pl.DataFrame) -> list[dict[str, Any]]:
    ordered = events.sort("status_time", "consent_id", "event").to_dicts()
    return [{name: _written(value) for name, value in event.items() if value is not None} for event in ordered]


def _written(value: Any) -> Any:  # noqa: ANN401
    """Write a time as the ledger does: the end of a day as the day."""
    if not isinstance(value, datetime):
        return value
    return f"{value:%Y-%m-%d}" if value.time() == time.max else f"{value:%Y-%m-%dT%H:%M:%S}Z"


def told(found: dict[str, Any]) -> str:
    """Tell of one person's consents and what was ever stated of them, in lines."""
    lines = [f"subject {found['subject']}, as of {found['as_of']}"]
    for row in found["consents"]:
        lines += [f"consent {row['consent_id']}: {row['standing']}, named by {row['rows']:,} rows"]
        lines += [f"  {name:16} {_brief(row[name])}" for name in ("status", *_SHOWN, "contradictions") if row[name]]
    lines += ["no consent record"] if not found["consents"] else []
    for moment in found["contradictions"]:
        keys = ", ".join(moment["keys"])
        lines.append(
            f"contradiction: {moment['consent_id']} at {moment['status_time']} has two of {keys}; the strictest counts"
        )
    lines += [f"history: {len(found['history']):,} events"]
    for event in found["history"]:
        rest = ", ".join(f"{name} {_brief(value)}" for name, value in event.items() if name not in _HEAD)
        lines.append(f"  {event['status_time']}  {event['consent_id']}  {rest}")
    return "\n".join(lines)


def _brief(value: Any) -> str:  # noqa: ANN401
    return " + ".join(value) if isinstance(value, list) else str(value)


def expiring(project: Project, within: str, begin: str | None) -> dict[str, Any]:
    """List the consents that stand and will not at the end of the time given, with the rows that name them.

    `begin` is params.yaml's `as_of` where it is not given.
    """
    terms = terms_of(project)
    first = _day(begin) if begin else terms.as_of
    try:
        last = first + _days(within)
    except OverflowError:
        msg = f"--within {within} from {first} ends after the year 9999; a nearer end is needed"
        raise PairtrailError(msg) from None
    now, later = (judged(project, replace(terms, as_of=day)) for day in (first, last))
    ending = later.filter(pl.col("standing") != STANDS).join(now.filter(standing=STANDS), on=KEY, how="semi")
    found = _with_rows(ending, rows_by_consent(project))
    limit = pl.min_horizontal("valid_until", "retention_until").alias("ends")
    shown = found.select(limit, "standing", "consent_id", "subject", "rows").sort("ends", "consent_id", "subject")
    rows = [{**row, "ends": _written(row["ends"])} for row in shown.to_dicts()]
    return {"from": str(first), "to": str(last), "consents": rows}


def _days(within: str) -> timedelta:
    match = _DAYS.fullmatch(within)
    if not match:
        msg = f"--within `{within}`: a number of days such as 30d is needed"
        raise PairtrailError(msg)
    return timedelta(days=int(match[1]))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        msg = f"--from `{text}`: a day such as 2026-01-31 is needed"
        raise PairtrailError(msg) from None
