"""Keeping dvc.yaml true: each stage depends on its import closure, the lock, and each raw file by name."""

from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.core.closure import closure
from pipeline.core.project import Project
from pipeline.core.sidecars import SIDECAR, Source
from pipeline.core.sources import load_sources
from pipeline.core.tables import write_text
from pipeline.core.versions import load_versions

LOCK = "requirements.lock"
_RAW = {"ingest": "files", "validate": "sidecars", "publish": "sidecars"}
_VERSIONED = ("validate", "publish")


def wanted_deps(project: Project, stage: str) -> list[str]:
    """Return the code and input files that a stage's `deps` must hold beside the tables of other stages."""
    deps = [*closure(f"pipeline.stages.{stage}"), LOCK]
    kind = _RAW.get(stage)
    for source in load_sources(project.raw) if kind else []:
        deps += [path.relative_to(project.root).as_posix() for path in _inputs(source, kind)]
    if stage in _VERSIONED:
        for folder in (project.policy, project.rubric):
            deps += [version.path.relative_to(project.root).as_posix() for version in load_versions(folder).values()]
    return deps


def _inputs(source: Source, kind: str | None) -> list[Path]:
    sidecar = source.folder / SIDECAR
    if kind == "sidecars":
        return [sidecar]
    return [sidecar, *sorted({path for pattern in source.globs() for path in source.matching(pattern)})]


def synced(project: Project) -> tuple[str, dict[str, tuple[list[str], list[str]]]]:
    """Return dvc.yaml as it should be, and per stage what it lacks and what it names in vain."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 200
    yaml.indent(mapping=2, sequence=4, offset=2)
    pipeline: Any = yaml.load((project.root / "dvc.yaml").read_text(encoding="utf-8"))
    changes = {}
    for stage, content in pipeline["stages"].items():
        tables = [dep for dep in content["deps"] if _is_table(dep)]
        wanted = tables + wanted_deps(project, stage)
        lacks, vain = sorted(set(wanted) - set(content["deps"])), sorted(set(content["deps"]) - set(wanted))
        if lacks or vain:
            changes[str(stage)] = (lacks, vain)
            content["deps"] = wanted
    stream = StringIO()
    yaml.dump(pipeline, stream)
    return stream.getvalue(), changes


def _is_table(dep: str) -> bool:
    return dep.startswith("data/") and not dep.startswith(("data/raw/", "data/policy/", "data/rubric/"))


def sync(project: Project) -> dict[str, tuple[list[str], list[str]]]:
    """Write dvc.yaml as it should be; return the changes."""
    text, changes = synced(project)
    if changes:
        write_text(text, project.root / "dvc.yaml")
    return changes
