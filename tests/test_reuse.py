"""An unchanged raw file is not read again, and nobody can tell from the bytes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import PairtrailError
from pipeline.core.keys import PUBLIC_KEY, fingerprint
from pipeline.core.raw.rawfiles import read_batches
from pipeline.stages import ingest
from tests.building import ROOT, Built, lines, record
from tests.test_rebuild import digests

JOINED = {
    "files": ["v*.jsonl"],
    "join": {"texts": {"glob": "texts.json", "key": "id", "on": "text"}},
    "fields": {
        "prompt": "texts:prompt",
        "response_a": "texts:a",
        "response_b": "texts:b",
        "preference": "preference",
        "annotator": "annotator",
        "annotator_kind": {"constant": "human"},
    },
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the raw files that are read."""
    names: list[str] = []

    def noted(path: Path, *rest: Any) -> Any:  # noqa: ANN401
        names.append(path.name)
        return read_batches(path, *rest)

    monkeypatch.setattr(ingest, "read_batches", noted)
    return names


@pytest.fixture
def sample(new_project: Callable[[str], Built]) -> Callable[[str], Built]:
    """A maker of projects over the bundled sample: every awkward kind of file, joins, copies across files."""

    def make(name: str) -> Built:
        built = new_project(name)
        shutil.copytree(ROOT / "data" / "raw", built.raw)
        params = {"key_fingerprint": fingerprint(PUBLIC_KEY), "record_bytes": 2**24}
        return built.set_params(ingest=params)

    return make


def written(built: Built) -> dict[str, str]:
    return digests(built.stage("ingest"))


def two_files(project: Built) -> Built:
    return project.source("s", {"x.jsonl": lines(record()), "y.jsonl": lines(record(annotator="bob"))})


def test_a_second_run_reads_nothing_and_writes_the_same(project: Built, read: list[str]) -> None:
    before = written(two_files(project).run("ingest"))
    assert sorted(read) == ["x.jsonl", "y.jsonl"]
    read.clear()
    assert written(project.run("ingest")) == before
    assert read == []


def test_only_what_changed_is_read(project: Built, read: list[str]) -> None:
    two_files(project).run("ingest")
    read.clear()
    (project.raw / "s" / "y.jsonl").write_text(lines(record(annotator="eve")), encoding="utf-8")
    (project.raw / "s" / "z.jsonl").write_text(lines(record(annotator="zoe")), encoding="utf-8")
    project.run("ingest")
    assert sorted(read) == ["y.jsonl", "z.jsonl"]
    assert project.comparisons().height == 3


def test_a_file_that_is_gone_leaves_nothing_behind(project: Built) -> None:
    two_files(project).run("ingest")
    (project.raw / "s" / "y.jsonl").unlink()
    project.run("ingest")
    assert len(list(project.shards.iterdir())) == 1
    assert project.account("ingest")["records"]["in"] == 1


def test_a_file_under_another_name_is_read_again(project: Built, read: list[str]) -> None:
    two_files(project).run("ingest")
    read.clear()
    (project.raw / "s" / "y.jsonl").rename(project.raw / "s" / "w.jsonl")
    project.run("ingest")
    assert read == ["w.jsonl"]


def change_sidecar(project: Built) -> None:
    path = project.raw / "s" / "source.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("rubric_version: r-1", "rubric_version: r-2"))


def change_params(project: Built) -> None:
    project.set_params(ingest={"record_bytes": 99_999})


def damage_shard(project: Built) -> None:
    for shard in project.shards.iterdir():
        shard.write_bytes(shard.read_bytes()[:-1] + b"x")


def lose_shards(project: Built) -> None:
    shutil.rmtree(project.shards)
    project.shards.mkdir()


def damage_table(project: Built) -> None:
    path = project.stage("ingest") / "records.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def lose_note(project: Built) -> None:
    (project.stage("ingest") / "files.json").unlink()


