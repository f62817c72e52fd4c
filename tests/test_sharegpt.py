"""The adapter `sharegpt`: chosen and rejected messages, instructions, and labels that meet at one prompt."""

import json
import random
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings

from pipeline.adapters.sharegpt import guess
from pipeline.core.errors import PairtrailError
from tests.building import Built, lines
from tests.hostile import nothing_is_lost, spoiled_files

FIELDS: dict[str, Any] = {"annotator": {"constant": None}, "annotator_kind": {"constant": "model"}}
SIDECAR: dict[str, Any] = {"adapter": "sharegpt", "fields": FIELDS}
OPENAI = {"messages": "messages", "role": "role", "content": "content"}
KTO = {**SIDECAR, "options": {**OPENAI, "label": "label"}}
ALPACA_KTO = {**SIDECAR, "options": {"label": "kto_tag"}}


def talk(*turns: str) -> list[dict[str, str]]:
    """Turns such as `human: Hi`."""
    return [dict(zip(("from", "value"), turn.split(": ", 1), strict=True)) for turn in turns]


def pair(*turns: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    chosen, rejected = talk("gpt: yes", "gpt: no")
    return {"conversations": talk(*(turns or ("human: Hi",))), "chosen": chosen, "rejected": rejected, **changes}


def label(stated: Any, response: Any = "yes", question: str = "Hi", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": response}]
    return {"messages": said, "label": stated, **more}


good, bad = partial(label, True), partial(label, False)  # noqa: FBT003


def alpaca(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"instruction": "Translate.", "input": "Hi", "chosen": "yes", "rejected": "no", **changes}


def ingested(project: Built, *records: dict[str, Any], **sidecar: Any) -> Built:  # noqa: ANN401
    return project.source("s", {"x.jsonl": lines(*records)}, **{**SIDECAR, **sidecar}).run("ingest")


def only(project: Built) -> dict[str, Any]:
    [row] = project.comparisons().to_dicts()
    return row


def turns(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in row["prompt"]]


def outcomes(project: Built) -> list[tuple[str, str | None]]:
    return project.table("ingest/records").select("outcome", "reason").rows()


def test_a_conversation_with_its_chosen_and_rejected_message(project: Built) -> None:
    said = ("system: Be kind.", "human: Hi", "function_call: {}", "observation: 7", "gpt: Seven.", "human: Sure?")
    row = only(ingested(project, pair(*said)))
    assert turns(row) == [
        ("system", "Be kind."),
        ("user", "Hi"),
        ("assistant", "{}"),
        ("tool", "7"),
        ("assistant", "Seven."),
        ("user", "Sure?"),
    ]
    assert (row["response_a"], row["response_b"], row["preference"]) == ("yes", "no", "a")
    assert {row[name] for name in ("annotator", "presented_order", "strength", "strength_raw")} == {None}


def test_a_response_may_call_a_function_or_be_a_bare_text(project: Built) -> None:
    ingested(project, pair(chosen={"from": "function_call", "value": '{"name": "f"}'}, rejected="no"))
    assert (only(project)["response_a"], only(project)["response_b"]) == ('{"name": "f"}', "no")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (pair(system="Be kind."), [("system", "Be kind."), ("user", "Hi")]),
        (pair(system=""), [("user", "Hi")]),
        (pair("system: Own.", "human: Hi", system="Column."), [("system", "Own."), ("user", "Hi")]),
        (pair(tools="[]"), [("user", "Hi")]),
        (pair(tools='[{"name": "f"}]'), [("system", '[{"name": "f"}]'), ("user", "Hi")]),
        (pair(tools=[{"b": 1, "a": "ü"}]), [("system", '[{"a": "ü", "b": 1}]'), ("user", "Hi")]),
        (pair(system="Be kind.", tools="f"), [("system", "Be kind.\n\nf"), ("user", "Hi")]),
        (pair("system: Own.", "human: Hi", tools="f"), [("system", "Own.\n\nf"), ("user", "Hi")]),
        (alpaca(), [("user", "Translate.\nHi")]),
        (alpaca(input=""), [("user", "Translate.")]),
        (alpaca(input=None, system="Be kind."), [("system", "Be kind."), ("user", "Translate.")]),
        (alpaca(history=[["q", "a"]]), [("user", "q"), ("assistant", "a"), ("user", "Translate.\nHi")]),
        (alpaca(conversations=None), [("user", "Translate.\nHi")]),
    ],
)
def test_what_stands_before_the_response(
    project: Built, record: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert turns(only(ingested(project, record))) == expected
    assert project.run("validate").reasons("validate") == {}


def test_role_and_content_may_have_other_names(project: Built) -> None:
    said = {"messages": [{"role": "Kunde", "content": "Hi"}], "chosen": {"role": "assistant", "content": "yes"}}
    options = {**OPENAI, "tags": {"Kunde": "user"}}
    ingested(project, {**said, "rejected": {"role": "assistant", "content": "no"}}, options=options)
    assert turns(only(project)) == [("user", "Hi")]


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("missing_field", pair(rejected=None)),
    ("missing_field", {"chosen": "yes", "rejected": "no"}),
    ("missing_field", pair(chosen={"from": "gpt"})),
    ("wrong_type", pair(chosen={"from": "gpt", "value": 7})),
    ("wrong_type", pair(chosen=["yes"])),
    ("wrong_type", pair(chosen=True)),
    ("wrong_type", pair(conversations="Hi")),
    ("wrong_type", pair(conversations={"from": "human"})),
    ("wrong_type", pair(conversations=["Hi"])),
    ("wrong_type", pair(conversations=[{"from": ["human"], "value": "Hi"}])),
    ("wrong_type", pair(conversations=[{"from": "human"}])),
    ("wrong_type", pair(system=["Be kind."])),
    ("wrong_type", pair(tools=7)),
    ("wrong_type", alpaca(instruction=["Translate."])),
    ("wrong_type", alpaca(history="before")),
    ("wrong_type", alpaca(history=[{"from": "human", "value": "Hi"}])),
    ("wrong_type", alpaca(history=[["q", 7]])),
    ("wrong_type", alpaca(chosen=7)),
    ("unknown_role", pair("robot: Hi")),
    ("no_assistant_turn", pair(chosen={"from": "human", "value": "yes"})),
    ("no_assistant_turn", pair(rejected={"from": "robot", "value": "yes"})),
    ("no_assistant_turn", pair(rejected={"value": "yes"})),
    ("not_one_text", pair(images=["a.png"])),
    ("not_one_text", alpaca(audios="a.wav")),
    ("not_one_text", pair(chosen={"from": "gpt", "value": "yes", "tool_calls": [{"id": "1"}]})),
    ("not_one_text", pair(conversations=[{"from": "gpt", "value": "", "function_call": {"name": "f"}}])),
]


