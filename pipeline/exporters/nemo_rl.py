"""Rows for NVIDIA NeMo RL, as its PreferenceDataset of version 0.6 is documented: JSON lines in rank format.

`context` holds the prompt's messages, `completions` the two responses, each a rank (0 is preferred) and its messages.
DPO and reward models read the same rows. It has no margin and no KTO, and ignores other columns.
"""

from typing import Literal

import polars as pl

from pipeline.core.exporting.expressions import reply
from pipeline.core.exporting.tasks import Options, Task

TASKS = {"dpo": Task("direct preference optimisation"), "reward": Task("a reward model")}
KIND: Literal["jsonl"] = "jsonl"


def rows(published: pl.DataFrame, _task: str, _options: Options) -> pl.DataFrame:
    """Turn published pairs into NeMo RL's columns."""
    ranked = pl.concat_list(_ranked(0, "chosen"), _ranked(1, "rejected"))
    return published.select(context="prompt", completions=ranked, pair_id="pair_id")


def _ranked(rank: int, column: str) -> pl.Expr:
    return pl.struct(rank=pl.lit(rank, pl.Int64), completion=reply(column))
