"""What `pairtrail check` says of the small ledgers: epochs, pins, releases and exceptions."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.core.contamination import allowances
from pipeline.core.epochs import recorded_epochs, refuse_unrecorded
from pipeline.core.errors import PairtrailError, raised
from pipeline.core.pins import read_pins
from pipeline.core.project import Project
from pipeline.core.released import refuse_unsound, released_files
from pipeline.core.sidecar.sources import source_folders
from pipeline.core.sides import division
from pipeline.lineage.checks.pulled import below


def ledgers_checked(project: Project, gone: dict[str, Path]) -> tuple[list[str], str]:
    """Return what is wrong with the small ledgers, and how much they hold where nothing is.

    `gone`: what was not pulled. A ledger of which some is away is told, and not read.
    """
    told: list[str] = []
    faults: list[str] = []
    looks = {"epochs.jsonl": _epochs, "pins": _pins, "released": _releases, "exceptions": _exceptions}
    for name, look in looks.items():
        if below(gone, f"data/ledger/{name}"):
            told.append(f"{name} not pulled")
            continue
        try:
            told.append(look(project))
        except PairtrailError as error:
            faults.append(str(error))
    return faults, ", ".join(told)


def _epochs(project: Project) -> str:
    epochs = recorded_epochs(project)
    refuse_unrecorded(division(project), epochs)
    return f"{len(epochs):,} epochs"


def _pins(project: Project) -> str:
    """Count the pins. A source that is pinned and not in data/raw is a fault: split would refuse the pin."""
    pins, known = read_pins(project), [folder.name for folder in source_folders(project.raw)]
    named = pins.filter(selector="source").select("place", "value").iter_rows()
    _refuse(
        f"data/ledger/pins/{place}: no source `{value}` in data/raw (known: {', '.join(known) or 'none'})"
        for place, value in named
        if value not in known
    )
    return f"{pins.height:,} pins"


def _releases(project: Project) -> str:
    files = released_files(project)
    _refuse(fault for path in files for fault in raised(partial(refuse_unsound, path)))
    return f"{len(files):,} releases"


def _exceptions(project: Project) -> str:
    return f"{len(allowances(project)):,} rows of contamination allowed"


def _refuse(faults: Iterator[str]) -> None:
    if found := list(faults):
        raise PairtrailError("\n".join(found))
