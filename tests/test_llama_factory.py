"""LLaMA-Factory: ShareGPT and Alpaca rows, KTO's label, and the entry that says how to read them."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.exporting.tasks import Options
from pipeline.exporters import llama_factory
from schemas.vocabulary import ROLES
from tests.exporting import exported, pair, pairs, responses, said, unfit

USED_TOOL = (("user", "Sum?"), ("assistant", "call"), ("tool", "4"), ("assistant", "4."), ("user", "Sure?"))
TURNS = (("system", "Be brief."), ("user", "Why?"), ("assistant", "Because."), ("user", "Is it? é"))
TRAIN = Options("train.parquet")
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
    "observation_tag": "tool",
}


@pytest.mark.parametrize("task", ["dpo", "reward"])
def test_sharegpt_rows_hold_one_message_for_each_response(task: str) -> None:
    published = pair(*TURNS, chosen=" Yes.\n", rejected="No.")
    assert llama_factory.rows(pairs(published), task, TRAIN).to_dicts() == [
        {
            "messages": said(*TURNS),
            "chosen": {"role": "assistant", "content": " Yes.\n"},
            "rejected": {"role": "assistant", "content": "No."},
            "pair_id": published["pair_id"],
        }
    ]


def test_alpaca_rows_take_the_prompt_apart() -> None:
    long, short = pair(("system", "S"), *TURNS[1:], ("assistant", "It is."), ("user", "Why?")), pair(("user", "Q"))
    rows = llama_factory.rows(pairs(long, short), "alpaca", TRAIN)
    assert rows.schema["history"] == pl.List(pl.List(pl.String))
    assert rows.to_dicts() == [
        {
            "instruction": "Why?",
            "history": [["Why?", "Because."], ["Is it? é", "It is."]],
            "system": "S",
            "chosen": "Yes.",
            "rejected": "No.",
            "pair_id": long["pair_id"],
        },
        {
            "instruction": "Q",
            "history": [],
            "system": "",
            "chosen": "Yes.",
            "rejected": "No.",
            "pair_id": short["pair_id"],
        },
    ]


def test_kto_rows_end_with_the_response() -> None:
    judged = {"pair_id": "0" * 32, "prompt": said(*TURNS), "response": "Yes.", "votes_for": 2, "votes_against": 1}
    assert llama_factory.rows(responses({**judged, "desirable": True}), "kto", TRAIN).to_dicts() == [
        {
            "messages": said(*TURNS, ("assistant", "Yes.")),
            "label": True,
            "pair_id": "0" * 32,
            "votes_for": 2,
            "votes_against": 1,
        }
    ]


@pytest.mark.parametrize(
    ("turns", "sharegpt", "alpaca"),
    [
        ((("user", "Q"),), None, None),
        (TURNS, None, None),
        (USED_TOOL, None, "not_alternating"),
        ((("user", "Q"), ("system", "S"), ("assistant", "A"), ("user", "Q")), "not_alternating", "not_alternating"),
        ((("system", "S"), ("system", "T"), ("user", "Q")), "not_alternating", "not_alternating"),
        ((("assistant", "Hello."), ("user", "Q")), "not_alternating", "not_alternating"),
        ((("user", "Q"), ("tool", "4"), ("user", "R")), "not_alternating", "not_alternating"),
        ((("user", "Q"), ("assistant", "A")), "not_alternating", "not_alternating"),
        ((("system", "S"),), "not_alternating", "not_alternating"),
    ],
)
def test_what_its_loaders_would_drop_with_a_line_in_the_log_is_left_out(
    turns: tuple[tuple[str, str], ...], sharegpt: str | None, alpaca: str | None
) -> None:
    found = {task: unfit("llama_factory", task, pairs(pair(*turns))) for task in ("dpo", "reward", "kto", "alpaca")}
    assert found == {"dpo": [sharegpt], "reward": [sharegpt], "kto": [sharegpt], "alpaca": [alpaca]}


def loses(roles: list[str], asking: set[str]) -> bool:
    """LLaMA-Factory's rule for ranked rows, in plain words: a system message only at the start, then by turns."""
    turns = roles[1:] if roles[0] == "system" else roles
    expected = [asking if place % 2 == 0 else {"assistant"} for place in range(len(turns))]
    return len(turns) % 2 == 0 or any(role not in allowed for role, allowed in zip(turns, expected, strict=True))


@given(st.lists(st.lists(st.sampled_from(ROLES), min_size=1, max_size=7), min_size=1, max_size=4))
def test_what_is_left_out_is_what_it_loses_and_alpaca_rows_read_back(prompts: list[list[str]]) -> None:
    turns = [[(role, f"{role} {place}") for place, role in enumerate(roles)] for roles in prompts]
    published = pairs(*(pair(*prompt) for prompt in turns))
    sharegpt, alpaca = (unfit("llama_factory", task, published) for task in ("dpo", "alpaca"))
    assert [reason is not None for reason in sharegpt] == [loses(roles, {"user", "tool"}) for roles in prompts]
    assert [reason is not None for reason in alpaca] == [loses(roles, {"user"}) for roles in prompts]
    kept = [reason is None for reason in alpaca]
    rows = llama_factory.rows(published.filter(kept), "alpaca", TRAIN).to_dicts()
    for prompt, row in zip((prompt for prompt, fit in zip(turns, kept, strict=True) if fit), rows, strict=True):
        system = [("system", row["system"])] if row["system"] else []
        history = [turn for asked, told in row["history"] for turn in (("user", asked), ("assistant", told))]
        assert [*system, *history, ("user", row["instruction"])] == prompt


@pytest.mark.parametrize(
    ("task", "entry"),
    [
        (
            "dpo",
            {
                "formatting": "sharegpt",
                "ranking": True,
                "columns": {"messages": "messages", "chosen": "chosen", "rejected": "rejected"},
                "tags": TAGS,
            },
        ),
        (
            "kto",
            {"formatting": "sharegpt", "columns": {"messages": "messages", "kto_tag": "label"}, "tags": TAGS},
        ),
        (
            "alpaca",
            {
                "formatting": "alpaca",
                "ranking": True,
                "columns": {
                    "prompt": "instruction",
                    "history": "history",
                    "system": "system",
                    "chosen": "chosen",
                    "rejected": "rejected",
                },
            },
        ),
    ],
)
def test_dataset_info_names_columns_that_are_there(tmp_path: Path, task: str, entry: dict[str, Any]) -> None:
    receipt = exported(tmp_path, "llama_factory", pair(*TURNS), task=task)
    info = json.loads((tmp_path / "out/dataset_info.json").read_text(encoding="utf-8"))
    assert info == {"pairtrail_train": {"file_name": "train.parquet", **entry}}
    assert set(entry["columns"].values()) <= set(receipt["columns"])


def test_the_receipt_counts_what_is_left_out(tmp_path: Path) -> None:
    receipt = exported(tmp_path, "llama_factory", pair(*TURNS), pair(("assistant", "Hello."), ("user", "Q")))
    assert (receipt["rows"], receipt["left_out"]) == (1, {"not_alternating": 1})
