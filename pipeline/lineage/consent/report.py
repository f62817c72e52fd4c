"""The report that an auditor asks for: all rows by legal basis, jurisdiction, purposes, status and split."""

from collections import Counter
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
from schemas.vocabulary import SIDES

BY = ("basis", "jurisdiction", "purposes", "status", "split", "outcome")
_STAGES = ("validate", "dedupe", "split")
_NONE = "-"
_UNKNOWN, _UNNAMED, _NO_STATUS = "not in the ledger", "no reference", "no status"
_TOGETHER = " + "
_KEPT = "kept"
_PASSED_OVER = "human_judged"
_KEY_TO_THE_TABLE = """\
Counted are comparisons: one verdict each, not people and not pairs. What several consents behind a comparison state is
joined by ` + `. `purposes` are those that the source and all consents allow: `-` where a consent does not stand.
`status` is `no reference` where nobody is named, `not in the ledger` where no record is found, `no status` where a
record states none, which another basis than consent does not need. `split` is the side of the comparison's
conversation: what was withheld after `split` has one too. `outcome` is `kept`, or why the comparison was withheld;
`human_judged` stands among the published votes, and decides no pair."""


def report(project: Project) -> dict[str, Any]:
    """Count every ingested comparison once, by what its consents state and what became of it.

    A row with several consents has what each of them states, joined by ` + `; `purposes` are those that all allow;
    `split` is its side, `outcome` that it was published, or why not. The cells add up to all comparisons.
    """
    fates = _fates(project)
    events = read_events(project.ledger)
    known = _stated(consents(events))
    counted = [_counted(refs, known, fates) for refs in references(project)]
    rows = pl.concat(counted).group_by(BY).agg(pl.col("rows").sum()).sort(BY)
    total = int(rows["rows"].sum())
    must_add_up(
        "comparisons in the consent report", read_account(project, "ingest")["comparisons"]["kept"], {"rows": total}
    )
    licenses = scan_comparisons(project).group_by("source", "license").len("rows").sort("source", "license").collect()
    read = read_account(project, "validate")["consent_ledger"]
    return {
        "as_of": read["as_of"],
        "as_of_now": str(terms_of(project).as_of),
        "comparisons": total,
        "events": events.height,
        "events_of_the_build": read["events"],
        "newest_event": events["status_time"].dt.strftime("%Y-%m-%d").max(),
        "rows": rows.with_columns(pl.col("rows").cast(pl.Int64)).to_dicts(),
        "licenses": [{**row, "use": use_class(row["license"])} for row in licenses.to_dicts()],
    }


def _fates(project: Project) -> pl.DataFrame:
    """Return what became of each ingested comparison, its side where it has one, and the purposes that all allow."""
    tables = {stage: scan_table(project.needs(project.decisions(stage), stage)) for stage in _STAGES}
    fates = tables["validate"].select("comparison_id", "purposes", validate="drop_reason")
    fates = fates.join(tables["dedupe"].select("comparison_id", dedupe="drop_reason"), on="comparison_id", how="left")
    sides = tables["split"].select("comparison_id", "side", split="drop_reason")
    fates = fates.join(sides, on="comparison_id", how="left").join(
        _passed_over(project), on="comparison_id", how="left"
    )
    return fates.select(
        "comparison_id",
        pl.coalesce(*_STAGES, "publish", pl.lit(_KEPT)).alias("outcome"),
        pl.col("side").fill_null(_NONE).alias("split"),
        pl.when(pl.col("purposes").list.len() > 0)
        .then(pl.col("purposes").list.join(", "))
        .otherwise(pl.lit(_NONE))
        .alias("purposes"),
    ).collect(engine="streaming")


def _passed_over(project: Project) -> pl.LazyFrame:
    """Return the votes that publish shows and does not fold, with its reason."""
    votes = [scan_table(project.needs(project.stage("publish") / side / "votes.parquet", "publish")) for side in SIDES]
    unfolded = pl.concat([one.filter(~pl.col("folded")).select("comparison_id") for one in votes])
    return unfolded.select("comparison_id", publish=pl.lit(_PASSED_OVER))


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
    """Write the report as Markdown: in short, then each cell; every table with its sum."""
    outcomes: Counter[str] = Counter()
    bases: dict[str, Counter[str]] = {}
    for row in found["rows"]:
        outcomes[row["outcome"]] += row["rows"]
        into = row["split"] if row["outcome"] == _KEPT else "withheld"
        bases.setdefault(row["basis"], Counter())[into] += row["rows"]
    columns = (*SIDES, "withheld")
    by_basis = [[basis, *(counts[name] for name in columns), counts.total()] for basis, counts in sorted(bases.items())]
    licenses = [[row[name] for name in ("source", "license", "use", "rows")] for row in found["licenses"]]
    parts = {
        "What became of them": _table(["outcome", "rows"], sorted(([*one] for one in outcomes.items()), key=_most)),
        "Legal bases": _table(["basis", *columns, "rows"], by_basis),
        "Licences": _table(["source", "licence", "use", "rows"], licenses),
        "Each cell": [
            _KEY_TO_THE_TABLE,
            "",
            *_table([*BY, "rows"], [[row[name] for name in (*BY, "rows")] for row in found["rows"]]),
        ],
    }
    lines = [line for head, part in parts.items() for line in (f"## {head}", "", *part, "")]
    return "\n".join(["# Consent report", "", *_head(found), "", *lines])


def _most(row: list[Any]) -> tuple[int, str]:
    return -row[1], row[0]


def _head(found: dict[str, Any]) -> list[str]:
    """Say what was counted, as of when, and where ledger, date and build are not of one day."""
    whole = f"All {found['comparisons']:,} comparisons of the last build, each counted once."
    lines = [f"{whole} Consent had to hold to the end of {found['as_of']}."]
    if found["as_of_now"] != found["as_of"]:
        lines.append(f"params.yaml now says `as_of` {found['as_of_now']}. Build again.")
    newest = found["newest_event"]
    if newest and newest > found["as_of"]:
        lines.append(
            f"The ledger's newest event is of {newest}: expiry is judged by an older day. Set `as_of`, and build."
        )
    if found["events"] != found["events_of_the_build"]:
        lines.append(
            f"The build read {found['events_of_the_build']:,} events of the ledger, which now has {found['events']:,}: "
            "what is stated is of now, the outcomes are of the build. Build again."
        )
    return lines


def _table(heads: list[str], rows: list[list[Any]]) -> list[str]:
    """Write a Markdown table and the sums of its counts, which stand to the right; a bar in a cell would end it."""
    numbers = [all(type(row[place]) is int for row in rows) for place in range(len(heads))]
    sums = [
        sum(row[place] for row in rows) if number else "total" if place == 0 else ""
        for place, number in enumerate(numbers)
    ]
    rule = ["---:" if number else "---" for number in numbers]
    cells = [[f"{cell:,}" if type(cell) is int else cell.replace("|", "\\|") for cell in row] for row in (*rows, sums)]
    return [f"| {' | '.join(line)} |" for line in (heads, rule, *cells)]
