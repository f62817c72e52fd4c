"""What DVC's own files say: the stages of dvc.yaml, what dvc.lock noted of them, and what a .dvc file tracks.

DVC's schema allows more than is read here (templates, working folders, other hashes, imports of folders in parts).
Whatever is not understood is refused, or a check would call fresh what nobody looked at.
"""

import json
import re
from collections.abc import Iterator
from configparser import ConfigParser
from configparser import Error as ConfigError
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Any

from pipeline.core.errors import PairtrailError
from pipeline.core.params import read_text, read_yaml
from pipeline.core.project import Project

LOCK = "dvc.lock"
FILE = "dvc.yaml"
FOLDER = ".dir"
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_TOP = {"stages", "params", "metrics", "plots", "artifacts"}
_STAGE = {"cmd", "deps", "params", "outs", "metrics", "plots", "frozen", "always_changed", "desc", "meta"}
_OUTS = ("outs", "metrics", "plots")
_OUT = {"cache", "persist", "remote", "push", "desc", "type", "labels", "meta"}
_PLOT = {"template", "x", "y", "x_label", "y_label", "title", "header"}
_SAFE = re.compile(r"(?!/|.*://)(?!(.*/)?\.\.(/|$))[^\\]+")


@dataclass(frozen=True, slots=True)
class Held:
    """What DVC noted of a file or folder; the `md5` of a folder ends in `.dir`."""

    md5: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of dvc.yaml: `params` by file (None: all of it), `outs` with whether DVC's cache keeps them."""

    cmd: Any
    deps: tuple[str, ...]
    params: dict[str, list[str] | None]
    outs: dict[str, bool]
    frozen: bool
    always: bool


@dataclass(frozen=True, slots=True)
class Locked:
    """What dvc.lock noted of a stage."""

    cmd: Any
    deps: dict[str, Held]
    params: dict[str, dict[str, Any]]
    outs: dict[str, Held]


@dataclass(slots=True)
class Read:
    """Both files, stage by stage, and what in them could not be understood."""

    stages: dict[str, Stage] = field(default_factory=dict)
    locked: dict[str, Locked] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read_dvc(project: Project) -> Read:
    """Read dvc.yaml and dvc.lock; a stage that is not understood is a fault, and the others are read."""
    read = Read()
    for name, stated in _stages_of(project, FILE, _TOP, read.faults):
        try:
            read.stages[name] = _stage(stated)
        except _NotUnderstoodError as error:
            read.faults.append(f"{FILE}: stage {name}: {error}, which `pairtrail check` does not understand")
    for name, stated in _stages_of(project, LOCK, {"schema", "stages"}, read.faults):
        try:
            read.locked[name] = _locked(stated)
        except _NotUnderstoodError as error:
            read.faults.append(f"{LOCK}: stage {name}: {error}: not as DVC 3 writes it; take the file back from git")
    return read


class _NotUnderstoodError(Exception):
    pass


def _stages_of(project: Project, name: str, known: set[str], faults: list[str]) -> Iterator[tuple[str, Any]]:
    content = read_yaml(project.root / name)
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(stages, dict):
        faults.append(f"{name}: no stages in it; take the file back from git")
        return
    if odd := sorted(str(key) for key in content if key not in known):
        faults.append(f"{name}: {', '.join(odd)}: `pairtrail check` does not understand it (known: {_told(known)})")
    yield from stages.items()


def _stage(stated: Any) -> Stage:  # noqa: ANN401
    if not isinstance(stated, dict) or not stated.get("cmd"):
        msg = "no `cmd`"
        raise _NotUnderstoodError(msg)
    if odd := sorted(str(key) for key in stated if key not in _STAGE):
        msg = f"{', '.join(odd)} (known: {_told(_STAGE)})"
        raise _NotUnderstoodError(msg)
    if "${" in json.dumps(stated, default=str):
        msg = "a template, ${...}"
        raise _NotUnderstoodError(msg)
    outs = [one for key in _OUTS for one in _listed(stated, key)]
    deps = tuple(_place(one) for one in _listed(stated, "deps"))
    flags = frozenset(key for key in ("frozen", "always_changed") if stated.get(key) is True)
    return Stage(
        stated["cmd"], deps, _params(stated), dict(map(_out, outs)), "frozen" in flags, "always_changed" in flags
    )


def _listed(stated: dict[str, Any], key: str) -> list[Any]:
    found = stated.get(key) or []
    if not isinstance(found, list):
        msg = f"`{key}` is no list"
        raise _NotUnderstoodError(msg)
    return found


