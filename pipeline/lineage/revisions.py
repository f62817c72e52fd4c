"""Another revision of the project, read without checking it out: git's blobs, and the objects of DVC's cache."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.core.errors import PairtrailError
from pipeline.core.params import parse_yaml
from pipeline.core.project import Project
from pipeline.lineage.dvcfiles import Held, cache_of, listing
from pipeline.lineage.git import git, git_says
from pipeline.lineage.releases.naming import tag_of

_LOCK = "dvc.lock"
_FOLDER = ".dir"
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


class UnreadableRemoteError(PairtrailError):
    """A remote that cannot be asked at all: none is configured, or this clone may not read it."""


@dataclass(frozen=True, slots=True)
class Output:
    """A file or folder that a stage wrote, as dvc.lock tells of it; a folder's `md5` ends in `.dir`."""

    path: str
    md5: str
    size: int


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit of the project; `name` is how it was asked for."""

    project: Project
    name: str
    commit: str

    def blob(self, place: str) -> bytes | None:
        """Return a file that git holds, by its place below the project's root; None where there is none."""
        known = git_says(self.project, "cat-file", "-t", f"{self.commit}:./{place}")
        return git(self.project, "cat-file", "blob", f"{self.commit}:./{place}") if known == "blob" else None

    def text(self, place: str) -> str:
        """Return a text file that git holds. Raises PairtrailError where there is none."""
        held = self.blob(place)
        if held is None:
            msg = f"{self.name}: no {place} in that revision"
            raise PairtrailError(msg)
        return held.decode()

    def blobs(self, places: Sequence[str]) -> dict[str, bytes]:
        """Return those of the files that git holds, all asked at once."""
        asked = [place for place in places if "\n" not in place]
        words = "".join(f"{self.commit}:./{place}\n" for place in asked).encode()
        said, start, found = git(self.project, "cat-file", "--batch", stdin=words), 0, {}
        for place in asked:
            end = said.index(b"\n", start)
            kind, _, size = said[start:end].rpartition(b" ")
            start = end + 1
            if kind.endswith(b" blob") and size.isdigit():
                found[place] = said[start : start + int(size)]
                start += int(size) + 1
        return found

    def lock(self) -> dict[str, Any]:
        """Return what dvc.lock says of each stage. Raises PairtrailError where there is none, or none of DVC's."""
        content = parse_yaml(self.text(_LOCK), f"{_LOCK} of {self.name}")
        if not isinstance(content, dict) or not isinstance(content.get("stages"), dict):
            msg = f"{_LOCK} of {self.name}: not as DVC writes it"
            raise PairtrailError(msg)
        stages: dict[str, Any] = content["stages"]
        return stages

    def outputs(self) -> dict[str, Output]:
        """Return the outputs of all stages, by their places."""
        return {one.path: one for stage in self.lock().values() for one in _outputs(stage)}


def _outputs(stage: Mapping[str, Any]) -> Iterator[Output]:
    for out in stage.get("outs", []):
        yield _sound(out["path"], out["md5"], int(out["size"]))


def _sound(place: str, md5: str, size: int) -> Output:
    """Refuse what would lead out of the project or of DVC's cache: a revision may be anybody's."""
    path = PurePosixPath(place)
    if path.is_absolute() or ".." in path.parts or "\\" in place or not _MD5.fullmatch(md5):
        msg = f"{_LOCK}: an output that leads out of the project, or whose digest is none"
        raise PairtrailError(msg)
    return Output(place, md5, size)


def inputs_of(lock: Mapping[str, Any]) -> list[Output]:
    """Return the files that stages read and that no stage wrote: what a build is made from."""
    made = {one.path for stage in lock.values() for one in _outputs(stage)}
    deps = {dep["path"]: dep for stage in lock.values() for dep in stage.get("deps", [])}
    files = [dep for place, dep in sorted(deps.items()) if place not in made and not dep["md5"].endswith(_FOLDER)]
    return [Output(dep["path"], dep["md5"], int(dep["size"])) for dep in files]


