"""Changing the pseudonym key: new pseudonyms for all whom raw logs and ledgers name, prepared whole, then placed."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from ruamel.yaml import YAML

from pipeline.core.alone import alone
from pipeline.core.consent.appending import refuse_rewritten
from pipeline.core.consent.events import read_events
from pipeline.core.errors import PairtrailError
from pipeline.core.keys import (
    KEY_FILE,
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    PUBLIC_KEY,
    fingerprint,
    kept_key_file,
    load_key,
    new_key,
    read_key,
)
from pipeline.core.params import parse_yaml, section
from pipeline.core.progress import track
from pipeline.core.project import Project
from pipeline.core.raw.rawfiles import Limits
from pipeline.core.sidecar.sidecars import Source
from pipeline.core.sidecar.sources import load_sources
from pipeline.lineage.rekeying.ledgers import all_ledgers, replaced, subjects_of
from pipeline.lineage.rekeying.pseudonyms import Keys, of_list, of_raw_files
from pipeline.lineage.rekeying.staging import Preparing, finish
from pipeline.stages import STAGES
from pipeline.stages.ingest import Params


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `pairtrail keys rotate` was asked for."""

    ids: Path | None = None
    leave_unmatched: bool = False
    keep_map: bool = False


@dataclass(frozen=True, slots=True)
class _Renamed:
    """Old pseudonyms to new ones, and how they were found."""

    everybody: pl.DataFrame
    by_old: dict[str, str]
    """Those of the ledgers' subjects."""
    files: list[Path]
    """The ledgers that name any."""
    unmatched: int
    vain: int
    """How many ids of the list are no ledger's subject."""


def rotate(project: Project, wanted: Wanted) -> str:
    """Give a project a new pseudonym key, or finish what was cut off; return what was done and what to do next."""
    project.rotation.parent.mkdir(mode=0o700, exist_ok=True)
    with _nothing_at_work(project):
        resumed = project.rotation_ready.exists()
        try:
            if not resumed:
                _prepare(project, wanted)
            told = finish(project)
        except OSError as error:
            again = "run `pairtrail keys rotate` again, which finishes it"
            state = again if project.rotation_ready.exists() else "nothing was changed"
            msg = f"{error.filename}: {error.strerror}; {state}"
            raise PairtrailError(msg) from error
    head = ["finished the rotation that was cut off, as it was asked for then"] if resumed else []
    return "\n".join([*head, told])


@contextmanager
def _nothing_at_work(project: Project) -> Iterator[None]:
    """Hold off other rotations, stages, and whoever adds to the consent ledger."""
    with ExitStack() as held:
        for place in (project.rotation, project.ledger / "consent", *map(project.stage, STAGES)):
            held.enter_context(alone(place))
        yield


def _prepare(project: Project, wanted: Wanted) -> None:
    params = section(Params, "ingest", project.params)
    sources = load_sources(project.raw)
    old = load_key(project.root, params.key_fingerprint, [one.name for one in sources if not one.sidecar.synthetic])
    refuse_rewritten(project)
    read_events(project.ledger)
    _refuse_absent(project)
    keys = Keys(old, new_key())
    limits = Limits(record_bytes=params.record_bytes, depth=params.record_depth)
    preparing = Preparing(project)
    try:
        renamed = _renamed(project, sources, limits, keys, wanted)
        for path in track(renamed.files, "ledgers", len(renamed.files)):
            preparing.replace(path, replaced(path, renamed.by_old))
        _stage_keys(project, preparing, keys)
        kept = _stage_map(project, preparing, keys, renamed.everybody) if wanted.keep_map else []
        _stage_params(project, preparing, keys)
        preparing.ready("\n".join([*_counted(renamed, keys, wanted), *_kept(keys), *kept, *_next(renamed.files)]))
    except BaseException:
        preparing.drop()
        raise


def _refuse_absent(project: Project) -> None:
    """Refuse where DVC tracks a log or a ledger that is not here: whom it names would keep the old pseudonym."""
    tracked = [path for folder in (project.raw, project.ledger) for path in sorted(folder.rglob("*.dvc"))]
    if absent := [path for path in tracked if not path.with_suffix("").exists()]:
        first = absent[0].with_suffix("").relative_to(project.root)
        msg = (
            f"{len(absent):,} files that DVC tracks are not here, {first} the first.\nA ledger left out would keep "
            "pseudonyms of the old key, and a withdrawal in it would find nobody: run `dvc pull` first."
        )
        raise PairtrailError(msg)


def _renamed(project: Project, sources: list[Source], limits: Limits, keys: Keys, wanted: Wanted) -> _Renamed:
    ledgers = all_ledgers(project)
    by_file = {path: subjects_of(project, path) for path in track(ledgers, "ledgers", len(ledgers))}
    subjects = set().union(*by_file.values())
    listed = of_list(wanted.ids, sources, limits, keys) if wanted.ids else None
    known = of_raw_files(project, sources, limits, keys)
    if listed is not None:
        known = pl.concat([known, listed]).unique("old")
    unmatched = sorted(subjects.difference(known["old"]))
    if unmatched and not wanted.leave_unmatched:
        raise _unmatched(len(unmatched), len(subjects))
    everybody = pl.concat([known, keys.without_raw(unmatched)]).sort("old")
    of_ledgers = everybody.filter(pl.col("old").is_in(list(subjects)))
    by_old = dict(zip(of_ledgers["old"], of_ledgers["new"], strict=True))
    vain = 0 if listed is None else len(set(listed["old"]) - subjects)
    return _Renamed(everybody, by_old, [path for path, named in by_file.items() if named], len(unmatched), vain)


