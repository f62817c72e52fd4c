"""The manifest: the facts of a build, all computed from content; no clock, host or user."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
from pyarrow import parquet

from pipeline.core.digests import NORMALISATION
from pipeline.core.errors import PairtrailError
from pipeline.core.ingested import read_account
from pipeline.core.licenses import use_class
from pipeline.core.params import read_yaml
from pipeline.core.project import Project
from pipeline.core.publishing.content import file_digest
from pipeline.core.publishing.coverage import KEYS, coverage
from pipeline.core.publishing.quality import withheld
from pipeline.core.publishing.totals import Totals
from pipeline.core.receiving import batches, divided, parts_of
from pipeline.core.sidecar.sidecars import SIDECAR, Source
from pipeline.core.sidecar.sources import load_sources
from pipeline.core.spill import spilling
from pipeline.core.tables import scan_table
from pipeline.core.versions import Version, load_versions
from schemas.dictionary import schema_digest

FORMAT = "pairtrail-manifest-1"
STAGES = ("ingest", "validate", "dedupe", "near", "decontaminate", "split")


def build_facts(project: Project, account: Mapping[str, Any], totals: Totals, largest_share: float) -> dict[str, Any]:
    """Gather everything that a build says about itself besides its files' digests."""
    params = read_yaml(project.params)
    sources = load_sources(project.raw)
    delivered = records_digests(project)
    if new := [source.name for source in sources if source.name not in delivered]:
        msg = f"{', '.join(new)}: new since the last ingest; run `pairtrail ingest` and the stages after it"
        raise PairtrailError(msg)
    accounts = {**{stage: read_account(project, stage) for stage in STAGES}, "publish": dict(account)}
    # What the dataset was compared with is told once, by name.
    benchmarks = accounts["decontaminate"].pop("benchmarks")
    return {
        "format": FORMAT,
        "synthetic": all(source.sidecar.synthetic for source in sources),
        "accounts": accounts,
        "key_fingerprint": params["ingest"]["key_fingerprint"],
        "normalisation": NORMALISATION,
        "split": {name: params["split"][name] for name in ("epoch", "heldout", "validation")},
        "fold": {name: params["publish"][name] for name in ("humans_decide", "majority")},
        "policies": _stated(load_versions(project.policy), totals.versions["policy_version"]),
        "rubrics": _stated(load_versions(project.rubric), totals.versions["rubric_version"]),
        "sources": {source.name: _source(source, delivered) for source in sources},
        "benchmarks": benchmarks,
        "coverage": coverage(sources, totals.stated),
        "schema_digest": schema_digest(),
        "code_digest": _code(accounts),
        "large_roots": large_roots(totals, largest_share),
        "withheld": withheld(accounts["split"]),
        **totals.slices.facts(),
        **totals.statement.facts(sources, totals.verdicts, totals.rows),
    }


def _code(accounts: Mapping[str, Mapping[str, Any]]) -> str:
    """Digest the code that made each stage's output: every stage says its own, as DVC may skip the later ones."""
    return sha256("".join(account["code_digest"] for account in accounts.values()).encode()).hexdigest()


def _stated(versions: Mapping[str, Version], used: set[str]) -> dict[str, dict[str, str | None]]:
    present = sorted(used)
    if missing := [name for name in present if name not in versions]:
        msg = f"{', '.join(missing)}: a version that rows were judged under is no file any more; validate again"
        raise PairtrailError(msg)
    return {name: _version(versions[name]) for name in present}


def _version(version: Version) -> dict[str, str | None]:
    stated = {
        name: getattr(version.front_matter, name) for name in ("title", "written_by", "approved_by", "approved_on")
    }
    return {**stated, "sha256": version.sha256}


def _source(source: Source, delivered: Mapping[str, str]) -> dict[str, Any]:
    sidecar = source.sidecar
    consent = sidecar.consent
    return {
        "license": sidecar.license,
        "license_use": use_class(sidecar.license),
        "attribution": sidecar.attribution,
        "synthetic": sidecar.synthetic,
        **{name: getattr(sidecar, name) for name in KEYS},
        "basis": consent.basis if consent else None,
        "purposes": sorted(consent.purposes) if consent else [],
        "roles": sorted(consent.roles) if consent else [],
        "consent_statement": consent.statement if consent else None,
        "sidecar_sha256": file_digest(source.folder / SIDECAR),
        "records_sha256": delivered[source.name],
    }


def records_digests(project: Project) -> dict[str, str]:
    """Return, per source, one SHA-256 over its records' keyed digests in sorted order.

    It names what was delivered, however it was cut into files; and as record digests are keyed, it gives nobody a way
    to test a guess about a record's text.
    """
    records = scan_table(project.needs(project.stage("ingest") / "records.parquet", "ingest"))
    wholes: dict[str, Any] = {}
    with spilling(project.spill / "records") as folder:
        scan = batches(records.select("source", "record_digest"))
        for _, part in divided(scan, folder, "record_digest", parts_of(project)):
            lists = part.group_by("source").agg(pl.col("record_digest").sort().str.join("\n"))
            for source, digests in lists.iter_rows():
                separated = f"\n{digests}" if source in wholes else digests
                wholes.setdefault(source, sha256()).update(separated.encode())
    return {source: whole.hexdigest() for source, whole in wholes.items()}


def large_roots(totals: Totals, largest_share: float) -> list[dict[str, Any]]:
    """Name the roots that hold more than a share of all published rows: one opening may dominate a side.

    A held-out root goes unnamed: consumers read the manifest, and a root's id would let them test a guess.
    """
    large = [sizes.filter(pl.col("rows") > largest_share * totals.height()) for sizes in totals.roots()]
    if not large:
        return []
    shown = pl.when(pl.col("side") != "heldout").then("root_id").alias("root_id")
    return pl.concat(large).sort(["rows", "root_id"], descending=[True, False]).with_columns(shown).to_dicts()


def published_files(built: Path, contents: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Describe each published table: rows, bytes, digest of the file and of its content (given by its name)."""
    return {
        name: {
            "rows": parquet.read_metadata(built / name).num_rows,
            "bytes": (built / name).stat().st_size,
            "sha256": file_digest(built / name),
            "content_sha256": content,
        }
        for name, content in sorted(contents.items())
    }