@pytest.mark.parametrize(("reason", "record"), FAULTS)
def test_what_cannot_be_written_is_quarantined(project: Built, reason: str, record: dict[str, Any]) -> None:
    assert ingested(project, record, pair("human: Sound?")).reasons("ingest") == {reason: 1}
    assert only(project)["prompt"][0]["content"] == "Sound?"


def test_a_demonstration_has_one_response(project: Built) -> None:
    ingested(project, {"conversations": talk("human: Hi", "gpt: Hello")}, pair())
    assert outcomes(project) == [("no_comparison", "one_response"), ("gave_comparisons", None)]


def test_no_images_are_no_fault(project: Built) -> None:
    assert ingested(project, pair(images=[], videos=None)).reasons("ingest") == {}


def verdicts(project: Built) -> set[tuple[str, str, str]]:
    return set(project.comparisons().select("response_a", "response_b", "preference").rows())


def test_labels_meet_where_one_prompt_has_both(project: Built) -> None:
    rows = [good("b"), bad("a"), bad("c"), good("d", "Ho"), good("e", "Ho")]
    ingested(project, *rows, label(None), **KTO)
    assert verdicts(project) == {("a", "b", "b"), ("b", "c", "a")}
    gave, one, none = ("gave_comparisons", None), ("no_comparison", "one_label"), ("no_comparison", "not_judged")
    assert outcomes(project) == [gave, gave, gave, one, one, none]
    drawn_on = project.table("ingest/occurrences").select("part", "source_row").rows()
    assert sorted(drawn_on) == [("side", 2), ("side", 3), ("verdict", 1), ("verdict", 1)]
    assert project.run("validate").reasons("validate") == {}


