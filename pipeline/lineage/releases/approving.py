"""What people say of a release once it is cut: an approval is one more signature, a withdrawal its own statement."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.core.publishing.content import file_digest
from pipeline.core.tables import write_json
from pipeline.lineage.git import git
from pipeline.lineage.releases.naming import tag_of
from pipeline.lineage.releases.readiness import refuse_unclean
from pipeline.lineage.releases.records import FACTS, STATEMENT, WITHDRAWN, Release, release_of
from pipeline.lineage.releases.signing import add_signature, load_signer, sign, signed, signer_name, trusted_keys
from pipeline.lineage.releases.statement import withdrawal
from pipeline.lineage.releases.verifying import verify


def approve(project: Project, version: str, key: Path | None) -> str:
    """Add an approver's signature to a release, once all of it is verified, and commit that; return who approved."""
    release, signer = _asked(project, version), load_signer(project, key)
    name = signer_name(project, signer)
    if signer.public_key.keyid == release.facts["signed_by"]:
        msg = f"{name} released {release.version}: somebody else approves it"
        raise PairtrailError(msg)
    statement = release.folder / STATEMENT
    if signer.public_key.keyid in signed(statement, trusted_keys(project)).by:
        msg = f"{name} approved {release.version} already"
        raise PairtrailError(msg)
    found = verify(project, version, None, [])
    if faults := [f"  {look.what}: {one}" for look in found.looks if not look.waits for one in look.faults]:
        msg = "\n".join([f"{release.version} is not what it says; nothing was approved:", *faults])
        raise PairtrailError(msg)
    write_json(add_signature(statement, signer), statement)
    _commit(project, release, [STATEMENT], f"Approve {release.facts['name']} {release.version} ({name})")
    return name


def withdraw(project: Project, version: str, reason: str, key: Path | None) -> str:
    """Say by a signed statement that a release must not be used any more, commit it, and tag that commit.

    The tag ends in `!`, by which GTO takes the version out of its registry. Nothing is deleted: who has the release
    has it. Returns the tag.
    """
    release, signer = _asked(project, version), load_signer(project, key)
    name = signer_name(project, signer)
    if not reason.strip():
        msg = "a withdrawal needs a reason: those who trained on it will want to know"
        raise PairtrailError(msg)
    told = withdrawal(file_digest(release.folder / FACTS), reason.strip())
    write_json(sign(told, signer), release.folder / WITHDRAWN)
    _commit(project, release, [WITHDRAWN], f"Withdraw {release.facts['name']} {release.version} ({name})")
    tag = f"{tag_of(project, str(release.version))}!"
    git(project, "tag", "--annotate", tag, "--message", f"{release.version} is withdrawn: {reason.strip()}")
    return tag


def _asked(project: Project, version: str) -> Release:
    """Find the release. Raises PairtrailError where it is withdrawn, or the tree is not as committed."""
    release = release_of(project, version)
    if release.withdrawn:
        msg = f"{release.version} is withdrawn"
        raise PairtrailError(msg)
    refuse_unclean(project)
    return release


def _commit(project: Project, release: Release, names: Iterable[str], message: str) -> None:
    git(project, "add", "--", *(f"releases/{release.version}/{name}" for name in names))
    git(project, "commit", "--quiet", "--message", message)
