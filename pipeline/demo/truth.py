"""What a correct pipeline must find in the sample, computed with plain dictionaries from the generator's own book."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.demo.ledger import VALIDATE, Ledger, Row

OUTCOMES = ("gave_comparisons", "only_copies", "quarantined", "no_comparison", "reference")
PURPOSES = ("ai-alignment", "ai-evaluation")
_TOTALS = ("pairs", "ties", "by_humans", "by_models", "human_judged", "contested")
_IN_PAIRS = ("chosen", "rejected", "tie", "both_bad")
_IN_TIES = ("sided", "tie", "both_bad")


def truth_of(ledger: Ledger) -> dict[str, Any]:
    """Account for everything that the ledger holds, from records to folded pairs."""
    valid = [row for row in ledger.rows if row.drop is None]
    kept, dropped = deduplicated(valid)
    by_purpose = {purpose: [row for row in kept if purpose in row.purposes] for purpose in PURPOSES}
    return {
        **_ingested(ledger),
        "validate": _stage(ledger.rows, valid, Counter(row.drop for row in ledger.rows if row.drop), VALIDATE),
        "dedupe": _stage(valid, kept, dropped, ("superseded", "repeated")),
        "purposes": _by_purposes(kept),
        "roots": len({row.root for row in kept}),
        "prompts": len({row.prompt for row in kept}),
        "shared_openings": _shared(kept),
        "folded": {"all": folding(kept), **{purpose: folding(rows) for purpose, rows in by_purpose.items()}},
        "annotators": _annotators(ledger, kept),
        "near_duplicates": [list(pair) for pair in ledger.near],
        "planted": dict(ledger.planted),
    }


def _by_purposes(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """Count each source's rows by the purposes that all behind them allow."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        found[row.source][" ".join(row.purposes)] += 1
    return {source: dict(sorted(counts.items())) for source, counts in found.items()}


def _ingested(ledger: Ledger) -> dict[str, Any]:
    """Account for records and candidates, and name every record or candidate that is quarantined."""
    return {
        "records": {name: {one: counts[one] for one in OUTCOMES} for name, counts in ledger.outcomes.items()},
        "comparisons": {
            "candidates": ledger.candidates,
            "kept": len(ledger.rows),
            "copies": ledger.copies,
            "quarantined": len(ledger.quarantine),
        },
        "kept_by_source": _tally(row.source for row in ledger.rows),
        "quarantine": {
            "by_reason": _tally(reason for *_, reason in ledger.quarantine),
            "rows": [list(row) for row in sorted(ledger.quarantine, key=_place)],
        },
    }


def _place(found: tuple[str, int, str | None, str]) -> tuple[str, int, str]:
    return found[0], found[1], found[2] or ""


def _tally(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _stage(came: Sequence[Row], kept: Sequence[Row], dropped: Counter[str], reasons: Sequence[str]) -> dict[str, Any]:
    by = {reason: dropped[reason] for reason in reasons}
    return {"in": len(came), "kept": len(kept), "dropped_by": by, "kept_by_source": _tally(row.source for row in kept)}


def deduplicated(rows: Sequence[Row]) -> tuple[list[Row], Counter[str]]:
    """Return the rows that stand, and how many were superseded or repeated: one annotator, one pair, shown alike."""
    groups: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    kept: list[Row] = []
    for row in rows:
        if row.annotator is None:
            kept.append(row)
        else:
            groups[row.annotator, row.pair, row.version, row.shown_first, row.purposes].append(row)
    dropped: Counter[str] = Counter()
    for group in groups.values():
        standing = _standing(group)
        kept += standing.values()
        dropped["superseded"] += sum(row.verdict not in standing for row in group)
        dropped["repeated"] += sum(row.verdict in standing for row in group) - len(standing)
    return kept, dropped


def _standing(group: Sequence[Row]) -> dict[str | None, Row]:
    """Return one row for each verdict that no later one took back; a verdict without a time is never taken back."""
    times = [row.time for row in group if row.time is not None]
    latest = max(times, default=None)
    return {row.verdict: row for row in group if row.time is None or row.time == latest}


def folding(rows: Sequence[Row]) -> dict[str, Any]:
    """Fold rows to pairs: humans decide, models only where no human judged; over half of all votes choose a side."""
    pairs: dict[tuple[object, ...], list[Row]] = defaultdict(list)
    for row in rows:
        pairs[row.pair, row.version].append(row)
    totals = Counter(dict.fromkeys(_TOTALS, 0))
    votes_of_pairs, votes_of_ties = (Counter(dict.fromkeys(names, 0)) for names in (_IN_PAIRS, _IN_TIES))
    for judged in pairs.values():
        humans = [row for row in judged if row.kind == "human"]
        votes = votes_of(humans or judged)
        fewer, more = sorted((votes["low"], votes["high"]))
        bad = {"tie": votes["tie"], "both_bad": votes["both_bad"]}
        decided = 2 * more > votes.total()
        if decided:
            votes_of_pairs.update(chosen=more, rejected=fewer, **bad)
        else:
            votes_of_ties.update(sided=more + fewer, **bad)
        totals["pairs" if decided else "ties"] += 1
        totals["by_humans" if humans else "by_models"] += 1
        totals["human_judged"] += len(judged) - len(humans) if humans else 0
        totals["contested"] += fewer > 0
    return {"comparisons": len(rows), **totals, "votes": {"pairs": dict(votes_of_pairs), "ties": dict(votes_of_ties)}}


def votes_of(rows: Sequence[Row]) -> Counter[str]:
    """Count one vote per annotator, the sign of the sum of their verdicts; who is not named stands alone."""
    said: dict[object, list[str | None]] = defaultdict(list)
    for place, row in enumerate(rows):
        said[row.annotator if row.annotator is not None else place].append(row.verdict)
    return Counter(_one_vote(verdicts) for verdicts in said.values())


def _one_vote(verdicts: Sequence[str | None]) -> str:
    total = verdicts.count("low") - verdicts.count("high")
    if total:
        return "low" if total > 0 else "high"
    return "both_bad" if set(verdicts) == {"both_bad"} else "tie"


def _shared(rows: Sequence[Row]) -> int:
    """Count the roots that more than one prompt grew from."""
    prompts: dict[bytes, set[bytes]] = defaultdict(set)
    for row in rows:
        prompts[row.root].add(row.prompt)
    return sum(len(grown) > 1 for grown in prompts.values())


def _annotators(ledger: Ledger, rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Set what each annotator was given beside what their kept verdicts show."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.annotator in ledger.annotators:
            decided = row.verdict in {"low", "high"}
            seen[row.annotator].update(verdicts=1, decided=decided, right=decided and row.verdict == row.better)
            if decided and row.order_known:
                seen[row.annotator].update(ordered=1, first=row.verdict == row.shown_first)
    counts = ("verdicts", "decided", "right", "ordered", "first")
    return {
        name: {"accuracy": accuracy, "first_habit": habit, **{count: seen[name][count] for count in counts}}
        for name, (accuracy, habit) in sorted(ledger.annotators.items())
    }
