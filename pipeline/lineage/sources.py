"""Sources: what lies under data/raw, and what the last ingest made of it."""

from typing import Any

from pipeline.core.ingested import read_account
from pipeline.core.project import Project
from pipeline.core.sidecar.sidecars import Source
from pipeline.core.sidecar.sources import load_sources


def sources(project: Project) -> list[dict[str, Any]]:
    """Describe each source, with the counts of the last ingest where there is one (null where not)."""
    account = read_account(project, "ingest") if project.counts("ingest").exists() else None
    return [_described(source, account) for source in load_sources(project.raw)]


def _described(source: Source, account: dict[str, Any] | None) -> dict[str, Any]:
    sidecar = source.sidecar
    outcomes = account["records_by_source"].get(source.name, {}) if account else {}
    return {
        "source": source.name,
        "adapter": sidecar.adapter,
        "files": sum(len(source.files(group)) for group in sidecar.files),
        "license": sidecar.license,
        "basis": sidecar.consent.basis if sidecar.consent else "none",
        "synthetic": sidecar.synthetic,
        "records": sum(outcomes.values()) if account else None,
        "comparisons": account["kept_by_source"].get(source.name, 0) if account else None,
        "quarantined": outcomes.get("quarantined", 0) if account else None,
    }
