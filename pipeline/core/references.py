"""References: what a stage compares its rows with, read once, by name, before the stage's pure function runs."""

from collections.abc import Callable
from typing import Any

import polars as pl

from pipeline.core.ingested import scan_occurrences
from pipeline.core.project import Project
from pipeline.core.sidecar.sources import load_sources
from pipeline.core.tables import scan_table
from pipeline.core.versions import load_versions

References = dict[str, pl.LazyFrame]


def statements(project: Project) -> pl.LazyFrame:
    """Read what each source states: the purposes that it allows and the roles that need consent."""
    rows = []
    for source in load_sources(project.raw):
        consent = source.sidecar.consent
        purposes, roles = (sorted(set(consent.purposes)), sorted(set(consent.roles))) if consent else ([], [])
        rows.append((source.name, purposes, roles))
    schema: dict[str, Any] = {
        "source": pl.String,
        "purposes": pl.List(pl.String),
        "roles": pl.List(pl.String),
    }
    return pl.LazyFrame(rows, schema=schema, orient="row")


def event_conflicts(project: Project) -> pl.LazyFrame:
    """Read the comparisons that share one declared event id with another content."""
    events = scan_occurrences(project).filter(
        pl.col("event").is_not_null() & pl.col("canonical") & (pl.col("part") == "verdict")
    )
    return events.filter(pl.col("comparison_id").n_unique().over("event") > 1).select("comparison_id")


def versions(project: Project) -> pl.LazyFrame:
    """Read which policy and rubric versions exist as files."""
    rows = [("policy", name) for name in load_versions(project.policy)]
    rows += [("rubric", name) for name in load_versions(project.rubric)]
    return pl.LazyFrame(rows, schema={"kind": pl.String, "version": pl.String}, orient="row")


def purposes(project: Project) -> pl.LazyFrame:
    """Read the purposes that validate allowed for each comparison."""
    path = project.needs(project.decisions("validate"), "validate")
    return scan_table(path).select("comparison_id", "purposes")


READERS: dict[str, Callable[[Project], pl.LazyFrame]] = {
    "statements": statements,
    "event_conflicts": event_conflicts,
    "versions": versions,
    "purposes": purposes,
}


def read_references(names: tuple[str, ...], project: Project) -> References:
    """Read the references that a stage names."""
    return {name: READERS[name](project) for name in names}
