"""What an exporter says about its rows, and what it is told about an export."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of rows that an exporter writes.

    `what` says in a few words what a trainer does with them. `table` says what one row is made of: a published pair
    (`pairs`, the columns of `schemas.published.PAIRS`), or one response with the label that its votes give it (`votes`,
    the columns of `pipeline.core.exporting.responses.RESPONSES`). `margin`: the format has a column for the margin.
    `unfit` names what the format cannot say: each reason with the rows that it holds for; the first that holds counts.
    """

    what: str
    table: Literal["pairs", "votes"] = "pairs"
    margin: bool = False
    unfit: Mapping[str, pl.Expr] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Options:
    """What an exporter is told: the file that its rows go to, and the margin's scale (None: no margin column)."""

    file: str
    margin_scale: float | None = None


def named_split(split: str, file: str) -> str:
    """Return a README.md by which `datasets` calls the file's rows `split`.

    Given a folder without one it calls whatever it does not know `train`, heldout included.
    """
    return f"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: {split}\n    path: {file}\n---\n"
