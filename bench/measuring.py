"""Run a command and measure it: seconds, processor seconds, peak memory of the process with all its children."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

MIB = 2**20
_EVERY = 0.02


@dataclass(frozen=True, slots=True)
class Measured:
    """What one command took."""

    seconds: float
    cpu: float
    peak_mib: float
    said: str


def measured(command: list[str], folder: Path) -> Measured:
    """Run a command in a folder; its children's memory is added up as they live (shared pages count for each)."""
    started = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        peak = [0]
        watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
        watcher.start()
        said = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command[-2:])} failed")
    seconds = time.perf_counter() - started
    watcher.join()
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(seconds, cpu, peak[0] / MIB, said.splitlines()[0].split("(")[0].strip() if said else "")


def _watch(pid: int, peak: list[int]) -> None:
    try:
        parent = psutil.Process(pid)
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            peak[0] = max(peak[0], sum(map(_resident, [parent, *parent.children(recursive=True)])))
            time.sleep(_EVERY)
    except psutil.NoSuchProcess:
        return


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
