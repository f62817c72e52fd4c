"""Running a deciding stage: read, decide, check that nothing is lost, write decisions and account."""

from dataclasses import dataclass, field
from types import ModuleType

import pandera.polars as pa
import polars as pl

from pipeline.core.accounts import of_decisions, summary
from pipeline.core.closure import code_digest
from pipeline.core.ingested import scan_comparisons
from pipeline.core.params import section
from pipeline.core.project import Project
from pipeline.core.references import References, read_references
from pipeline.core.tables import scan_table, whole_folder, write_json, write_table
from schemas.columns import dtypes


@dataclass(frozen=True, slots=True)
class Contract:
    """What the runner needs to know of a stage beside its pure function `decide`."""

    name: str
    after: str
    columns: tuple[str, ...]
    references: tuple[str, ...]
    schema: pa.DataFrameSchema
    parted_by: tuple[str, ...] = field(default=())
    """The columns by whose values the rows may be divided: each part alone gives what all give together (law 4)."""


def received_by(project: Project, contract: Contract) -> pl.LazyFrame:
    """Scan the comparisons that a stage receives: those that the stage before kept."""
    comparisons = scan_comparisons(project)
    if contract.after == "ingest":
        return comparisons
    path = project.needs(project.decisions(contract.after), contract.after)
    kept = scan_table(path).filter(pl.col("drop_reason").is_null()).select("comparison_id")
    return comparisons.join(kept, on="comparison_id", how="semi")


def run_stage(stage: ModuleType, project: Project) -> str:
    """Run one deciding stage on a project; return its summary line."""
    contract: Contract = stage.CONTRACT
    params = section(stage.Params, contract.name, project.params)
    references = read_references(contract.references, project)
    received = received_by(project, contract)
    decisions = decided(stage, received.select(contract.columns), references, params)
    ids = received.select("comparison_id", "source").collect()
    account = of_decisions(decisions, ids.select("comparison_id"), ids)
    account["code_digest"] = code_digest([stage.__name__])
    with whole_folder(project.stage(contract.name)) as built:
        write_table(decisions, built / "decisions.parquet", contract.schema, ["comparison_id"])
        write_json(account, built / "counts.json")
    return summary(contract.name, account)


def decided(stage: ModuleType, comparisons: pl.LazyFrame, references: References, params: object) -> pl.DataFrame:
    """Collect a stage's decisions in their schema's column order, sorted by id."""
    decisions: pl.LazyFrame = stage.decide(comparisons, references, params)
    return decisions.select(*dtypes(stage.CONTRACT.schema)).sort("comparison_id").collect()


def first_drop_reason(rules: dict[str, pl.Expr]) -> pl.Expr:
    """Give each row the first reason whose rule holds, in the order given; a rule that yields null does not hold."""
    branches = [pl.when(rule.fill_null(value=False)).then(pl.lit(reason)) for reason, rule in rules.items()]
    return pl.coalesce(*branches, pl.lit(None, pl.String)).alias("drop_reason")
