"""Measure the pipeline against a floor: seconds and peak memory of each stage, each a process of its own.

    python -m bench.run                                      # 125,000, 250,000 and 500,000 comparisons
    python -m bench.run --comparisons 5000000 --only whole  # 19 GB of raw logs
    python -m bench.run --project ../my-project             # the stages of a project that is there

Absolute seconds of one run hang on the machine: compare the rows of one table. Ratios are to the floor of the same rows
in the same run.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bench.measuring import Measured, measured

STAGES = ("ingest", "validate", "dedupe", "split", "publish")
ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-c", "from pipeline.cli import main; main()"]
FILES = 100
# Polars sorts whole rows in memory: four gigabytes for each million of these.
MOST_SORTED = 2_000_000
HEAD = "| {} | seconds | processor s | peak MiB | of the floor | what it said |\n|---|---:|---:|---:|---:|---|"


def pairtrail(project: Path, *words: str) -> Measured:
    """Run one of our commands in a project."""
    return measured([*COMMAND, *words], project)


def row(name: str, found: Measured, floor: float | None = None, *, of: float | None = None) -> str:
    """Write one row of a table; `of` is what the seconds are compared with, the floor where nothing else is said."""
    against = of or floor
    ratio = f"{found.seconds / against:.2f}" if against else ""
    return f"| {name} | {found.seconds:.1f} | {found.cpu:.1f} | {found.peak_mib:,.0f} | {ratio} | {found.said} |"


def size_of(folder: Path) -> float:
    """Return the size of a folder's files in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


@dataclass(frozen=True, slots=True)
class Floor:
    """The two halves of the floor; the second is left out where Polars would hold more rows than memory does."""

    convert: Measured
    order: Measured | None

    @property
    def seconds(self) -> float | None:
        """Return the seconds of both."""
        return self.convert.seconds + self.order.seconds if self.order else None

    def show(self) -> None:
        """Print the rows of the floor."""
        print(row("floor: JSON lines to Parquet", self.convert, self.seconds))
        if self.order:
            print(row("floor: sorted by id", self.order, self.seconds), flush=True)


def floor_of(project: Path, comparisons: int) -> Floor:
    """Measure the floor on a project's raw logs."""
    script = [sys.executable, "-m", "bench.floor"]
    raw, flat, done = (str(project / name) for name in ("data/raw/votes/*.jsonl", "flat.parquet", "sorted.parquet"))
    convert = measured([*script, "convert", raw, flat], ROOT)
    order = measured([*script, "sort", flat, done], ROOT) if comparisons <= MOST_SORTED else None
    for path in (flat, done):
        Path(path).unlink(missing_ok=True)
    return Floor(convert, order)


def build(project: Path, floor: Floor | None) -> float:
    """Run all stages and print their rows; return the seconds of all."""
    total, peak = 0.0, 0.0
    whole = floor.seconds if floor else None
    for stage in STAGES:
        found = pairtrail(project, stage)
        total, peak = total + found.seconds, max(peak, found.peak_mib)
        half = floor.convert.seconds if floor and stage == "ingest" else None
        print(row(stage + (" (of its half)" if half else ""), found, whole, of=half), flush=True)
    ratio = f"{total / whole:.2f}" if whole else ""
    print(f"| **all stages** | {total:.1f} | | {peak:,.0f} | {ratio} | |\n", flush=True)
    return total


def head(project: Path, title: str) -> None:
    """Print the head of a table."""
    print(f"## {title}: {size_of(project / 'data' / 'raw'):,.0f} MB of JSON lines\n\n{HEAD.format('step')}", flush=True)


def compared(project: Path, comparisons: int) -> tuple[float, Floor]:
    """Print the table of one project beside its floor; return the seconds of its build, and the floor."""
    head(project, f"{comparisons:,}")
    floor = floor_of(project, comparisons)
    floor.show()
    return build(project, floor), floor


def growth(folder: Path, comparisons: int) -> None:
    """Measure a quarter, a half and the whole, so that growth shows; then the whole with broken records."""
    for part in (4, 2):
        with written(folder, comparisons // part) as project:
            compared(project, comparisons // part)
    with written(folder, comparisons) as project:
        floor = whole(project, comparisons)
    with written(folder, comparisons, broken=0.01) as project:
        # Polars reads no broken line: the floor is that of the sound records.
        head(project, f"{comparisons:,} and 1 % broken records, beside the same floor")
        build(project, floor)


def whole(project: Path, comparisons: int) -> Floor:
    """Measure a build, then what one new file costs, what no change costs, and a trace; return the floor."""
    last = max((project / "data" / "raw" / "votes").glob("*.jsonl"))
    aside = last.rename(project / last.name)
    total, floor = compared(project, comparisons * (FILES - 1) // FILES)
    aside.rename(last)
    print(f"## One new file of {100 / FILES:.0f} %, no change, a trace\n")
    print(HEAD.format("step").replace("floor", "full build"))
    again = [pairtrail(project, stage) for stage in STAGES]
    for stage, found in zip(STAGES, again, strict=True):
        print(row(f"one new file: {stage}", found, total))
    seconds = sum(found.seconds for found in again)
    print(f"| **one new file: all** | {seconds:.1f} | | | {seconds / total:.2f} | |")
    print(row("no change: ingest", pairtrail(project, "ingest"), total))
    print(row("trace FILE:RECORD", pairtrail(project, "trace", f"votes/{last.name}:1"), total))
    for name in ("comparison_id", "pair_id", "prompt_id"):
        print(row(f"trace {name}", pairtrail(project, "trace", an_id(project, name)), total))
    print(flush=True)
    return floor


def an_id(project: Path, name: str) -> str:
    """Return an id of the build."""
    shard = min((project / "data" / "ingest" / "comparisons").glob("*.parquet"))
    return str(pl.scan_parquet(shard).select(name).tail(1).collect().item())


@contextmanager
def written(folder: Path, comparisons: int, *, broken: float = 0.0) -> Iterator[Path]:
    """Write a project, and remove it at the end: the largest takes more room than one would leave lying about."""
    project = folder / "project"
    say = ["--comparisons", str(comparisons), "--files", str(FILES), "--broken", str(broken), "--out", str(project)]
    # In a process of its own, so that its memory is nobody else's.
    subprocess.run([sys.executable, "-m", "bench.generate", *say], cwd=ROOT, check=True)
    try:
        yield project
    finally:
        shutil.rmtree(project)


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=500_000)
    parser.add_argument("--only", choices=["whole"], help="leave out the smaller sizes and the broken records")
    parser.add_argument("--project", type=Path, help="measure this project instead of generated logs")
    parser.add_argument("--scratch", type=Path, help="where the generated logs go for as long as this runs")
    given = parser.parse_args()
    if given.project:
        print(HEAD.format("stage"))
        build(given.project, None)
        return
    with tempfile.TemporaryDirectory(dir=given.scratch) as folder:
        if given.only:
            with written(Path(folder), given.comparisons) as project:
                whole(project, given.comparisons)
        else:
            growth(Path(folder), given.comparisons)


if __name__ == "__main__":
    main()
