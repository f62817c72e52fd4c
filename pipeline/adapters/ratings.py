"""Adapter `ratings`: scores of responses to one prompt, as comparisons of those who gave both scores.

Written against the cards of UltraFeedback (2023: four completions in one record, ratings as texts, `N/A` where there is
none), HelpSteer2 (2024: one response in a record, five attributes of 0 to 4) and ConTurE (2022: rated dialogues).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import combinations
from typing import Any, Literal

from pipeline.core.digests import digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.apart import told_apart
from pipeline.core.mapping.candidates import Batch, RawFile
from pipeline.core.mapping.fieldmap import Joined
from pipeline.core.mapping.grouping import Key, read_groups
from pipeline.core.mapping.scores import Attribute, Scale, Score, agreed, contradictions, scales_of, score_of, totals
from pipeline.core.mapping.verdicts import NoVerdict, Seen, Verdict, fills, read_verdicts
from pipeline.core.params import STRICT, build, written
from pipeline.core.sidecar.sidecars import Source
from pipeline.core.sidecar.specs import AnySpec, Constant, Messages

_STATED = ("response_a", "response_b", "model_a", "model_b", "preference", "strength", "strength_raw", "strength_scale")
_ULTRAFEEDBACK = ("helpfulness", "honesty", "instruction_following", "truthfulness")
_HELPSTEER = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
_SINGLE = {"prompt": str, "response": str, **dict.fromkeys(_HELPSTEER, int)}
# 4,950 pairs; logs of best-of-n samples hold 64 responses.
_MOST_RESPONSES = 100
# Every comparison names the records that it draws on, so many copies of many responses would be as many times many.
_MOST_RATED = 1_000

NEEDS = ("prompt", "annotator", "annotator_kind")
# A rating's id is no id of a comparison, so there is none to map.
FILLS = (*_STATED, "event_id")
USES, SORTS = (), True


@dataclass(frozen=True, slots=True)
class Options:
    """The sidecar's `options`."""

    __pydantic_config__ = STRICT
    within: Literal["annotator", "group"]
    response: str
    attributes: dict[str, Attribute]
    responses: str | None = None
    model: str | None = None
    sum_rubric: str | None = None
    most_pairs: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would compare unlike numbers, or mix verdicts under different rubrics."""
        if told := next(_contradictions(self), None):
            raise PairtrailError(told)


def _contradictions(options: Options) -> Iterator[str]:
    paths = (options.response, options.responses or "", options.model or "")
    if any(":" in path for path in (*paths, *(one.path for one in options.attributes.values()))):
        yield "responses and ratings stand in the record itself; adapter ratings reads no side files"
    if options.most_pairs is not None and options.most_pairs < 1:
        yield "most_pairs must be at least 1; leave it out to compare all"
    yield from contradictions(options.attributes, options.sum_rubric)


def faults(source: Source) -> Iterator[str]:
    """Say where the field map contradicts what the options say of who rated."""
    within = source.sidecar.options["within"]
    for group in source.sidecar.files:
        who = dict(source.variants(group)).get(None, {}).get("annotator")
        if within == "group" and not isinstance(who, Constant):
            yield "`options.within: group`: no one annotator gave both ratings; map `annotator` to a constant"
        if within == "annotator" and who == Constant(None):
            yield "`options.within: annotator`: map `annotator` to who rated, or declare one group of ratings"


@dataclass(frozen=True, slots=True)
class _Rated:
    """A response with its scores, in the order of the scales, and the records that it stands in."""

    text: str
    model: Any
    scores: tuple[Score, ...]
    of: tuple[Seen, ...]


_Rate = Callable[[dict[str, Any], Seen], _Rated | Verdict]
_Compare = Callable[[list[_Rated]], list[Verdict]]


def read(file: RawFile) -> Iterator[Batch]:
    """Yield a file's comparisons: of responses within each record, or of its records with one prompt."""
    options = build(Options, file.source.sidecar.options, f"{file.source.name}: options")
    scales = scales_of(options.attributes, options.sum_rubric)
    rubric = ["rubric_version"] if any(scale.rubric for scale in scales) else []
    given = fills(*_STATED, *rubric, stated=rubric)
    rate = partial(_rate, options, text_alone=None in file.source.text_alone(file.group))
    compare = partial(_compared, options, scales)
    alike = _told_apart_by(file)
    rater = alike[1] if options.within == "annotator" else Constant(None)
    if options.responses is not None:
        return read_verdicts(file, partial(_in_record, options.responses, rater, rate, compare), given)

    def pair(members: list[Seen]) -> list[Verdict]:
        return compare([one for seen in members if isinstance(one := rate(seen.content, seen), _Rated)])

    def alone(members: list[Seen]) -> str:
        responses = {_at(seen.content, options.response).strip() for seen in members}
        return "not_rated" if len(responses) > 1 else "no_partner"

    return read_groups(file, partial(_key, alike, rater, rate), pair, given, alone)


