"""One example for each reason that validate drops for, and for the order of the reasons."""

from typing import Any

import pytest

from pipeline.stages.validate import REASONS
from tests.building import SIDECAR, Built, lines, record

MESSAGES = {"fields": {**SIDECAR["fields"], "prompt": {"messages": "prompt"}}}
BOUND = {
    "consent": {**SIDECAR["consent"], "roles": ["annotator"]},
    "fields": {
        **SIDECAR["fields"],
        "consent_refs": [{"role": "annotator", "subject": "annotator", "consent_id": "consent"}],
    },
}


def said(*turns: str) -> list[dict[str, str]]:
    return [{"role": turn.split()[0], "content": turn.partition(" ")[2]} for turn in turns]


EXAMPLES: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "empty_prompt": [
        (record(prompt=" \n"), {}),
        (record(prompt=[]), MESSAGES),
        (record(prompt=said("user ")), MESSAGES),
    ],
    "roles_not_alternating": [
        (record(prompt=said("user a", "user b")), MESSAGES),
        (record(prompt=said("user a", "assistant b")), MESSAGES),
        (record(prompt=said("user a", "system s", "user b")), MESSAGES),
        (record(prompt=said("system s")), MESSAGES),
    ],
    "empty_response": [(record(a=""), {}), (record(b=" \t"), {}), (record(a="", b=""), {})],
    "equal_responses": [(record(a="same", b=" same\n"), {})],
    "unknown_preference": [(record(preference=None), {})],
    "strength_out_of_range": [
        (record(strength=1.01), {"fields": {**SIDECAR["fields"], "strength": "strength"}}),
        (record(strength=-1), {"fields": {**SIDECAR["fields"], "strength": {"path": "strength", "scale": [0, 3]}}}),
    ],
    "unknown_policy": [(record(), {"policy_version": "p-9"}), (record(), {"policy_version": {"path": "nowhere"}})],
    "policy_not_accepted": [(record(), {"policy_version": "p-0"})],
    "unknown_rubric": [(record(rubric="r-9"), {"rubric_version": {"path": "rubric"}})],
    "rubric_not_accepted": [(record(rubric="r-0"), {"rubric_version": {"path": "rubric"}})],
    "license_not_allowed": [(record(), {"license": "CC-BY-NC-4.0"})],
    "no_consent": [
        (record(), {"consent": "none"}),
        (record(), {"consent": {**SIDECAR["consent"], "purposes": []}}),
        (record(), {"consent": BOUND["consent"]}),
        (record(consent=None), BOUND),
        (record(annotator=None, consent="c-1"), BOUND),
    ],
}


@pytest.mark.parametrize(
    ("reason", "given", "changes"), [(reason, *example) for reason, found in EXAMPLES.items() for example in found]
)
def test_reason(project: Built, reason: str, given: dict[str, Any], changes: dict[str, Any]) -> None:
    project.source("s", {"x.jsonl": lines(given)}, **changes).run("ingest", "validate")
    assert project.reasons("validate") == {reason: 1}


def test_event_conflict_drops_all_contents_of_one_event(project: Built) -> None:
    fields = {**SIDECAR["fields"], "event_id": "event"}
    first = lines(record(event=1), record(event=2, annotator="bob"), record(event=3, a="else"))
    second = lines(record(event=1, preference="b"), record(event=2, annotator="bob"))
    project.source("s", {"x.jsonl": first, "y.jsonl": second}, fields=fields).run("ingest", "validate")
    assert project.reasons("validate") == {"event_conflict": 2}
    assert project.account("ingest")["comparisons"] == {"candidates": 5, "kept": 4, "copies": 1, "quarantined": 0}


def test_every_reason_has_an_example() -> None:
    assert set(EXAMPLES) | {"event_conflict"} == set(REASONS)


def test_sound_rows_are_kept_with_their_purposes(project: Built) -> None:
    rows = lines(record(consent="c-1"), record(annotator="bob", consent="c-2"))
    project.source("s", {"x.jsonl": rows}, **BOUND).run("ingest", "validate")
    decisions = project.table("validate/decisions")
    assert decisions["drop_reason"].null_count() == 2
    assert decisions["purposes"].to_list() == [["ai-alignment", "ai-evaluation"]] * 2


def test_the_first_reason_wins(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record(prompt="", a="", b="", preference=None))}, consent="none")
    assert project.run("ingest", "validate").reasons("validate") == {"empty_prompt": 1}


def test_system_messages_may_precede(project: Built) -> None:
    turns = said("system s", "system t", "user a", "assistant b", "user c")
    project.source("s", {"x.jsonl": lines(record(prompt=turns))}, **MESSAGES).run("ingest", "validate")
    assert project.reasons("validate") == {}
