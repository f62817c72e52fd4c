"""What dedupe drops, what it keeps, and which row stays."""

from typing import Any

import pytest

from tests.building import SIDECAR, Built, lines, record

FIELDS = {**SIDECAR["fields"], "created_at": "at", "presented_order": "order", "event_id": "event"}
EARLY, LATE, LAST = "2026-01-01T10:00:00Z", "2026-01-01T11:00:00+00:00", "2026-01-01T13:00:00+01:00"


def deduped(project: Built, *records: dict[str, Any], **changes: Any) -> Built:  # noqa: ANN401
    numbered = [{"event": place, "order": "ab", **one} for place, one in enumerate(records)]
    return project.source("s", {"x.jsonl": lines(*numbered)}, fields=FIELDS, **changes).run(
        "ingest", "validate", "dedupe"
    )


SWAPPED = {"a": "Magic.", "b": "Scattering.", "preference": "b"}

DROPPED = {
    "the same again": ([record(), record()], {"repeated": 1}),
    "the same three times": ([record(), record(), record()], {"repeated": 2}),
    "listed the other way round, shown alike": ([record(), record(order="ba", **SWAPPED)], {"repeated": 1}),
    "taken back later": ([record(at=EARLY), record(at=LATE, preference="b")], {"superseded": 1}),
    "taken back, then repeated": (
        [record(at=EARLY), record(at=LATE, preference="b"), record(at=LAST, preference="b")],
        {"superseded": 1, "repeated": 1},
    ),
    "changed and changed back": (
        [record(at=EARLY), record(at=LATE, preference="b"), record(at=LAST)],
        {"superseded": 1, "repeated": 1},
    ),
    "nobody knows which was later": ([record(), record(preference="b")], {}),
    "at one and the same time": ([record(at=EARLY), record(at=EARLY, preference="b")], {}),
    "without a time beside one with": ([record(), record(at=LATE, preference="b")], {}),
    "the other presentation order": ([record(), record(order="ba")], {}),
    "somebody else": ([record(), record(annotator="bob", preference="b")], {}),
    "nobody twice": ([record(annotator=None), record(annotator=None)], {}),
    "another pair": ([record(), record(a="Dust.")], {}),
}


@pytest.mark.parametrize("name", DROPPED)
def test_dropped(project: Built, name: str) -> None:
    records, expected = DROPPED[name]
    assert deduped(project, *records).reasons("dedupe") == expected


def test_another_rubric_is_another_verdict(project: Built) -> None:
    records = [record(rubric="r-1"), record(rubric="r-2")]
    assert deduped(project, *records, rubric_version={"path": "rubric"}).reasons("dedupe") == {}


def test_rows_collapse_only_where_their_purposes_are_equal(project: Built) -> None:
    evaluation = {**SIDECAR["consent"], "purposes": ["ai-evaluation"]}
    shared = {"namespace": "crowd"}
    project.source("one", {"x.jsonl": lines(record())}, **shared)
    project.source("two", {"x.jsonl": lines(record())}, **shared)
    project.source("three", {"x.jsonl": lines(record())}, consent=evaluation, **shared)
    project.source("four", {"x.jsonl": lines(record())})
    assert project.run("ingest", "validate", "dedupe").reasons("dedupe") == {"repeated": 1}


def test_the_row_that_stays_is_named(project: Built) -> None:
    built = deduped(project, record(at=EARLY), record(at=LAST), record(at=LATE))
    times = dict(built.comparisons().select("comparison_id", "created_at").iter_rows())
    decisions = built.table("dedupe/decisions")
    latest = max(times, key=lambda one: times[one])
    assert decisions.filter(drop_reason="repeated")["stays"].to_list() == [latest, latest]
    assert decisions.filter(comparison_id=latest)["drop_reason"].to_list() == [None]
