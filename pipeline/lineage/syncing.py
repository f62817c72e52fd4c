"""Keeping dvc.yaml true: each stage depends on its import closure, the lock, and each raw file by name."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.core.benchmarks.sidecars import SIDECAR as BENCHMARK
from pipeline.core.benchmarks.sidecars import load_benchmarks
from pipeline.core.closure import closure
from pipeline.core.consent.events import ledger_files
from pipeline.core.contamination import exceptions_folder
from pipeline.core.errors import PairtrailError
from pipeline.core.ledgers import ledger_files as small_ledger
from pipeline.core.params import parse_yaml, read_text
from pipeline.core.project import Project
from pipeline.core.released import released_files
from pipeline.core.sidecar.sidecars import SIDECAR, Source
from pipeline.core.sidecar.sources import load_sources
from pipeline.core.tables import write_text
from pipeline.core.versions import load_versions
from pipeline.stages import STAGES

LOCK = "requirements.lock"
_INPUTS = ("data/raw/", "data/policy/", "data/rubric/", "data/ledger/", "data/benchmarks/")
_RAW = {"ingest": "files", "validate": "sidecars", "publish": "sidecars"}
_VERSIONED = ("validate", "publish")
_SIDED = ("near", "split")


def wanted_deps(project: Project, stage: str) -> list[str]:
    """Return the code and input files that a stage's `deps` must hold beside the tables of other stages."""
    files = [*_of_sources(project, stage), *_of_ledgers(project, stage)]
    if stage in _VERSIONED:
        for folder in (project.policy, project.rubric):
            files += [version.path for version in load_versions(folder).values()]
    if stage == "decontaminate":
        for one in load_benchmarks(project):
            files += [one.folder / BENCHMARK, *one.files()]
    return [*closure(f"pipeline.stages.{stage}"), LOCK, *(path.relative_to(project.root).as_posix() for path in files)]


def _of_sources(project: Project, stage: str) -> list[Path]:
    kind = _RAW.get(stage)
    return [path for source in load_sources(project.raw) for path in _inputs(source, kind)] if kind else []


def _of_ledgers(project: Project, stage: str) -> list[Path]:
    """Return the files that exist of the ledgers that a stage reads."""
    files = ledger_files(project.ledger) if stage == "validate" else []
    if stage in _SIDED:
        files += [*small_ledger(project.pins), *released_files(project)]
    if stage == "split":
        files += [*([project.epochs] if project.epochs.exists() else []), *small_ledger(exceptions_folder(project))]
    return files


def _inputs(source: Source, kind: str | None) -> list[Path]:
    sidecar = source.folder / SIDECAR
    if kind == "sidecars":
        return [sidecar]
    return [sidecar, *sorted({path for pattern in source.globs() for path in source.matching(pattern)})]


def synced(project: Project) -> tuple[str, dict[str, tuple[list[str], list[str]]]]:
    """Return dvc.yaml as it should be, and per stage what it lacks and what it names in vain.

    The text is changed line by line, so that comments and everything else stay as they stand.
    """
    path = project.root / "dvc.yaml"
    lines = read_text(path).splitlines(keepends=True)
    parse_yaml("".join(lines), str(path))
    pipeline: Any = YAML().load("".join(lines))
    changes: dict[str, tuple[list[str], list[str]]] = {}
    edits: list[tuple[int, list[str]]] = []
    # The owner of a project may add stages of their own: those are theirs to write.
    for stage in (name for name in STAGES if name in (pipeline.get("stages") or {})):
        stated = _deps(pipeline["stages"][stage], stage, path)
        wanted = [dep for dep in stated if _is_table(dep)] + wanted_deps(project, stage)
        lacks, vain = [dep for dep in wanted if dep not in stated], [dep for dep in stated if dep not in wanted]
        if lacks or vain:
            changes[stage] = (lacks, vain)
            edits += _edits(stated, lacks, vain, lines)
    for line, replaced in sorted(edits, reverse=True):
        lines[line : line + 1] = replaced
    return "".join(lines), changes


def _deps(stage: Any, name: str, path: Path) -> Any:  # noqa: ANN401
    deps = stage.get("deps")
    if not deps or deps.fa.flow_style():
        msg = f"{path}: stage {name}: write `deps` as a list, one file a line, beginning with `- {LOCK}`"
        raise PairtrailError(msg)
    return deps


def _edits(stated: Any, lacks: list[str], vain: list[str], lines: list[str]) -> list[tuple[int, list[str]]]:  # noqa: ANN401
    """Return the lines to replace: those in vain go, and the lacking ones follow the last."""
    places = [stated.lc.item(place) for place in range(len(stated))]
    last, column = places[-1]
    kept = {line: [] if dep in vain else [lines[line]] for dep, (line, _) in zip(stated, places, strict=True)}
    kept[last] = kept[last] + [f"{' ' * (column - 2)}- {dep}\n" for dep in lacks]
    return list(kept.items())


def _is_table(dep: str) -> bool:
    return dep.startswith("data/") and not dep.startswith(_INPUTS)


def sync(project: Project) -> dict[str, tuple[list[str], list[str]]]:
    """Write dvc.yaml as it should be; return the changes."""
    text, changes = synced(project)
    if changes:
        write_text(text, project.root / "dvc.yaml")
    return changes
