"""What DVC tracks and nobody pulled here, and the project as its file names tell it where some of it is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from pipeline.core.errors import PairtrailError
from pipeline.core.params import read_yaml
from pipeline.core.project import Project
from pipeline.lineage.dvcfiles import FILE, FOLDER, listing, tracked

_KEPT = ("raw", "ledger", "benchmarks")
_INPUTS = (*_KEPT, "policy", "rubric")


def away(project: Project) -> dict[str, Path]:
    """Return what below data/raw, ledger and benchmarks is not here, and the .dvc file that tracks it, by its place."""
    found = {}
    for path in sorted(one for kept in _KEPT for one in (project.root / "data").glob(f"{kept}*/**/*.dvc")):
        target = path.with_suffix("")
        if path.is_file() and not target.exists() and _says(target):
            found[target.relative_to(project.root).as_posix()] = path
    for kept in _KEPT:
        target = project.root / "data" / kept
        if not target.exists() and _says(target):
            found[f"data/{kept}"] = target.with_name(f"{kept}.dvc")
    return found


def _says(target: Path) -> bool:
    """Whether the .dvc file says what it tracks; one that does not is told by those who read what is not there."""
    try:
        return tracked(target) is not None
    except PairtrailError:
        return False


def below(places: dict[str, Path], folder: str) -> list[str]:
    """Return those of some places that are a folder, lie below it or around it."""
    return [
        place for place in places if place == folder or place.startswith(f"{folder}/") or folder.startswith(f"{place}/")
    ]


@contextmanager
def as_if_pulled(project: Project, gone: dict[str, Path]) -> Iterator[Project]:
    """Give the project with an empty file for each that was not pulled, so that names can be held against names.

    Of a folder whose listing the cache has not, the names are taken that dvc.yaml states: nothing better is known.
    """
    if not gone:
        yield project
        return
    project.spill.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="names-", dir=project.spill) as folder:
        view = Project(Path(folder))
        for path in (project.root / FILE, project.params):
            _link(path, view.root / path.name)
        for name in _INPUTS:
            for path in (project.root / "data" / name).rglob("*"):
                if path.is_file():
                    _link(path, view.root / path.relative_to(project.root))
        for place in (one for target in gone for one in _files_of(project, target)):
            (view.root / place).parent.mkdir(parents=True, exist_ok=True)
            (view.root / place).touch()
        yield view


def _link(path: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        link.symlink_to(path.absolute())


def _files_of(project: Project, target: str) -> list[str]:
    held = tracked(project.root / target)
    if held is None or not held.md5.endswith(FOLDER):
        return [target]
    files = listing(project, held)
    if files is not None:
        return [f"{target}/{name}" for name in files if ".." not in PurePosixPath(name).parts and name[:1] != "/"]
    stages = (read_yaml(project.root / FILE) or {}).get("stages") or {}
    deps = [dep for stage in stages.values() if isinstance(stage, dict) for dep in stage.get("deps") or []]
    return sorted({dep for dep in deps if isinstance(dep, str) and dep.startswith(f"{target}/")})
