"""How what a stage read stands to what dvc.lock noted of it: by .dvc files, the lock itself, and files that are there.

No data that DVC tracks need be there. Where it is, a file of up to 64 MiB is read; a larger one is compared by its
size, and that is told.
"""

from pathlib import Path, PurePosixPath

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.lineage.dvcfiles import FOLDER, Held, cache_of, listing, md5_of, tracked

MOST_READ = 64 * 2**20

CHANGED = "changed since the build; run `dvc repro`"
EDITED = "here, and not what its .dvc file says: `dvc add` it where that is meant, else `dvc checkout` it"
GONE = "not there, and DVC does not track it: take it back, or run `pairtrail sync` and `dvc repro`"
REMADE = "written anew by its stage since; run `dvc repro`"
UNKNOWN = (
    "cannot be told: DVC tracks the folder as a whole, and its listing is not in the cache; `dvc fetch` the folder, or "
    "track each file by itself with `dvc add`"
)
INSIDE = (
    "a part of a folder that a stage writes, or around one: DVC calls it fresh when it is not; depend on the output"
)
PLAIN_FOLDER = "a folder that no stage writes and DVC does not track: name its files instead"
OUT_EDITED = "here, and not what dvc.lock says; run `dvc checkout` for what was built, or `dvc repro`"


class Tree:
    """The working tree beside what a lock says of all stages' outputs; each file is read once."""

    def __init__(self, project: Project, outs: dict[str, Held]) -> None:
        """Know the outputs, by their places."""
        self._project, self._outs, self._cache = project, outs, cache_of(project)
        self._md5s: dict[Path, str] = {}
        self.by_size: set[str] = set()
        """What was compared by size alone."""

    def dep(self, place: str, held: Held) -> str | None:
        """Say what is wrong with a dependency; None where it is what the stage read."""
        if made := self._outs.get(place):
            return None if made.md5 == held.md5 else REMADE
        if any(_within(place, out) or _within(out, place) for out in self._outs):
            return INSIDE
        path = self._project.root / place
        if (own := tracked(path)) is not None:
            return CHANGED if own.md5 != held.md5 else EDITED if self._edited(path, place, own) else None
        if (above := self._above(place)) is not None:
            return self._in_folder(place, held, *above)
        if path.is_dir():
            return PLAIN_FOLDER
        return GONE if not path.is_file() else None if self._same(path, place, held) else CHANGED

    def lost(self, place: str) -> str | None:
        """Say that a dependency is nowhere: neither here nor tracked."""
        path = self._project.root / place
        return None if path.is_file() or tracked(path) or self._above(place) else GONE

    def out(self, place: str, held: Held, *, cached: bool) -> str | None:
        """Say what is wrong with an output; None where it is what the stage wrote, or is not here.

        What the cache keeps is not read: its size must be the lock's, and the cache must hold the object.
        """
        path = self._project.root / place
        if not cached:
            return GONE if not path.exists() else None if self._same(path, place, held) else OUT_EDITED
        if not path.exists():
            return None
        sized = held.md5.endswith(FOLDER) or held.size is None or path.stat().st_size == held.size
        return None if sized and (self._cache / held.md5[:2] / held.md5[2:]).exists() else OUT_EDITED

    def _edited(self, path: Path, place: str, own: Held) -> bool:
        """Whether what DVC tracks is here, and another one."""
        if not own.md5.endswith(FOLDER):
            return path.exists() and not self._same(path, place, own)
        if not path.exists():
            return False
        files = listing(self._project, own)
        if files is None or not path.is_dir():
            self.by_size.add(place)
            return not path.is_dir()
        here = {one.relative_to(path).as_posix(): one for one in path.rglob("*") if one.is_file()}
        lacks = any(name not in here or not self._is(here[name], place, md5) for name, md5 in files.items())
        return lacks or any(name not in files and not _ignored(one) for name, one in here.items())

    def _above(self, place: str) -> tuple[str, Held] | None:
        """Return the folder around a place that DVC tracks as a whole."""
        for parent in PurePosixPath(place).parents[:-1]:
            if (found := tracked(self._project.root / parent)) is not None:
                return parent.as_posix(), found
        return None

    def _in_folder(self, place: str, held: Held, folder: str, own: Held) -> str | None:
        files = listing(self._project, own)
        if files is None:
            return UNKNOWN
        name = PurePosixPath(place).relative_to(folder).as_posix()
        if files.get(name) != held.md5:
            return CHANGED
        path = self._project.root / place
        here = (self._project.root / folder).exists()
        return EDITED if here and not (path.is_file() and self._is(path, place, held.md5)) else None

    def _same(self, path: Path, place: str, held: Held) -> bool:
        if not path.is_file() or held.md5.endswith(FOLDER):
            return False
        return held.size in {None, path.stat().st_size} and self._is(path, place, held.md5)

    def _is(self, path: Path, place: str, md5: str) -> bool:
        """Whether a file has the digest; a large one is taken for it, which is told."""
        if path.stat().st_size > MOST_READ:
            self.by_size.add(place)
            return True
        if path not in self._md5s:
            try:
                self._md5s[path] = md5_of(path)
            except OSError as error:
                msg = f"{place}: cannot be read ({error.strerror})"
                raise PairtrailError(msg) from None
        return self._md5s[path] == md5


def _within(place: str, folder: str) -> bool:
    return place.startswith(f"{folder}/")


def _ignored(path: Path) -> bool:
    """Whether DVC leaves a file out of a folder here, by .dvcignore."""
    return path.name == ".gitignore" or path.suffix in {".pyc", ".pyo"} or path.name.endswith(".part")