def revision(project: Project, name: str) -> Revision:
    """Find a revision: a commit, branch or tag as git knows it, or a release by its version (`1.2.0`, `v1.2.0`)."""
    tag = tag_of(project, name)
    # A branch may be called 1.0.0 too: a version is a release, or nothing.
    known = f"refs/tags/{tag}" if tag else name
    found = git_says(project, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{known}^{{commit}}")
    if found:
        return Revision(project, name, found)
    known_tags = (git_says(project, "tag", "--list") or "").split()
    msg = f"`{name}` is no revision that git knows here (tags: {', '.join(known_tags[-20:]) or 'none'}); fetch it?"
    raise PairtrailError(msg)


@contextmanager
def viewing(then: Revision, places: Iterable[str]) -> Iterator[Project]:
    """Give a project folder in which outputs of a revision stand as links to DVC's objects, beside its params.yaml.

    `places`: outputs, or folders of outputs such as `data/publish`; those that the revision's dvc.lock does not name
    are not there. What the cache lacks is fetched from the remotes. Whatever reads a project reads a view, too.
    """
    spill = then.project.spill
    spill.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="view-", dir=spill) as folder:
        view = Project(Path(folder))
        view.params.write_bytes(then.text("params.yaml").encode())
        for place, source in objects(then, places).items():
            link = view.root / place
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source)
        yield view


def objects(then: Revision, places: Iterable[str]) -> dict[str, Path]:
    """Return where DVC's cache holds the files of some outputs, by their places, once they are fetched.

    Raises UnreadableRemoteError where a remote cannot be asked, and PairtrailError for what is lost.
    """
    named = sorted(set(places))
    wanted = [
        one
        for one in then.outputs().values()
        if any(one.path == place or one.path.startswith(f"{place}/") for place in named)
    ]
    cache = cache_of(then.project)
    _fetch(then, [one for one in wanted if not _object(cache, one.md5).exists()])
    found: dict[str, Path] = {}
    for one in wanted:
        if one.md5.endswith(_FOLDER):
            files = listing(then.project, Held(one.md5, one.size))
            if files is None:
                msg = f"{then.name}: {one.path}: DVC's listing of it cannot be read; `dvc fetch` it anew"
                raise PairtrailError(msg)
            inside = [_sound(f"{one.path}/{name}", md5, 0) for name, md5 in files.items()]
            _fetch(then, [item for item in inside if not _object(cache, item.md5).exists()])
            found |= {item.path: _object(cache, item.md5) for item in inside}
        else:
            found[one.path] = _object(cache, one.md5)
    return found


def _object(cache: Path, md5: str) -> Path:
    return cache / md5[:2] / md5[2:]


def _fetch(then: Revision, away: list[Output]) -> None:
    """Fetch objects, each from its own remote. Raises PairtrailError for what is lost."""
    if not away:
        return
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc_data.hashfile.hash_info import HashInfo

    remotes = _remotes(then)
    with Repo(str(then.project.root)) as repo:
        for remote in sorted({_remote_of(one.path, remotes) for one in away}):
            wanted = {HashInfo("md5", one.md5) for one in away if _remote_of(one.path, remotes) == remote}
            try:
                repo.cloud.pull(wanted, remote=remote or None)
            except (DvcException, OSError) as error:
                msg = f"{then.name}: nothing could be fetched from the remote {remote or '(default)'}: {error}"
                raise UnreadableRemoteError(msg) from error
    cache = cache_of(then.project)
    if lost := sorted(one.path for one in away if not _object(cache, one.md5).exists()):
        msg = (
            f"{then.name}: {', '.join(lost[:20])}: neither in DVC's cache nor on a remote that this clone may read; "
            "`dvc fetch` says more"
        )
        raise PairtrailError(msg)


def _remotes(then: Revision) -> dict[str, str]:
    """Return the remote of each output that dvc.yaml sends to another one than the default."""
    stages = parse_yaml(then.text("dvc.yaml"), f"dvc.yaml of {then.name}").get("stages", {})
    outs = [out for stage in stages.values() for key in ("outs", "metrics", "plots") for out in stage.get(key, [])]
    stated = [item for out in outs if isinstance(out, dict) for item in out.items()]
    return {place: facts["remote"] for place, facts in stated if "remote" in (facts or {})}


def _remote_of(path: str, remotes: Mapping[str, str]) -> str:
    return next((name for place, name in remotes.items() if path == place or path.startswith(f"{place}/")), "")
