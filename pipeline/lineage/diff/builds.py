"""Two builds side by side: where their tables stand, which are one object of DVC's, and which cannot be read."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pyarrow import parquet

from pipeline.core.project import Project
from pipeline.lineage.diff.decisions import STAGES
from pipeline.lineage.diff.reading import ROWS, Cursor, no_rows, no_votes, told_rows, told_votes
from schemas.vocabulary import SIDES

TABLES = (*ROWS, "votes")
MANIFEST = "data/publish/manifest.json"
DECISIONS = tuple(f"data/{stage}/decisions.parquet" for stage in STAGES)


def place_of(side: str, table: str) -> str:
    """Return where a published table stands in a project."""
    return f"data/publish/{side}/{table}.parquet"


_HELDOUT = tuple(place_of("heldout", table) for table in TABLES)
RESTRICTED = frozenset({*_HELDOUT, *DECISIONS})
"""What only those who build may read: a diff goes without, and says so."""
PLACES = (MANIFEST, *(place_of(side, table) for side in SIDES for table in TABLES), *DECISIONS)
"""All that a diff reads of a build."""


@dataclass(frozen=True, slots=True)
class Builds:
    """Two builds, and why places of them cannot be read."""

    old: Project
    new: Project
    missing: Mapping[str, str]

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides that can be compared."""
        return SIDES if self.missing.keys().isdisjoint(_HELDOUT) else SIDES[:2]

    @property
    def decided(self) -> bool:
        """Whether the decisions of all stages can be read, in both builds."""
        return self.missing.keys().isdisjoint(DECISIONS)

    def paths(self, place: str) -> tuple[Path, Path]:
        """Return where a place stands in the old and in the new build."""
        return self.old.root / place, self.new.root / place

    def alike(self, place: str) -> bool:
        """Tell whether a place holds one object of DVC's in both builds, so that it need not be read."""
        before, after = self.paths(place)
        return before.samefile(after)

    def all_alike(self, table: str) -> bool:
        """Tell whether a table is alike on all sides that can be compared."""
        return all(self.alike(place_of(side, table)) for side in self.sides)

    def tables(self, *tables: str) -> Iterator[Path]:
        """Yield the files of some tables, of both builds."""
        for side in self.sides:
            for table in tables:
                yield from self.paths(place_of(side, table))

    def sizes(self, *tables: str) -> tuple[int, int]:
        """Return how many rows some tables hold together, in the old and in the new build."""
        heights = [parquet.read_metadata(path).num_rows for path in self.tables(*tables)]
        return sum(heights[::2]), sum(heights[1::2])


def builds_of(old: Project, new: Project, away: Mapping[str, str]) -> Builds:
    """Find what can be compared; `away` says why a place is not there.

    Raises PairtrailError where anything that consumers may read is missing.
    """
    missing = {}
    for place in PLACES:
        for build in (old, new):
            if place in RESTRICTED and not (build.root / place).exists():
                missing[place] = away.get(place, "it is not there")
            build.needs(build.root / place, "publish") if place not in RESTRICTED else None
    return Builds(old, new, missing)


class Readers:
    """The tables of both builds, read side by side; one that is alike in both is read once, and counts for both."""

    def __init__(self, builds: Builds, labels: Sequence[str], columns: Sequence[str], *, with_votes: bool) -> None:
        """Begin before the first pair."""
        self._nothing = {"rows": no_rows(labels), "votes": no_votes(columns)}
        self._read: list[tuple[str, tuple[int, ...], Cursor]] = []
        for side in builds.sides:
            for table in TABLES if with_votes else tuple(ROWS):
                place = place_of(side, table)
                alike = builds.alike(place)
                for build, path in enumerate(builds.paths(place)[: 1 if alike else 2]):
                    frames = (
                        told_votes(path, side, columns)
                        if table == "votes"
                        else told_rows(path, side, table, labels, alike=alike)
                    )
                    what = "votes" if table == "votes" else "rows"
                    self._read.append((what, (0, 1) if alike else (build,), Cursor(frames, "pair_id", place)))

    def up_to(self, bound: str | None) -> tuple[pl.DataFrame, ...]:
        """Read on to a bound: rows of old and new, votes of old and new."""
        with ThreadPoolExecutor(max_workers=2) as threads:
            taken = list(threads.map(lambda one: one[2].up_to(bound), self._read))
        found: dict[tuple[str, int], list[pl.DataFrame]] = {}
        for (what, stands, _), frames in zip(self._read, taken, strict=True):
            for build in stands:
                found.setdefault((what, build), []).extend(frames)
        return tuple(
            pl.concat([self._nothing[what], *found.get((what, build), [])], how="diagonal")
            for what in ("rows", "votes")
            for build in (0, 1)
        )
