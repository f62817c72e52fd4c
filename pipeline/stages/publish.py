"""Publish: fold the kept comparisons into pairs, ties and votes per side, and say in a manifest how they came about."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from pipeline.core.accounts import must_add_up, summary, tally
from pipeline.core.closure import code_digest
from pipeline.core.digests import digest, digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.ingested import read_account, scan_comparisons
from pipeline.core.params import STRICT, section
from pipeline.core.project import Project
from pipeline.core.publishing.card import card
from pipeline.core.publishing.folding import KEY, THIN, deciding, fold, oriented
from pipeline.core.publishing.gate import run_gate
from pipeline.core.publishing.manifest import build_facts, published_files
from pipeline.core.publishing.quality import Limits, aggregates, rules
from pipeline.core.publishing.texts import as_pairs, as_ties, with_texts
from pipeline.core.tables import Spill, parts_for, scan_table, whole_folder, write_json, write_sorted, write_text
from schemas.columns import dtypes
from schemas.published import PAIRS, TIES, VOTES
from schemas.vocabulary import SIDES

REASONS = {"human_judged": "a model's or rule's verdict on a pair that humans judged: among the votes, but not folded"}


@dataclass(frozen=True, slots=True)
class Params:
    """The section `publish` of params.yaml."""

    __pydantic_config__ = STRICT
    humans_decide: bool
    majority: Literal["all", "decided"]
    licenses_strictest_last: list[str]
    largest_root_share: float
    gate: Limits

    def __post_init__(self) -> None:
        """Refuse an order of licences that names one twice, and a share that is none."""
        if not 0 < self.largest_root_share <= 1:
            msg = f"params.yaml: publish: largest_root_share {self.largest_root_share} must lie above 0, at most 1"
            raise PairtrailError(msg)
        twice = sorted({name for name in self.licenses_strictest_last if self.licenses_strictest_last.count(name) > 1})
        if twice:
            msg = f"params.yaml: publish: licenses_strictest_last names {', '.join(twice)} more than once"
            raise PairtrailError(msg)


def run(project: Project) -> str:
    """Publish the dataset; return the summary line."""
    params = section(Params, "publish", project.params)
    verdicts = _verdicts(project, params)
    folded = fold(verdicts.filter("folded"), majority=params.majority, licenses=params.licenses_strictest_last)
    account = _account(verdicts, folded)
    facts = build_facts(project, account, folded, params.largest_root_share)
    with whole_folder(project.stage("publish")) as built:
        _write_votes(verdicts, folded, built, facts)
        _write_rows(folded, project, built, facts)
        manifest = {**facts, "files": published_files(built)}
        _gate(project, manifest, built, params)
        write_text(card(manifest), built / "README.md")
        write_json(manifest, built / "manifest.json")
        write_json(account, built / "counts.json")
    return f"{summary('publish', account)}; {_told(account)}"


def _verdicts(project: Project, params: Params) -> pl.DataFrame:
    """Read the thin columns of what split kept, oriented, with side, purposes and whether each is folded."""
    split = scan_table(project.needs(project.decisions("split"), "split")).filter(pl.col("drop_reason").is_null())
    kept = split.select("comparison_id", "side").join(purposes(project), on="comparison_id", how="left")
    thin = scan_comparisons(project).select(THIN).join(kept, on="comparison_id", how="inner").collect()
    unknown = sorted(set(thin["license"].unique()) - set(params.licenses_strictest_last))
    if unknown:
        msg = f"params.yaml: publish.licenses_strictest_last does not rank {', '.join(unknown)}; give each its place"
        raise PairtrailError(msg)
    verdicts = oriented(thin)
    return verdicts.with_columns(deciding(verdicts, humans_decide=params.humans_decide))


def _account(verdicts: pl.DataFrame, folded: pl.DataFrame) -> dict[str, Any]:
    behind = folded.group_by("table").agg(pl.col("comparison_ids").list.len().sum())
    counts = dict(zip(behind["table"], behind["comparison_ids"], strict=True))
    passed_over = verdicts.height - int(verdicts["folded"].sum())
    must_add_up(
        "comparisons",
        verdicts.height,
        {"pairs": counts.get("pairs", 0), "ties": counts.get("ties", 0), "human_judged": passed_over},
    )
    rows = {side: tally(folded.filter(pl.col("side") == side), "table") for side in SIDES}
    return {
        "in": verdicts.height,
        "kept": verdicts.height - passed_over,
        "dropped": passed_over,
        "dropped_by": {"human_judged": passed_over} if passed_over else {},
        "folded_into": {"pairs": counts.get("pairs", 0), "ties": counts.get("ties", 0)},
        "code_digest": code_digest([__name__]),
        "rows": {side: {name: found.get(name, 0) for name in ("pairs", "ties")} for side, found in rows.items()},
    }


def _told(account: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{side} {rows['pairs']:,} pairs and {rows['ties']:,} ties" for side, rows in account["rows"].items()
    )


def _write_votes(verdicts: pl.DataFrame, folded: pl.DataFrame, built: Path, facts: Mapping[str, Any]) -> None:
    """Write the votes of each side; annotators get numbers that hold in this build only, times become dates."""
    build = digest_text(*verdicts["comparison_id"].sort())
    voters = verdicts.select(pl.col("annotator").drop_nulls().unique())
    voters = voters.sort(digest(pl.lit(build), pl.col("annotator"))).with_row_index("annotator_number", offset=1)
    votes = (
        verdicts.join(folded.select(*KEY, "table"), on=KEY, how="left")
        .join(voters, on="annotator", how="left")
        .with_columns(pl.col("annotator_number").cast(pl.Int64), created_on=pl.col("created_at").dt.date())
        .sort(*KEY, "comparison_id")
    )
    for side in SIDES:
        rows = votes.filter(pl.col("side") == side).select(*dtypes(VOTES))
        write_sorted([rows], built / side / "votes.parquet", VOTES, footer(facts))


def _write_rows(folded: pl.DataFrame, project: Project, built: Path, facts: Mapping[str, Any]) -> None:
    size = sum(path.stat().st_size for path in project.shards.glob("*.parquet"))
    places = [(side, table) for side in SIDES for table in ("pairs", "ties")]
    spills = {place: Spill(project.spill / "-".join(place), "pair_id", parts_for(size * 4)) for place in places}
    written = 0
    for rows in with_texts(folded, project):
        for (side, table), spill in spills.items():
            spill.add(rows.filter((pl.col("side") == side) & (pl.col("table") == table)))
    for (side, table), spill in spills.items():
        shape, schema = {"pairs": (as_pairs, PAIRS), "ties": (as_ties, TIES)}[table]
        parts = (shape(part).sort(KEY) for part in spill.parts())
        written += write_sorted(parts, built / side / f"{table}.parquet", schema, footer(facts))
    must_add_up("published rows", folded.height, {"written": written})


def footer(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts of the build as a Parquet file's key-value metadata."""
    return {"pairtrail": json.dumps(facts, sort_keys=True, ensure_ascii=False)}


def _gate(project: Project, manifest: Mapping[str, Any], built: Path, params: Params) -> None:
    tables = aggregates(
        manifest, {stage: read_account(project, stage) for stage in ("ingest", "validate", "dedupe", "split")}, built
    )
    verdicts = run_gate(tables, rules(params.gate), built / "docs")
    failed = [f"  {v.rule.table}.{v.rule.column}: {v.observed}: {v.rule.why}" for v in verdicts if not v.passed]
    if failed:
        msg = "\n".join(
            [
                "the release gate failed; nothing was published:",
                *failed,
                "The limits stand in params.yaml under publish.gate.",
            ]
        )
        raise PairtrailError(msg)
