"""Checks of benchmarks: that each can be read whole, and that git holds no real one."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pipeline.core.benchmarks.items import read_items, texts_of
from pipeline.core.benchmarks.sidecars import SIDECAR, benchmark_folders, load_benchmark, load_benchmarks
from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project


def benchmark_looks(project: Project) -> Iterator[tuple[str, Callable[[], tuple[list[str], str]]]]:
    """Yield a name and a check of each benchmark; of all as one, where their folder says what is wrong already."""
    try:
        folders = benchmark_folders(project)
    except PairtrailError as error:
        faults = [str(error)]
        yield "data/benchmarks", lambda: (faults, "")
        return
    for folder in folders:
        yield f"data/benchmarks/{folder.name}/{SIDECAR}", partial(benchmark_checked, folder / SIDECAR)


def benchmark_checked(path: Path) -> tuple[list[str], str]:
    """Read a benchmark whole; say how much it holds. Raises PairtrailError with what is wrong."""
    items = read_items(load_benchmark(path))
    return [], f"{len(items):,} items, {texts_of(items).height:,} texts"


def benchmarks_in_git(project: Project, tracked: set[str]) -> list[str]:
    """Name the files of real benchmarks that git holds: whoever crawls the repository would train on them."""
    real = [one for one in load_benchmarks(project) if not one.sidecar.synthetic]
    files = [path.relative_to(project.root).as_posix() for one in real for path in one.files()]
    return [
        f"{name}: a real benchmark in git ({SIDECAR}: not `synthetic: true`); `git rm --cached` it, then `dvc add` it"
        for name in files
        if name in tracked
    ]
