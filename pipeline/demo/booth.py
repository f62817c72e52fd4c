"""Source `arena`'s voting booth: how a vote is recorded and booked, and the votes that are planted."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.demo.consents import story_of
from pipeline.demo.dirty import ABSENT, IN_LINES, IN_OBJECTS, Changes, Record, Same, changed, compact, spoilt
from pipeline.demo.ledger import Entry, Ledger, Source, Verdict, digest, folded
from pipeline.demo.people import Annotator, better_of, between, pick, verdict_of
from pipeline.demo.texts import Author, Item

ARENA = Source("arena")
_BEGIN = 1_751_353_200
_WINNERS = {"a": "left", "b": "right", "tie": "tie", "both_bad": "bothbad"}
_PREFERENCES = {winner: preference for preference, winner in _WINNERS.items()}
_ROLES = {"user": "person", "assistant": "bot", "system": "system"}

# Each breaks the rules named; the first in the documented order counts.
DROPPED: tuple[tuple[tuple[str, ...], Changes], ...] = (
    (("empty_prompt",), {"conversation": []}),
    (("empty_prompt",), {"conversation.0.value": " \n "}),
    (("roles_not_alternating",), {"conversation.1.from": "person"}),
    (("roles_not_alternating",), {"conversation.2.from": "bot"}),
    (("empty_response",), {"right.text": "  \n"}),
    (("empty_response",), {"left.text": ""}),
    (("equal_responses",), {"right.text": Same("left.text")}),
    (("equal_responses", "unknown_preference"), {"right.text": Same("left.text"), "winner": None}),
    (("unknown_preference",), {"winner": None}),
    (("unknown_preference",), {"winner": ABSENT}),
    (("unknown_rubric",), {"guidelines": "pairwise-9"}),
    (("unknown_rubric", "no_consent"), {"guidelines": ABSENT, "worker.consent": None}),
    (("rubric_not_accepted",), {"guidelines": "pairwise-0"}),
    (("rubric_not_accepted",), {"guidelines": "pairwise-0"}),
    *[(("no_consent",), {"worker.consent": None})] * 6,
    *[(("no_consent",), {"worker.consent": ABSENT})] * 3,
    *[(("no_consent",), {"worker.id": None})] * 3,
    # Who voted consented; who asked is not named, by half, or not at all.
    *[(("no_consent",), {"asker.id": None, "asker.consent": None})] * 3,
    *[(("no_consent",), {"asker.consent": None})] * 2,
    *[(("no_consent",), {"asker": ABSENT})] * 2,
    # Not in the ledger: nobody's consent, and that of somebody else, here or elsewhere.
    (("consent_unknown",), {"worker.consent": "consent-arena-9999"}),
    (("consent_unknown",), {"worker.consent": "consent-crowd-0001"}),
    (("consent_unknown",), {"worker.consent": Same("asker.consent")}),
)

LOST: tuple[tuple[str, Changes], ...] = (
    ("missing_field", {"right.text": ABSENT}),
    ("missing_field", {"conversation": None}),
    ("wrong_type", {"left.text": 7}),
    ("wrong_type", {"conversation": "zzmark0"}),
    ("unknown_value", {"winner": "maybe"}),
    ("unknown_role", {"conversation.0.from": "robot"}),
    ("bad_time", {"asked_at": "soon"}),
    ("out_of_range", {"asked_at": 10**15}),
)


@dataclass(slots=True)
class Booth:
    """The voting booth: who votes and who asked, how many votes there were, what other sources or files will need.

    `gated` voters and `limited` askers are those whose consent does not stand, or not for everything.
    """

    author: Author
    ledger: Ledger
    people: list[Annotator]
    gated: list[Annotator]
    askers: list[Annotator]
    limited: list[Annotator]
    votes: int = 0
    late: list[Entry] = field(default_factory=list)
    shared: list[Item] = field(default_factory=list)

    def asker(self, item: Item) -> Annotator:
        """Name who asked: for one opening always the same."""
        return self.askers[int.from_bytes(digest(folded(item.opening()))) % len(self.askers)]

    def vote(self, item: Item, person: Annotator, guidelines: str, asker: Annotator | None = None) -> Record:
        """Let a person vote on an item; return the record."""
        rng, asker = self.author.rng, asker or self.asker(item)
        self.votes += 1
        return {
            "vote_id": f"v-{self.votes:07d}",
            "asked_at": _BEGIN + 41 * self.votes + between(rng, 0, 40),
            "seconds": round(4 + 90 * rng.random() ** 2, 1),
            "worker": {"id": person.name, "consent": person.consent},
            "asker": {"id": asker.name, "consent": asker.consent},
            "guidelines": guidelines,
            "lang": item.language,
            "topic": item.topic,
            "conversation": [{"from": _ROLES[role], "value": text} for role, text in item.prompt],
            "left": {"model": item.models[0], "text": item.responses[0]},
            "right": {"model": item.models[1], "text": item.responses[1]},
            "winner": _WINNERS[verdict_of(rng, person, item.qualities, "a")],
        }

    def entry(self, item: Item, person: Annotator, guidelines: str) -> Entry:
        """Let a person vote on an item; return the entry."""
        return as_entry(self.vote(item, person, guidelines), better_of(item.qualities))


def as_entry(record: Record, better: str, *, faults: tuple[str, ...] = (), quarantine: str | None = None) -> Entry:
    """Book a record as the one verdict that it gives."""
    if quarantine is not None:
        return Entry(compact(record), (Verdict(quarantine=quarantine),))
    names = {name: role for role, name in _ROLES.items()}
    prompt = tuple((names.get(one["from"], one["from"]), one["value"]) for one in record["conversation"])
    left, right = record["left"], record["right"]
    rubric: str | None = record.get("guidelines")
    verdict = Verdict(
        prompt=prompt,
        response_a=left["text"],
        response_b=right["text"],
        preference=_PREFERENCES.get(record.get("winner", "")),
        annotator=record["worker"]["id"],
        order="ab",
        policy="assistant-2",
        rubric=rubric,
        stated=(record["vote_id"], left["model"], right["model"], rubric, record["asked_at"]),
        time=record["asked_at"],
        better=better,
        refs=tuple((one.get("id"), one.get("consent")) for one in (record["worker"], record.get("asker", {}))),
        faults=faults,
    )
    return Entry(compact(record), (verdict,))


def planted(booth: Booth) -> Iterator[Entry]:
    """Yield every planted exception once: dropped rows, event conflicts, quarantined records, consents that limit."""
    author, people = booth.author, booth.people

    def marked(changes: Changes) -> tuple[Record, str]:
        turns = 2 if any(path.startswith("conversation.") for path in changes) else 1
        item = author.marked(author.item(turns=turns))
        record = booth.vote(item, pick(author.rng, people), "pairwise-2", booth.askers[0])
        return changed(record, changes), better_of(item.qualities)

    for faults, changes in DROPPED:
        record, better = marked(changes)
        yield as_entry(record, better, faults=faults)
    for reason, changes in LOST:
        record, better = marked(changes)
        yield as_entry(record, better, quarantine=reason)
    for _ in range(3):
        record, better = marked({})
        booth.ledger.planted["event_conflicts"] += 1
        for winner in ("left", "right"):
            yield as_entry(changed(record, {"winner": winner}), better, faults=("event_conflict",))
    yield from spoilt((compact(marked({})[0]) for _ in iter(int, 1)), IN_LINES + IN_OBJECTS)
    yield from _under_each_consent(booth)


def _under_each_consent(booth: Booth) -> Iterator[Entry]:
    """Yield a vote under each consent that does not allow everything, and one whose two consents share no purpose."""
    author, sound = booth.author, booth.askers[0]
    couples = [(person, sound) for person in booth.gated]
    couples += [(booth.people[0], asker) for asker in booth.limited]
    for person, asker in couples:
        dropped = any(story_of(booth.ledger, ARENA, one).refused for one in (person, asker))
        item = author.marked(author.item()) if dropped else author.item()
        yield as_entry(booth.vote(item, person, "pairwise-2", asker), better_of(item.qualities))
    # Of the last of either: who votes allows training alone, who asks evaluation alone.
    item = author.marked(author.item())
    yield as_entry(booth.vote(item, booth.gated[-1], "pairwise-2", booth.limited[-1]), better_of(item.qualities))
