"""Adapter `label_studio`: tasks as Label Studio exports them, with comparisons by `Pairwise`, `Choices` or `Ranker`.

Written against the formats `JSON` and `JSON_MIN` of label-studio-sdk 2.1.2 and the tags' documentation: a task
has `data`, `annotations` (of people) and `predictions` (of models), each with a `result` that names its control.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.candidates import Batch, RawFile
from pipeline.core.mapping.fieldmap import value_at
from pipeline.core.mapping.rankings import PAIR_FIELDS, Pairing, Placed, answered, check_answers, ranked_verdicts, sorts
from pipeline.core.mapping.sides import as_key
from pipeline.core.mapping.verdicts import Fills, NoVerdict, Seen, Verdict, fills, gathered, read_verdicts
from pipeline.core.params import STRICT, build

NEEDS = ("prompt",)
_STATED = ("rationale", "annotator", "annotator_kind", "event_id", "created_at", "duration_s", "confidence")
FILLS = (*PAIR_FIELDS, *_STATED)
USES, SORTS = (), sorts

# What a guess takes for a prompt.
_PROMPTS = ("prompt", "instruction", "question", "query", "input")


@dataclass(frozen=True, slots=True)
class Items:
    """Where a task's list of responses stands, and what of an item is its id, its text and its model."""

    __pydantic_config__ = STRICT
    path: str
    id: str = "id"
    text: str = "body"
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """Which control holds the verdicts, and where the responses stand: at two paths, or in a list that is ranked."""

    __pydantic_config__ = STRICT
    control: str
    responses: dict[Literal["a", "b"], str] = field(default_factory=dict)
    models: dict[Literal["a", "b"], str] = field(default_factory=dict)
    values: dict[str, Literal["a", "b", "tie", "both_bad"]] = field(default_factory=lambda: {"left": "a", "right": "b"})
    strengths: dict[str, float] = field(default_factory=dict)
    items: Items | None = None
    buckets: list[str] = field(default_factory=list)
    unranked: list[str] = field(default_factory=lambda: ["_"])
    pairing: Pairing = field(default_factory=Pairing)
    rationale: str | None = None
    predictions: bool = False

    def __post_init__(self) -> None:
        """Refuse options that contradict each other."""
        check_answers(self.values, self.strengths)
        if (self.items is None) == (set(self.responses) != {"a", "b"}):
            msg = "options: state either `responses` (paths of a and b: Pairwise, Choices) or `items` (a list: Ranker)"
            raise PairtrailError(msg)
        if self.items is not None and (self.responses or self.models or self.strengths):
            msg = "options: `responses`, `models` and `strengths` go with two responses; take them out beside `items`"
            raise PairtrailError(msg)
        named = [*self.buckets, *self.unranked]
        if len(set(named)) < len(named):
            msg = "options: a bucket stands once, in `buckets` or in `unranked`"
            raise PairtrailError(msg)

    def given(self) -> Fills:
        """Declare the fields: an answer is mapped by `values`, while a ranking's preference is ours already."""
        plain = [name for name in FILLS if name != "preference"]
        return fills(*plain, preference={"values": self.values} if self.items is None else {})


def read(file: RawFile) -> Iterator[Batch]:
    """Yield a file's tasks; each annotation and, where asked for, each prediction gives its comparisons."""
    options = build(Options, file.source.sidecar.options, f"{file.source.name}: options")
    yield from read_verdicts(file, partial(_find, options=options), options.given())


def _find(seen: Seen, options: Options) -> list[Verdict] | NoVerdict:
    task = seen.content
    found = [_annotated(task, one, options) for one in _listed(_annotations(task, options))]
    if options.predictions:
        found += [_predicted(task, one, options) for one in _listed(task.get("predictions"))]
    if task.get("drafts"):
        found.append(NoVerdict("not_submitted"))
    return gathered(found)


def _listed(value: object) -> list[Any]:
    """Return a list's items; null has none, and anything else is one item that is of no use."""
    return value if type(value) is list else [] if value is None else [None]


def _several(value: object) -> list[Any]:
    return value if type(value) is list else [value]


def _alone(values: list[Any]) -> Any:  # noqa: ANN401
    """Return the only value, null where there is none; several stay a list, which no field takes."""
    return None if not values else values[0] if len(values) == 1 else values


def _annotations(task: dict[str, Any], options: Options) -> object:
    """Return a task's annotations; a `JSON_MIN` record, which is one annotation laid flat, is folded back."""
    if "annotations" in task or task.get("annotation_id") is None:
        return task.get("annotations")
    names = [name for name in (options.control, options.rationale) if name is not None]
    results = [{"from_name": name, "value": one} for name in names for one in _several(task.get(name))]
    when = {name: task.get(name) for name in ("created_at", "lead_time")}
    return [{"id": task["annotation_id"], "completed_by": task.get("annotator"), "result": results, **when}]


def _annotated(task: dict[str, Any], annotation: object, options: Options) -> list[Verdict] | NoVerdict:
    if type(annotation) is not dict:
        return [Verdict({}, fault="wrong_type")]
    skipped = [annotation.get(name) for name in ("was_cancelled", "skipped")]
    if not set(map(type, skipped)) <= {bool, type(None)}:
        return [Verdict({}, fault="wrong_type")]
    if any(skipped):
        return NoVerdict("cancelled")
    shared = {
        "annotator": _person(annotation.get("completed_by")),
        "annotator_kind": "human",
        "event_id": annotation.get("id"),
        "created_at": annotation.get("created_at"),
        "duration_s": annotation.get("lead_time"),
    }
    return _judged(task, annotation.get("result"), shared, None, options)


