"""OpenRLHF: prompt and responses as messages; a margin for reward models alone, for all rows or none."""

from pathlib import Path

import polars as pl
import pytest

from pipeline.core.exporting.tasks import Options
from pipeline.exporters import openrlhf
from tests.exporting import exported, pair, pairs, said

TURNS = (("system", "Be brief."), ("user", "Why?"), ("assistant", "Because."), ("user", "Is it? é"))


@pytest.mark.parametrize("task", ["reward", "dpo"])
def test_pairs_keep_their_roles_and_texts(task: str) -> None:
    published = pair(*TURNS, chosen=" Yes.\n", rejected="No.")
    assert openrlhf.rows(pairs(published), task, Options("train.parquet")).to_dicts() == [
        {
            "prompt": said(*TURNS),
            "chosen": said(("assistant", " Yes.\n")),
            "rejected": said(("assistant", "No.")),
            "pair_id": published["pair_id"],
        }
    ]


def test_a_reward_model_gets_a_margin_and_dpo_none(tmp_path: Path) -> None:
    rows = (pair(("user", "Q"), strength=0.5), pair(("user", "R"), strength=-0.25))
    reward = exported(tmp_path / "reward", "openrlhf", *rows, margin_scale=2.0)
    dpo = exported(tmp_path / "dpo", "openrlhf", *rows, task="dpo")
    assert sorted(pl.read_parquet(tmp_path / "reward/out/train.parquet")["margin"].to_list()) == [-0.5, 1.0]
    assert (reward["task"], reward["negative_margins"]) == ("reward", 1)
    assert "margin" not in dpo["columns"]


def test_one_unknown_strength_takes_the_margin_from_all_rows(tmp_path: Path) -> None:
    """The loader would read it as 0: no margin, said of a pair of which nobody said so."""
    receipt = exported(tmp_path, "openrlhf", pair(("user", "Q")), pair(("user", "R"), strength=None))
    assert (receipt["rows"], receipt["margin_omitted"]["no_strength"]) == (2, 1)
    assert "margin" not in pl.read_parquet(tmp_path / "out/train.parquet").columns