def _place(stated: Any) -> str:  # noqa: ANN401
    """Return a place below the project's root, as it is written."""
    if not isinstance(stated, str) or not _SAFE.fullmatch(stated):
        msg = f"`{stated}`, which is no place below the project's root"
        raise _NotUnderstoodError(msg)
    return stated.removeprefix("./").rstrip("/")


def _out(stated: Any) -> tuple[str, bool]:  # noqa: ANN401
    if not isinstance(stated, dict):
        return _place(stated), True
    [(place, flags), *more] = stated.items()
    flags = {} if flags is None else flags
    if more or not isinstance(flags, dict) or (odd := sorted(str(one) for one in flags if one not in _OUT | _PLOT)):
        msg = f"the output `{place}`{f': {_told(odd)}' if not more and isinstance(flags, dict) else ''}"
        raise _NotUnderstoodError(msg)
    return _place(place), flags.get("cache", True) is not False


def _params(stated: dict[str, Any]) -> dict[str, list[str] | None]:
    """Return the parameters by file: plain names are of params.yaml, and a file without names stands for all of it."""
    found: dict[str, list[str] | None] = {}
    for one in _listed(stated, "params"):
        for file, names in one.items() if isinstance(one, dict) else [("params.yaml", [one])]:
            if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
                msg = f"`params` of {file}"
                raise _NotUnderstoodError(msg)
            if not str(file).endswith((".yaml", ".yml", ".json")):
                msg = f"parameters in {file}"
                raise _NotUnderstoodError(msg)
            known = found.get(file, [])
            found[_place(file)] = None if names is None or known is None else [*known, *names]
    return found


def _locked(stated: Any) -> Locked:  # noqa: ANN401
    if not isinstance(stated, dict):
        msg = "no entry"
        raise _NotUnderstoodError(msg)
    params = stated.get("params") or {}
    if not isinstance(params, dict) or not all(isinstance(values, dict) for values in params.values()):
        msg = "`params`"
        raise _NotUnderstoodError(msg)
    both = [dict(_held(one) for one in _listed(stated, key)) for key in ("deps", "outs")]
    return Locked(stated.get("cmd"), both[0], params, both[1])


def _held(stated: Any) -> tuple[str, Held]:  # noqa: ANN401
    """Read one entry of dvc.lock or a .dvc file. `hash: md5` is what DVC 3 says; before, it digested other bytes."""
    if not isinstance(stated, dict) or not isinstance(stated.get("path"), str):
        msg = "an entry without a path"
        raise _NotUnderstoodError(msg)
    place, md5, size = stated["path"], stated.get("md5"), stated.get("size")
    sound = isinstance(md5, str) and _MD5.fullmatch(md5) and stated.get("hash") == "md5"
    if not sound or not isinstance(size, int | None):
        msg = f"`{place}` has no md5 and size of DVC 3"
        raise _NotUnderstoodError(msg)
    return _place(place), Held(str(md5), size)


def tracked(path: Path) -> Held | None:
    """Return what the .dvc file beside a file or folder tracks; None where there is none. It need not be there itself.

    Raises PairtrailError where the .dvc file does not say it.
    """
    beside = path.with_name(f"{path.name}.dvc")
    if not beside.is_file():
        return None
    content = read_yaml(beside)
    try:
        stated = content if isinstance(content, dict) and "wdir" not in content else {}
        return dict(map(_held, _listed(stated, "outs")))[path.name]
    except (_NotUnderstoodError, KeyError):
        msg = f"{beside.name}: does not say what it tracks as DVC 3 writes it; run `dvc add {path.name}` again"
        raise PairtrailError(msg) from None


def md5_of(path: Path) -> str:
    """Return the digest by which DVC knows a file."""
    with path.open("rb") as file:
        return file_digest(file, "md5").hexdigest()


def cache_of(project: Project) -> Path:
    """Return the folder of the cache's objects, wherever the project's own configuration puts it."""
    place = Path("cache")
    for name in ("config", "config.local"):
        config = ConfigParser(interpolation=None)
        path = project.root / ".dvc" / name
        try:
            config.read_string(read_text(path) if path.exists() else "")
        except ConfigError:
            continue
        place = Path(config.get("cache", "dir", fallback=str(place)))
    return project.root / ".dvc" / place / "files/md5"


def listing(project: Project, folder: Held) -> dict[str, str] | None:
    """Return the MD5 of each file of a folder that DVC tracks; None where its cache has no listing of it."""
    path = cache_of(project) / folder.md5[:2] / folder.md5[2:]
    if not path.is_file():
        return None
    try:
        return {str(one["relpath"]): str(one["md5"]) for one in json.loads(path.read_bytes())}
    except (ValueError, KeyError, TypeError):
        return None


def _told(known: Any) -> str:  # noqa: ANN401
    return ", ".join(sorted(known))
