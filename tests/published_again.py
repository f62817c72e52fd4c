"""A published dataset with everything that the data statement counts, and the same counts in plain Python."""

import datetime as dt
import json
from collections import Counter
from typing import Any

import polars as pl

from tests.building import SIDECAR, Built, event, lines, record

BASES = {"s": "eu-gdpr:A6-1-a", "judge": "eu-gdpr:A6-1-f", "old": "Contract", "unused": "none"}
_REFS = [
    {"role": "annotator", "subject": "annotator", "consent_id": "consent"},
    {"role": "prompt_author", "subject": "asker", "consent_id": "asked"},
]
_CONSENT = SIDECAR["consent"]


def everything(project: Built) -> Built:
    """People with consents of their own, a judge and an old source of nobody's, sharing some prompts."""
    fields = {**SIDECAR["fields"], "language": "lang", "strength": {"path": "how", "scale": [0, 3]}}
    people = [
        record(
            prompt=f"Question {place % 45}?",
            annotator=f"ann-{place % 7}",
            preference=("a", "b", "tie", "a")[place % 4],
            consent="c-1" if place % 2 else "c-2",
            asker=("q-1", None)[place % 2],
            asked=("c-3", None)[place % 2],
            lang=("en", "de-CH", None, "no", "Klingon")[place % 5],
            how=(None, 1, 3)[place % 3],
        )
        for place in range(150)
    ]
    own = {name: value for name, value in _CONSENT.items() if name != "record"}
    own |= {"roles": ["annotator"], "statement": "They agreed."}
    project.source("s", {"x.jsonl": lines(*people)}, fields={**fields, "consent_refs": _REFS}, consent=own)
    judged = [record(prompt=f"Question {place}?", annotator="judge-1") for place in range(30, 60)]
    judge = {**SIDECAR["fields"], "annotator_kind": {"constant": "model"}, "language": {"constant": "en"}}
    by_law = {**_CONSENT, "basis": BASES["judge"], "purposes": ["ai-alignment", "ai-evaluation", "ai-other"]}
    project.source("judge", {"x.jsonl": lines(*judged)}, fields=judge, consent=by_law)
    nobody = [record(prompt=f"Question {place}?", annotator=None, preference="b") for place in range(20, 80)]
    work = {**_CONSENT, "basis": BASES["old"]}
    project.source("old", {"x.jsonl": lines(*nobody)}, license="CC-BY-4.0", consent=work)
    project.source("unused", {"x.jsonl": lines(record(prompt="Never?"))}, consent="none")
    project.run("ingest")
    refs = project.comparisons().select(pl.col("consent_refs").explode()).unnest("consent_refs").drop_nulls()
    named = (
        refs.filter(~pl.col("subject").str.starts_with("source:")).select("subject", "consent_id").unique().to_dicts()
    )
    wide = ["ai-alignment", "ai-evaluation", "ai-other"]
    project.consents("people.jsonl", *(event(**one) for one in named))
    project.consents("judge.jsonl", event(subject="source:judge", purposes=wide, legal_basis=[BASES["judge"]]))
    return project.run()


def manifest_of(built: Built) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((built.stage("publish") / "manifest.json").read_text(encoding="utf-8"))
    return content


def rows_of(built: Built, table: str, *sides: str) -> list[dict[str, Any]]:
    return [
        {**row, "side": side}
        for side in sides or ("train", "validation", "heldout")
        for row in built.table(f"publish/{side}/{table}").to_dicts()
    ]


def _purposes(row: dict[str, Any]) -> str:
    return ", ".join(row["purposes"]) or "none"


def _basis(row: dict[str, Any]) -> str:
    return " + ".join(sorted({BASES[name] for name in row["sources"]}))


def consent_by_hand(built: Built) -> dict[str, Any]:
    """Count, vote by vote and row by row, what rests on what."""
    known = {row["comparison_id"]: row for row in built.comparisons().to_dicts()}
    allowed = {row["comparison_id"]: row for row in built.table("validate/decisions").to_dicts()}
    votes = rows_of(built, "votes")
    roles: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for vote in votes:
        refs = [one for one in known[vote["comparison_id"]]["consent_refs"] if None not in one.values()]
        whole = [one for one in refs if one["subject"].startswith("source:")]
        people = [one for one in refs if one not in whole]
        roles.update({one["role"] for one in people})
        roles["whole_source"] += bool(whole)
        named["whole_source" if whole and not people else "people" if people and not whole else "other"] += 1
    tables = {table: rows_of(built, table) for table in ("pairs", "ties")}
    asked = ("prompt_author", "annotator", "third_party", "publisher", "whole_source")
    return {
        "verdicts": {
            "by_basis": Counter(BASES[vote["source"]] for vote in votes),
            "by_purposes": Counter(_purposes(allowed[vote["comparison_id"]]) for vote in votes),
            "by_role": {role: roles[role] for role in asked},
            "named": named,
        },
        **{
            table: {"by_basis": Counter(map(_basis, rows)), "by_purposes": Counter(map(_purposes, rows))}
            for table, rows in tables.items()
        },
    }


def folded_by_hand(rows: list[dict[str, Any]], strength: str | None) -> dict[str, Any]:
    """Count a table's rows of one side; ties publish no strength."""
    votes = Counter(min(sum(row["votes"].values()), 5) for row in rows)
    told = {
        "rows": len(rows),
        "by_votes": {"5 or more" if n == 5 else str(n): votes[n] for n in range(1, 6)},
        "by_fold": Counter(row["fold"] for row in rows),
    }
    return told | ({"strength_unknown": sum(row[strength] is None for row in rows)} if strength else {})


def as_polars(value: Any) -> Any:  # noqa: ANN401
    """Write a value as Polars gives it: texts come as bytes, numbers as NumPy's, dates as timestamps, names as ids."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {name.rpartition("/")[2]: as_polars(one) for name, one in value.items()}
    if isinstance(value, list):
        return [as_polars(one) for one in value]
    if isinstance(value, dt.datetime):
        return value.date()
    return value.item() if hasattr(value, "item") else value
