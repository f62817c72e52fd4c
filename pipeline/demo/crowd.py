"""Source `crowd`: paid annotators grade pairs, several per pair, in both orders; CSV joined to a file of texts."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pipeline.demo.consents import enrolled, story_of
from pipeline.demo.dirty import IN_LINES, compact, spoilt
from pipeline.demo.ledger import Entry, Ledger, Source, Verdict
from pipeline.demo.people import Annotator, better_of, between, chance, crew, noise, pick, pick_some, verdict_of
from pipeline.demo.rawlog import Desk, Put, delimited, parts, pour, remembering, sprinkled, table
from pipeline.demo.stories import GRADERS
from pipeline.demo.texts import Author, Item

CROWD = Source("crowd", namespace="agency")
COLUMNS = ("text_id", "worker", "shown", "choice", "grade", "when", "annex", "comment")
_BEGIN = datetime(2025, 7, 1, 8, 0, tzinfo=UTC)
_WHEN = "%Y-%m-%d %H:%M"
_LARGEST_PART = 100_000
_GATED = 0.15
_CHOICES = {"a": "1", "b": "2", "tie": "0", "both_bad": "x"}
_PREFERENCES = {choice: preference for preference, choice in _CHOICES.items()}
_OTHER = {"a": "b", "b": "a", "tie": "a", "both_bad": "b"}

_COMMENTS = ("", "", "", "", "second one is vague", 'says "it depends", twice', "first, second\nboth long")

Vote = dict[str, str]


def _equal(item: Item) -> Item:
    return replace(item, responses=(item.responses[0], item.responses[0]))


DROPPED: tuple[tuple[tuple[str, ...], Vote, Callable[[Item], Item]], ...] = (
    (("strength_out_of_range",), {"grade": "7"}, lambda item: item),
    (("strength_out_of_range",), {"grade": "-1"}, lambda item: item),
    (("strength_out_of_range", "no_consent"), {"grade": "3.5", "annex": ""}, lambda item: item),
    (("empty_prompt",), {}, lambda item: replace(item, prompt=(("user", ""),))),
    (("equal_responses", "strength_out_of_range"), {"grade": "9"}, _equal),
    # Neither is in the ledger: nobody's annex, and the consent of somebody elsewhere.
    (("consent_unknown",), {"annex": "consent-crowd-9999"}, lambda item: item),
    (("consent_unknown",), {"annex": "consent-arena-0001"}, lambda item: item),
)
"""The rules that a planted row breaks, what is changed in the vote, and what in the item."""

LOST: tuple[tuple[str, Vote], ...] = (
    ("no_side_record", {"text_id": "t-nowhere"}),
    ("unknown_value", {"choice": "7"}),
    ("unknown_value", {"shown": "left"}),
    ("bad_time", {"when": "yesterday"}),
    ("wrong_type", {"grade": "much"}),
)


SPOILT: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("wrong_column_count", lambda line: line + b",too,many"),
    ("wrong_column_count", lambda line: line[: line.rindex(b",")]),
    ("invalid_utf8", lambda line: line.replace(b"zzmark", b"\xff\xfezzmark")),
    ("nul_character", lambda line: line + b"\0"),
)


@dataclass(slots=True)
class Agency:
    """The annotators at work (`gated`: whose contract does not allow everything), and where the texts go."""

    author: Author
    ledger: Ledger
    people: list[Annotator]
    gated: list[Annotator]
    put_text: Put
    texts: int = 0
    votes: int = 0
    late: list[Entry] = field(default_factory=list)

    def key(self) -> str:
        """Return a key that no text has yet."""
        self.texts += 1
        return f"t-{self.texts:06d}"

    def publish(self, item: Item) -> str:
        """Write an item's text record; return its key."""
        key = self.key()
        self.put_text(Entry(text_line(key, item)))
        return key

    def vote(self, key: str, item: Item, person: Annotator, shown: str, minute: int) -> Vote:
        """Let a person grade an item; return the row."""
        rng = self.author.rng
        self.votes += 1
        preference = verdict_of(rng, person, item.qualities, shown[0])
        gap = abs(item.qualities[0] - item.qualities[1])
        grade = str(max(0, min(3, round(1.4 * gap + 0.5 * noise(rng))))) if preference in {"a", "b"} else ""
        comment = pick(rng, _COMMENTS)
        return {
            "text_id": key,
            "worker": person.name,
            "shown": shown,
            "choice": _CHOICES[preference],
            "grade": grade,
            "when": f"{_BEGIN + timedelta(minutes=minute):{_WHEN}}",
            "annex": person.consent,
            # A rationale counts as text, so it carries the mark of what must not be published.
            "comment": f"{comment} {self.author.mark()}" if comment else "",
        }


