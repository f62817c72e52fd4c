"""The ledger beside the last build: how each consent stands, and how many rows name it."""

from collections.abc import Iterator

import polars as pl

from pipeline.core.consent.behind import behind
from pipeline.core.consent.events import read_events
from pipeline.core.consent.standing import Terms, standing
from pipeline.core.consent.states import KEY, consents
from pipeline.core.ingested import scan_comparisons
from pipeline.core.params import section
from pipeline.core.project import Project
from pipeline.core.receiving import batches
from pipeline.core.references import copied_refs
from pipeline.stages import validate

STANDS = "stands"


def terms_of(project: Project) -> Terms:
    """Return what params.yaml allows, and as of when."""
    return section(validate.Params, "validate", project.params).terms


def judged(project: Project, terms: Terms) -> pl.DataFrame:
    """Return the table `consents`, with `standing`: `stands`, or the reason why it does not."""
    known = consents(read_events(project.ledger))
    verdicts = standing(known.lazy(), terms).select(*KEY, pl.col("refused").cast(pl.String).alias("standing")).collect()
    return known.join(verdicts, on=KEY, how="left", maintain_order="left").with_columns(
        pl.col("standing").fill_null(STANDS)
    )


def references(project: Project) -> Iterator[pl.DataFrame]:
    """Yield comparison_id, source, annotator, role, subject, consent_id of all ingested rows, as `validate` has them.

    A row that names nobody comes once.
    """
    copied = copied_refs(project)
    known = consents(read_events(project.ledger)).lazy()
    scan = scan_comparisons(project).select("comparison_id", "source", "annotator", "consent_refs")
    for part in batches(scan):
        yield behind(part.lazy(), copied, known).collect()


def rows_under_whole(project: Project, subject: str) -> pl.DataFrame:
    """Count the rows that a person gave to sources whose record covers them, by that record's id."""
    gave = scan_comparisons(project).filter(pl.col("annotator") == subject).select("comparison_id", "consent_refs")
    refs = gave.explode("consent_refs").unnest("consent_refs").filter(pl.col("subject").str.starts_with("source:"))
    return refs.group_by("consent_id").agg(rows=pl.col("comparison_id").n_unique()).collect(engine="streaming")


def rows_by_consent(project: Project) -> pl.DataFrame:
    """Count the rows that name each consent, by source; nothing where nothing has been ingested."""
    schema = {"consent_id": pl.String, "subject": pl.String, "source": pl.String, "rows": pl.UInt32}
    if not project.shards.exists():
        return pl.DataFrame(schema=schema)
    counted = [pl.DataFrame(schema=schema)]
    for refs in references(project):
        rows = refs.unique(["comparison_id", *KEY]).group_by(*KEY, "source").agg(rows=pl.len())
        counted.append(rows.select(*schema))
    return pl.concat(counted).group_by(*KEY, "source").agg(pl.col("rows").sum())
