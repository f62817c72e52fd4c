"""Adapter `argilla`: records as Argilla exports them, with comparisons by a label, a ranking, or ratings of responses.

Written against the Python SDK argilla 2.8.0: `to_list` and `to_json`, which nest what users answered by
question, and the flattened form (`flatten=True`, `to_datasets`), which lays answers, users and statuses side by side.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Any, Literal

from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.candidates import Batch, RawFile
from pipeline.core.mapping.fieldmap import value_at
from pipeline.core.mapping.rankings import PAIR_FIELDS, Pairing, Placed, answered, check_answers, ranked_verdicts, sorts
from pipeline.core.mapping.verdicts import Fills, NoVerdict, Seen, Verdict, fills, gathered, read_verdicts
from pipeline.core.params import STRICT, build

NEEDS = ("prompt",)
FILLS = (*PAIR_FIELDS, "rationale", "annotator", "annotator_kind", "confidence")
USES, SORTS = (), sorts

_WRONG, _DISAGREE = "wrong_type", "lists_disagree"
_USERS = ".responses.users"
_PROMPTS = ("prompt", "instruction", "question", "query", "input")


@dataclass(frozen=True, slots=True)
class Options:
    """Which question compares, and the path of each response's text, by the name that the question has for it."""

    __pydantic_config__ = STRICT
    kind: Literal["label", "ranking", "rating"]
    responses: dict[str, str]
    question: str | None = None
    models: dict[str, str] = field(default_factory=dict)
    values: dict[str, Literal["a", "b", "tie", "both_bad"]] = field(default_factory=dict)
    strengths: dict[str, float] = field(default_factory=dict)
    scale: tuple[float, float] | None = None
    order_is_rank: bool = False
    pairing: Pairing = field(default_factory=Pairing)
    rationale: str | None = None
    assume_submitted: bool = False
    suggestions: bool = False

    def __post_init__(self) -> None:
        """Refuse options that contradict each other."""
        check_answers(self.values, self.strengths)
        if told := next(self._faults(), None):
            msg = f"options: {told}"
            raise PairtrailError(msg)

    def _faults(self) -> Iterator[str]:
        label, rating = self.kind == "label", self.kind == "rating"
        if label and (set(self.responses) != {"a", "b"} or not self.values):
            yield "kind `label` needs `responses` with the keys a and b, and `values`: what each answer means"
        if not label and (self.values or len(self.responses) < 2):  # noqa: PLR2004
            yield f"kind `{self.kind}` needs two `responses` at least, and no `values`"
        if rating == (self.question is not None):
            yield "kinds `label` and `ranking` need `question`; `rating` has one question per response, in `responses`"
        if rating != (self.scale is not None):
            yield "`scale` goes with kind `rating`, which needs it: the lowest and the highest rating"
        if self.order_is_rank and self.kind != "ranking":
            yield "`order_is_rank` goes with kind `ranking`"
        if self.scale is not None and not -inf < self.scale[0] < self.scale[1] < inf:
            yield "`scale` is two numbers, the lower first"
        if unknown := sorted(set(self.models) - set(self.responses)):
            yield f"models: `{unknown[0]}` is no key of `responses` (known: {', '.join(sorted(self.responses))})"

    def given(self) -> Fills:
        """Declare the fields: a label is mapped by `values`, while a ranking's preference is ours already."""
        plain = [name for name in FILLS if name != "preference"]
        return fills(*plain, preference={"values": self.values} if self.kind == "label" else {})


@dataclass(frozen=True, slots=True)
class Answer:
    """What one user, or the agent of a suggestion (`kind`), answered to one question."""

    by: Any
    value: Any
    status: Any = "submitted"
    score: Any = None
    kind: Literal["suggestion"] | None = None

    def shared(self, rationales: Mapping[Any, Any]) -> dict[str, Any]:
        """Return what its verdicts have in common; scores of a suggestion's single parts are no confidence in it."""
        return {
            "annotator": self.by,
            "annotator_kind": "human" if self.kind is None else "model",
            "confidence": None if type(self.score) is list else self.score,
            "rationale": rationales.get(self.by) if self.kind is None else None,
        }


