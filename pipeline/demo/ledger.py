"""The generator's own book: every record that it wrote, what it planted there, and nothing that the pipeline computed.

Texts are kept as digests of this module's own making, so that the book of half a million comparisons fits into memory.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b, sha256
from sys import intern
from typing import Any

from pipeline.demo.stories import BOTH, UNTOLD, Story

_NAMED = 200

Message = tuple[str, str]
Prompt = tuple[Message, ...]

VALIDATE = (
    "event_conflict",
    "empty_prompt",
    "roles_not_alternating",
    "empty_response",
    "equal_responses",
    "unknown_preference",
    "strength_out_of_range",
    "unknown_policy",
    "policy_not_accepted",
    "unknown_rubric",
    "rubric_not_accepted",
    "license_not_allowed",
    "no_consent",
    "consent_unknown",
    "consent_not_given",
    "consent_invalidated",
    "consent_withdrawn",
    "consent_revoked",
    "processing_objected",
    "consent_expired",
    "retention_passed",
    "special_category",
    "no_common_purpose",
)
"""The order in which a row's first fault counts, as the documentation states it; any jurisdiction is allowed."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a source's sidecar states, as far as it decides a row's fate."""

    name: str
    purposes: tuple[str, ...] = BOTH
    namespace: str | None = None
    faults: tuple[str, ...] = ()
    record: str | None = None

    def subject(self, raw: str) -> str:
        """Name a person in the book: raw ids are distinct within a namespace."""
        return f"{self.namespace or self.name}/{raw}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One comparison as it was planted; `stated` is whatever else of the record makes it another comparison.

    `better` is the response of the higher latent quality, `refs` are whose consents it names (subject and consent id),
    `faults` are the rules that the row breaks beside these consents, and `quarantine` is why it cannot be written as a
    comparison.
    """

    prompt: Prompt = ()
    response_a: str = ""
    response_b: str = ""
    preference: str | None = None
    annotator: str | None = None
    kind: str = "human"
    order: str | None = None
    policy: str | None = None
    rubric: str | None = None
    stated: tuple[Any, ...] = ()
    time: float | None = None
    better: str | None = None
    fan_out: str | None = None
    refs: tuple[tuple[str | None, str | None], ...] = ()
    faults: tuple[str, ...] = ()
    quarantine: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One record to be written: its content, and the verdicts that it gives (none for a side file's record).

    `fault` is why the record cannot be decoded at all.
    """

    content: Any
    verdicts: tuple[Verdict, ...] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A distinct comparison without its texts; `low` and `high` are the two responses in the order of their texts."""

    source: str
    annotator: str | None
    kind: str
    pair: bytes
    prompt: bytes
    root: bytes
    version: tuple[str | None, str | None]
    purposes: tuple[str, ...]
    verdict: str | None
    shown_first: str
    order_known: bool
    better: str | None
    time: float | None
    drop: str | None


@dataclass(slots=True)
class Ledger:
    """What was written so far."""

    rows: list[Row] = field(default_factory=list)
    known: set[bytes] = field(default_factory=set)
    candidates: int = 0
    copies: int = 0
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    quarantine: list[tuple[str, int, str | None, str]] = field(default_factory=list)
    planted: Counter[str] = field(default_factory=Counter)
    near: list[tuple[str, str]] = field(default_factory=list)
    annotators: dict[str, tuple[float, float]] = field(default_factory=dict)
    consents: dict[tuple[str, str], Story] = field(default_factory=dict)

    def record(self, source: Source, name: str, number: int, entry: Entry) -> None:
        """Book one record of one file."""
        outcome = self._booked(source, f"{source.name}/{name}", number, entry)
        self.outcomes.setdefault(source.name, Counter())[outcome] += 1

    def near_duplicates(self, one: str, other: str) -> None:
        """Book two prompts that differ a little; only so many are named."""
        self.planted["near_duplicates"] += 1
        if len(self.near) < _NAMED:
            self.near.append((named(one), named(other)))

    def _booked(self, source: Source, file: str, number: int, entry: Entry) -> str:
        if entry.fault is not None:
            self.candidates += 1
            self.quarantine.append((file, number, None, entry.fault))
            return "quarantined"
        if not entry.verdicts:
            return "reference"
        self.candidates += len(entry.verdicts)
        lost = [verdict for verdict in entry.verdicts if verdict.quarantine is not None]
        self.quarantine += [(file, number, one.fan_out, one.quarantine or "") for one in lost]
        new = [self._is_new(source, one) for one in entry.verdicts if one.quarantine is None]
        if any(new):
            return "gave_comparisons"
        return "only_copies" if new else "quarantined"

    def _is_new(self, source: Source, verdict: Verdict) -> bool:
        shown = (verdict.prompt, verdict.response_a, verdict.response_b, verdict.preference, verdict.order)
        identity = digest((source.name, verdict.fan_out, verdict.annotator, shown, verdict.stated))
        if identity in self.known:
            self.copies += 1
            return False
        self.known.add(identity)
        self.rows.append(as_row(source, verdict, self._behind(source, verdict)))
        return True

    def _behind(self, source: Source, verdict: Verdict) -> list[Story]:
        """Look up the consents that a verdict and its source name; what is named by half is none."""
        whole = [(source.subject(who), consent) for who, consent in verdict.refs if who is not None and consent]
        whole += [(f"source:{source.name}", source.record)] if source.record else []
        return [self.consents.get(ref, UNTOLD) for ref in whole]


def named(text: str) -> str:
    """Name a text in the truth: the beginning of its SHA-256."""
    return sha256(text.encode()).hexdigest()[:16]


def digest(content: object) -> bytes:
    """Digest anything whose `repr` says all of it."""
    return blake2b(repr(content).encode("utf-8", "surrogatepass"), digest_size=12).digest()


def folded(text: str) -> str:
    """Apply NFKC and turn each run of white space into one space."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


@cache
def allowed_by_all(*allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the purposes that all allow."""
    return tuple(sorted(set(allowed[0]).intersection(*allowed[1:])))


def as_row(source: Source, verdict: Verdict, consents: Sequence[Story]) -> Row:
    """Name the responses by the order of their texts, so that it does not matter which one a record lists first."""
    texts = (verdict.response_a.strip(), verdict.response_b.strip())
    a, b = ("low", "high") if texts[0] <= texts[1] else ("high", "low")
    sides: dict[str | None, str] = {"a": a, "b": b}
    purposes = allowed_by_all(source.purposes, *(story.purposes for story in consents))
    refused = (*(story.refused for story in consents), None if purposes else "no_common_purpose")
    faults = (*verdict.faults, *source.faults, *(reason for reason in refused if reason))
    openings = [folded(content).lower() for role, content in verdict.prompt if role == "user"]
    prompt = digest([(role, folded(content)) for role, content in verdict.prompt])
    return Row(
        source=source.name,
        annotator=None if verdict.annotator is None else intern(source.subject(verdict.annotator)),
        kind=verdict.kind,
        pair=digest((prompt, sorted(texts))),
        prompt=prompt,
        root=digest(openings[:1]),
        version=(verdict.policy, verdict.rubric),
        purposes=purposes,
        verdict=sides.get(verdict.preference, verdict.preference),
        shown_first=b if verdict.order == "ba" else a,
        order_known=verdict.order is not None,
        better=None if verdict.better is None else sides[verdict.better],
        time=verdict.time,
        drop=min(faults, key=VALIDATE.index) if faults else None,
    )
