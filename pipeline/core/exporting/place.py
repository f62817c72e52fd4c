"""The folder that an export is written to: none of the project's own, and over no file that is no export's."""

import json
from pathlib import Path

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project

RECEIPT = "export.json"
RECEIPT_FORMAT = "pairtrail-export-1"


def place_for(project: Project, out: Path) -> Path:
    """Return the folder to write, after looking that nothing but an earlier export would be replaced.

    Raises PairtrailError when it lies in data/ or holds anything that no export wrote.
    """
    place = out.resolve()
    if place.is_relative_to((project.root / "data").resolve()):
        msg = f"{out}: data/ is for what stages read and write; export to another folder, such as exports/"
        raise PairtrailError(msg)
    if place.exists() and (fault := _fault(place)):
        msg = f"{out} {fault}; give a new or an empty folder, or an earlier export, which is replaced"
        raise PairtrailError(msg)
    return place


def _fault(place: Path) -> str | None:
    if not place.is_dir():
        return "is no folder"
    foreign = {path.name for path in place.iterdir()} - _ours(place)
    return f"holds {len(foreign):,} files that no export wrote" if foreign else None


def _ours(place: Path) -> set[str]:
    """Return the names of what an earlier export wrote into a folder; none where its receipt is not ours."""
    try:
        receipt = json.loads((place / RECEIPT).read_text(encoding="utf-8"))
        return {RECEIPT, *receipt["files"]} if receipt["receipt"] == RECEIPT_FORMAT else set()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return set()
