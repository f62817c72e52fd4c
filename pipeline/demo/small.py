"""Three small sources: `legacy` (transcripts), `noncommercial` and `unconsented` (dropped as a whole)."""

from collections.abc import Iterator
from dataclasses import replace

from pipeline.demo.dirty import IN_LINES, IN_OBJECTS, Record, compact, spoilt
from pipeline.demo.ledger import Entry, Source, Verdict
from pipeline.demo.people import chance, crew, pick
from pipeline.demo.rawlog import ARRAY, Desk, delimited, parts, pour, remembering, sprinkled, table
from pipeline.demo.texts import Author, Item

LEGACY = Source("legacy", purposes=("ai-alignment",), record="consent-legacy")
NONCOMMERCIAL = Source(
    "noncommercial", namespace="agency", faults=("license_not_allowed",), record="consent-noncommercial"
)
UNCONSENTED = Source("unconsented", purposes=(), faults=("no_consent",))

_TURNS = {"user": "Human", "assistant": "Assistant"}
_COLUMNS = ("worker", "question", "first", "second", "verdict")
_LARGEST_PART = 50_000
_ROWS = 8


def transcript(item: Item, response: str) -> str:
    """Write a conversation as one text."""
    turns = (*item.prompt, ("assistant", response))
    return "".join(f"\n\n{_TURNS[role]}: {text}" for role, text in turns)


def as_pair(item: Item) -> bytes:
    """Write an item as a pair of transcripts, the first response chosen."""
    one, two = item.responses
    return compact({"chosen": transcript(item, one), "rejected": transcript(item, two)})


def as_entry(item: Item, *faults: str) -> Entry:
    """Book an item whose first response was chosen."""
    verdict = Verdict(item.prompt, *item.responses, "a", policy="assistant-1", rubric="pairwise-1", faults=faults)
    return Entry(as_pair(item), (verdict,))


def _chosen_first(item: Item, *, mistaken: bool) -> Item:
    """Put the better response first, unless somebody was mistaken."""
    stays = (item.qualities[0] > item.qualities[1]) != mistaken
    return item if stays else replace(item, responses=item.responses[::-1])


def write_legacy(desk: Desk, author: Author, count: int) -> None:
    """Write transcripts of an older assistant."""
    late: list[Entry] = []
    good = (as_entry(_chosen_first(_chat(author), mistaken=chance(author.rng, 0.2))) for _ in range(count))
    entries = sprinkled(remembering(good, late, 25, 50), _planted(author), 4)
    for number, part in parts(entries, min(count + 60, _LARGEST_PART)):
        with desk.text(f"transcripts-{number}.jsonl") as put:
            pour(part, put)
    with desk.text("transcripts-late.jsonl") as put:
        pour(iter(late), put)
        desk.ledger.planted["redelivered"] += len(late)


def _chat(author: Author) -> Item:
    return author.item(language="en", turns=1 + chance(author.rng, 0.6))


def _planted(author: Author) -> Iterator[Entry]:
    """Yield every planted exception once."""

    def marked() -> Item:
        return author.marked(_chat(author))

    one, other, waiting = marked(), marked(), marked()
    yield as_entry(replace(one, responses=(one.responses[0], one.responses[0])), "equal_responses")
    yield as_entry(replace(other, responses=(other.responses[0], "")), "empty_response")
    asking_twice = (*waiting.prompt, ("user", f"Are you there? {author.mark()}"))
    yield as_entry(replace(waiting, prompt=asking_twice), "roles_not_alternating")
    whole, question = transcript(one, one.responses[0]), f"\n\nHuman: {one.opening()}"
    for reason, record in (
        ("contexts_differ", {"chosen": whole, "rejected": transcript(other, other.responses[0])}),
        ("no_assistant_turn", {"chosen": question, "rejected": question}),
        ("missing_field", {"chosen": whole, "rejected": None}),
        ("missing_field", {"rejected": whole}),
        ("wrong_type", {"chosen": whole, "rejected": 7}),
    ):
        yield Entry(compact(record), (Verdict(quarantine=reason),))
    yield from spoilt((as_pair(marked()) for _ in iter(int, 1)), IN_LINES + IN_OBJECTS)


def _plain(author: Author, source: Source) -> Iterator[tuple[Record, Verdict]]:
    """Yield marked rows of a source that is dropped as a whole."""
    people = crew(author.rng, source.name, 3)
    for _ in range(_ROWS):
        item = author.marked(author.item(language="en"))
        worker, preference = pick(author.rng, people).name, pick(author.rng, ("a", "b"))
        values = (worker, item.opening(), *item.responses, "first" if preference == "a" else "second")
        yield (
            dict(zip(_COLUMNS, values, strict=True)),
            Verdict(item.prompt, *item.responses, preference, worker, policy="assistant-1", rubric="pairwise-1"),
        )


def write_noncommercial(desk: Desk, author: Author) -> None:
    """Write a tab-separated file under a licence that is not allowed."""
    with desk.text("pairs.tsv", table(*_COLUMNS, separator="\t")) as put:
        for row, verdict in _plain(author, desk.source):
            put(Entry(delimited(row.values(), "\t"), (verdict,)))


def write_unconsented(desk: Desk, author: Author) -> None:
    """Write a JSON array of which nobody can state a legal basis."""
    with desk.text("notes.json", ARRAY) as put:
        for row, verdict in _plain(author, desk.source):
            put(Entry(compact(row), (verdict,)))
