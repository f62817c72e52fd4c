"""Parts: however the comparisons are divided, the same bytes come out; and what comes is what was kept."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core import receiving, spill
from pipeline.core.accounts import added, of_decisions
from pipeline.core.digests import digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.tables import batches_of
from pipeline.stages import publish
from tests.building import ROOT, SIDECAR, Built, build, lines, record

AFTER_INGEST = ("validate", "dedupe", "decontaminate", "split", "publish")
FIELDS = {**SIDECAR["fields"], "event_id": "event", "created_at": "at"}


def votes(first: int, last: int) -> str:
    """Votes of several people on pairs of a few prompts: ties, opposite verdicts, changed minds, doubled events."""
    return lines(
        *(
            record(
                prompt=f"Question {i % 23}?",
                a=f"Answer {'long ' * (i % 23)}",
                b="No answer.",
                preference=("a", "b", "tie")[i // 5 % 3],
                annotator=f"w{i % 7}",
                event=f"e{i - i % 2 if i % 31 < 2 else i}",
                at=f"2026-01-{1 + i % 28:02}",
            )
            for i in range(first, last)
        )
    )


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Three files; the second delivers a part of the first again."""
    project = build(tmp_path_factory.mktemp("parts") / "project")
    files = {"one.jsonl": votes(0, 200), "two.jsonl": votes(150, 300), "three.jsonl": votes(300, 400)}
    judge = {"annotator_kind": {"constant": "model"}}
    project.source("crowd", files, fields=FIELDS)
    project.source("judge", {"x.jsonl": votes(0, 60)}, fields={**FIELDS, **judge})
    return project.run("ingest")


def outputs(project: Built) -> dict[str, bytes]:
    folders = [project.stage(stage) for stage in AFTER_INGEST]
    found = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(project.root).as_posix(): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def whole(ingested: Built) -> dict[str, bytes]:
    return outputs(ingested.run(*AFTER_INGEST))


@pytest.mark.parametrize(("parts", "block"), [(16, 1), (16, 2**20), (256, 2**20)])
def test_the_number_of_parts_changes_no_byte(
    parts: int, block: int, ingested: Built, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (receiving, publish):
        monkeypatch.setattr(module, "parts_for", lambda _: parts)
    monkeypatch.setattr(spill, "_BLOCK_BYTES", block)
    monkeypatch.setattr(receiving, "_BATCH", 50)
    assert outputs(ingested.run(*AFTER_INGEST)) == whole
    assert not ingested.spill.exists() or not list(ingested.spill.iterdir())


def test_the_parts_above_hold_what_they_should(ingested: Built, whole: dict[str, bytes]) -> None:
    assert whole
    assert ingested.reasons("validate")["event_conflict"]
    assert ingested.reasons("dedupe").keys() == {"superseded", "repeated"}
    account = ingested.account("publish")
    assert all(account["rows"]["train"].values())
    assert account["dropped_by"]["human_judged"]
    assert ingested.account("ingest")["comparisons"]["copies"]


def test_every_shard_is_read_once_for_its_texts(
    ingested: Built, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joining every batch with all rows that wait for their texts took time that grew with the square of the rows."""
    read: list[Path] = []

    def counted(path: Path, columns: list[str]) -> Any:  # noqa: ANN401
        read.append(path)
        return batches_of(path, columns)

    monkeypatch.setattr("pipeline.core.receiving.batches_of", counted)
    monkeypatch.setattr(publish, "parts_for", lambda _: 16)
    assert outputs(ingested.run("publish")) == whole
    assert read == sorted(ingested.shards.glob("*.parquet"))


def test_a_comparison_that_was_kept_and_is_no_more_stops_the_build(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record(), record(prompt="Gone?"))}).run("ingest", "validate")
    project.source("s", {"x.jsonl": lines(record())}).run("ingest")
    with pytest.raises(PairtrailError, match=r"validate kept 2 comparisons, but 1 are found; run `pairtrail validate`"):
        project.run("dedupe")


def test_a_shard_that_is_gone_stops_the_build(project: Built) -> None:
    files = {"x.jsonl": lines(record()), "y.jsonl": lines(record(prompt="Gone?"))}
    project.source("s", files).run("ingest")
    next(project.shards.glob("*.parquet")).unlink()
    with pytest.raises(PairtrailError, match="ingest kept 2 comparisons, but 1 are found; run `pairtrail ingest`"):
        project.run("validate")


def test_nothing_to_decide_on_gives_empty_tables(project: Built) -> None:
    project.source("s", {"x.jsonl": "{\n"}).run()
    assert project.table("validate/decisions").is_empty()
    assert project.table("publish/train/pairs").is_empty()


@given(st.lists(st.tuples(st.sampled_from("st"), st.sampled_from([None, "x", "y"])), max_size=12), st.integers(0, 12))
def test_accounts_of_parts_add_up_to_the_account_of_all(rows: list[tuple[str, Any]], bound: int) -> None:
    ids = [digest_text(str(place)) for place in range(len(rows))]
    received = pl.DataFrame(
        {"comparison_id": ids, "source": [source for source, _ in rows]},
        schema={"comparison_id": pl.String, "source": pl.String},
    )
    reasons = pl.Series("drop_reason", [reason for _, reason in rows], pl.String)
    decisions = received.select("comparison_id", reasons)
    parts = [
        of_decisions(decisions.slice(low, height), received.slice(low, height))
        for low, height in ((0, bound), (bound, 99))
    ]
    assert json.dumps(added(parts)) == json.dumps(of_decisions(decisions, received))


def test_annotators_are_numbered_by_a_digest_over_all_comparisons(ingested: Built, whole: dict[str, bytes]) -> None:
    assert whole
    kept = ingested.table("split/decisions").filter(pl.col("drop_reason").is_null())["comparison_id"].to_list()
    build_id = digest_text(*sorted(kept))
    who = ingested.comparisons().unique("comparison_id").select("comparison_id", "annotator")
    people = who.filter(pl.col("comparison_id").is_in(kept))["annotator"].unique().to_list()
    numbers = {
        name: place for place, name in enumerate(sorted(people, key=lambda name: digest_text(build_id, name)), start=1)
    }
    found = pl.concat(ingested.table(f"publish/{side}/votes") for side in ("train", "validation", "heldout"))
    told = found.join(who, on="comparison_id").select("annotator", "annotator_number").unique()
    assert dict(told.iter_rows()) == numbers


def test_trace_loads_no_library_that_only_writers_need() -> None:
    heavy = {"pandera", "pandas", "pyarrow", "pydantic"}
    code = f"import sys, pipeline.lineage.trace; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
