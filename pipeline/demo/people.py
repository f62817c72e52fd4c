"""Invented annotators and models: what each is good at, and how one of them comes to a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

T = TypeVar("T")

MODELS = {"alder-1": -0.6, "birch-2": -0.2, "cedar-1": 0.1, "damson-3": 0.5, "elder-2": 0.9}
"""Each model's skill: the mean latent quality of its responses."""

_CLOSE = 0.35
_POOR = -0.7
_WAVERING = 0.5


@dataclass(frozen=True, slots=True)
class Annotator:
    """Somebody who judges: how often they see which response is better, and how often they just take the first."""

    name: str
    consent: str
    accuracy: float
    first_habit: float


def random_for(seed: int, *names: str) -> Random:
    """Return the random numbers of one part of the sample; only `random()` is used, which every Python gives alike."""
    return Random("/".join([str(seed), *names]))


def chance(rng: Random, share: float) -> bool:
    """Say yes this often."""
    return rng.random() < share


def pick(rng: Random, choices: Sequence[T]) -> T:
    """Choose one."""
    return choices[int(rng.random() * len(choices))]


def pick_some(rng: Random, choices: Sequence[T], count: int) -> list[T]:
    """Choose several different ones, in random order."""
    left = list(choices)
    return [left.pop(int(rng.random() * len(left))) for _ in range(count)]


def between(rng: Random, low: int, high: int) -> int:
    """Choose a whole number, both ends included."""
    return low + int(rng.random() * (high - low + 1))


def noise(rng: Random) -> float:
    """Return a bell-shaped number with mean 0 and variance 1."""
    return 2 * (rng.random() + rng.random() + rng.random() - 1.5)


def crew(rng: Random, source: str, count: int, trade: str = "worker") -> list[Annotator]:
    """Invent the annotators of one source; the raw ids look like what must never leave ingest."""
    return [
        Annotator(
            name=f"{trade}-{number:04d}@example.com",
            consent=f"consent-{source}-{number:04d}",
            accuracy=round(0.65 + 0.3 * rng.random(), 3),
            first_habit=round(0.25 * rng.random() ** 2, 3),
        )
        for number in range(1, count + 1)
    ]


def verdict_of(rng: Random, annotator: Annotator, qualities: tuple[float, float], first: str) -> str:
    """Judge two responses: by habit the one shown first, else by quality, and not always rightly."""
    if chance(rng, annotator.first_habit):
        return first
    gap = qualities[0] - qualities[1]
    undecided = chance(rng, _WAVERING)
    if undecided and max(qualities) < _POOR:
        return "both_bad"
    if undecided and abs(gap) < _CLOSE:
        return "tie"
    right = chance(rng, annotator.accuracy)
    return "a" if (gap > 0) == right else "b"


def better_of(qualities: tuple[float, float]) -> str:
    """Name the response of the higher latent quality."""
    return "a" if qualities[0] > qualities[1] else "b"
