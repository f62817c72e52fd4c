"""Checks that CI can run: all that is cheap to look at, each told in a line, and all faults at once."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from pipeline.core.benchmarks.sidecars import SIDECAR as BENCHMARK
from pipeline.core.errors import PairtrailError, raised
from pipeline.core.params import read_yaml, section
from pipeline.core.project import Project
from pipeline.core.sidecar.sidecars import SIDECAR
from pipeline.core.sidecar.sources import read_source, source_folders
from pipeline.core.versions import load_versions
from pipeline.lineage.benchmarks import benchmark_checked, benchmark_looks
from pipeline.lineage.checks.freshness import freshness
from pipeline.lineage.checks.ingit import git_faults
from pipeline.lineage.checks.promises import ledgers_grown, schema_checked, texts_checked
from pipeline.lineage.checks.published import published_checked
from pipeline.lineage.checks.pulled import as_if_pulled, away, below
from pipeline.lineage.checks.recorded import releases_checked
from pipeline.lineage.checks.sources import source_checked
from pipeline.lineage.consent.checked import ledger_told
from pipeline.lineage.ledgers import ledgers_checked
from pipeline.lineage.releases.naming import Params
from pipeline.lineage.syncing import synced
from pipeline.stages import STAGES, stage_module

_Found: TypeAlias = tuple[list[str], str] | None
"""The faults, and what is worth telling where there is none; None where there is nothing here to look at."""

_Look: TypeAlias = Callable[[], _Found]


@dataclass(slots=True)
class Checked:
    """One thing that was looked at: sound where it has no faults, unless it could not be looked at."""

    name: str
    faults: list[str] = field(default_factory=list)
    told: str = ""
    looked: bool = True

    @property
    def line(self) -> str:
        """Tell it in one line."""
        return ": ".join([self.name, *([] if self.looked else ["not checked"]), *([self.told] if self.told else [])])

    def as_dict(self) -> dict[str, Any]:
        """Tell it to a script."""
        status = "fault" if self.faults else "ok" if self.looked else "not checked"
        return {**{key: value for key, value in asdict(self).items() if key != "looked"}, "status": status}


class NotHereError(Exception):
    """What a check would read was not pulled; the text says what."""


def check(project: Project, paths: list[Path], *, allow_stale: bool = False) -> list[str]:
    """Check the given files, or everything; return a line for each. Raises PairtrailError with all faults."""
    found = checks(project, paths, allow_stale=allow_stale)
    refuse(found)
    return [one.line for one in found]


def refuse(found: list[Checked]) -> None:
    """Raise PairtrailError with all faults, each once: one sidecar's is met again wherever all sources are read."""
    if faults := list(dict.fromkeys(fault for one in found for fault in one.faults)):
        raise PairtrailError("\n".join(faults))


def checks(project: Project, paths: list[Path], *, allow_stale: bool = False) -> list[Checked]:
    """Look at the given files, or at everything. With `allow_stale` a stale dvc.lock is told, and no fault."""
    if paths:
        return [_checked(str(path), _look_at(project, path)) for path in paths]
    return [_checked(name, look) for name, look in _looks(project, allow_stale=allow_stale)]


def _checked(name: str, look: _Look) -> Checked:
    try:
        found = look()
    except NotHereError as error:
        return Checked(name, told=str(error), looked=False)
    except PairtrailError as error:
        return Checked(name, [str(error)])
    return Checked(name, told="nothing of it is here", looked=False) if found is None else Checked(name, *found)


