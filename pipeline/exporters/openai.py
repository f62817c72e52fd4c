"""Rows for fine-tuning by preference as OpenAI's API reference describes its input (OpenAPI document 2.3.0).

Each line has `input.messages`, `preferred_output` and `non_preferred_output`, each output one assistant message. Nobody
says that other keys are let through, so there are none. A message of a tool must name the call that it answers, which
no published prompt does.
"""

from typing import Literal

import polars as pl

from pipeline.core.exporting.expressions import has_role, reply
from pipeline.core.exporting.tasks import Options, Task

TASKS = {"dpo": Task("direct preference optimisation", unfit={"tool_message": has_role("tool")})}
KIND: Literal["jsonl"] = "jsonl"


def rows(published: pl.DataFrame, _: str, __: Options) -> pl.DataFrame:
    """Turn published pairs into the three keys of a preference line."""
    no_tools = pl.lit([], pl.List(pl.String)).alias("tools")
    asked = pl.struct(pl.col("prompt").alias("messages"), no_tools, pl.lit(value=True).alias("parallel_tool_calls"))
    return published.select(
        asked.alias("input"), preferred_output=reply("chosen"), non_preferred_output=reply("rejected")
    )
