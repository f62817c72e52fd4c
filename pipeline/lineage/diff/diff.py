"""Two revisions compared by row, from DVC's objects, without checking either out."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.core.tables import write_table
from pipeline.lineage.diff.builds import PLACES, RESTRICTED
from pipeline.lineage.diff.compare import compare
from pipeline.lineage.diff.found import ORDER, Diff
from pipeline.lineage.revisions import Revision, UnreadableRemoteError, objects, revision, viewing
from schemas.changes import CHANGES


def diff(project: Project, before: str, after: str = "HEAD") -> Diff:
    """Compare two revisions by row; what this clone may not read of either is not compared, and said.

    Raises PairtrailError where a revision is unknown, was not published, or is gone from DVC.
    """
    asked = [revision(project, name) for name in (before, after)]
    with ExitStack() as stack:
        (old, not_old), (new, not_new) = (stack.enter_context(_readable(then)) for then in asked)
        found = compare(old, new, {**not_new, **not_old})
    return replace(found, revisions=tuple((then.name, then.commit) for then in asked))


@contextmanager
def _readable(then: Revision) -> Iterator[tuple[Project, dict[str, str]]]:
    """View what a diff reads of a revision; and say of what cannot be read why."""
    named = then.outputs()
    if lacking := [place for place in PLACES if place not in named and place not in RESTRICTED]:
        msg = f"{then.name}: its dvc.lock names no {', '.join(lacking)}; nothing was published in that revision"
        raise PairtrailError(msg)
    away = _away(then, sorted(RESTRICTED & named.keys()))
    away |= dict.fromkeys(RESTRICTED - named.keys(), f"{then.name}: its dvc.lock does not name it")
    with viewing(then, [place for place in PLACES if place not in away]) as view:
        yield view, away


def _away(then: Revision, places: Iterable[str]) -> dict[str, str]:
    """Fetch what can be fetched, all at once where possible; say of the rest why it cannot be."""
    wanted = list(places)
    try:
        objects(then, wanted)
    except UnreadableRemoteError as error:
        if len(wanted) == 1:
            return {wanted[0]: str(error)}
        half = len(wanted) // 2
        return _away(then, wanted[:half]) | _away(then, wanted[half:])
    return {}


def write_changes(found: Diff, path: Path) -> None:
    """Write each change as a row. Raises PairtrailError where a file is there already."""
    if path.exists():
        msg = f"{path.name} is there already; name a new file"
        raise PairtrailError(msg)
    write_table(found.changes, path, CHANGES, ORDER)
