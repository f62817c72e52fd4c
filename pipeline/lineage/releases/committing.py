"""The commit and the tag of a release, and what a release that was cut off left behind."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.core.errors import PairtrailError
from pipeline.core.params import read_text
from pipeline.core.project import Project
from pipeline.core.settling import settle
from pipeline.core.tables import write_text
from pipeline.lineage.git import git, git_says
from pipeline.lineage.releases.history import commit_looks
from pipeline.lineage.releases.naming import as_version, tag_of
from pipeline.lineage.releases.paper import paper_looks
from pipeline.lineage.releases.records import FACTS, read_release
from pipeline.lineage.releases.signing import trusted_keys
from pipeline.lineage.revisions import Revision
from pipeline.lineage.syncing import sync

_LEDGER = "data/ledger/released"


def commit(project: Project, facts: dict[str, Any]) -> dict[str, Any]:
    """Commit what was written for a release, look at the commit, tag it, and return its facts with both.

    Raises PairtrailError where the commit is not what was signed for (a hook changed it, say); then it is taken back.
    """
    settle(project.releases / facts["version"])
    git(project, "add", "--", f"releases/{facts['version']}", _LEDGER, "dvc.yaml")
    git(project, "commit", "--quiet", "--message", f"Release {facts['name']} {facts['version']}")
    try:
        refuse_unsound_commit(project, facts["version"])
    except PairtrailError:
        git(project, "reset", "--quiet", "--soft", facts["build_commit"])
        raise
    return tagged(project, facts)


def refuse_unsound_commit(project: Project, version: str) -> None:
    """Raise PairtrailError where the commit that is checked out is not that of a release which a trusted key signed."""
    release = read_release(project.releases / version)
    head = Revision(project, "HEAD", git(project, "rev-parse", "HEAD").decode().strip())
    looks = [*commit_looks(head, release), *paper_looks(release, trusted_keys(project))]
    if told := [f"  {one.what}: {fault}" for one in looks if not one.waits for fault in one.faults]:
        raise PairtrailError("\n".join(["the commit is not what was signed for; does a hook change files?", *told]))


def tagged(project: Project, facts: dict[str, Any]) -> dict[str, Any]:
    """Tag the commit that is checked out as the release."""
    tag = tag_of(project, facts["version"])
    message = f"{facts['name']} {facts['version']}: {facts['level']} change, of build {facts['build_commit']}"
    git(project, "tag", "--annotate", str(tag), "--message", message)
    begun(project).unlink(missing_ok=True)
    return {**facts, "tag": tag, "commit": git(project, "rev-parse", "HEAD").decode().strip()}


def begun(project: Project) -> Path:
    """Return the file that says which release was begun here, so that only what it wrote is ever taken back."""
    return project.root / ".pairtrail/releasing"


def begin(project: Project, version: str) -> None:
    """Note that a release begins to write."""
    begun(project).parent.mkdir(mode=0o700, exist_ok=True)
    write_text(version, begun(project))


def finished(project: Project, text: str) -> dict[str, Any] | None:
    """Finish a release of that version that was cut off; return its facts, or None where none was.

    Cut off before the commit, what it wrote is removed, as nothing of it is in git. Cut off between the commit and the
    tag, only the tag is missing. Raises PairtrailError where the release is there already.
    """
    version, tag = str(as_version(text)), str(tag_of(project, text))
    if git_says(project, "rev-parse", "--verify", "--quiet", f"refs/tags/{tag}"):
        msg = f"{tag} is released already; what was given away stays as it is: choose another version"
        raise PairtrailError(msg)
    place = f"releases/{version}"
    if not _in_git(project, f"{place}/{FACTS}"):
        if begun(project).exists() and read_text(begun(project)) == version:
            undone(project, version)
        return None
    held = read_release(project.releases / version).facts
    if git_says(project, "rev-parse", "HEAD^") != held["build_commit"]:
        msg = (
            f"{place} is committed, and the tag {tag} is gone: fetch it (`git fetch --tags`); a release is tagged once"
        )
        raise PairtrailError(msg)
    refuse_unsound_commit(project, version)
    return tagged(project, held)


def _in_git(project: Project, place: str) -> bool:
    return git_says(project, "cat-file", "-t", f"HEAD:./{place}") == "blob"


def keep_by_dvc(project: Project, remembered: Path, *, synthetic: bool) -> None:
    """Have DVC track the released prompts of real people, as every ledger; those of a sample may stand in git."""
    if not synthetic and not _in_git(project, f"{_LEDGER}/{remembered.name}.dvc"):
        _dvc(project, "add", "--quiet", remembered.relative_to(project.root).as_posix())


def undone(project: Project, version: str) -> None:
    """Take back what a release wrote before its commit: in git's index, in the tree, and in dvc.yaml.

    A file of released prompts that git held before stays: somebody had remembered them.
    """
    ledger = f"{_LEDGER}/{version}.parquet"
    git(project, "reset", "--quiet", "--", *_places(project, version))
    if not _in_git(project, ledger) and not _in_git(project, f"{ledger}.dvc"):
        if (project.root / f"{ledger}.dvc").exists():
            _dvc(project, "remove", "--quiet", f"{ledger}.dvc")
        (project.root / ledger).unlink(missing_ok=True)
    for left in (project.releases / name for name in (version, f".{version}.part", f".{version}.old")):
        shutil.rmtree(left, ignore_errors=True)
    sync(project)
    begun(project).unlink(missing_ok=True)


def _places(project: Project, version: str) -> list[str]:
    """Return what a release writes, as far as git knows it: in the index, or in the last commit."""
    wanted = (f"releases/{version}", _LEDGER, "dvc.yaml")
    return [one for one in wanted if git(project, "ls-files", "--", one) or _in_tree(project, one)]


def _in_tree(project: Project, place: str) -> bool:
    return git_says(project, "cat-file", "-t", f"HEAD:./{place}") is not None


def _dvc(project: Project, *words: str) -> None:
    """Run DVC in the project. Raises PairtrailError with its own words."""
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "dvc", *words], cwd=project.root, capture_output=True, check=False, text=True
    )
    if ran.returncode:
        told = ran.stderr.strip().splitlines()
        msg = f"dvc {words[0]}: {told[-1] if told else f'it ended with code {ran.returncode}'}"
        raise PairtrailError(msg)
