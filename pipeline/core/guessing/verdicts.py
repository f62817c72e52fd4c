"""Where a log states its verdicts: one path, or one for each of several annotators."""

import re
from dataclasses import dataclass
from typing import Any

from pipeline.core.guessing.columns import ANNOTATORS, PEOPLE, Columns, as_numbers
from pipeline.core.guessing.labels import are_known, labels, preferences_of
from pipeline.core.guessing.paths import Pair, words

PREFERENCES = (
    *("preference", "preferred", "winner", "verdict", "choice", "chosen", "vote", "judgment", "judgement"),
    *("better", "best", "selected", "decision", "pick", "label"),
)
# `label` may be the name of anything.
_NAMED = PREFERENCES.index("label")
STRENGTHS = ("strength", "preference_strength", "margin", "degree", "intensity", "grade", "score")
# A label of the other kind: what was not chosen, or how things were shown.
_OTHER = {"loser", "worse", "worst", "rejected", "order", "shown", "position", "presented", "expected", "gold"} | {
    *("top", "first", "less", "least", "bottom"),
}
# A last name that says nothing: the one before it is what a path is called.
_GENERIC = {"text", "content", "value", "string", "name", "side"}
# Who judged, and not what.
_WHO = {*ANNOTATORS, *PEOPLE, "by"}
_FEW = 4


@dataclass(frozen=True, slots=True)
class Spoken:
    """A path that holds labels, what they map to, and whether all of that is certain."""

    path: str
    values: dict[str, str | None]

    @property
    def certain(self) -> bool:
        """Say whether every label has a target, and both sides are named: one alone may be anything's name."""
        return all(self.values.values()) and {"a", "b"} <= set(self.values.values())

    def spec(self) -> str | dict[str, Any]:
        """Write it as a value spec; where the labels are ours already, without a map.

        The map is blank where a label is no word of verdicts: it may name a person, or be a text.
        """
        ours = all(label == target for label, target in self.values.items())
        return self.path if ours else {"path": self.path, "values": self.values if are_known(self.values) else None}


def preference(columns: Columns, pair: Pair | None) -> tuple[Spoken | None, list[str]]:
    """Take the path that holds the verdict, and name the others that could.

    What is named like a verdict goes before what is not, as labels alone may say anything of a response; then what is
    certain. A path below another is taken only where its own name says what it holds: keys may be people.
    """
    ranked = []
    for path in columns.free:
        spelt, found = words(path), labels(columns.values(path))
        place = next((place for place, name in enumerate(PREFERENCES) if name in _called(path)), len(PREFERENCES))
        if found is None or set(spelt) & (_OTHER | _WHO) or _numbered(path):
            continue
        spoken = Spoken(path, preferences_of(found, pair))
        if place < len(PREFERENCES) or (spoken.certain and "." not in path):
            ranked.append((place >= _NAMED, not spoken.certain, place, path, spoken))
    ranked.sort(key=lambda one: one[:4])
    if not ranked:
        return None, []
    columns.take(ranked[0][3])
    return ranked[0][4], [path for *_, path, _ in ranked[1:] if "." not in path]


def _called(path: str) -> tuple[str, ...]:
    """Return the last words of a path's own name; of the one above it, where that says nothing."""
    own = [words(name) for name in path.split(".")]
    while len(own) > 1 and set(own[-1]) <= _GENERIC:
        own.pop()
    return own[-1][-2:]


def _numbered(path: str) -> bool:
    return bool(re.search(r"\d", path))


def panel(columns: Columns, pair: Pair | None) -> list[Spoken]:
    """Take the paths that differ in a number and hold one annotator's verdict each: `annotator1`, `annotator2`."""
    families: dict[tuple[str, ...], list[str]] = {}
    for path in columns.free:
        spelt = words(path)
        if set(spelt) & {*PREFERENCES, *ANNOTATORS, "judge"} and _numbered(path):
            families.setdefault(tuple("#" if word.isdigit() else word for word in spelt), []).append(path)
    for members in families.values():
        found = labels(value for path in members for value in columns.values(path))
        if len(members) < 2 or found is None:  # noqa: PLR2004
            continue
        targets = preferences_of(found, pair)
        few = len(found) <= _FEW and as_numbers(list(found)) is not None
        if few or Spoken("", targets).certain:
            columns.take(*members)
            return [Spoken(path, dict(targets)) for path in sorted(members, key=_places)]
    return []


def _places(path: str) -> list[int | str]:
    return [int(word) if word.isdigit() else word for word in words(path)]


def strength(columns: Columns) -> Any:  # noqa: ANN401
    """Take the path of how strong a verdict is; its scale is known only where the numbers are shares already."""
    path = columns.named(STRENGTHS, lambda values: _scale(values) is not None)
    if path is None:
        return None
    values = columns.values(path)
    numbers = as_numbers(values)
    if numbers is None:
        found = labels(values) or {}
        return {"path": path, "values": dict.fromkeys(found) if are_known(found) else None}
    shares = max(numbers) <= 1 and any(not one.is_integer() for one in numbers)
    return path if shares else {"path": path, "scale": None}


def _scale(values: list[Any]) -> list[float] | dict[str, int] | None:
    """Return the numbers, none of them below 0, or the labels; None for anything else."""
    numbers = as_numbers(values)
    if numbers is None:
        return labels(values)
    return numbers if min(numbers) >= 0 else None


def entry(spoken: Spoken) -> dict[str, Any]:
    """Write one member of a panel as a fan-out entry; a column that is called after its annotator names them."""
    who = {"annotator": {"constant": spoken.path}} if set(words(spoken.path)) & {*ANNOTATORS, "judge"} else {}
    return {"key": spoken.path, "fields": {**who, "preference": spoken.spec()}}
