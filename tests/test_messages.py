"""The adapter `messages`: where the prompt ends, and what is one response."""

import random
from io import BytesIO
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from pipeline.adapters.messages import Options, guess
from pipeline.core.errors import PairtrailError
from tests.building import Built, lines
from tests.hostile import nothing_is_lost, spoiled_files

FIELDS: dict[str, Any] = {"annotator": {"constant": None}, "annotator_kind": {"constant": "human"}}
SIDECAR: dict[str, Any] = {"adapter": "messages", "fields": FIELDS}
OPENAI = {
    "prompt": "input.messages",
    "chosen": "preferred_output",
    "rejected": "non_preferred_output",
    "tools": "input.tools",
}


def talk(*turns: str) -> list[dict[str, Any]]:
    """Turns such as `user: Hi`."""
    return [dict(zip(("role", "content"), turn.split(": ", 1), strict=True)) for turn in turns]


YES, NO = talk("assistant: yes"), talk("assistant: no")
HI = talk("user: Hi")
LONG = talk("system: Be kind.", "user: Hi", "assistant: Ho", "user: Sure?")


def row(prompt: Any = "Hi", chosen: Any = "yes", rejected: Any = "no", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected, **more}


def openai(chosen: Any = YES, rejected: Any = NO, **given: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"input": {"messages": HI, **given}, "preferred_output": chosen, "non_preferred_output": rejected}


def ingested(project: Built, *records: dict[str, Any], **sidecar: Any) -> Built:  # noqa: ANN401
    return project.source("s", {"x.jsonl": lines(*records)}, **{**SIDECAR, **sidecar}).run("ingest")


def only(project: Built) -> dict[str, Any]:
    [found] = project.comparisons().to_dicts()
    return found


PROMPTS: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    (row(), HI),
    (row("Hi", YES, NO), HI),
    (row(" Hi\n", HI + YES, HI + NO), HI),
    (row("Hi", HI + YES, "no"), HI),
    (row("Sure?", LONG + YES, LONG + NO), LONG),
    (row("Hi", LONG + YES, LONG + NO), LONG),
    (row(LONG), LONG),
    (row(LONG, YES, NO), LONG),
    (row(LONG, LONG + YES, LONG + NO), LONG),
    (row(LONG, LONG + YES, NO), LONG),
    (row(None, LONG + YES, LONG + NO), LONG),
    ({"chosen": HI + YES, "rejected": HI + NO}, HI),
    (row(talk("developer: Be kind.", "user: Hi")), talk("system: Be kind.", "user: Hi")),
    (row([{"role": "user", "content": "Hi", "name": "ann", "tool_calls": None}], YES, NO), HI),
    (row(tools=[]), HI),
    (row(tools=[{"b": 1, "a": "ü"}]), [{"role": "system", "content": '[{"a": "ü", "b": 1}]'}, *HI]),
    (row(None, HI + YES, HI + NO, tools="t"), talk("system: t", "user: Hi")),
    (row(LONG, tools="t"), [{"role": "system", "content": "Be kind.\n\nt"}, *LONG[1:]]),
]


@pytest.mark.parametrize(("record", "prompt"), PROMPTS)
def test_where_the_prompt_ends(project: Built, record: dict[str, Any], prompt: list[dict[str, Any]]) -> None:
    found = only(ingested(project, record))
    assert found["prompt"] == prompt
    assert (found["response_a"], found["response_b"], found["preference"]) == ("yes", "no", "a")
    assert {found[name] for name in ("annotator", "presented_order", "strength", "strength_raw")} == {None}
    assert project.run("validate").reasons("validate") == {}


def test_responses_stay_as_they_are(project: Built) -> None:
    found = only(ingested(project, row("The sky is", "  blue.\n", " green.")))
    assert (found["response_a"], found["response_b"]) == ("  blue.\n", " green.")


def test_openais_lines(project: Built) -> None:
    ingested(project, openai(tools=[{"type": "function"}], parallel_tool_calls=True), options=OPENAI)
    assert only(project)["prompt"] == [{"role": "system", "content": '[{"type": "function"}]'}, *HI]
    assert (only(project)["response_a"], only(project)["response_b"]) == ("yes", "no")


def test_tools_need_not_be_read(project: Built) -> None:
    ingested(project, row(tools="t"), options={"tools": None})
    assert only(project)["prompt"] == HI


def test_a_column_that_is_not_the_prompt_may_be_left_out(project: Built) -> None:
    ingested(project, row("an id", HI + YES, HI + NO), options={"prompt": None})
    assert only(project)["prompt"] == HI