def text_line(key: str, item: Item) -> bytes:
    """Write what the file of texts says of an item."""
    answers = [{"model": model, "text": text} for model, text in zip(item.models, item.responses, strict=True)]
    slices = {"lang": item.language, "topic": item.topic}
    return compact({"id": key, **slices, "question": item.opening(), "answers": answers})


def as_line(row: Vote) -> bytes:
    """Write a row as one CSV record, quoted where it must be."""
    return delimited((row[name] for name in COLUMNS), ",")


def as_entry(row: Vote, item: Item, *, faults: tuple[str, ...] = (), quarantine: str | None = None) -> Entry:
    """Book a row as the one verdict that it gives."""
    if quarantine is not None:
        return Entry(as_line(row), (Verdict(quarantine=quarantine),))
    verdict = Verdict(
        prompt=item.prompt,
        response_a=item.responses[0],
        response_b=item.responses[1],
        preference=_PREFERENCES[row["choice"]],
        annotator=row["worker"],
        order=row["shown"],
        policy="assistant-1",
        rubric="pairwise-1",
        stated=(*item.models, row["grade"], row["when"]),
        time=_moment(row).timestamp(),
        better=better_of(item.qualities),
        refs=((row["worker"], row["annex"]),),
        faults=faults,
    )
    return Entry(as_line(row), (verdict,))


