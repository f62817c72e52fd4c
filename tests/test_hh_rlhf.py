"""The adapter `hh_rlhf`: where the prompt ends, and what cannot be split."""

from typing import Any

import polars as pl
import pytest

from pipeline.adapters.hh_rlhf import turns
from tests.building import Built, lines

FIELDS = {"annotator": {"constant": None}, "annotator_kind": {"constant": "human"}}
TALK = "\n\nHuman: Hi\n\nAssistant: Hello\nyou\n\nHuman: And?\n\nAssistant:"


def ingested(project: Built, *records: dict[str, Any]) -> Built:
    return project.source("hh", {"x.jsonl": lines(*records)}, adapter="hh_rlhf", fields=FIELDS).run("ingest")


def test_the_prompt_is_everything_up_to_the_last_assistant_turn(project: Built) -> None:
    row = (
        ingested(project, {"chosen": TALK + " Yes.", "rejected": TALK + " No.\n\nreally "}).comparisons().to_dicts()[0]
    )
    assert row["prompt"] == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello\nyou"},
        {"role": "user", "content": "And?"},
    ]
    assert (row["response_a"], row["response_b"]) == ("Yes.", "No.\n\nreally")
    assert (row["preference"], row["presented_order"], row["annotator"]) == ("a", None, None)


def test_text_before_the_first_turn_is_a_system_message() -> None:
    found = turns(pl.Series(["Be kind.\n\nHuman: Hi", "\n\nHuman: Hi", None]))
    user = {"role": "user", "content": "Hi"}
    assert found.to_list() == [[{"role": "system", "content": "Be kind."}, user], [user], None]


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("contexts_differ", {"chosen": TALK + " a", "rejected": TALK.replace("Hi", "Ho") + " b"}),
    ("contexts_differ", {"chosen": TALK + " a\n\nHuman: q\n\nAssistant: b", "rejected": TALK + " b"}),
    ("no_assistant_turn", {"chosen": "\n\nHuman: Hi", "rejected": TALK + " b"}),
    ("no_assistant_turn", {"chosen": "", "rejected": ""}),
    ("missing_field", {"chosen": TALK + " a"}),
    ("wrong_type", {"chosen": TALK + " a", "rejected": ["b"]}),
]


@pytest.mark.parametrize(("reason", "given"), FAULTS)
def test_what_cannot_be_split_is_quarantined(project: Built, reason: str, given: dict[str, Any]) -> None:
    assert ingested(project, given, {"chosen": TALK + " a", "rejected": TALK + " b"}).reasons("ingest") == {reason: 1}
    assert project.comparisons().height == 1


def test_a_transcript_without_a_question_is_written_and_dropped_later(project: Built) -> None:
    ingested(project, {"chosen": "\n\nAssistant: x", "rejected": "\n\nAssistant: y"}).run("validate")
    assert project.reasons("validate") == {"empty_prompt": 1}


def test_one_role_twice_is_written_and_dropped_later(project: Built) -> None:
    twice = "\n\nHuman: Hi\n\nHuman: Ho\n\nAssistant:"
    ingested(project, {"chosen": twice + " a", "rejected": twice + " b"}).run("validate")
    assert project.reasons("validate") == {"roles_not_alternating": 1}


def test_an_empty_response_is_written_and_dropped_later(project: Built) -> None:
    ingested(project, {"chosen": TALK, "rejected": TALK + " b"}).run("validate")
    assert project.reasons("validate") == {"empty_response": 1}