def read(file: RawFile) -> Iterator[Batch]:
    """Yield a file's records; each user's answer, and each suggestion where asked for, gives its comparisons."""
    options = build(Options, file.source.sidecar.options, f"{file.source.name}: options")
    yield from read_verdicts(file, partial(_find, options=options), options.given())


def _find(seen: Seen, options: Options) -> list[Verdict] | NoVerdict:
    record = seen.content
    asked = list(options.responses) if options.question is None else [options.question]
    try:
        answers = [(question, answer) for question in asked for answer in _responses(record, question)]
        if options.suggestions:
            answers += [(question, answer) for question in asked for answer in _suggestions(record, question)]
        told = [] if options.rationale is None else _responses(record, options.rationale)
    except _Unreadable as error:
        return [Verdict({}, fault=str(error))]
    named = [one for one in told if one.by is not None and _unheard(one, options) is None]
    rationales = dict(sorted(((one.by, one.value) for one in named), key=repr))
    unheard = [those for _, answer in answers if (those := _unheard(answer, options)) is not None]
    heard = [(question, answer) for question, answer in answers if _unheard(answer, options) is None]
    if options.kind == "rating":
        return gathered([*unheard, *_rated(record, heard, rationales, options)])
    return gathered([*unheard, *(_judged(record, answer, rationales, options) for _, answer in heard)])


class _Unreadable(Exception):  # noqa: N818
    """The answers to a question do not have the exports' form: its text is the reason."""


def _responses(record: dict[str, Any], question: str) -> list[Answer]:
    flat = f"{question}.responses"
    if flat in record or "responses" not in record:
        given = [record.get(f"{flat}{part}") for part in ("", ".users", ".status")]
        parts = list(zip(*_beside_each_other(*given), strict=True))
    else:
        entries = _of_type(dict, record["responses"]).get(question)
        each = [_of_type(dict, entry) for entry in _of_type(list, entries)]
        parts = [tuple(entry.get(name) for name in ("value", "user_id", "status")) for entry in each]
    return [Answer(_named(by), value, status) for value, by, status in parts]


def _beside_each_other(values: object, users: object, statuses: object) -> list[list[Any]]:
    """Return the three lists of a flattened question; older exports write no statuses."""
    unstated = [None] * len(_of_type(list, values))
    lists = [_of_type(list, one) for one in (values, users, unstated if statuses is None else statuses)]
    if len(set(map(len, lists))) > 1:
        raise _Unreadable(_DISAGREE)
    return lists


def _suggestions(record: dict[str, Any], question: str) -> list[Answer]:
    flat = f"{question}.suggestion"
    if flat in record or "suggestions" not in record:
        value, score, by = (record.get(f"{flat}{part}") for part in ("", ".score", ".agent"))
    else:
        entry = _of_type(dict, _of_type(dict, record["suggestions"]).get(question))
        value, score, by = (entry.get(name) for name in ("value", "score", "agent"))
    return [] if value is None else [Answer(_named(by), value, score=score, kind="suggestion")]


def _of_type(kind: type[Any], value: object) -> Any:  # noqa: ANN401
    """Return a value that must be a list or a mapping; null is an empty one."""
    if value is not None and type(value) is not kind:
        raise _Unreadable(_WRONG)
    return kind() if value is None else value


def _named(by: object) -> str | int | None:
    """Return who answered; the export writes Python's null as a text where the user was deleted."""
    if type(by) not in {str, int, type(None)}:
        raise _Unreadable(_WRONG)
    return None if by == "None" else by  # type: ignore[return-value]


def _unheard(answer: Answer, options: Options) -> list[Verdict] | NoVerdict | None:
    """Return what becomes of an answer that was not submitted, or that is none; None where it counts."""
    if answer.status in ("draft", "discarded"):
        return NoVerdict("not_submitted")
    if answer.status != "submitted" and not (answer.status is None and options.assume_submitted):
        return [Verdict(answer.shared({}), answer.kind, "unknown_value")]
    return NoVerdict("not_judged") if answer.value is None else None


