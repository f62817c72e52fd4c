"""Published sides made of plain values, and exports of them."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.digests import digest_text
from pipeline.core.exporting.responses import RESPONSES
from pipeline.core.project import Project
from pipeline.core.publishing.content import file_digest
from pipeline.core.tables import write_table
from pipeline.exporters import exporter_for
from pipeline.lineage.export import Request, export
from schemas.columns import dtypes
from schemas.published import PAIRS, PUBLISHED, TIES

KEY = ["pair_id", "policy_version", "rubric_version"]
MARK = "0f2a5c1e-7b8d-5e3f-9a4b-6c7d8e9f0a1b"
Turn = tuple[str, str]


def said(*turns: Turn) -> list[dict[str, str]]:
    """A prompt, or any messages, from (role, content)."""
    return [{"role": role, "content": content} for role, content in turns]


def pair(*turns: Turn, chosen: str = "Yes.", rejected: str = "No.", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A published pair; its id is that of its texts, the id of its prompt that of the prompt."""
    prompt = said(*turns)
    prompt_id = digest_text(json.dumps(prompt))
    sound = {
        "pair_id": digest_text(prompt_id, *sorted([chosen, rejected])),
        "policy_version": "p-1",
        "rubric_version": "r-1",
        "root_id": digest_text(turns[0][1]),
        "prompt_id": prompt_id,
        "prompt": prompt,
        "chosen": chosen,
        "rejected": rejected,
        "strength": 0.5,
        "p_chosen": 1.0,
        "votes": {"chosen": 1, "rejected": 0, "tie": 0, "both_bad": 0},
        "fold": "human",
        "license": "CC0-1.0",
        "purposes": ["ai-alignment"],
        "sources": ["made_up"],
        "comparison_ids": ["c"],
    }
    return {**sound, **changes}


def pairs(*rows: dict[str, Any]) -> pl.DataFrame:
    """Published pairs, in the order that is given."""
    types = dtypes(PAIRS)
    return pl.DataFrame([{name: row.get(name) for name in types} for row in rows], schema=types)


def responses(*rows: dict[str, Any]) -> pl.DataFrame:
    """Labelled responses, in the order that is given."""
    return pl.DataFrame([{name: row.get(name) for name in RESPONSES} for row in rows], schema=RESPONSES)


def publish(root: Path, *rows: dict[str, Any], side: str = "train") -> Project:
    """Write pairs as the publish stage would have, with no ties, and a manifest that says so."""
    project = Project(root)
    folder = project.stage("publish") / side
    marks = {"canary": pl.lit(MARK)} if side == "heldout" else {}
    for table, found in {"pairs": pairs(*rows), "ties": pl.DataFrame(schema=dtypes(TIES))}.items():
        name = f"{side}/{table}.parquet"
        write_table(found.with_columns(**marks), project.stage("publish") / name, PUBLISHED[name], by=KEY)
    files = {f"{side}/{path.name}": {"sha256": file_digest(path)} for path in folder.glob("*.parquet")}
    (project.stage("publish") / "manifest.json").write_text(json.dumps({"files": files}), encoding="utf-8")
    return project


def exported(root: Path, format_: str, *rows: dict[str, Any], **asked: Any) -> dict[str, Any]:  # noqa: ANN401
    """Publish pairs as `train`, export them to root/out, and return the receipt."""
    project = publish(root / "project", *rows)
    return export(project, Request(format=format_, split="train", out=root / "out", **asked))


def unfit(format_: str, task: str, published: pl.DataFrame) -> list[str | None]:
    """The reason of each row under which a task leaves it out, in order; None for one that it writes."""
    reasons = exporter_for(format_).TASKS[task].unfit
    none: list[pl.Expr] = [pl.when(holds).then(pl.lit(reason)) for reason, holds in reasons.items()]
    found: list[str | None] = published.select(reason=pl.coalesce(*none, pl.lit(None, pl.String)))["reason"].to_list()
    return found
