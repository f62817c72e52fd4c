"""What is planted in a year of releases, and what must come of it, worked out by hand."""

from collections.abc import Iterable

from tests.building import lines
from tests.by_hand import Build, Published, Verdict, published, side


def prompt(number: int, last: str = "end") -> str:
    """Twelve words of its own, so that it is near none but its twins, which end otherwise."""
    return " ".join([*(f"w{number}x{k}" for k in range(11)), last])


def twin(number: int, wanted: str) -> str:
    """A prompt that is near another one, and by its own root stands on the side that is wanted."""
    return next(text for k in range(999) if side(text := prompt(number, f"twin{k}")) == wanted)


def numbers(wanted: str, among: Iterable[int]) -> list[int]:
    return [number for number in among if side(prompt(number)) == wanted]


_OTHER = {"a": "b", "b": "a", "tie": "a"}


def _said(number: int) -> str:
    return ("a", "b", "tie")[number % 3]


def _january() -> tuple[Verdict, ...]:
    """Ann judges most, ben agrees with her on three of four, and dan, who will withdraw, judges fifteen alone."""
    ann = [Verdict(prompt(n), "ann", _said(n)) for n in range(60)]
    ben = [Verdict(prompt(n), "ben", _said(n) if n % 4 else _OTHER[_said(n)]) for n in range(40)]
    return (*ann, *ben, *(Verdict(prompt(n), "dan", "a") for n in range(30, 75)))


LEAKS_TRAIN = numbers("heldout", range(20))[0]
LEAKS_HELDOUT = numbers("train", range(20))[0]
LEAKS_LATE = numbers("train", range(60, 75))[0]
TWINS = {
    "near_heldout": twin(LEAKS_TRAIN, "train"),
    "seen_in_training": twin(LEAKS_HELDOUT, "heldout"),
    "seen after withdrawal": twin(LEAKS_LATE, "heldout"),
}
"""New prompts that would leak: one near a held-out prompt, two near released ones, of which one is released no more."""


def _march() -> tuple[Verdict, ...]:
    """New prompts, more votes on old ones that change no majority, and two new prompts that would leak."""
    new = [Verdict(prompt(n), who, _said(n)) for n in range(75, 90) for who in ("ann", "ben")]
    cem = [Verdict(prompt(n), "cem", _said(n)) for n in range(12) if n % 4]
    return (*new, *cem, *(Verdict(TWINS[why], "ann", "a") for why in ("near_heldout", "seen_in_training")))


def _april() -> tuple[Verdict, ...]:
    """Old pairs judged anew by a new rubric, mostly otherwise."""
    return tuple(Verdict(prompt(n), who, _OTHER[_said(n)], "r-2") for n in range(25) for who in ("ann", "ben"))


def _november() -> tuple[Verdict, ...]:
    """Old and new prompts under a new policy, and one that is near a released prompt whose rows are gone."""
    told = [Verdict(prompt(n), "ann", _said(n), "r-2", "p-2") for n in (*range(15), *range(90, 100))]
    return (*told, Verdict(TWINS["seen after withdrawal"], "ann", "a", "r-2", "p-2"))


_FIRST = {"january.jsonl": _january()}
_SPRING = {**_FIRST, "march.jsonl": _march(), "april.jsonl": _april()}
_AGAIN = {**_SPRING, "a-copy.jsonl": _january()[::-1], "january-again.jsonl": _january()}
_ALL = {**_AGAIN, "november.jsonl": _november()}
_GONE = frozenset({"dan"})

BUILDS = {
    build.version: build
    for build in (
        Build("1.0.0", "2026-01-31", _FIRST),
        Build("1.1.0", "2026-03-31", _SPRING),
        Build("1.2.0", "2026-04-30", _SPRING, ("r-1", "r-2")),
        Build("2.0.0", "2026-06-30", _SPRING, ("r-1", "r-2"), withdrawn=_GONE),
        Build("2.0.1", "2026-06-30", _AGAIN, ("r-1", "r-2"), withdrawn=_GONE),
        Build("3.0.0", "2026-11-30", _ALL, ("r-2",), ("p-1", "p-2"), _GONE),
    )
}
LEVELS = dict(zip(BUILDS, ("major", "minor", "minor", "major", "patch", "major"), strict=True))
PREVIOUS = dict(zip(BUILDS, (None, *BUILDS), strict=False))
PLANTED = prompt(numbers("train", range(1, 25))[0])
"""A prompt of which each release has rows, at first under one rubric, then under two, in the end under the second."""
WITHDRAWN_AT = "2026-05-10T12:00:00Z"


def expected() -> dict[str, Published]:
    """Work out by hand what each release publishes, one after the other, as each remembers those before it."""
    found: dict[str, Published] = {}
    for version, one in BUILDS.items():
        given = frozenset[str]().union(*(earlier.given_away for earlier in found.values()))
        found[version] = published(one, given)
    return found


EXPECTED = expected()

PINNED = {"train": numbers("heldout", range(60))[1], "heldout": numbers("train", range(60))[1]}
"""Released prompts that alice pins to another side than the one on which they were published."""


def raw(verdicts: Iterable[Verdict]) -> str:
    return lines(*({**one._asdict(), "a": f"Yes, {one.prompt}.", "b": f"No, {one.prompt}."} for one in verdicts))
