"""Pairs -> a trainer's rows: one file per trainer family, found by its file name.

An exporter is a module with `TASKS`, `KIND` and `rows`, and `beside` where the trainer needs more than rows. It gets
published rows in bounded batches and reads and writes no files: that is done by `pipeline.lineage.export`.
"""

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Literal, Protocol, cast

import polars as pl

from pipeline.core.errors import PairtrailError
from pipeline.core.exporting.tasks import Options, Task


class Exporter(Protocol):
    """What every exporter module offers; `beside(task, options)`, the texts of further files by name, is optional."""

    TASKS: Mapping[str, Task]
    KIND: Literal["jsonl", "parquet"]

    def rows(self, published: pl.DataFrame, task: str, options: Options) -> pl.DataFrame:
        """Turn a batch of what the task's table holds into the trainer's columns, row by row, in the same order."""
        ...


def exporter_names() -> list[str]:
    """Return the names that an export may give as its format."""
    return sorted(module.name for module in iter_modules(__path__))


def exporter_for(name: str) -> Exporter:
    """Return the exporter module of a format."""
    if name not in exporter_names():
        msg = f"unknown format `{name}` (known: {', '.join(exporter_names())})"
        raise PairtrailError(msg)
    return cast("Exporter", import_module(f"{__name__}.{name}"))
