"""Rows for axolotl 0.19, with the YAML that names their strategy.

`chat_template.default` renders `messages` and each response by the model's chat template, a response behind a
placeholder message, and cuts where it first finds the response's text. Outer white space that the template trims would
not be found, so it is stripped here (ids do not see it either); a response that the placeholder holds is left out.
`bradley_terry.chat_template` can say one user message. It wants `system` in every row and puts an empty system message
where that is empty; the YAML has it drop system messages, so prompts that have one are left out.
KTO has no chat template: `chatml.argilla_chat` writes ChatML (`llama3.argilla_chat` is its twin for Llama 3) around the
texts as they stand, so a text that holds one of ChatML's markers could forge a message, and is left out.
"""

from typing import Literal

import polars as pl

from pipeline.core.exporting.expressions import has_role, holds_chatml_marker, reply
from pipeline.core.exporting.tasks import Options, Task
from pipeline.core.exporting.turns import asked_last, in_turn

_PLACEHOLDER = ("user", "[[dummy_message]]", "assistant")
_STRATEGIES = {
    "dpo": ("rl: dpo", "chat_template.default"),
    "reward": ("reward_model: true", "bradley_terry.chat_template\n    drop_system_message: true"),
    "kto": ("rl: kto", "chatml.argilla_chat"),
}
_CONFIGURATION = """\
# For axolotl's configuration; the path is seen from where axolotl runs.
{trainer}
{datasets}:
  - path: {file}
    ds_type: parquet
    split: train
    type: {strategy}
"""


def _stripped(side: str) -> pl.Expr:
    return pl.col(side).str.strip_chars()


def _hidden(side: str) -> pl.Expr:
    return pl.any_horizontal(pl.lit(part).str.contains(_stripped(side), literal=True) for part in _PLACEHOLDER)


_MORE = {
    "system_message": has_role("system"),
    "not_alternating": ~in_turn("user"),
    "several_turns": pl.col("prompt").list.len() > 1,
}

_FORGES = {"holds_chatml_marker": holds_chatml_marker("response")}

TASKS = {
    "dpo": Task("direct preference optimisation", unfit={"in_placeholder": _hidden("chosen") | _hidden("rejected")}),
    "reward": Task("a reward model", unfit=_MORE),
    "kto": Task("KTO on single responses, desirable or not", table="votes", unfit=_FORGES),
}
KIND: Literal["parquet"] = "parquet"


def rows(published: pl.DataFrame, task: str, _: Options) -> pl.DataFrame:
    """Turn published pairs, or responses with their labels, into the columns of a strategy."""
    if task == "kto":
        said = pl.concat_list("prompt", reply("response")).alias("completion")
        return published.select(said, pl.col("desirable").alias("label"), "pair_id", "votes_for", "votes_against")
    if task == "reward":
        asked = {"system": pl.lit(""), "input": asked_last()}
        return published.select(**asked, chosen="chosen", rejected="rejected", pair_id="pair_id")
    return published.select(
        messages="prompt", chosen=_stripped("chosen"), rejected=_stripped("rejected"), pair_id="pair_id"
    )


def beside(task: str, options: Options) -> dict[str, str]:
    """Write the part of axolotl's configuration that reads the rows."""
    trainer, strategy = _STRATEGIES[task]
    datasets = "datasets" if options.file.startswith("train.") else "test_datasets"
    told = _CONFIGURATION.format(trainer=trainer, datasets=datasets, file=options.file, strategy=strategy)
    return {"axolotl.yaml": told}
