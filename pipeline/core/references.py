"""References: what a stage compares its rows with, read once, by name, before the stage's pure function runs.

What an earlier stage said of each comparison (`BESIDE`) is a reference too, but it is read beside the comparisons, a
part at a time.
"""

from collections.abc import Callable
from typing import Any

import polars as pl

from pipeline.core.consent.appending import refuse_rewritten
from pipeline.core.consent.events import read_events
from pipeline.core.consent.states import consents
from pipeline.core.contamination import contaminated
from pipeline.core.epochs import epochs
from pipeline.core.ingested import scan_copied_refs, scan_occurrences
from pipeline.core.neighbours import near
from pipeline.core.pins import pinned_roots, pins
from pipeline.core.project import Project
from pipeline.core.receiving import batches, divided, parts_of
from pipeline.core.released import released, releases
from pipeline.core.sidecar.sources import load_sources
from pipeline.core.spill import spilling
from pipeline.core.versions import load_versions

References = dict[str, pl.LazyFrame]
BESIDE = {"purposes": "validate"}
"""By name: the stage whose decisions hold it, as a column of that name."""


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


def consent_states(project: Project) -> pl.LazyFrame:
    """Read how each consent of the ledger stands, whenever what it says happened; an emptied ledger is refused."""
    refuse_rewritten(project)
    return consents(read_events(project.ledger)).lazy()


def event_conflicts(project: Project) -> pl.LazyFrame:
    """Read the comparisons that share one declared event id with another content."""
    occurrences = scan_occurrences(project)
    events = occurrences.filter(
        pl.col("event").is_not_null() & pl.col("canonical") & (pl.col("part") == "verdict")
    ).select("comparison_id", "event")
    found = [events.clear().collect()]
    with spilling(project.spill / "events") as folder:
        for _, part in divided(batches(events), folder, "event", parts_of(project)):
            shared = part.filter(pl.col("event").is_duplicated())
            found.append(shared.filter(pl.col("comparison_id").n_unique().over("event") > 1))
    return pl.concat(found).select("comparison_id").lazy()


def copied_refs(project: Project) -> pl.LazyFrame:
    """Read who consented to a comparison of which two deliveries do not say the same: everybody whom any names.

    Stages read one delivery of each comparison, and which one hangs on a digest: a withdrawal that another one names
    must not hang on that.
    """
    refs = ["comparison_id", "role", "subject", "consent_id"]
    found = [pl.DataFrame(schema=dict.fromkeys(refs, pl.String))]
    with spilling(project.spill / "copies") as folder:
        for _, part in divided(batches(scan_copied_refs(project)), folder, "comparison_id", parts_of(project)):
            rows = pl.col("comparison_id").count().over("comparison_id")
            each = part.with_columns(rows=rows).explode("consent_refs").drop_nulls("consent_refs")
            counted = each.unnest("consent_refs").group_by(*refs, "rows").len()
            differ = pl.col("len").ne(pl.col("rows")).any().over("comparison_id")
            found.append(counted.filter(differ).select(refs))
    return pl.concat(found).lazy()


def versions(project: Project) -> pl.LazyFrame:
    """Read which policy and rubric versions exist as files."""
    rows = [("policy", name) for name in load_versions(project.policy)]
    rows += [("rubric", name) for name in load_versions(project.rubric)]
    return pl.LazyFrame(rows, schema={"kind": pl.String, "version": pl.String}, orient="row")


READERS: dict[str, Callable[[Project], pl.LazyFrame]] = {
    "statements": statements,
    "consents": consent_states,
    "copied_refs": copied_refs,
    "event_conflicts": event_conflicts,
    "versions": versions,
    "epochs": epochs,
    "near": near,
    "releases": releases,
    "released": released,
    "pins": pins,
    "pinned_roots": pinned_roots,
    "contaminated": contaminated,
}


def read_references(names: tuple[str, ...], project: Project) -> References:
    """Read the references that a stage names, save those that come beside the comparisons."""
    return {name: READERS[name](project) for name in names if name not in BESIDE}


def beside(names: tuple[str, ...], comparisons: pl.DataFrame) -> References:
    """Return the references that came beside some comparisons."""
    return {name: comparisons.select("comparison_id", name).lazy() for name in names if name in BESIDE}
