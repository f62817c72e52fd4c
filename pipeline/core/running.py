"""Running a deciding stage: read, decide, check that nothing is lost, write decisions and account."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pandera.polars as pa
import polars as pl

from pipeline.core.accounts import added, of_decisions, summary
from pipeline.core.closure import code_digest
from pipeline.core.consent.appending import as_it_stands, refuse_changed
from pipeline.core.params import section
from pipeline.core.project import Project
from pipeline.core.receiving import await_stage, divided, parts_of, received
from pipeline.core.references import BESIDE, References, beside, read_references
from pipeline.core.spill import Spill, spilling
from pipeline.core.tables import whole_folder, write_json, write_sorted
from schemas.columns import dtypes

_CONSENTS = "consents"


class Gathering(Protocol):
    """One more table of a stage, about all that it kept, which is shown to it a part at a time."""

    def add(self, kept: pl.DataFrame) -> None:
        """See the rows that a part kept."""

    def write(self, built: Path) -> dict[str, Any]:
        """Write the table into the stage's folder, and return what the account says of it."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What the runner needs to know of a stage beside its pure function `decide`."""

    name: str
    after: str
    columns: tuple[str, ...]
    references: tuple[str, ...]
    schema: pa.DataFrameSchema
    parted_by: tuple[str, ...]
    """The columns by whose values the rows may be divided: each part alone gives what all give together (law 4)."""
    gathers: Callable[[Path, int], Gathering] | None = None
    """Makes what gathers one more table, given a folder for what waits and the number of parts; None: there is none."""


def run_stage(stage: ModuleType, project: Project) -> str:
    """Run one deciding stage on a project, a part of the comparisons at a time; return its summary line."""
    contract: Contract = stage.CONTRACT
    params = section(stage.Params, contract.name, project.params)
    for stage_before in (*(BESIDE[name] for name in contract.references if name in BESIDE), contract.after):
        await_stage(project, stage_before)
    ledger = as_it_stands(project) if _CONSENTS in contract.references else None
    references = read_references(contract.references, project)
    with spilling(project.spill / contract.name) as folder, whole_folder(project.stage(contract.name)) as built:
        ready = prepared(stage, references, params)
        decisions = Spill(folder / "decisions", "comparison_id", parts_of(project))
        accounts = []
        gathering = contract.gathers(folder / "gathered", parts_of(project)) if contract.gathers else None
        for part in _parts(contract, project, folder):
            known = ready | beside(contract.references, part)
            rows = decided(stage, part.lazy().select(contract.columns), known, params)
            accounts.append(of_decisions(rows, part.select("comparison_id", "source")))
            decisions.add(rows)
            if gathering:
                gathering.add(part.join(rows.filter(pl.col("drop_reason").is_null()), on="comparison_id", how="semi"))
        noted = stage.noted(references, params) if hasattr(stage, "noted") else {}
        gathered = gathering.write(built) if gathering else {}
        account = added(accounts) | noted | gathered | {"code_digest": code_digest([stage.__name__])}
        ordered = (part.sort("comparison_id") for part in decisions.parts())
        write_sorted(ordered, built / "decisions.parquet", contract.schema)
        write_json(account, built / "counts.json")
        if ledger is not None:
            refuse_changed(project, ledger)
    return summary(contract.name, account)


def _parts(contract: Contract, project: Project, folder: Path) -> Iterator[pl.DataFrame]:
    """Divide what a stage receives by the first key that its contract allows (law 4); rows by their own id, anyhow."""
    columns = dict.fromkeys((*contract.columns, "source"))
    said = {stage: [name] for name, stage in BESIDE.items() if name in contract.references}
    rows = received(project, contract.after, columns, said, folder / "received")
    key = contract.parted_by[0]
    if key == "comparison_id":
        yield from rows
    else:
        yield from (part for _, part in divided(rows, folder / "parts", key, parts_of(project)))


def prepared(stage: ModuleType, references: References, params: object) -> References:
    """Add to the references what hangs on them alone, once, and not with every part of the comparisons anew."""
    found: References = stage.prepared(references, params) if hasattr(stage, "prepared") else {}
    return references | {name: frame.collect(engine="streaming").lazy() for name, frame in found.items()}


def decided(stage: ModuleType, comparisons: pl.LazyFrame, references: References, params: object) -> pl.DataFrame:
    """Collect a stage's decisions in their schema's column order, sorted by id."""
    decisions: pl.LazyFrame = stage.decide(comparisons, references, params)
    return decisions.select(*dtypes(stage.CONTRACT.schema)).sort("comparison_id").collect()


def first_drop_reason(rules: dict[str, pl.Expr]) -> pl.Expr:
    """Give each row the first reason whose rule holds, in the order given; a rule that yields null does not hold."""
    branches = [pl.when(rule.fill_null(value=False)).then(pl.lit(reason)) for reason, rule in rules.items()]
    return pl.coalesce(*branches, pl.lit(None, pl.String)).alias("drop_reason")
