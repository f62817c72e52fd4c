"""Logs that would change what others say, fill the memory, or outlive their run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from pipeline.core import filing
from pipeline.core.errors import PairtrailError
from pipeline.core.mapping import grouping, verdicts
from pipeline.core.mapping.fieldmap import Joined
from pipeline.core.mapping.verdicts import Seen, Verdict, bounded
from tests.building import ROOT, SIDECAR, Built, build, lines, record


def test_a_record_with_a_dotted_key_changes_no_other(project: Built) -> None:
    fields = {**SIDECAR["fields"], "annotator": "meta.who"}
    sound = [record(prompt=f"Q{n}?", meta={"who": f"w{n}"}) for n in range(3)]
    project.source("s", {"x.jsonl": lines(*sound, {**record(), "meta.who": "z"})}, fields=fields).run("ingest")
    assert project.comparisons()["annotator"].null_count() == 0
    assert project.comparisons()["annotator"].n_unique() == 4
    assert Joined([{"a": {"b": 1}}, {"a.b": 2}, {"a": 3}]).at("a.b") == [1, 2, None]


def test_a_person_and_a_model_of_one_name_are_two(project: Built) -> None:
    fields = {**SIDECAR["fields"], "annotator_kind": "kind", "created_at": "at"}
    person = record(annotator="1", kind="human", at="2026-01-01", preference="a")
    model = record(annotator="1", kind="model", at="2026-01-02", preference="b")
    project.source("s", {"x.jsonl": lines(person, model)}, fields=fields).set_params(publish={"humans_decide": False})
    project.run()
    assert project.reasons("dedupe") == {}
    tables = [project.table(f"publish/{side}/ties") for side in ("train", "validation", "heldout")]
    ties = pl.concat(tables, how="diagonal")
    assert ties["votes"].to_list() == [{"a": 1, "b": 1, "tie": 0, "both_bad": 0}]


def test_verdicts_are_cut_by_the_bytes_of_their_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "TEXT_BYTES", 100)
    seen = [Seen(row, "d", {"prompt": "x" * 40}) for row in range(3)]
    placed = [(one, Verdict({"response_a": "y" * 10, "prompt": [{"content": "z" * 10}]})) for one in seen for _ in "ab"]
    parts = list(bounded(placed))
    assert [len(part) for part in parts] == [2, 2, 2]
    assert [one for part in parts for one in part] == placed


def messages(project: Built) -> Built:
    """One record of nine pairs, each of which repeats a prompt."""
    many = {"prompt": "x" * 999, "chosen": ["a", "b", "c"], "rejected": ["d", "e", "f"]}
    fields = {"annotator": {"constant": None}, "annotator_kind": {"constant": "human"}}
    content = lines(many, {**many, "prompt": "y"}, {"prompt": "z", "chosen": "a", "rejected": "b"})
    return project.source("s", {"x.jsonl": content}, adapter="messages", fields=fields)


def test_many_long_pairs_of_one_record_are_written_in_parts(new_project: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    held = messages(new_project("held")).run("ingest")
    monkeypatch.setattr(verdicts, "TEXT_BYTES", 2_000)
    monkeypatch.setattr(grouping, "TEXT_BYTES", 2_000)
    monkeypatch.setattr(filing, "_HELD_BYTES", 3_000)
    cut = messages(new_project("cut")).run("ingest")
    assert held.comparisons().height == 19
    for name in ("records", "occurrences", "quarantine"):
        assert held.table(f"ingest/{name}").equals(cut.table(f"ingest/{name}"))
    assert held.comparisons().equals(cut.comparisons())
    assert not cut.spill.joinpath("ingest").exists()


def test_a_file_that_cannot_be_read_is_named(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())})
    (project.raw / "s" / "x.jsonl").unlink()
    (project.raw / "s" / "x.jsonl").symlink_to("/proc/self/mem")
    with pytest.raises(PairtrailError, match=r"x\.jsonl: cannot be read"):
        project.run("ingest")


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    project = build(tmp_path / "project")
    big = [lines(*(record(prompt=f"{n} {m} " + "x" * 4_000) for m in range(3_000))) for n in range(8)]
    project.source("s", {f"{n}.jsonl": text for n, text in enumerate(big)})
    code = "import sys; from pipeline.cli import main; sys.argv = ['pairtrail', 'ingest']; main()"
    settings = {**os.environ, "PAIRTRAIL_WORKERS": "2", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], cwd=project.root, env=settings) as running:
        parent = psutil.Process(running.pid)
        deadline = time.monotonic() + 60
        workers: list[psutil.Process] = []
        while not list(project.root.glob("data/.ingest.part/comparisons/*.parquet")) and time.monotonic() < deadline:
            workers = parent.children(recursive=True) or workers
            time.sleep(0.05)
        workers = parent.children(recursive=True) or workers
        running.send_signal(signal.SIGKILL)
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


def test_what_json_does_not_know_is_unfit_on_disk_as_in_memory() -> None:
    said = json.loads(json.dumps({"score": b"bytes"}, default=grouping._unfit))  # noqa: SLF001
    assert type(said["score"]) is dict
