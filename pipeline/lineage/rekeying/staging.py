"""A rotation on disk: all that will change is prepared aside, one last file makes it valid, then renames place it.

Cut off before that last file, nothing has changed. Cut off after it, the renames that are left can be made at any time.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.core.settling import settle

_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Step:
    """One file that takes its place: `staged` in the rotation's folder, `place` in the project."""

    staged: str
    place: str
    before: str | None
    """SHA-256 of what stood at the place when this was prepared; None where nothing did."""
    after: str


class Preparing:
    """Collects the files of a rotation; what is not yet `ready` changes nothing."""

    def __init__(self, project: Project) -> None:
        """Begin with an empty folder: what a rotation that was cut off had prepared is made anew."""
        self._project = project
        self._steps: list[Step] = []
        shutil.rmtree(project.rotation, ignore_errors=True)
        project.rotation.mkdir(mode=0o700, parents=True)

    def stage(self, place: Path, content: Iterable[bytes], mode: int = _PRIVATE) -> None:
        """Write what will stand at `place`."""
        staged = self._project.rotation / str(len(self._steps))
        before = _digest(place)
        _write(staged, content, mode)
        name = place.relative_to(self._project.root).as_posix()
        self._steps.append(Step(staged.name, name, before, _digest(staged) or ""))

    def replace(self, place: Path, content: Iterable[bytes]) -> None:
        """Write what will stand at `place`, with the rights that the file there has; its owner may write it."""
        self.stage(place, content, place.stat().st_mode & 0o777 | 0o200)

    def ready(self, told: str) -> None:
        """Make the rotation valid: from here on it is finished, whatever happens. `told` is said when it is."""
        ready = self._project.rotation_ready
        part = ready.with_suffix(".part")
        _write(part, [json.dumps({"told": told, "steps": [asdict(step) for step in self._steps]}).encode()], _PRIVATE)
        settle(ready.parent)
        part.replace(ready)
        settle(ready.parent)

    def drop(self) -> None:
        """Take away what was prepared, unless it is valid already."""
        if not self._project.rotation_ready.exists():
            shutil.rmtree(self._project.rotation, ignore_errors=True)


def finish(project: Project) -> str:
    """Put into place what is prepared and is not there yet; return what is to be told.

    Raises PairtrailError, before anything moves, where a file is neither what it was nor what it will be.
    """
    prepared = json.loads(project.rotation_ready.read_text(encoding="utf-8"))
    steps = [Step(**step) for step in prepared["steps"]]
    waiting = [step for step in steps if (project.rotation / step.staged).exists()]
    if changed := [
        step.place for step in waiting if _digest(project.root / step.place) not in {step.before, step.after}
    ]:
        msg = (
            f"changed since the rotation was prepared: {', '.join(changed)}.\nPut back what was there (take lines that "
            "were added out again), run `pairtrail keys rotate`, and make the change anew afterwards."
        )
        raise PairtrailError(msg)
    for step in waiting:
        _put(project.rotation / step.staged, project.root / step.place)
    for folder in sorted({(project.root / step.place).parent for step in steps}):
        settle(folder)
    project.rotation_ready.unlink()
    shutil.rmtree(project.rotation, ignore_errors=True)
    told: str = prepared["told"]
    return told


def _put(staged: Path, place: Path) -> None:
    """Rename a file into place; on another disk it is copied beside its place first."""
    try:
        staged.replace(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = place.with_name(f".{place.name}.part")
        part.unlink(missing_ok=True)
        with staged.open("rb") as content:
            _write(part, content, staged.stat().st_mode & 0o777)
        part.replace(place)
        staged.unlink()


def _write(path: Path, content: Iterable[bytes], mode: int) -> None:
    """Write a new file that is on disk when this ends, and was never readable by more than `mode` says."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "wb") as file:
        file.writelines(content)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def _digest(path: Path) -> str | None:
    if not path.exists():
        return None
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
