"""What releases promised: columns that readers know, ledgers that only grow, and texts that keep their names."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from pipeline.core.errors import PairtrailError
from pipeline.core.params import read_yaml
from pipeline.core.project import Project
from pipeline.lineage.dvcfiles import Held, listing, tracked
from pipeline.lineage.releases.records import FACTS, Release, last_release, releases
from pipeline.lineage.revisions import revision
from schemas.contract import VERSION, breaks, contract

_CONTRACT = "schemas/contract.py"
_PIECE = 2**20
_GROWS = ".jsonl"
Found = tuple[list[str], str]


def _none() -> Found:
    return [], "no release yet"


def schema_checked(project: Project) -> Found:
    """Hold the published tables against those of the last release."""
    last = last_release(project)
    if last is None:
        return _none()
    try:
        found = breaks(last.facts["schema"], contract())
    except (KeyError, TypeError, AttributeError):
        return [_unsound(last, "schema")], ""
    where = f"schemas/published.py: since release {last.version}"
    cure = f"take the change back, or raise VERSION in {_CONTRACT} (now {VERSION}) where readers are to be broken"
    return [f"{where}: {fault}; {cure}" for fault in found], f"as of {last.version}, or more; version {VERSION}"


def texts_checked(project: Project) -> Found:
    """Refuse a policy or rubric whose name a release gave to another text: labels would change their meaning."""
    faults, known = [], 0
    for kind, folder in (("policies", project.policy), ("rubrics", project.rubric)):
        released: dict[tuple[str, str], list[str]] = {}
        for release in releases(project):
            stated = release.facts.get(kind)
            if not isinstance(stated, dict):
                faults.append(_unsound(release, kind))
                continue
            for name, digest in stated.items():
                released.setdefault((str(name), str(digest)), []).append(str(release.version))
        known += len(released)
        for (name, digest), versions in sorted(released.items()):
            path = folder / f"{Path(name).name}.md"
            if path.is_file() and sha256(path.read_bytes()).hexdigest() != digest:
                place = path.relative_to(project.root).as_posix()
                faults.append(
                    f"{place}: `{name}` was released in {', '.join(versions)} with another text; take that back from "
                    "git, and give the new text a name of its own"
                )
    return faults, f"{known:,} released texts" if known else "no release yet"


def ledgers_grown(project: Project) -> Found:
    """Hold each ledger file that the last release's build read against what it was: it may only have grown."""
    last = last_release(project)
    if last is None:
        return _none()
    stated = last.facts.get("ledgers")
    sound = isinstance(stated, dict) and all(
        isinstance(one, dict) and isinstance(one.get("size"), int) and isinstance(one.get("sha256"), str)
        for one in stated.values()
    )
    if not sound or stated is None or any(_leaves(place) for place in stated):
        return [_unsound(last, "ledgers")], ""
    ledgers = _Ledgers(project, last)
    faults = [
        f"data/ledger/{place}: {fault}, since release {last.version}; a ledger is only added to: take the file back "
        "(`git checkout`, `dvc checkout`), and append to it"
        for place, facts in sorted(stated.items())
        if (fault := ledgers.fault(place, facts["size"], facts["sha256"]))
    ]
    return faults, ledgers.told(len(stated))


def _leaves(place: str) -> bool:
    return place.startswith("/") or ".." in Path(place).parts


def _unsound(release: Release, what: str) -> str:
    return (
        f"releases/{release.folder.name}/{FACTS}: `{what}` is not as `pairtrail release` wrote it; take the file back "
        "from git"
    )


class _Ledgers:
    """Ledger files beside what a release's build read of them."""

    def __init__(self, project: Project, last: Release) -> None:
        self._project, self._last = project, last
        params = read_yaml(project.params)
        stated = params.get("ingest") if isinstance(params, dict) else None
        now = stated.get("key_fingerprint") if isinstance(stated, dict) else None
        self._rekeyed = last.facts.get("key_fingerprint") != now
        self._read: dict[str, str] | None = None
        self._away: list[str] = []

    def told(self, count: int) -> str:
        told = [f"{count:,} files begin as in release {self._last.version}"]
        if self._rekeyed:
            told = [
                f"the key was changed since release {self._last.version}, so only sizes of {count:,} files compared"
            ]
        if self._away:
            told.append(
                f"{len(self._away):,} not pulled and grown or renamed, so not compared: {', '.join(self._away)}"
            )
        return "; ".join(told)

    def fault(self, place: str, size: int, digest: str) -> str | None:
        path = self._project.ledger / place
        if path.is_file():
            return self._fault_of_file(path, size, digest)
        held = self._tracked(path)
        if held is None:
            return f"it is gone; {size:,} bytes of it were read"
        if held.size is not None and held.size < size:
            return f"it shrank from {size:,} to {held.size:,} bytes, as its .dvc file says"
        if self._md5_then(place) != held.md5:
            if path.suffix != _GROWS and self._md5_then(place) is not None:
                return "it was changed, as its .dvc file says"
            self._away.append(place)
        return None

    def _fault_of_file(self, path: Path, size: int, digest: str) -> str | None:
        """After `pairtrail keys rotate` each subject is another one, of the same length."""
        here = path.stat().st_size
        if here < size:
            return f"it shrank from {size:,} to {here:,} bytes"
        if path.suffix != _GROWS and here != size:
            return f"it grew from {size:,} to {here:,} bytes, and is never to change"
        if self._rekeyed and path.suffix == _GROWS:
            return None
        return None if _begins(path, size) == digest else f"its first {size:,} bytes were changed"

    def _tracked(self, path: Path) -> Held | None:
        """Return what DVC tracks of a file, by itself or within a folder; without the folder's listing nobody knows."""
        if (own := tracked(path)) is not None:
            return own
        for folder in path.parents:
            if folder == self._project.root:
                return None
            if (whole := tracked(folder)) is not None:
                files = listing(self._project, whole)
                if files is None:
                    return Held("", None)
                md5 = files.get(path.relative_to(folder).as_posix())
                return Held(md5, None) if md5 else None
        return None

    def _md5_then(self, place: str) -> str | None:
        """Return the MD5 that dvc.lock held at the release's build, where git still has that commit."""
        if self._read is None:
            self._read = dict(self._deps_then())
        return self._read.get(f"data/ledger/{place}")

    def _deps_then(self) -> Iterator[tuple[str, str]]:
        commit = self._last.facts.get("build_commit")
        try:
            lock = revision(self._project, str(commit)).lock()
            for stage in lock.values():
                for dep in stage.get("deps", []):
                    yield dep["path"], dep["md5"]
        except (PairtrailError, AttributeError, KeyError, TypeError):
            return


def _begins(path: Path, size: int) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, _PIECE))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()
