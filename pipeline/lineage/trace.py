"""Trace: the whole story of a comparison, a pair, a prompt or a raw record, from raw bytes to published row."""

import re
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.errors import PairtrailError
from pipeline.core.ingested import scan_occurrences, shard_name, shards_of
from pipeline.core.project import Project
from schemas.vocabulary import SIDES

_ID = re.compile(r"[0-9a-f]{32}")
_PLACE = re.compile(r"(?P<file>.+):(?P<row>[1-9][0-9]*)")
_KINDS = ("comparison_id", "pair_id", "prompt_id")
_FACTS = (
    "comparison_id",
    "pair_id",
    "prompt_id",
    "source",
    "policy_version",
    "rubric_version",
    "preference",
    "annotator_kind",
)
_NOTHING = pl.DataFrame(schema=dict.fromkeys(_KINDS, pl.String))
_TEXTS = ("prompt", "response_a", "response_b", "rationale")
_STAGES = ("validate", "dedupe", "split")
_TOLD_APART = ("drop_reason", "consent_events")


def trace(project: Project, wanted: str, *, reveal: bool = False) -> dict[str, Any]:
    """Tell the story of an id or of `FILE:RECORD` (a file below data/raw); texts only with `reveal`.

    Raises PairtrailError when nothing in the build has that id or place.
    """
    if place := place_asked(wanted):
        return _by_place(project, wanted, *place, reveal=reveal)
    kind, comparisons = _by_id(project, wanted)
    return {"asked": wanted, "kind": kind, "comparisons": _stories(project, comparisons, reveal=reveal)}


def place_asked(wanted: str) -> tuple[str, int] | None:
    """Return the file below data/raw and the record's number that were asked for; None for an id.

    Raises PairtrailError for what is neither.
    """
    if _ID.fullmatch(wanted):
        return None
    if match := _PLACE.fullmatch(wanted):
        return match["file"].removeprefix("data/raw/"), int(match["row"])
    msg = (
        f"`{wanted}` is neither an id (32 hexadecimal digits) nor FILE:RECORD (a file below data/raw, a number from 1)"
    )
    raise PairtrailError(msg)


def _by_id(project: Project, wanted: str) -> tuple[str, pl.DataFrame]:
    """Look among comparisons first, as their ids are sorted; pairs and prompts are looked for in every shard."""
    found = _comparisons(project, [wanted])
    if found.height:
        return "comparison", found
    shards = pl.scan_parquet(shards_of(project), glob=False).select(_KINDS) if shards_of(project) else _NOTHING.lazy()
    hits = shards.filter((pl.col("pair_id") == wanted) | (pl.col("prompt_id") == wanted)).collect(engine="streaming")
    if hits.is_empty():
        msg = f"no comparison, pair or prompt of this build has the id {wanted}; is it from another release or key?"
        raise PairtrailError(msg)
    kind = "pair" if (hits["pair_id"] == wanted).any() else "prompt"
    return kind, _comparisons(project, hits["comparison_id"].to_list())


def _comparisons(project: Project, ids: list[str]) -> pl.DataFrame:
    """Read comparisons by id, each from the shard of its canonical delivery; ids are sorted in each file."""
    wanted = pl.col("comparison_id").is_in(ids)
    verdicts = scan_occurrences(project).filter(wanted & pl.col("canonical") & (pl.col("part") == "verdict"))
    places = verdicts.select("comparison_id", "source_file").collect()
    found = [pl.DataFrame(schema=dict.fromkeys((*_FACTS, *_TEXTS)))]
    for (file,), here in places.partition_by("source_file", as_dict=True).items():
        shard = _scan(project.shards / shard_name(str(file)))
        of_file = pl.col("comparison_id").is_in(here["comparison_id"].to_list())
        found.append(shard.filter(of_file).select(*_FACTS, *_TEXTS).collect())
    return pl.concat(found, how="vertical_relaxed")


def _scan(path: Path) -> pl.LazyFrame:
    """Scan a table, without what importing `tables` would cost."""
    return pl.scan_parquet(path, glob=False)


def _by_place(project: Project, asked: str, file: str, row: int, *, reveal: bool) -> dict[str, Any]:
    here = (pl.col("source_file") == file) & (pl.col("source_row") == row)
    folder = project.stage("ingest")
    records = _scan(project.needs(folder / "records.parquet", "ingest"))
    record = records.filter(here).collect()
    if record.is_empty():
        files = records.select(pl.col("source_file").unique().sort()).collect()["source_file"].to_list()
        named = "it has no such record" if file in files else f"no such file; known: {', '.join(files[:20])}"
        msg = f"{file}:{row}: {named}"
        raise PairtrailError(msg)
    ids = scan_occurrences(project).filter(here).select(pl.col("comparison_id").unique()).collect(engine="streaming")
    comparisons = _comparisons(project, ids["comparison_id"].to_list())
    faults = _scan(folder / "quarantine.parquet").filter(here).select("fan_out", "reason").collect()
    return {
        "asked": asked,
        "kind": "record",
        "record": record.to_dicts()[0],
        "quarantined": faults.to_dicts(),
        "comparisons": _stories(project, comparisons, reveal=reveal),
    }


def stories(project: Project, ids: list[str], *, reveal: bool = False) -> list[dict[str, Any]]:
    """Tell the stories of comparisons by their ids."""
    return _stories(project, _comparisons(project, ids), reveal=reveal) if ids else []


