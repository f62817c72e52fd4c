"""LLaMA-Factory 0.9.5's own `get_dataset` finds an export by its `dataset_info.json`, converts it and tokenises it.

It asks for transformers up to 5.6 and for torchaudio, whose build wants a GPU's libraries: its check of versions is
switched off, and an empty module stands in for torchaudio, which reads sound alone.
"""

import copy
import os
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from pipeline.core.exporting.tasks import Options
from pipeline.exporters import llama_factory
from tests.exporting import pair, pairs

pytestmark = pytest.mark.trainers

if find_spec("llamafactory") is None:
    pytest.skip("llamafactory is not installed: make test-trainers", allow_module_level=True)

Turns = tuple[tuple[str, str], ...]


@pytest.fixture(scope="module", autouse=True)
def _sound_is_stood_in_for() -> None:
    os.environ["DISABLE_VERSION_CHECK"] = "1"
    if "torchaudio" not in sys.modules:
        sound = ModuleType("torchaudio")
        sound.__spec__ = ModuleSpec("torchaudio", None)
        sys.modules["torchaudio"] = sound


@pytest.fixture
def read(tokenizer: Any, tmp_path: Path) -> Callable[[Path, str], list[dict[str, str]]]:
    """A reader of a folder for a stage of LLaMA-Factory's; it returns each row's token lists as texts."""

    def decoded(folder: Path, stage: str) -> list[dict[str, str]]:
        from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
        from llamafactory.hparams import DataArguments, ModelArguments, TrainingArguments

        data = DataArguments(template="chatml", dataset="pairtrail_train", dataset_dir=str(folder), cutoff_len=100_000)
        changed = copy.deepcopy(tokenizer)
        template = get_template_and_fix_tokenizer(changed, data)
        training = TrainingArguments(output_dir=str(tmp_path / "run"), use_cpu=True, report_to="none")
        model = ModelArguments(model_name_or_path="none", cache_dir=str(tmp_path / "cache"))
        rows = get_dataset(template, model, data, training, stage, tokenizer=changed)["train_dataset"]
        return [
            {name: changed.decode(row[name]) for name in row if name.endswith("input_ids")}
            | {"label": row.get("kto_tags")}
            for row in rows
        ]

    return decoded


def chatml(*messages: dict[str, str]) -> str:
    return "".join(f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n" for message in messages)


@pytest.mark.parametrize("task", ["dpo", "reward"])
def test_every_pair_is_read_with_its_roles(
    exported: Callable[..., Path], read: Callable[[Path, str], list[dict[str, Any]]], task: str
) -> None:
    folder = exported("llama_factory", task)
    published = pl.read_parquet(folder / "train.parquet")
    found = read(folder, "rm")
    assert len(found) == published.height > 100
    assert (published["messages"].list.len() > 2).any()
    for row, tokens in zip(published.iter_rows(named=True), found, strict=True):
        assert tokens["chosen_input_ids"] == chatml(*row["messages"], row["chosen"])
        assert tokens["rejected_input_ids"] == chatml(*row["messages"], row["rejected"])


def test_alpaca_rows_are_read_as_the_same_conversations(
    exported: Callable[..., Path], read: Callable[[Path, str], list[dict[str, Any]]]
) -> None:
    alpaca, sharegpt = read(exported("llama_factory", "alpaca"), "rm"), read(exported("llama_factory", "dpo"), "rm")
    assert alpaca == sharegpt


def test_every_label_is_read(exported: Callable[..., Path], read: Callable[[Path, str], list[dict[str, Any]]]) -> None:
    folder = exported("llama_factory", "kto")
    published = pl.read_parquet(folder / "train.parquet")
    found = read(folder, "kto")
    assert len(found) == published.height > 100
    assert set(published["label"]) == {True, False}
    for row, tokens in zip(published.iter_rows(named=True), found, strict=True):
        assert (tokens["input_ids"], tokens["label"]) == (chatml(*row["messages"]), row["label"])


SOUND: Turns = (("user", "Sum?"), ("assistant", "call"), ("tool", "4"), ("assistant", "4."), ("user", "Sure?"))
UNSOUND: tuple[Turns, ...] = (
    (("assistant", "Hello."), ("user", "Q")),
    (("user", "Q"), ("system", "S"), ("assistant", "A"), ("user", "R")),
    (("system", "S"), ("system", "T"), ("user", "Q")),
)


def test_it_drops_what_the_export_leaves_out(read: Callable[[Path, str], list[dict[str, Any]]], tmp_path: Path) -> None:
    """Why such prompts have a reason: written all the same, they are gone after a line in the log."""
    rows = llama_factory.rows(
        pairs(pair(*SOUND), *(pair(*turns) for turns in UNSOUND)), "dpo", Options("train.parquet")
    )
    rows.write_parquet(tmp_path / "train.parquet")
    (info,) = llama_factory.beside("dpo", Options("train.parquet")).items()
    (tmp_path / info[0]).write_text(info[1], encoding="utf-8")
    (kept,) = read(tmp_path, "rm")
    assert kept["chosen_input_ids"] == chatml(*rows["messages"][0], rows["chosen"][0])
