"""One example for each reason that validate drops for, and for the order of the reasons."""

from typing import Any

import polars as pl
import pytest

from pipeline.core.consent.events import read_events
from pipeline.core.digests import keyed_digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.keys import PUBLIC_KEY
from pipeline.stages.validate import REASONS
from tests.building import SIDECAR, Built, event, lines, record

MESSAGES = {"fields": {**SIDECAR["fields"], "prompt": {"messages": "prompt"}}}
BOUND = {
    "consent": {**SIDECAR["consent"], "roles": ["annotator"]},
    "fields": {
        **SIDECAR["fields"],
        "consent_refs": [{"role": "annotator", "subject": "annotator", "consent_id": "consent"}],
    },
}

UNRECORDED = {key: value for key, value in SIDECAR["consent"].items() if key != "record"}


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
        (record(), {"consent": UNRECORDED}),
        (record(consent="c-1", annotator=None), {"consent": UNRECORDED, "fields": BOUND["fields"]}),
        (record(consent=None), BOUND),
        (record(annotator=None, consent="c-1"), BOUND),
        (record(consent=None), {"fields": BOUND["fields"]}),
        (record(annotator=None, consent="c-1"), {"fields": BOUND["fields"]}),
    ],
    "consent_unknown": [
        (record(consent="c-1"), BOUND),
        (record(), {"consent": {**SIDECAR["consent"], "record": "unheard-of"}}),
    ],
}

# For each reason what the ledger says of the source's record, and what params.yaml says beside that.
LEDGER: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "license_not_allowed": [({"license": "CC-BY-NC-4.0"}, {}), ({"license": "CC0-1.0 OR CC-BY-NC-4.0"}, {})],
    "consent_unknown": [
        ({"status": "ConsentUnknown"}, {}),
        ({"status": None}, {}),
        ({"consent_id": "other"}, {}),
        ({"subject": "source:other"}, {}),
    ],
    "consent_not_given": [
        ({"status": status}, {}) for status in ("ConsentRequested", "ConsentRequestDeferred", "ConsentRefused")
    ],
    "consent_invalidated": [({"status": "ConsentInvalidated"}, {})],
    "consent_withdrawn": [
        ({"status": "ConsentWithdrawn"}, {}),
        ({"status": "ConsentWithdrawn", "status_time": "2099-01-01T00:00:00Z"}, {}),
    ],
    "consent_revoked": [({"status": "ConsentRevoked"}, {})],
    "processing_objected": [({"status": "eu-gdpr:A21", "legal_basis": ["eu-gdpr:A6-1-f"]}, {})],
    "consent_expired": [
        ({"status": "ConsentExpired"}, {}),
        ({"valid_until": "2025-12-31"}, {}),
        ({"valid_until": "2026-01-01"}, {"as_of": "2026-01-02"}),
        ({"status": None, "legal_basis": ["Contract"], "valid_until": "2025-12-31"}, {}),
    ],
    "retention_passed": [({"retention_until": "2025-12-31T23:59:59Z"}, {})],
    "special_category": [
        ({"special_category": True, "legal_basis": ["eu-gdpr:A9-2-a"]}, {}),
        ({"special_category": True}, {"special_category": True}),
    ],
    "jurisdiction_not_allowed": [({"jurisdiction": "FR"}, {"jurisdictions": ["DE"]}), ({}, {"jurisdictions": ["DE"]})],
    "no_common_purpose": [({"purposes": ["ai-other"]}, {}), ({"purposes": []}, {}), ({"purposes": None}, {})],
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
    assert set(EXAMPLES) | set(LEDGER) | {"event_conflict"} == set(REASONS)


@pytest.mark.parametrize(
    ("reason", "stated", "params"), [(reason, *example) for reason, found in LEDGER.items() for example in found]
)
def test_reason_of_the_ledger(project: Built, reason: str, stated: dict[str, Any], params: dict[str, Any]) -> None:
    project.set_params(validate=params).source("s", {"x.jsonl": lines(record())})
    project.consents("s.jsonl", event(**stated))
    assert project.run("ingest", "validate").reasons("validate") == {reason: 1}


