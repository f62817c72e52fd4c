"""What a diff found: changes row by row, accounts that add up, and how large a version they ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.core.accounts import must_add_up, tally
from pipeline.core.publishing.folding import KEY
from pipeline.lineage.diff.kinds import KINDS, LEVELS, MUST_BE_NONE, Level, level_of

BY = {"source": "sources", "category": "category", "language": "language", "reason": "reason"}
MOST_VALUES = 50
ORDER = ["kind", *KEY, "comparison_id"]
"""The unique key by which changes are sorted."""
_MAJOR_FACTS = ("key_fingerprint", "epoch", "normalisation")


@dataclass(frozen=True, slots=True)
class Diff:
    """The changes between two builds."""

    changes: pl.DataFrame
    """One row for each change, as schemas/changes.py says, sorted."""
    rows: dict[str, int]
    votes: dict[str, int]
    build: dict[str, Any]
    """What the manifests say otherwise: fingerprint of the key, epoch, normalisation, policies and rubrics."""
    not_compared: dict[str, str]
    """What could not be compared, and why; whoever needs all to be compared asks whether this is empty."""
    unseen: frozenset[str]
    """The kinds that could not be told, because of that."""
    revisions: tuple[tuple[str, str], ...] = ()
    """The two revisions, where there are such: the name that each was asked for by, and its commit."""

    @property
    def empty(self) -> bool:
        """Whether nothing changed, as far as was compared."""
        return self.changes.is_empty() and not self.build

    @property
    def moved(self) -> int:
        """Return how many rows stand on another side than they, or their roots, did before; it must be none."""
        return self.changes.filter(pl.col("kind").is_in(MUST_BE_NONE)).height

    @property
    def why(self) -> list[dict[str, Any]]:
        """Return what asks for a new version, the largest level first: level, kind, and how many."""
        counted = self.changes.group_by("kind", "reason").len().iter_rows()
        found: dict[tuple[Level, str], int] = {}
        for kind, reason, count in counted:
            level = level_of(kind, reason)
            found[level, kind] = found.get((level, kind), 0) + count
        for fact, said in self.build.items():
            found["major" if fact in _MAJOR_FACTS else "minor", fact] = len(said) if isinstance(said, list) else 1
        kinds = [*_MAJOR_FACTS, "policies", "rubrics", *KINDS]
        order = sorted(found, key=lambda one: (LEVELS.index(one[0]), kinds.index(one[1])))
        told = [{"level": level, "kind": kind, "count": found[level, kind]} for level, kind in order]
        return [one for one in told if one["level"] != "patch"]

    @property
    def level(self) -> Level:
        """Return how large the next version must be at least, as far as was compared."""
        why = self.why
        level: Level = why[0]["level"] if why else "patch"
        return level

    def counts(self) -> dict[str, Any]:
        """Return all numbers, as JSON can hold them: no id and no text; null for what could not be compared."""
        parts = self.changes.partition_by("kind", as_dict=True)
        nothing = self.changes.clear()
        return {
            "level": self.level,
            "why": self.why,
            "rows": self.rows,
            "votes": self.votes,
            "build": self.build,
            "kinds": {
                kind: None if kind in self.unseen else _counted(kind, parts.get((kind,), nothing)) for kind in KINDS
            },
            "not_compared": self.not_compared,
        }


def _counted(kind: str, changes: pl.DataFrame) -> dict[str, Any]:
    """Count the changes of a kind by source, slice and reason; each way, they add up to all."""
    by = {name: _by(kind, changes, name, column) for name, column in BY.items()} if changes.height else {}
    return {"count": changes.height, "by": by}


def _by(kind: str, changes: pl.DataFrame, name: str, column: str) -> dict[str, Any]:
    counts = tally(changes, column)
    shown = dict(list(counts.items())[:MOST_VALUES])
    rest = {"others": sum(counts.values()) - sum(shown.values()), "unnamed": int(changes[column].null_count())}
    must_add_up(f"{kind} by {name}", changes.height, {**shown, **rest})
    return {"values": shown, **rest}


def build_facts(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Compare two manifests: what all ids and sides hang on, and texts that changed under a name that stayed."""
    facts = {name: [_fact(manifest, name) for manifest in (old, new)] for name in _MAJOR_FACTS}
    told: dict[str, Any] = {
        name: {"before": before, "after": after} for name, (before, after) in facts.items() if before != after
    }
    for kind in ("policies", "rubrics"):
        both = sorted({*old.get(kind, {})} & {*new.get(kind, {})})
        if changed := [name for name in both if old[kind][name]["sha256"] != new[kind][name]["sha256"]]:
            told[kind] = changed
    return told


def _fact(manifest: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    return manifest.get("split", {}).get("epoch") if name == "epoch" else manifest.get(name)
