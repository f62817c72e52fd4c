"""Reviewing contamination: what was found, where it stands, and what a person allows."""

from datetime import UTC, datetime
from typing import Any

import polars as pl

from pipeline.core.accounts import tally_by
from pipeline.core.benchmarks.items import read_items
from pipeline.core.benchmarks.sidecars import Benchmark, benchmark_folders, load_benchmarks
from pipeline.core.contamination import allowances, exceptions_folder, scan_contamination
from pipeline.core.errors import PairtrailError
from pipeline.core.ingested import scan_comparisons, shards_of
from pipeline.core.ledgers import append_entries
from pipeline.core.project import Project
from pipeline.lineage.consent.depending import depend_on_ledger

FILE = "reviewed.jsonl"
_ORDER = ["benchmark", "item", "turn", "match_key", "rule"]
_FOUND = ["benchmark", "item", "turn", "rule", "coverage", "similarity", "position", "allowed"]
_SHOWN = ["contamination_id", "match_key", *_FOUND]
_MOST_IDS = 20


def contaminations(project: Project, benchmark: str | None = None) -> dict[str, Any]:
    """Count what was found by benchmark and rule, and list each row with whether it is allowed; ids and numbers only.

    Raises PairtrailError where no benchmark has that name.
    """
    rows, allowed = _rows(project), allowances(project)
    known = [folder.name for folder in benchmark_folders(project)]
    if benchmark is not None and benchmark not in known:
        msg = f"no benchmark is called {benchmark} (known: {', '.join(known) or 'none'})"
        raise PairtrailError(msg)
    shown = rows if benchmark is None else rows.filter(benchmark=benchmark)
    return {
        "benchmarks": len(known),
        "counts": tally_by(shown, "benchmark", "rule"),
        "prompts": shown["match_key"].n_unique(),
        "rows": shown.select(_SHOWN).to_dicts(),
        "exceptions": {"standing": int(rows["allowed"].sum()), "in_vain": len(allowed) - int(rows["allowed"].sum())},
    }


def contamination_of(project: Project, wanted: str, *, reveal: bool = False) -> dict[str, Any]:
    """Tell of one row where its two texts stand; the texts themselves only with `reveal`."""
    row = _row(_rows(project), wanted)
    here = pl.col("match_key") == row["match_key"]
    held = scan_comparisons(project).filter(here).select("comparison_id", "source").collect(engine="streaming")
    told = {name: row[name] for name in _SHOWN} | {
        "record": _place(project, row),
        "comparisons": held.height,
        "sources": dict(held.group_by("source").len().sort("source").iter_rows()),
        "comparison_ids": held["comparison_id"].sort().head(_MOST_IDS).to_list(),
    }
    if row["allowed"]:
        entry = allowances(project)[wanted]
        told["exception"] = {"by": entry.by, "on": entry.on, "reason": entry.reason}
    return told | (_texts(project, row) if reveal else {})


def allow(project: Project, wanted: list[str], by: str, reason: str, on: str | None = None) -> dict[str, Any]:
    """Write down that rows were reviewed and are allowed, all of them or none; those that are allowed already stay so.

    Raises PairtrailError for an id that decontaminate did not find, and where nobody or no reason is named.
    """
    if not (by.strip() and reason.strip()):
        msg = "name who reviewed it (--by) and why it may be trained on (--reason)"
        raise PairtrailError(msg)
    rows = _rows(project)
    asked = {one: _row(rows, one) for one in dict.fromkeys(wanted)}
    new = [one for one, row in asked.items() if not row["allowed"]]
    day = on or datetime.now(UTC).date().isoformat()
    entries = [{"contamination_id": one, "by": by.strip(), "on": day, "reason": reason.strip()} for one in new]
    append_entries(exceptions_folder(project) / FILE, entries)
    depend_on_ledger(project)
    prompts = {row["match_key"] for row in asked.values()}
    same = rows.filter(pl.col("match_key").is_in(list(prompts)), ~pl.col("allowed"))
    return {
        "added": len(new),
        "already_allowed": len(asked) - len(new),
        "still_withholding": [one for one in same["contamination_id"] if one not in asked],
        "file": f"data/ledger/exceptions/{FILE}",
    }


def _rows(project: Project) -> pl.DataFrame:
    allowed = pl.Series(sorted(allowances(project)), dtype=pl.String).implode()
    rows = scan_contamination(project).with_columns(allowed=pl.col("contamination_id").is_in(allowed))
    return rows.sort(_ORDER).collect()


def _row(rows: pl.DataFrame, wanted: str) -> dict[str, Any]:
    found = rows.filter(contamination_id=wanted)
    if found.is_empty():
        msg = (
            f"decontaminate found nothing with the id {wanted!r}; `pairtrail contamination list` prints the ids. After "
            "a change of benchmarks, raw files or parameters, run `pairtrail decontaminate` first"
        )
        raise PairtrailError(msg)
    return found.row(0, named=True)


def _benchmark(project: Project, row: dict[str, Any]) -> Benchmark:
    found = [one for one in load_benchmarks(project) if one.name == row["benchmark"]]
    if not found:
        msg = f"benchmark {row['benchmark']} is in data/benchmarks no more; run `pairtrail decontaminate` again"
        raise PairtrailError(msg)
    return found[0]


def _item_turns(project: Project, row: dict[str, Any]) -> tuple[str, list[str]]:
    """Find an item in its benchmark again: its record's place, and the turns that were compared."""
    for one in read_items(_benchmark(project, row)):
        if one.item == row["item"]:
            return one.place, one.turns if row["turn"] is None else one.turns[row["turn"] - 1 : row["turn"]]
    msg = f"benchmark {row['benchmark']} has that item no more; run `pairtrail decontaminate` again"
    raise PairtrailError(msg)


def _place(project: Project, row: dict[str, Any]) -> str:
    return f"data/benchmarks/{row['benchmark']}/{_item_turns(project, row)[0]}"


def _texts(project: Project, row: dict[str, Any]) -> dict[str, Any]:
    """Return the benchmark's text and the prompt's user turns, both as they stand in their records."""
    held = pl.scan_parquet(shards_of(project), glob=False).filter(match_key=row["match_key"]).select("prompt").head(1)
    messages = [message for prompt in held.collect(engine="streaming")["prompt"] for message in prompt]
    said = [one["content"] for one in messages if one["role"] == "user"] or [one["content"] for one in messages]
    return {"benchmark_text": _item_turns(project, row)[1], "prompt_turns": said}


def told_list(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the counts as rows of a table: a benchmark each, with its rules."""
    return [
        {"benchmark": name, **{rule: counts.get(rule, 0) for rule in ("match", "ngram", "near")}}
        for name, counts in found["counts"].items()
    ]


def told_allowed(found: dict[str, Any]) -> str:
    """Tell what was allowed, and which rows go on withholding the same prompts."""
    said = f"{found['added']:,} allowed in {found['file']}, {found['already_allowed']:,} were allowed before"
    if more := found["still_withholding"]:
        shown = ", ".join(more[:_MOST_IDS]) + (", ..." if len(more) > _MOST_IDS else "")
        names = "row names" if len(more) == 1 else "rows name"
        return f"{said}; {len(more):,} more {names} the same prompts, which stay withheld: {shown}"
    return said


def told(found: dict[str, Any]) -> str:
    """Tell of one row, a line for each fact."""
    shown = {name: value for name, value in found.items() if value is not None}
    return "\n".join(f"{name.replace('_', ' ')}: {_brief(value)}" for name, value in shown.items())


def _brief(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return "\n  ".join(["", *map(str, value)]) if isinstance(value, list) else str(value)
