"""Decontaminate: which prompts hold a text of a benchmark, so that split can keep them out of train and validation."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.core.accounts import must_add_up
from pipeline.core.benchmarks.items import Item, read_items
from pipeline.core.benchmarks.sidecars import Benchmark, load_benchmarks
from pipeline.core.closure import code_digest
from pipeline.core.decontaminating.prompts import first_places, prompts_at
from pipeline.core.decontaminating.rules import Against, against, contamination
from pipeline.core.errors import PairtrailError
from pipeline.core.params import STRICT, section
from pipeline.core.project import Project
from pipeline.core.receiving import await_stage
from pipeline.core.spill import spilling
from pipeline.core.tables import whole_folder, write_json, write_table
from schemas.columns import dtypes
from schemas.contamination import CONTAMINATION, RULES

_NOTHING = pl.DataFrame(schema=dtypes(CONTAMINATION))


@dataclass(frozen=True, slots=True)
class Params:
    """The section `decontaminate` of params.yaml."""

    __pydantic_config__ = STRICT
    near: float
    coverage: float
    fewest_words: int

    def __post_init__(self) -> None:
        """Refuse limits that every prompt or none would meet."""
        if not (0 < self.near <= 1 and 0 < self.coverage <= 1):
            msg = f"params.yaml: decontaminate: near {self.near}, coverage {self.coverage}: above 0, at most 1"
            raise PairtrailError(msg)
        if self.fewest_words < 1:
            msg = f"params.yaml: decontaminate: fewest_words is {self.fewest_words}; a whole number from 1 is needed"
            raise PairtrailError(msg)


def run(project: Project) -> str:
    """Compare every prompt that was ingested with every text of every benchmark; return the summary line."""
    params = section(Params, "decontaminate", project.params)
    await_stage(project, "ingest")
    benchmarks = {one: read_items(one) for one in load_benchmarks(project)}
    with spilling(project.spill / "decontaminate") as folder, whole_folder(project.stage("decontaminate")) as built:
        places = first_places(project, folder)
        known = _against(benchmarks, params) if benchmarks else None
        rows, clear = _searched(project, places, known, params.coverage) if known else (_NOTHING, places.len())
        write_table(rows, built / "contamination.parquet", CONTAMINATION, ["contamination_id"])
        matched = rows["match_key"].n_unique()
        must_add_up("prompts", places.len(), {"matched": matched, "clear": clear})
        told = {one.name: _told(one, items, known, rows) for one, items in benchmarks.items()}
        account = {"in": places.len(), "matched": matched, "clear": clear, "benchmarks": told}
        write_json(account | {"code_digest": code_digest([__name__])}, built / "counts.json")
    return _summary(account)


def _against(benchmarks: dict[Benchmark, list[Item]], params: Params) -> Against:
    named = {one.name: items for one, items in benchmarks.items()}
    return against(named, near=params.near, fewest_words=params.fewest_words)


def _searched(project: Project, places: pl.Series, known: Against, coverage: float) -> tuple[pl.DataFrame, int]:
    """Return what is found in the prompts at some places, and how many of them nothing is found in."""
    found, clear = [_NOTHING], 0
    for prompts in prompts_at(project, places):
        found.append(contamination(prompts, known, coverage))
        clear += prompts.height - found[-1]["match_key"].n_unique()
    return pl.concat(found), clear


def _told(benchmark: Benchmark, items: list[Item], known: Against | None, rows: pl.DataFrame) -> dict[str, Any]:
    """Say what a benchmark is, and how many prompts hold a text of it, by rule; a prompt counts once for a rule."""
    texts = known.texts.filter(benchmark=benchmark.name) if known else pl.DataFrame()
    found = rows.filter(benchmark=benchmark.name)
    by_rule = {rule: found.filter(rule=rule)["match_key"].n_unique() for rule in RULES}
    return {
        "license": benchmark.sidecar.license,
        "attribution": benchmark.sidecar.attribution,
        "synthetic": benchmark.sidecar.synthetic,
        "files_sha256": benchmark.sha256(),
        "items": len(items),
        "texts": texts.height,
        "short_texts": int(texts["short"].sum()),
        "unread": benchmark.sidecar.unread,
        "prompts": {"any": found["match_key"].n_unique(), **by_rule},
    }


def _summary(account: dict[str, Any]) -> str:
    benchmarks = account["benchmarks"]
    if not benchmarks:
        return f"decontaminate: no benchmark in data/benchmarks, so none of {account['in']:,} prompts was compared"
    told = ", ".join(f"{name} {of['prompts']['any']:,}" for name, of in benchmarks.items())
    return f"decontaminate: {account['matched']:,} of {account['in']:,} prompts hold a text of a benchmark ({told})"