def _looks(project: Project, *, allow_stale: bool) -> Iterator[tuple[str, _Look]]:
    gone = away(project)
    yield "params.yaml", lambda: (_params_faults(project), "")
    yield "policies and rubrics", lambda: (_version_faults(project), "")
    for folder in source_folders(project.raw):
        yield f"data/raw/{folder.name}/{SIDECAR}", partial(_source, project, folder, gone)
    yield from _benchmarks(project, gone)
    yield "epochs, pins, releases and exceptions", lambda: ledgers_checked(project, gone)
    yield "consent ledger", lambda: ([], _unless_away(gone, "data/ledger/consent") or ledger_told(project))
    yield "dvc.yaml", lambda: (_pipeline_faults(project, gone), "")
    yield "dvc.lock", lambda: _fresh(project, allow_stale=allow_stale)
    yield "raw data in git", lambda: (_git_faults(project, gone), "")
    yield "releases", lambda: releases_checked(project)
    yield "schema", lambda: schema_checked(project)
    yield "released policies and rubrics", lambda: texts_checked(project)
    yield "ledgers since the last release", lambda: ledgers_grown(project)
    yield "data/publish", lambda: published_checked(project)


def _look_at(project: Project, path: Path) -> _Look:
    known: dict[str, _Look] = {
        SIDECAR: lambda: _sidecar(project, path),
        BENCHMARK: lambda: benchmark_checked(path),
        "params.yaml": lambda: (_params_faults(project), ""),
        "dvc.yaml": lambda: (_pipeline_faults(project, away(project)), ""),
    }
    if path.name in known:
        return known[path.name]
    if path.suffix == ".md":
        return lambda: ([] if path.stem in load_versions(path.parent) else [f"{path}: no such file"], "")
    kinds = f"{', '.join(known)}, policies and rubrics (*.md)"
    msg = f"{path}: cannot check this kind of file; known: {kinds}"
    raise PairtrailError(msg)


def _unless_away(gone: dict[str, Path], place: str) -> str:
    """Raise NotHereError where some of a place was not pulled; else say nothing."""
    if lacking := below(gone, place):
        raise NotHereError(_not_pulled(lacking))
    return ""


def _not_pulled(lacking: list[str]) -> str:
    more = f" and {len(lacking) - 3:,} more" if len(lacking) > 3 else ""  # noqa: PLR2004
    return f"{', '.join(lacking[:3])}{more}: not pulled (`dvc pull` brings it)"


def _source(project: Project, folder: Path, gone: dict[str, Path]) -> _Found:
    """Hold a sidecar against its data; of one whose data is away, only that it can be read."""
    if below(gone, folder.relative_to(project.root).as_posix()):
        read_source(folder / SIDECAR)
        _unless_away(gone, folder.relative_to(project.root).as_posix())
    return source_checked(folder / SIDECAR)


def _sidecar(project: Project, path: Path) -> _Found:
    """Hold a named sidecar against its data, where that is here."""
    read_source(path)
    root, folder = project.root.resolve(), path.resolve().parent
    if folder.is_relative_to(root):
        _unless_away(away(project), folder.relative_to(root).as_posix())
    return source_checked(path)


def _benchmarks(project: Project, gone: dict[str, Path]) -> Iterator[tuple[str, _Look]]:
    if below(gone, "data/benchmarks"):
        yield "data/benchmarks", lambda: ([], _unless_away(gone, "data/benchmarks"))
    else:
        yield from benchmark_looks(project)


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


def _pipeline_faults(project: Project, gone: dict[str, Path]) -> list[str]:
    with as_if_pulled(project, gone) as named:
        _, changes = synced(named)
    faults = [
        f"dvc.yaml: stage {stage} {('lacks', 'names in vain')[which]} {', '.join(files)}; run `pairtrail sync`"
        for stage, both in changes.items()
        for which, files in enumerate(both)
        if files
    ]
    stages = read_yaml(project.root / "dvc.yaml").get("stages") or {}
    return faults + [f"dvc.yaml: no stage {stage}; take it back from git" for stage in STAGES if stage not in stages]


def _fresh(project: Project, *, allow_stale: bool) -> _Found:
    found = freshness(project)
    if found.faults and allow_stale:
        return [], f"stale, which --allow-stale lets pass: {len(found.faults):,} reasons; `dvc repro` builds anew"
    return found.faults, "; ".join(found.told)


def _git_faults(project: Project, gone: dict[str, Path]) -> list[str]:
    with as_if_pulled(project, gone) as named:
        return git_faults(project, named)
