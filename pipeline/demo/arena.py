"""Source `arena`: visitors vote between two assistants; JSON lines with nested fields, in several files."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pipeline.demo.dirty import ABSENT, IN_LINES, IN_OBJECTS, Changes, Record, Same, changed, compact, spoilt
from pipeline.demo.ledger import Entry, Ledger, Source, Verdict
from pipeline.demo.people import Annotator, better_of, between, chance, crew, pick, pick_some, verdict_of
from pipeline.demo.rawlog import Desk, parts, pour, remembering, sprinkled
from pipeline.demo.texts import Author, Item

ARENA = Source("arena")
_BEGIN = 1_751_353_200
_LARGEST_PART = 25_000
_CUT_AFTER = 5
_SHARED = 24
_REWRITTEN_BEFORE = 80
_COMPRESSED_PART = 2
_WINNERS = {"a": "left", "b": "right", "tie": "tie", "both_bad": "bothbad"}
_PREFERENCES = {winner: preference for preference, winner in _WINNERS.items()}
_SYSTEM = ("system", "You are the arena's assistant. Answer in the language of the question.")
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
    """The voting booth: who votes, how many votes there were, and what other sources or files will need."""

    author: Author
    ledger: Ledger
    people: list[Annotator]
    votes: int = 0
    late: list[Entry] = field(default_factory=list)
    shared: list[Item] = field(default_factory=list)

    def vote(self, item: Item, person: Annotator, guidelines: str, changes: Changes | None = None) -> Record:
        """Let a person vote on an item; return the record."""
        rng = self.author.rng
        self.votes += 1
        record: Record = {
            "vote_id": f"v-{self.votes:07d}",
            "asked_at": _BEGIN + 41 * self.votes + between(rng, 0, 40),
            "seconds": round(4 + 90 * rng.random() ** 2, 1),
            "worker": {"id": person.name, "consent": person.consent},
            "guidelines": guidelines,
            "lang": item.language,
            "topic": item.topic,
            "conversation": [{"from": _ROLES[role], "value": text} for role, text in item.prompt],
            "left": {"model": item.models[0], "text": item.responses[0]},
            "right": {"model": item.models[1], "text": item.responses[1]},
            "winner": _WINNERS[verdict_of(rng, person, item.qualities, "a")],
        }
        return changed(record, changes) if changes else record

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
        faults=faults,
    )
    return Entry(compact(record), (verdict,))


def write_arena(desk: Desk, author: Author, count: int) -> list[Item]:
    """Write the source; return items that people judged here and that models will judge elsewhere."""
    people = crew(author.rng, "arena", 24)
    for person in people:
        desk.ledger.annotators[f"arena/{person.name}"] = (person.accuracy, person.first_habit)
    booth = Booth(author, desk.ledger, people)
    extras = _extras(booth)
    entries = sprinkled(remembering(_votes(booth, count), booth.late, 40, 400), extras, 5)
    for number, part in parts(entries, min(-(-(count + 60) // 3), _LARGEST_PART)):
        with desk.text(f"battles-{number}.jsonl{'.gz' if number == _COMPRESSED_PART else ''}") as put:
            pour(part, put)
    with desk.text("battles-late.jsonl") as put:
        pour(iter(booth.late), put)
        desk.ledger.planted["redelivered"] += len(booth.late)
    _write_broken_files(desk, booth)
    return booth.shared


def _votes(booth: Booth, count: int) -> Iterator[Entry]:
    """Yield good votes: new openings, conversations that continue known ones, near duplicates, second looks."""
    rng, author = booth.author.rng, booth.author
    number = 0
    while booth.votes < count:
        item = author.item(turns=1 + chance(rng, 0.45) + chance(rng, 0.15))
        if len(item.prompt) > 1 and chance(rng, 0.2):
            item = replace(item, prompt=(_SYSTEM, *item.prompt))
        guidelines = "pairwise-1" if chance(rng, 0.3) else "pairwise-2"
        first, *others = pick_some(rng, booth.people, 1 + chance(rng, 0.2) + chance(rng, 0.05))
        for person in (first, *others):
            yield booth.entry(item, person, guidelines)
        yield from _grown(booth, item, first, guidelines, number)
        if guidelines == "pairwise-2" and len(item.prompt) == 1 and len(booth.shared) < _SHARED:
            booth.shared.append(item)
        number += 1


def _grown(booth: Booth, item: Item, person: Annotator, guidelines: str, number: int) -> Iterator[Entry]:
    """Yield what some items get besides their first votes."""
    rng, author, planted = booth.author.rng, booth.author, booth.ledger.planted
    match number % 20:
        case 3:
            planted["shared_openings"] += 1
            for turns in (2, 3):
                yield booth.entry(author.continued(item, turns), pick(rng, booth.people), guidelines)
        case 5 if number < _REWRITTEN_BEFORE:
            planted["rewritten_prompts"] += 1
            somebody = next(one for one in booth.people if one is not person)
            yield booth.entry(_rewritten(item), somebody, guidelines)
        case 8:
            one = author.item(clauses=3)
            other = author.answered(_edited(author, one))
            booth.ledger.near_duplicates(one.opening(), other.opening())
            for near in (one, other):
                yield booth.entry(near, pick(rng, booth.people), guidelines)
        case 13:
            planted["both_orders"] += 1
            yield booth.entry(_mirrored(item), person, guidelines)


def _edited(author: Author, item: Item) -> Item:
    """Change an opening a little: a politer one, or another number where there is one."""
    politer = f"{author.lexicons[item.language].polite}{item.opening()}"
    other = re.sub(r"\d+", lambda found: str(int(found[0]) + 1), item.opening(), count=1)
    edited = politer if other == item.opening() or chance(author.rng, 0.5) else other
    return replace(item, prompt=(("user", edited),))


def _mirrored(item: Item) -> Item:
    return replace(item, responses=item.responses[::-1], models=item.models[::-1], qualities=item.qualities[::-1])


def _rewritten(item: Item) -> Item:
    """Write the same prompt with other white space and full-width digits: equal once normalised."""
    wide = str.maketrans("0123456789", "".join(chr(ord("0") + 0xFEE0 + digit) for digit in range(10)))
    *before, (role, text) = item.prompt
    return replace(item, prompt=(*before, (role, f" {text.translate(wide).replace(' ', '  ')}\n")))


def _extras(booth: Booth) -> Iterator[Entry]:
    """Yield every planted exception once: dropped rows, event conflicts, quarantined records."""
    author, people = booth.author, booth.people

    def marked(changes: Changes) -> tuple[Record, str]:
        turns = 2 if any(path.startswith("conversation.") for path in changes) else 1
        item = author.marked(author.item(turns=turns))
        return booth.vote(item, pick(author.rng, people), "pairwise-2", changes), better_of(item.qualities)

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


def _write_broken_files(desk: Desk, booth: Booth) -> None:
    """Write a file that is cut short behind its fifth record, an empty one, and one of another format."""
    people, author = booth.people, booth.author
    good = [booth.entry(author.item(), pick(author.rng, people), "pairwise-1") for _ in range(_CUT_AFTER)]
    packer = zlib.compressobj(wbits=31)
    content = packer.compress(b"".join(entry.content + b"\n" for entry in good)) + packer.flush(zlib.Z_SYNC_FLUSH)
    desk.broken("battles-cut.jsonl.gz", content, *good, Entry(b"", fault="unreadable_file"))
    desk.broken("battles-empty.jsonl", b"", Entry(b"", fault="empty_file"))
    page = b"PAR1" + bytes(range(64)) + b"PAR1"
    desk.broken("battles-misnamed.jsonl", page, Entry(page, fault="format_mismatch"))
