"""Asking git, by its own command: what a revision holds, and whether the tree is as committed."""

import subprocess
from collections.abc import Sequence

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project


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
    return subprocess.run(["git", *words], cwd=project.root, capture_output=True, check=False, input=stdin)  # noqa: S603, S607
