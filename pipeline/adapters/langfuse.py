"""Adapter `langfuse`: scores as Langfuse's public API returns them, joined to the traces or observations they are of.

Written against the API definition in Langfuse's Python SDK 5.0.4 (November 2026): scores of its v2 (`stringValue`,
`traceId`, `observationId`) and v3 (`value` typed by `dataType`, `subject`) endpoints, and observations of v2.
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
class Corrections:
    """How corrected outputs are read: scores of type CORRECTION, and TEXT scores of these names."""

    __pydantic_config__ = STRICT
    names: list[str] = field(default_factory=list)
    rubric: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """The sidecar's `options`: which scores are read, and what they and the traces mean."""

    __pydantic_config__ = STRICT
    scores: dict[str, Score] = field(default_factory=dict)
    corrections: Corrections | None = None
    api: Literal["human", "model", "rule"] | None = None
    api_annotator: str | None = None
    prompt: str = "input"
    response: str = "output"
    model: str = "model"
    json_texts: bool = False

    def __post_init__(self) -> None:
        """Refuse options that read nothing, or that would fold different judgements together."""
        must_tell_apart(self.rubrics)
        if self.api_annotator is not None and self.api is None:
            msg = "options: `api_annotator` says who sent scores of source API, so state `api` (human, model or rule)"
            raise PairtrailError(msg)

    @property
    def rubrics(self) -> dict[str, str | None]:
        """The rubric of each thing that is read."""
        named = {f"scores.{name}": score.rubric for name, score in self.scores.items()}
        return named if self.corrections is None else {**named, "corrections": self.corrections.rubric}


_KINDS = {"ANNOTATION": "human", "EVAL": "model"}
_TYPES = ("NUMERIC", "CATEGORICAL", "BOOLEAN", "TEXT", "CORRECTION")
_JOINS = {"trace": "traces", "observation": "observations"}

NEEDS: tuple[str, ...] = ()
FILLS, SORTS = RATED, True
USES = ("join",)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A score that can be used: what it is of, who gave it, and its number (None: it is a correction)."""

    seen: Seen
    exchange: Exchange
    shared: dict[str, Any]
    number: float | None

    @property
    def rating(self) -> Rating:
        content, number = self.seen.content, 0.0 if self.number is None else self.number
        given = (content.get("id"), content.get("timestamp"))
        return Rating(self.seen, self.exchange.response, number, _raw(content), self.exchange, *given)


def read(file: RawFile) -> Iterator[Batch]:
    """Yield a file's corrections, and its ratings of several responses to one prompt by one annotator."""
    where = file.source.folder / SIDECAR
    options = build(Options, file.source.sidecar.options, f"{where}: options")
    if not set(_JOINS.values()) & set(file.source.sidecar.join):
        msg = f"{where}: adapter langfuse needs `join` to name side files `traces`, `observations` or both"
        raise PairtrailError(msg)
    given = rated_fills(options.rubrics.values())
    key_of = partial(_key, options, versions_of(file))
    yield from read_groups(file, key_of, partial(_pair, options), given, partial(_alone, options))


def _key(options: Options, versions: list[AnySpec], seen: Seen) -> Key | NoVerdict | Verdict:
    judged = _judged(options, seen)
    if not isinstance(judged, _Judged):
        return judged if isinstance(judged, NoVerdict) else Verdict({}, fault=judged)
    if judged.number is None:
        return ("correction", seen.digest)
    annotator, kind = judged.shared["annotator"], judged.shared["annotator_kind"]
    if kind == "human" and not is_named(annotator):
        return NoVerdict("no_partner")
    who = str(annotator) if is_named(annotator) else None
    return ("score", seen.content["name"], kind, who, prompt_key(judged.exchange), told_apart(seen, versions))


def _pair(options: Options, members: list[Seen]) -> Iterator[Verdict]:
    found = _all_judged(options, members)
    if found[0].number is None:
        yield from (_correction(options, one) for one in found)
    else:
        name = found[0].seen.content["name"]
        for verdict in compared([one.rating for one in found], found[0].shared, options.scores[name]):
            yield replace(verdict, key=f"score {name}")


