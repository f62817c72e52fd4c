"""What stands on which side, what was held back and dropped, and what heldout can show."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.accounts import most_first
from pipeline.core.publishing.card.markdown import Cell, bullets, percent, plain, section, table
from pipeline.core.publishing.manifest import STAGES
from pipeline.core.publishing.slices import KINDS
from schemas.vocabulary import SIDES

_MOST_SLICES = 50
_HELDOUT = """\
How many held-out roots (openings of conversations) and pairs there are in each slice, how many votes a pair
has, and the smallest change of an accuracy that so many roots can show (power 80 %, 5 % two-sided), in
percentage points: a smaller difference between two models says nothing. `-`: none would show."""


def sides(manifest: Mapping[str, Any]) -> list[str]:
    """Show how many rows stand on each side, and by what a row's side is decided."""
    split = manifest["split"]
    told = (
        "A conversation's opening decides its side, and all that grew from it stands there:\n"
        f"{percent(split['heldout'])} % are drawn for heldout and {percent(split['validation'])} % for validation "
        f"(epoch {split['epoch']})."
    )
    tables = ("pairs", "ties", "votes")
    rows = [[side, *(manifest["files"][f"{side}/{name}.parquet"]["rows"] for name in tables)] for side in SIDES]
    return section("Sides", told, table(["side", *tables], rows))


def withheld(manifest: Mapping[str, Any]) -> list[str]:
    """Show which share of what it received split withheld, by reason."""
    counts = most_first(manifest["accounts"]["split"]["dropped_by"])
    rows: list[list[Cell]] = [
        [reason, count, percent(manifest["withheld"][reason])] for reason, count in counts.items()
    ]
    told = "So many of the comparisons that `split` received were withheld from their side."
    return section("What split withheld", told, table(["reason", "comparisons", "percent"], rows))


def dropped(manifest: Mapping[str, Any]) -> list[str]:
    """Show everything that was not published, with its reason and where it ended."""
    ends = [("ingest", manifest["accounts"]["ingest"]["quarantined_by"])]
    ends += [(stage, manifest["accounts"][stage].get("dropped_by", {})) for stage in (*STAGES, "publish")]
    rows: list[list[Cell]] = [
        [reason, stage, count] for stage, counts in ends for reason, count in most_first(counts).items()
    ]
    return section("What was not published, and why", table(["reason", "stage", "rows"], rows))


def files(manifest: Mapping[str, Any]) -> list[str]:
    """Show the files with the digests of their content."""
    rows = [
        [f"`{name}`", facts["rows"], f"`{facts['content_sha256'][:16]}`"]
        for name, facts in sorted(manifest["files"].items())
    ]
    return section("Files", table(["file", "rows", "content"], rows))


def heldout(manifest: Mapping[str, Any]) -> list[str]:
    """Show what heldout can show, as a whole and by slice: the largest slices of each kind, of the others how many."""
    shown = [["all", "", *_slice(manifest["heldout"])]]
    missing = []
    for kind in KINDS:
        found = manifest["slices"][kind]
        largest = sorted(found["values"].items(), key=lambda item: (-item[1]["heldout_pairs"], item[0]))
        shown += [[kind, plain(value), *_slice(facts)] for value, facts in largest[:_MOST_SLICES]]
        if rest := largest[_MOST_SLICES:]:
            missing.append(f"{len(rest):,} slices more by {kind}; `manifest.json` has all of them.")
        if unnamed := found["unnamed"]:
            missing.append(f"{unnamed:,} held-out pairs whose {kind} nobody names, or not all votes alike.")
    heads = ["slice", "value", "roots", "pairs", "votes per pair", "pairs with fewer than 3 votes", "smallest change"]
    beside = ["Not in the table:\n", *bullets(missing)] if missing else ""
    return section("What heldout can show", _HELDOUT, table(heads, shown), beside)


def _slice(facts: Mapping[str, Any]) -> list[Any]:
    votes, change = facts["votes_per_pair"], facts["smallest_change"]
    return [
        facts["heldout_roots"],
        facts["heldout_pairs"],
        "-" if votes is None else f"{votes:.1f}",
        facts["fewer_than_three_votes"],
        "-" if change is None else f"{100 * change:.1f}",
    ]
