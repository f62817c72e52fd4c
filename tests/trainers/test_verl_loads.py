"""verl 0.9.1's own RMDataset reads an export.

`import verl` wants Ray and tensordict, which its dataset does not use: the packages around it are entered by their
path, so every line of `rm_dataset.py` and `fs.py` that runs is the library's.
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

VERL = find_spec("verl")
if VERL is None or VERL.submodule_search_locations is None:
    pytest.skip("verl is not installed: make test-trainers", allow_module_level=True)
LOCATIONS = list(VERL.submodule_search_locations)


@pytest.fixture(scope="module")
def rm_dataset() -> Any:
    root = LOCATIONS[0]
    for name in ("verl", "verl.utils", "verl.utils.dataset"):
        package = ModuleType(name)
        package.__path__ = [str(Path(root, *name.split(".")[1:]))]
        sys.modules[name] = package
    sys.modules["verl.utils"].hf_tokenizer = None  # type: ignore[attr-defined]  # asked for tokenizers by name only
    return import_module("verl.utils.dataset.rm_dataset").RMDataset


def test_every_pair_is_read_as_written(
    exported: Callable[..., Path], rm_dataset: Any, tokenizer: Any, tmp_path: Path
) -> None:
    file = exported("verl", "reward") / "train.parquet"
    published = pl.read_parquet(file)
    found = rm_dataset(str(file), tokenizer, max_length=20_000, cache_dir=str(tmp_path / "cache"))
    assert len(found) == published.height > 100
    for place, row in enumerate(published.iter_rows(named=True)):
        texts = [
            tokenizer.decode(ids[mask.bool()])
            for ids, mask in zip(found[place]["input_ids"], found[place]["attention_mask"], strict=True)
        ]
        assert texts == [row["prompt"] + row[side] + "<eos>" for side in ("chosen", "rejected")]


def test_what_is_too_long_is_cut_at_its_end(
    exported: Callable[..., Path], rm_dataset: Any, tokenizer: Any, tmp_path: Path
) -> None:
    """Said in docs/exporters.md: chosen and rejected can be the same tokens."""
    file = exported("verl", "reward") / "train.parquet"
    found = rm_dataset(str(file), tokenizer, max_length=16, cache_dir=str(tmp_path / "cache"))
    chosen, rejected = found[0]["input_ids"].tolist()
    assert chosen == rejected
