"""Looking at what a release says of itself: its facts, its checksums, its statement, and who signed it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from securesystemslib.signer import Key

from pipeline.core.errors import PairtrailError
from pipeline.core.params import read_text
from pipeline.core.publishing.content import file_digest
from pipeline.lineage.releases.facts import sums
from pipeline.lineage.releases.looks import Look, look
from pipeline.lineage.releases.records import FACTS, PUBLISHED, STATEMENT, SUMS, WITHDRAWN, Release
from pipeline.lineage.releases.signing import Signed, signed
from pipeline.lineage.releases.statement import PROVENANCE, STATEMENT_TYPE, WITHDRAWAL, named_digests

WITHDRAWAL_LOOK = "withdrawal"


def paper_looks(release: Release, keys: Mapping[str, Key], *, all_of_them: bool = False) -> list[Look]:
    """Look at the papers of a release: `keys` are the public keys that are trusted.

    `all_of_them`: each of them must have signed, as somebody named them.
    """
    facts = look(f"{FACTS}, {SUMS}", lambda: _facts_faults(release))
    try:
        by = signed(release.folder / STATEMENT, keys)
    except PairtrailError as error:
        return [facts, Look("signatures", [str(error)])]
    told = f"signed by {', '.join(by.by.values()) or 'nobody who is trusted'}"
    return [
        facts,
        look("signatures", lambda: _signature_faults(release, by, sorted(keys) if all_of_them else []), told),
        Look("approvals", list(_approval_faults(release, by)), waits=True),
        look("statement", lambda: _subject_faults(release, by)),
        *([look(WITHDRAWAL_LOOK, lambda: _withdrawal_faults(release, keys))] if release.withdrawn else []),
    ]


def _facts_faults(release: Release) -> Iterator[str]:
    if release.facts["version"] != release.folder.name:
        yield f"{FACTS} is of {release.facts['version']}, and the folder of {release.folder.name}"
    if read_text(release.folder / SUMS) != sums(release.facts):
        yield f"{SUMS} holds other digests than {FACTS}"


def _signature_faults(release: Release, by: Signed, named: list[str]) -> Iterator[str]:
    for keyid in by.wrong:
        yield f"{STATEMENT}: the signature of key {keyid[:16]} is not right: the statement or the signature was changed"
    signer = release.facts["signed_by"]
    if signer not in by.by and signer not in by.wrong:
        who = ", ".join(by.by.values()) or "nobody"
        yield f"{STATEMENT}: key {signer[:16]}, which released it, is none of the trusted ones (signed by: {who})"
    yield from (f"{name}, whose key you named, did not sign" for name in named if name not in by.by.values())


def _approval_faults(release: Release, by: Signed) -> Iterator[str]:
    needed = release.facts["approvals_needed"]
    approved = [name for keyid, name in by.by.items() if keyid != release.facts["signed_by"]]
    if len(approved) < needed:
        yield f"{needed} approvals are needed, trusted keys gave {len(approved)}: `pairtrail release approve VERSION`"


def _subject_faults(release: Release, by: Signed) -> Iterator[str]:
    """Hold each digest that was signed for against what it is of."""
    if (by.statement["_type"], by.statement["predicateType"]) != (STATEMENT_TYPE, PROVENANCE):
        yield f"{STATEMENT}: not a statement of SLSA provenance"
        return
    stated, beside = named_digests(by.statement), f"releases/{release.version}/"
    papers = {name.removeprefix(beside): digest for name, digest in stated.items() if name.startswith(beside)}
    given = {f"{PUBLISHED}/{place}": one["sha256"] for place, one in release.facts["files"].items()}
    for name, digest in papers.items():
        path = release.folder / Path(name).name
        if not path.is_file() or file_digest(path) != digest:
            yield f"{name}: not the file that was signed for"
    yield from (f"{need}: nobody signed for it" for need in (FACTS, SUMS) if need not in papers)
    held = {path.name for path in release.folder.iterdir()} - {STATEMENT, WITHDRAWN}
    yield from (f"{name}: nobody signed for it" for name in sorted(held - papers.keys()))
    files = {name: digest for name, digest in stated.items() if name.startswith(f"{PUBLISHED}/")}
    for name in sorted({name for name, _ in files.items() ^ given.items()}):
        yield f"{name}: {FACTS} names another file than was signed for"


def _withdrawal_faults(release: Release, keys: Mapping[str, Key]) -> Iterator[str]:
    """Tell that a release is withdrawn, and whether anybody with a trusted key said so."""
    by = signed(release.folder / WITHDRAWN, keys)
    whole = by.statement["predicateType"] == WITHDRAWAL
    about = named_digests(by.statement) == {FACTS: file_digest(release.folder / FACTS)}
    who = ", ".join(by.by.values()) if whole and about else ""
    yield f"withdrawn by {who or 'nobody who is trusted'}: {by.statement['predicate']['reason']}"
