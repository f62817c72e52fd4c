"""What a sidecar still waits for: blanks that its owner has to fill in, and guesses that nobody has confirmed.

`pairtrail sources new` writes both. A source that waits for anything is refused wherever sources are read.
"""

from collections.abc import Iterator
from typing import Any

# What goes into each blank; `sources new` writes it above the blank, and a refusal repeats it.
STATEMENTS = {
    "adapter": "what reads the records: one of the adapters in docs/sources.md",
    "license": "the licence, as an SPDX identifier such as CC-BY-4.0",
    "attribution": "who is to be credited",
    "collected_by": "who collected the records",
    "written_by": "who wrote the texts; take the key out where nobody knows",
    "filtered_by": "who selected the records before they were delivered; take the key out where nobody knows",
    "approved_by": "who approved their use: an organisation or a role",
    "approved_on": "the day on which their use was approved, as 2026-01-31",
    "policy_version": "the policy of its verdicts: a file of data/policy without .md, or {path: FIELD} of the record",
    "rubric_version": "the rubric of its verdicts: a file of data/rubric without .md, or {path: FIELD} of the record",
    "consent": "state basis, purposes, roles and statement, or write `none` where nobody can state a basis",
    "consent.basis": "the legal basis, such as eu-gdpr:A6-1-a",
    "consent.purposes": "what the rows may be used for, such as [ai-alignment, ai-evaluation]",
    "consent.roles": "who must have consented in each single row: [annotator], say, or []",
    "consent.statement": "one sentence that says how consent was given, or where that is written",
    "fields": "where each field of a comparison comes from: see docs/sources.md, Fields",
    "fields.prompt": "the messages before the response: a path, a template, or {messages: PATH}",
    "fields.response_a": "the first response, as the source presents them: a path",
    "fields.response_b": "the second response: a path",
    "fields.preference": "the verdict: a path, with values that map to a, b, tie and both_bad",
    "fields.annotator": "who judged: a path, or {constant: null} where nobody is named",
    "fields.annotator_kind": "who judges: {constant: human}, or model or rule, or a path with values",
}
_ANY = "write what goes here, or take the key out"
_MAPS = ("values", "roles")


def waiting(content: dict[str, Any]) -> list[str]:
    """Say what a parsed sidecar still waits for, a line each; empty where it is complete."""
    told = list(_blanks(content))
    guesses = unconfirmed(content)
    if guesses:
        several = "guess waits" if len(guesses) == 1 else "guesses wait"
        told.append(
            f"{len(guesses)} {several} for confirmation: {', '.join(guesses)}; compare each with the evidence above "
            "it, mend it where it is wrong, then strike its name from `unconfirmed`"
        )
    return told


def unconfirmed(content: dict[str, Any]) -> list[str]:
    """Return the names of the guesses that wait; whatever stands there counts, so that no slip confirms one."""
    stated = content.get("unconfirmed")
    if stated is None:
        return []
    return [str(one) for one in (stated if isinstance(stated, list | dict) else [stated])]


def _blanks(content: dict[str, Any]) -> Iterator[str]:
    """Name the statements and value specs without a value; what `constant: null` says is no blank."""
    for name, value in content.items():
        if value is None and name in STATEMENTS:
            yield _blank(name, name)
    for part in ("consent", "fields"):
        yield from _members(part, content.get(part), part)
    for part in ("files", "fan_out"):
        entries = content.get(part)
        for place, entry in enumerate(entries if isinstance(entries, list) else ()):
            yield from _members(
                f"{part}.{place}.fields", entry.get("fields") if isinstance(entry, dict) else None, "fields"
            )


def _members(where: str, members: Any, part: str) -> Iterator[str]:  # noqa: ANN401
    for name, value in members.items() if isinstance(members, dict) else ():
        if value is None:
            yield _blank(f"{where}.{name}", f"{part}.{name}")
        for key, inner in value.items() if isinstance(value, dict) else ():
            if inner is None and key != "constant":
                yield _blank(f"{where}.{name}.{key}", "")
            targets = inner.items() if isinstance(inner, dict) and key in _MAPS else ()
            if blank := [f"`{one}`" for one, target in targets if target is None]:
                what = "say what each stands for, or take it out"
                yield f"`{where}.{name}.{key}` has no target for {', '.join(blank)}: {what}"


def _blank(where: str, statement: str) -> str:
    return f"`{where}` is blank: {what_goes_into(statement)}"


def what_goes_into(blank: str) -> str:
    """Say what its owner has to state in a blank of this name."""
    return STATEMENTS.get(blank, _ANY)