def test_rewardbench_rows_with_their_models_and_subset(project: Built) -> None:
    fields = {**FIELDS, "model_a": "chosen_model", "model_b": "rejected_model", "category": "subset"}
    ingested(project, row(chosen_model="m-1", rejected_model="m-2", subset="math", id=7), fields=fields)
    found = only(project)
    assert (found["model_a"], found["model_b"], found["category"]) == ("m-1", "m-2", "math")


def test_ultrafeedback_rows_in_parquet(project: Built) -> None:
    file = BytesIO()
    pl.DataFrame([row("Hi", HI + YES, HI + NO, score_chosen=8.5, score_rejected=7.0)]).write_parquet(file)
    project.source("s", {"x.parquet": file.getvalue()}, **SIDECAR, format="parquet", files=["x.parquet"]).run("ingest")
    assert (only(project)["prompt"], only(project)["response_a"], only(project)["response_b"]) == (HI, "yes", "no")


def test_several_texts_are_several_responses(project: Built) -> None:
    ingested(project, row("Name a colour.", ["red", "blue"], ["seven", "no", "cow"]))
    found = set(project.comparisons().select("response_a", "response_b", "preference").rows())
    assert found == {(one, other, "a") for one in ("red", "blue") for other in ("seven", "no", "cow")}
    assert project.account("ingest")["records"]["gave_comparisons"] == 1


def test_a_text_listed_twice_gives_a_copy(project: Built) -> None:
    ingested(project, row("Name a colour.", ["red"], ["cow", "cow"]))
    assert project.account("ingest")["comparisons"] == {"candidates": 2, "kept": 1, "copies": 1, "quarantined": 0}


@pytest.mark.parametrize("record", [row("Hi", [], ["no"]), row("Hi", "yes", []), row("Hi", [], [])])
def test_an_empty_list_leaves_one_response(project: Built, record: dict[str, Any]) -> None:
    told = ingested(project, record, row()).table("ingest/records").select("outcome", "reason").rows()
    assert told == [("no_comparison", "one_response"), ("gave_comparisons", None)]


CALL = [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("too_many_responses", row("Hi", ["yes"], [f"no {i}" for i in range(1_001)])),
    ("not_one_text", row(HI, CALL, NO)),
    ("not_one_text", row(HI + CALL + talk("tool: 7"), YES, NO)),
    ("not_one_text", row([{**YES[0], "tool_calls": [{"id": "1"}]}, *HI])),
    ("not_one_text", row(None, [*HI, {**YES[0], "function_call": {"name": "f"}}], HI + NO)),
    ("not_one_text", row(HI, YES + talk("tool: 7", "assistant: Seven."), NO)),
    ("not_one_text", row(LONG, LONG, LONG + NO)),
    ("not_one_text", row(HI, LONG + YES, LONG + NO)),
    ("wrong_type", row(7)),
    ("wrong_type", row(7, HI + YES, HI + NO)),
    ("wrong_type", row(["Hi"], HI + YES, HI + NO)),
    ("wrong_type", row({"role": "user", "content": "Hi"})),
    ("wrong_type", row([{"role": "user", "content": [{"type": "text", "text": "Hi"}]}])),
    ("wrong_type", row([{"role": ["user"], "content": "Hi"}])),
    ("wrong_type", row([{"content": "Hi"}])),
    ("wrong_type", row("Hi", chosen=True)),
    ("wrong_type", row("Hi", {"role": "assistant", "content": "yes"})),
    ("wrong_type", row("Hi", ["yes", 7])),
    ("wrong_type", row("Hi", [{"role": "assistant", "content": ["yes"]}], NO)),
    ("wrong_type", row(tools=7)),
    ("unknown_role", row(talk("robot: Hi"))),
    ("unknown_role", row(None, talk("robot: Hi") + YES, talk("robot: Hi") + NO)),
    ("missing_field", row(None)),
    ("missing_field", {"chosen": "yes", "rejected": "no"}),
    ("missing_field", row("Hi", None)),
    ("missing_field", row("Hi", [{"role": "assistant"}], NO)),
    ("missing_field", {}),
    ("contexts_differ", row(None, HI + YES, LONG + NO)),
    ("contexts_differ", row(None, HI + YES, talk("user: Ho") + NO)),
    ("contexts_differ", row("Ho", HI + YES, HI + NO)),
    ("contexts_differ", row("Hi", LONG + YES, "no")),
    ("no_assistant_turn", row("Hi", HI, NO)),
    ("no_assistant_turn", row(HI, talk("tool: 7"), NO)),
    ("no_assistant_turn", row(None, LONG, LONG)),
]


@pytest.mark.parametrize(("reason", "record"), FAULTS)
def test_what_cannot_be_written_is_quarantined(project: Built, reason: str, record: dict[str, Any]) -> None:
    assert ingested(project, record, row("Sound?")).reasons("ingest") == {reason: 1}
    assert only(project)["prompt"][0]["content"] == "Sound?"


