"""What git keeps of releases: each folder whole, its checksums those of its facts, its tag the one that was set."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.core.errors import PairtrailError
from pipeline.core.params import read_text
from pipeline.core.project import Project
from pipeline.lineage.git import git, git_says
from pipeline.lineage.releases.naming import as_version, release_params
from pipeline.lineage.releases.records import FACTS, STATEMENT, SUMS, Release, releases
from pipeline.lineage.releases.signing import signed, statement_in, trusted_keys

_KEYS = "keys"
_SUM = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def releases_checked(project: Project) -> tuple[list[str], str]:
    """Return what is wrong with the folders of releases, and how many there are and lack their tag."""
    faults = [*_folders(project), *_gone(project)]
    if faults:
        return faults, ""
    found = releases(project)
    if not found:
        return [], "no release yet"
    tags: list[str] = []
    away: list[str] = []
    # No build has read what the last release remembered; the files of earlier ones are held against its ledgers.
    remembered = [f"data/ledger/released/{found[-1].folder.name}.parquet{end}" for end in ("", ".dvc")]
    for release in found:
        faults += _of_one(release)
        tag = f"{release.facts.get('name')}@v{release.version}"
        if git_says(project, "rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}") is None:
            away.append(tag)
            continue
        tags.append(tag)
        faults += _against_tag(project, release, tag, remembered if release is found[-1] else [])
    faults += _keys_kept(project, tags)
    told = f"{len(found):,} releases, the last {found[-1].version}"
    return faults, f"{told}; not here: the tags {', '.join(away)} (`git fetch --tags`)" if away else told


def _folders(project: Project) -> Iterator[str]:
    for folder in sorted(project.releases.glob("*")):
        if folder.name == _KEYS or folder.name.startswith("."):
            continue
        place = f"releases/{folder.name}"
        if not (folder / FACTS).is_file():
            yield f"{place}: no {FACTS} in it; take it back from git, or remove what is no release"
            continue
        try:
            as_version(folder.name)
        except PairtrailError as error:
            yield f"{place}: {error}"


def _gone(project: Project) -> Iterator[str]:
    """Name releases that a tag or git's history knows, and the tree has not: what was released stays released."""
    listed = git_says(project, "tag", "--list", f"{release_params(project).name}@v*") or ""
    tagged = {tag.rpartition("@v")[2]: f"the tag {tag}" for tag in listed.split() if not tag.endswith("!")}
    added = ("log", "--format=", "--name-only", "--diff-filter=A", "--relative", "--", f"releases/*/{FACTS}")
    written = {place.split("/")[1]: "git's history" for place in (git_says(project, *added) or "").split()}
    for version, where in sorted({**written, **tagged}.items()):
        if not (project.releases / version / FACTS).is_file():
            yield f"releases/{version}: {where} knows it, and it is gone; take it back: `git checkout TAG -- releases`"


def _of_one(release: Release) -> Iterator[str]:
    place = f"releases/{release.folder.name}"
    if release.facts.get("version") != release.folder.name:
        yield f"{place}/{FACTS}: its `version` is another than the folder's; take it back from git"
    stated = _digests(release.facts.get("files"))
    if stated is None:
        yield f"{place}/{FACTS}: `files` is not as `pairtrail release` wrote it; take the file back from git"
        return
    summed = _sums(release.folder / SUMS)
    if summed is None:
        yield f"{place}/{SUMS}: not there, or a line of it is no SHA-256 and place; take it back from git"
    elif odd := sorted(name for name in {*stated, *summed} if stated.get(name) != summed.get(name)):
        told = ", ".join(odd[:5])
        yield f"{place}: {SUMS} and {FACTS} differ on {len(odd):,} files ({told}); take both back from git"


def _digests(files: Any) -> dict[str, Any] | None:  # noqa: ANN401
    if not isinstance(files, dict) or not all(isinstance(one, dict) for one in files.values()):
        return None
    return {place: one.get("sha256") for place, one in files.items()}


def _sums(path: Path) -> dict[str, str] | None:
    lines = [_SUM.fullmatch(line) for line in read_text(path).splitlines()] if path.is_file() else [None]
    return {one[2]: one[1] for one in lines if one} if all(lines) else None


def _against_tag(project: Project, release: Release, tag: str, more: list[str]) -> Iterator[str]:
    """Hold the papers that stand here, and `more` places, against what was tagged: only what came later may differ."""
    folder = f"releases/{release.folder.name}"
    statement, tagged = f"{folder}/{STATEMENT}", _tagged(project, tag, [folder, *more])
    for need in (FACTS, SUMS):
        if f"{folder}/{need}" not in tagged:
            yield f"{folder}/{need}: not in the tag {tag}; was the tag moved? See `git show {tag}`"
    here = _here(project, tagged)
    for place in tagged:
        if here.get(place) != tagged[place] and (place != statement or place not in here):
            yield _differs(place, tag)
    if statement in here and statement in tagged:
        yield from _of_statement(project, release, git(project, "cat-file", "blob", tagged[statement]))


def _keys_kept(project: Project, tags: list[str]) -> Iterator[str]:
    """Refuse another key under the name of one that was there at a release; it may be gone, as people leave."""
    held: dict[str, tuple[str, str]] = {}
    for tag in tags:
        for place, blob in _tagged(project, tag, [f"releases/{_KEYS}"]).items():
            held.setdefault(place, (blob, tag))
    here = _here(project, held)
    yield from (_differs(place, tag) for place, (blob, tag) in held.items() if here.get(place, blob) != blob)


def _differs(place: str, tag: str) -> str:
    return f"{place}: differs from what the tag {tag} holds; take it back: `git checkout {tag} -- {place}`"


def _here(project: Project, places: Iterable[str]) -> dict[str, str]:
    """Return the id that git would give to each file that stands here, as it is."""
    there = [place for place in sorted(places) if (project.root / place).is_file()]
    ids = git(project, "hash-object", "--no-filters", "--", *there).decode().split() if there else []
    return dict(zip(there, ids, strict=True))


def _tagged(project: Project, tag: str, places: list[str]) -> dict[str, str]:
    """Return the id of each blob that a tag holds at some places, by its place below the project's root."""
    listed = git(project, "ls-tree", "-r", "-z", tag, "--", *places).decode().split("\0")
    return {place: told.split()[2] for told, _, place in (line.partition("\t") for line in listed if line)}


def _of_statement(project: Project, release: Release, tagged: bytes) -> Iterator[str]:
    """Hold a statement against the tagged one, which fewer people may have signed by then."""
    path = release.folder / STATEMENT
    place = f"releases/{release.folder.name}/{STATEMENT}"
    try:
        same, wrong = statement_in(path.read_bytes()) == statement_in(tagged), signed(path, trusted_keys(project)).wrong
    except PairtrailError as error:
        yield f"{place}: {error}; take it back from git"
        return
    if not same:
        yield f"{place}: it states something else than the tag holds; take it back from git"
    yield from (f"{place}: the signature of key {keyid[:16]} is not right; take it back from git" for keyid in wrong)
