"""axolotl 0.19's own prompt strategies read an export, chosen by the YAML that is written beside it.

The package pins older releases of most things. Its strategies and TokenizedPromptDataset import and run with ours; the
code that joins them (`axolotl.utils.data`) wants numba and a telemetry client, so `datasets` opens the file here.
"""

from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from tests.exporting import said

pytestmark = pytest.mark.trainers

datasets = pytest.importorskip("datasets", reason="datasets is not installed: make test-trainers")
pytest.importorskip("axolotl", reason="axolotl is not installed: make test-trainers")


def configured(folder: Path) -> Any:
    from axolotl.utils.dict import DictDefault

    return DictDefault({**YAML(typ="safe").load(folder / "axolotl.yaml"), "sequence_len": 100_000})


def opened(folder: Path, configuration: Any) -> Any:
    (entry,) = configuration.datasets
    return datasets.load_dataset(entry.ds_type, data_files=str(folder / entry.path), split=entry.split)


def transformed(folder: Path, tokenizer: Any) -> Any:
    """What axolotl does for `rl: dpo` and `rl: kto`: load the strategy by its name, and map it over the rows."""
    from axolotl.prompt_strategies.dpo import load as load_dpo
    from axolotl.prompt_strategies.kto import load as load_kto

    configuration = configured(folder)
    load = {"dpo": load_dpo, "kto": load_kto}[configuration.rl]
    strategy = load(configuration.datasets[0].type, configuration, dataset_idx=0)
    transform, how = strategy if isinstance(strategy, tuple) else (strategy, {})
    if "tokenizer" in signature(transform).parameters:
        transform = partial(transform, tokenizer=tokenizer)
    return opened(folder, configuration).map(transform, load_from_cache_file=False, **how)


def spoken(messages: list[dict[str, str]]) -> str:
    return "".join(f"<|{message['role']}|>{message['content']}<eos>" for message in messages)


def test_dpo_rows_are_rendered_with_their_roles(exported: Callable[..., Path], tokenizer: Any) -> None:
    folder = exported("axolotl", "dpo")
    published = pl.read_parquet(folder / "train.parquet")
    found = transformed(folder, tokenizer)
    assert len(found) == published.height > 100
    assert found.column_names == ["chosen", "rejected", "pair_id", "prompt"]
    for row, rendered in zip(published.iter_rows(named=True), found, strict=True):
        assert rendered["prompt"] == spoken(row["messages"]) + "<|assistant|>"
        assert rendered["chosen"] == row["chosen"] + "<eos>"
        assert rendered["rejected"] == row["rejected"] + "<eos>"
        assert rendered["pair_id"] == row["pair_id"]


TRIMS = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] | trim }}{{ eos_token }}{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "response", "cut"),
    [
        (None, "message", "message]]<eos><|assistant|>message<eos>"),
        (TRIMS, " Yes, indeed. ", ">"),
        (TRIMS, "Yes, indeed.", "Yes, indeed.<eos>"),
    ],
)
def test_it_cuts_at_the_wrong_place_where_the_export_strips_or_leaves_out(
    tokenizer: Any, template: str | None, response: str, cut: str
) -> None:
    """Why responses are stripped, and why one that the placeholder holds has a reason."""
    from axolotl.prompt_strategies.dpo.chat_template import default
    from axolotl.utils.dict import DictDefault

    jinja = {"chat_template": "jinja", "chat_template_jinja": template} if template else {}
    transform, _ = default(DictDefault({"datasets": [{"path": "none"}], **jinja}))
    row = {"messages": said(("user", "Q")), "chosen": response, "rejected": "Not at all."}
    assert transform(row, tokenizer=tokenizer)["chosen"] == cut


def test_kto_rows_are_rendered_in_chatml(exported: Callable[..., Path], tokenizer: Any) -> None:
    folder = exported("axolotl", "kto")
    published = pl.read_parquet(folder / "train.parquet")
    found = transformed(folder, tokenizer)
    assert len(found) == published.height > 100
    for row, rendered in zip(published.iter_rows(named=True), found, strict=True):
        *asked, response = row["completion"]
        turns = [f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n" for message in asked]
        assert rendered["prompt"] == "".join(turns) + "<|im_start|>assistant\n"
        assert rendered["completion"] == response["content"] + "<|im_end|>"
        assert rendered["label"] == row["label"]


def test_reward_rows_are_tokenised_with_no_system_message(exported: Callable[..., Path], tokenizer: Any) -> None:
    from axolotl.datasets import TokenizedPromptDataset
    from axolotl.prompt_strategies.bradley_terry import load

    folder = exported("axolotl", "reward")
    configuration = configured(folder)
    (entry,) = configuration.datasets
    kind = entry.type.split(".", 1)[1]
    published = pl.read_parquet(folder / "train.parquet")
    for drops in (True, False):
        strategy = load(kind, tokenizer, configuration, {**entry, "drop_system_message": drops})
        found = TokenizedPromptDataset(strategy, opened(folder, configuration), process_count=1)
        assert len(found) == published.height > 100
        # An empty system message is what an empty `system` becomes where the YAML does not have it dropped.
        opening = "" if drops else "<|system|><eos>"
        for row, tokens in zip(published.iter_rows(named=True), found, strict=True):
            asked = f"{opening}<|user|>{row['input']}<eos><|assistant|>"
            assert tokenizer.decode(tokens["chosen_ids"]) == f"{asked}{row['chosen']}<eos>"
            assert tokenizer.decode(tokens["rejected_ids"]) == f"{asked}{row['rejected']}<eos>"
    assert entry.drop_system_message
