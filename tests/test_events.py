"""The adapter `events`: what users were shown and did, the contract, and reactions that say less than they seem to."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from pipeline.adapters import events
from pipeline.core.errors import PairtrailError
from tests.building import Built, lines, put_version
from tests.mutants import JSON, adds_up, ids_of, mutants, shuffled
from tests.pages import DOCS, blocks

ALL = {"choice": "r-1", "thumbs": "r-2", "edit": "r-3", "regeneration": "r-4"}
CONTRACT = Draft202012Validator(json.loads((DOCS / "events.schema.json").read_text(encoding="utf-8")))


def event(kind: str, name: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    common = {"version": 1, "event": kind, "id": name, "time": "2026-01-01T10:00:00+01:00", "turn": "t1", "user": "u1"}
    return {**common, "session": "s1", "consent": "c-1", **changes}


def shown(name: str = "s1", *responses: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    held = [{"id": f"{name}.{n}", "text": text, "model": f"m-{text}"} for n, text in enumerate(responses or ("B", "A"))]
    prompt = [{"role": "user", "content": "What is dew?"}]
    return event("shown", name, **{"prompt": prompt, "responses": held, **changes})


def choice(name: str, said: Any = "a", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return event("choice", name, **{"shown": "s1", "choice": said, **changes})


def thumbs(name: str, response: str, said: Any = "up", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return event("thumbs", name, **{"shown": response[:2], "response": response, "thumbs": said, **changes})


def edit(name: str, text: Any = "better", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return event("edit", name, **{"shown": "s1", "response": "s1.0", "text": text, **changes})


def regeneration(name: str, new: Any = "s2", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return event("regeneration", name, **{"shown": "s1", "response": "s1.0", "new": new, **changes})


def ingested(project: Built, *found: dict[str, Any], options: dict[str, Any] | None = None) -> Built:
    changes = {"adapter": "events", "fields": {}, "options": ALL if options is None else options}
    return project.source("ev", {"x.jsonl": lines(*found)}, **changes).run("ingest")


def silences(project: Built) -> dict[str, int]:
    records = project.table("ingest/records")
    return dict(records.filter(records["outcome"] == "no_comparison")["reason"].value_counts().iter_rows())


def outcomes(project: Built) -> dict[str, int]:
    return dict(project.account("ingest")["records_by_source"]["ev"])


def test_a_choice_between_a_shown_pair_is_a_comparison(project: Built) -> None:
    [row] = ingested(project, choice("c1", "b", reason="short"), shown()).comparisons().to_dicts()
    assert (row["response_a"], row["response_b"], row["preference"], row["presented_order"]) == ("B", "A", "b", "ab")
    assert (row["model_a"], row["model_b"], row["rationale"], row["strength"]) == ("m-B", "m-A", "short", None)
    assert (row["rubric_version"], row["annotator_kind"], row["created_at"].isoformat()) == (
        "r-1", "human", "2026-01-01T09:00:00+00:00")  # fmt: skip
    assert outcomes(project) == {"gave_comparisons": 2}


@pytest.mark.parametrize("said", ["a", "b", "tie", "both_bad"])
def test_each_choice_is_a_preference(project: Built, said: str) -> None:
    assert ingested(project, shown(), choice("c1", said)).comparisons()["preference"].to_list() == [said]


def test_two_choices_on_one_pair_are_two_verdicts_of_which_the_later_stays(project: Built) -> None:
    later = choice("c2", "b", time="2026-01-01T10:00:01+01:00")
    ingested(project, shown(), later, choice("c1", "a")).run("validate", "dedupe")
    assert project.comparisons().height == 2
    assert project.reasons("dedupe") == {"superseded": 1}


def test_an_event_delivered_again_is_a_copy(project: Built) -> None:
    again = dict(reversed(choice("c1").items()))
    account = ingested(project, shown(), choice("c1"), shown(), again, choice("c1"), dict(reversed(shown().items())))
    assert account.account("ingest")["comparisons"]["kept"] == 1
    assert set(outcomes(project)) <= {"gave_comparisons", "only_copies"}


def test_one_id_with_two_choices_is_a_conflict(project: Built) -> None:
    ingested(project, shown(), choice("c1", "a"), choice("c1", "b")).run("validate")
    assert project.reasons("validate") == {"event_conflict": 2}


def test_a_reaction_before_what_was_shown_keeps_its_own_time(project: Built) -> None:
    [row] = ingested(project, shown(), choice("c1", time="2025-12-31T23:59:59Z")).comparisons().to_dicts()
    assert row["created_at"].isoformat() == "2025-12-31T23:59:59+00:00"


def test_up_and_down_on_two_responses_are_a_comparison(project: Built) -> None:
    found = shown(), thumbs("u1", "s1.0", "down"), thumbs("u2", "s1.1", "up", time="2026-01-01T10:00:09+01:00")
    [row] = ingested(project, *found).comparisons().to_dicts()
    assert (row["response_a"], row["response_b"], row["preference"], row["presented_order"]) == ("A", "B", "a", None)
    assert (row["rubric_version"], row["strength"], row["created_at"].second) == ("r-2", None, 9)
    assert outcomes(project) == {"gave_comparisons": 3}


def test_thumbs_compare_across_what_was_shown_in_one_turn_and_no_further(project: Built) -> None:
    one = shown("s1", "A"), shown("s2", "B"), thumbs("u1", "s1.0", "up"), thumbs("u2", "s2.0", "down")
    other = [
        {**each, "turn": "t2", "id": f"x-{each['id']}"} for each in (shown("s3", "C"), thumbs("u3", "s3.0", "down"))
    ]
    other[1]["shown"] = "x-s3"
    rows = ingested(project, *one, *other).comparisons()
    assert rows.select("response_a", "response_b", "preference").rows() == [("A", "B", "a")]
    assert silences(project) == {"no_partner": 2}


@pytest.mark.parametrize(
    ("reason", "second"),
    [
        ("one_label", {"thumbs": "up"}),
        ("no_partner", {"user": "u2"}),
        ("no_partner", {"user": None}),
        ("no_partner", {"user": " "}),
        ("no_partner", {"response": "s1.0", "thumbs": "up"}),
    ],
)
def test_thumbs_that_compare_nothing(project: Built, reason: str, second: dict[str, Any]) -> None:
    ingested(project, shown(), thumbs("u1", "s1.0", "up"), {**thumbs("u2", "s1.1", "down"), **second})
    assert silences(project) == {reason: 3}


def test_two_unnamed_users_are_not_one(project: Built) -> None:
    ingested(project, shown(), *(thumbs(f"u{n}", f"s1.{n}", ("up", "down")[n], user=None) for n in (0, 1)))
    assert silences(project) == {"no_partner": 3}


def test_up_and_down_on_one_response_contradict_each_other(project: Built) -> None:
    found = shown(), thumbs("u1", "s1.0", "up"), thumbs("u2", "s1.0", "down"), thumbs("u3", "s1.1", "down")
    assert ingested(project, *found).reasons("ingest") == {"conflicting_ratings": 2}
    assert silences(project) == {"no_partner": 2}


def test_thumbs_on_two_prompts_in_one_turn_break_the_contract(project: Built) -> None:
    other = shown("s2", "B", prompt=[{"role": "user", "content": "Another"}])
    ingested(project, shown("s1", "A"), other, thumbs("u1", "s1.0", "up"), thumbs("u2", "s2.0", "down"))
    assert project.reasons("ingest") == {"contexts_differ": 1}


@pytest.mark.parametrize(("text", "told"), [("A better one", ("A better one", "B", "a")), ("Z", ("B", "Z", "b"))])
def test_an_edited_text_is_preferred_to_the_original(project: Built, text: str, told: tuple[str, ...]) -> None:
    [row] = ingested(project, shown(), edit("e1", text)).comparisons().to_dicts()
    assert (row["response_a"], row["response_b"], row["preference"]) == told
    assert {row["model_a"], row["model_b"]} == {None, "m-B"}
    assert row["rubric_version"] == "r-3"


def test_a_regeneration_by_itself_says_nothing(project: Built) -> None:
    ingested(project, shown("s1", "A"), shown("s2", "B"), regeneration("g1"))
    assert silences(project) == {"nothing_said": 2, "not_judged": 1}
    assert silences(ingested(project, shown("s1", "A"), regeneration("g1", None))) == {"nothing_said": 2}


def test_a_regeneration_says_something_with_a_thumb_on_the_new_response(project: Built) -> None:
    found = shown("s1", "A"), shown("s2", "B"), regeneration("g1"), thumbs("u1", "s2.0", time="2026-01-01T12:00:00Z")
    [row] = ingested(project, *found).comparisons().to_dicts()
    assert (row["response_a"], row["response_b"], row["preference"], row["rubric_version"]) == ("A", "B", "b", "r-4")
    assert (row["model_a"], row["model_b"], row["created_at"].hour) == ("m-A", "m-B", 12)
    assert outcomes(project) == {"gave_comparisons": 4}


@pytest.mark.parametrize(
    "said",
    [
        thumbs("u1", "s2.0", "down"),
        thumbs("u1", "s2.0", "up", user="u2"),
        thumbs("u1", "s1.0", "up"),
        thumbs("u1", "s1.0", "down"),
    ],
)
def test_another_thumb_gives_a_regeneration_no_weight(project: Built, said: dict[str, Any]) -> None:
    ingested(project, shown("s1", "A"), shown("s2", "B"), regeneration("g1"), said)
    assert project.account("ingest")["comparisons"]["candidates"] == 0


def test_a_thumb_on_the_old_response_takes_the_weight_away(project: Built) -> None:
    both = thumbs("u1", "s2.0"), thumbs("u2", "s1.0")
    ingested(project, shown("s1", "A"), shown("s2", "B"), regeneration("g1"), *both)
    assert silences(project) == {"one_label": 3, "nothing_said": 2}
    assert project.account("ingest")["comparisons"]["candidates"] == 0


def test_a_click_is_never_folded_with_a_judgement(project: Built) -> None:
    for version in ("r-3", "r-4"):
        put_version(project.root, "rubric", version)
    project.set_params(validate={"rubrics": ["r-1", "r-2", "r-3", "r-4"]})
    found = shown(), choice("c1", "a"), thumbs("u1", "s1.0", "up"), thumbs("u2", "s1.1", "down"), edit("e1")
    ingested(project, *found).run()
    account = project.account("publish")
    assert account["in"] == account["kept"] == 3
    rows = project.comparisons()
    assert rows.filter(rows["rubric_version"] != "r-3")["pair_id"].n_unique() == 1
    assert sorted(rows["rubric_version"]) == ["r-1", "r-2", "r-3"]


def test_a_kind_without_a_rubric_is_not_read(project: Built) -> None:
    ingested(project, shown(), choice("c1"), edit("e1"), thumbs("u1", "s1.0"), options={"choice": "r-1"})
    assert silences(project) == {"not_a_comparison": 2}


def test_what_nobody_reacted_to_is_not_judged(project: Built) -> None:
    assert silences(ingested(project, shown(), shown("s2", "only one"))) == {"not_judged": 2}


STRAY = [
    choice("c1", shown="s9"),
    choice("c1", turn="t9"),
    thumbs("u1", "s1.7"),
    edit("e1", response="s2.0"),
    regeneration("g1", "s9"),
    regeneration("g1", response="s9.0"),
]


@pytest.mark.parametrize("stray", STRAY)
def test_a_reaction_to_what_was_not_shown_is_quarantined(project: Built, stray: dict[str, Any]) -> None:
    assert ingested(project, shown(), stray).reasons("ingest") == {"no_shown_event": 1}
    assert silences(project) == {
        "nothing_said" if stray.get("shown") == "s1" and stray["turn"] == "t1" else "not_judged": 1
    }


def test_a_choice_on_one_response_is_none(project: Built) -> None:
    assert ingested(project, shown("s1", "A"), choice("c1")).reasons("ingest") == {"no_shown_event": 1}


def test_what_is_shown_in_two_versions_is_not_believed(project: Built) -> None:
    assert ingested(project, shown(), shown("s1", "C", "D"), choice("c1")).reasons("ingest") == {"no_shown_event": 3}


def test_the_consent_of_who_asked_and_of_who_reacted_is_needed(project: Built) -> None:
    consent = {"basis": "eu-gdpr:A6-1-a", "purposes": ["ai-alignment"], "roles": ["annotator"], "statement": "made up"}
    fields = {"consent_refs": [{"role": "annotator", "subject": "user", "consent_id": "consent"}]}
    found = shown(), choice("c1"), choice("c2", user="u2", consent="c-2"), choice("c3", user="u3", consent=None)
    changes = {"adapter": "events", "options": ALL, "consent": consent, "fields": fields}
    project.source("ev", {"x.jsonl": lines(*found)}, **changes).run("ingest").everybody_agrees().run("validate")
    ids = [sorted(str(ref["consent_id"]) for ref in refs) for refs in project.comparisons()["consent_refs"]]
    assert sorted(ids) == [["None", "c-1"], ["c-1"], ["c-1", "c-2"]]
    assert project.reasons("validate") == {"no_consent": 1}


def test_a_flood_of_events_in_one_turn_is_refused(project: Built) -> None:
    flood = [choice(f"c{n}") for n in range(1000)]
    ingested(project, shown(), *flood[:-1], *flood[:9])
    assert project.account("ingest")["comparisons"] == {"candidates": 1008, "kept": 999, "copies": 9, "quarantined": 0}
    assert ingested(project, shown(), *flood).reasons("ingest") == {"too_many_responses": 1001}


SOUND = [
    shown(),
    choice("c1"),
    choice("c2", "tie", user="u2"),
    thumbs("u1", "s1.0", "down"),
    thumbs("u2", "s1.1", "up"),
    edit("e1", session=None, consent=None),
    shown("s2", "C"),
    regeneration("g1"),
    thumbs("u3", "s2.0", "up"),
    regeneration("g2", None, user=None),
]

BREACHES: list[tuple[str, dict[str, Any]]] = [
    ("missing_field", {**shown(), "version": None}),
    ("wrong_type", {**shown(), "version": "1"}),
    ("unknown_value", {**shown(), "version": 2}),
    ("missing_field", {**shown(), "event": None}),
    ("unknown_value", event("hover", "h1")),
    ("wrong_type", {**shown(), "event": ["shown"]}),
    ("missing_field", {**choice("c1"), "id": " "}),
    ("missing_field", {**choice("c1"), "time": None}),
    ("missing_field", {**choice("c1"), "turn": None}),
    ("wrong_type", {**choice("c1"), "turn": 1}),
    ("wrong_type", {**choice("c1"), "user": 58}),
    ("missing_field", {**choice("c1"), "shown": ""}),
    ("missing_field", choice("c1", None)),
    ("unknown_value", choice("c1", "left")),
    ("wrong_type", choice("c1", ["a"])),
    ("unknown_value", thumbs("u1", "s1.0", "sideways")),
    ("wrong_type", thumbs("u1", "s1.0", True)),  # noqa: FBT003
    ("missing_field", {**thumbs("u1", "s1.0"), "response": None}),
    ("missing_field", edit("e1", None)),
    ("wrong_type", edit("e1", ["better"])),
    ("wrong_type", regeneration("g1", 7)),
    ("missing_field", {**shown("s9"), "prompt": None}),
    ("missing_field", {**shown("s9"), "responses": []}),
    ("wrong_type", {**shown("s9"), "responses": "AB"}),
    ("wrong_type", {**shown("s9"), "responses": [{"id": "1", "text": 1}]}),
    ("missing_field", {**shown("s9"), "responses": [{"id": "1"}]}),
    ("missing_field", {**shown("s9"), "responses": [{"text": "x"}]}),
    ("too_many_responses", shown("s9", "A", "B", "C")),
]


@pytest.mark.parametrize(("reason", "breach"), BREACHES)
def test_what_breaks_the_contract_is_quarantined(project: Built, reason: str, breach: dict[str, Any]) -> None:
    assert not CONTRACT.is_valid(breach)
    assert ingested(project, breach, shown(), choice("c9")).reasons("ingest") == {reason: 1}
    assert project.comparisons().height == 1


@pytest.mark.parametrize(
    ("reason", "prompt"), [("wrong_type", "Why?"), ("unknown_role", [{"role": "bot", "content": ""}])]
)
def test_a_prompt_that_breaks_the_contract_spoils_its_verdicts(project: Built, reason: str, prompt: Any) -> None:  # noqa: ANN401
    assert not CONTRACT.is_valid(shown(prompt=prompt))
    assert ingested(project, shown(prompt=prompt), choice("c1")).reasons("ingest") == {reason: 1}


def test_ids_that_are_not_apart_are_quarantined_beyond_what_a_schema_can_say(project: Built) -> None:
    twins = [{"id": "r", "text": "A"}, {"id": "r", "text": "B"}]
    assert ingested(project, shown(responses=twins)).reasons("ingest") == {"no_shown_event": 1}


def test_the_schema_is_one_and_sound_events_keep_it() -> None:
    Draft202012Validator.check_schema(CONTRACT.schema)
    assert [list(CONTRACT.iter_errors(one)) for one in SOUND] == [[]] * len(SOUND)
    assert set(CONTRACT.schema["properties"]["event"]["enum"]) == {"shown", *ALL}


def test_options_that_read_nothing_or_fold_too_much_are_refused(project: Built) -> None:
    for options, said in (
        ({}, "at least one of choice, thumbs, edit, regeneration"),
        ({"choice": "r-1", "thumbs": "r-1"}, "for each another one"),
        ({"regeneration": "r-1"}, "name `thumbs` too"),
        ({"clicks": "r-1"}, "unknown key `clicks`"),
    ):
        with pytest.raises(PairtrailError, match=said):
            ingested(project, shown(), options=options)


def test_the_order_of_events_does_not_matter(new_project: Callable[[str], Built]) -> None:
    found = [ingested(new_project(str(seed)), *shuffled(SOUND, seed)) for seed in range(5)]
    # Two choices, the thumbs on B (down) against A and C (up), an edit, a regeneration.
    assert len(ids_of(found[0])) == 2 + 2 + 1 + 1
    assert all(ids_of(one) == ids_of(found[0]) for one in found)
    assert all(outcomes(one) == outcomes(found[0]) for one in found)


def test_turns_that_do_not_fit_into_memory_give_the_same(
    new_project: Callable[[str], Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        {**one, "turn": f"t{n}", "id": one["id"] if one["event"] == "shown" else f"{n} {one['id']}"}
        for n in range(9)
        for one in SOUND
    ]
    held = ingested(new_project("held"), *found)
    monkeypatch.setattr("pipeline.core.mapping.grouping.parts_for", lambda _: 16)
    aside = ingested(new_project("aside"), *found)
    assert (ids_of(aside), outcomes(aside)) == (ids_of(held), outcomes(held))


def test_the_documented_events_keep_the_schema() -> None:
    [example] = blocks(DOCS / "adapters/events.md", "json")
    told = [json.loads(line) for line in example.splitlines()]
    assert {one["event"] for one in told} == {"shown", *ALL}
    assert [list(CONTRACT.iter_errors(one)) for one in told] == [[]] * len(told)


@settings(max_examples=25)
@given(mutants(SOUND))
def test_whatever_a_file_holds_both_accounts_add_up(found: list[dict[str, Any]]) -> None:
    refs = [{"role": "annotator", "subject": "user", "consent_id": "consent"}]
    adds_up({"x.jsonl": found}, adapter="events", fields={"consent_refs": refs}, options=ALL)


@settings(max_examples=200)
@given(mutants(SOUND), JSON)
def test_a_guess_looks_at_anything(found: list[dict[str, Any]], value: Any) -> None:  # noqa: ANN401
    events.guess([*found, {"event": value}])


def test_a_guess_names_the_kinds_that_it_sees() -> None:
    assert events.guess(SOUND) == {"options": {kind: f"{kind}-1" for kind in ALL}, "fields": {}}
    assert events.guess([shown(), choice("c1")]) == {"options": {"choice": "choice-1"}, "fields": {}}
    assert events.guess([]) is None
    assert events.guess([shown(), {"version": 1}]) is None
