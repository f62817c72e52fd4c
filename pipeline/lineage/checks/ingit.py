"""What git may never hold: real raw data, ledgers, texts of exports and tables. Its history cannot be erased."""

import re
import subprocess
from collections.abc import Iterator

from pipeline.core.epochs import PLACE as EPOCHS
from pipeline.core.project import Project
from pipeline.core.sidecar.sidecars import SIDECAR
from pipeline.core.sidecar.sources import read_source, source_folders
from pipeline.lineage.benchmarks import benchmarks_in_git
from pipeline.stages import STAGES

# What DVC, and `sources new`, write beside a file in any folder.
_BESIDE = re.compile(r"\.dvc$|(^|/)\.gitignore$")
# What a release leaves in git: facts, sums, statements, notes, public keys.
_OF_RELEASES = re.compile(r"(\.json|\.md|\.pem|/SHA256SUMS)$")
_WRITTEN = tuple(f"data/{stage}/" for stage in STAGES)
_CURE = "`git rm --cached` it, then `dvc add` it"


def git_faults(project: Project, named: Project) -> list[str]:
    """Refuse real data in git; `named` is the project with the names of what was not pulled."""
    if not any((folder / ".git").exists() for folder in (project.root, *project.root.parents)):
        return []
    command = ["git", "ls-files", "-z", "--", "data", "releases", "exports"]
    listed = subprocess.run(command, cwd=project.root, capture_output=True, check=False)  # noqa: S603
    if listed.returncode:
        return ["git could not list its files, so nobody can say whether real data is among them; try `git ls-files`"]
    tracked = {name for name in listed.stdout.decode().split("\0") if name}
    return [*benchmarks_in_git(named, tracked), *_real(project, sorted(tracked))]


def _real(project: Project, tracked: list[str]) -> Iterator[str]:
    folders = [one for one in source_folders(project.raw) if (one / SIDECAR).is_file()]
    real = [one for one in folders if not read_source(one / SIDECAR).sidecar.synthetic]
    names = [name for name in tracked if not _BESIDE.search(name)]
    for name in names if real else ():
        if name.startswith("data/ledger/") and name != EPOCHS:
            yield f"{name}: a ledger of real people in git; {_CURE}"
        elif name.startswith(_WRITTEN):
            yield f"{name}: what a stage wrote of real data, in git; `git rm --cached` it: DVC keeps it by dvc.lock"
        elif name.startswith("exports/") or (name.startswith("releases/") and not _OF_RELEASES.search(name)):
            yield f"{name}: perhaps texts of real people, in git; `git rm --cached` it: no data belongs there"
    for folder in real:
        place = folder.relative_to(project.root).as_posix()
        for name in names:
            if name.startswith(f"{place}/") and name != f"{place}/{SIDECAR}":
                yield f"{name}: real data in git (not `synthetic: true`); {_CURE}"
