"""Measure seconds and peak memory of each stage, as processes of their own, on synthetic logs or on a project.

    .venv/bin/python bench/run.py --comparisons 500000 --words 220
    .venv/bin/python bench/run.py --project ../my-project

Absolute seconds of one run hang on the machine: compare rows of one table, or two tables of one session.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STAGES = ("ingest", "validate", "dedupe", "split", "publish")
ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-c", "from pipeline.cli import main; main()"]
MIB = 2**20


def measured(stage: str, project: Path) -> tuple[float, float, str]:
    """Run one stage; return wall seconds, peak memory in MiB and its summary line."""
    started = time.perf_counter()
    with subprocess.Popen([*COMMAND, stage], cwd=project, stdout=subprocess.PIPE, text=True) as process:
        said = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{stage} failed")
    scale = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - started, usage.ru_maxrss * scale / MIB, said.split("(")[0].strip()


def generated(folder: Path, comparisons: int, words: int) -> Path:
    """Write synthetic logs and the repository's params into a folder."""
    say = ["--comparisons", str(comparisons), "--words", str(words), "--out", str(folder / "data")]
    subprocess.run([*COMMAND, "demo", *say], cwd=ROOT, check=True)
    shutil.copy(ROOT / "params.yaml", folder)
    return folder


def size_of(folder: Path) -> float:
    """Return the size of a folder's files in MiB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / MIB


def report(project: Path) -> None:
    """Print the table of one project."""
    print(f"raw logs: {size_of(project / 'data' / 'raw'):,.0f} MiB\n")
    print("| stage | seconds | peak MiB | what it said |\n|---|---:|---:|---|")
    total = 0.0
    for stage in STAGES:
        seconds, memory, said = measured(stage, project)
        total += seconds
        print(f"| {stage} | {seconds:.1f} | {memory:,.0f} | {said} |", flush=True)
    print(f"| all | {total:.1f} | | |")


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=50_000)
    parser.add_argument("--words", type=int, default=220, help="how long a response is")
    parser.add_argument("--project", type=Path, help="measure this project instead of synthetic logs")
    given = parser.parse_args()
    if given.project:
        report(given.project)
        return
    with tempfile.TemporaryDirectory() as folder:
        report(generated(Path(folder), given.comparisons, given.words))


if __name__ == "__main__":
    main()
