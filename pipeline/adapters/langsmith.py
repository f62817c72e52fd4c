"""Adapter `langsmith`: feedback as LangSmith's API returns it, joined to the runs it is about.

Written against the schemas `Feedback` and `Run` of LangSmith's Python SDK 0.15.0 (November 2026), and against how its
`evaluate_comparative` submits the scores of one comparison: one feedback per run, with one `feedback_group_id`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.apart import told_apart, versions_of
from pipeline.core.mapping.candidates import Batch, RawFile
from pipeline.core.mapping.exchanges import Exchange, exchange_in, response_of, stated_at
from pipeline.core.mapping.grouping import Key, read_groups
from pipeline.core.mapping.rated import (
    RATED,
    Rating,
    Score,
    compared,
    corrected,
    is_named,
    must_tell_apart,
    prompt_key,
    rated_fills,
    sound_items,
)
from pipeline.core.mapping.verdicts import NoVerdict, Seen, Verdict
from pipeline.core.params import STRICT, build
from pipeline.core.sidecar.sidecars import SIDECAR
from pipeline.core.sidecar.specs import AnySpec


@dataclass(frozen=True, slots=True)
class Comparative:
    """How comparative feedback of one key is read; `neither` is what equal scores of 0 mean (null: nothing)."""

    __pydantic_config__ = STRICT
    neither: Literal["tie", "both_bad"] | None = None
    rubric: str | None = None


@dataclass(frozen=True, slots=True)
class Corrections:
    """Where a feedback of one of these keys holds a corrected output."""

    __pydantic_config__ = STRICT
    keys: list[str]
    path: str = "correction"
    rubric: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """The sidecar's `options`: which feedback is read, and what it and the runs mean."""

    __pydantic_config__ = STRICT
    scores: dict[str, Score] = field(default_factory=dict)
    comparative: dict[str, Comparative] = field(default_factory=dict)
    corrections: Corrections | None = None
    api: Literal["human", "model", "rule"] | None = None
    api_annotator: str | None = None
    prompt: str = "inputs"
    response: str = "outputs"
    model: str = "extra.metadata.ls_model_name"
    json_texts: bool = False

    def __post_init__(self) -> None:
        """Refuse options that read nothing, or that would fold different judgements together."""
        must_tell_apart(self.rubrics)
        if self.api_annotator is not None and self.api is None:
            msg = "options: `api_annotator` says who sent feedback of source api, so state `api` (human, model or rule)"
            raise PairtrailError(msg)

    @property
    def rubrics(self) -> dict[str, str | None]:
        """The rubric of each thing that is read."""
        named = {f"scores.{key}": score.rubric for key, score in self.scores.items()}
        named |= {f"comparative.{key}": one.rubric for key, one in self.comparative.items()}
        return named if self.corrections is None else {**named, "corrections": self.corrections.rubric}


_KINDS = {"app": "human", "model": "model", "auto_eval": "model", "evaluator": "model"}

NEEDS: tuple[str, ...] = ()
FILLS, SORTS = RATED, True
USES = ("join",)


@dataclass(frozen=True, slots=True)
class _Asked:
    """How the options read a feedback: its score, and the path of its corrected output (None: not read)."""

    score: Score | None
    corrected: str | None


@dataclass(frozen=True, slots=True)
class _Judged:
    """A feedback that can be used: the run it is about, who gave it, its number and its corrected output."""

    seen: Seen
    exchange: Exchange
    shared: dict[str, Any]
    score: Score | None
    number: float | None
    correction: Any

    @property
    def group(self) -> Any:  # noqa: ANN401
        """The id that the feedbacks of one comparison share; None for what was given to one run alone."""
        return self.seen.content.get("feedback_group_id")

    @property
    def rating(self) -> Rating:
        content, number = self.seen.content, 0.0 if self.number is None else self.number
        raw = None if self.score is None else _raw(self.score, content)
        # In a comparison two runs may give one text; elsewhere equal texts must be scored alike.
        item = self.exchange.response if self.group is None else str(content["run_id"])
        return Rating(self.seen, item, number, raw, self.exchange, content.get("id"), content.get("created_at"))


def read(file: RawFile) -> Iterator[Batch]:
    """Yield a file's corrections, comparisons, and ratings of several responses to one prompt by one annotator."""
    where = file.source.folder / SIDECAR
    options = build(Options, file.source.sidecar.options, f"{where}: options")
    if "runs" not in file.source.sidecar.join:
        msg = f"{where}: adapter langsmith needs `join` to name the side file `runs`"
        raise PairtrailError(msg)
    given = rated_fills(options.rubrics.values())
    key_of = partial(_key, options, versions_of(file))
    yield from read_groups(file, key_of, partial(_pair, options), given, partial(_alone, options))


def _key(options: Options, versions: list[AnySpec], seen: Seen) -> Key | NoVerdict | Verdict:
    judged = _judged(options, seen)
    if not isinstance(judged, _Judged):
        return judged if isinstance(judged, NoVerdict) else Verdict({}, fault=judged)
    key, annotator, kind = seen.content["key"], judged.shared["annotator"], judged.shared["annotator_kind"]
    who, under = str(annotator) if is_named(annotator) else None, told_apart(seen, versions)
    if judged.group is not None:
        return ("comparative", key, str(judged.group), kind, who, under)
    if judged.score is None or (kind == "human" and who is None):
        return ("alone", seen.digest)
    return ("score", key, kind, who, prompt_key(judged.exchange), under)


