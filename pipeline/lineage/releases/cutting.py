"""Cutting a release: of a clean, sound, fresh commit C, a signed commit R with an annotated tag, or nothing at all."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.alone import alone
from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.core.publishing.content import file_digest
from pipeline.core.publishing.croissant import croissant
from pipeline.core.tables import whole_folder, write_json, write_text
from pipeline.lineage.diff.builds import PLACES
from pipeline.lineage.git import git_says
from pipeline.lineage.released import remember
from pipeline.lineage.releases.changes import changed
from pipeline.lineage.releases.committing import begin, commit, finished, keep_by_dvc, undone
from pipeline.lineage.releases.facts import ledger_of, notes, release_facts, sums
from pipeline.lineage.releases.history import unheld_inputs
from pipeline.lineage.releases.readiness import (
    new_version,
    refuse_foreign_build,
    refuse_old_consent,
    refuse_unclean,
    refuse_unsound,
)
from pipeline.lineage.releases.records import CROISSANT, FACTS, NOTES, PUBLISHED, STATEMENT, SUMS, last_release
from pipeline.lineage.releases.signing import load_signer, sign, signer_name
from pipeline.lineage.releases.statement import input_digests, provenance
from pipeline.lineage.revisions import Revision, revision, viewing

_READ = (PUBLISHED, *PLACES)


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks to be released: the version, by whose key (a file, or where keys stand), and what to tell."""

    version: str
    key: Path | None = None
    notes: str | None = None


def cut(project: Project, asked: Asked) -> dict[str, Any]:
    """Release the commit that is checked out; return what release.json says, with the tag and the commit beside it.

    Raises PairtrailError where anything that a release promises does not hold; then nothing has changed.
    """
    with alone(project.releases / "release"):
        return finished(project, asked.version) or _cut(project, asked)


def _cut(project: Project, asked: Asked) -> dict[str, Any]:
    signer = load_signer(project, asked.key)
    refuse_unclean(project)
    last = last_release(project)
    version = new_version(asked.version, last)
    signer_name(project, signer)
    refuse_unsound(project)
    build = revision(project, "HEAD")
    if unheld := list(unheld_inputs(build)):
        raise PairtrailError("\n".join(["the build was not made from what is committed:", *unheld]))
    with viewing(build, _READ) as view:
        manifest = json.loads((view.stage("publish") / "manifest.json").read_bytes())
        refuse_foreign_build(project, manifest)
        refuse_old_consent(manifest["accounts"]["validate"])
        inputs = input_digests(build)
        facts = release_facts(build, view, manifest, changed(project, view, version, last), inputs)
        facts["signed_by"] = signer.public_key.keyid
        with _or_nothing(build, str(version)):
            remembered, _ = remember(project, str(version), view.stage("publish"))
            keep_by_dvc(project, remembered, synthetic=manifest["synthetic"])
            with whole_folder(project.releases / str(version)) as folder:
                _write(folder, facts, manifest, asked.notes)
                statement = provenance(build, _subjects(project, folder, facts), inputs, facts)
                write_json(sign(statement, signer), folder / STATEMENT)
            return commit(project, facts)


def _write(folder: Path, facts: dict[str, Any], manifest: dict[str, Any], told: str | None) -> None:
    write_json(facts, folder / FACTS)
    write_text(sums(facts), folder / SUMS)
    write_text(notes(facts, told), folder / NOTES)
    day = datetime.now(UTC).date().isoformat()
    write_json(croissant(manifest, facts["version"], day), folder / CROISSANT)


def _subjects(project: Project, folder: Path, facts: dict[str, Any]) -> dict[str, str]:
    """Return the digests of all that is signed for: the published files, and all else that the release commits."""
    beside = {f"releases/{facts['version']}/{path.name}": file_digest(path) for path in sorted(folder.iterdir())}
    beside |= {place: file_digest(project.root / place) for place in (ledger_of(facts["version"]), "dvc.yaml")}
    return {**beside, **{f"{PUBLISHED}/{place}": stated["sha256"] for place, stated in facts["files"].items()}}


@contextmanager
def _or_nothing(build: Revision, version: str) -> Iterator[None]:
    """Take everything back where a release fails before its commit; after it, only the tag is missing."""
    begin(build.project, version)
    try:
        yield
    except BaseException:
        if git_says(build.project, "rev-parse", "HEAD") == build.commit:
            undone(build.project, version)
        raise
