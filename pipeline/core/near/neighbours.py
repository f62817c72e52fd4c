"""All near neighbours among many texts: candidates by MinHash, each verified; crowded buckets by the exact join."""

import numpy as np
import polars as pl

from pipeline.core.near.index import NearIndex, near_rows
from pipeline.core.near.minhash import Bands, Keys, buckets, pairs_within
from pipeline.core.near.shingles import EPSILON, Sets, similarities
from pipeline.core.near.words import Places

# All pairs of a bucket are compared up to so many sets; those of a fuller one are joined exactly, as what they have in
# common may be a template: of the square of their number few pairs would be near, or all.
CROWDED = 16
MOST = 32
"""How many near neighbours are listed of a text in crowded buckets, and of a text on another side."""
_HELD = 20_000_000


def near_pairs(sets: Sets, keys: Keys, among: Places, by: Bands) -> pl.DataFrame:
    """Return pairs of texts that are near: `left` < `right` and their similarity, each pair once.

    `keys` are the buckets of the sets, as `band_keys` gives them; `among` are the places of the sets to look at.

    Of pairs at the threshold those are missed that share no bucket (`Bands.missed`). A text in crowded buckets has its
    `MOST` nearest of those that the exact join comes to first in the order of texts.
    """
    candidates, crowded = _candidates(keys[among], by)
    one, other = among[candidates >> np.int64(32)], among[candidates & np.int64(2**32 - 1)]
    own = ~(sets.guests[one] & sets.guests[other])
    found = [_verified(sets, one[own], other[own], by.threshold)]
    pool = sets.by_text(among[crowded])
    found.append(ordered(NearIndex(pool, by.threshold).near(pool, MOST + 1)))
    pairs = pl.concat(found).filter(pl.col("left") != pl.col("right"))
    return pairs.group_by("left", "right").agg(pl.col("similarity").max()).sort("left", "right")


def _candidates(keys: Keys, by: Bands) -> tuple[Places, Places]:
    """Return the pairs that share a bucket which is not crowded, and the sets in crowded ones."""
    crowded = np.zeros(len(keys), dtype=bool)
    held, pairs = 0, [np.array([], dtype=np.int64)]
    for band in range(by.bands if len(keys) else 0):
        order, starts, ends = buckets(keys, band)
        full = ends - starts > CROWDED
        for start, end in zip(starts[full], ends[full], strict=True):
            crowded[order[start:end]] = True
        found = list(pairs_within(order, starts[~full], ends[~full]))
        pairs += found
        held += sum(map(len, found))
        if held > _HELD:
            pairs = [np.unique(np.concatenate(pairs))]
            held = 0
    return np.unique(np.concatenate(pairs)), np.flatnonzero(crowded)


def _verified(sets: Sets, one: Places, other: Places, threshold: float) -> pl.DataFrame:
    similar = similarities(sets, sets, one, other)
    near = similar >= threshold - EPSILON
    return ordered(near_rows(sets.texts[one[near]], sets.texts[other[near]], similar[near]))


def ordered(rows: pl.DataFrame) -> pl.DataFrame:
    """Write the lesser text of each pair first."""
    return rows.with_columns(left=pl.min_horizontal("left", "right"), right=pl.max_horizontal("left", "right"))
