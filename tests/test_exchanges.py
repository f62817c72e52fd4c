"""Free-form inputs and outputs: what is a prompt or one response, and what is handed on as it is."""

import json
from typing import Any

import pytest
from hypothesis import given

from pipeline.core.mapping.exchanges import Exchange, exchange_of, prompt_of, response_of
from pipeline.core.mapping.rated import joint_id, later
from tests.mutants import JSON

HI = {"role": "user", "content": "Hi"}
SAID = {"role": "assistant", "content": "Yes"}
LANGCHAIN = {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "AIMessage"], "kwargs": {"content": "Yes"}}
PARTS = [{"type": "text", "text": "Y"}, {"type": "text", "text": "es"}]
IMAGE = [{"type": "image_url", "image_url": {}}]

PROMPTS: list[tuple[Any, Any]] = [
    ("Hi", [HI]),
    (HI, [HI]),
    ([HI], [HI]),
    ({"messages": [HI]}, [HI]),
    ([[{"type": "human", "content": "Hi"}]], [HI]),
    ([{"role": "developer", "content": "Be brief."}, HI], [{"role": "system", "content": "Be brief."}, HI]),
    ([{"role": "robot", "content": "Hi"}], [{"role": "robot", "content": "Hi"}]),
    ([{"role": "user", "content": PARTS}], [{"role": "user", "content": "Yes"}]),
    ([{"role": "user", "content": IMAGE}], [{"role": "user", "content": IMAGE}]),
]
RESPONSES: list[tuple[Any, Any]] = [
    ("Yes", "Yes"),
    (SAID, "Yes"),
    (LANGCHAIN, "Yes"),
    ({"type": "ai", "content": PARTS}, "Yes"),
    ({"output": SAID}, "Yes"),
    ({**SAID, "tool_calls": [], "function_call": None}, "Yes"),
    ({"text": "Yes"}, "Yes"),
    ({"choices": [{"index": 0, "message": SAID}]}, "Yes"),
    ({"generations": [[{"text": "", "message": LANGCHAIN}]]}, "Yes"),
    ({"messages": [HI, SAID]}, "Yes"),
    ([SAID], "Yes"),
]
NEITHER: list[Any] = [
    {"question": "Hi"}, 7, True, [], [HI, SAID, SAID], {"choices": [{"message": SAID}, {"message": SAID}]}, [[]],
    {"text": 1}, {**SAID, "tool_calls": [{"id": "call"}]}, {**SAID, "function_call": {"name": "f"}},
    {"type": "ai", "content": "Yes", "additional_kwargs": {"tool_calls": [{}]}},
    {**LANGCHAIN, "kwargs": {"content": "Yes", "tool_calls": [{"name": "f"}]}},
    {"role": "assistant", "content": None, "tool_calls": []}, {"role": "assistant", "content": IMAGE}, HI,
    {"id": [7], "kwargs": {}}, {"id": ["langchain", "OddMessage"], "kwargs": {"content": "Yes"}},
]  # fmt: skip


@pytest.mark.parametrize(("raw", "prompt"), PROMPTS)
def test_an_input_is_read_as_messages(raw: Any, prompt: Any) -> None:  # noqa: ANN401
    assert prompt_of(raw) == prompt


TOOLS = [{"type": "function", "function": {"name": "f"}}]
WRITTEN = '[{"function": {"name": "f"}, "type": "function"}]'
BRIEF = {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("messages", "prompt"),
    [
        ([HI], [{"role": "system", "content": WRITTEN}, HI]),
        ([BRIEF, HI], [{"role": "system", "content": f"Be brief.\n\n{WRITTEN}"}, HI]),
    ],
)
def test_the_tools_beside_the_messages_are_part_of_the_prompt(messages: list[Any], prompt: list[Any]) -> None:
    given_ = {"messages": messages, "tools": TOOLS}
    assert prompt_of(given_) == prompt_of(json.dumps(given_), json_texts=True) == prompt
    for answered in (SAID, {"messages": [*messages, SAID]}):
        assert exchange_of(given_, answered, None) == Exchange(prompt, "Yes", None)
    assert prompt_of({"messages": messages, "tools": []}) == prompt_of({"messages": messages}) == messages


def test_tools_that_are_no_text_or_list_are_a_fault() -> None:
    assert exchange_of({"messages": [HI], "tools": 7}, "Yes", None) == "wrong_type"


@pytest.mark.parametrize(("raw", "response"), RESPONSES)
def test_an_output_is_read_as_one_text(raw: Any, response: Any) -> None:  # noqa: ANN401
    assert exchange_of([HI], raw, "m") == Exchange([HI], response, "m")


@pytest.mark.parametrize("raw", NEITHER)
def test_what_is_no_single_response_is_handed_on(raw: Any) -> None:  # noqa: ANN401
    assert type(response_of(raw, [HI])) is not str
    assert exchange_of([HI], raw, None) == "wrong_type"


@pytest.mark.parametrize(
    "raw",
    [
        7,
        {"question": "Hi"},
        [HI, "Hi"],
        {"messages": "Hi"},
        [["Hi"]],
        [HI | {"content": IMAGE}],
        [SAID | {"tool_calls": [1]}, HI],
    ],
)
def test_what_is_no_prompt_is_a_fault(raw: Any) -> None:  # noqa: ANN401
    assert exchange_of(raw, "Yes", None) == "wrong_type"
    assert exchange_of(None, "Yes", None) == exchange_of("Hi", None, None) == "missing_field"


TEXTS = [
    '{"role": "user", "content": "Hi"}',
    '[{"role": "user", "content": "Hi"}]',
    ' {"messages": [{"role": "user", "content": "Hi"}]} ',
]


@pytest.mark.parametrize("text", TEXTS)
def test_json_in_a_text_is_read_where_asked(text: str) -> None:
    assert prompt_of(text, json_texts=True) == [HI]
    assert prompt_of(text) == [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    "text", ["[1]", '{"a": 1}', "[", '{"a": 1}, "b": {"c": 2}', "[" * 500, '["\\ud800"]', "[NaN]", "[x](y)"]
)
def test_a_text_that_only_looks_like_json_stays_a_text(text: str) -> None:
    assert prompt_of(text, json_texts=True) == [{"role": "user", "content": text}]
    assert response_of(text, [], json_texts=True) == text


@given(JSON, JSON)
def test_anything_is_an_exchange_or_has_a_reason(given_: Any, answered: Any) -> None:  # noqa: ANN401
    found = exchange_of(given_, answered, None, json_texts=True)
    assert isinstance(found, Exchange) or found in {"missing_field", "wrong_type"}


def test_the_later_time_is_told_by_instants_not_by_letters() -> None:
    assert later("2026-01-01T10:00:00+02:00", "2026-01-01T09:00:00Z") == "2026-01-01T09:00:00Z"
    assert later("2026-01-01", "2026-01-01T00:00:01") == "2026-01-01T00:00:01"
    assert later("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00") == "9999-12-31T23:59:59-14:00"
    assert later("2026-01-01", None) is None
    assert later("soon", "2026-01-01") == "soon"
    assert later("2026-01-01", ["2027-01-01"]) == ["2027-01-01"]


def test_a_verdict_of_two_records_is_named_by_both() -> None:
    assert joint_id("b", "a") == joint_id("a", "b") == "a b"
    assert joint_id(2, "a") == "2 a"
    assert joint_id(None, "a") is None
    assert joint_id("a", ["b"]) == ["b"]