def _rate(options: Options, content: dict[str, Any], seen: Seen, *, text_alone: bool) -> _Rated | Verdict:
    """Read a response and its ratings; a response that is no text is a fault."""
    text = _at(content, options.response)
    if type(text) is not str:
        return Verdict({"response_a": text}, fault="missing_field" if text is None else "wrong_type", of=(seen,))
    scores = [score_of(_at(content, one.path), one, text_alone=text_alone) for one in options.attributes.values()]
    return _Rated(text, None if options.model is None else _at(content, options.model), tuple(scores), (seen,))


def _at(content: dict[str, Any], path: str) -> Any:  # noqa: ANN401
    return Joined([content]).at(path)[0]


def _in_record(path: str, rater: AnySpec, rate: _Rate, compare: _Compare, seen: Seen) -> list[Verdict] | NoVerdict:
    """Compare the responses that one record lists."""
    listed = _at(seen.content, path)
    if listed is None or not _named(rater, seen):
        return NoVerdict("one_response" if listed is None else "no_partner")
    if type(listed) is not list or not all(type(one) is dict for one in listed):
        return [Verdict({}, fault="wrong_type")]
    rated = [rate(one, seen) for one in listed]
    unfit = [one for one in rated if isinstance(one, Verdict)]
    fit = [one for one in rated if isinstance(one, _Rated)]
    few = len({one.text.strip() for one in fit}) < 2  # noqa: PLR2004
    return [*unfit, *compare(fit)] or NoVerdict("one_response" if few else "not_rated")


def _told_apart_by(file: RawFile) -> list[AnySpec]:
    """Return what two records must agree in to be compared, the prompt first and the annotator second."""
    specs = dict(file.variants())[None]
    names = ("prompt", "annotator", "annotator_kind", "policy_version", "rubric_version")
    consents = [spec for ref in file.source.consent_refs for spec in (ref.subject, ref.consent_id)]
    return [*(specs[name] for name in names), *consents]


def _key(specs: list[AnySpec], rater: AnySpec, rate: _Rate, seen: Seen) -> Key | NoVerdict | Verdict:
    """Name the group whose ratings a record's may be compared with."""
    rated = rate(seen.content, seen)
    if isinstance(rated, Verdict):
        return rated
    if all(score is None for score in rated.scores):
        return NoVerdict("not_rated")
    prompt, *labels = specs
    stated = [_said(seen, prompt, path) for path in prompt.paths()]
    if None in stated:
        return Verdict({"response_a": rated.text}, fault="missing_field", of=(seen,))
    if not _named(rater, seen):
        return NoVerdict("no_partner")
    return (json.dumps(stated, sort_keys=True, ensure_ascii=False, default=str), told_apart(seen, labels))


def _named(rater: AnySpec, seen: Seen) -> bool:
    """Say whether a record names its rater, where it must: nobody is not the same person as nobody."""
    values = [_at(seen.content, path) for path in rater.paths()]
    return not any(value is None or (type(value) is str and not value.strip()) for value in values)


