"""The card: a README.md beside the published files that people read and that `datasets.load_dataset` obeys."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.publishing.coverage import FIELDS, KEYS

_TABLES = ("pairs", "ties", "votes")
# Held-out rows are no split that a trainer loads by accident.
_LOADED = ("train", "validation")
_MOST_SLICES = 50
_LONGEST = 60
_MARKUP = frozenset("&<>|[]()*_`~#!\\$")


def card(manifest: Mapping[str, Any]) -> str:
    """Write the card from the manifest."""
    return "\n".join(
        [
            *_head(manifest),
            *_story(manifest),
            *_files(manifest),
            *_sources(manifest),
            *_coverage(manifest),
            *_heldout(manifest),
            *_versions(manifest),
            *_fates(manifest),
            *_withheld(manifest),
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


def _heldout(manifest: Mapping[str, Any]) -> list[str]:
    """Show what heldout can show, as a whole and by slice: the largest slices of each kind, of the others how many."""
    shown = [["all", "", *_slice(manifest["heldout"])]]
    missing = []
    for kind, found in manifest["slices"].items():
        largest = sorted(found["values"].items(), key=lambda item: (-item[1]["heldout_pairs"], item[0]))
        shown += [[kind, _plain(value), *_slice(facts)] for value, facts in largest[:_MOST_SLICES]]
        if rest := largest[_MOST_SLICES:]:
            missing.append(f"- {len(rest):,} slices more by {kind}; `manifest.json` has all of them.")
        if unnamed := found["unnamed"]:
            missing.append(f"- {unnamed:,} held-out pairs whose {kind} nobody names, or not all votes alike.")
    told = (
        "How many held-out roots (openings of conversations) and pairs there are in each slice, how many votes a pair\n"
        "has, and the smallest change of an accuracy that so many roots can show (power 80 %, 5 % two-sided), in\n"
        "percentage points: a smaller difference between two models says nothing. `-`: none would show.\n"
    )
    heads = ["slice", "value", "roots", "pairs", "votes per pair", "pairs with fewer than 3 votes", "smallest change"]
    beside = ["", "Not in the table:\n", *missing] if missing else []
    return ["## What heldout can show\n", told, *_table(heads, shown), *beside, ""]


def _slice(facts: Mapping[str, Any]) -> list[Any]:
    votes, change = facts["votes_per_pair"], facts["smallest_change"]
    return [
        facts["heldout_roots"],
        facts["heldout_pairs"],
        "-" if votes is None else f"{votes:.1f}",
        facts["fewer_than_three_votes"],
        "-" if change is None else f"{100 * change:.1f}",
    ]


def _plain(value: str) -> str:
    """Write a value that a record stated so that it can break neither the table nor the page, and is not too long."""
    line = " ".join(value.split())
    cut = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
    seen = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in cut)
    return "".join(f"&#{ord(sign)};" if sign in _MARKUP else sign for sign in seen) or "(empty)"


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


def _withheld(manifest: Mapping[str, Any]) -> list[str]:
    """Show which share of what it received split withheld, by reason."""
    rows = [[reason, percent(share)] for reason, share in manifest["withheld"].items()]
    told = "Of the comparisons that `split` received, so many were withheld from their side, in percent.\n"
    return ["## What split withheld\n", told, *_table(["reason", "percent"], rows), ""]
