"""Ratings: scores that responses to one prompt got from one annotator, and the comparisons that they give together."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.exchanges import Exchange
from pipeline.core.mapping.verdicts import Fills, Seen, Verdict, fills
from pipeline.core.params import STRICT, written

# What ratings and corrections give; a sidecar cannot map them, as which response is a hangs on the texts.
RATED = (
    *("prompt", "response_a", "response_b", "preference", "presented_order", "model_a", "model_b"),
    *("annotator", "annotator_kind", "rationale", "event_id", "created_at"),
    *("strength", "strength_raw", "strength_scale"),
)
# A hundred responses to one prompt give 4,950 pairs.
_MOST_RESPONSES = 100
# Every score of two responses stands behind their pair, so that many scores of few responses give many occurrences.
_MOST_RATINGS = 1_000
_LARGEST = 2.0**63
_LABELS = 2


@dataclass(frozen=True, slots=True)
class Score:
    """How the scores of one name are read, as the options state it.

    On a `scale`, or with three or more `values`, equal scores are a tie and the distance is the strength. Otherwise
    they are labels, such as a thumb: one is better, nothing says by how much, and equal labels say nothing.
    """

    __pydantic_config__ = STRICT
    scale: list[float] | None = None
    values: dict[str, float] | None = None
    lower_is_better: bool = False
    rubric: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be read."""
        if self.scale is not None and self.values is not None:
            msg = "a score has a scale (numbers) or values (a number for each text), not both"
            raise ValueError(msg)
        if not all(-_LARGEST < number < _LARGEST for number in [*(self.scale or []), *(self.values or {}).values()]):
            msg = "a scale and the numbers of values are finite, and no larger than 64 bits hold"
            raise ValueError(msg)
        if self.scale is not None and not (len(self.scale) == _LABELS and self.scale[0] < self.scale[1]):
            msg = f"scale {self.scale} must be two numbers, the lower first"
            raise ValueError(msg)
        if self.values is not None and len(set(self.values.values())) < _LABELS:
            msg = "values must name at least two different numbers, or no score is better than another"
            raise ValueError(msg)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The lowest and highest score of a scale; None for labels."""
        if self.values is not None:
            numbers = set(self.values.values())
            return (min(numbers), max(numbers)) if len(numbers) > _LABELS else None
        return None if self.scale is None else (self.scale[0], self.scale[1])

    def read(self, raw: Any) -> float | str:  # noqa: ANN401
        """Return the number that a raw score stands for, or the reason why it stands for none."""
        if type(raw) not in {int, float, bool, str} or (self.values is None and type(raw) is str):
            return "wrong_type"
        if self.values is not None:
            whole = type(raw) is float and raw.is_integer()
            return self.values.get(written(int(raw) if whole else raw), "unknown_value")
        if not -_LARGEST < raw < _LARGEST:
            return "out_of_range"
        if self.scale is not None and not self.scale[0] <= raw <= self.scale[1]:
            return "off_scale"
        return float(raw)


@dataclass(frozen=True, slots=True)
class Rating:
    """One score: what it was given to (`item`: scores of one item must agree), and when."""

    seen: Seen
    item: str
    number: float
    stated: Any
    exchange: Exchange
    event_id: Any = None
    created_at: Any = None


def rated_fills(rubrics: Iterable[str | None]) -> Fills:
    """Declare what ratings and corrections give; the rubric too where the options state one."""
    stated = ("rubric_version",) if any(rubrics) else ()
    return fills(*RATED, *stated, stated=stated)


def compared(
    ratings: Sequence[Rating],
    shared: Mapping[str, Any],
    score: Score,
    equal: Callable[[float], str | None] | None = None,
) -> Iterator[Verdict]:
    """Compare each pair of rated items; `equal` gives the preference of two equal scores (None: no verdict).

    Response a is the lesser text, as ratings present no order. An item with two scores is in no pair.
    """
    if equal is None:
        equal = _tie if score.bounds else _nothing
    items = _by_item(ratings)
    if len(items) > _MOST_RESPONSES or (len(ratings) > _MOST_RATINGS and len(items) > 1):
        yield from (_fault(one, "too_many_responses") for one in ratings)
        return
    yield from (_fault(one, "conflicting_ratings") for those in items if not _agree(those) for one in those)
    for a, b in combinations([those for those in items if _agree(those)], 2):
        if (preference := _preference(a[0].number, b[0].number, score, equal)) is not None:
            yield _verdict(a, b, {**shared, "preference": preference}, score)


def sound_items(ratings: Sequence[Rating]) -> int:
    """Count the items whose scores agree."""
    return sum(map(_agree, _by_item(ratings)))


def corrected(
    seen: Seen,
    exchange: Exchange,
    correction: Any,  # noqa: ANN401
    values: Mapping[str, Any],
    model: Any = None,  # noqa: ANN401
) -> Verdict:
    """Compare a corrected response with the original, which it is preferred to; a is the lesser text."""
    first = type(correction) is str and correction < exchange.response
    texts = (correction, exchange.response) if first else (exchange.response, correction)
    models = (model, exchange.model) if first else (exchange.model, model)
    return Verdict(
        {
            **values,
            "prompt": exchange.prompt,
            "response_a": texts[0],
            "response_b": texts[1],
            "model_a": models[0],
            "model_b": models[1],
            "preference": "a" if first else "b",
        },
        of=(seen,),
    )


def later(*times: Any) -> Any:  # noqa: ANN401
    """Return the latest of ISO texts, when a verdict on several records was complete; what is no time goes first."""
    read: list[tuple[datetime, str]] = []
    for time in times:
        try:
            instant = datetime.fromisoformat(time)
            read.append((instant if instant.tzinfo else instant.replace(tzinfo=UTC), time))
        except (ValueError, TypeError):
            return time
    return max(read)[1]


def joint_id(*ids: Any) -> Any:  # noqa: ANN401
    """Name a verdict by the ids of the records that it is made of; one that is no id goes first."""
    strange = [one for one in ids if type(one) not in {str, int}]
    return strange[0] if strange else " ".join(sorted({str(one) for one in ids}))


def prompt_key(exchange: Exchange) -> str:
    """Write a prompt as one text, to group by."""
    return json.dumps(exchange.prompt, sort_keys=True)


def must_tell_apart(rubrics: Mapping[str, str | None]) -> None:
    """Refuse options that name nothing to read, or several things that would be folded as if they were one."""
    if not rubrics:
        msg = "options: name at least one thing to read; nothing is read that they do not name"
        raise PairtrailError(msg)
    if len(rubrics) > 1 and (bare := sorted(name for name, rubric in rubrics.items() if rubric is None)):
        msg = f"options: several things are read, so each needs a `rubric` of its own; none at: {', '.join(bare)}"
        raise PairtrailError(msg)


def is_named(annotator: Any) -> bool:  # noqa: ANN401
    """Say whether a raw id names anybody; a blank does not."""
    return type(annotator) is int or (type(annotator) is str and annotator.strip() != "")


def _tie(_: float) -> str | None:
    return "tie"


def _nothing(_: float) -> str | None:
    return None


def _by_item(ratings: Sequence[Rating]) -> list[list[Rating]]:
    found: dict[str, list[Rating]] = {}
    for one in sorted(ratings, key=lambda one: (one.exchange.response, one.item, str(one.event_id))):
        found.setdefault(one.item, []).append(one)
    return list(found.values())


def _agree(those: list[Rating]) -> bool:
    return len({one.number for one in those}) == 1


def _fault(one: Rating, reason: str) -> Verdict:
    return Verdict({}, fault=reason, of=(one.seen,))


def _preference(a: float, b: float, score: Score, equal: Callable[[float], str | None]) -> str | None:
    if a == b:
        return equal(a)
    return "a" if (a < b) == score.lower_is_better else "b"


def _verdict(a: list[Rating], b: list[Rating], shared: Mapping[str, Any], score: Score) -> Verdict:
    one, other = a[0], b[0]
    values = {
        **shared,
        "prompt": one.exchange.prompt,
        "response_a": one.exchange.response,
        "response_b": other.exchange.response,
        "model_a": one.exchange.model,
        "model_b": other.exchange.model,
        "event_id": joint_id(one.event_id, other.event_id),
        "created_at": later(one.created_at, other.created_at),
        **_strength(one, other, score.bounds),
    }
    fault = None if one.exchange.prompt == other.exchange.prompt else "contexts_differ"
    return Verdict(values, fault=fault, of=tuple(rating.seen for rating in (one, other, *a[1:], *b[1:])))


def _strength(one: Rating, other: Rating, bounds: tuple[float, float] | None) -> dict[str, Any]:
    if bounds is None:
        return {}
    low, high = bounds
    return {
        "strength": abs(one.number - other.number) / (high - low),
        "strength_raw": f"{written(one.stated)}, {written(other.stated)}",
        "strength_scale": f"{low:g}..{high:g}",
    }
