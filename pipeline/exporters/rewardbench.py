"""Rows for RewardBench 0.1.4, in the columns of its first benchmark: whom a reward model prefers, by subset.

`core` is read as the benchmark's own set (`load_eval_dataset`): `prompt`, `chosen` and `rejected` are texts. Handed
messages there, it scores the text of the list, without an error. `conversations` is read by `rewardbench --dataset`
(`load_and_process_dataset`): `chosen` and `rejected` are whole conversations. `prompt` is a text even so: as a
list, with `datasets` older than 4, it keeps the conversations from being taken apart, and their text would be scored.
Neither looks at roles: they call the messages user, assistant, user in turn.
"""

from typing import Literal

import polars as pl

from pipeline.core.exporting.expressions import has_role, reply
from pipeline.core.exporting.tasks import Options, Task, named_split
from pipeline.core.exporting.turns import asked_last, in_turn

_NO_OTHER_ROLES = {
    "system_message": has_role("system"),
    "tool_message": has_role("tool"),
    "not_alternating": ~in_turn("user"),
}
TASKS = {
    "core": Task(
        "scoring as the benchmark's own set, one turn each",
        unfit={**_NO_OTHER_ROLES, "several_turns": pl.col("prompt").list.len() > 1},
    ),
    "conversations": Task("scoring with `rewardbench --dataset`", unfit=_NO_OTHER_ROLES),
}
KIND: Literal["parquet"] = "parquet"
NO_CATEGORY = "no category"


def rows(published: pl.DataFrame, task: str, _: Options) -> pl.DataFrame:
    """Turn published pairs into RewardBench's columns; the subset is the category."""
    return published.select(
        asked_last().alias("prompt"),
        _response("chosen", task),
        pl.col("model_chosen").alias("chosen_model"),
        _response("rejected", task),
        pl.col("model_rejected").alias("rejected_model"),
        pl.col("category").fill_null(NO_CATEGORY).alias("subset"),
        pl.col("pair_id").alias("id"),
    )


def _response(column: str, task: str) -> pl.Expr:
    return pl.col(column) if task == "core" else pl.concat_list("prompt", reply(column)).alias(column)


def beside(task: str, options: Options) -> dict[str, str]:
    """Name the split of `core` as the loader of the benchmark's own set asks for it."""
    return {"README.md": named_split("filtered", options.file)} if task == "core" else {}
