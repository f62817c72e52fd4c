"""Small projects built from plain values, and the pipeline run on them."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
from ruamel.yaml import YAML

from pipeline.core.epochs import stated_epoch
from pipeline.core.keys import PUBLIC_KEY, fingerprint
from pipeline.core.project import Project
from pipeline.core.released import FACTS
from pipeline.core.running import run_stage
from pipeline.core.sides import division
from pipeline.core.tables import write_table
from pipeline.stages import STAGES, stage_module
from schemas.columns import dtypes
from schemas.released import RELEASED

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data"

PARAMS: dict[str, Any] = {
    "ingest": {"key_fingerprint": fingerprint(PUBLIC_KEY), "record_bytes": 100_000, "record_depth": 64},
    "validate": {
        "policies": ["p-1"],
        "rubrics": ["r-1", "r-2"],
        "licenses": ["CC0-1.0", "CC-BY-4.0"],
        "as_of": "2026-01-01",
        "jurisdictions": "any",
        "special_category": False,
    },
    "dedupe": {},
    "near": {"threshold": 0.7, "bands": 64, "rows": 4},
    "decontaminate": {"near": 0.7, "coverage": 0.8, "fewest_words": 6},
    "split": {
        "salt": "salt",
        "epoch": 1,
        "heldout": 0.2,
        "validation": 0.2,
        "train_purpose": "ai-alignment",
        "heldout_purpose": "ai-evaluation",
    },
    "publish": {
        "humans_decide": True,
        "majority": "all",
        "licenses_strictest_last": ["CC0-1.0", "CC-BY-4.0"],
        "largest_root_share": 0.5,
        "gate": {"most_quarantined": 1.0, "most_dropped": 1.0, "most_withheld": 1.0, "fewest_train_pairs": 0},
    },
    "release": {"name": "preferences", "approvals": 0},
}

SIDECAR: dict[str, Any] = {
    "synthetic": True,
    "adapter": "records",
    "license": "CC0-1.0",
    "attribution": "the tests",
    "collected_by": "the tests",
    "approved_by": "the tests",
    "approved_on": "2025-12-01",
    "policy_version": "p-1",
    "rubric_version": "r-1",
    "consent": {
        "basis": "eu-gdpr:A6-1-a",
        "purposes": ["ai-alignment", "ai-evaluation"],
        "roles": [],
        "statement": "made up",
        "record": "whole",
    },
    "format": "json",
    "files": ["*.jsonl"],
    "fields": {
        "prompt": "prompt",
        "response_a": "a",
        "response_b": "b",
        "preference": "preference",
        "annotator": "annotator",
        "annotator_kind": {"constant": "human"},
    },
}


def event(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A sound event of the consent ledger, about the source `s`, whose sidecar names its record as above."""
    sound = {
        "consent_id": "whole",
        "subject": "source:s",
        "status_time": "2025-01-01T00:00:00Z",
        "status": "ConsentGiven",
        "purposes": ["ai-alignment", "ai-evaluation"],
        "legal_basis": ["eu-gdpr:A6-1-a"],
    }
    return {**sound, **changes}


