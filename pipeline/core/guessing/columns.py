"""What each field of a comparison is called in other people's logs, and which path of a record fits it best."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from pipeline.core.guessing.paths import MOST, Pair, found_paths, is_chat, message_keys, pairs_among, words
from pipeline.core.mapping.fieldmap import Joined, numbers_column
from pipeline.core.mapping.times import times_column
from pipeline.core.sidecar.specs import FromPath

PROMPTS = ("prompt", "instruction", "question", "query", "user_prompt", "request", "problem", "input", "task")
CHATS = ("conversation", "conversations", "messages", "dialogue", "dialog", "history", "chat", "turns", "context")
ANNOTATORS = ("annotator", "worker", "rater", "labeler", "labeller", "evaluator", "reviewer", "voter", "participant")
PEOPLE = {"worker", "rater", "labeler", "labeller", "voter", "participant", "user"}
JUDGES = ("judge_model", "judge", "judge_name", "evaluator_model", "annotator_model")
_RESPONSE = {"response", "answer", "completion", "output", "reply", "candidate", "draft", "generation", "continuation"}
_NO_RESPONSE = {
    *("model", "engine", "id", "score", "rating", "rank", "name", "length", "tokens", "time", "cost", "url", "label"),
    *("turns", "conversation", "conversations", "messages", "history"),
    *(
        "winner",
        "judgment",
        "judgement",
        "verdict",
        "reason",
        "rationale",
        "annotator",
        "worker",
        "rater",
        "role",
        "from",
    ),
}
_MODEL = {"model", "engine", "generator", "llm", "system"}
_GENERIC = {"text", "content", "body", "value", "string"}
_LONG = 40
CHOSEN = ("chosen", "rejected")


@dataclass(slots=True)
class Columns:
    """The first records by path; what is taken for one field is not offered to the next."""

    records: list[dict[str, Any]]
    counts: dict[str, int] = field(init=False)
    free: list[str] = field(init=False)

    def __post_init__(self) -> None:
        """Find the paths."""
        self.counts = found_paths(self.records)
        self.free = list(self.counts)

    def values(self, path: str) -> list[Any]:
        """Return what stands at a path, without nulls and blanks."""
        return [value for value in Joined(self.records).at(path) if value is not None and value != ""]

    def take(self, *paths: str) -> None:
        """Offer these paths to no other field."""
        self.free = [path for path in self.free if path not in paths]

    def named(self, names: Iterable[str], fits: Callable[[list[Any]], bool]) -> str | None:
        """Take the first free path that has one of the names, in their order, and whose values fit."""
        for name in names:
            for path in self.free:
                if name in names_of(path) and (values := self.values(path)) and fits(values):
                    self.take(path)
                    return path
        return None


def names_of(path: str) -> set[str]:
    """Return what a path can be called: its last name and all of them, without `text` and the like at the end."""
    spelt = words(path)
    while len(spelt) > 1 and spelt[-1] in _GENERIC:
        spelt = spelt[:-1]
    return {"_".join(spelt), "_".join(words(path.rpartition(".")[2]))}


def are_texts(values: list[Any]) -> bool:
    """Say whether most values are texts that are no numbers."""
    texts = [value for value in values if isinstance(value, str)]
    numeric = sum(value.strip().lstrip("-").replace(".", "", 1).isdigit() for value in texts)
    return 2 * (len(texts) - numeric) > len(values)


def are_labels(values: list[Any]) -> bool:
    """Say whether most values are such as a label may be: short texts or whole numbers."""
    fitting = sum(type(value) is int or (type(value) is str and len(value) <= _LONG) for value in values)
    return fitting >= MOST * len(values)


def responses(columns: Columns) -> Pair | None:
    """Take the pair of paths that holds the two responses: named so, or long texts."""
    ranked = []
    for pair in pairs_among(columns.free):
        both = [columns.values(path) for path in (pair.a, pair.b)]
        if set(pair.stem) & _NO_RESPONSE or not all(map(are_texts, both)):
            continue
        length = mean(len(value) for values in both for value in values if isinstance(value, str))
        called = bool({word.rstrip("s") for word in pair.stem} & _RESPONSE) or pair == Pair((), *CHOSEN, CHOSEN)
        # Two long texts in a list may be anything.
        if called or (length >= _LONG and not pair.a.endswith(".0")):
            ranked.append((called, length, pair))
    if not ranked:
        return None
    best = max(ranked, key=lambda one: (one[0], one[1], one[2].a))[2]
    columns.take(best.a, best.b)
    return best


def models(columns: Columns, marks: tuple[str, str] | None) -> Pair | None:
    """Take the pair of paths that names the two models; one with the responses' marks goes first."""
    found = [pair for pair in pairs_among(columns.free) if set(pair.stem) & _MODEL]
    fitting = [pair for pair in found if all(are_labels(columns.values(path)) for path in (pair.a, pair.b))]
    best = min(fitting, key=lambda pair: (pair.marks != marks, len(pair.stem), pair.a), default=None)
    if best:
        columns.take(best.a, best.b)
    return best


