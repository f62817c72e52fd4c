"""The heads of sets: their rarest shingles, by which sets find the others that they may be similar to."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.core.near.shingles import EPSILON, Sets
from pipeline.core.near.words import Hashes, Places, bounds_of, spans

_LEAST_BITS, _MOST_BITS = 12, 26
_SHINGLES_AT_ONCE = 4_000_000
# A size fits into so many bits: a record has at most 2^32 bytes.
_SIZE_BITS = 32
_GROUPS_AT_ONCE = 4_000_000
_PAIRS_AT_ONCE = 2_000_000


def slots_of(shingles: Hashes, bits: int) -> Places:
    """Return the first bits of shingles: a small number by which they are counted, though some share one."""
    return (shingles >> np.uint64(64 - bits)).astype(np.int64)


class Counts:
    """How often shingles occur in some sets; by slot, so that now and then one is thought to be more frequent."""

    def __init__(self, sets: Sets) -> None:
        """Count the shingles of sets, in four times as many slots as there are shingles, up to a quarter gigabyte."""
        self._bits = min(max((4 * len(sets.shingles)).bit_length(), _LEAST_BITS), _MOST_BITS)
        self._counts: NDArray[np.int32] = np.zeros(2**self._bits, dtype=np.int32)
        for start in range(0, len(sets.shingles), _SHINGLES_AT_ONCE):
            slots = slots_of(sets.shingles[start : start + _SHINGLES_AT_ONCE], self._bits)
            np.add.at(self._counts, slots, np.int32(1))

    def of(self, shingles: Hashes) -> NDArray[np.int32]:
        """Return the counts of shingles: where the sets do not hold one, 0 (or, rarely, that of another)."""
        counts: NDArray[np.int32] = self._counts[slots_of(shingles, self._bits)]
        return counts


def least_shared(sizes: Places, threshold: float) -> Places:
    """Return how many of its shingles a set shares at least with any other that is similar enough."""
    least: Places = np.ceil(threshold * sizes - EPSILON).astype(np.int64)
    return least


@dataclass(frozen=True, slots=True)
class Heads:
    """The first shingles of sets, from rare to frequent: which set each belongs to, and its place in that set."""

    shingles: Hashes
    sets: Places
    places: Places


def heads_of(sets: Sets, counts: Counts, threshold: float) -> Heads:
    """Return the rarest shingles of each set: as many as it may lack of a similar one, and one more.

    Only the order hangs on `counts`, the same for all sets that are to find each other.
    """
    sizes = sets.sizes
    owners = np.repeat(np.arange(len(sets)), sizes)
    order = np.lexsort((sets.shingles, counts.of(sets.shingles), owners))
    lengths = np.minimum(sizes - least_shared(sizes, threshold) + 1, sizes)
    chosen = spans(sets.bounds[:-1], lengths)
    return Heads(sets.shingles[order[chosen]], owners[chosen], chosen - sets.bounds[owners[chosen]])


@dataclass(frozen=True, slots=True)
class Candidates:
    """For each set, spans of `members` that it may be similar to; `offsets` says how many come before, for that set."""

    sets: Places
    starts: Places
    lengths: Places
    offsets: Places
    members: Places

    def __len__(self) -> int:
        """Return the number of spans."""
        return len(self.sets)

    def pairs(self, low: int, high: int) -> Iterator[tuple[Places, Places]]:
        """Yield the sets with their candidates from number `low` up to `high`, each pair once, some sets at a time."""
        skipped = np.maximum(low - self.offsets, 0)
        taken = np.clip(high - self.offsets, 0, self.lengths) - np.minimum(skipped, self.lengths)
        for part in _cut(self.sets, taken, _PAIRS_AT_ONCE):
            others = self.members[spans((self.starts + skipped)[part], taken[part])]
            owners = np.repeat(self.sets[part], taken[part])
            _, first = np.unique(owners << np.int64(32) | others, return_index=True)
            yield owners[first], others[first]

    def after(self, high: int, done: NDArray[np.bool_]) -> "Candidates":
        """Return the spans that reach beyond number `high`, but for the sets that are done."""
        rest = (self.offsets + self.lengths > high) & ~done[self.sets]
        kept = [column[rest] for column in (self.sets, self.starts, self.lengths, self.offsets)]
        return Candidates(kept[0], kept[1], kept[2], kept[3], self.members)


class Groups:
    """The heads of the sets that others are compared with, by shingle; sets alike in size and place are looked at once.

    A popular template costs no square so: all that were made from it hold its shingles in the same places, and whether
    what follows there can be enough is asked once for all of them.
    """

    def __init__(self, heads: Heads, sets: Sets, threshold: float) -> None:
        """Group the heads of sets by shingle, size, place and whether the set is a guest."""
        self._threshold, sizes = threshold, sets.sizes
        self._shingles, ranks = np.unique(heads.shingles, return_inverse=True)
        keys = ranks.astype(np.int64) << np.int64(_SIZE_BITS) | sizes[heads.sets]
        kinds = heads.places << np.int64(1) | sets.guests[heads.sets]
        order = np.lexsort((heads.sets, kinds, keys))
        self._members = heads.sets[order]
        keys, kinds = keys[order], kinds[order]
        first = np.ones(len(keys), dtype=bool)
        first[1:] = (keys[1:] != keys[:-1]) | (kinds[1:] != kinds[:-1])
        self._starts = np.flatnonzero(first)
        self._lengths = np.diff(np.append(self._starts, len(keys)))
        self._keys, self._places, self._guests = keys[first], kinds[first] >> np.int64(1), (kinds[first] & 1) == 1

    def candidates(self, heads: Heads, sets: Sets) -> Iterator[Candidates]:
        """Yield the candidates of sets by their heads, some sets at a time."""
        sizes = sets.sizes
        known = np.searchsorted(self._shingles, heads.shingles)
        here = np.flatnonzero(known < len(self._shingles))
        here = here[self._shingles[known[here]] == heads.shingles[here]]
        size = sizes[heads.sets[here]]
        base = known[here].astype(np.int64) << np.int64(_SIZE_BITS)
        low = np.searchsorted(self._keys, base + least_shared(size, self._threshold))
        most = np.floor(size / self._threshold + EPSILON).astype(np.int64)
        high = np.searchsorted(self._keys, base + most, side="right")
        for part in _cut(heads.sets[here], high - low, _GROUPS_AT_ONCE):
            yield self._spans(heads, sets, here[part], low[part], (high - low)[part])

    def _spans(self, heads: Heads, sets: Sets, here: Places, low: Places, count: Places) -> Candidates:
        """Return the groups that leave enough to share after the first shingle that is shared, with their members."""
        head, group = np.repeat(here, count), spans(low, count)
        own, other = sets.sizes[heads.sets[head]], self._keys[group] & np.int64(2**_SIZE_BITS - 1)
        left = np.minimum(own - heads.places[head], other - self._places[group])
        needed = np.ceil(self._threshold / (1 + self._threshold) * (own + other) - EPSILON)
        enough = (left >= needed) & ~(sets.guests[heads.sets[head]] & self._guests[group])
        owners, group = heads.sets[head[enough]], group[enough]
        lengths = self._lengths[group]
        before = bounds_of(lengths)[:-1]
        # Heads come set by set, so what came before the first of a set's spans is the same for all of them.
        _, first, which = np.unique(owners, return_index=True, return_inverse=True)
        return Candidates(owners, self._starts[group], lengths, before - before[first][which], self._members)


def _cut(sets: Places, counts: Places, most: int) -> Iterator[slice]:
    """Cut rows, which come set by set, into slices of bounded count that divide no set."""
    ends = (
        np.append(np.flatnonzero(sets[1:] != sets[:-1]) + 1, len(sets)) if len(sets) else np.array([], dtype=np.int64)
    )
    done = bounds_of(counts)
    start = 0
    while start < len(sets):
        fits = np.searchsorted(done[ends], done[start] + most, side="right")
        following = np.searchsorted(ends, start, side="right")
        stop = int(ends[max(int(fits) - 1, int(following))])
        yield slice(start, stop)
        start = stop
