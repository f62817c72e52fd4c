"""Source `helpdesk`: drafts of support answers, reviewed by staff and by a model; Parquet, prompts in two columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as arrow

from pipeline.demo.ledger import Entry, Ledger, Source, Verdict
from pipeline.demo.people import Annotator, better_of, chance, crew, pick, pick_some, verdict_of
from pipeline.demo.rawlog import Desk, parts, pour, sprinkled
from pipeline.demo.texts import Author, Item

HELPDESK = Source("helpdesk", record="consent-helpdesk")
BOT = Annotator("review-bot-4", "", 0.75, 0.1)
_BEGIN = datetime(2025, 8, 4, 7, 30, tzinfo=UTC)
_FIRST_REVIEW = 40_000
_LARGEST_PART = 50_000
_BETTER = {"a": "1", "b": "2", "tie": "same", "both_bad": "neither"}
_PREFERENCES = {better: preference for preference, better in _BETTER.items()}
_TEXT_COLUMNS = (
    "lang", "subject", "details", "draft_1", "draft_2", "engine_1", "engine_2",
    "better", "how_much", "policy", "reviewed_by", "reviewer", "reviewed_at",
)  # fmt: skip
SCHEMA = arrow.schema([("review", arrow.int64()), *((name, arrow.string()) for name in _TEXT_COLUMNS)])

Row = dict[str, Any]

DROPPED: tuple[tuple[tuple[str, ...], Row], ...] = (
    (("unknown_policy",), {"policy": "assistant-9"}),
    (("unknown_policy",), {"policy": None}),
    (("unknown_preference", "policy_not_accepted"), {"policy": "assistant-0", "better": None}),
    *[(("policy_not_accepted",), {"policy": "assistant-0"})] * 5,
    (("empty_response",), {"draft_2": " "}),
    (("empty_prompt",), {"subject": " ", "details": ""}),
)

LOST: tuple[tuple[str, Row], ...] = (
    ("missing_field", {"details": None}),
    ("missing_field", {"draft_1": None}),
    ("unknown_value", {"better": "3"}),
    ("unknown_value", {"how_much": "somewhat"}),
    ("bad_time", {"reviewed_at": "04/08/2025"}),
)


@dataclass(slots=True)
class Support:
    """The desk's reviewers at work."""

    author: Author
    ledger: Ledger
    people: list[Annotator]
    reviews: int = 0

    def review(self, item: Item, who: Annotator, policy: str) -> Row:
        """Let somebody review an item; return the row."""
        self.reviews += 1
        preference = verdict_of(self.author.rng, who, item.qualities, "a")
        sided = preference in {"a", "b"}
        gap = abs(item.qualities[0] - item.qualities[1])
        subject, _, details = item.opening().partition("\n\n")
        return {
            "review": _FIRST_REVIEW + self.reviews,
            "lang": item.language,
            "subject": subject,
            "details": details,
            "draft_1": item.responses[0],
            "draft_2": item.responses[1],
            "engine_1": item.models[0],
            "engine_2": item.models[1],
            "better": _BETTER[preference],
            "how_much": ("much" if gap > 1 else "slightly") if sided else None,
            "policy": policy,
            "reviewed_by": "bot" if who is BOT else "staff",
            "reviewer": who.name,
            "reviewed_at": f"{_BEGIN + timedelta(minutes=7 * self.reviews):%Y-%m-%dT%H:%M:%SZ}",
        }


def as_entry(row: Row, better: str, *, faults: tuple[str, ...] = (), quarantine: str | None = None) -> Entry:
    """Book a row as the one verdict that it gives."""
    if quarantine is not None:
        return Entry(row, (Verdict(quarantine=quarantine),))
    when = row["reviewed_at"]
    verdict = Verdict(
        prompt=(("user", f"{row['subject']}\n\n{row['details']}".strip()),),
        response_a=row["draft_1"],
        response_b=row["draft_2"],
        preference=_PREFERENCES.get(row["better"]),
        annotator=row["reviewer"],
        kind="model" if row["reviewed_by"] == "bot" else "human",
        policy=row["policy"],
        rubric="pairwise-1",
        stated=(row["review"], row["engine_1"], row["engine_2"], row["how_much"], when),
        time=None if when is None else datetime.fromisoformat(when).timestamp(),
        better=better,
        faults=faults,
    )
    return Entry(row, (verdict,))


def write_helpdesk(desk: Desk, author: Author, count: int) -> None:
    """Write whole files, and one that is cut short."""
    people = crew(author.rng, "helpdesk", 6)
    for person in (*people, BOT):
        desk.ledger.annotators[f"helpdesk/{person.name}"] = (person.accuracy, person.first_habit)
    support = Support(author, desk.ledger, people)
    entries = sprinkled(_reviews(support, count), _planted(support), 4)
    for number, part in parts(entries, min(-(-(count + 20) // 2), _LARGEST_PART)):
        with desk.parquet(f"reviews-{number}.parquet", SCHEMA) as put:
            pour(part, put)
    # The footer stands at the end, so nothing of a cut Parquet file can be read.
    whole = desk.path("reviews-1.parquet").read_bytes()
    desk.broken("reviews-cut.parquet", whole[:2000], Entry(b"", fault="unreadable_file"))


def _reviews(support: Support, count: int) -> Iterator[Entry]:
    rng, number = support.author.rng, 0
    while support.reviews < count:
        item = support.author.ticket()
        policy = pick(rng, ("assistant-1", "assistant-2"))
        by_staff = chance(rng, 0.75)
        staff = pick_some(rng, support.people, 1 + chance(rng, 0.3)) if by_staff else []
        by_bot = [BOT] if not staff or chance(rng, 0.3) else []
        entries = [as_entry(support.review(item, who, policy), better_of(item.qualities)) for who in (*staff, *by_bot)]
        yield from entries
        if staff and number in {3, 9, 15}:
            yield entries[0]
            support.ledger.planted["redelivered"] += 1
        if staff and number in {5, 6, 12, 18, 24}:
            yield from _timeless(support, item, policy)
        number += 1


def _timeless(support: Support, item: Item, policy: str) -> Iterator[Entry]:
    """Yield reviews without a time: two by nobody who is named, two opposite ones by one person; all of them stand."""
    item = support.author.answered(item)
    row = support.review(item, support.people[0], policy) | {"reviewed_at": None, "how_much": None}
    for reviewer in (None, row["reviewer"]):
        for better in ("1", "2"):
            support.reviews += 1
            changes = {"review": _FIRST_REVIEW + support.reviews, "reviewer": reviewer, "better": better}
            yield as_entry(row | changes, better_of(item.qualities))
    support.ledger.planted["undecided"] += 1
    support.ledger.planted["unnamed"] += 2


def _planted(support: Support) -> Iterator[Entry]:
    """Yield every planted exception once."""
    author = support.author

    def marked(changes: Row) -> tuple[Row, str]:
        item = author.marked(author.ticket())
        return support.review(item, pick(author.rng, support.people), "assistant-1") | changes, better_of(
            item.qualities
        )

    for faults, changes in DROPPED:
        row, better = marked(changes)
        yield as_entry(row, better, faults=faults)
    for reason, changes in LOST:
        row, better = marked(changes)
        yield as_entry(row, better, quarantine=reason)
    row, _ = marked({})
    yield Entry(row | {"draft_2": f"{row['draft_2']}\0"}, fault="nul_character")
