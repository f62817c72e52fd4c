"""Look through files for what is held out, and tell what was found: rows, kinds and ids, never a text."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.core.accounts import must_add_up
from pipeline.core.errors import PairtrailError
from pipeline.core.near.cutting import ahead
from pipeline.core.params import section
from pipeline.core.progress import track
from pipeline.core.project import Project
from pipeline.lineage.leaks.comparing import KINDS, Compared, compare
from pipeline.lineage.leaks.heldout import Heldout, heldout
from pipeline.lineage.leaks.reading import Met, read_rows, steps_of
from pipeline.lineage.leaks.shapes import KNOWN, TELLING
from pipeline.stages import near


@dataclass(frozen=True, slots=True)
class Looked:
    """What one file holds: `found` in the order of its rows, and what could not be compared, or only in part."""

    file: str
    rows: int
    found: pl.DataFrame
    unread: pl.Series
    by_id: int
    whole: int
    not_read: list[str]
    """Columns that hold texts, lists or objects, and that nobody knows how to read."""

    @property
    def kinds(self) -> dict[str, int]:
        """Count the leaked rows by kind, in the order of the kinds."""
        counted = dict(self.found["kind"].value_counts().iter_rows())
        return {kind: counted[kind] for kind in KINDS if kind in counted}


@dataclass(frozen=True, slots=True)
class Leaks:
    """What all files hold, beside what they were compared with; `faults`: why a file could not be looked through."""

    held: Heldout
    threshold: float
    files: list[Looked]
    faults: list[str]
    allow_unread: bool = False
    """Whether somebody answers for the rows that could not be compared."""

    @property
    def clean(self) -> bool:
        """Whether every file was looked through, every row was compared and none is held out."""
        unread = any(len(looked.unread) for looked in self.files) and not self.allow_unread
        return not self.faults and not unread and not any(looked.found.height for looked in self.files)

    def code(self) -> int:
        """Return the exit code: 0 for clean files, 1 for a leak or an unread row. Raises PairtrailError with faults."""
        if self.faults:
            raise PairtrailError("\n".join(self.faults))
        return 0 if self.clean else 1


def leaks(project: Project, files: list[Path], *, allow_unread: bool = False) -> Leaks:
    """Look through files for held-out rows. A file that cannot be looked through is a fault; the others still are."""
    if not files:
        msg = "--leaks looks through the files that you name: pairtrail check --leaks exports/trl/train.parquet"
        raise PairtrailError(msg)
    threshold = section(near.Params, "near", project.params).threshold
    held = heldout(project, threshold)
    looked, faults = [], []
    for path in files:
        try:
            looked.append(_looked(path, held))
        except PairtrailError as error:
            faults.append(str(error))
    if not looked:
        raise PairtrailError("\n".join(faults))
    return Leaks(held, threshold, looked, faults, allow_unread)


def _looked(path: Path, held: Heldout) -> Looked:
    if not path.is_file():
        msg = f"{path}: no such file; name files, not folders"
        raise PairtrailError(msg)
    met = Met()
    batches = track(read_rows(path, KNOWN, held.canaries, met), path.name, steps_of(path))
    return _joined(path, list(ahead(lambda batch: compare(batch, held), batches)), met)


def _joined(path: Path, parts: list[Compared], met: Met) -> Looked:
    rows = sum(part.rows for part in parts)
    if not rows:
        msg = f"{path}: there is no row in it"
        raise PairtrailError(msg)
    found = pl.concat(part.found for part in parts).sort("row")
    unread = pl.concat(part.unread for part in parts).sort()
    whole, by_id = (sum(getattr(part, what) for part in parts) for what in ("whole", "by_id"))
    looked = Looked(str(path), rows, found, unread, by_id, whole, sorted(met.texts.difference(KNOWN)))
    _must_be_known(looked, met.names)
    clean = rows - found.height - len(unread)
    must_add_up(f"rows of {path.name}", rows, {"leaked": found.height, "unread": len(unread), "clean": clean})
    return looked


def _must_be_known(looked: Looked, names: set[str]) -> None:
    """Refuse a file that says nothing, so that nobody takes it for a clean one."""
    if names & TELLING and len(looked.unread) < looked.rows:
        return
    if looked.found.height:
        return
    why = "no prompt can be read from any row" if names & TELLING else "no column that tells a prompt or a response"
    met = ", ".join(sorted(names)[:30]) or "none"
    msg = f"{looked.file}: {why} (columns: {met}; known: {', '.join(sorted(TELLING))}); rename columns, or see the docs"
    raise PairtrailError(msg)
