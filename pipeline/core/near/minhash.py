"""MinHash bands: sets that agree on all hashes of one band stand in one bucket, and are candidates.

Two sets of Jaccard similarity s agree on one hash with probability s (Broder, On the resemblance and containment of
documents, 1997), so that all of `bands` bands of `rows` hashes miss them with (1 - s^rows)^bands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from math import ceil, log, log1p

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from pipeline.core.errors import PairtrailError
from pipeline.core.near.shingles import Sets
from pipeline.core.near.words import Places

Keys = NDArray[np.uint32]

MOST_MISSED = 1e-6
_SEED = 20_260_101
# Odd, so that no bits of a hash are lost; (Knuth, The art of computer programming 3, section 6.4).
_FOLD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Bands:
    """How candidates are found: so many bands of so many hashes each, for pairs at or above the threshold."""

    threshold: float
    bands: int
    rows: int

    def __post_init__(self) -> None:
        """Refuse what would miss more than one pair in a million at the threshold."""
        if not (0 < self.threshold <= 1 and self.bands > 0 and self.rows > 0):
            msg = "params.yaml: near: a threshold above 0 and at most 1, and at least one band of one row, are needed"
            raise PairtrailError(msg)
        if (missed := self.missed()) > MOST_MISSED:
            needed = ceil(log(MOST_MISSED) / log1p(-(self.threshold**self.rows)))
            msg = (
                f"params.yaml: near: {self.bands} bands of {self.rows} rows miss {missed:.2g} of the pairs whose "
                f"similarity is {self.threshold}, more than {MOST_MISSED:.0e}; with {self.rows} rows {needed:,} bands "
                "are needed, with fewer rows fewer"
            )
            raise PairtrailError(msg)

    def missed(self) -> float:
        """Return the probability that two sets whose similarity is the threshold share no bucket."""
        return float((1 - self.threshold**self.rows) ** self.bands)


def band_keys(sets: Sets, by: Bands) -> Keys:
    """Return the bucket of each set (rows) in each band (columns), as 32 bits of a hash."""
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        sets.shingles, sets.bounds.astype(np.uint64), by.bands * by.rows, _SEED
    )
    # The matrix gives its hashes as lists and in no other way, which takes most of the time.
    hashes = np.fromiter(chain.from_iterable(matrix.to_rows()), np.uint64, count=len(sets) * by.bands * by.rows)
    folded = np.zeros((len(sets), by.bands), dtype=np.uint64)
    for row in range(by.rows):
        folded = (folded ^ hashes.reshape(-1, by.bands, by.rows)[:, :, row]) * _FOLD
        folded ^= folded >> np.uint64(32)
    return folded.astype(np.uint32)


def buckets(keys: Keys, band: int) -> tuple[Places, Places, Places]:
    """Return the sets in the order of one band's buckets, and where each bucket of more than one begins and ends."""
    order = np.argsort(keys[:, band], kind="stable")
    held = keys[order, band]
    edges = np.flatnonzero(held[1:] != held[:-1]) + 1
    starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(held)]])
    shared = ends - starts > 1
    return order, starts[shared], ends[shared]


def pairs_within(order: Places, starts: Places, ends: Places) -> Iterator[Places]:
    """Yield all pairs of sets that share a bucket, each as one number: the lesser in the upper 32 bits."""
    sizes = ends - starts
    for size in np.unique(sizes):
        members = order[starts[sizes == size][:, None] + np.arange(size)]
        one, other = np.triu_indices(int(size), k=1)
        yield packed(members[:, one].ravel(), members[:, other].ravel())


def packed(one: Places, other: Places) -> Places:
    """Write pairs of sets as one number each, the lesser in the upper 32 bits."""
    return np.minimum(one, other).astype(np.int64) << np.int64(32) | np.maximum(one, other).astype(np.int64)
