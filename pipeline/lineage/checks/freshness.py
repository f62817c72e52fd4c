"""Whether dvc.lock tells of the project as it stands, found without pulling any data.

`dvc status` needs all data, and `dvc repro --allow-missing --dry` takes what is not there for unchanged where DVC
tracks the folder around it. Here each dependency is held against what DVC's own files say of it.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.core.errors import PairtrailError
from pipeline.core.params import read_yaml
from pipeline.core.project import Project
from pipeline.lineage.checks.standing import Tree
from pipeline.lineage.dvcfiles import FILE, LOCK, Held, Locked, Read, Stage, read_dvc
from pipeline.lineage.git import git_says
from pipeline.lineage.releases.records import Release, given_away, releases
from pipeline.stages import STAGES

_RELEASED = "data/ledger/released/"
_READERS = ("near", "split")
_MOST_NAMED = 10
_MISSING = object()

UNREAD = "not read by the build yet; run `dvc repro`"
UNWRITTEN = "an output that was not written yet; run `dvc repro`"


@dataclass(slots=True)
class Freshness:
    """What is stale, a line for each stage and reason; and what a reader should know where nothing is."""

    faults: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def stale(project: Project) -> list[str]:
    """Return what dvc.lock does not tell of: stage, files, what to do; empty where it is fresh."""
    return freshness(project).faults


def freshness(project: Project) -> Freshness:
    """Hold dvc.lock against dvc.yaml, params.yaml, .dvc files and the working tree."""
    if not (project.root / LOCK).exists():
        return Freshness([f"{LOCK}: not there, so nothing was built; run `dvc repro`, and commit it"])
    read = read_dvc(project)
    outs = {place: held for locked in read.locked.values() for place, held in locked.outs.items()}
    tree, found = Tree(project, outs), Freshness(read.faults)
    found.faults += [*_strangers(read), *_other_files(project)]
    waiting: set[str] = set()
    for name, stage in read.stages.items():
        if (locked := read.locked.get(name)) is None:
            found.faults.append(f"{LOCK}: stage {name}: not built yet, or not understood; run `dvc repro`")
            continue
        fresh = _released_since(project, stage, locked, outs) if name in _READERS else set()
        waiting |= fresh
        found.faults += _Comparison(tree, name, stage, locked, fresh).faults(project)
    found.told += (
        [f"near and split will read releases {', '.join(sorted(waiting))} at the next build"] if waiting else []
    )
    found.told += [f"{len(tree.by_size):,} large files compared by size only"] if tree.by_size else []
    return found


@dataclass(slots=True)
class _Comparison:
    """A stage as dvc.yaml states it beside what dvc.lock noted of it; the files of one reason are told together.

    `fresh` are the releases that the lock cannot know yet.
    """

    tree: Tree
    name: str
    stage: Stage
    locked: Locked
    fresh: set[str]
    places: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def faults(self, project: Project) -> Iterator[str]:
        """Compare all of it; yield a line for each reason."""
        self._command()
        if not self.stage.frozen or self.name in STAGES:
            self._deps()
            for place, reason in _params(project, self.stage, self.locked, self.name):
                self._add(place, reason)
        self._outs()
        for reason, places in self.places.items():
            more = f" and {len(places) - _MOST_NAMED:,} more" if len(places) > _MOST_NAMED else ""
            count = f" ({len(places):,})" if len(places) > 1 else ""
            yield f"{LOCK}: stage {self.name}: {', '.join(places[:_MOST_NAMED])}{more}{count}: {reason}"

    def _add(self, place: str, reason: str | None) -> None:
        if reason:
            self.places[reason].append(place)

    def _command(self) -> None:
        stage = self.stage
        if stage.cmd != self.locked.cmd:
            self._add("cmd", "another command than was run; run `dvc repro`")
        if stage.always or not (stage.deps or stage.params or stage.outs):
            self._add("always_changed", "such a stage is never up to date; name what it depends on and writes")
        if stage.frozen and self.name in STAGES:
            self._add("frozen", f"DVC does not look at its dependencies; take `frozen` out of {FILE}")

    def _deps(self) -> None:
        for place in self.stage.deps:
            self._add(place, self._dep(place))
        for place in self.locked.deps:
            if place not in self.stage.deps:
                self._add(place, _dropped("a dependency", self.name))

    def _dep(self, place: str) -> str | None:
        try:
            if (held := self.locked.deps.get(place)) is not None:
                return self.tree.dep(place, held)
            return self.tree.lost(place) if _version(place) in self.fresh else UNREAD
        except PairtrailError as error:
            return str(error)

    def _outs(self) -> None:
        for place, cached in self.stage.outs.items():
            held = self.locked.outs.get(place)
            self._add(place, self.tree.out(place, held, cached=cached) if held else UNWRITTEN)
        for place in self.locked.outs:
            if place not in self.stage.outs:
                self._add(place, _dropped("an output", self.name))


def _dropped(kind: str, stage: str) -> str:
    """Tell of what the build read and dvc.yaml does not name any more: DVC calls that up to date."""
    what = f"{kind} of the build that {FILE} does not name any more, which DVC does not see"
    return f"{what}; run `dvc repro --force {stage}`"


def _params(project: Project, stage: Stage, locked: Locked, of: str) -> Iterator[tuple[str, str]]:
    for file, names in stage.params.items():
        values = locked.params.get(file, {})
        try:
            stated = read_yaml(project.root / file)
        except PairtrailError as error:
            yield file, str(error)
            continue
        whole = stated if isinstance(stated, dict) else {}
        for name in dict.fromkeys([*whole, *values] if names is None else names):
            now, then = _at(stated, name), values.get(name, _MISSING)
            if now is _MISSING or then is _MISSING or now != then:
                what = "not stated any more" if now is _MISSING else "another value than was built with"
                yield f"{file}: {name}", f"{what}; run `dvc repro`"
        for name in values:
            if names is not None and name not in names:
                yield f"{file}: {name}", _dropped("a parameter", of)
    for file in locked.params:
        if file not in stage.params:
            yield file, _dropped("a file of parameters", of)


def _at(stated: Any, name: str) -> Any:  # noqa: ANN401
    """Return the value at a path of keys, such as `split.salt`; a key that is written with its dots counts too."""
    if isinstance(stated, dict) and name in stated:
        return stated[name]
    for key in name.split("."):
        if not isinstance(stated, dict) or key not in stated:
            return _MISSING
        stated = stated[key]
    return stated


def _strangers(read: Read) -> Iterator[str]:
    for name in STAGES:
        if name not in read.stages:
            yield f"{FILE}: stage {name}: not there, or not understood; take it back from git"
    for name in read.locked:
        if name not in read.stages:
            yield f"{LOCK}: stage {name}: {FILE} has no such stage; take its entry out of {LOCK}"


def _other_files(project: Project) -> Iterator[str]:
    listed = git_says(project, "ls-files", "--", "*/dvc.yaml") or ""
    for place in listed.splitlines():
        yield f"{place}: only the {FILE} of the project's root is looked at; put its stages there"


def _version(place: str) -> str:
    return place.removeprefix(_RELEASED).removesuffix(".parquet") if place.startswith(_RELEASED) else ""


def _released_since(project: Project, stage: Stage, locked: Locked, outs: dict[str, Held]) -> set[str]:
    """Return the releases of just this build: the lock cannot know what `pairtrail release` remembered of it since."""
    unread = {_version(place) for place in stage.deps if place not in locked.deps} - {""}
    made = given_away({place: held.md5 for place, held in outs.items()})
    known = releases(project) if unread else []
    return {str(one.version) for one in known if str(one.version) in unread and _md5s(one) == made}


def _md5s(release: Release) -> dict[str, Any]:
    return {place: facts.get("md5") for place, facts in release.facts["files"].items()}
