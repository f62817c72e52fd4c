"""Rows for TRL, as its trainers of version 1.16 take them: conversational, with an explicit prompt.

DPOTrainer and RewardTrainer read `prompt`, `chosen` and `rejected` as lists of messages; RewardTrainer adds `margin` to
the loss where it is there. KTOTrainer reads `prompt`, `completion` and `label`. All three leave other columns alone.
"""

from typing import Literal

import polars as pl

from pipeline.core.exporting.expressions import margin, reply
from pipeline.core.exporting.tasks import Options, Task

TASKS = {
    "dpo": Task("direct preference optimisation"),
    "reward": Task("a reward model, with a margin in the loss", margin=True),
    "kto": Task("KTO on single responses, desirable or not", table="votes"),
}
KIND: Literal["parquet"] = "parquet"


def rows(published: pl.DataFrame, task: str, options: Options) -> pl.DataFrame:
    """Turn published pairs, or responses with their labels, into TRL's columns."""
    if task == "kto":
        kept = ("pair_id", "votes_for", "votes_against")
        return published.select(
            "prompt", reply("response").alias("completion"), pl.col("desirable").alias("label"), *kept
        )
    return published.select(
        "prompt", chosen=reply("chosen"), rejected=reply("rejected"), **margin(options), pair_id="pair_id"
    )
