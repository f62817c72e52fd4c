"""The card: a README.md beside the published files that people read and that `datasets.load_dataset` obeys."""

from collections.abc import Mapping
from typing import Any

_HEAD = """---
pretty_name: Preference pairs
configs:
- config_name: pairs
  default: true
  data_files:
  - split: train
    path: train/pairs.parquet
  - split: validation
    path: validation/pairs.parquet
- config_name: ties
  data_files:
  - split: train
    path: train/ties.parquet
  - split: validation
    path: validation/ties.parquet
- config_name: votes
  data_files:
  - split: train
    path: train/votes.parquet
  - split: validation
    path: validation/votes.parquet
---
"""


def card(manifest: Mapping[str, Any]) -> str:
    """Write the card from the manifest."""
    return "\n".join(
        [_HEAD, *_story(manifest), *_files(manifest), *_sources(manifest), *_versions(manifest), *_fates(manifest)]
    )


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
        [name, facts["license"], facts["basis"] or "none", ", ".join(facts["purposes"]) or "none", facts["attribution"]]
        for name, facts in manifest["sources"].items()
    ]
    return ["## Sources\n", *_table(["source", "licence", "basis", "purposes", "credit"], rows), ""]


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