def test_labels_of_instructions(project: Built) -> None:
    good = {"instruction": "Translate.", "input": "Hi", "output": "yes", "kto_tag": True}
    ingested(project, good, {**good, "output": "no", "kto_tag": False}, **ALPACA_KTO)
    assert verdicts(project) == {("no", "yes", "b")}
    assert turns(only(project)) == [("user", "Translate.\nHi")]


def test_labels_of_several_annotators_do_not_meet(project: Built) -> None:
    fields = {**FIELDS, "annotator": "who"}
    rows = [good("a", who="ann"), bad("b", who="bob"), bad("c", who="ann")]
    ingested(project, *rows, **{**KTO, "fields": fields})
    assert verdicts(project) == {("a", "c", "a")}
    assert outcomes(project)[1] == ("no_comparison", "one_label")


def test_an_annotator_who_is_a_number_and_one_who_is_its_text_are_one(project: Built) -> None:
    rows = [good("a", who=7), bad("b", who="7"), bad("c", who=True)]
    ingested(project, *rows, **{**KTO, "fields": {**FIELDS, "annotator": "who"}})
    assert verdicts(project) == {("a", "b", "a")}


def test_labels_by_several_rubrics_do_not_meet(project: Built) -> None:
    rows = [good("a", rubric="r-1"), bad("b", rubric="r-2")]
    ingested(project, *rows, **KTO, rubric_version={"path": "rubric"})
    assert {reason for _, reason in outcomes(project)} == {"one_label"}


def test_labels_under_several_consents_do_not_meet(project: Built) -> None:
    refs = [{"role": "annotator", "subject": "who", "consent_id": "consent"}]
    rows = [good("a", who="ann", consent="1"), bad("b", who="bob", consent="2"), bad("c", who="ann", consent="1")]
    ingested(project, *rows, **{**KTO, "fields": {**FIELDS, "consent_refs": refs}})
    assert verdicts(project) == {("a", "c", "a")}


def test_the_annotator_of_a_label_may_stand_in_a_side_file(project: Built) -> None:
    rows = lines(good("a", task=1), bad("b", task=2), bad("c", task=3))
    people = lines({"id": 1, "who": "ann"}, {"id": 2, "who": "bob"}, {"id": 3, "who": "ann"})
    join = {"tasks": {"glob": "tasks.jsonl", "key": "id", "on": "task"}}
    fields = {**FIELDS, "annotator": "tasks:who"}
    sidecar = {**KTO, "fields": fields, "files": ["x.jsonl"], "join": join}
    project.source("s", {"x.jsonl": rows, "tasks.jsonl": people}, **sidecar).run("ingest")
    assert verdicts(project) == {("a", "c", "a")}


def test_one_response_labelled_both_ways_is_written_and_dropped_later(project: Built) -> None:
    ingested(project, good(), bad(), **KTO).run("validate")
    assert project.reasons("validate") == {"equal_responses": 1}


def test_a_label_delivered_twice_gives_a_copy(project: Built) -> None:
    rows = [good("a"), bad("b")]
    ingested(project, *rows, *rows, **KTO)
    assert project.account("ingest")["comparisons"] == {"candidates": 2, "kept": 1, "copies": 1, "quarantined": 0}


LABEL_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("wrong_type", label("true")),
    ("wrong_type", label(1)),
    ("wrong_type", good(["yes"])),
    ("missing_field", good(None)),
    ("missing_field", {"label": True}),
    ("wrong_type", {"label": True, "messages": "Hi"}),
    ("wrong_type", {"label": True, "messages": ["Hi"]}),
    ("no_assistant_turn", {"label": True, "messages": []}),
    ("no_assistant_turn", {"label": True, "messages": [{"role": "user", "content": "Hi"}]}),
    ("unknown_role", {"label": True, "messages": [{"role": "robot", "content": "Hi"}]}),
    ("not_one_text", good(images=["a.png"])),
    ("not_one_text", good(messages=[{"role": "assistant", "content": "Hi", "tool_calls": [{}]}])),
]


