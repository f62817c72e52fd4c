"""What the commands say of releases: to people in lines, to scripts as JSON."""

from typing import Any

from pipeline.core.project import Project
from pipeline.lineage.releases.looks import Look, Verified
from pipeline.lineage.releases.naming import tag_of
from pipeline.lineage.releases.records import STATEMENT, Release, releases
from pipeline.lineage.releases.signing import signed, trusted_keys
from schemas.vocabulary import SIDES


def cut_told(facts: dict[str, Any]) -> str:
    """Tell what was released, and what to type next: the releaser, and those who train."""
    pairs = ", ".join(f"{side} {facts['files'][f'{side}/pairs.parquet']['rows']:,}" for side in SIDES)
    lines = [
        f"{facts['name']} {facts['version']} is released: {_change(facts)}; pairs: {pairs}",
        f"  tag {facts['tag']}, commit {facts['commit'][:12]}, of build {facts['build_commit'][:12]}",
    ]
    if needed := facts["approvals_needed"]:
        lines.append(f"  {needed} approvals are needed: pairtrail release approve {facts['version']}")
    return "\n".join(
        [
            *lines,
            "Give it away:",
            "  dvc push",
            f"  git push origin HEAD {facts['tag']}",
            "Who trains types, with the credentials of the remote `consumers`:",
            f"  dvc get URL-OF-THIS-REPOSITORY data/publish/train --rev {facts['tag']}",
        ]
    )


def verified_told(found: Verified) -> str:
    """Tell what was looked at, a line for each look or fault, and how it came out."""
    lines = []
    for look in found.looks:
        lines += [f"BAD  {look.what}: {fault}" for fault in look.faults] or [_fine(look)]
    lines += [f"away {place}: not looked at, as it is not at hand" for place in found.away]
    bad = sum(len(look.faults) for look in found.looks)
    return "\n".join(map(_plain, [*lines, f"{found.version}: {f'{bad:,} faults' if bad else 'verified'}"]))


def _plain(line: str) -> str:
    """Write a line so that nothing in it can move the cursor: a release may be anybody's."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)


def _fine(look: Look) -> str:
    return f"ok   {look.what}{f': {look.told}' if look.told else ''}"


def verified_facts(found: Verified) -> dict[str, Any]:
    """Return what was found as JSON holds it."""
    looks = [{"what": look.what, "faults": look.faults} for look in found.looks]
    return {"version": found.version, "verified": found.sound, "looks": looks, "not_looked_at": found.away}


def release_rows(project: Project) -> list[dict[str, Any]]:
    """Return a row for each release, the newest first."""
    return [_row(project, release) for release in reversed(releases(project))]


def _row(project: Project, release: Release) -> dict[str, Any]:
    facts = release.facts
    pairs = {f"{side}_pairs": facts["files"][f"{side}/pairs.parquet"]["rows"] for side in SIDES}
    by = signed(release.folder / STATEMENT, trusted_keys(project))
    approvals = len(set(by.by) - {facts["signed_by"]})
    return {
        "version": str(release.version),
        "change": facts["level"],
        **pairs,
        "as_of": facts["as_of"],
        "approvals": f"{approvals} of {facts['approvals_needed']}",
        "state": "withdrawn" if release.withdrawn else "released",
    }


def shown(project: Project, release: Release) -> dict[str, Any]:
    """Return all that is known of a release: its facts, its tag, and who signed it."""
    by = signed(release.folder / STATEMENT, trusted_keys(project))
    signatures = [
        {"key": keyid, "name": name, "as": "releaser" if keyid == release.facts["signed_by"] else "approver"}
        for keyid, name in by.by.items()
    ]
    tag = tag_of(project, str(release.version))
    return {**release.facts, "tag": tag, "withdrawn": release.withdrawn, "signatures": signatures}


def shown_told(facts: dict[str, Any]) -> str:
    """Tell a release to people."""
    state = "WITHDRAWN; `pairtrail release verify` says why" if facts["withdrawn"] else "released"
    lines = [
        f"{facts['name']} {facts['version']} ({state}), tag {facts['tag']}",
        f"  change    {_change(facts)}",
        f"  built     from commit {facts['build_commit']}",
        f"  consent   looked at as of {facts['as_of']}, key {facts['key_fingerprint']}, epoch {facts['epoch']}",
        f"  policies  {_versions(facts['policies'])}",
        f"  rubrics   {_versions(facts['rubrics'])}",
        *(f"  signed    {one['name']} ({one['as']}), key {one['key'][:16]}" for one in facts["signatures"]),
        f"  approvals {sum(one['as'] == 'approver' for one in facts['signatures'])} of {facts['approvals_needed']}",
    ]
    for place, stated in facts["files"].items():
        rows = "" if stated["rows"] is None else f", {stated['rows']:,} rows"
        lines.append(f"  file      {place}{rows}, sha256 {stated['sha256'][:16]}")
    return "\n".join(lines)


def _change(facts: dict[str, Any]) -> str:
    return f"{facts['level']} change of {facts['previous']}" if facts["previous"] else "the first release"


def _versions(named: dict[str, str]) -> str:
    return ", ".join(f"{name} ({digest[:12]})" for name, digest in named.items()) or "none"