def _alone(options: Options, members: list[Seen]) -> str:
    return "one_label" if sound_items([one.rating for one in _all_judged(options, members)]) > 1 else "no_partner"


def _all_judged(options: Options, members: list[Seen]) -> list[_Judged]:
    return [judged for seen in members if isinstance(judged := _judged(options, seen), _Judged)]


def _correction(options: Options, one: _Judged) -> Verdict:
    content = one.seen.content
    text = response_of(_raw(content), one.exchange.said, json_texts=options.json_texts)
    told = {"id": "event_id", "timestamp": "created_at", "comment": "rationale"}
    values = one.shared | {name: content.get(key) for key, name in told.items()}
    return replace(corrected(one.seen, one.exchange, text, values), key="correction")


def _judged(options: Options, seen: Seen) -> _Judged | NoVerdict | str:
    """Read one score; NoVerdict where nothing is asked or said, the reason where it cannot be used."""
    asked, join = _asked(options, seen.content), _join_of(seen.content)
    if isinstance(asked, str) or asked is None or join is None:
        return asked if isinstance(asked, str) else NoVerdict("not_a_comparison")
    exchange = exchange_in(seen.sides.get(join), options)
    if isinstance(exchange, str):
        return exchange
    shared = {**_annotator(options, seen), "rubric_version": asked.rubric}
    if shared["annotator"] is not None and type(shared["annotator"]) not in {str, int}:
        return "wrong_type"
    if (raw := _raw(seen.content)) is None:
        return NoVerdict("not_rated")
    number = asked.read(raw) if isinstance(asked, Score) else None
    return number if isinstance(number, str) else _Judged(seen, exchange, shared, number)


def _asked(options: Options, content: dict[str, Any]) -> Score | Corrections | str | None:
    """Return what the options say of a score: how it is read, None where they do not name it, or its fault."""
    name, kind, source = content.get("name"), content.get("dataType"), content.get("source")
    if not (type(name) is str and type(kind) is str and type(source) is str):
        return "missing_field" if None in (name, kind, source) else "wrong_type"
    if kind not in _TYPES or source not in {*_KINDS, "API"}:
        return "unknown_value"
    if source == "API" and options.api is None:
        return None
    if kind == "CORRECTION":
        return options.corrections
    if kind == "TEXT":
        return options.corrections if options.corrections and name in options.corrections.names else None
    return options.scores.get(name)


def _join_of(content: dict[str, Any]) -> str | None:
    """Name the join that finds what a score is of; None where that is a session or an experiment."""
    subject = content.get("subject")
    if type(subject) is dict:
        kind = subject.get("kind")
        return _JOINS.get(kind) if type(kind) is str else "traces"
    if content.get("observationId") is not None:
        return "observations"
    whole = content.get("sessionId") is not None or content.get("datasetRunId") is not None
    return None if whole and content.get("traceId") is None else "traces"


def _annotator(options: Options, seen: Seen) -> dict[str, Any]:
    source, author = seen.content["source"], seen.content.get("authorUserId")
    if source == "API" and author is None and options.api_annotator is not None:
        author = stated_at(seen, options.api_annotator)
    return {"annotator": author, "annotator_kind": options.api if source == "API" else _KINDS[source]}


def _raw(content: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return what a score says. The number of a category or a correction is 0, or an index: never what was said."""
    if content.get("dataType") in {"NUMERIC", "BOOLEAN"}:
        return content.get("value")
    text, value = content.get("stringValue"), content.get("value")
    return value if text is None and type(value) is str else text


def guess(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Name the scores of records that all look like Langfuse's; how each is read, only their owner can say."""
    keys = {"id", "name", "source", "dataType", "timestamp"}
    if not records or not all(keys <= set(one) and one["dataType"] in _TYPES for one in records):
        return None
    named: dict[str, Any] = {str(one["name"]): {} for one in records if one["dataType"] not in {"TEXT", "CORRECTION"}}
    corrects = any(one["dataType"] == "CORRECTION" for one in records)
    options = ({"scores": dict(sorted(named.items()))} if named else {}) | ({"corrections": {}} if corrects else {})
    return {"options": options, "fields": {}}
