"""RewardBench 0.1.4's own loaders read an export.

The package pins transformers 4.51, and its collection of models does not import with ours. Its loaders need nothing of
that collection, so an empty one stands in for it; every line of `rewardbench/utils.py` is the library's.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

pytestmark = pytest.mark.trainers

datasets = pytest.importorskip("datasets", reason="datasets is not installed: make test-trainers")
pytest.importorskip("fastchat", reason="fschat is not installed: make test-trainers")


@pytest.fixture(scope="module")
def loaders() -> Any:
    spec = find_spec("rewardbench")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("rewardbench is not installed: make test-trainers")
    package, models = ModuleType("rewardbench"), ModuleType("rewardbench.models")
    package.__path__ = list(spec.submodule_search_locations)
    models.REWARD_MODEL_CONFIG = {}  # type: ignore[attr-defined]
    sys.modules.update({"rewardbench": package, "rewardbench.models": models})
    return import_module("rewardbench.utils")


def spoken(*messages: dict[str, str]) -> str:
    return "".join(f"<|{message['role']}|>{message['content']}<eos>" for message in messages)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def test_core_rows_are_read_as_the_benchmark_s_own_set(
    exported: Callable[..., Path],
    loaders: Any,
    tokenizer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = exported("rewardbench", "core")
    monkeypatch.setattr(loaders, "CORE_EVAL_SET", str(folder))
    scored, subsets = loaders.load_eval_dataset(core_set=True, tokenizer=tokenizer)
    rows = pl.read_parquet(folder / "train.parquet")
    assert rows.height > 100
    assert list(subsets) == rows["subset"].to_list()
    for response in ("chosen", "rejected"):
        texts = [spoken(user(p), assistant(r)) for p, r in rows.select("prompt", response).iter_rows()]
        assert list(scored[f"text_{response}"]) == texts
    assert list(scored["id"]) == rows["id"].to_list()


def test_conversations_are_read_as_a_dataset_of_one_s_own(
    exported: Callable[..., Path],
    loaders: Any,
    tokenizer: Any,
) -> None:
    folder = exported("rewardbench", "conversations")
    scored = loaders.load_and_process_dataset(str(folder), split="train", tokenizer=tokenizer)
    rows = pl.read_parquet(folder / "train.parquet")
    assert rows.height > 100
    assert (rows["chosen"].list.len() > 2).any()
    for response in ("chosen", "rejected"):
        assert list(scored[f"text_{response}"]) == [spoken(*messages) for messages in rows[response]]


def test_messages_where_it_wants_texts_are_scored_as_the_text_of_the_list(loaders: Any, tokenizer: Any) -> None:
    """Why `core` holds texts: the loader says nothing."""
    row = {"prompt": "Why?", "chosen": [assistant("Because.")], "rejected": [assistant("No.")]}
    assert "[{'role': 'assistant'" in loaders.prepare_dialogue_from_tokenizer(row, tokenizer)["text_chosen"]
