"""Asking git, by its own command: what a revision holds, and whether the tree is as committed."""

import os
import subprocess
from collections.abc import Sequence

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project

_ELSEWHERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"}


def git(project: Project, *words: str, stdin: bytes | None = None) -> bytes:
    """Run git in the project, and return what it printed. Raises PairtrailError with git's own words."""
    ran = _run(project, words, stdin)
    if ran.returncode:
        told = ran.stderr.decode(errors="replace").strip().splitlines()
        msg = f"git {words[0]}: {told[-1] if told else f'it ended with code {ran.returncode}'}"
        raise PairtrailError(msg)
    return ran.stdout


def git_says(project: Project, *words: str) -> str | None:
    """Return what git printed as one stripped text; None where it found nothing."""
    ran = _run(project, words)
    return None if ran.returncode else ran.stdout.decode(errors="replace").strip()


def _run(project: Project, words: Sequence[str], stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603
        ["git", *words],  # noqa: S607
        cwd=project.root,
        env=_environment(),
        capture_output=True,
        check=False,
        input=stdin,
    )


def _environment() -> dict[str, str]:
    """Return git's environment: the project's own repository, as it is, whatever a hook or a replaced object says."""
    kept = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    return {**kept, "GIT_NO_REPLACE_OBJECTS": "1"}
