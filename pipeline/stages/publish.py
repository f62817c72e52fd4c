"""Publish: fold the kept comparisons into pairs, ties and votes per side, and say in a manifest how they came about."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from pipeline.core.accounts import must_add_up, summary
from pipeline.core.canary import canary_of
from pipeline.core.closure import code_digest
from pipeline.core.errors import PairtrailError
from pipeline.core.ingested import PLACE, read_account, shards_of
from pipeline.core.licenses import licenses_in
from pipeline.core.params import STRICT, section
from pipeline.core.project import Project
from pipeline.core.publishing.card import card
from pipeline.core.publishing.content import ContentDigest
from pipeline.core.publishing.coverage import stated
from pipeline.core.publishing.croissant import croissant
from pipeline.core.publishing.folding import KEY, THIN, deciding, fold, oriented
from pipeline.core.publishing.gate import run_gate
from pipeline.core.publishing.manifest import build_facts, published_files
from pipeline.core.publishing.quality import Limits, aggregates, rules
from pipeline.core.publishing.statement import consented
from pipeline.core.publishing.texts import as_pairs, as_ties, put_texts_aside, with_texts
from pipeline.core.publishing.totals import Totals
from pipeline.core.publishing.votes import as_votes, numbered, votes_of_rows
from pipeline.core.receiving import await_stage, divided, parts_of, received
from pipeline.core.sides import division
from pipeline.core.spill import Spill, parts_for, spilling
from pipeline.core.tables import whole_folder, write_json, write_text, writing
from schemas.published import PUBLISHED
from schemas.vocabulary import SIDES

REASONS = {"human_judged": "a model's or rule's verdict on a pair that humans judged: among the votes, but not folded"}

_BESIDE = {"split": ["side"], "validate": ["purposes"]}
# Shards are compressed; parts are cut by what they may unpack to.
_UNPACKED = 4


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
    """Publish the dataset, a part of the pairs at a time; return the summary line."""
    params = section(Params, "publish", project.params)
    await_stage(project, "split")
    with spilling(project.spill / "publish") as folder, whole_folder(project.stage("publish")) as built:
        aside = _fold_all(project, params, folder)
        account = aside.totals.account() | {"code_digest": code_digest([__name__])}
        facts = build_facts(project, account, aside.totals, params.largest_root_share)
        mark = canary_of(division(project))
        contents = _write(aside, numbered(aside.totals.statement.annotators, project), mark, built, facts)
        manifest = {**facts, "files": published_files(built, contents)}
        _gate(project, manifest, built, params)
        write_text(card(manifest), built / "README.md")
        write_json(croissant(manifest), built / "croissant.json")
        write_json(manifest, built / "manifest.json")
        write_json(account, built / "counts.json")
    return f"{summary('publish', account)}; {_told(account)}"


@dataclass(frozen=True, slots=True)
class _Aside:
    """What waits to be written, in parts of the pairs: folded rows, their votes and their texts."""

    rows: Spill
    votes: Spill
    texts: Spill
    totals: Totals


def _fold_all(project: Project, params: Params, folder: Path) -> _Aside:
    parts = _parts_of_texts(project)
    rows, votes, texts = (Spill(folder / name, "pair_id", parts) for name in ("rows", "votes", "texts"))
    totals, places = Totals(folder / "totals", parts), [pl.Series([], dtype=pl.UInt32)]
    kept = received(project, "split", (*THIN, PLACE, stated(), consented()), _BESIDE, folder / "received")
    for _, part in divided(kept, folder / "verdicts", "pair_id", parts):
        ranked = _strictest_last(part, params)
        turned = oriented(part)
        verdicts = turned.with_columns(deciding(turned, humans_decide=params.humans_decide))
        folded = fold(verdicts.filter("folded"), majority=params.majority, licenses=ranked)
        totals.add(verdicts, folded)
        rows.add(folded)
        votes.add(votes_of_rows(verdicts, folded))
        places.append(verdicts.join(folded, left_on="comparison_id", right_on="text_id", how="semi")[PLACE])
    put_texts_aside(project, pl.concat(places).sort(), texts)
    return _Aside(rows, votes, texts, totals)


def _parts_of_texts(project: Project) -> int:
    """Return into how many parts the pairs are divided so that the texts of one fit into memory, unpacked."""
    size = sum(shard.stat().st_size for shard in shards_of(project))
    return max(parts_of(project), parts_for(size * _UNPACKED))


def _strictest_last(verdicts: pl.DataFrame, params: Params) -> list[str]:
    """Rank the licences of some verdicts; an expression that names several is as strict as the strictest of them."""
    ranks = {name: rank for rank, name in enumerate(params.licenses_strictest_last)}
    named = {expression: licenses_in(expression) for expression in verdicts["license"].unique()}
    if unknown := sorted({name for names in named.values() for name in names if name not in ranks}):
        msg = f"params.yaml: publish.licenses_strictest_last does not rank {', '.join(unknown)}; give each its place"
        raise PairtrailError(msg)
    return sorted(named, key=lambda expression: (max(ranks[name] for name in named[expression]), expression))


def _told(account: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{side} {rows['pairs']:,} pairs and {rows['ties']:,} ties" for side, rows in account["rows"].items()
    )


def _write(aside: _Aside, numbers: pl.DataFrame, mark: str, built: Path, facts: Mapping[str, Any]) -> dict[str, str]:
    """Write all tables of all sides, part after part; return the digests of their contents by file."""
    contents = {name: ContentDigest() for name in PUBLISHED}
    with ExitStack() as stack, ThreadPoolExecutor(max_workers=2) as threads:
        tables = {
            name: stack.enter_context(writing(built / name, PUBLISHED[name], footer(facts), content.add))
            for name, content in contents.items()
        }
        for parts in zip(aside.rows.parts(), aside.votes.parts(), aside.texts.parts(), strict=False):
            # Each file has one thread at a time and its rows in order; compression and digests run side by side.
            for task in [threads.submit(tables[name].add, rows) for name, rows in _shaped(*parts, numbers, mark)]:
                task.result()
    told = {
        table: sum(tables[f"{side}/{table}.parquet"].rows for side in SIDES) for table in ("pairs", "ties", "votes")
    }
    must_add_up("published rows", aside.totals.height(), {name: told[name] for name in ("pairs", "ties")})
    must_add_up("published votes", aside.totals.verdicts, {"votes": told["votes"]})
    return {name: content.hexdigest() for name, content in contents.items()}


def _shaped(
    folded: pl.DataFrame, votes: pl.DataFrame, texts: pl.DataFrame, numbers: pl.DataFrame, mark: str
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the rows of one part, sorted, by the file in which they are published; those held out bear the `mark`."""
    told, cast = with_texts(folded, texts).sort(KEY), as_votes(votes, numbers)
    for side in SIDES:
        marks = {"canary": pl.lit(mark)} if side == "heldout" else {}
        yield f"{side}/pairs.parquet", as_pairs(told.filter(side=side, table="pairs")).with_columns(**marks)
        yield f"{side}/ties.parquet", as_ties(told.filter(side=side, table="ties")).with_columns(**marks)
        yield f"{side}/votes.parquet", cast.filter(side=side)


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
