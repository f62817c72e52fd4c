"""An exact join of texts by Jaccard similarity: nothing at or above the threshold is missed.

Two sets whose similarity is t or more share at least t of each (so their sizes differ no more), and among the first
shingles of each, in any one order, they share at least one: as many as the set may lack, and one more. With the order
from rare to frequent few others do. Chaudhuri, Ganti and Kaushik, A primitive operator for similarity joins in data
cleaning (2006), section 4; Xiao et al., Efficient similarity joins for near-duplicate detection (2008), section 3,
whose positional bound says whether enough can follow the first shingle that is shared.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.core.near.heads import Candidates, Counts, Groups, heads_of, least_shared
from pipeline.core.near.shingles import EPSILON, Sets, shingled, similarities
from pipeline.core.near.words import Places, bounds_of

NEAR = {"left": pl.UInt32, "right": pl.UInt32, "similarity": pl.Float64}


class NearIndex:
    """Texts that others are compared with."""

    def __init__(self, texts: pl.Series | Sets, threshold: float) -> None:
        """Index texts (as `matched_texts` gives them, or their sets); near ones are at least so similar (Jaccard)."""
        self.threshold = threshold
        self._sets = self._cut(texts)
        self._counts = Counts(self._sets)
        self._groups = Groups(heads_of(self._sets, self._counts, threshold), self._sets, threshold)

    def near(self, texts: pl.Series | Sets, most: int) -> pl.DataFrame:
        """Return the near neighbours of texts: rows `left` of them and `right` of the index, and the similarity.

        Where a text has more than `most`, as many of them; all where it has no more. In ascending order of both rows.
        """
        sets = self._cut(texts)
        left = sets.of(self._possible(sets))
        found = [pl.DataFrame(schema=NEAR)]
        for candidates in self._groups.candidates(heads_of(left, self._counts, self.threshold), left):
            found += self._verified(left, candidates, most)
        # Two texts may be near by two kinds of runs.
        rows = pl.concat(found).group_by("left", "right").agg(pl.col("similarity").max())
        ranked = rows.sort("left", "similarity", "right", descending=[False, True, False])
        return ranked.filter(pl.int_range(pl.len()).over("left") < most).sort("left", "right")

    def _cut(self, texts: pl.Series | Sets) -> Sets:
        return shingled(texts, self.threshold) if isinstance(texts, pl.Series) else texts

    def _possible(self, sets: Sets) -> Places:
        """Return the sets of which enough shingles may occur in the index at all."""
        known = bounds_of((self._counts.of(sets.shingles) > 0).astype(np.int64))
        hits = known[sets.bounds[1:]] - known[sets.bounds[:-1]]
        return np.flatnonzero((hits >= least_shared(sets.sizes, self.threshold)) & (sets.sizes > 0))

    def _verified(self, left: Sets, candidates: Candidates, most: int) -> list[pl.DataFrame]:
        """Compare sets with their candidates, some of each at a time, until none are left or `most` are found."""
        found, neighbours, low = [], np.zeros(len(left), dtype=np.int64), 0
        met = np.array([], dtype=np.int64)
        while len(candidates):
            high = low + 2 * most
            for lefts, rights in candidates.pairs(low, high):
                similar = similarities(left, self._sets, lefts, rights)
                near = np.flatnonzero(similar >= self.threshold - EPSILON)
                # A pair comes again with every rare shingle that both hold, and counts once.
                pairs = lefts[near] << np.int64(32) | rights[near]
                near, pairs = (one[~np.isin(pairs, met)] for one in (near, pairs))
                met = np.concatenate([met, pairs])
                np.add.at(neighbours, lefts[near], 1)
                found.append(near_rows(left.texts[lefts[near]], self._sets.texts[rights[near]], similar[near]))
            candidates, low = candidates.after(high, neighbours >= most), high
        return found


def near_rows(lefts: Places, rights: Places, similar: NDArray[np.float64]) -> pl.DataFrame:
    """Return texts that are near each other as rows."""
    return pl.DataFrame({"left": lefts, "right": rights, "similarity": similar.round(6)}, schema_overrides=NEAR)