def spoil_note(project: Built) -> None:
    (project.stage("ingest") / "files.json").write_text("[]")


@pytest.mark.parametrize(
    "change",
    [change_sidecar, change_params, damage_shard, lose_shards, damage_table, lose_note, spoil_note],
)
def test_whatever_a_shard_hangs_on_makes_it_new(
    project: Built, new_project: Callable[[str], Built], read: list[str], change: Callable[[Built], None]
) -> None:
    two_files(project).run("ingest")
    change(project)
    read.clear()
    project.run("ingest")
    assert sorted(read) == ["x.jsonl", "y.jsonl"]
    clean = two_files(new_project("clean"))
    if change in {change_sidecar, change_params}:
        change(clean)
    assert written(project) == written(clean.run("ingest"))


def inputs_in(project: Built) -> set[str]:
    note = json.loads((project.stage("ingest") / "files.json").read_text(encoding="utf-8"))
    return {file["inputs"] for file in note["files"].values()}


@pytest.mark.parametrize("place", ["pipeline.stages.ingest.code_digest", "pipeline.core.reuse.version"])
def test_code_and_library_versions_are_part_of_it(project: Built, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    before = inputs_in(two_files(project).run("ingest"))
    monkeypatch.setattr(place, lambda _: "another")
    assert inputs_in(project.run("ingest")).isdisjoint(before)


def test_a_side_file_is_an_input_of_every_file_of_its_source(project: Built, read: list[str]) -> None:
    texts = {"id": "t", "prompt": "Why?", "a": "So.", "b": "No."}
    votes = {"v1.jsonl": lines({"text": "t", "preference": "a", "annotator": "ann"}), "texts.json": lines(texts)}
    project.source("s", votes, **JOINED).source("t", {"x.jsonl": lines(record())}).run("ingest")
    read.clear()
    (project.raw / "s" / "texts.json").write_text(lines({**texts, "b": "Perhaps."}), encoding="utf-8")
    project.run("ingest")
    assert sorted(set(read)) == ["texts.json", "v1.jsonl"]
    assert "Perhaps." in project.comparisons()["response_b"].to_list()


def test_the_sample_built_step_by_step_is_the_sample_built_at_once(sample: Callable[[str], Built]) -> None:
    """Copies move between files, joins stay joined, partly quarantined records stay so."""
    slow, clean = sample("slow"), sample("clean")
    late = sorted(path.relative_to(slow.raw) for path in slow.raw.rglob("*late*"))
    assert late
    for path in late:
        (slow.raw / path).rename(slow.root / path.name)
    slow.run("ingest")
    first = written(slow)
    for path in late:
        (slow.root / path.name).rename(slow.raw / path)
    slow.run("ingest")
    assert first != written(slow) == written(clean.run("ingest"))


@pytest.mark.slow
def test_processes_side_by_side_write_the_same(sample: Callable[[str], Built], monkeypatch: pytest.MonkeyPatch) -> None:
    alone = written(sample("alone").run("ingest"))
    monkeypatch.setattr(ingest, "_WORTH_PROCESSES", 0)
    monkeypatch.setenv(ingest.WORKERS, "3")
    assert written(sample("beside").run("ingest")) == alone


def test_the_number_of_workers_can_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ingest.WORKERS, raising=False)
    assert 1 <= ingest.worker_count() <= 8
    monkeypatch.setenv(ingest.WORKERS, "3")
    assert ingest.worker_count() == 3
    for wrong in ("0", "many", "-1", "1.5"):
        monkeypatch.setenv(ingest.WORKERS, wrong)
        with pytest.raises(PairtrailError, match="whole number from 1"):
            ingest.worker_count()


def test_a_shard_that_is_taken_over_is_not_read_only_in_name(project: Built) -> None:
    """The old folder goes away after the swap; the bytes must not."""
    two_files(project).run("ingest").run("ingest").run("ingest")
    assert project.comparisons().height == 2
