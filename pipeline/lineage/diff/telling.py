"""What a diff says: to people as tables, to scripts as JSON, to a pull request as Markdown, counts only."""

from collections.abc import Iterator
from typing import Any

from pipeline.core.publishing.card.markdown import plain
from pipeline.lineage.diff.found import Diff
from pipeline.lineage.diff.kinds import KINDS

_MOST_SHOWN = 10
_OURS = ("reason", "source")
_FACTS = {
    "key_fingerprint": "the pseudonym key: no comparison has its id of before",
    "epoch": "the epoch of the split: roots were divided anew",
    "normalisation": "how texts are normalised: no prompt has its id of before",
    "policies": "the text of a policy, under the same name",
    "rubrics": "the text of a rubric, under the same name",
}


def facts(found: Diff) -> dict[str, Any]:
    """Return what scripts are told: both revisions, and all counts."""
    named = zip(("before", "after"), found.revisions, strict=False)
    return {**{which: {"revision": name, "commit": commit} for which, (name, commit) in named}, **found.counts()}


def headline(found: Diff) -> str:
    """Say in one line how large the change is."""
    rows, votes = found.rows, found.votes
    if found.empty:
        return f"nothing changed: {rows['stand']:,} rows and {votes['stand']:,} votes{_as_far(found)}"
    told = (
        f"{found.level}: of {rows['before']:,} rows {rows['removed']:,} were removed, {rows['unchanged']:,} did not "
        f"change, {rows['stand'] - rows['unchanged']:,} did; {rows['added']:,} were added"
    )
    return f"{told}{_as_far(found)}"


def _as_far(found: Diff) -> str:
    return ", as far as could be compared" if found.not_compared else ""


def alarm(found: Diff) -> str:
    """Say loudly that rows moved between the sides."""
    return (
        f"{found.moved:,} rows MOVED BETWEEN SPLITS: what was trained on may be held out now, or the reverse. "
        "This must never be; see docs/diff.md"
    )


def changes_told(found: Diff) -> list[dict[str, Any]]:
    """Return the changes as rows of a table: what the manifests say otherwise, then each kind that there is."""
    levels = {one["kind"]: one["level"] for one in reversed(found.why)}
    facts_told: list[dict[str, Any]] = [
        {"change": name, "count": len(said) if isinstance(said, list) else 1, "asks for": levels[name], "of": "build"}
        | {"what": _FACTS[name]}
        for name, said in found.build.items()
    ]
    counts = found.counts()["kinds"]
    return facts_told + [
        {
            "change": kind,
            "count": None if counts[kind] is None else counts[kind]["count"],
            "asks for": levels.get(kind, "-"),
            "of": about.of,
            "what": about.said if counts[kind] else f"not compared: {about.said}",
        }
        for kind, about in KINDS.items()
        if counts[kind] is None or counts[kind]["count"]
    ]


def slices_told(found: Diff) -> list[dict[str, Any]]:
    """Return the counts by reason, source, category and language as rows of a table, the largest ones of each."""
    return [
        {"change": kind, "by": name, "value": value, "count": count}
        for kind, counted in found.counts()["kinds"].items()
        if counted
        for name in ("reason", "source", "category", "language")
        for value, count in _largest(counted["by"].get(name))
    ]


def _largest(by: dict[str, Any] | None) -> Iterator[tuple[str, int]]:
    if by is None or not by["values"]:
        return
    values = list(by["values"].items())
    yield from values[:_MOST_SHOWN]
    if rest := by["others"] + sum(count for _, count in values[_MOST_SHOWN:]):
        yield "(others)", rest
    if by["unnamed"]:
        yield "(none named, or not all votes alike)", by["unnamed"]


def not_compared_told(found: Diff) -> list[str]:
    """Say line by line what was not compared, and why."""
    return [f"not compared: {place}: {why}" for place, why in sorted(found.not_compared.items())]


def markdown(found: Diff) -> str:
    """Write the diff for a pull request: counts, no id and no text; values of records cannot break it."""
    before, after = (plain(name) for name, _ in found.revisions or (("before", ""), ("after", "")))
    title = f"### Data, {before} to {after}: {'no change' if found.empty else f'**{found.level}**'}\n"
    loud = [f"> **{alarm(found)}**\n"] if found.moved else []
    away = [f"Not compared: {', '.join(plain(place) for place in sorted(found.not_compared))}.\n"]
    body = [f"{headline(found)}.\n"] + (away if found.not_compared else [])
    if found.empty:
        return "\n".join([title, *body])
    kinds = [[one["change"], one["count"], one["asks for"], one["what"]] for one in changes_told(found)]
    # What records state, such as a category, stays out: a comment stays in its history for good.
    ours = [one for one in slices_told(found) if one["by"] in _OURS]
    slices = [[one["change"], one["by"], plain(one["value"]), one["count"]] for one in ours]
    told = _table(["change", "count", "asks for", "what"], kinds)
    more = _table(["change", "by", "value", "count"], slices)
    summary = "<details><summary>By reason and source</summary>\n"
    return "\n".join([title, *loud, *body, *told, "", *([summary, *more, "\n</details>\n"] if slices else [])])


def _table(heads: list[str], rows: list[list[Any]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]


def _cell(value: Any) -> str:  # noqa: ANN401
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
