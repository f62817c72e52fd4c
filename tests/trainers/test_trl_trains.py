"""TRL itself: its trainers prepare an export and take three steps on it, on a CPU, with a model built in code."""

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytestmark = pytest.mark.trainers

trl = pytest.importorskip("trl", reason="trl is not installed: make test-trainers")
datasets = pytest.importorskip("datasets", reason="datasets is not installed: make test-trainers")

STEPS = {
    "max_steps": 3,
    "per_device_train_batch_size": 2,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "disable_tqdm": True,
    "seed": 7,
}


def loaded(folder: Path) -> Any:
    return datasets.load_dataset("parquet", data_files=str(folder / "train.parquet"), split="train")


def losses(trainer: Any) -> list[float]:
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def test_dpo(exported: Callable[..., Path], tmp_path: Path, tokenizer: Any, model_config: Any) -> None:
    from transformers import LlamaForCausalLM

    rows = loaded(exported("trl", "dpo"))
    trainer = trl.DPOTrainer(
        model=LlamaForCausalLM(model_config),
        ref_model=LlamaForCausalLM(model_config),
        args=trl.DPOConfig(output_dir=str(tmp_path / "run"), max_length=None, **STEPS),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    assert len(trainer.train_dataset) == len(rows)
    first = trainer.train_dataset[0]
    assert tokenizer.decode(first["prompt_ids"]) == spoken(rows[0]["prompt"]) + "<|assistant|>"
    assert tokenizer.decode(first["chosen_ids"]) == rows[0]["chosen"][0]["content"] + "<eos>"
    assert tokenizer.decode(first["rejected_ids"]) == rows[0]["rejected"][0]["content"] + "<eos>"
    seen = losses(trainer)
    assert len(seen) == 3
    assert all(map(isfinite, seen))


@pytest.fixture
def classifier(model_config: Any) -> Any:
    from transformers import LlamaForSequenceClassification

    model_config.num_labels = 1
    return LlamaForSequenceClassification(model_config)


def test_reward_with_a_margin(
    exported: Callable[..., Path],
    tmp_path: Path,
    tokenizer: Any,
    classifier: Any,
) -> None:
    folder = exported("trl", "reward", require_strength=True, margin_scale=2.0)
    rows = loaded(folder)
    trainer = trl.RewardTrainer(
        model=classifier,
        args=trl.RewardConfig(output_dir=str(tmp_path / "run"), max_length=None, **STEPS),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    assert len(trainer.train_dataset) == len(rows)
    first = trainer.train_dataset[0]
    assert tokenizer.decode(first["chosen_ids"]) == spoken(rows[0]["prompt"] + rows[0]["chosen"])
    assert tokenizer.decode(first["rejected_ids"]) == spoken(rows[0]["prompt"] + rows[0]["rejected"])
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(4)])
    assert batch["margin"].tolist() == pytest.approx(pl.read_parquet(folder / "train.parquet")["margin"][:4].to_list())
    seen = losses(trainer)
    assert len(seen) == 3
    assert all(map(isfinite, seen))


def test_reward_without_a_margin(
    exported: Callable[..., Path],
    tmp_path: Path,
    tokenizer: Any,
    classifier: Any,
) -> None:
    rows = loaded(exported("trl", "reward"))
    assert "margin" not in rows.column_names
    args = trl.RewardConfig(output_dir=str(tmp_path / "run"), max_length=None, **STEPS)
    trainer = trl.RewardTrainer(model=classifier, args=args, train_dataset=rows, processing_class=tokenizer)
    assert len(losses(trainer)) == 3


def test_one_unknown_margin_is_more_than_trl_takes() -> None:
    """Why an export has a margin for all rows or for none."""
    collate = trl.trainer.reward_trainer.DataCollatorForPreference(pad_token_id=0)
    known = {"chosen_ids": [1], "rejected_ids": [2], "margin": 0.5}
    assert collate([known, known])["margin"].tolist() == [0.5, 0.5]
    with pytest.raises(TypeError):
        collate([known, {**known, "margin": None}])


def test_kto(exported: Callable[..., Path], tmp_path: Path, tokenizer: Any, model_config: Any) -> None:
    from transformers import LlamaForCausalLM

    rows = loaded(exported("trl", "kto"))
    trainer = trl.KTOTrainer(
        model=LlamaForCausalLM(model_config),
        ref_model=LlamaForCausalLM(model_config),
        args=trl.KTOConfig(output_dir=str(tmp_path / "run"), max_length=None, **STEPS),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    prepared = trainer.train_dataset
    assert len(prepared) == len(rows)
    assert prepared["label"][:] == rows["label"][:]
    assert tokenizer.decode(prepared[0]["completion_ids"]) == rows[0]["completion"][0]["content"] + "<eos>"
    assert len(losses(trainer)) == 3


def spoken(messages: list[dict[str, str]]) -> str:
    return "".join(f"<|{message['role']}|>{message['content']}<eos>" for message in messages)
