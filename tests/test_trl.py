"""TRL: a prompt and two responses as messages; a margin for all or none; single responses with a label."""

import polars as pl
import pytest

from pipeline.core.exporting.tasks import Options
from pipeline.exporters import trl
from tests.exporting import pair, pairs, responses, said

TURNS = (("system", "Be brief."), ("user", "Why?"), ("assistant", "Because."), ("tool", "{}"), ("user", "Is it? é"))


@pytest.mark.parametrize("task", ["dpo", "reward"])
def test_pairs_keep_their_roles_and_texts(task: str) -> None:
    published = pair(*TURNS, chosen=" Yes.\n", rejected="No.")
    assert trl.rows(pairs(published), task, Options("train.parquet")).to_dicts() == [
        {
            "prompt": said(*TURNS),
            "chosen": said(("assistant", " Yes.\n")),
            "rejected": said(("assistant", "No.")),
            "pair_id": published["pair_id"],
        }
    ]


def test_a_margin_is_a_number_for_each_row() -> None:
    rows = trl.rows(pairs(pair(("user", "Q"), strength=-0.25)), "reward", Options("train.parquet", 2.0))
    assert rows.columns == ["prompt", "chosen", "rejected", "margin", "pair_id"]
    assert rows["margin"].dtype == pl.Float64
    assert rows["margin"].to_list() == [-0.5]


def test_responses_have_a_label_and_the_votes_behind_it() -> None:
    judged = {"pair_id": "0" * 32, "prompt": said(*TURNS), "response": "Yes.", "votes_for": 2, "votes_against": 1}
    assert trl.rows(responses({**judged, "desirable": True}), "kto", Options("train.parquet")).to_dicts() == [
        {
            "prompt": said(*TURNS),
            "completion": said(("assistant", "Yes.")),
            "label": True,
            "pair_id": "0" * 32,
            "votes_for": 2,
            "votes_against": 1,
        }
    ]
