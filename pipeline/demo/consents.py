"""The consent ledger as it is written: one line per event, in no order, some of them twice, nobody by name."""

import hmac
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from pipeline.demo.ledger import Ledger, Source
from pipeline.demo.people import Annotator, pick_some
from pipeline.demo.stories import Event, Story

# The pseudonym key of the sample. It is public and protects nobody: anyone may rebuild the sample.
KEY = "public-key-of-the-synthetic-sample-it-protects-nobody"
_JURISDICTIONS = ("DE", "FR", "EU", "JP", "US-CA")
_PROFILES = ("https://w3id.org/dpv/schema/dpv-27560#record", "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr")
_COPIED = 9


def pseudonym(namespace: str, raw: str) -> str:
    """Name a person as the pipeline does: a keyed digest of parts that each say how long they are."""
    parts = (part.encode() for part in ("annotator", namespace, raw))
    framed = b"".join(b"%d:%s," % (len(part), part) for part in parts)
    return hmac.digest(KEY.encode(), framed, "sha256").hex()[:32]


def enrolled(
    ledger: Ledger, source: Source, people: Sequence[Annotator], stories: Sequence[Story]
) -> tuple[list[Annotator], list[Annotator]]:
    """Book what the consent ledger tells of each; return those under whose consent all is allowed, and the others."""
    groups: tuple[list[Annotator], list[Annotator]] = ([], [])
    for person, story in zip(people, stories, strict=True):
        ledger.consents[source.subject(person.name), person.consent] = story
        groups[not story.stands].append(person)
    return groups


def story_of(ledger: Ledger, source: Source, person: Annotator) -> Story:
    """Return what the consent ledger tells of a person."""
    return ledger.consents[source.subject(person.name), person.consent]


def write_consents(folder: Path, ledger: Ledger, rng: Random) -> None:
    """Write the consents that are booked, by namespace and year, and some events once more in a file of copies."""
    folder.mkdir(parents=True)
    files: dict[str, list[Event]] = defaultdict(list)
    for (subject, consent_id), story in ledger.consents.items():
        for event in _events(subject, consent_id, story):
            files[f"{_namespace(subject)}-{str(event['status_time'])[:4]}"].append(event)
    events = [event for file in files.values() for event in file]
    files["copied"] = [_turned(event) for event in events[::_COPIED]]
    ledger.planted["copied_events"] = len(files["copied"])
    for name, held in sorted(files.items()):
        lines = [json.dumps(event, ensure_ascii=False) for event in pick_some(rng, held, len(held))]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


def _namespace(subject: str) -> str:
    return "source" if subject.startswith("source:") else subject.partition("/")[0]


def _events(subject: str, consent_id: str, story: Story) -> Iterator[Event]:
    """Yield a consent's events; the first states what is the same for all records of its kind."""
    namespace, slash, raw = subject.partition("/")
    key = {"consent_id": consent_id, "subject": pseudonym(namespace, raw) if slash else subject}
    for place, event in enumerate(story.events):
        yield {**key, **event, **({} if place else _beside(consent_id))}


def _beside(consent_id: str) -> Event:
    evidence = sha256(f"the form of {consent_id}".encode()).hexdigest()
    jurisdiction = _JURISDICTIONS[int(evidence, 16) % len(_JURISDICTIONS)]
    return {
        "conforms_to": _PROFILES[jurisdiction in {"DE", "FR", "EU"}],
        "jurisdiction": jurisdiction,
        "notice_uri": "https://example.com/notices/feedback",
        "notice_version": "3",
        "language": "en",
        "collection_method": "web form",
        "withdrawal_method": "account page, or a letter",
        "controller": "Pairtrail sample (invented)",
        "evidence_sha256": evidence,
    }


def _turned(event: Event) -> Event:
    """Say the same with the keys and lists the other way round."""
    return {key: value[::-1] if isinstance(value, list) else value for key, value in reversed(list(event.items()))}


def told(ledger: Ledger) -> dict[str, Any]:
    """Say what the consent ledger holds, and what each of its consents comes to."""
    stories = ledger.consents
    times = [datetime.fromisoformat(str(one["status_time"])) for story in stories.values() for one in story.events]
    consents = [
        {
            "subject": next(_events(*key, story))["subject"],
            "consent_id": key[1],
            "refused": story.refused,
            "purposes": list(story.purposes),
        }
        for key, story in stories.items()
    ]
    return {
        "consent_ledger": {
            "consents": len(stories),
            "events": len(times),
            "contradictions": sum(story.contradictions for story in stories.values()),
            "newest": f"{max(times):%Y-%m-%dT%H:%M:%S.%fZ}",
        },
        "consents": consents,
    }
