"""Looking at where a release stands in git: its tag, its commit, and the commit that it was built from."""

from collections.abc import Iterator
from hashlib import md5, sha256
from pathlib import PurePosixPath

from pipeline.core.params import parse_yaml
from pipeline.core.project import Project
from pipeline.lineage.git import git, git_says
from pipeline.lineage.releases.facts import ledger_of
from pipeline.lineage.releases.looks import Look, look
from pipeline.lineage.releases.naming import tag_of
from pipeline.lineage.releases.records import PUBLISHED, STATEMENT, WITHDRAWN, Release
from pipeline.lineage.releases.signing import statement_in
from pipeline.lineage.releases.statement import named_digests, resolved
from pipeline.lineage.revisions import Revision, inputs_of

_KINDS = {"policies": "policy", "rubrics": "rubric"}


def history_looks(project: Project, release: Release) -> list[Look]:
    """Look at a release in git's history."""
    tag = str(tag_of(project, str(release.version)))
    looks = [look(f"tag {tag}", lambda: _tag_faults(project, release, tag))]
    if looks[0].faults:
        return looks
    cut = Revision(project, tag, git(project, "rev-parse", f"refs/tags/{tag}^{{commit}}").decode().strip())
    return [*looks, *commit_looks(cut, release)]


def commit_looks(cut: Revision, release: Release) -> list[Look]:
    """Look at the commit of a release, and at the one that it was built from."""
    build = Revision(cut.project, "the build commit", release.facts["build_commit"])
    return [
        look("release commit", lambda: [*_paper_faults(cut, release), *_change_faults(cut, build, release)]),
        look("inputs of the build", lambda: _input_faults(build, release)),
        look("dvc.lock", lambda: _lock_faults(build, release)),
    ]


def _tag_faults(project: Project, release: Release, tag: str) -> Iterator[str]:
    kind = git_says(project, "cat-file", "-t", f"refs/tags/{tag}")
    if kind is None:
        yield "no such tag: fetch it (`git fetch --tags`), or ask who released it"
        return
    if kind != "tag":
        yield "not an annotated tag, so it is not the one that `pairtrail release` made"
        return
    parents = git(project, "rev-list", "--parents", "--max-count=1", f"refs/tags/{tag}").decode().split()[1:]
    if parents != [release.facts["build_commit"]]:
        shallow = git_says(project, "rev-parse", "--is-shallow-repository") == "true" and not parents
        yield (
            "this clone is shallow, and does not reach so far back: `git fetch --unshallow`"
            if shallow
            else "it does not stand on the commit right after the build commit: it was moved"
        )
    if not release.withdrawn and _was_withdrawn(project, release, tag):
        yield f"it was withdrawn, and {WITHDRAWN} is gone"


def _was_withdrawn(project: Project, release: Release, tag: str) -> bool:
    """Whether a tag, or any commit that git has here, says that a release was withdrawn."""
    place = f"releases/{release.version}/{WITHDRAWN}"
    told = git_says(project, "cat-file", "-t", f"refs/tags/{tag}!") is not None
    return told or bool(git_says(project, "log", "--all", "--format=%H", "-1", "--diff-filter=A", "--", place))


def _paper_faults(cut: Revision, release: Release) -> Iterator[str]:
    """Hold the release's folder against what its commit holds: only signatures and a withdrawal may come later."""
    place = f"releases/{release.version}"
    for path in sorted(release.folder.iterdir()):
        if path.name == WITHDRAWN:
            continue
        held = cut.blob(f"{place}/{path.name}")
        same = held == path.read_bytes()
        if path.name == STATEMENT and held is not None:
            same = statement_in(held) == statement_in(path.read_bytes())
        if not same:
            yield f"{place}/{path.name}: not as the release commit holds it"


def _change_faults(cut: Revision, build: Revision, release: Release) -> Iterator[str]:
    """Hold what the commit changes against what a release changes, and its content against what was signed for."""
    project, ledger = cut.project, ledger_of(str(release.version))
    prefix = git(project, "rev-parse", "--show-prefix").decode().strip()
    plain = ("-r", "--no-renames", "--no-ext-diff", "--name-status", "-z")
    words = git(project, "diff-tree", *plain, build.commit, cut.commit).decode(errors="replace").split("\0")[:-1]
    papers = f"{prefix}releases/{release.version}/"
    own = {f"A {prefix}{ledger}", f"A {prefix}{ledger}.dvc", f"M {prefix}dvc.yaml"}
    own |= {f"{kind} {prefix}data/ledger/released/.gitignore" for kind in "AM"}
    found = {f"{kind} {name}" for kind, name in zip(words[::2], words[1::2], strict=True)}
    if odd := sorted(one for one in found - own if not one.startswith(f"A {papers}")):
        yield f"the release commit changes more than a release does ({', '.join(odd[:10])})"
    stated = named_digests(statement_in((release.folder / STATEMENT).read_bytes()))
    held = cut.blobs([ledger, f"{ledger}.dvc", "dvc.yaml"])
    if ledger not in held and f"{ledger}.dvc" not in held:
        yield f"{ledger}: not in the release commit, so its prompts are not remembered"
    for name in (ledger, "dvc.yaml"):
        if name in held and sha256(held[name]).hexdigest() != stated.get(name):
            yield f"{name}: the release commit holds another file than was signed for"


def _input_faults(build: Revision, release: Release) -> Iterator[str]:
    """Hold what git holds at the build commit against what was signed for, and against what the build read."""
    stated = resolved(statement_in((release.folder / STATEMENT).read_bytes()))
    for place, held in build.blobs(sorted(stated)).items():
        if sha256(held).hexdigest() != stated[place]:
            yield f"{place}: the build commit holds another text than was signed for"
    for kind, folder in _KINDS.items():
        for name, digest in release.facts[kind].items():
            if stated.get(f"data/{folder}/{name}.md") != digest:
                yield f"data/{folder}/{name}.md: release.json names another text than was signed for"
    yield from unheld_inputs(build)


def unheld_inputs(build: Revision) -> Iterator[str]:
    """Name what a build read, code too, and its commit does not hold: neither git as it was read, nor DVC."""
    read = {one.path: one.md5 for one in inputs_of(build.lock())}
    held = build.blobs(sorted(read))
    pointers = build.blobs(sorted({one for place in read for one in _pointers(place)})).keys()
    for place, digest in read.items():
        if place not in held and pointers.isdisjoint(_pointers(place)):
            yield f"{place}: the build read it, and neither git nor DVC holds it at the build commit"
        elif place in held and md5(held[place], usedforsecurity=False).hexdigest() != digest:
            yield f"{place}: the build read another file than its commit holds"


def _pointers(place: str) -> list[str]:
    """Return which files of DVC may track a file: by itself, or with a folder around it."""
    return [f"{place}.dvc", *(f"{parent}.dvc" for parent in PurePosixPath(place).parents[:-1])]


def _lock_faults(build: Revision, release: Release) -> Iterator[str]:
    outputs = build.outputs()
    for place, stated in release.facts["files"].items():
        one = outputs.get(f"{PUBLISHED}/{place}")
        if one is None or one.md5 != stated["md5"]:
            yield f"{place}: dvc.lock of the build commit names another file"
    needed = parse_yaml(build.text("params.yaml"), "params.yaml of the build commit")["release"]["approvals"]
    if needed != release.facts["approvals_needed"]:
        yield f"params.yaml of the build commit asks for {needed} approvals, release.json for another number"