def _stories(project: Project, comparisons: pl.DataFrame, *, reveal: bool) -> list[dict[str, Any]]:
    told = pl.col("comparison_id").is_in(comparisons["comparison_id"].to_list())
    pairs = pl.col("pair_id").is_in(comparisons["pair_id"].unique().to_list())
    occurrences = _grouped(scan_occurrences(project).filter(told).drop("event"))
    decisions = {stage: _decided(project, stage, told) for stage in _STAGES}
    published = _published(project, told & pairs)
    consents = _consents(project, decisions["validate"])
    shown = [*_FACTS, *(_TEXTS if reveal else ())]
    return [
        {
            **{name: row[name] for name in shown},
            "occurrences": occurrences.get(row["comparison_id"], []),
            "decisions": {
                stage: found[row["comparison_id"]][0]
                for stage, found in decisions.items()
                if row["comparison_id"] in found
            },
            "consents": consents.get(row["comparison_id"], []),
            "published": None if published is None else published.get(row["comparison_id"], []),
        }
        for row in comparisons.sort("comparison_id").iter_rows(named=True)
    ]


def _decided(project: Project, stage: str, told: pl.Expr) -> dict[str, list[dict[str, Any]]]:
    path = project.decisions(stage)
    return _grouped(_scan(path).filter(told)) if path.exists() else {}


def _consents(project: Project, decided: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Find the ledger's events that validate relied on, by comparison; `found` is false where the ledger lost one."""
    relied = {row: decision["consent_events"] for row, (decision,) in decided.items()}
    if not any(relied.values()):
        return {}
    from pipeline.core.consent.events import read_events  # with pandera, which takes longer than all the rest

    shown = ("event", "consent_id", "status", "status_time", "legal_basis")
    events = {event["event"]: event for event in read_events(project.ledger).select(shown).to_dicts()}
    return {
        row: [events.get(one, {"event": one}) | {"found": one in events} for one in ids] for row, ids in relied.items()
    }


def _published(project: Project, told: pl.Expr) -> dict[str, list[dict[str, Any]]] | None:
    """Find where comparisons were published (votes are sorted by pair); None where nothing has been published yet."""
    tables = []
    for side in SIDES:
        path = project.stage("publish") / side / "votes.parquet"
        if path.exists():
            tables.append(
                _scan(path)
                .filter(told)
                .select(
                    "comparison_id", "pair_id", "policy_version", "rubric_version", "table", "folded", side=pl.lit(side)
                )
            )
    return _grouped(pl.concat(tables)) if tables else None


def _grouped(rows: pl.LazyFrame) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    frame = rows.collect()
    for row in frame.sort([name for name in frame.columns if frame.schema[name] != pl.List]).to_dicts():
        grouped.setdefault(row.pop("comparison_id"), []).append(row)
    return grouped


def told(story: dict[str, Any]) -> str:
    """Tell a story in lines that a person reads from raw to published."""
    lines = [f"{story['kind']} {story['asked']}"]
    if record := story.get("record"):
        reason = f" ({record['reason']})" if record["reason"] else ""
        lines.append(f"  record   {record['outcome']}{reason}, digest {record['record_digest']}")
    faults = story.get("quarantined", [])
    lines += [f"  quarantined: {fault['reason']}, {fault['fan_out'] or 'the record'}" for fault in faults]
    for comparison in story["comparisons"]:
        lines += _told_comparison(comparison)
    return "\n".join(lines)


def _told_comparison(comparison: dict[str, Any]) -> list[str]:
    facts = ", ".join(f"{name.removesuffix('_version')} {comparison[name]}" for name in _FACTS[3:])
    lines = [f"comparison {comparison['comparison_id']}", f"  said     {facts}"]
    lines.append(f"  about    pair {comparison['pair_id']}, prompt {comparison['prompt_id']}")
    for found in comparison["occurrences"]:
        role = "read" if found["canonical"] else "copy"
        lines.append(
            f"  {found['part']:8} {found['source_file']}:{found['source_row']} "
            f"({role}, delivery {found['delivery']}, digest {found['record_digest']})"
        )
    for stage, decision in comparison["decisions"].items():
        rest = ", ".join(
            f"{name} {_brief(value)}" for name, value in decision.items() if value and name not in _TOLD_APART
        )
        fate = f"dropped: {decision['drop_reason']}" if decision["drop_reason"] else "kept"
        lines.append(f"  {stage:8} {fate}{f'; {rest}' if rest else ''}")
    lines += [f"  consent  {_told_consent(event)}" for event in comparison["consents"]]
    for place in comparison["published"] or ():
        fold = "folded" if place["folded"] else "not folded: human_judged"
        lines.append(f"  publish  {place['side']}/{place['table']}.parquet, pair {place['pair_id']} ({fold})")
    if not comparison["published"]:
        lines.append(f"  publish  {'not run yet' if comparison['published'] is None else 'not published'}")
    lines += [
        f"  {name}: {_brief(comparison[name])}"
        for name in _TEXTS
        if name in comparison and comparison[name] is not None
    ]
    return lines


def _told_consent(event: dict[str, Any]) -> str:
    if not event["found"]:
        return f"event {event['event']} is not in the ledger; it was there when validate ran"
    basis = f" ({' + '.join(event['legal_basis'])})" if event["legal_basis"] else ""
    since = f"{event['status_time']:%Y-%m-%d}"
    return f"{event['consent_id']}: {event['status'] or 'no status'} since {since}{basis}, event {event['event']}"


def _brief(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, list):
        return " / ".join(
            f"{item['role']}: {item['content']}" if isinstance(item, dict) else str(item) for item in value
        )
    return str(value)
