"""Checks that CI can run: sidecars against their data, params, policies, rubrics, dvc.yaml, and what git holds."""

import re
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.adapters import adapter_for
from pipeline.core.benchmarks.sidecars import SIDECAR as BENCHMARK
from pipeline.core.epochs import PLACE as EPOCHS
from pipeline.core.errors import PairtrailError, raised
from pipeline.core.mapping.fieldmap import Joined
from pipeline.core.params import read_yaml, section
from pipeline.core.project import Project
from pipeline.core.raw.rawfiles import read_batches
from pipeline.core.sidecar.sidecars import SIDECAR, Format, Group, Source
from pipeline.core.sidecar.sources import load_source, load_sources, read_source, source_folders
from pipeline.core.sidecar.specs import AnySpec, FromPath, side_of
from pipeline.core.versions import load_versions
from pipeline.lineage.benchmarks import benchmark_checked, benchmark_looks, benchmarks_in_git
from pipeline.lineage.consent.checked import ledger_told, unconsented
from pipeline.lineage.ledgers import ledgers_checked
from pipeline.lineage.looking import TABLES, Looked, headless
from pipeline.lineage.releases.naming import Params
from pipeline.lineage.syncing import synced
from pipeline.lineage.trying import tried
from pipeline.stages import STAGES, stage_module

# Enough to see whether a map fits; the whole file is read by ingest.
_LOOKED_AT = 5_000
# What DVC, and `sources new`, write beside a file in any folder.
_BESIDE = re.compile(r"\.dvc$|/\.gitignore$")
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,30}( [\w.-]{1,10})?")


def check(project: Project, paths: list[Path]) -> list[str]:
    """Check the given files, or everything; return what is sound. Raises PairtrailError with all faults."""
    sound: list[str] = []
    faults: list[str] = []
    for name, look in _checks(project, paths):
        try:
            found, told = look()
        except PairtrailError as error:
            found, told = [str(error)], ""
        # One sidecar's fault is met again wherever all sources are read.
        faults += [fault for fault in found if fault not in faults]
        sound += [] if found else [f"{name}: {told}" if told else name]
    if faults:
        raise PairtrailError("\n".join(faults))
    return sound


_Look = Callable[[], tuple[list[str], str]]
"""Gives the faults, and what is worth telling where there is none."""


def _checks(project: Project, paths: list[Path]) -> Iterator[tuple[str, _Look]]:
    for path in paths:
        yield _checks_of_path(project, path)
    if paths:
        return
    yield "params.yaml", lambda: (_params_faults(project), "")
    yield "policies and rubrics", lambda: (_version_faults(project), "")
    for folder in source_folders(project.raw):
        yield f"data/raw/{folder.name}/{SIDECAR}", partial(_source_checked, folder / SIDECAR)
    yield from benchmark_looks(project)
    yield "epochs, pins, releases and exceptions", lambda: ledgers_checked(project)
    yield "consent ledger", lambda: ([], ledger_told(project))
    yield "dvc.yaml", lambda: (_pipeline_faults(project), "")
    yield "raw data in git", lambda: (_git_faults(project), "")


def _checks_of_path(project: Project, path: Path) -> tuple[str, _Look]:
    if path.name == SIDECAR:
        return str(path), lambda: _source_checked(path)
    if path.name == BENCHMARK:
        return str(path), lambda: benchmark_checked(path)
    known = {"params.yaml": _params_faults, "dvc.yaml": _pipeline_faults}
    if path.name in known:
        return str(path), lambda: (known[path.name](project), "")
    if path.suffix == ".md":
        return str(path), lambda: ([] if path.stem in load_versions(path.parent) else [f"{path}: no such file"], "")
    known_kinds = f"{SIDECAR}, {BENCHMARK}, params.yaml, dvc.yaml, policies and rubrics (*.md)"
    msg = f"{path}: cannot check this kind of file; known: {known_kinds}"
    raise PairtrailError(msg)


def _params_faults(project: Project) -> list[str]:
    stated, known = read_yaml(project.params), (*STAGES, "release")
    faults = [
        f"{project.params}: nothing has the section `{name}` (known: {', '.join(known)})"
        for name in (stated if isinstance(stated, dict) else ())
        if name not in known
    ]
    kinds = {**{stage: stage_module(stage).Params for stage in STAGES}, "release": Params}
    for name, kind in kinds.items():
        faults += raised(partial(section, kind, name, project.params))
    return faults


def _version_faults(project: Project) -> list[str]:
    return [
        f"{folder.name}: no version; write one as data/{folder.name}/NAME.md"
        for folder in (project.policy, project.rubric)
        if not load_versions(folder)
    ]


def _pipeline_faults(project: Project) -> list[str]:
    _, changes = synced(project)
    return [
        f"dvc.yaml: stage {stage} {('lacks', 'names in vain')[which]} {', '.join(files)}; run `pairtrail sync`"
        for stage, both in changes.items()
        for which, files in enumerate(both)
        if files
    ]


