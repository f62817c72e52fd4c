"""Who may pull what: consumers get train, validation, manifest and card; nothing else is on their remote."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.stages import STAGES
from tests.building import ROOT, Built, build, lines, record

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("git"), reason="needs git")]

COPIED = ("pipeline", "schemas", "dvc.yaml", "requirements.lock", ".dvcignore", ".gitignore", ".gitattributes")
ALLOWED = {
    *(
        f"data/publish/{side}/{table}.parquet"
        for side in ("train", "validation")
        for table in ("pairs", "ties", "votes")
    ),
    "data/publish/manifest.json",
    "data/publish/README.md",
}


class Place:
    """A clone, with git, DVC and `pairtrail` run in it as a user of a clean machine would."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        script = home / "bin" / "pairtrail"
        script.parent.mkdir(parents=True, exist_ok=True)
        # The code of the copy, not the one that may be installed beside this Python.
        script.write_text(
            f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c 'from pipeline.cli import main; main()' \"$@\"\n"
        )
        script.chmod(0o755)
        self._environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(script.parent), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DVC_NO_ANALYTICS": "1",
            **{f"DVC_{kind}_DIR": str(home / kind) for kind in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        self._environment.pop("PYTHONPATH", None)

    def tried(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.root, env=self._environment, capture_output=True, text=True, check=False, timeout=300
        )

    def run(self, *command: str) -> str:
        done = self.tried(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def dvc(self, *args: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *args)

    def pulled(self) -> set[str]:
        """Name what lies under data/ beside what git brought."""
        tracked = set(self.run("git", "ls-files", "data").split())
        files = {path.relative_to(self.root).as_posix() for path in (self.root / "data").rglob("*") if path.is_file()}
        return files - tracked


def objects(remote: Path) -> set[str]:
    """Return the digests that a remote holds, whatever its layout."""
    return {path.parent.name + path.name for path in remote.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("remotes")


@pytest.fixture(scope="module")
def owner(workshop: Path) -> Iterator[Place]:
    """A project built and pushed by its owner, to the two remotes that the repository names."""
    project: Built = build(workshop / "owner" / "clone").recorded()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, project.root / name)
    (project.root / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", project.root / ".dvc")
    rows = [record(prompt=f"Question {i}?", preference=("a", "b", "tie")[i % 3]) for i in range(60)]
    project.source("s", {"x.jsonl": lines(*rows)})
    place = Place(project.root, workshop / "home")
    place.run("git", "init", "-q")
    for remote in ("restricted", "consumers"):
        place.dvc("remote", "modify", remote, "url", str(workshop / remote))
    place.run("pairtrail", "sync")
    place.run("git", "add", ".")
    place.run("git", "commit", "-qm", "sources")
    place.dvc("repro")
    place.run("git", "add", ".")
    place.run("git", "commit", "-qm", "built")
    place.dvc("push")
    yield place
    for path in workshop.rglob("*"):  # DVC's cache is read-only
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)


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