def test_a_thousand_comparisons_are_not_too_many(project: Built) -> None:
    ingested(project, row("Hi", ["yes"], [f"no {i}" for i in range(1_000)]))
    assert project.comparisons().height == 1_000


def test_equal_conversations_are_written_and_dropped_later(project: Built) -> None:
    ingested(project, row(None, HI + YES, HI + YES)).run("validate")
    assert project.reasons("validate") == {"equal_responses": 1}


def test_a_path_must_not_lead_into_a_side_file(project: Built) -> None:
    with pytest.raises(PairtrailError, match="`chosen` is a path of the record itself"):
        ingested(project, row(), options={"chosen": "texts:chosen"})


def test_a_record_without_its_side_record_is_quarantined(project: Built) -> None:
    join = {"tasks": {"glob": "t.jsonl", "key": "id", "on": "task"}}
    files = {"x.jsonl": lines(row(task=1), row("Ho", task=2)), "t.jsonl": lines({"id": 1, "topic": "sky"})}
    fields = {**FIELDS, "category": "tasks:topic"}
    project.source("s", files, **{**SIDECAR, "fields": fields}, files=["x.jsonl"], join=join).run("ingest")
    assert project.reasons("ingest") == {"no_side_record": 1}
    assert only(project)["category"] == "sky"


def ids(project: Built) -> list[str]:
    return sorted(project.comparisons()["comparison_id"])


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_records_and_of_texts_changes_nothing(new_project: Any, seed: int) -> None:  # noqa: ANN401
    order = random.Random(seed)  # noqa: S311
    records = [row("Hi", ["a", "b", "c"], ["d", "e"]), row(), row("Ho", YES, NO)]
    straight = ingested(new_project("straight"), *records)
    turned = [{**one, "chosen": one["chosen"][::-1]} if type(one["chosen"]) is list else one for one in records]
    order.shuffle(turned)
    assert len(ids(straight)) == 8
    assert ids(ingested(new_project("shuffled"), *turned)) == ids(straight)


def test_from_records_to_the_published_dataset(project: Built) -> None:
    project.source("trl", {"x.jsonl": lines(row(), row("Ho", YES, NO))}, **SIDECAR)
    project.source("openai", {"x.jsonl": lines(openai())}, **SIDECAR, options=OPENAI).run()
    assert project.account("publish")["kept"] == 3


@pytest.mark.parametrize(
    ("record", "options", "fields"),
    [
        (row(), {}, {}),
        (row("Hi", HI + YES, HI + NO, score_chosen=8.0), {}, {}),
        ({"chosen": HI + YES, "rejected": HI + NO}, {}, {}),
        (row(chosen_model="m-1", rejected_model="m-2", subset="s", id=1), {},
         {"model_a": "chosen_model", "model_b": "rejected_model", "category": "subset"}),
        (row("Hi", ["yes"], ["no"], models=["m-1"], subset="s"), {}, {"category": "subset"}),
        (openai(), OPENAI, {}),
    ],
)  # fmt: skip
def test_guess_knows_its_shapes(record: dict[str, Any], options: dict[str, str], fields: dict[str, str]) -> None:
    assert guess([record, record]) == {"options": options, "fields": fields}
    assert guess([record, {"conversations": []}]) is None


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"chosen": "\n\nHuman: Hi\n\nAssistant: yes", "rejected": "\n\nHuman: Hi\n\nAssistant: no"},
        {"instruction": "Translate.", "chosen": "yes", "rejected": "no"},
        {"conversations": [], "chosen": {"from": "gpt"}, "rejected": {"from": "gpt"}},
        row(7),
        row("Hi", [], []),
        row("Hi", 7, 8),
        {"messages": HI, "label": True},
    ],
)
def test_guess_leaves_other_shapes_alone(record: dict[str, Any]) -> None:
    assert guess([record]) is None
    assert guess([]) is None


def test_the_options_guessed_are_options() -> None:
    assert Options(**OPENAI) != Options()


SOUND = [record for record, _ in PROMPTS] + [row("Hi", ["a", "b"], ["c"])]


@settings(max_examples=20)
@given(spoiled_files(SOUND))
def test_hostile_records_are_accounted_for(records: list[dict[str, Any]]) -> None:
    guess(records)
    nothing_is_lost(records, **SIDECAR)


@settings(max_examples=10)
@given(spoiled_files([openai(), openai(tools=[{"type": "function"}])]))
def test_hostile_lines_are_accounted_for(records: list[dict[str, Any]]) -> None:
    guess(records)
    nothing_is_lost(records, **SIDECAR, options=OPENAI)