def record(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A sound record of the sidecar above."""
    sound = {"prompt": "Why is the sky blue?", "a": "Scattering.", "b": "Magic.", "preference": "a", "annotator": "ann"}
    return {**sound, **changes}


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)


NEAR = ["kind", "a", "b", "root_a", "root_b"]


class Built(Project):
    """A project in a temporary folder, with shortcuts for tests."""

    def source(self, name: str, contents: Mapping[str, str | bytes], /, **changes: Any) -> "Built":  # noqa: ANN401
        folder = self.raw / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        with (folder / "source.yaml").open("w", encoding="utf-8") as stream:
            YAML(typ="safe").dump({**SIDECAR, **changes}, stream)
        return self.consents(f"{name}.jsonl", event(subject=f"source:{name}"))

    def consents(self, file: str, *events: dict[str, Any]) -> "Built":
        """Write a file of the consent ledger; `source` writes one of the source's name."""
        folder = self.ledger / "consent"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(lines(*events), encoding="utf-8")
        return self

    def everybody_agrees(self) -> "Built":
        """Write a consent into the ledger for each whole reference of the ingested rows."""
        refs = self.comparisons().select(pl.col("consent_refs").explode()).unnest("consent_refs").drop_nulls()
        named = refs.select("subject", "consent_id").unique().sort("subject", "consent_id").to_dicts()
        return self.consents("everybody.jsonl", *(event(**one) for one in named))

    def set_params(self, **sections: dict[str, Any]) -> "Built":
        params = {name: {**content, **sections.get(name, {})} for name, content in PARAMS.items()}
        with self.params.open("w", encoding="utf-8") as stream:
            YAML(typ="safe").dump(params, stream)
        return self

    def run(self, *stages: str) -> "Built":
        for name in stages or STAGES:
            if name == "split":
                self.ready_to_split()
            module = stage_module(name)
            module.run(self) if hasattr(module, "run") else run_stage(module, self)
        return self

    def recorded(self) -> "Built":
        """Record the epoch of params.yaml where none is."""
        if not self.epochs.exists():
            self.epochs.parent.mkdir(parents=True, exist_ok=True)
            self.epochs.write_text(lines(asdict(stated_epoch(division(self), "the tests"))), encoding="utf-8")
        return self

    def ready_to_split(self) -> "Built":
        """Record the epoch of params.yaml where none is, and run the stages that split reads."""
        self.recorded()
        if not self.shards.exists():
            return self
        # What the stage found is found anew, as the comparisons may be others; what a test wrote has no account.
        if not (self.stage("near") / "near.parquet").exists() or self.counts("near").exists():
            self.run("near")
        return self.run("decontaminate")

    def near(self, *pairs: tuple[str, str, str, str, str]) -> "Built":
        """Write near neighbours: kind, the two keys, and the roots of the two."""
        ordered = [
            (kind, b, a, root_b, root_a) if a > b else (kind, a, b, root_a, root_b)
            for kind, a, b, root_a, root_b in pairs
        ]
        found = pl.DataFrame(ordered, schema=dict.fromkeys(NEAR, pl.String), orient="row")
        self.stage("near").mkdir(parents=True, exist_ok=True)
        self.counts("near").unlink(missing_ok=True)
        found.with_columns(similarity=pl.lit(0.9)).write_parquet(self.stage("near") / "near.parquet")
        return self

    def pinned(self, *pins: dict[str, str], file: str = "pins.jsonl") -> "Built":
        """Write a file of the ledger of pins; each says who and why."""
        self.pins.mkdir(parents=True, exist_ok=True)
        told = [{"reason": "the tests", "by": "the tests", **pin} for pin in pins]
        (self.pins / file).write_text(lines(*told), encoding="utf-8")
        return self

    def gave_away(self, name: str, *prompts: tuple[str, str, str]) -> "Built":
        """Write the prompts of a release: match key, root, side."""
        frame = pl.DataFrame(prompts, schema=dtypes(RELEASED), orient="row")
        write_table(frame, self.released / f"{name}.parquet", RELEASED, ["match_key"], FACTS)
        return self

    def comparisons(self) -> pl.DataFrame:
        return pl.concat(pl.read_parquet(path, glob=False) for path in sorted(self.shards.glob("*.parquet")))

    def table(self, place: str) -> pl.DataFrame:
        return pl.read_parquet(self.root / "data" / f"{place}.parquet", glob=False)

    def reasons(self, stage: str) -> dict[str, int]:
        """Count what a stage dropped (or ingest quarantined), by reason."""
        frame = self.table("ingest/quarantine").rename({"reason": "drop_reason"}) if stage == "ingest" else None
        frame = self.table(f"{stage}/decisions") if frame is None else frame
        counted = frame.filter(pl.col("drop_reason").is_not_null())["drop_reason"].value_counts()
        return dict(counted.iter_rows())

    def account(self, stage: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.counts(stage).read_text(encoding="utf-8"))
        return content


def build(root: Path) -> Built:
    """Make an empty project with params, a policy and two rubrics."""
    built = Built(root)
    root.mkdir(parents=True, exist_ok=True)
    built.set_params()
    for kind, version in (
        ("policy", "p-1"),
        ("policy", "p-0"),
        ("rubric", "r-0"),
        ("rubric", "r-1"),
        ("rubric", "r-2"),
    ):
        put_version(root, kind, version)
    return built


def put_version(root: Path, kind: str, version: str) -> None:
    """Write a policy or a rubric into a project."""
    folder = root / "data" / kind
    folder.mkdir(parents=True, exist_ok=True)
    stated = f"version: {version}\ntitle: {kind} {version}\neffective: 2026-01-01\n"
    approved = "approved_by: the tests\napproved_on: 2025-12-01\n"
    (folder / f"{version}.md").write_text(f"---\n{stated}{approved}---\nBe helpful.\n", encoding="utf-8")