def _person(value: object) -> object:
    """Return the id of who annotated: it stands alone or in an object, where an email must do if the id is null."""
    if type(value) is not dict:
        return value
    return value.get("email") if value.get("id") is None else value["id"]


def _predicted(task: dict[str, Any], prediction: object, options: Options) -> list[Verdict] | NoVerdict:
    if type(prediction) is not dict:
        return [Verdict({}, "prediction", fault="wrong_type")]
    shared = {
        "annotator": prediction.get("model_version"),
        "annotator_kind": "model",
        "event_id": prediction.get("id"),
        "created_at": prediction.get("created_at"),
        "confidence": prediction.get("score"),
    }
    return _judged(task, prediction.get("result"), shared, "prediction", options)


def _judged(
    task: dict[str, Any], result: object, shared: dict[str, Any], kind: str | None, options: Options
) -> list[Verdict] | NoVerdict:
    """Return what one annotation or prediction says; `kind` keeps their ids apart, which are of two spaces."""
    results = _listed(result)
    if not all(type(one) is dict for one in results):
        return [Verdict(shared, kind, fault="wrong_type")]
    shared = {**shared, "rationale": _rationale(_said(results, options.rationale))}
    said = _alone(_said(results, options.control))
    if said is not None and options.items is not None:
        return ranked_verdicts(_placed(task, said, options, options.items), shared, options.pairing, kind)
    answer = _answer(said)
    if answer is None:
        return NoVerdict("not_judged")
    given = answered(answer, options.strengths, task, options.responses, options.models)
    return [Verdict({**shared, **given}, kind)]


def _said(results: list[dict[str, Any]], control: str | None) -> list[Any]:
    return [one.get("value") for one in results if control is not None and one.get("from_name") == control]


def _answer(said: object) -> object:
    """Return what was chosen: `selected` of a Pairwise, the one of a Choices' `choices`, or JSON_MIN's plain word."""
    if type(said) is dict:
        said = said.get("selected", said.get("choices", said))
    return _alone(said) if type(said) is list else said


def _rationale(told: list[Any]) -> object:
    texts = [value.get("text") if type(value) is dict else value for value in told]
    parts = [part for text in texts for part in _several(text) if part is not None]
    return ("\n".join(parts) or None) if all(type(part) is str for part in parts) else parts


def _placed(task: dict[str, Any], said: object, options: Options, where: Items) -> list[Placed] | str:
    """Return the ranked items in their places, or the reason why they cannot be told."""
    places = _places(said.get("ranker") if type(said) is dict else said, options)
    if isinstance(places, str):
        return places
    items = _by_id(value_at(task, where.path), where)
    if not all(items.get(name) for name, _ in places):
        return "unknown_response"
    model = where.model or ""
    return [Placed(name, at, value_at(items[name], where.text), value_at(items[name], model)) for name, at in places]


def _places(ranker: object, options: Options) -> list[tuple[str, int]] | str:
    """Return the ranked ids: the items of a bucket share its place, those of a mere ranking follow each other."""
    if type(ranker) is list and not options.buckets:
        ranker = {options.control: ranker}
    if type(ranker) is not dict or not all(type(ids) is list for ids in ranker.values()):
        return "wrong_type"
    order = options.buckets or [options.control]
    if any(ids and name not in {*order, *options.unranked} for name, ids in ranker.items()):
        return "unknown_value"
    each = [(as_key(one), place) for place, name in enumerate(order) for one in ranker.get(name, [])]
    if any(name is None for name, _ in each):
        return "wrong_type"
    return [(name or "", place if options.buckets else rank) for rank, (name, place) in enumerate(each)]


def _by_id(listed: object, where: Items) -> dict[str, Any]:
    """Return a list's items by id; an id that two of them bear names none."""
    found: dict[str, Any] = {}
    for item in _listed(listed):
        name = as_key(value_at(item, where.id))
        if name is not None:
            found[name] = item if found.setdefault(name, item) == item else None
    return found


def guess(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what a sidecar would say of these records, or None where they are no tasks with such a control."""
    tasks = [one for one in records if type(one.get("data")) is dict and type(one.get("annotations")) is list]
    given = [one for task in tasks for one in task["annotations"] if type(one) is dict]
    results = [one for each in given for one in _listed(each.get("result")) if type(one) is dict]
    named = {str(one.get("type")): one["from_name"] for one in results if type(one.get("from_name")) is str}
    control = next((named[kind] for kind in ("ranker", "pairwise", "choices") if kind in named), None)
    if control is None or len(tasks) < len(records):
        return None
    texts = [f"data.{name}" for name, value in tasks[0]["data"].items() if type(value) is str]
    lists = [f"data.{name}" for name, value in tasks[0]["data"].items() if type(value) is list]
    prompt = next((name for name in texts if name.removeprefix("data.") in _PROMPTS), None)
    options: dict[str, Any] = {"control": control, **({"rationale": named["textarea"]} if "textarea" in named else {})}
    if "ranker" in named and lists:
        options["items"] = {"path": lists[0]}
    elif "ranker" not in named and len(rest := [name for name in texts if name != prompt]) == 2:  # noqa: PLR2004
        options["responses"] = {"a": rest[0], "b": rest[1]}
    known = "items" in options or "responses" in options
    return {"options": options, "fields": {"prompt": prompt} if prompt else {}} if known else None