def prompt(columns: Columns) -> Any:  # noqa: ANN401
    """Take the prompt: a text, an instruction with its input, or a list of messages; None where nothing fits."""
    path = columns.named((*PROMPTS, *CHATS), lambda values: are_texts(values) or message_keys(values) is not None)
    if path is None:
        return None
    if keys := message_keys(columns.values(path)):
        return _messages(columns, path, *keys)
    above = path.rpartition("instruction")[0]
    if path == f"{above}instruction" and f"{above}input" in columns.free:
        values = Joined(columns.records).at(f"{above}input")
        if all(isinstance(value, str) for value in values) and any(values):
            columns.take(f"{above}input")
            return {"template": f"{{{path}}}\n\n{{{above}input}}"}
    return path


ROLES = {
    **dict.fromkeys(("user", "human", "person", "prompter", "customer"), "user"),
    **dict.fromkeys(("assistant", "bot", "gpt", "chatbot", "model", "ai", "agent"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation"), "tool"),
    "system": "system",
}
_MOST_ROLES = 8


def _messages(columns: Columns, path: str, role: str, content: str) -> dict[str, Any] | None:
    """Describe a list of messages; where a role is not known, it may name a person, and the roles are left blank."""
    chats = [value for value in columns.values(path) if is_chat(value, role, content)]
    names = sorted({message[role] for value in chats for message in value})
    if len(names) > _MOST_ROLES or not any(name.lower() in ROLES for name in names):
        return None
    foreign = {name: ROLES.get(name.lower()) for name in names if name not in set(ROLES.values())}
    roles = foreign if all(foreign.values()) else None
    keys = {} if (role, content) == ("role", "content") else {"role": role, "content": content}
    return {"messages": path, **keys, **({"roles": roles} if foreign else {})}


def annotator(columns: Columns) -> tuple[str | None, str | None]:
    """Take the path of who judged, and say which kind its name tells of."""
    named = [name for one in ANNOTATORS for name in (one, f"{one}_id")]
    if path := columns.named(JUDGES, are_labels):
        return path, "model" if "model" in words(path) else None
    if path := columns.named((*named, "user_id", "user"), are_labels):
        # An annotator, a reviewer or an evaluator may be a model.
        return path, "human" if set(words(path)) & PEOPLE else None
    return None, None


_EPOCHS = {"seconds": (1e9, 5e9), "milliseconds": (1e12, 5e12)}
TIMES = (
    *("created_at", "judged_at", "submitted_at", "submitted", "timestamp", "tstamp", "created", "datetime"),
    *("date", "when", "time"),
)


def created_at(columns: Columns) -> Any:  # noqa: ANN401
    """Take the time of the verdict, with its unit where it is an epoch; None where values cannot be read."""
    path = columns.named(TIMES, lambda values: _unit(values) is not None)
    if path is None:
        return None
    unit = _unit(columns.values(path))
    return {"path": path, "unit": unit} if unit else path


def _unit(values: list[Any]) -> str | None:
    """Return an epoch's unit, an empty text for what reads as ISO 8601, or None."""
    if (numbers := as_numbers(values)) is not None:
        spans = ((unit, sum(low <= one <= high for one in numbers)) for unit, (low, high) in _EPOCHS.items())
        return next((unit for unit, within in spans if within >= MOST * len(values)), None)
    read, _ = times_column(values, FromPath(""))
    return "" if read.len() - read.null_count() >= MOST * len(values) else None


def as_numbers(values: list[Any]) -> list[float] | None:
    """Return the values that are finite numbers, CSV's texts too; None where most are none."""
    column, _ = numbers_column(values, numbers_as_text=True)
    numbers: list[float] = column.drop_nulls().to_list()
    return numbers if numbers and len(numbers) >= MOST * len(values) else None


# Optional fields whose names alone tell them, where all values are of their kind.
_FURTHER: dict[str, tuple[tuple[str, ...], Callable[[list[Any]], bool]]] = {
    "language": (("language", "lang", "locale"), are_labels),
    "category": (("category", "scenario", "topic", "domain", "task_type"), are_labels),
    "rationale": (("rationale", "explanation", "justification", "reason", "comment"), are_texts),
    "confidence": (("confidence",), lambda values: as_numbers(values) is not None),
    "duration_s": (("duration_s", "duration_seconds", "seconds"), lambda values: as_numbers(values) is not None),
}
_VERDICT_IDS = ("vote_id", "event_id", "judgment_id", "judgement_id", "verdict_id", "comparison_id", "annotation_id")


def further(columns: Columns) -> dict[str, str | None]:
    """Take the paths of the optional fields; an id of the verdict must differ in every record."""
    found = {name: columns.named(names, fits) for name, (names, fits) in _FURTHER.items()}
    everywhere = len(columns.records)
    return found | {
        "event_id": columns.named(
            _VERDICT_IDS, lambda values: are_labels(values) and len(set(map(str, values))) == len(values) == everywhere
        )
    }


def order(columns: Columns) -> str | None:
    """Take the path that says which response was shown first, where it says so in our words."""
    return columns.named(("presented_order", "order", "shown"), lambda values: set(map(str, values)) <= {"ab", "ba"})
