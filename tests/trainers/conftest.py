"""A published sample, exports of it, and a model and tokenizer so small that they are built in code."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from pipeline.lineage.export import Request, export
from tests.building import ROOT, Built

# Before any of the libraries is imported: nothing here may look for a model, a dataset or a tracker elsewhere.
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_OFFLINE="1", WANDB_MODE="disabled")
os.environ.update(TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="")

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


# Before any of the libraries is imported: they read it then, and what an earlier run cached under a folder's name would
# be loaded in place of the folder.
_CACHE = TemporaryDirectory(prefix="hf-")
os.environ["HF_HOME"] = _CACHE.name


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The bundled sample, published: several languages, system messages, many turns, some strengths, ties."""
    built = Built(tmp_path_factory.mktemp("sample"))
    shutil.copy(ROOT / "params.yaml", built.root)
    for name in ("raw", "ledger", "policy", "rubric"):
        shutil.copytree(ROOT / "data" / name, built.root / "data" / name)
    return built.run()


@pytest.fixture
def exported(sample: Built, tmp_path: Path) -> Callable[..., Path]:
    """A maker of exports of the sample's train side; it returns the folder."""

    def made(kind: str, task: str, **asked: Any) -> Path:
        out = tmp_path / kind / task
        export(sample, Request(kind, "train", out, task, **asked))
        return out

    return made


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """One token for each byte, a chat template that names the role, and what trainers ask a tokenizer for."""
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed: make test-trainers")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed: make test-trainers")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<eos>", *alphabet])}
    bytewise = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    bytewise.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = tokenizers.decoders.ByteLevel()
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=bytewise, pad_token="<pad>", eos_token="<eos>")
    made.chat_template = TEMPLATE
    return made


@pytest.fixture
def model_config(tokenizer: Any) -> Any:
    import torch
    from transformers import LlamaConfig

    torch.manual_seed(0)
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=4096,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