def _git_faults(project: Project) -> list[str]:
    """Refuse real data in git: its history cannot be erased."""
    if not any((folder / ".git").exists() for folder in (project.root, *project.root.parents)):
        return []
    listed = subprocess.run(["git", "ls-files", "-z", "data"], cwd=project.root, capture_output=True, check=False)  # noqa: S607
    if listed.returncode:
        return ["git could not list its files, so nobody can say whether real data is among them; try `git ls-files`"]
    tracked = {name for name in listed.stdout.decode().split("\0") if name}
    real = [source for source in load_sources(project.raw) if not source.sidecar.synthetic]
    faults = benchmarks_in_git(project, tracked)
    faults += [
        f"{name}: a ledger of real people in git; `git rm --cached` it, then `dvc add` it"
        for name in sorted(tracked)
        if real and name.startswith("data/ledger/") and name != EPOCHS and not _BESIDE.search(name)
    ]
    for source in real:
        folder = source.folder.relative_to(project.root).as_posix()
        files = sorted(
            name
            for name in tracked
            if name.startswith(f"{folder}/") and name != f"{folder}/{SIDECAR}" and not _BESIDE.search(name)
        )
        faults += [
            f"{name}: real data in git (not `synthetic: true`); `git rm --cached` it, then `dvc add` it"
            for name in files
        ]
    return faults


def source_faults(path: Path) -> list[str]:
    """Explain what is wrong with a sidecar, looking at the first records of its files."""
    return _source_checked(path)[0]


def _source_checked(path: Path) -> tuple[list[str], str]:
    """Hold a sidecar against the first records of its files, then try its adapter on them."""
    source = read_source(path)
    if faults := [*raised(lambda: load_source(path)), *raised(lambda: adapter_for(source))]:
        return faults, ""
    adapter, told = adapter_for(source), []
    for group in source.sidecar.files:
        found = _map_faults(source, group)
        if not found:
            outcome = tried(source, adapter, group)
            told.append(outcome.told())
            found = [fault] if (fault := outcome.fault()) else []
        faults += [f"{path}: {group.glob}: {fault}" for fault in found]
    return faults, "; ".join([*told, *unconsented(source)])


def _map_faults(source: Source, group: Group) -> list[str]:
    records = _first_records(source.files(group), source.format(group))
    if not records.records:
        return ["no record can be read"]
    sides = {
        name: _first_records(source.matching(join.glob), source.format(join))
        for name, join in source.sidecar.join.items()
    }
    keys = [(f"join.{name}.on", records, join.on) for name, join in source.sidecar.join.items()]
    keys += [(f"join.{name}.key", sides[name], join.key) for name, join in source.sidecar.join.items()]
    faults = [
        f"{where}: `{path}` is found in none of {len(found.records):,} records{_known(found)}"
        for where, found, path in keys
        if _absent(found.records, path)
    ]
    mapped = [pair for _, specs in source.variants(group) for pair in specs.items()]
    mapped += [("consent_refs", spec) for ref in source.consent_refs for spec in (ref.subject, ref.consent_id)]
    for name, spec in mapped:
        faults += _spec_faults(name, spec, records, sides)
    return sorted(set(faults))


def _first_records(files: list[Path], declared: Format) -> Looked:
    values = (value for path in files for batch in read_batches(path, declared, _no_digest) for value in batch.values)
    records = list(islice((value for value in values if value is not None), _LOOKED_AT))
    return Looked(declared, records, len(records))


def _no_digest(raws: list[bytes]) -> list[str]:
    return [""] * len(raws)


def _absent(records: list[dict[str, Any]], path: str) -> bool:
    return all(value is None for value in Joined(records).at(path))


def _spec_faults(name: str, spec: AnySpec, records: Looked, sides: dict[str, Looked]) -> Iterator[str]:
    for path in spec.paths():
        side, inner = side_of(path)
        looked = records if side is None else sides[side]
        found = looked.records
        if _absent(found, inner):
            yield f"field `{name}`: `{path}` is found in none of {len(found):,} records{_known(looked)}"
        elif isinstance(spec, FromPath) and spec.values is not None:
            met = {
                str(value).lower() if isinstance(value, bool) else str(value)
                for value in Joined(found).at(inner)
                if value is not None
            }
            if not met & set(spec.values):
                keys = ", ".join(spec.values)
                yield f"field `{name}`: none of the map's keys ({keys}) occurs at `{path}` in {len(found):,} records"


def _known(looked: Looked) -> str:
    """List the keys that look like names; a table without a header has texts and people where its keys should be."""
    if looked.format in TABLES and looked.records and headless(looked.records):
        return " (the first row does not look like a header)"
    keys = sorted({str(key) for record in looked.records[:100] for key in record})
    names = [key for key in keys if _NAME.fullmatch(key)]
    told = ", ".join(names[:30]) or f"{len(keys)} keys that do not look like names"
    return f" (known: {told})" if keys else ""
