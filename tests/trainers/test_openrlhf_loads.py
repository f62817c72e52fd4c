"""OpenRLHF 0.11.2's own RewardDataset reads an export, rendered with a chat template, for reward models and for DPO.

The package pins transformers 5.15 and flash-attn; its datasets import without, and run here with ours.
"""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

pytestmark = pytest.mark.trainers

openrlhf = pytest.importorskip("openrlhf.datasets", reason="openrlhf is not installed: make test-trainers")

KEYS = {"prompt_key": "prompt", "chosen_key": "chosen", "rejected_key": "rejected", "apply_chat_template": True}


def read(file: Path, tokenizer: Any, *, is_dpo: bool, max_length: int = 100_000) -> Any:
    """What `train_rm` and `train_dpo` do with --data.dataset, --data.prompt_key and --data.apply_chat_template."""
    from openrlhf.datasets.utils import blending_datasets

    strategy = SimpleNamespace(
        args=SimpleNamespace(data=SimpleNamespace(**KEYS)), print=lambda *_: None, is_rank_0=lambda: False
    )
    rows = blending_datasets(str(file), None, strategy)
    return openrlhf.RewardDataset(rows, tokenizer, max_length, strategy, is_dpo=is_dpo, num_processors=1)


def spoken(messages: list[dict[str, str]]) -> str:
    return "".join(f"<|{message['role']}|>{message['content']}<eos>" for message in messages)


@pytest.mark.parametrize("task", ["reward", "dpo"])
def test_every_pair_is_read_with_its_roles(exported: Callable[..., Path], tokenizer: Any, task: str) -> None:
    file = exported("openrlhf", task) / "train.parquet"
    published = pl.read_parquet(file)
    found = read(file, tokenizer, is_dpo=task == "dpo")
    assert len(found) == published.height > 100
    assert (published["prompt"].list.len() > 1).any()
    for place, row in enumerate(published.iter_rows(named=True)):
        chosen, _, rejected, _, extra = found[place]
        asked = spoken(row["prompt"]) + "<|assistant|>"
        assert found.prompts[place] == asked
        assert tokenizer.decode(chosen[0]) == asked + row["chosen"][0]["content"] + "<eos>"
        assert tokenizer.decode(rejected[0]) == asked + row["rejected"][0]["content"] + "<eos>"
        assert extra == (len(tokenizer(asked)["input_ids"]) if task == "dpo" else 0)


def test_a_reward_model_reads_the_margin(exported: Callable[..., Path], tokenizer: Any) -> None:
    file = exported("openrlhf", "reward", require_strength=True, margin_scale=2.0) / "train.parquet"
    margins = pl.read_parquet(file)["margin"].to_list()
    assert any(margins)
    assert [row[-1] for row in read(file, tokenizer, is_dpo=False)] == margins


def test_a_missing_margin_counts_as_none_in_silence() -> None:
    """Why the column is there for all rows or for none."""
    from openrlhf.datasets.reward_dataset import preprocess_data

    row = {"prompt": "Q", "chosen": "Yes.", "rejected": "No.", "margin": None}
    assert preprocess_data(row, prompt_key="prompt") == ("Q", "Yes.", "No.", 0)


def test_dpo_drops_what_is_too_long_in_silence(exported: Callable[..., Path], tokenizer: Any) -> None:
    """Said in docs/exporters.md: nothing counts these but the length of the dataset."""
    file = exported("openrlhf", "dpo") / "train.parquet"
    assert 0 < len(read(file, tokenizer, is_dpo=True, max_length=60)) < pl.read_parquet(file).height
