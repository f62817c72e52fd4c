"""The report that an auditor asks for: all rows by legal basis, jurisdiction, purposes, status and split."""

from typing import Any

import polars as pl

from pipeline.core.accounts import must_add_up
from pipeline.core.consent.events import read_events
from pipeline.core.consent.states import KEY, consents
from pipeline.core.ingested import read_account, scan_comparisons
from pipeline.core.licenses import use_class
from pipeline.core.project import Project
from pipeline.core.tables import scan_table
from pipeline.lineage.consent.held import references, terms_of

BY = ("basis", "jurisdiction", "purposes", "status", "split", "outcome")
_STAGES = ("validate", "dedupe", "split")
_NONE = "-"
_UNKNOWN, _UNNAMED, _NO_STATUS = "not in the ledger", "no reference", "no status"
_TOGETHER = " + "


def report(project: Project) -> dict[str, Any]:
    """Count every ingested comparison once, by what its consents state and what became of it.

    A row with several consents has what each of them states, joined by ` + `; `purposes` are those that all allow;
    `split` is where the row was published, `outcome` that it was, or why not. The cells add up to all comparisons.
    """
    fates = _fates(project)
    known = _stated(consents(read_events(project.ledger)))
    counted = [_counted(refs, known, fates) for refs in references(project)]
    rows = pl.concat(counted).group_by(BY).agg(pl.col("rows").sum()).sort(BY)
    total = int(rows["rows"].sum())
    must_add_up(
        "comparisons in the consent report", read_account(project, "ingest")["comparisons"]["kept"], {"rows": total}
    )
    licenses = scan_comparisons(project).group_by("source", "license").len("rows").sort("source", "license").collect()
    return {
        "as_of": str(terms_of(project).as_of),
        "comparisons": total,
        "rows": rows.with_columns(pl.col("rows").cast(pl.Int64)).to_dicts(),
        "licenses": [{**row, "use": use_class(row["license"])} for row in licenses.to_dicts()],
    }


def _fates(project: Project) -> pl.DataFrame:
    """Return what became of each ingested comparison, its side where it has one, and the purposes that all allow."""
    tables = {stage: scan_table(project.needs(project.decisions(stage), stage)) for stage in _STAGES}
    fates = tables["validate"].select("comparison_id", "purposes", validate="drop_reason")
    fates = fates.join(tables["dedupe"].select("comparison_id", dedupe="drop_reason"), on="comparison_id", how="left")
    sides = tables["split"].select("comparison_id", "side", split="drop_reason")
    fates = fates.join(sides, on="comparison_id", how="left")
    return fates.select(
        "comparison_id",
        pl.coalesce(*_STAGES, pl.lit("kept")).alias("outcome"),
        pl.col("side").fill_null(_NONE).alias("split"),
        pl.when(pl.col("purposes").list.len() > 0)
        .then(pl.col("purposes").list.join(", "))
        .otherwise(pl.lit(_NONE))
        .alias("purposes"),
    ).collect(engine="streaming")


def _stated(known: pl.DataFrame) -> pl.DataFrame:
    """Say in words what each consent states; a basis is consent where none is stated."""
    basis = pl.col("legal_basis").list.sort().list.join(_TOGETHER)
    return known.select(
        *KEY,
        "jurisdiction",
        basis=pl.when(basis.str.len_chars() > 0).then(basis).otherwise(pl.lit("Consent")),
        status=pl.col("status").fill_null(_NO_STATUS),
    )


def _counted(refs: pl.DataFrame, known: pl.DataFrame, fates: pl.DataFrame) -> pl.DataFrame:
    """Count the rows of a batch by what all consents behind each state."""
    named = pl.col("subject").is_not_null() & pl.col("consent_id").is_not_null()
    missing = pl.when(named).then(pl.lit(_UNKNOWN)).otherwise(pl.lit(_UNNAMED))
    stated = refs.join(known, on=KEY, how="left").with_columns(pl.col("status").fill_null(missing))
    rows = stated.group_by("comparison_id").agg(_together(name) for name in ("basis", "jurisdiction", "status"))
    rows = rows.join(fates, on="comparison_id", how="left")
    return rows.group_by(BY).agg(rows=pl.len())


def _together(name: str) -> pl.Expr:
    """Join what the consents of a row state, each thing once; `-` where none states any."""
    stated = pl.col(name).drop_nulls().unique().sort()
    return pl.when(stated.len() > 0).then(stated.str.join(_TOGETHER)).otherwise(pl.lit(_NONE)).alias(name)


def as_markdown(found: dict[str, Any]) -> str:
    """Write the report as Markdown."""
    whole = f"All {found['comparisons']:,} comparisons of the last build, each counted once."
    head = ["# Consent report", "", f"{whole} Consent must hold to the end of {found['as_of']}.", ""]
    rows = [[row[name] for name in BY] + [f"{row['rows']:,}"] for row in found["rows"]]
    licenses = [
        [row[name] for name in ("source", "license", "use")] + [f"{row['rows']:,}"] for row in found["licenses"]
    ]
    return "\n".join(
        [
            *head,
            *_table([*BY, "rows"], rows),
            "",
            "## Licences",
            "",
            *_table(["source", "licence", "use", "rows"], licenses),
            "",
        ]
    )


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Write a Markdown table, the last column to the right; a bar in a cell would end it."""
    rule = ["---"] * (len(heads) - 1) + ["---:"]
    cells = [heads, rule, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in cells]
