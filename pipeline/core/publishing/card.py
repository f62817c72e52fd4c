"""The card: a README.md beside the published files that people read and that `datasets.load_dataset` obeys."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.publishing.coverage import FIELDS, KEYS

_TABLES = ("pairs", "ties", "votes")
# Held-out rows are no split that a trainer loads by accident.
_LOADED = ("train", "validation")


def card(manifest: Mapping[str, Any]) -> str:
    """Write the card from the manifest."""
    return "\n".join(
        [
            *_head(manifest),
            *_story(manifest),
            *_files(manifest),
            *_sources(manifest),
            *_coverage(manifest),
            *_versions(manifest),
            *_fates(manifest),
        ]
    )


def _head(manifest: Mapping[str, Any]) -> list[str]:
    """Name each table's splits; one without rows is left out, as `load_dataset` fails on it."""
    lines = ["---", "pretty_name: Preference pairs", "configs:"]
    for table in _TABLES:
        places = [(side, f"{side}/{table}.parquet") for side in _LOADED]
        filled = [(side, place) for side, place in places if manifest["files"][place]["rows"]]
        default = ["  default: true"] if table == "pairs" else []
        lines += [f"- config_name: {table}", *default, "  data_files:"] if filled else []
        lines += [line for side, place in filled for line in (f"  - split: {side}", f"    path: {place}")]
    return [*lines, "---", ""]


def _story(manifest: Mapping[str, Any]) -> list[str]:
    made = "All texts are synthetic.\n" if manifest["synthetic"] else ""
    return [
        "# Preference pairs\n",
        "Each row of `pairs` is a prompt with a chosen and a rejected response, folded from the votes of annotators.",
        "Pairs without a majority stand in `ties`, the single verdicts in `votes`. How it was built, row by row",
        f"counted, is in `manifest.json`. Held-out rows are not among these splits: never tune on them.\n{made}",
    ]


def _table(heads: list[str], rows: list[list[Any]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [
        "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in line) + " |" for line in lines
    ]


def _files(manifest: Mapping[str, Any]) -> list[str]:
    rows = [
        [f"`{name}`", facts["rows"], f"`{facts['content_sha256'][:16]}`"] for name, facts in manifest["files"].items()
    ]
    return ["## Files\n", *_table(["file", "rows", "content"], rows), ""]


def _sources(manifest: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            name,
            facts["license"],
            facts["license_use"],
            facts["basis"] or "none",
            ", ".join(facts["purposes"]) or "none",
            facts["attribution"],
        ]
        for name, facts in manifest["sources"].items()
    ]
    return ["## Sources\n", *_table(["source", "licence", "use", "basis", "purposes", "credit"], rows), ""]


def _coverage(manifest: Mapping[str, Any]) -> list[str]:
    """Show the coverage of each source that has published verdicts."""
    shown = {name: facts for name, facts in manifest["coverage"].items() if facts["rows"]}
    fields = (*FIELDS, *KEYS)
    rows = [[name, facts["rows"], *(percent(facts[field]) for field in fields)] for name, facts in shown.items()]
    told = (
        "How many of each source's verdicts state where they come from, in percent; what is not stated is not known.\n"
    )
    return ["## Provenance\n", told, *_table(["source", "verdicts", *(f"`{field}`" for field in fields)], rows), ""]


def percent(share: float) -> str:
    """Write a share with one decimal; nothing but 0 is shown as none, and nothing but 1 as all."""
    return f"{100 * share:.0f}" if share in {0, 1} else f"{min(max(100 * share, 0.1), 99.9):.1f}"


def _versions(manifest: Mapping[str, Any]) -> list[str]:
    rows = [
        [kind, name, facts["title"], f"`{facts['sha256'][:16]}`"]
        for kind in ("policies", "rubrics")
        for name, facts in manifest[kind].items()
    ]
    return ["## Policies and rubrics\n", *_table(["kind", "version", "title", "sha256"], rows), ""]


def _fates(manifest: Mapping[str, Any]) -> list[str]:
    rows: list[list[Any]] = [
        [reason, "ingest", count] for reason, count in manifest["accounts"]["ingest"]["quarantined_by"].items()
    ]
    for stage, account in manifest["accounts"].items():
        rows += [[reason, stage, count] for reason, count in account.get("dropped_by", {}).items()]
    return ["## What was not published, and why\n", *_table(["reason", "stage", "rows"], rows), ""]
