"""Which prompts must not be trained on: those that hold a benchmark's text, less what a person reviewed and allowed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import polars as pl
from pydantic import StringConstraints

from pipeline.core.ledgers import ledger_files, read_entries
from pipeline.core.params import STRICT, Day, Stated
from pipeline.core.project import Project
from pipeline.core.tables import scan_table
from schemas.columns import ID


@dataclass(frozen=True, slots=True)
class Allowance:
    """One line of the ledger of exceptions: a row of the table `contamination` that somebody reviewed and allowed."""

    __pydantic_config__ = STRICT
    contamination_id: Annotated[str, StringConstraints(pattern=ID)]
    by: Stated
    on: Day
    reason: Stated


def exceptions_folder(project: Project) -> Path:
    """Return the folder of the ledger of exceptions."""
    return project.ledger / "exceptions"


def allowances(project: Project) -> dict[str, Allowance]:
    """Read the ledger of exceptions, by contamination id; of two on one id the first in the order of files counts."""
    read: dict[str, Allowance] = {}
    for path in ledger_files(exceptions_folder(project)):
        for entry in read_entries(path, Allowance, f"data/ledger/exceptions/{path.name}"):
            read.setdefault(entry.contamination_id, entry)
    return read


def scan_contamination(project: Project) -> pl.LazyFrame:
    """Scan what decontaminate found."""
    return scan_table(project.needs(project.stage("decontaminate") / "contamination.parquet", "decontaminate"))


def contaminated(project: Project) -> pl.LazyFrame:
    """Read the match keys of prompts that hold a benchmark's text and stand without an exception, as one column `key`.

    A prompt counts until every row that names it is allowed. An exception for an id that is found no more does nothing.
    """
    allowed = pl.Series(sorted(allowances(project)), dtype=pl.String).implode()
    held = scan_contamination(project).filter(~pl.col("contamination_id").is_in(allowed))
    return held.select(key=pl.col("match_key")).unique().sort("key")