def _pair(options: Options, members: list[Seen]) -> Iterator[Verdict]:
    found = _all_judged(options, members)
    yield from (_correction(options, one) for one in found if one.correction is not None)
    ratings, score = [one.rating for one in found if one.number is not None], found[0].score
    if score is None or not ratings:
        return
    shared, key = {**found[0].shared, "rubric_version": score.rubric}, found[0].seen.content["key"]
    if found[0].group is None:
        yield from (replace(verdict, key=f"score {key}") for verdict in compared(ratings, shared, score))
        return
    comments = [one.seen.content.get("comment") for one in found]
    shared["rationale"] = comments[0] if all(one == comments[0] for one in comments) else None
    neither = options.comparative[key].neither
    verdicts = compared(ratings, shared, score, lambda number: neither if number == 0 else "tie")
    yield from (replace(verdict, key=f"comparative {key}") for verdict in verdicts)


def _alone(options: Options, members: list[Seen]) -> str:
    found = _all_judged(options, members)
    if sound_items([one.rating for one in found]) < 2:  # noqa: PLR2004
        return "no_partner"
    return "one_label" if found[0].group is None else "nothing_said"


def _all_judged(options: Options, members: list[Seen]) -> list[_Judged]:
    return [judged for seen in members if isinstance(judged := _judged(options, seen), _Judged)]


def _correction(options: Options, one: _Judged) -> Verdict:
    content, rubric = one.seen.content, options.corrections.rubric if options.corrections else None
    text = response_of(one.correction, one.exchange.said, json_texts=options.json_texts)
    own = {"event_id": content.get("id"), "created_at": content.get("created_at"), "rationale": content.get("comment")}
    verdict = corrected(one.seen, one.exchange, text, {**one.shared, **own, "rubric_version": rubric})
    return replace(verdict, key="correction")


def _judged(options: Options, seen: Seen) -> _Judged | NoVerdict | str:
    """Read one feedback; NoVerdict where nothing is asked or said, the reason where it cannot be used."""
    asked = _asked(options, seen.content)
    if not isinstance(asked, _Asked):
        return asked
    exchange, shared = exchange_in(seen.sides.get("runs"), options), _annotator(options, seen)
    if isinstance(exchange, str):
        return exchange
    if shared["annotator"] is not None and type(shared["annotator"]) not in {str, int}:
        return "wrong_type"
    raw = None if asked.score is None else _raw(asked.score, seen.content)
    number = None if asked.score is None or raw is None else asked.score.read(raw)
    correction = stated_at(seen, asked.corrected) if asked.corrected else None
    if isinstance(number, str) or (number is None and correction is None):
        return number or NoVerdict("not_rated")
    return _Judged(seen, exchange, shared, asked.score, number, correction)


def _asked(options: Options, content: dict[str, Any]) -> _Asked | NoVerdict | str:
    """Return how the options read a feedback, NoVerdict where they do not name it, or its fault."""
    key, kind = content.get("key"), _source(content).get("type")
    if type(key) is not str or type(kind) is not str:
        return "missing_field" if key is None or kind is None else "wrong_type"
    if kind not in {*_KINDS, "api"}:
        return "unknown_value"
    if content.get("feedback_group_id") is not None:
        one = options.comparative.get(key)
        asked = _Asked(None if one is None else Score(rubric=one.rubric), None)
    else:
        corrects = options.corrections is not None and key in options.corrections.keys
        asked = _Asked(options.scores.get(key), options.corrections.path if options.corrections and corrects else None)
    unasked = asked.score is None and asked.corrected is None
    if unasked or content.get("run_id") is None or (kind == "api" and options.api is None):
        return NoVerdict("not_a_comparison")
    correction = content.get("correction")
    return NoVerdict("overruled") if type(correction) is dict and "score" in correction else asked


def _source(content: dict[str, Any]) -> dict[str, Any]:
    source = content.get("feedback_source")
    return source if type(source) is dict else {"type": source}


def _annotator(options: Options, seen: Seen) -> dict[str, Any]:
    source = _source(seen.content)
    user, api = source.get("user_id"), source["type"] == "api"
    if api and user is None and options.api_annotator is not None:
        user = stated_at(seen, options.api_annotator)
    return {"annotator": user, "annotator_kind": options.api if api else _KINDS[source["type"]]}


def _raw(score: Score, content: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return what a feedback says: its `value`, the category's name, where the options give categories numbers."""
    return content.get("value" if score.values is not None else "score")


def guess(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Name the keys of records that all look like LangSmith's feedback; how each is read, only their owner can say."""
    keys = {"id", "run_id", "key", "score", "feedback_source"}
    if not records or not all(keys <= set(one) for one in records):
        return None
    grouped = {str(one["key"]) for one in records if one.get("feedback_group_id") is not None}
    scored = {str(one["key"]) for one in records if one.get("feedback_group_id") is None and one["score"] is not None}
    named = {"scores": scored, "comparative": grouped}
    return {"options": {name: {key: {} for key in sorted(of)} for name, of in named.items() if of}, "fields": {}}
