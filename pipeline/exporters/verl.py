"""Rows for verl, as its RMDataset of version 0.9.1 takes them: Parquet with three texts and no chat template.

It tokenises `prompt` and each response as they stand and puts the end-of-sequence token behind. So the prompt is
written in ChatML, which keeps every role; a text that itself holds one of ChatML's markers could forge one, and is
left out. No trainer of that version reads the class: it is for those who bring their own.
"""

from typing import Literal

import polars as pl

from pipeline.core.exporting.expressions import holds_chatml_marker
from pipeline.core.exporting.tasks import Options, Task

_CONTENT = pl.element().struct.field("content")
_ROLE = pl.element().struct.field("role")

TASKS = {
    "reward": Task(
        "a reward model, in ChatML", unfit={"holds_chatml_marker": holds_chatml_marker("chosen", "rejected")}
    )
}
KIND: Literal["parquet"] = "parquet"


def rows(published: pl.DataFrame, _task: str, _options: Options) -> pl.DataFrame:
    """Turn published pairs into verl's columns."""
    turn = pl.concat_str(pl.lit("<|im_start|>"), _ROLE, pl.lit("\n"), _CONTENT, pl.lit("<|im_end|>\n"))
    said = pl.col("prompt").list.eval(turn).list.join("")
    prompt = pl.concat_str(said, pl.lit("<|im_start|>assistant\n"))
    return published.select(prompt=prompt, chosen="chosen", rejected="rejected", pair_id="pair_id")
