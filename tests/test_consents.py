"""Consent references: what a row says of them hangs neither on the sidecar's order nor on the rest of the batch."""

from typing import Any

import pytest

from pipeline.lineage.consent.held import rows_by_consent
from tests.building import SIDECAR, Built, event, lines, record

JOIN = {"traces": {"glob": "traces.jsonl", "key": "id", "on": "traceId"}}
ROLES = ["prompt_author", "annotator"]
CONSENT = {"basis": "eu-gdpr:A6-1-a", "purposes": ["ai-alignment"], "roles": ROLES, "statement": "made up"}


def ref(role: str, name: str) -> dict[str, str]:
    return {"role": role, "subject": name, "consent_id": f"{name}_consent"}


REFS = [ref("prompt_author", "writer"), ref("prompt_author", "asker"), ref("annotator", "who")]
WHOLE = {"writer": "w", "writer_consent": "1", "asker": "k", "asker_consent": "2", "who": "ann", "who_consent": "3"}
HALF = WHOLE | {"asker_consent": None}


def corrected(stated: dict[str, Any]) -> dict[str, Any]:
    return {"id": "score-1", "name": "output", "dataType": "CORRECTION", "stringValue": "better", "traceId": "t1",
            "source": "ANNOTATION", "authorUserId": "ann", "timestamp": "2026-01-01", "value": 0, **stated}  # fmt: skip


def rated(number: int) -> dict[str, Any]:
    return corrected(WHOLE) | {"id": f"rated-{number}", "name": "help", "dataType": "NUMERIC", "value": number,
                               "traceId": f"t{number}"}  # fmt: skip


def scored(project: Built, *scores: dict[str, Any], refs: list[dict[str, str]]) -> Built:
    traces = [{"id": f"t{number}", "input": "Why?", "output": f"answer {number}"} for number in (1, 2)]
    options = {"scores": {"help": {"scale": [1, 5], "rubric": "r-1"}}, "corrections": {"rubric": "r-1"}}
    sidecar = {"adapter": "langfuse", "files": ["x.jsonl"], "join": JOIN, "options": options, "consent": CONSENT}
    written = {"x.jsonl": lines(*scores), "traces.jsonl": lines(*traces)}
    return (
        project.source("s", written, **sidecar, fields={"consent_refs": refs})
        .run("ingest")
        .everybody_agrees()
        .run("validate")
    )


def plain(project: Built, stated: dict[str, Any], refs: list[dict[str, str]]) -> Built:
    record = {"q": "Why?", "a": "answer 1", "b": "better", "said": "b", **stated}
    fields = {"prompt": "q", "response_a": "a", "response_b": "b", "preference": "said", "annotator": "who"}
    sidecar = {"adapter": "records", "consent": CONSENT}
    stated_fields = {**fields, "annotator_kind": {"constant": "human"}, "consent_refs": refs}
    return (
        project.source("s", {"x.jsonl": lines(record)}, **sidecar, fields=stated_fields)
        .run("ingest")
        .everybody_agrees()
        .run("validate")
    )


def told(project: Built) -> list[tuple[str, str | None]]:
    rows = project.comparisons().filter(response_b="better").to_dicts()
    return [(one["role"], one["consent_id"]) for row in rows for one in row["consent_refs"]]


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (WHOLE, [("annotator", "3"), ("prompt_author", "1"), ("prompt_author", "2")]),
        (HALF, [("annotator", "3"), ("prompt_author", "1"), ("prompt_author", None)]),
    ],
)
def test_a_row_tells_the_same_consent_whatever_else_is_in_its_batch(
    new_project: Any,  # noqa: ANN401
    stated: dict[str, Any],
    expected: list[tuple[str, str | None]],
) -> None:
    found = [
        scored(new_project("alone"), corrected(stated), refs=REFS),
        scored(new_project("turned"), corrected(stated), refs=REFS[::-1]),
        scored(new_project("beside"), corrected(stated), rated(1), rated(2), refs=REFS),
        plain(new_project("records"), stated, refs=REFS),
    ]
    assert sorted(told(found[0]), key=str) == sorted(expected, key=str)
    assert [told(one) for one in found] == [told(found[0])] * len(found)
    refused = {} if stated is WHOLE else {"no_consent": 1}
    assert [one.reasons("validate") for one in found] == [refused] * len(found)


@pytest.mark.parametrize("files", [1, 2])
def test_who_withdrew_counts_in_whichever_delivery_they_are_named(files: int, project: Built) -> None:
    stated = [
        [record(prompt=f"question {number}", consent=consent) for number in range(20)] for consent in ("c-1", "c-2")
    ]
    written = {"x.jsonl": lines(*stated[0], *stated[1])} if files == 1 else {}
    if files > 1:
        written = {f"{place}.jsonl": lines(*one) for place, one in enumerate(stated)}
    refs = [{"role": "annotator", "subject": "annotator", "consent_id": "consent"}]
    project.source("s", written, fields={**SIDECAR["fields"], "consent_refs": refs}).run("ingest").everybody_agrees()
    ann = project.comparisons()["annotator"][0]
    agreed = [event(subject=ann, consent_id=consent) for consent in ("c-1", "c-2")]
    assert project.consents("everybody.jsonl", *agreed).run("validate").reasons("validate") == {}
    for consent in ("c-1", "c-2"):
        later = event(subject=ann, consent_id=consent, status="ConsentWithdrawn", status_time="2025-02-01T00:00:00Z")
        project.consents("later.jsonl", later).run("validate")
        assert project.reasons("validate") == {"consent_withdrawn": 20}
        assert {row["consent_id"]: row["rows"] for row in rows_by_consent(project).to_dicts()} == {
            "c-1": 20,
            "c-2": 20,
            "whole": 20,
        }
    project.consents(
        "later.jsonl", event(subject=ann, consent_id="c-2", purposes=[], status_time="2025-02-01T00:00:00Z")
    )
    assert project.run("validate").reasons("validate") == {"no_common_purpose": 20}
