"""The ledger is only added to: what the last build read of each file must still be how the file begins.

A stage whose outputs all are cached is not run where DVC remembers its inputs: of an old ledger it would take the old
decisions. So in dvc.yaml an output of validate persists, which keeps DVC from remembering.
"""

from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

from pipeline.core.consent.events import ledger_files
from pipeline.core.errors import PairtrailError
from pipeline.core.params import read_yaml
from pipeline.core.project import Project

_LOCK = "dvc.lock"
_READER = "validate"
_LAST = "publish"
_KEY = "ingest.key_fingerprint"
_PIECE = 2**20


def refuse_rewritten(project: Project) -> None:
    """Raise PairtrailError where a ledger file lost or changed a line since the build that dvc.lock tells of."""
    try:
        faults = list(rewritten(project))
    except OSError as error:
        msg = f"{Path(str(error.filename)).name}: cannot be read ({error.strerror}); is the file whole, and the cache?"
        raise PairtrailError(msg) from error
    except (AttributeError, KeyError, TypeError):
        msg = f"{_LOCK}: not as DVC writes it, so nobody can tell what the last build read; take it back from git"
        raise PairtrailError(msg) from None
    if faults:
        told = [f"  {fault}" for fault in faults]
        advice = "A ledger is only added to: take the file back (`dvc checkout`, `git checkout`) and append to it."
        raise PairtrailError(
            "\n".join(["the consent ledger is not what the last build read, and more:", *told, advice])
        )


def as_it_stands(project: Project) -> dict[str, tuple[int, int, int]]:
    """Return by which marks a change of the ledger's files is known, for `refuse_changed`."""
    marks = {path.name: path.stat() for path in ledger_files(project.ledger) if path.exists()}
    return {name: (mark.st_ino, mark.st_size, mark.st_mtime_ns) for name, mark in marks.items()}


def refuse_changed(project: Project, before: dict[str, tuple[int, int, int]]) -> None:
    """Raise PairtrailError where the ledger is not as it stood before.

    DVC notes what a stage read once the stage has ended: it would take a withdrawal that came meanwhile for read, and
    not run the stage again.
    """
    if as_it_stands(project) != before:
        msg = "the consent ledger changed while it was in use, and what came is not in the result: run this again"
        raise PairtrailError(msg)


def rewritten(project: Project) -> Iterator[str]:
    """Yield the ledger files that do not begin with what the last build read of them.

    dvc.lock keeps size and MD5 of each file that a stage read, so no copy of the old ledger is needed. After
    `pairtrail keys rotate` every subject is another one, of the same length, and the size alone is compared until the
    ledger has been read again.
    """
    path = project.root / _LOCK
    if not path.exists():
        return
    stages = (read_yaml(path) or {}).get("stages", {})
    rekeyed = _is_rekeyed(stages, project)
    files = {file.relative_to(project.root).as_posix(): file for file in ledger_files(project.ledger)}
    folder = (project.ledger / "consent").relative_to(project.root).as_posix()
    for dep in stages.get(_READER, {}).get("deps", []):
        name = dep["path"]
        if not name.startswith(f"{folder}/"):
            continue
        if name not in files:
            yield f"{name}: it is gone; {dep['size']:,} bytes of it were read"
        elif (size := files[name].stat().st_size) < dep["size"]:
            yield f"{name}: it shrank from {dep['size']:,} to {size:,} bytes"
        elif not rekeyed and _md5_of_beginning(files[name], dep["size"]) != dep["md5"]:
            yield f"{name}: its first {dep['size']:,} bytes were changed"


def _is_rekeyed(stages: dict[str, Any], project: Project) -> bool:
    """Say whether params.yaml names another key than the one under which the ledger was read.

    The reading stage's own word tells, or, where its dvc.yaml does not name the key, that of the last stage. Ingest's
    does not: DVC has written that anew by the time that the ledger is read.
    """
    held = [stages.get(stage, {}).get("params", {}).get("params.yaml", {}) for stage in (_READER, _LAST)]
    used = next((params[_KEY] for params in held if _KEY in params), None)
    return used is not None and used != (read_yaml(project.params).get("ingest") or {}).get("key_fingerprint")


def _md5_of_beginning(path: Path, size: int) -> str:
    """Digest a file's first bytes as DVC does a whole file."""
    digest = md5(usedforsecurity=False)
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, _PIECE))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()