@pytest.mark.parametrize(
    ("stated", "params"),
    [
        ({"valid_until": "2026-01-01", "retention_until": "2026-01-01"}, {}),
        ({"special_category": True, "legal_basis": ["eu-gdpr:A9-2-a"]}, {"special_category": True}),
        ({"jurisdiction": "DE-BE"}, {"jurisdictions": ["DE"]}),
        ({"status": None, "legal_basis": ["eu-gdpr:A6-1-f"]}, {}),
        ({"license": "CC0-1.0 AND CC0-1.0"}, {}),
    ],
)
def test_what_holds_to_the_end_of_the_day_and_is_allowed_passes(
    project: Built, stated: dict[str, Any], params: dict[str, Any]
) -> None:
    project.set_params(validate=params).source("s", {"x.jsonl": lines(record())}).consents("s.jsonl", event(**stated))
    assert project.run("ingest", "validate").reasons("validate") == {}


def pseudonym(raw: str) -> str:
    return keyed_digest_text(PUBLIC_KEY, "annotator", "s", raw)


TWO_ROLES = {
    "consent": {**SIDECAR["consent"], "roles": ["annotator", "prompt_author"]},
    "fields": {
        **SIDECAR["fields"],
        "consent_refs": [
            {"role": "annotator", "subject": "annotator", "consent_id": {"constant": "c"}},
            {"role": "prompt_author", "subject": "author", "consent_id": {"constant": "c"}},
        ],
    },
}


def pairs_of_people(project: Built, stated: dict[str, dict[str, Any] | None]) -> list[tuple[set[str], dict[str, Any]]]:
    """Have everybody of the ledger judge everybody's prompt; return each row's people with its decision."""
    everybody = list(stated)
    texts = [record(annotator=one, author=other, prompt=f"{one} {other}") for one in everybody for other in everybody]
    project.source("s", {"x.jsonl": lines(*texts)}, **TWO_ROLES)
    told = [event(consent_id="c", subject=pseudonym(raw), **said) for raw, said in stated.items() if said is not None]
    decisions = project.consents("people.jsonl", *told).run("ingest", "validate").table("validate/decisions")
    rows = project.comparisons().join(decisions, on="comparison_id").to_dicts()
    assert len(rows) == len(everybody) ** 2
    return [(set(row["prompt"][0]["content"].split()), row) for row in rows]


def test_of_several_people_the_first_reason_counts(project: Built) -> None:
    """In the documented order, whoever it is."""
    here = {"jurisdiction": "DE"}
    stated: dict[str, dict[str, Any] | None] = {
        reason: {**here, **examples[0][0]} for reason, examples in LEDGER.items() if reason != "no_common_purpose"
    }
    stated |= {"consent_unknown": None, "sound": here}
    project.set_params(validate={"jurisdictions": ["DE"]})
    project.consents("whole.jsonl", event(jurisdiction="DE", status_time="2026-01-01T00:00:00Z"))
    order = list(REASONS)
    for people, row in pairs_of_people(project, stated):
        reasons = sorted(people - {"sound"}, key=order.index)
        assert row["drop_reason"] == (reasons[0] if reasons else None)


def test_purposes_are_what_all_allow(project: Built) -> None:
    purposes: dict[str, list[str] | None] = {
        "both": ["ai-evaluation", "ai-alignment"],
        "one": ["ai-alignment"],
        "other": ["ai-evaluation", "ai-other"],
        "none": [],
        "silent": None,
        "unheard-of": None,
    }
    told = {raw: None if raw == "unheard-of" else {"purposes": stated} for raw, stated in purposes.items()}
    for people, row in pairs_of_people(project, told):
        common = {"ai-alignment", "ai-evaluation"}.intersection(*(purposes[raw] or [] for raw in people))
        assert row["purposes"] == sorted(common)
        refused = "consent_unknown" if "unheard-of" in people else "no_common_purpose"
        assert row["drop_reason"] == (None if common else refused)


def test_a_row_names_the_events_that_it_hangs_on(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record(consent="c"), record(consent="unheard-of", annotator="bob"))}, **BOUND)
    renewed = event(consent_id="c", subject=pseudonym("ann"), status="RenewedConsentGiven")
    project.consents(
        "people.jsonl", {**renewed, "status": "ConsentGiven"}, {**renewed, "status_time": "2025-06-01T00:00Z"}
    )
    project.run("ingest", "validate")
    events = read_events(project.ledger)
    whole, given_last = (events.filter(consent_id=one)["event"].to_list()[-1] for one in ("whole", "c"))
    assert sorted(project.table("validate/decisions")["consent_events"].to_list(), key=len) == [
        [whole],
        sorted([whole, given_last]),
    ]


