"""Same inputs, same bytes: twice, in another folder, with any number of threads, from shuffled and re-cut files."""

import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.building import ROOT, SIDECAR, Built, lines, record

FIELDS = {**SIDECAR["fields"], "category": "topic", "strength": "how", "created_at": "at", "presented_order": "order"}


def records(seed: int, count: int = 400) -> list[dict[str, Any]]:
    """Verdicts that collide: few prompts, few annotators, deliveries that differ in a label only."""
    rng = random.Random(seed)  # noqa: S311
    made = [
        record(
            prompt=f"Question {rng.randint(0, 40)}?",
            a=f"Answer {rng.randint(0, 3)}.",
            b=f"Reply {rng.randint(0, 2)}.",
            preference=rng.choice(["a", "b", "tie", "both_bad"]),
            annotator=rng.choice(["ann", "bob", "cid", None]),
            topic=rng.choice(["x", "y", None]),
            how=rng.choice([0.1, 0.2, 0.7, None]),
            at=rng.choice(["2026-01-01", "2026-01-02", None]),
            order=rng.choice(["ab", "ba", None]),
        )
        for _ in range(count)
    ]
    made += [{**one, "topic": "z"} for one in rng.sample(made, 40)]
    return [*made, record(a=""), record(prompt=7)]


def digests(folder: Path, *but: str) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {name: digest for name, digest in named.items() if not name.startswith(but or ("-",))}


def outputs(built: Built) -> dict[str, str]:
    """Digest everything that the stages wrote, shards and occurrences included."""
    inputs = ("raw/", "policy/", "rubric/")
    return digests(built.root / "data", *inputs)


@pytest.fixture
def written(new_project: Callable[[str], Built]) -> Built:
    made = records(1)
    return new_project("one").source("s", {"x.jsonl": lines(*made[:250]), "y.jsonl": lines(*made[250:])}, fields=FIELDS)


def test_twice_and_in_another_folder(written: Built, new_project: Callable[[str], Built]) -> None:
    first = outputs(written.run())
    assert len(first) > 25
    assert outputs(written.run()) == first
    elsewhere = new_project("another folder/with a longer name")
    files = {path.name: path.read_bytes() for path in sorted((written.raw / "s").glob("*.jsonl"))}
    assert outputs(elsewhere.source("s", files, fields=FIELDS).run()) == first


RUN = "import sys; from pathlib import Path; from tests.building import Built; Built(Path(sys.argv[1])).run()"


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2", "8"])
def test_any_number_of_threads(written: Built, threads: str) -> None:
    first = outputs(written.run())
    seed = {"1": "0", "2": "17", "8": "random"}[threads]
    env = {**os.environ, "POLARS_MAX_THREADS": threads, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", RUN, str(written.root)], check=True, cwd=ROOT, env=env)
    assert outputs(written) == first


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shuffled_and_recut_files_publish_the_same_bytes(new_project: Callable[[str], Built], seed: int) -> None:
    made = records(seed)
    straight = new_project("straight").source("s", {"x.jsonl": lines(*made)}, fields=FIELDS).run()
    random.Random(seed).shuffle(made)  # noqa: S311
    cut: dict[str, str | bytes] = {
        "a.jsonl": lines(*made[:100]),
        "b.jsonl": gzip.compress(lines(*made[100:120]).encode()),
        "c.jsonl": json.dumps(made[120:]),
    }
    recut = new_project("recut").source("s", cut, fields=FIELDS).run()
    placed = ("raw/", "policy/", "rubric/", "ingest/")
    assert digests(recut.root / "data", *placed) == digests(straight.root / "data", *placed)
    read = [
        pl.concat([pl.read_parquet(path) for path in sorted(built.shards.glob("*.parquet"))])
        .unique("comparison_id")
        .select("comparison_id", "pair_id", "prompt", "preference")
        .sort("comparison_id")
        for built in (straight, recut)
    ]
    assert read[0].equals(read[1])


@pytest.mark.slow
def test_a_killed_stage_leaves_what_was_there(written: Built) -> None:
    """Killed without warning while it writes, ingest leaves the old outputs whole; the next run mends the rest."""
    first = outputs(written.run())
    path = written.raw / "s" / "x.jsonl"
    small = path.read_bytes()
    path.write_bytes(small + lines(*(record(prompt=f"More {i}?" * 50) for i in range(30_000))).encode())
    part = written.stage("ingest").parent / ".ingest.part"
    with subprocess.Popen([sys.executable, "-c", RUN, str(written.root)], cwd=ROOT) as process:
        while not part.exists() and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert outputs(written).items() >= first.items()
    path.write_bytes(small)
    assert outputs(written.run()) == first
    assert not part.exists()


def test_a_changed_word_changes_the_bytes(written: Built) -> None:
    first = outputs(written.run())
    path = written.raw / "s" / "x.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Question 1?", b"Question one?", 1))
    assert outputs(written.run()) != first
