"""Rankings: an annotator's order of several responses to one prompt, to verdicts on pairs of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from pipeline.core.digests import digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.fieldmap import value_at
from pipeline.core.mapping.sides import as_key
from pipeline.core.mapping.verdicts import NoVerdict, Verdict
from pipeline.core.params import STRICT

PAIR_FIELDS = (
    *("response_a", "response_b", "model_a", "model_b", "preference"),
    *("strength", "strength_raw", "strength_scale"),
)
"""The fields that a choice between two responses, or a pair of a ranking, gives."""

MOST_RESPONSES = 100
"""More responses to one prompt than any sound ranking orders; they would give 4,950 pairs."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A ranked response: the name that the source knows it by, its place (the least is best), raw text and model."""

    name: str
    place: float
    text: Any
    model: Any = None


@dataclass(frozen=True, slots=True)
class Pairing:
    """Which pairs of a ranking are written: all or neighbours, with or without ties, and how many at most."""

    __pydantic_config__ = STRICT
    pairs: Literal["all", "adjacent"] = "all"
    ties: bool = True
    most: int | None = None

    def __post_init__(self) -> None:
        """Refuse a cap that lets nothing through."""
        if self.most is not None and self.most < 1:
            msg = f"options: pairing: `most` is {self.most}; it is at least 1"
            raise PairtrailError(msg)


def sorts(options: Mapping[str, Any]) -> bool:
    """Say by a sidecar's options whether responses are ranked or rated: a is then the lesser text, not the left one."""
    return "items" in options or options.get("kind") in {"ranking", "rating"}


def ranked_verdicts(
    placed: Iterable[Placed] | str,
    shared: Mapping[str, Any],
    pairing: Pairing,
    kind: str | None = None,
    width: float | None = None,
) -> list[Verdict] | NoVerdict:
    """Return a verdict for each pair of a ranking; which response is a hangs on the two texts alone.

    A text in place of the ranking is the reason why it cannot be told. Equal places are a tie. `kind` tells rankings
    apart whose event ids are of two spaces. Where places are ratings and no ranks, `width` is the width of their scale.
    Pairs over the cap are those with the greatest digests of their texts, so that all annotators of one prompt are cut
    alike.
    """
    if isinstance(placed, str):
        return [Verdict(shared, kind, placed)]
    ranked = list(placed)
    if len({one.name for one in ranked}) < len(ranked):
        return [Verdict(shared, kind, fault="conflicting_ratings")]
    if len(ranked) > MOST_RESPONSES:
        return [Verdict(shared, kind, fault="too_many_responses")]
    if len(ranked) < 2:  # noqa: PLR2004
        return NoVerdict("not_ranked")
    ranks = {place: rank for rank, place in enumerate(sorted({one.place for one in ranked}))}
    apart = [(pair, abs(ranks[pair[0].place] - ranks[pair[1].place])) for pair in combinations(ranked, 2)]
    farthest = 1 if pairing.pairs == "adjacent" else len(ranked)
    chosen = [_turned(*pair) for pair, steps in apart if steps <= farthest and (steps or pairing.ties)]
    if not chosen:
        return NoVerdict("one_label")
    drawn = sorted(chosen, key=_draw)
    cut = len(drawn) if pairing.most is None else pairing.most
    return [
        Verdict(_values(*pair, shared, width), _key(*pair, kind), None if number < cut else "over_cap")
        for number, pair in enumerate(drawn)
    ]


def _turned(one: Placed, other: Placed) -> tuple[Placed, Placed]:
    return (one, other) if (_text(one), one.name) <= (_text(other), other.name) else (other, one)


def _text(placed: Placed) -> str:
    return placed.text if type(placed.text) is str else ""


def _draw(pair: tuple[Placed, Placed]) -> tuple[str, ...]:
    a, b = pair
    return digest_text(_text(a), _text(b)), a.name, b.name


def _key(a: Placed, b: Placed, kind: str | None) -> str:
    return digest_text(kind, *sorted((a.name, b.name)))


def _values(a: Placed, b: Placed, shared: Mapping[str, Any], width: float | None) -> dict[str, Any]:
    return {
        **shared,
        **_difference(a, b, width),
        "response_a": a.text,
        "response_b": b.text,
        "model_a": a.model,
        "model_b": b.model,
        "preference": "tie" if a.place == b.place else "a" if a.place < b.place else "b",
    }


def _difference(a: Placed, b: Placed, width: float | None) -> dict[str, Any]:
    """State the strength of a comparison of ratings: their difference, on the scale that differences have."""
    if width is None:
        return {}
    apart = abs(a.place - b.place)
    return {"strength": apart / width, "strength_raw": f"{apart:g}", "strength_scale": f"0..{width:g}"}


def answered(
    answer: Any,  # noqa: ANN401
    strengths: Mapping[str, float],
    record: dict[str, Any],
    responses: Mapping[Any, str],
    models: Mapping[Any, str],
) -> dict[str, Any]:
    """Return the fields that one answer gives on the responses a and b, which stand at two paths of the record."""
    return {
        **{f"response_{side}": value_at(record, path) for side, path in responses.items()},
        **{f"model_{side}": value_at(record, path) for side, path in models.items()},
        **_stated_strength(answer, strengths),
        "preference": answer,
    }


def _stated_strength(answer: Any, strengths: Mapping[str, float]) -> dict[str, Any]:  # noqa: ANN401
    name = as_key(answer)
    if name is None or name not in strengths:
        return {}
    scale = ", ".join(f"{known}={strengths[known]:g}" for known in sorted(strengths))
    return {"strength": strengths[name], "strength_raw": name, "strength_scale": scale}


def check_answers(values: Mapping[str, str], strengths: Mapping[str, float]) -> None:
    """Refuse strengths of answers that `values` does not name, or beyond 0 to 1."""
    unknown = sorted(set(strengths) - set(values))
    if unknown:
        msg = f"options: strengths: `{unknown[0]}` is no key of `values` (known: {', '.join(sorted(values))})"
        raise PairtrailError(msg)
    beyond = sorted(name for name, strength in strengths.items() if not 0 <= strength <= 1)
    if beyond:
        msg = f"options: strengths: `{beyond[0]}` must be a number from 0 to 1"
        raise PairtrailError(msg)
