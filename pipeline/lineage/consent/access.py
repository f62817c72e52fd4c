"""Access: everything that is held on one person (GDPR, Article 15), for that person and nobody else."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.errors import PairtrailError
from pipeline.core.ingested import PLACE, scan_comparisons
from pipeline.core.project import Project
from pipeline.core.raw.rawfiles import read_batches
from pipeline.core.references import copied_refs
from pipeline.core.sidecar.sources import load_sources
from pipeline.core.terminal import as_json_text
from pipeline.lineage.consent.asking import Whom, one_person
from pipeline.lineage.consent.held import judged, terms_of
from pipeline.lineage.consent.status import history
from pipeline.lineage.trace import stories

FORMAT = "pairtrail-access-1"
# An id as a word of its own: `w1` is not in `w10`, nor ann@x.org in joann@x.org, nor x.org in x.org.uk.
_WORD = r"(?<![\w.+@-])%s(?![\w+@-])(?!\.\w)"
_HELD = ("consents", "events", "comparisons", "raw_records")


def access(project: Project, asked: Whom) -> dict[str, Any]:
    """Gather the ledger's events of a person, the rows that they gave or consented to, and their raw records.

    Raw records, quarantined ones too, are found only where the raw id is given: a pseudonym leads to none.
    """
    subject = one_person(asked)
    terms, events = terms_of(project), history(project, subject)
    told = _told(project, subject) if project.shards.exists() else []
    return {
        "format": FORMAT,
        "subject": subject,
        "as_of": str(terms.as_of),
        "consents": judged(project, terms).filter(subject=subject).to_dicts(),
        "events": events,
        "comparisons": _without_others(told, {event["event"] for event in events}),
        "raw_records": None if asked.raw_id is None else list(_raw_records(project, asked)),
    }


def _told(project: Project, subject: str) -> list[dict[str, Any]]:
    """Tell the stories of the person's rows, each with the whole row."""
    rows = _rows(project, subject)
    told = stories(project, rows["comparison_id"].to_list(), reveal=True)
    for story, row in zip(told, _own(rows, subject), strict=True):
        story |= {"comparison": row, "rationale": row["rationale"]}
    return told


def _without_others(told: list[dict[str, Any]], own: set[str]) -> list[dict[str, Any]]:
    """Leave out the consents of others behind the same rows: their ids and standing are no business of this person."""
    for row in told:
        row["consents"] = [event for event in row["consents"] if event["event"] in own]
        if decision := row["decisions"].get("validate"):
            decision["consent_events"] = [event for event in decision["consent_events"] if event in own]
    return told


def _rows(project: Project, subject: str) -> pl.DataFrame:
    named = pl.col("consent_refs").list.eval(pl.element().struct.field("subject") == subject).list.any()
    copied = copied_refs(project).filter(pl.col("subject") == subject).collect()["comparison_id"].unique()
    theirs = (pl.col("annotator") == subject) | named | pl.col("comparison_id").is_in(copied.to_list())
    return scan_comparisons(project).filter(theirs).collect(engine="streaming").sort("comparison_id")


def _own(rows: pl.DataFrame, subject: str) -> list[dict[str, Any]]:
    """Return the rows as ingest holds them, less what is another person's: their pseudonym, words and consents."""
    theirs = pl.element().struct.field("subject") == subject
    judged_by = pl.col("annotator") == subject
    own = rows.drop(PLACE).with_columns(
        pl.col("consent_refs").list.filter(theirs),
        pl.when(judged_by).then("annotator").alias("annotator"),
        pl.when(judged_by).then("rationale").alias("rationale"),
    )
    return own.to_dicts()


def _raw_records(project: Project, asked: Whom) -> Iterator[dict[str, Any]]:
    """Yield the raw records, in every source of the person's namespace, that name the raw id."""
    sources = load_sources(project.raw)
    namespace = next(source.namespace for source in sources if source.name == asked.source)
    for source in (one for one in sources if one.namespace == namespace):
        for pattern, declared in source.patterns():
            for path in source.matching(pattern):
                yield from _records_of(path, declared, source.relative(path), asked.raw_id or "")


def _records_of(path: Path, declared: Any, name: str, raw_id: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    needle = re.compile(_WORD % re.escape(raw_id))
    escaped = re.escape(json.dumps(raw_id, ensure_ascii=False)[1:-1])
    undecoded = re.compile((_WORD % f"(?:{re.escape(raw_id)}|{escaped})").encode())

    def holds(raws: list[bytes]) -> list[str]:
        return ["yes" if undecoded.search(raw) else "" for raw in raws]

    for batch in read_batches(path, declared, holds):
        for row, held, value, reason in zip(batch.rows, batch.digests, batch.values, batch.reasons, strict=True):
            if held if value is None else _names(value, raw_id, None if raw_id.isdecimal() else needle):
                yield {"source_file": name, "source_row": row, "quarantined": reason, "record": value}


def _names(value: Any, raw_id: str, needle: re.Pattern[str] | None) -> bool:  # noqa: ANN401
    """Say whether a decoded record names the id: as a whole value or key, or as a word of a text.

    Records of others would go into the answer where `w1` were found in `w10`, or the worker 7 in a text that has a 7.
    """
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif one is not None and (str(one) == raw_id or (needle and isinstance(one, str) and needle.search(one))):
            return True
        elif isinstance(one, str) and one.lstrip()[:1] in {"{", "["} and raw_id in one:
            with suppress(ValueError, RecursionError):
                waiting.append(json.loads(one))
    return False


def write_access(found: dict[str, Any], out: Path) -> None:
    """Write what was found to a new file that its owner alone may read."""
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        msg = f"{out}: cannot be made ({error.strerror}); nothing was written"
        raise PairtrailError(msg) from None
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(as_json_text(found) + "\n")


def counts(found: dict[str, Any]) -> dict[str, Any]:
    """Return how much is held; `raw_records` is null where it was not looked for."""
    held = {name: None if found[name] is None else len(found[name]) for name in _HELD}
    return {
        "subject": found["subject"],
        **held,
        "published": sum(bool(row["published"]) for row in found["comparisons"]),
    }


def told(found: dict[str, Any], out: Path | None) -> str:
    """Say in counts what is held; never what it says."""
    held = counts(found)
    raw = held["raw_records"]
    looked = (
        "not looked for: a pseudonym leads to none; ask with SOURCE --person" if raw is None else f"{raw:,} raw records"
    )
    then = (
        f"written to {out} (mode 0600): texts, and raw records as they are, with others' ids where they hold such; "
        "read it before you hand it over"
        if out
        else "--out FILE writes all of it"
    )
    return "\n".join(
        [
            f"subject {held['subject']}",
            f"  ledger   {held['events']:,} events of {held['consents']:,} consents",
            f"  rows     {held['comparisons']:,} comparisons, {held['published']:,} of them published",
            f"  raw      {looked}",
            then,
        ]
    )
