"""What changed since the last release, and whether the declared version says so."""

from typing import Any

from semver import Version

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.lineage.diff.builds import PLACES
from pipeline.lineage.diff.compare import compare
from pipeline.lineage.diff.found import Diff
from pipeline.lineage.diff.kinds import LEVELS, Level
from pipeline.lineage.releases.facts import Change
from pipeline.lineage.releases.history import history_looks
from pipeline.lineage.releases.paper import WITHDRAWAL_LOOK, paper_looks
from pipeline.lineage.releases.readiness import declared_level, next_version
from pipeline.lineage.releases.records import PUBLISHED, Release, releases
from pipeline.lineage.releases.signing import trusted_keys
from pipeline.lineage.revisions import Revision, revision, viewing
from schemas.contract import contract

_OURS = ("source", "reason")


def changed(project: Project, view: Project, version: Version, last: Release | None) -> Change:
    """Compare the build with the last release. Raises PairtrailError where the declared version promises less change.

    Rows that moved between sides are refused under any version, and so is a last release that is not what it says, or
    cannot be read: what it promised could not be kept knowingly.
    """
    if last is None:
        return Change(version, None, "major", None)
    _refuse_withdrawn(project)
    _refuse_broken(project, last)
    with viewing(Revision(project, str(last.version), last.facts["build_commit"]), PLACES) as before:
        diff = compare(before, view)
    if diff.not_compared:
        lacking = ", ".join(sorted(diff.not_compared))
        msg = f"{lacking}: not in both builds, so nobody can say what changed since {last.version}"
        raise PairtrailError(msg)
    level: Level = "major" if contract()["version"] != last.facts["schema"]["version"] else diff.level
    _refuse(diff, version, last, level)
    return Change(version, last, level, _for_git(diff.counts()))


def _refuse_withdrawn(project: Project) -> None:
    """Raise PairtrailError where the build is that of a release which was withdrawn, for whatever reason it was."""
    outputs = {one.path: one.md5 for one in revision(project, "HEAD").outputs().values()}
    for release in releases(project):
        files = release.facts["files"].items()
        if release.withdrawn and all(outputs.get(f"{PUBLISHED}/{place}") == one["md5"] for place, one in files):
            msg = (
                f"these are the files of {release.version}, which was withdrawn (`pairtrail release verify "
                f"{release.version}` says why): build without what it was withdrawn for, and release then"
            )
            raise PairtrailError(msg)


def _refuse_broken(project: Project, last: Release) -> None:
    looks = [*history_looks(project, last), *paper_looks(last, trusted_keys(project))]
    told = [
        f"  {one.what}: {fault}"
        for one in looks
        if not one.waits
        for fault in one.faults
        if one.what != WITHDRAWAL_LOOK
    ]
    if told:
        head = f"the last release, {last.version}, is not what it says, so nobody can say what changed since:"
        raise PairtrailError("\n".join([head, *told]))


def _for_git(counts: dict[str, Any]) -> dict[str, Any]:
    """Leave out what records state, such as categories: git's history cannot be erased."""
    kinds = {
        kind: found and {**found, "by": {name: by for name, by in found["by"].items() if name in _OURS}}
        for kind, found in counts["kinds"].items()
    }
    return {**counts, "kinds": kinds}


def _refuse(diff: Diff, version: Version, last: Release, level: Level) -> None:
    declared, see = declared_level(version, last.version), f"`pairtrail diff {last.version}` shows all."
    if diff.moved and "epoch" not in diff.build:
        msg = f"{diff.moved:,} rows stand on another side than in {last.version}, in the same epoch: a leak. {see}"
        raise PairtrailError(msg)
    if LEVELS.index(declared) > LEVELS.index(level):
        counted = ", ".join(f"{one['kind']} {one['count']:,}" for one in diff.why if one["level"] == level)
        msg = (
            f"{version} declares a {declared.upper()} change of {last.version}, but it is a {level.upper()} one: "
            f"{counted or 'another version of the schema'}.\nRelease {next_version(last.version, level)}; {see}"
        )
        raise PairtrailError(msg)
