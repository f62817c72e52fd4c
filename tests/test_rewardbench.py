"""RewardBench: the columns of its first benchmark; texts where a loader wants texts, else whole conversations."""

from pathlib import Path

import polars as pl
import pytest

from pipeline.core.exporting.tasks import Options
from pipeline.exporters import rewardbench
from tests.exporting import exported, pair, pairs, said, unfit

COLUMNS = ["prompt", "chosen", "chosen_model", "rejected", "rejected_model", "subset", "id"]
ONE = (("user", "Why?"),)
MANY = (("user", "Why?"), ("assistant", "Because."), ("user", "Is it?"))


def test_core_rows_are_texts() -> None:
    row = pair(*ONE, model_chosen="m-1", category="science")
    rows = rewardbench.rows(pairs(row, pair(*ONE, chosen="Perhaps.")), "core", Options("train.parquet"))
    assert rows.columns == COLUMNS
    assert set(rows.dtypes) == {pl.String}
    assert rows.rows()[0] == ("Why?", "Yes.", "m-1", "No.", None, "science", row["pair_id"])
    assert rows["subset"][1] == "no category"


def test_conversations_hold_the_prompt_and_the_prompt_is_a_text() -> None:
    (row,) = rewardbench.rows(pairs(pair(*MANY)), "conversations", Options("train.parquet")).to_dicts()
    assert list(row) == COLUMNS
    assert row["prompt"] == "Is it?"
    assert row["chosen"] == said(*MANY, ("assistant", "Yes."))
    assert row["rejected"] == said(*MANY, ("assistant", "No."))


@pytest.mark.parametrize(
    ("turns", "core", "conversations"),
    [
        (ONE, None, None),
        (MANY, "several_turns", None),
        ((("system", "Be brief."), *ONE), "system_message", "system_message"),
        ((("user", "Q"), ("tool", "{}"), ("user", "And?")), "tool_message", "tool_message"),
        ((("user", "Q"), ("user", "And?")), "not_alternating", "not_alternating"),
        ((("assistant", "Hello."), ("user", "Q")), "not_alternating", "not_alternating"),
        ((("user", "Q"), ("assistant", "A")), "not_alternating", "not_alternating"),
    ],
)
def test_what_its_loaders_would_give_to_another_role_is_left_out(
    turns: tuple[tuple[str, str], ...], core: str | None, conversations: str | None
) -> None:
    assert unfit("rewardbench", "core", pairs(pair(*turns))) == [core]
    assert unfit("rewardbench", "conversations", pairs(pair(*turns))) == [conversations]


@pytest.mark.parametrize(("task", "split"), [("core", "filtered"), ("conversations", "train")])
def test_the_split_is_named_for_the_loader(tmp_path: Path, task: str, split: str) -> None:
    datasets = pytest.importorskip("datasets")
    exported(tmp_path, "rewardbench", pair(*ONE), task=task)
    rows = datasets.load_dataset(str(tmp_path / "out"), split=split, cache_dir=str(tmp_path / "cache"))
    assert rows.column_names == COLUMNS
    assert len(rows) == 1