def write_crowd(desk: Desk, author: Author, count: int) -> None:
    """Write votes and texts side by side."""
    people = crew(author.rng, "crowd", len(GRADERS))
    standing, gated = enrolled(desk.ledger, desk.source, people, GRADERS)
    for person in people:
        desk.ledger.annotators[f"agency/{person.name}"] = (person.accuracy, person.first_habit)
    with desk.text("texts.json") as put_text:
        agency = Agency(author, desk.ledger, standing, gated, put_text)
        entries = sprinkled(remembering(_votes(agency, count), agency.late, 50, 200), _planted(agency), 4)
        for number, part in parts(entries, min(-(-(count + 30) // 2), _LARGEST_PART)):
            with desk.text(f"votes-{number}.csv{'.zst' if number == 1 else ''}", table(*COLUMNS)) as put:
                pour(part, put)
        with desk.text("votes-late.csv", table(*COLUMNS)) as put:
            pour(iter(agency.late), put)
            desk.ledger.planted["redelivered"] += len(agency.late)
            # An open quote swallows the rest of its file, so it comes last.
            put(Entry(as_line({**_marked(agency), "comment": ""}) + b'"zzmark0 and so on', fault="unterminated_quote"))


def _votes(agency: Agency, count: int) -> Iterator[Entry]:
    rng, author = agency.author.rng, agency.author
    while agency.votes < count:
        item = author.item()
        key, minute = agency.publish(item), 3 * agency.votes
        for person in pick_some(rng, agency.people, between(rng, 2, 4)):
            shown = pick(rng, ("ab", "ba"))
            row = agency.vote(key, item, person, shown, minute + between(rng, 0, 9))
            yield as_entry(row, item)
            if chance(rng, 0.3):
                agency.ledger.planted["both_orders"] += 1
                yield as_entry(agency.vote(key, item, person, shown[::-1], minute + between(rng, 10, 19)), item)
            yield from _again(agency, row, item)
        if chance(rng, _GATED):
            yield as_entry(agency.vote(key, item, pick(rng, agency.gated), "ab", minute + between(rng, 0, 9)), item)


_AGAIN: tuple[tuple[float, tuple[tuple[bool, int], ...], Counter[str]], ...] = (
    (0.04, ((True, 1440),), Counter(repeated=1)),
    (0.08, ((False, -2880),), Counter(superseded=1)),
    (0.09, ((False, 1440), (True, 2880)), Counter(repeated=1, superseded=1)),
    # In the same minute: nobody can say which came later, so both stand.
    (0.1, ((False, 0),), Counter(undecided=1)),
)
"""Up to which chance somebody's other verdicts are these (the same? how many minutes later?), and what they plant."""


def _again(agency: Agency, row: Vote, item: Item) -> Iterator[Entry]:
    """Let a few people say the same again, or have said something else before, or go there and back again."""
    drawn = agency.author.rng.random()
    other = _CHOICES[_OTHER[_PREFERENCES[row["choice"]]]]
    _, plan, planted = next((entry for entry in _AGAIN if drawn < entry[0]), (0, (), Counter[str]()))
    agency.ledger.planted.update(planted)
    for same, later in plan:
        agency.votes += 1
        when = _moment(row) + timedelta(minutes=later)
        choice = row["choice"] if same else other
        yield as_entry({**row, "choice": choice, "when": f"{when:{_WHEN}}", "comment": ""}, item)


def _moment(row: Vote) -> datetime:
    return datetime.strptime(row["when"], _WHEN).replace(tzinfo=UTC)


def _marked(agency: Agency, item: Item | None = None, key: str | None = None, person: Annotator | None = None) -> Vote:
    """Return one vote on a marked item; the item is published unless its key is given."""
    item = item or agency.author.marked(agency.author.item())
    key = key or agency.publish(item)
    row = agency.vote(key, item, person or pick(agency.author.rng, agency.people), "ab", agency.votes)
    return {**row, "comment": agency.author.mark()}


def _planted(agency: Agency) -> Iterator[Entry]:
    """Yield every planted exception once: dropped rows, quarantined rows, texts that nobody can name."""
    author = agency.author
    for faults, changes, spoil in DROPPED:
        item = spoil(author.marked(author.item()))
        yield as_entry({**_marked(agency, item), **changes}, item, faults=faults)
    for reason, changes in LOST:
        item = author.marked(author.item())
        yield as_entry({**_marked(agency, item), **changes}, item, quarantine=reason)
    for reason, spoil_line in SPOILT:
        yield Entry(spoil_line(as_line(_marked(agency))), fault=reason)
    for person in agency.gated:
        item = author.marked(author.item()) if story_of(agency.ledger, CROWD, person).refused else author.item()
        yield as_entry(_marked(agency, item, person=person), item)
    yield from _unnamed(agency)


def _unnamed(agency: Agency) -> Iterator[Entry]:
    """Yield votes on a key with two texts, on a text that cannot be read, and a good one on a text delivered twice."""
    one, other, broken = (agency.author.marked(agency.author.item()) for _ in range(3))
    key, lost = agency.key(), agency.key()
    for item in (one, other):
        agency.put_text(Entry(text_line(key, item), fault="ambiguous_key"))
    yield as_entry(_marked(agency, one, key), one, quarantine="no_side_record")
    for entry in spoilt(iter([text_line(lost, broken)] * len(IN_LINES)), IN_LINES):
        agency.put_text(entry)
    yield as_entry(_marked(agency, broken, lost), broken, quarantine="no_side_record")
    twice = agency.author.item()
    key = agency.publish(twice)
    agency.put_text(Entry(text_line(key, twice)))
    yield as_entry(agency.vote(key, twice, agency.people[0], "ba", agency.votes), twice)
