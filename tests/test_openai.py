"""OpenAI: preference lines, held against the schema of its API reference, as there is no loader to run."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.exporting.tasks import Options
from pipeline.exporters import openai
from tests.exporting import exported, pair, pairs, said, unfit

MESSAGE = {"role", "content"}


def faults(line: Any) -> list[str]:  # noqa: ANN401
    """What the documented schema of a preference line finds wrong; written from the reference."""
    asked = line["input"]
    outputs = [line["preferred_output"], line["non_preferred_output"]]
    known = {"system", "user", "assistant"}
    rules = {
        "keys": set(line) == {"input", "preferred_output", "non_preferred_output"},
        "input": {"messages"} <= set(asked) <= {"messages", "tools", "parallel_tool_calls"},
        "tools": asked.get("tools", []) == [] and asked.get("parallel_tool_calls", True) is True,
        "message": all(set(one) == MESSAGE and one["role"] in known for one in asked["messages"]),
        "asked last": [one["role"] for one in asked["messages"][-1:]] == ["user"],
        "one output": [len(output) for output in outputs] == [1, 1],
        "output": all(set(one) == MESSAGE and one["role"] == "assistant" for output in outputs for one in output),
    }
    return [name for name, holds in rules.items() if not holds]


ROLES = st.sampled_from(["user", "assistant"])
TURNS = st.lists(st.tuples(ROLES, st.text(min_size=1, max_size=5)), max_size=4)


@given(TURNS, st.text(max_size=5), st.text(max_size=5))
def test_a_line_is_what_the_reference_asks_for(before: list[tuple[str, str]], chosen: str, rejected: str) -> None:
    turns = [("system", "Be brief."), *before, ("user", "Well?")]
    (line,) = openai.rows(pairs(pair(*turns, chosen=chosen, rejected=rejected)), "dpo", Options("x")).to_dicts()
    assert faults(line) == []
    assert line["input"]["messages"] == said(*turns)
    assert [line[f"{kind}_output"][0]["content"] for kind in ("preferred", "non_preferred")] == [chosen, rejected]


def test_the_check_finds_what_is_wrong() -> None:
    (line,) = openai.rows(pairs(pair(("user", "Q"))), "dpo", Options("x")).to_dicts()
    assert faults({**line, "pair_id": ""}) == ["keys"]
    assert faults({**line, "preferred_output": []}) == ["one output"]
    assert faults({**line, "input": {"messages": said(("tool", "x"), ("user", "Q"))}}) == ["message"]


def test_a_message_of_a_tool_has_no_call_to_answer() -> None:
    tool, plain = pair(("user", "Q"), ("tool", "{}"), ("user", "And?")), pair(("user", "Q"))
    assert unfit("openai", "dpo", pairs(tool, plain)) == ["tool_message", None]


def test_lines_are_json_without_escapes(tmp_path: Path) -> None:
    exported(tmp_path, "openai", pair(("user", 'é\u2028"\n')))
    text = (tmp_path / "out/train.jsonl").read_text(encoding="utf-8")
    assert text.startswith('{"input":{"messages":[{"role":"user","content":"é\u2028\\"\\n"}],"tools":[],')
    assert faults(json.loads(text)) == []
