"""The folder that an export is written to: none of the project's own, and over no file that is no export's."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.core.tables import write_text

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


@contextmanager
def whole_export(place: Path) -> Iterator[Path]:
    """Give a folder to write into, which git ignores; at the end it takes the place of the old one, or nothing changes.

    It lies in a new folder beside `place` under a name that nothing has: any other name there may be somebody's own.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent, ignore_cleanup_errors=True) as beside:
        built, old = Path(beside) / "new", Path(beside) / "old"
        built.mkdir()
        write_text("*\n", built / ".gitignore")
        yield built
        if place.exists():
            place.replace(old)
        try:
            built.replace(place)
        except OSError:
            if old.exists():
                old.replace(place)
            raise


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
