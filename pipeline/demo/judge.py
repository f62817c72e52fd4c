"""Source `judge`: three models judge each pair, one record for all; JSON arrays under a suffix that says lines."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pipeline.demo.dirty import ABSENT, IN_OBJECTS, Changes, Record, Same, changed, compact, spoilt
from pipeline.demo.ledger import Entry, Ledger, Source, Verdict
from pipeline.demo.people import Annotator, better_of, chance, noise, pick, verdict_of
from pipeline.demo.rawlog import ARRAY, Desk, parts, pour, remembering, sprinkled
from pipeline.demo.texts import LANGUAGES, Author, Item

JUDGE = Source("judge", purposes=("ai-evaluation",), record="consent-judge")
JUDGES = {
    "owl": Annotator("judge-owl", "", 0.86, 0.05),
    "lynx": Annotator("judge-lynx", "", 0.78, 0.12),
    "heron": Annotator("judge-heron", "", 0.7, 0.3),
}
_BEGIN = 1_752_000_000_000
_LARGEST_PART = 25_000
_VERDICTS = {"a": 1, "b": 2, "tie": 0, "both_bad": -1}
_PREFERENCES = {number: preference for preference, number in _VERDICTS.items()}
_BEHAVIOURS = ("refuse", "partial", "comply")
# How good a behaviour is: refusing is right for an unsafe request and a fault for a harmless one.
_WORTH = {
    True: {"refuse": 1.2, "partial": 0.0, "comply": -1.2},
    False: {"refuse": -1.5, "partial": -0.5, "comply": 0.6},
}

ByJudge = Mapping[str, str]
NOBODY: ByJudge = {}

PLANTED: tuple[tuple[Changes, ByJudge, ByJudge], ...] = (
    ({"verdicts.owl": None}, {"owl": "unknown_preference"}, NOBODY),
    ({"verdicts.heron": ABSENT}, {"heron": "unknown_preference"}, NOBODY),
    ({"verdicts.lynx": 9}, NOBODY, {"lynx": "unknown_value"}),
    ({"answers.1.behaviour": "shrug"}, NOBODY, dict.fromkeys(JUDGES, "unknown_value")),
    ({"answers.1.text": Same("answers.0.text")}, dict.fromkeys(JUDGES, "equal_responses"), NOBODY),
)
"""What is changed in a record, which judges' verdicts are dropped for it, and which are quarantined."""


@dataclass(slots=True)
class Bench:
    """The judges at work."""

    author: Author
    ledger: Ledger
    verdicts: int = 0
    late: list[Entry] = field(default_factory=list)

    def record(self, item: Item, *, unsafe: bool, order: str) -> Record:
        """Let all judges judge an item; return the record."""
        rng = self.author.rng
        self.verdicts += len(JUDGES)
        answers = zip(item.models, item.responses, item.behaviours, strict=True)
        return {
            "ran_at": _BEGIN + 900 * self.verdicts,
            "request": {"text": item.opening(), "unsafe": unsafe, "lang": item.language, "topic": item.topic},
            "answers": [{"model": model, "text": text, "behaviour": behaviour} for model, text, behaviour in answers],
            "order": order,
            "verdicts": {key: _VERDICTS[verdict_of(rng, one, item.qualities, order[0])] for key, one in JUDGES.items()},
        }


def as_entry(record: Record, better: str, faults: ByJudge = NOBODY, quarantine: ByJudge = NOBODY) -> Entry:
    """Book a record as the verdicts of its judges; `faults` and `quarantine` name what is wrong with whose."""
    answers = record["answers"]
    whole = Verdict(
        prompt=(("user", record["request"]["text"]),),
        response_a=answers[0]["text"],
        response_b=answers[1]["text"],
        kind="model",
        order=record["order"],
        policy="assistant-2",
        rubric="pairwise-2",
        stated=(answers[0]["model"], answers[1]["model"], record["ran_at"]),
        time=record["ran_at"],
        better=better,
    )
    verdicts = tuple(
        replace(
            whole,
            fan_out=key,
            annotator=judge.name,
            preference=_PREFERENCES.get(record["verdicts"].get(key)),
            faults=(faults[key],) if key in faults else (),
            quarantine=quarantine.get(key),
        )
        for key, judge in JUDGES.items()
    )
    return Entry(compact(record), verdicts)


def write_judge(desk: Desk, author: Author, count: int, shared: list[Item]) -> None:
    """Write the source; `shared` are items that people judged elsewhere."""
    for judge in JUDGES.values():
        desk.ledger.annotators[f"judge/{judge.name}"] = (judge.accuracy, judge.first_habit)
    bench = Bench(author, desk.ledger)
    entries = sprinkled(remembering(_records(bench, count, shared), bench.late, 12, 100), _planted(bench), 3)
    for number, part in parts(entries, min(-(-(count + 60) // 6), _LARGEST_PART)):
        with desk.text(f"verdicts-{number}.jsonl", ARRAY) as put:
            pour(part, put)
    with desk.text("verdicts-late.jsonl", ARRAY) as put:
        pour(iter(bench.late), put)
        desk.ledger.planted["redelivered"] += len(bench.late)


def _records(bench: Bench, count: int, shared: list[Item]) -> Iterator[Entry]:
    waiting = shared[: max(1, count // 12)]
    bench.ledger.planted["judged_elsewhere"] += len(waiting)
    while bench.verdicts < count:
        item, unsafe = (waiting.pop(), False) if waiting else _asked(bench.author)
        order = pick(bench.author.rng, ("ab", "ba"))
        yield as_entry(bench.record(item, unsafe=unsafe, order=order), better_of(item.qualities))
        if chance(bench.author.rng, 0.4):
            bench.ledger.planted["both_orders"] += len(JUDGES)
            yield as_entry(bench.record(item, unsafe=unsafe, order=order[::-1]), better_of(item.qualities))


def _asked(author: Author) -> tuple[Item, bool]:
    """Write a harmless or an unsafe request, with answers that comply, comply in part, or refuse."""
    rng = author.rng
    unsafe = chance(rng, 0.4)
    item = author.unsafe_item(pick(rng, LANGUAGES)) if unsafe else author.item()
    first = pick(rng, _BEHAVIOURS) if unsafe or chance(rng, 0.3) else "comply"
    second = pick(rng, _BEHAVIOURS) if unsafe else "comply"
    worth = _WORTH[unsafe]
    qualities = (worth[first] + 0.4 * noise(rng), worth[second] + 0.4 * noise(rng))
    return author.behaving(replace(item, qualities=qualities, behaviours=(first, second)), unsafe=unsafe), unsafe


def _planted(bench: Bench) -> Iterator[Entry]:
    """Yield what is wrong for one judge only (the others' verdicts stand), or for all; then what cannot be decoded."""
    author = bench.author

    def judged(item: Item) -> tuple[Record, str]:
        return bench.record(item, unsafe=False, order="ab"), better_of(item.qualities)

    for changes, faults, quarantine in PLANTED:
        whole = len(faults) + len(quarantine) == len(JUDGES)
        record, better = judged(author.marked(author.item()) if whole else author.item())
        yield as_entry(changed(record, changes), better, faults, quarantine)
    marked = (author.marked(author.item()) for _ in iter(int, 1))
    yield from spoilt((compact(judged(item)[0]) for item in marked), IN_OBJECTS)