def test_the_account_says_what_the_ledger_held(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())})
    project.consents("t.jsonl", event(subject="source:t"), event(subject="source:t", status="ConsentWithdrawn"))
    project.consents("u.jsonl", event(subject="source:t", status_time="2027-01-31T12:00:00.5+01:00"))
    assert project.run("ingest", "validate").account("validate")["consent_ledger"] == {
        "as_of": "2026-01-01",
        "consents": 2,
        "events": 4,
        "contradictions": 1,
        "newest": "2027-01-31T11:00:00.500000Z",
    }


def test_without_a_ledger_nobody_consented(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())})
    (project.ledger / "consent" / "s.jsonl").unlink()
    assert project.run("ingest", "validate").reasons("validate") == {"consent_unknown": 1}
    assert project.account("validate")["consent_ledger"] == {
        "as_of": "2026-01-01",
        "consents": 0,
        "events": 0,
        "contradictions": 0,
        "newest": None,
    }


def test_a_malformed_ledger_stops_the_build(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())}).run("ingest", "validate")
    project.consents("t.jsonl", event(status="Withdrawn"))
    with pytest.raises(PairtrailError, match=r"t\.jsonl: line 1: `status`: .*nearest known: ConsentWithdrawn"):
        project.run("validate")


def test_sound_rows_are_kept_with_their_purposes(project: Built) -> None:
    rows = lines(record(consent="c-1"), record(annotator="bob", consent="c-2"))
    people = {"ann": "c-1", "bob": "c-2"}
    told = [event(consent_id=consent, subject=pseudonym(raw)) for raw, consent in people.items()]
    project.source("s", {"x.jsonl": rows}, **BOUND).consents("people.jsonl", *told).run("ingest", "validate")
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


@pytest.mark.parametrize(
    ("roles", "status", "reason"),
    [([], "ConsentWithdrawn", "consent_withdrawn"), (["prompt_author"], "ConsentGiven", "no_consent")],
)
def test_a_reference_counts_beside_a_record_that_names_nobody_and_does_not_stand_in_for_it(
    project: Built, roles: list[str], status: str, reason: str
) -> None:
    """Two ratings make a comparison, and for one of them nobody is named."""
    score = {
        "name": "help",
        "dataType": "NUMERIC",
        "source": "ANNOTATION",
        "authorUserId": "ann",
        "timestamp": "2026-01-01",
    }
    scores = [
        {**score, "id": "s1", "traceId": "t1", "value": 1, "who": "ann", "consent": "c"},
        {**score, "id": "s2", "traceId": "t2", "value": 2},
    ]
    traces = [{"id": f"t{number}", "input": "Why?", "output": f"answer {number}"} for number in (1, 2)]
    ref = {"role": "prompt_author", "subject": "who", "consent_id": "consent"}
    project.source(
        "s",
        {"x.jsonl": lines(*scores), "traces.jsonl": lines(*traces)},
        adapter="langfuse",
        files=["x.jsonl"],
        join={"traces": {"glob": "traces.jsonl", "key": "id", "on": "traceId"}},
        options={"scores": {"help": {"scale": [1, 5], "rubric": "r-1"}}},
        fields={"consent_refs": [ref]},
        consent={**SIDECAR["consent"], "roles": roles},
    )
    told = event(consent_id="c", subject=pseudonym("ann"), status=status)
    assert project.consents("people.jsonl", told).run("ingest", "validate").reasons("validate") == {reason: 1}


def test_nobody_else_s_record_covers_a_person_who_judged(project: Built) -> None:
    """A model is no person, and of an annotator whom nobody names the reference is all that there is."""
    fields = {
        **BOUND["fields"],
        "consent_refs": [{"role": "annotator", "subject": "who", "consent_id": "consent"}],
        "annotator_kind": "kind",
    }
    rows = [
        record(prompt=f"{number}?", annotator=annotator, who="ann", consent="c", kind=kind)
        for number, (annotator, kind) in enumerate(
            [("ann", "human"), ("bob", "human"), (None, "human"), ("gpt", "model")]
        )
    ]
    project.source("s", {"x.jsonl": lines(*rows)}, consent=BOUND["consent"], fields=fields)
    project.run("ingest").everybody_agrees().run("validate")
    assert project.reasons("validate") == {"no_consent": 1}
    dropped = project.table("validate/decisions").filter(pl.col("drop_reason").is_not_null())["comparison_id"].item()
    prompts = dict(project.comparisons().select("comparison_id", "prompt").iter_rows())
    assert prompts[dropped][0]["content"] == "1?"
