"""Clones with real git and DVC in them, and commands run as a user of a clean machine would."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL

from tests.building import ROOT, Built

COPIED = ("pipeline", "schemas", "dvc.yaml", "requirements.lock", ".dvcignore", ".gitignore", ".gitattributes")


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

    def started(self, *command: str) -> "subprocess.Popen[bytes]":
        """Start a command and do not wait for it."""
        return subprocess.Popen(command, cwd=self.root, env=self._environment, stdout=DEVNULL, stderr=DEVNULL)

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


def owned(project: Built, workshop: Path) -> Place:
    """Make a project a repository of git and DVC with our code and two remotes in the workshop; commit nothing."""
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, project.root / name)
    (project.root / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", project.root / ".dvc")
    place = Place(project.root, workshop / "home")
    place.run("git", "init", "-q", "-b", "main")
    for remote in ("restricted", "consumers"):
        place.dvc("remote", "modify", remote, "url", str(workshop / remote))
    return place


@contextmanager
def removable(workshop: Path) -> Iterator[Path]:
    """Give a folder whose files can be removed at the end: DVC's cache is read-only."""
    yield workshop
    for path in workshop.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
