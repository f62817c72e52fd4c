"""Verifying a release: signatures, digests, rows, footers, tag and commits; from a bare copy or from DVC."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semver import Version

from pipeline.core.errors import PairtrailError, raised
from pipeline.core.project import Project
from pipeline.lineage.releases.copies import copy_looks, croissant_looks, files_in
from pipeline.lineage.releases.history import history_looks
from pipeline.lineage.releases.looks import Look, Verified
from pipeline.lineage.releases.naming import tag_of
from pipeline.lineage.releases.paper import paper_looks
from pipeline.lineage.releases.records import FACTS, PUBLISHED, Release, read_release, release_of
from pipeline.lineage.releases.signing import read_keys, trusted_keys
from pipeline.lineage.revisions import objects, revision, viewing

_HELDOUT = f"{PUBLISHED}/heldout/"


def verify(project: Project, version: str, copy: Path | None, public: list[Path]) -> Verified:
    """Verify a release of the project: its papers, its place in git, and its files.

    The files are those of `copy`, a folder that somebody was given, or DVC's, fetched where the cache lacks them.
    Trusted are the keys of the files `public`; where none is named, those of releases/keys.
    """
    release = release_of(project, version)
    keys = read_keys(public) or trusted_keys(project)
    if not keys:
        msg = "no public key to verify with: releases/keys is empty; name one with --public-key"
        raise PairtrailError(msg)
    history = history_looks(project, release)
    known = [*paper_looks(release, keys, all_of_them=bool(public)), *history]
    if copy is not None:
        return _verified(release, known, copy)
    if history[0].faults:
        return Verified(str(release.version), known, sorted(release.facts["files"]))
    with _given(project, release) as folder:
        return _verified(release, known, folder)


def verify_copy(folder: Path, copy: Path | None, public: list[Path]) -> Verified:
    """Verify a bare copy against the folder of a release, without a project: `folder` is releases/VERSION."""
    if not public:
        msg = "outside of a project no key is known: name who must have signed with --public-key"
        raise PairtrailError(msg)
    if copy is None:
        msg = "outside of a project no file is known: name the folder that you were given with --copy"
        raise PairtrailError(msg)
    release = read_release(folder)
    return _verified(release, paper_looks(release, read_keys(public), all_of_them=True), copy)


def is_release(wanted: str) -> bool:
    """Say whether a text names the folder of a release, and not a version."""
    return not Version.is_valid(wanted.removeprefix("v")) and (Path(wanted) / FACTS).is_file()


def _verified(release: Release, known: list[Look], copy: Path) -> Verified:
    found, away, looks = files_in(copy, release.facts)
    every = [*known, *looks, *copy_looks(found, release), *croissant_looks(release, copy)]
    return Verified(str(release.version), every, away)


@contextmanager
def _given(project: Project, release: Release) -> Iterator[Path]:
    """Give a folder with what DVC holds of a release; heldout is not everybody's to fetch."""
    then = revision(project, str(tag_of(project, str(release.version))))
    places = {f"{PUBLISHED}/{place}" for place in release.facts["files"]}
    heldout = {place for place in places if place.startswith(_HELDOUT)}
    away = heldout if raised(lambda: objects(then, heldout)) else set()
    with viewing(then, places - away) as view:
        yield view.stage("publish")
