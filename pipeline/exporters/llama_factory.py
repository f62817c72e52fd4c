"""Rows for LLaMA-Factory 0.9.5, with the `dataset_info.json` that it finds them by.

ShareGPT form: `messages`, then `chosen` and `rejected` as one message each, or a last message and its `label` for KTO.
Alpaca form: the last message, the turns before it as `history`, and `system`. Both loaders drop a prompt whose turns do
not alternate, or whose system message is not the first, with no more than a line in the log; it is left out here, and
counted. DPO and reward models read the same rows. There is no margin, and other columns are dropped.
"""

import json
from pathlib import Path
from typing import Any, Literal

import polars as pl

from pipeline.core.exporting.expressions import reply
from pipeline.core.exporting.tasks import Options, Task
from pipeline.core.exporting.turns import asked_last, history, in_turn, system

_SHAREGPT = {"not_alternating": ~in_turn("user", "tool")}
_ALPACA = {"not_alternating": ~in_turn("user")}

TASKS = {
    "dpo": Task("direct preference optimisation", unfit=_SHAREGPT),
    "reward": Task("a reward model", unfit=_SHAREGPT),
    "kto": Task("KTO on single responses, desirable or not", table="votes", unfit=_SHAREGPT),
    "alpaca": Task("DPO or a reward model, in Alpaca form", unfit=_ALPACA),
}
KIND: Literal["parquet"] = "parquet"

_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
    "observation_tag": "tool",
}
_COLUMNS = {
    "kto": {"messages": "messages", "kto_tag": "label"},
    "alpaca": {
        "prompt": "instruction",
        "history": "history",
        "system": "system",
        "chosen": "chosen",
        "rejected": "rejected",
    },
}
_RANKED = {"messages": "messages", "chosen": "chosen", "rejected": "rejected"}


def rows(published: pl.DataFrame, task: str, _: Options) -> pl.DataFrame:
    """Turn published pairs, or responses with their labels, into LLaMA-Factory's columns."""
    if task == "kto":
        said = pl.concat_list("prompt", reply("response")).alias("messages")
        return published.select(said, pl.col("desirable").alias("label"), "pair_id", "votes_for", "votes_against")
    if task == "alpaca":
        asked = {"instruction": asked_last(), "history": history(), "system": system()}
        return published.select(**asked, chosen="chosen", rejected="rejected", pair_id="pair_id")
    chosen, rejected = (reply(side).list.first() for side in ("chosen", "rejected"))
    return published.select(messages="prompt", chosen=chosen, rejected=rejected, pair_id="pair_id")


def beside(task: str, options: Options) -> dict[str, str]:
    """Write the entry of `dataset_info.json`; its name is `pairtrail_` and the split."""
    entry: dict[str, Any] = {"file_name": options.file, "columns": _COLUMNS.get(task, _RANKED)}
    entry |= {"formatting": "alpaca"} if task == "alpaca" else {"formatting": "sharegpt", "tags": _TAGS}
    entry |= {} if task == "kto" else {"ranking": True}
    info = {f"pairtrail_{Path(options.file).stem}": entry}
    return {"dataset_info.json": json.dumps(info, indent=2, sort_keys=True) + "\n"}
