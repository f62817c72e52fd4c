"""Scores: numbers that responses are rated with, each on a declared scale, as exact fractions.

Fractions, because sums of decimals such as 0.1 and 0.2 are unequal by rounding alone, and a tie would not be one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from typing import Any

from pipeline.core.params import STRICT, written
from pipeline.core.sidecar.specs import Label

Score = Fraction | str | None
"""A number, the quarantine reason why it is none, or None where nobody rated."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """What is rated: where its number stands, on which scale, and under which rubric."""

    __pydantic_config__ = STRICT
    path: str
    scale: list[float]
    values: dict[str, float] | None = None
    unrated: list[Label] = field(default_factory=list)
    rubric: str | None = None
    weight: float | None = None

    @property
    def has_scale(self) -> bool:
        """Say whether the scale is two finite numbers, the lower first."""
        return len(self.scale) == 2 and all(map(isfinite, self.scale)) and self.scale[0] < self.scale[1]  # noqa: PLR2004


def score_of(raw: Any, attribute: Attribute, *, text_alone: bool) -> Score:  # noqa: ANN401
    """Judge a raw rating; `text_alone` where it comes from CSV, which knows nothing but text."""
    if raw is None or (text_alone and raw == "") or written(raw) in map(written, attribute.unrated):
        return None
    if attribute.values is not None:
        raw = attribute.values.get(written(raw), "")
        if raw == "":
            return "unknown_value"
    number = _read(raw) if text_alone and type(raw) is str else raw
    if type(number) not in {int, float}:
        return "wrong_type"
    if type(number) is float and not isfinite(number):
        return "out_of_range"
    low, high = attribute.scale
    return exact(number) if low <= number <= high else "off_scale"


def _read(text: str) -> Any:  # noqa: ANN401
    try:
        return float(text)
    except ValueError:
        return text


def exact(number: float) -> Fraction:
    """Take a number as it is written: 0.1 is a tenth."""
    return Fraction(repr(number))


def _plain(score: Fraction) -> str:
    """Write a score without the sign of a fraction."""
    return str(score.numerator) if score.denominator == 1 else repr(float(score))


@dataclass(frozen=True, slots=True)
class Scale:
    """What two responses are compared on: an attribute, or the sum of all."""

    key: str
    rubric: str | None
    low: Fraction
    high: Fraction

    def verdict(self, a: Fraction, b: Fraction) -> dict[str, Any]:
        """Prefer the higher score: as strongly as the two differ, the whole scale being 1."""
        return {
            "preference": "a" if a > b else "b" if b > a else "tie",
            "strength": float(abs(a - b) / (self.high - self.low)),
            "strength_raw": f"{_plain(a)} - {_plain(b)}",
            "strength_scale": f"{_plain(self.low)}..{_plain(self.high)}",
            "rubric_version": self.rubric,
        }


def is_sum(attributes: Mapping[str, Attribute]) -> bool:
    """Say whether the attributes are weighted, and so added up to one number."""
    return any(one.weight is not None for one in attributes.values())


def contradictions(attributes: Mapping[str, Attribute], sum_rubric: str | None) -> Iterator[str]:
    """Say where attributes would compare unlike numbers, or mix verdicts under different rubrics."""
    weights, rubrics = [one.weight for one in attributes.values()], [one.rubric for one in attributes.values()]
    if not attributes:
        yield "name one of `attributes` at least"
    for name, one in attributes.items():
        if not one.has_scale:
            yield f"attributes.{name}.scale must be two numbers, the lower first"
    if is_sum(attributes):
        if not all(weight and isfinite(weight) for weight in weights):
            yield "give every attribute a weight other than 0, or none; what is not in the sum is no attribute"
        if any(rubrics):
            yield "weighted attributes give one comparison: state its rubric once, as sum_rubric"
    elif sum_rubric is not None:
        yield "sum_rubric is the rubric of a weighted sum; give every attribute a weight, or take it out"
    elif len(rubrics) > 1 and (None in rubrics or len({*rubrics}) < len(rubrics)):
        yield "several attributes need a rubric each, and no two the same, or their verdicts would be mixed"


def scales_of(attributes: Mapping[str, Attribute], sum_rubric: str | None) -> list[Scale]:
    """Return what each response is scored on: every attribute, or the one sum of all."""
    ends = [[exact(end) for end in one.scale] for one in attributes.values()]
    if not is_sum(attributes):
        return [Scale(name, one.rubric, *pair) for (name, one), pair in zip(attributes.items(), ends, strict=True)]
    weighted = [sorted(weight * end for end in pair) for weight, pair in zip(_weights(attributes), ends, strict=True)]
    return [Scale("sum", sum_rubric, *(sum(side, Fraction()) for side in zip(*weighted, strict=True)))]


def totals(attributes: Mapping[str, Attribute], scores: tuple[Score, ...]) -> tuple[Score, ...]:
    """Return a response's score on each scale; a sum is not known where one of its parts is not."""
    if not is_sum(attributes):
        return scores
    known = [score for score in scores if isinstance(score, Fraction)]
    if len(known) < len(scores):
        return (next((score for score in scores if isinstance(score, str)), None),)
    return (sum((weight * score for weight, score in zip(_weights(attributes), known, strict=True)), Fraction()),)


def _weights(attributes: Mapping[str, Attribute]) -> list[Fraction]:
    return [exact(one.weight or 0) for one in attributes.values()]


def agreed(scores: tuple[Score, ...]) -> Score:
    """Return what all who rated say; two numbers for one thing are a conflict, and no rating."""
    stated = {score for score in scores if score is not None}
    return "conflicting_ratings" if len(stated) > 1 else next(iter(stated), None)