@pytest.mark.parametrize(("reason", "record"), LABEL_FAULTS)
def test_a_label_that_cannot_be_read_is_quarantined(project: Built, reason: str, record: dict[str, Any]) -> None:
    ingested(project, record, good("a", "Sound?"), bad("b", "Sound?"), **KTO)
    assert project.reasons("ingest") == {reason: 1}
    assert verdicts(project) == {("a", "b", "a")}


@pytest.mark.parametrize(("many", "kept"), [(1_000, 1_000), (1_001, 0)])
def test_a_prompt_with_very_many_labels(project: Built, many: int, kept: int) -> None:
    ingested(project, good(), *(bad(f"no {i}") for i in range(many)), **KTO)
    account = project.account("ingest")
    assert account["comparisons"]["kept"] == kept
    told = {"gave_comparisons": many + 1} if kept else {"quarantined": many + 1}
    assert {name: count for name, count in account["records"].items() if count} == {"in": many + 1, **told}


@pytest.mark.parametrize("field", ["model_a", "behaviour_b", "event_id"])
def test_a_label_says_nothing_about_one_side_or_about_the_comparison(project: Built, field: str) -> None:
    with pytest.raises(PairtrailError, match=f"s: {field}: a labelled record speaks of one response alone"):
        ingested(project, good(), **{**KTO, "fields": {**FIELDS, field: "x"}})


def ids(project: Built) -> list[str]:
    return sorted(project.comparisons()["comparison_id"])


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_labels_changes_nothing(new_project: Any, seed: int) -> None:  # noqa: ANN401
    rows = [label(value, f"{value} {i}", question) for value in (True, False) for i in range(3) for question in "xyz"]
    straight = ingested(new_project("straight"), *rows, **KTO)
    random.Random(seed).shuffle(rows)  # noqa: S311
    assert len(ids(straight)) == 3 * 3 * 3
    assert ids(ingested(new_project("shuffled"), *rows, **KTO)) == ids(straight)


def test_from_records_to_the_published_dataset(project: Built) -> None:
    array = json.dumps([pair(), alpaca()])
    project.source("pairs", {"x.json": array}, **SIDECAR, files=["x.json"])
    project.source("labels", {"x.jsonl": lines(good("a"), bad("b"))}, **KTO).run()
    assert project.account("publish")["kept"] == 3


ANSWER = {"role": "assistant", "content": ""}


@pytest.mark.parametrize(
    ("record", "options"),
    [
        (pair(), {}),
        (alpaca(), {}),
        ({"messages": good()["messages"][:1], "chosen": ANSWER, "rejected": ANSWER}, OPENAI),
        (good(), {**OPENAI, "label": "label"}),
        ({"conversations": talk("human: Hi", "gpt: yes"), "kto_tag": False}, {"label": "kto_tag"}),
        ({"instruction": "Translate.", "output": "yes", "kto_tag": True}, {"label": "kto_tag"}),
    ],
)
def test_guess_knows_its_shapes(record: dict[str, Any], options: dict[str, str]) -> None:
    assert guess([record, record]) == {"options": options, "fields": {}}
    assert guess([record, {"prompt": "p"}]) is None


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"prompt": "p", "chosen": "c", "rejected": "r"},
        {"conversations": talk("human: Hi", "gpt: Hello")},
        {"messages": good()["messages"]},
        label("up"),
        {"instruction": "Translate.", "output": "yes"},
        {"conversations": [], "chosen": "c", "rejected": "r"},
    ],
)
def test_guess_leaves_other_shapes_alone(record: dict[str, Any]) -> None:
    assert guess([record]) is None
    assert guess([]) is None


SOUND = [
    pair("system: s", "human: Hi", "gpt: Ho", "human: He", system="s", tools="t", images=[]),
    alpaca(history=[["q", "a"]], system="s"),
]
LABELS = [label(value, response, system="s", tools="t") for value in (True, False) for response in "ab"]


@settings(max_examples=15)
@given(spoiled_files(SOUND))
def test_hostile_pairs_are_accounted_for(records: list[dict[str, Any]]) -> None:
    guess(records)
    nothing_is_lost(records, **SIDECAR)


@settings(max_examples=15)
@given(spoiled_files(LABELS))
def test_hostile_labels_are_accounted_for(records: list[dict[str, Any]]) -> None:
    guess(records)
    nothing_is_lost(records, **KTO)