def _said(seen: Seen, spec: AnySpec, path: str) -> Any:  # noqa: ANN401
    """Return the value at a path; of messages only what they are made of, as a message's time is none of its words."""
    value = _at(seen.content, path)
    if isinstance(spec, Messages) and type(value) is list and all(type(one) is dict for one in value):
        return [[one.get(spec.role), one.get(spec.content)] for one in value]
    return value


def _compared(options: Options, scales: list[Scale], rated: list[_Rated]) -> list[Verdict]:
    """Compare every two responses on every scale; what goes beyond the cap is reported, not written."""
    merged = _merged(rated)
    if len(merged) > _MOST_RESPONSES or (len(rated) > _MOST_RATED and len(merged) > 1):
        return [Verdict({}, fault="too_many_responses", of=one.of) for one in merged]
    scored = [totals(options.attributes, one.scores) for one in merged]
    pairs: list[tuple[str, list[Verdict]]] = []
    for (a, x), (b, y) in combinations(zip(merged, scored, strict=True), 2):
        found = [_verdict(a, b, *both) for both in zip(scales, x, y, strict=True) if None not in both]
        pairs.append((digest_text(a.text, b.text), found))
    writable = sorted(name for name, found in pairs if any(one.fault is None for one in found))
    beyond = set(writable[options.most_pairs :]) if options.most_pairs else set()
    return [
        replace(one, fault=one.fault or "over_cap") if name in beyond else one for name, found in pairs for one in found
    ]


def _merged(rated: list[_Rated]) -> list[_Rated]:
    """Make one of each response that was rated several times; two numbers for one thing are no rating."""
    by_text: dict[str, list[_Rated]] = {}
    for one in rated:
        by_text.setdefault(one.text.strip(), []).append(one)
    merged = []
    for _, unsorted in sorted(by_text.items()):
        those = sorted(unsorted, key=lambda one: one.text)
        models = {written(one.model) for one in those}
        scores = tuple(map(agreed, zip(*(one.scores for one in those), strict=True)))
        of = tuple(dict.fromkeys(seen for one in those for seen in one.of))
        merged.append(_Rated(those[0].text, those[0].model if len(models) == 1 else None, scores, of))
    return merged


def _verdict(a: _Rated, b: _Rated, scale: Scale, x: Score, y: Score) -> Verdict:
    shown = {"response_a": a.text, "response_b": b.text, "model_a": a.model, "model_b": b.model}
    of = (*a.of, *b.of)
    if not (isinstance(x, Fraction) and isinstance(y, Fraction)):
        return Verdict(shown, scale.key, x if isinstance(x, str) else str(y), of)
    return Verdict({**shown, **scale.verdict(x, y)}, scale.key, of=of)


def guess(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Say what a sidecar would, where records are UltraFeedback's or HelpSteer2's; who rated is nowhere in them."""
    if records and all(_holds(one, _SINGLE) for one in records):
        return _guessed("prompt", "human", {name: {"path": name, "scale": [0, 4]} for name in _HELPSTEER})
    if not records or not all(_holds(one, {"instruction": str, "completions": list}) for one in records):
        return None
    lists = [one["completions"] for one in records]
    if not all(many and all(_holds(one, {"response": str, "annotations": dict}) for one in many) for many in lists):
        return None
    rated = {"values": {str(number): number for number in range(1, 6)}, "unrated": ["N/A"], "scale": [1, 5]}
    named = {name: {"path": f"annotations.{name}.Rating", **rated} for name in _ULTRAFEEDBACK}
    return _guessed("instruction", "model", named, responses="completions", model="model")


def _guessed(prompt: str, kind: str, attributes: dict[str, Any], **paths: str) -> dict[str, Any]:
    named = {name: {**one, "rubric": name} for name, one in attributes.items()}
    fields = {"prompt": prompt, "annotator": {"constant": None}, "annotator_kind": {"constant": kind}}
    return {"options": {"within": "group", "response": "response", **paths, "attributes": named}, "fields": fields}


def _holds(record: Any, kinds: dict[str, type]) -> bool:  # noqa: ANN401
    return type(record) is dict and all(type(record.get(name)) is kind for name, kind in kinds.items())
