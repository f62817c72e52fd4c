"""Starting a source: look at a raw file, guess what a sidecar would say of it, and leave the rest blank."""

import re
import subprocess
from dataclasses import dataclass
from glob import escape
from os.path import normpath
from pathlib import Path
from shlex import quote
from shutil import copyfile

from pipeline.adapters import claims
from pipeline.core.errors import PairtrailError
from pipeline.core.params import read_text
from pipeline.core.project import Project
from pipeline.core.sidecar.sidecars import SIDECAR
from pipeline.core.tables import write_text
from pipeline.lineage.drafting import draft, whole
from pipeline.lineage.looking import look

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ENDINGS = re.compile(r"(\.(jsonl?|ndjson|csv|tsv|parquet|gz|zst|zstd|txt))+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Begun:
    """What was written for a new source."""

    sidecar: Path
    file: Path
    copied: bool
    guesses: int
    blanks: int


def new_source(project: Project, file: Path, name: str | None) -> Begun:
    """Write a source.yaml whose guesses and blanks wait for their owner; a file from elsewhere is copied beside it.

    Git is told to ignore the file before it is there: real records never go into git. Nothing is overwritten.
    """
    path = Path(normpath(file.absolute()))
    _must_be_data(path, file)
    folder = _folder(project, path, name)
    sidecar, place = folder / SIDECAR, _place(folder, path)
    for taken in {sidecar, place} - {path}:
        if taken.exists() or taken.is_symlink():
            msg = f"{_told(project, taken)} exists already and is not overwritten; move it away, or give another --name"
            raise PairtrailError(msg)
    looked = look(path)
    inside = place.relative_to(folder).as_posix()
    body = draft(looked, claims(looked.records), escape(inside))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _ignore(place)
        if place != path:
            _copy(path, place)
        write_text(whole(body, inside, _told(project, sidecar)), sidecar)
    except OSError as error:
        msg = f"{_told(project, folder)}: cannot be written ({error.strerror})"
        raise PairtrailError(msg) from error
    return Begun(sidecar, place, place != path, len(body.guesses), len(body.blanks))


def next_steps(project: Project, begun: Begun) -> str:
    """Say what was written, and which commands come next."""
    file, sidecar = _told(project, begun.file), _told(project, begun.sidecar)
    tracked = _in_git(project, begun.file)
    ignored = "git holds it already, and must not" if tracked else "git ignores it"
    return "\n".join(
        [
            f"{sidecar} written: {begun.guesses} guesses to confirm, {begun.blanks} blanks to fill in",
            f"{file} {'copied there; ' if begun.copied else ''}{ignored}: real records belong to DVC",
            "next:",
            *([f"  git rm --cached {quote(file)}"] if tracked else []),
            f"  dvc add {quote(file)}",
            f"  pairtrail check {quote(sidecar)}",
            "  pairtrail sync",
        ]
    )


def _in_git(project: Project, file: Path) -> bool:
    """Say whether git tracks the file already: a .gitignore changes nothing then."""
    asked = ["git", "--literal-pathspecs", "ls-files", "--error-unmatch", "--", _told(project, file)]
    try:
        return subprocess.run(asked, cwd=project.root, capture_output=True, check=False).returncode == 0  # noqa: S603
    except FileNotFoundError:
        return False


def _told(project: Project, path: Path) -> str:
    return path.relative_to(project.root).as_posix()


def _must_be_data(path: Path, file: Path) -> None:
    if not path.is_file():
        msg = f"{file}: {'a folder; name one file in it' if path.is_dir() else 'no such file'}"
        raise PairtrailError(msg)
    if path.name in {SIDECAR, ".gitignore"} or path.suffix == ".dvc":
        msg = f"{file}: what stands beside the files of a source is no data; name a raw file"
        raise PairtrailError(msg)
    if not path.name.isprintable():
        msg = "the file's name is not plain text; rename it"
        raise PairtrailError(msg)


def _folder(project: Project, path: Path, name: str | None) -> Path:
    """Return the source's folder: the one that the file stands in below data/raw, or one of this name."""
    within = path.relative_to(project.raw).parts if path.is_relative_to(project.raw) else ()
    if len(within) == 1:
        msg = f"{_told(project, path)} stands beside the sources; move it into a folder of its own, or out of data/raw"
        raise PairtrailError(msg)
    if within and name not in {None, within[0]}:
        msg = f"{_told(project, path)} belongs to source `{within[0]}`; leave --name out, or move the file"
        raise PairtrailError(msg)
    found = within[0] if within else name if name is not None else _named_after(path)
    if not _NAME.fullmatch(found):
        msg = f"`{found}` cannot name a source: give --name, lower-case letters, digits and _, beginning with a letter"
        raise PairtrailError(msg)
    return project.raw / found


def _named_after(path: Path) -> str:
    stem = _ENDINGS.sub("", path.name).lower()
    return re.sub(r"[^a-z0-9]+", "_", stem).strip("_")


def _place(folder: Path, path: Path) -> Path:
    return path if path.is_relative_to(folder) else folder / path.name


def _ignore(place: Path) -> None:
    """List the file in the .gitignore beside it, as `dvc add` will."""
    ignore = place.with_name(".gitignore")
    line = "/" + re.sub(r"([\\*?\[\]!# ])", r"\\\1", place.name)
    known = read_text(ignore).splitlines() if ignore.exists() else []
    if line not in known:
        write_text("".join(f"{one}\n" for one in [*known, line]), ignore)


def _copy(path: Path, place: Path) -> None:
    """Copy whole or not at all."""
    part = place.with_name(f".{place.name}.part")
    try:
        copyfile(path, part)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
