"""What must hold before a release: a clean tree, a sound and fresh build of just this tree, consent as new as it."""

from collections.abc import Iterator, Mapping
from typing import Any

from semver import Version

from pipeline.core.closure import code_digest
from pipeline.core.errors import PairtrailError
from pipeline.core.params import read_yaml
from pipeline.core.project import Project
from pipeline.core.publishing.content import file_digest
from pipeline.core.sidecar.sidecars import SIDECAR
from pipeline.core.sidecar.sources import source_folders
from pipeline.core.versions import load_versions
from pipeline.lineage.checking import check
from pipeline.lineage.diff.kinds import Level
from pipeline.lineage.git import git, git_says
from pipeline.lineage.releases.naming import as_version
from pipeline.lineage.releases.records import Release
from pipeline.stages import STAGES
from schemas.dictionary import schema_digest


def new_version(text: str, last: Release | None) -> Version:
    """Read the version that is declared. Raises PairtrailError where it is none, or not above the last one."""
    version = as_version(text)
    if version.prerelease or version.build:
        msg = f"{text}: write MAJOR.MINOR.PATCH: what a consumer pins is a release or it is not"
        raise PairtrailError(msg)
    if last and version <= last.version:
        msg = f"{version}: not above the last release, {last.version}"
        raise PairtrailError(msg)
    return version


def declared_level(version: Version, last: Version) -> Level:
    """Return by which of its parts a version stands above the last one."""
    if version.major != last.major:
        return "major"
    return "minor" if version.minor != last.minor else "patch"


def next_version(last: Version, level: Level) -> Version:
    """Return the least version that declares a change of that level."""
    bumped: Version = getattr(last, f"bump_{level}")()
    return bumped


def refuse_unclean(project: Project) -> None:
    """Raise PairtrailError where git's tree is not as committed, or no branch could take the release."""
    if git_says(project, "rev-parse", "--verify", "--quiet", "HEAD") is None:
        msg = "no commit yet, or no git here: a release is a commit and a tag; commit the build first"
        raise PairtrailError(msg)
    if git_says(project, "symbolic-ref", "--quiet", "HEAD") is None:
        msg = "no branch is checked out: a release is a commit on a branch; `git switch` to the one to release from"
        raise PairtrailError(msg)
    hidden = [line[2:] for line in git(project, "ls-files", "-v").decode(errors="replace").splitlines() if _hides(line)]
    if hidden:
        msg = (
            f"git is told not to look at {', '.join(hidden[:10])}: take that back (`git update-index --really-refresh`)"
        )
        raise PairtrailError(msg)
    looking = ("--untracked-files=all", "--ignore-submodules=none")
    changed = git(project, "status", "--porcelain", *looking).decode(errors="replace").splitlines()
    if changed:
        shown = ", ".join(line[3:] for line in changed[:10])
        msg = f"{len(changed):,} files are not as committed ({shown}): commit them, or take them back"
        raise PairtrailError(msg)


def _hides(line: str) -> bool:
    """Whether git assumes a file unchanged (a lower-case letter), or skips it in the tree (S)."""
    return line[:1].islower() or line.startswith("S")


def refuse_unsound(project: Project) -> None:
    """Raise PairtrailError where `pairtrail check` finds a fault: among them a dvc.lock that is not fresh."""
    try:
        check(project, [])
    except PairtrailError as error:
        msg = f"nothing was released, as `pairtrail check` finds:\n{error}"
        raise PairtrailError(msg) from None


def refuse_foreign_build(project: Project, manifest: Mapping[str, Any]) -> None:
    """Raise PairtrailError where the build says of itself that it was made from anything but this tree."""
    if faults := list(_foreign(project, manifest)):
        told = [f"  {fault}" for fault in faults]
        advice = "Run `dvc repro`, look at what changed, commit, and release then."
        raise PairtrailError("\n".join(["the published dataset is not of this tree:", *told, advice]))


def _foreign(project: Project, manifest: Mapping[str, Any]) -> Iterator[str]:
    if manifest["schema_digest"] != schema_digest():
        yield "schemas/: tables have other columns or rules than the build"
    for stage in STAGES:
        if manifest["accounts"][stage]["code_digest"] != code_digest([f"pipeline.stages.{stage}"]):
            yield f"{stage}: its code is not the one that ran"
    yield from _foreign_params(project, manifest)
    for kind, folder in (("policies", project.policy), ("rubrics", project.rubric)):
        held = {name: version.sha256 for name, version in load_versions(folder).items()}
        stated = {name: one["sha256"] for name, one in manifest[kind].items()}
        yield from (
            f"data/{folder.name}/{name}.md: not the text that the build names"
            for name in stated
            if held.get(name) != stated[name]
        )
    # By the sidecars alone: what a clone without the raw files lacks is told where the inputs are digested.
    sidecars = {folder.name: file_digest(folder / SIDECAR) for folder in source_folders(project.raw)}
    built = {name: one["sidecar_sha256"] for name, one in manifest["sources"].items()}
    for name in sorted({name for name, _ in sidecars.items() ^ built.items()}):
        yield f"data/raw/{name}/{SIDECAR}: not the one that the build names"


def _foreign_params(project: Project, manifest: Mapping[str, Any]) -> Iterator[str]:
    params = read_yaml(project.params)
    if manifest["key_fingerprint"] != params["ingest"]["key_fingerprint"]:
        yield "params.yaml: ingest.key_fingerprint is of another key"
    if any(manifest["split"][name] != params["split"][name] for name in manifest["split"]):
        yield "params.yaml: split has other shares or another epoch"


def refuse_old_consent(validated: Mapping[str, Any]) -> str:
    """Return the day on which consent was looked at. Raises PairtrailError where the ledger has a newer event."""
    ledger = validated["consent_ledger"]
    as_of, newest = str(ledger["as_of"]), ledger["newest"]
    if newest and as_of < newest[:10]:
        msg = (
            f"params.yaml: validate.as_of is {as_of}, but the newest event of the consent ledger is of {newest[:10]}: "
            f"set as_of to {newest[:10]} or later, run `dvc repro`, commit, and release then"
        )
        raise PairtrailError(msg)
    return as_of
