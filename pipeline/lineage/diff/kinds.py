"""The kinds of change, what each means, and how large a version it asks for."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["major", "minor", "patch"]
LEVELS: tuple[Level, ...] = ("major", "minor", "patch")
"""The levels of a semantic version, the largest first."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of change: of what it counts, the least version that it asks for, and what it is."""

    of: Literal["rows", "votes"]
    level: Level
    said: str


KINDS: dict[str, Kind] = {
    "moved_side": Kind("rows", "major", "stands on another side than before"),
    "moved_root": Kind("rows", "major", "new, while its root stood on another side before"),
    "removed": Kind("rows", "major", "was published, and is no more"),
    "added": Kind("rows", "minor", "is published, and was not before"),
    "rubric_changed": Kind("rows", "major", "removed, and its pair added under another rubric or policy"),
    "relabelled": Kind("rows", "major", "chosen and rejected changed places"),
    "moved_table": Kind("rows", "major", "moved between pairs and ties"),
    "text_edited": Kind("rows", "major", "the same pair, in other exact texts"),
    "strength_changed": Kind("rows", "minor", "the same side is chosen, with another strength"),
    "purposes_changed": Kind("rows", "minor", "may be used for other purposes"),
    "license_changed": Kind("rows", "major", "stands under another licence"),
    "labels_changed": Kind("rows", "minor", "another label: model, behaviour, category, language and so on"),
    "folded_otherwise": Kind("rows", "minor", "the same votes, counted otherwise"),
    "votes_added": Kind("votes", "minor", "is a vote on a row that stood before"),
    "votes_removed": Kind("votes", "major", "was a vote on a row that still stands"),
    "votes_restated": Kind("votes", "minor", "the same verdict, described otherwise"),
    "consent_changed": Kind("votes", "patch", "stands in both, on other consent events"),
    "withheld": Kind("votes", "patch", "was kept, and now is dropped by a stage"),
    "freed": Kind("votes", "patch", "was dropped by a stage, and now is kept"),
}
"""Each kind, in the order in which it is told; what lies behind rows of other kinds asks for nothing by itself."""

LOST = ("lost", "exchanged")
"""The reasons of `purposes_changed` with which something is allowed no more: they ask for a major version."""

MUST_BE_NONE = ("moved_side", "moved_root")
"""The kinds that mean a leak between sides."""


def level_of(kind: str, reason: str) -> Level:
    """Return the least version that a change of a kind asks for, given its reason."""
    return "major" if kind == "purposes_changed" and reason in LOST else KINDS[kind].level
