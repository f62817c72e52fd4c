"""The two accounts: every record has one outcome, every comparison one fate; a build where they do not add up fails."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from pipeline.core.errors import PairtrailError


def tally(frame: pl.DataFrame, column: str) -> dict[str, int]:
    """Count the non-null values of a column, most frequent first."""
    counted = (
        frame.filter(pl.col(column).is_not_null())
        .group_by(column)
        .len()
        .sort(["len", column], descending=[True, False])
    )
    return {str(value): int(count) for value, count in counted.iter_rows()}


def tally_by(frame: pl.DataFrame, group: str, column: str) -> dict[str, dict[str, int]]:
    """Count the non-null values of a column within each group, groups in order."""
    groups = frame.partition_by(group, as_dict=True, include_key=True)
    return {
        str(name): tally(part, column) for (name,), part in sorted(groups.items(), key=lambda item: str(item[0][0]))
    }


def must_add_up(account: str, whole: int, parts: Mapping[str, int]) -> None:
    """Raise PairtrailError unless the parts are the whole."""
    if whole != sum(parts.values()):
        told = " + ".join(f"{count:,} {name}" for name, count in parts.items())
        msg = f"the account of {account} does not add up: {whole:,} is not {told}; nothing was written (our fault)"
        raise PairtrailError(msg)


def of_decisions(decisions: pl.DataFrame, received: pl.DataFrame) -> dict[str, Any]:
    """Account for one stage's decisions on what it `received`: in = kept + dropped by reason, in all and per source."""
    ids = pl.col("comparison_id")
    same = received.select(ids.sort()).equals(decisions.select(ids.sort()))
    dropped = tally(decisions, "drop_reason")
    kept = decisions["drop_reason"].null_count()
    must_add_up("comparisons", received.height if same else -1, {"kept": kept, **dropped})
    named = decisions.join(received, on="comparison_id", how="left", maintain_order="left")
    fates = named.with_columns(fate=pl.col("drop_reason").fill_null("kept"))
    return {
        "in": received.height,
        "kept": kept,
        "dropped": decisions.height - kept,
        "dropped_by": dropped,
        "by_source": tally_by(fates, "source", "fate"),
    }


def added(accounts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up the accounts of a stage's parts."""
    sources = sorted({source for account in accounts for source in account["by_source"]})
    return {
        **{name: sum(account[name] for account in accounts) for name in ("in", "kept", "dropped")},
        "dropped_by": _summed(account["dropped_by"] for account in accounts),
        "by_source": {name: _summed(account["by_source"].get(name, {}) for account in accounts) for name in sources},
    }


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add up counts by name, most frequent first."""
    return most_first(sum((Counter(count) for count in counts), Counter()))


def most_first(counts: Mapping[str, int]) -> dict[str, int]:
    """Order counts by name, most frequent first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def summary(stage: str, account: Mapping[str, Any]) -> str:
    """Say in one line what a stage did."""
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in account["dropped_by"].items())
    told = f" ({reasons})" if reasons else ""
    return f"{stage}: {account['kept']:,} kept, {account['dropped']:,} dropped{told}"