def _unmatched(count: int, of: int) -> PairtrailError:
    msg = (
        f"{count:,} of {of:,} subjects of the ledgers stand in no raw file, so nobody can tell their new pseudonyms.\n"
        "Nothing was changed. Have all raw files here (`dvc pull`), and give the raw ids of the others with\n"
        "`--ids FILE`, a CSV file with the columns source and id. For whom nobody has one, `--leave-unmatched` gives\n"
        "new pseudonyms that no log will ever find; if logs of theirs come later, their rows are consent_unknown."
    )
    return PairtrailError(msg)


def _stage_keys(project: Project, preparing: Preparing, keys: Keys) -> None:
    """Put the new key where a build finds it; every key that stood there, and the old one, is kept beside."""
    place = project.root / KEY_FILE
    kept = {keys.old} | ({read_key(place)} if place.exists() else set())
    for key in sorted(kept - {PUBLIC_KEY}):
        beside = project.root / kept_key_file(fingerprint(key))
        if not beside.exists():
            preparing.stage(beside, [f"{key}\n".encode()])
    preparing.stage(place, [f"{keys.new}\n".encode()])


def _stage_map(project: Project, preparing: Preparing, keys: Keys, everybody: pl.DataFrame) -> list[str]:
    """Encrypt the map of old pseudonyms to new ones, under a key of its own; it is never on disk in plain text."""
    from cryptography.fernet import Fernet

    place = project.rotation.with_name(f"rotation-{fingerprint(keys.old)}-{fingerprint(keys.new)}.map")
    key = Fernet.generate_key()
    plain = "\n".join(["old,new", *everybody.select(pl.concat_str("old", "new", separator=",")).to_series()])
    preparing.stage(place, [Fernet(key).encrypt(plain.encode())])
    preparing.stage(place.with_name(f"{place.name}.key"), [key])
    name = place.relative_to(project.root)
    return [
        f"{name}: old and new pseudonyms of {everybody.height:,} people, encrypted; {name.name}.key opens it.",
        "  Keep the two apart, in two hands: together they join all that was built before with all that comes.",
    ]


def _stage_params(project: Project, preparing: Preparing, keys: Keys) -> None:
    text = project.params.read_bytes().decode()
    edited = with_fingerprint(text, fingerprint(keys.old), fingerprint(keys.new))
    preparing.replace(project.params, [edited.encode()])


def with_fingerprint(text: str, old: str, new: str) -> str:
    """Change `ingest.key_fingerprint` in the text of params.yaml; every other character stays as it is."""
    line, column = YAML().load(text)["ingest"].lc.value("key_fingerprint")
    lines = text.splitlines(keepends=True)
    # Quoted, as a fingerprint may look like a number.
    lines[line] = lines[line][:column] + re.sub(rf"^(['\"]?){old}\1", f"'{new}'", lines[line][column:])
    edited = "".join(lines)
    expected = parse_yaml(text)
    expected["ingest"]["key_fingerprint"] = new
    if parse_yaml(edited) != expected:
        msg = (
            f"params.yaml: line {line + 1}: write it plainly, `key_fingerprint: '{old}'`, for it to be changed in place"
        )
        raise PairtrailError(msg)
    return edited


def _counted(renamed: _Renamed, keys: Keys, wanted: Wanted) -> list[str]:
    people = f"{renamed.everybody.height:,} people have new pseudonyms"
    ledgers = f"{len(renamed.by_old):,} of them in {len(renamed.files):,} ledger files"
    told = [f"key {fingerprint(keys.old)} -> {fingerprint(keys.new)}: {people}, {ledgers}"]
    if renamed.unmatched:
        told.append(f"  {renamed.unmatched:,} subjects stand in no raw file: no log will find their records any more")
    if wanted.ids and renamed.vain:
        told.append(f"  {renamed.vain:,} ids of {wanted.ids.name} are no subject of a ledger")
    return told


def _kept(keys: Keys) -> list[str]:
    told = [f"{KEY_FILE} holds the new key (mode 0600); keep a copy in a safe place."]
    if keys.old != PUBLIC_KEY:
        told.append(
            f"{kept_key_file(fingerprint(keys.old))} holds the old one, for older releases; destroy it if it leaked."
        )
    stated = {KEY_VARIABLE: "its content", KEY_FILE_VARIABLE: "its path"}
    return told + [
        f"{name} is set and does not give the new key: unset it, or set it to {what} of {KEY_FILE}."
        for name, what in stated.items()
        if os.environ.get(name)
    ]


def _next(files: list[Path]) -> list[str]:
    tracked = [path for path in files if path.with_name(f"{path.name}.dvc").exists()]
    add = [f"  `dvc add` the {len(tracked):,} ledger files that DVC tracks"] if tracked else []
    return [
        "Next:",
        *add,
        "  `dvc repro`, and commit params.yaml, dvc.lock and the ledger together; the next release is a MAJOR one",
        "  give the new key to whoever writes pseudonyms into a ledger: an event under the old one finds nobody",
    ]
