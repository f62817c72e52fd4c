"""Rows for OpenRLHF, as its RewardDataset of version 0.11.2 takes them with `--data.prompt_key` and a chat template.

`prompt`, `chosen` and `rejected` are lists of messages: it renders prompt + response and cuts the prompt off. A reward
model adds `margin` where it is there (null counts as 0 in silence, so it is there for all rows or for none); DPO does
not read it. All other columns are dropped. It has no KTO.
"""

from typing import Literal

import polars as pl

from pipeline.core.exporting.expressions import margin, reply
from pipeline.core.exporting.tasks import Options, Task

TASKS = {
    "reward": Task("a reward model, with a margin in the loss", margin=True),
    "dpo": Task("direct preference optimisation"),
}
KIND: Literal["parquet"] = "parquet"


def rows(published: pl.DataFrame, _: str, options: Options) -> pl.DataFrame:
    """Turn published pairs into OpenRLHF's columns."""
    return published.select(
        "prompt", chosen=reply("chosen"), rejected=reply("rejected"), **margin(options), pair_id="pair_id"
    )