def _judged(
    record: dict[str, Any], answer: Answer, rationales: Mapping[Any, Any], options: Options
) -> list[Verdict] | NoVerdict:
    shared = answer.shared(rationales)
    if options.kind == "ranking":
        return ranked_verdicts(_placed(record, _places(answer, options), options), shared, options.pairing, answer.kind)
    given = answered(answer.value, options.strengths, record, options.responses, options.models)
    return [Verdict({**shared, **given}, answer.kind)]


def _places(answer: Answer, options: Options) -> list[tuple[str, float]] | str:
    """Return the ranked names with their ranks; the SDK writes an order without ranks, in which ties are lost."""
    if type(answer.value) is not list:
        return "wrong_type"
    places = []
    for number, one in enumerate(answer.value):
        name, rank = (one.get("value"), one.get("rank")) if type(one) is dict else (one, None)
        if type(name) is not str or type(rank) not in {int, type(None)}:
            return "wrong_type"
        if rank is not None or (options.order_is_rank and type(one) is str):
            places.append((name, number if rank is None else rank))
    return places


def _placed(record: dict[str, Any], places: list[tuple[str, float]] | str, options: Options) -> list[Placed] | str:
    if isinstance(places, str):
        return places
    if not {name for name, _ in places} <= set(options.responses):
        return "unknown_response"
    texts = {name: value_at(record, path) for name, path in options.responses.items()}
    models = {name: value_at(record, path) for name, path in options.models.items()}
    return [Placed(name, place, texts[name], models.get(name)) for name, place in places]


def _rated(
    record: dict[str, Any], answers: list[tuple[str, Answer]], rationales: Mapping[Any, Any], options: Options
) -> Iterator[list[Verdict] | NoVerdict]:
    """Compare the ratings that one user, or one agent, gave; whom nobody names, nobody can tell from another."""
    low, high = options.scale or (0, 1)
    raters = {(answer.kind, answer.by) for _, answer in answers}
    for kind, by in sorted(raters, key=repr):
        shared = Answer(by, None, kind=kind).shared(rationales)
        given = [(question, answer.value) for question, answer in answers if (answer.kind, answer.by) == (kind, by)]
        if any(type(value) not in {int, float} for _, value in given):
            yield [Verdict(shared, kind, "wrong_type")]
        elif any(not low <= value <= high for _, value in given):
            yield [Verdict(shared, kind, "off_scale")]
        elif by is None or len(set(given)) < 2:  # noqa: PLR2004
            yield NoVerdict("no_partner")
        else:
            placed = _placed(record, [(question, -value) for question, value in set(given)], options)
            yield ranked_verdicts(placed, shared, options.pairing, kind, high - low)


def guess(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what a sidecar would say of these records, or None where they are not Argilla's."""
    nested = all(type(one.get("fields")) is dict and type(one.get("responses")) is dict for one in records)
    names = {name for one in records for name in (one["responses"] if nested else one)}
    questions = names if nested else {name[: -len(_USERS)] for name in names if name.endswith(_USERS)}
    try:
        told = {name: [one.value for each in records for one in _responses(each, name)] for name in sorted(questions)}
    except _Unreadable:
        return None
    kinds = (("ranking", list), ("rating", int), ("label", str))
    found = ((kind, name) for kind, of in kinds for name in told if {type(one) for one in told[name]} == {of})
    kind, question = next(found, (None, ""))
    shown = [f"fields.{name}" for one in records for name in one["fields"]] if nested else sorted(names)
    prompt = [name for name in shown if name.removeprefix("fields.") in _PROMPTS]
    options = {"kind": kind} if kind == "rating" else {"kind": kind, "question": question}
    return {"options": options, "fields": {"prompt": prompt[0]} if prompt else {}} if kind else None
