"""Who may pull what: consumers get train, validation, manifest, card and Croissant; nothing else is on their remote."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from shlex import split
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.stages import STAGES
from tests.building import build, lines, record
from tests.pages import DOCS, blocks
from tests.places import Place, objects, owned, removable

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("git"), reason="needs git")]

ALLOWED = {
    *(
        f"data/publish/{side}/{table}.parquet"
        for side in ("train", "validation")
        for table in ("pairs", "ties", "votes")
    ),
    "data/publish/manifest.json",
    "data/publish/README.md",
    "data/publish/croissant.json",
}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("remotes")


@pytest.fixture(scope="module")
def owner(workshop: Path) -> Iterator[Place]:
    """A project built and pushed by its owner, to the two remotes that the repository names."""
    project = build(workshop / "owner" / "clone").recorded()
    rows = [record(prompt=f"Question {i}?", preference=("a", "b", "tie")[i % 3]) for i in range(60)]
    project.source("s", {"x.jsonl": lines(*rows)})
    place = owned(project, workshop)
    place.run("pairtrail", "sync")
    place.run("git", "add", ".")
    place.run("git", "commit", "-qm", "sources")
    place.dvc("repro")
    place.run("git", "add", ".")
    place.run("git", "commit", "-qm", "built")
    place.dvc("push")
    with removable(workshop):
        yield place


@pytest.fixture(scope="module")
def outputs(owner: Place) -> dict[str, str]:
    """The digest of each output, by DVC's own lock."""
    lock: Any = YAML(typ="safe").load((owner.root / "dvc.lock").read_text(encoding="utf-8"))
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}


@pytest.fixture
def consumer(owner: Place, workshop: Path, tmp_path: Path) -> Place:
    """A clone whose owner may read the consumers' remote and has nothing else, the shared cache included."""
    place = Place(tmp_path / "clone", tmp_path / "home")
    owner.run("git", "clone", "-q", str(owner.root), str(place.root))
    place.dvc("remote", "remove", "restricted")
    place.dvc("remote", "modify", "consumers", "url", str(workshop / "consumers"))
    return place


def test_dvc_lock_is_true_and_the_rebuild_is_a_no_op(owner: Place) -> None:
    assert owner.dvc("status").strip() == "Data and pipelines are up to date."
    assert owner.run("git", "status", "--porcelain") == ""
    assert "didn't change" in owner.dvc("repro")


def test_the_consumers_remote_holds_what_consumers_may_read_and_nothing_else(
    outputs: dict[str, str], workshop: Path
) -> None:
    assert set(outputs) >= ALLOWED
    assert objects(workshop / "consumers") == {outputs[name] for name in ALLOWED}


def test_the_restricted_remote_holds_the_rest_and_no_copy_of_what_consumers_read(
    outputs: dict[str, str], workshop: Path
) -> None:
    held = objects(workshop / "restricted")
    own = {digest for name, digest in outputs.items() if name not in ALLOWED}
    shared = {outputs[name] for name in ALLOWED}
    assert own <= held
    assert not held & (shared - own)
    for name in ("data/publish/heldout/pairs.parquet", "data/ingest/comparisons", "data/publish/docs"):
        assert outputs[name] in held
        assert outputs[name] not in objects(workshop / "consumers")
    counts = [name for name in outputs if name.endswith("counts.json")]
    assert len(counts) == len(STAGES)
    assert not {outputs[name] for name in counts} & objects(workshop / "consumers")


def test_a_consumer_pulls_train_and_validation(consumer: Place, owner: Place) -> None:
    consumer.dvc("pull", *sorted(ALLOWED))
    assert consumer.pulled() == ALLOWED
    for name in ALLOWED:
        assert (consumer.root / name).read_bytes() == (owner.root / name).read_bytes()
    manifest = json.loads((consumer.root / "data/publish/manifest.json").read_text(encoding="utf-8"))
    assert manifest["files"]["train/pairs.parquet"]["rows"] > 0


def test_a_consumer_cannot_pull_the_rest(consumer: Place) -> None:
    for remote in ([], ["--remote", "consumers"]):
        done = consumer.tried(sys.executable, "-m", "dvc", "pull", *remote, "data/publish/heldout/pairs.parquet")
        assert done.returncode != 0
    others = (
        "data/publish/heldout/votes.parquet",
        "data/ingest/comparisons",
        "data/split/counts.json",
        "data/publish/docs",
    )
    assert consumer.tried(sys.executable, "-m", "dvc", "pull", *others).returncode != 0
    assert consumer.pulled() == set()


def test_a_consumer_who_pulls_everything_gets_what_is_theirs(consumer: Place) -> None:
    done = consumer.tried(sys.executable, "-m", "dvc", "pull", "--remote", "consumers", "--allow-missing")
    assert consumer.pulled() == ALLOWED, done.stderr


def test_a_trainer_gets_a_file_without_a_clone(consumer: Place, tmp_path: Path) -> None:
    """`dvc get` reads the repository's own configuration; here it names the consumers' remote alone."""
    consumer.run("git", "commit", "-qam", "the consumers' remote alone")
    for name, found in (("train/pairs.parquet", True), ("heldout/pairs.parquet", False)):
        out = tmp_path / f"{found}.parquet"
        get = ("get", str(consumer.root), f"data/publish/{name}", "--out", str(out))
        done = Place(tmp_path, tmp_path / "trainer").tried(sys.executable, "-m", "dvc", *get)
        assert (done.returncode == 0, out.exists()) == (found, found), done.stderr


@pytest.fixture
def released(consumer: Place, tmp_path: Path) -> Place:
    """A DVC repository of someone who trains, and two releases of which the consumers' remote alone is named."""
    for version in ("1.2.0", "1.3.0"):
        consumer.run("git", "commit", "-qam", version, "--allow-empty")
        consumer.run("git", "tag", "-a", f"preferences@v{version}", "-m", version)
    trainer = Place(tmp_path / "training", tmp_path / "trainer")
    trainer.root.mkdir()
    trainer.run("git", "init", "-q")
    trainer.dvc("init", "-q")
    return trainer


def test_the_commands_and_the_loading_that_consumers_md_shows(released: Place, consumer: Place) -> None:
    commands = [line for block in blocks(DOCS / "consumers.md", "sh") for line in block.splitlines()]
    assert len(commands) == 10
    for command in commands:
        words = [str(consumer.root) if word == "URL" else word for word in split(command)]
        released.run(*([sys.executable, "-m", *words] if words[0] == "dvc" else words))
    got = {
        path.relative_to(released.root / "preferences").as_posix() for path in released.root.rglob("preferences/**/*")
    }
    assert {f"data/publish/{name}" for name in got if "." in name} == ALLOWED
    assert sorted(path.name for path in (released.root / "train").iterdir()) == [
        "pairs.parquet",
        "ties.parquet",
        "votes.parquet",
    ]
    stated: Any = YAML(typ="safe").load((released.root / "train.dvc").read_text(encoding="utf-8"))
    told = stated["deps"][0]["repo"]
    assert told["rev"] == "preferences@v1.3.0"
    assert told["rev_lock"] == consumer.run("git", "rev-parse", "preferences@v1.3.0^{}").strip()
    examples = blocks(DOCS / "consumers.md", "python")
    assert len(examples) == 5
    checked = "\n".join(
        f"{example}\nassert {'len(pairs)' if 'pairs =' in example else 'chosen'}" for example in examples
    )
    released.run(sys.executable, "-c", f"import os\nos.environ['HF_HUB_OFFLINE'] = '1'\n{checked}")
