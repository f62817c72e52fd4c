"""Texts as sets of shingles: runs of words, shorter ones where a text has few words."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as arrow
from numpy.typing import NDArray

from pipeline.core.near.words import Hashes, Places, Words, bounds_of, grams, spans, words_of

# From so many words on, texts are compared by runs of n words. One changed word in the middle of a text of 13 words or
# more leaves a Jaccard similarity of .7, as it does with runs of three from 20 on.
LEAST_WORDS = {3: 20, 2: 4, 1: 1}
_AT_ONCE = 16_000_000
# Sizes and similarities that are equal but for the last bits of a float are equal.
EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Sets:
    """Sets of shingles, one after the other; `texts` says to which text each belongs.

    Set i has the shingles from bounds[i] to bounds[i + 1], each once, in ascending order. A text has one set of its own
    kind of runs and may have one of shorter runs, a guest, by which it is compared with shorter texts: two guests are
    never compared. Sets of runs of different lengths share nothing.
    """

    shingles: Hashes
    bounds: Places
    texts: Places
    guests: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of sets."""
        return len(self.texts)

    @property
    def sizes(self) -> Places:
        """Return how many shingles each set has."""
        return np.diff(self.bounds)

    def of(self, places: Places) -> "Sets":
        """Return some sets, in the order given."""
        sizes = self.sizes[places]
        shingles = self.shingles[spans(self.bounds[places], sizes)]
        return Sets(shingles, bounds_of(sizes), self.texts[places], self.guests[places])

    def by_text(self, places: Places) -> "Sets":
        """Return some sets in the order of their texts."""
        return self.of(places[np.argsort(self.texts[places], kind="stable")])

    def renumbered(self, numbers: Places) -> "Sets":
        """Return the sets, of which those of text i are now of text numbers[i]."""
        return Sets(self.shingles, self.bounds, numbers[self.texts], self.guests)

    def lists(self) -> pl.Series:
        """Return the sets as a column of lists, without a copy."""
        return pl.Series("shingles", arrow.LargeListArray.from_arrays(self.bounds, arrow.array(self.shingles)))


def shingled(texts: pl.Series, threshold: float) -> Sets:
    """Cut texts (as `matched_texts` gives them) into sets of shingles that can be compared at a similarity threshold.

    Two texts are compared by the runs that the shorter one is cut into. The longer one has a set of these only where
    it has no more different ones than the threshold lets it have: sets whose sizes differ more cannot be that similar.
    """
    words = words_of(texts)
    lengths, above = words.lengths, np.inf
    parts = []
    for n, least in LEAST_WORDS.items():
        parts.append(_own(words, n, np.flatnonzero((lengths >= least) & (lengths < above))))
        if above < np.inf:
            # The longest text of this class has above - 1 words: what is similar to it has not many more runs.
            most = int((above - n) / threshold + EPSILON)
            parts.append(_guests(words, n, np.flatnonzero(lengths >= above), most))
        above = least
    return joined(parts)


def _own(words: Words, n: int, texts: Places) -> Sets:
    chosen = words.of(texts) if len(texts) < len(words) else words
    return _sets(grams(chosen, n), texts, guests=False)


def _guests(words: Words, n: int, texts: Places, most: int) -> Sets:
    """Return the sets of longer texts that have no more than `most` different runs: a text that repeats itself, too."""
    # Of k different words there are at least k - 1 different runs: most texts are known by their first words.
    few = texts[_different(words, texts, 2 * (most + n)) < most + n]
    sets = _sets(grams(words.of(few), n), few, guests=True)
    return sets.of(np.flatnonzero(sets.sizes <= most))


def _different(words: Words, texts: Places, first: int) -> Places:
    """Count the different words among the first so many of each text."""
    places = np.minimum(np.arange(first), words.lengths[texts][:, None] - 1)
    held = np.sort(words.hashes[words.bounds[texts][:, None] + places], axis=1)
    different: Places = 1 + (held[:, 1:] != held[:, :-1]).sum(axis=1)
    return different


def joined(parts: list[Sets]) -> Sets:
    """Lay sets of the same texts end to end."""
    sizes = np.concatenate([part.sizes for part in parts])
    shingles = np.concatenate([part.shingles for part in parts])
    texts, guests = (np.concatenate([getattr(part, name) for part in parts]) for name in ("texts", "guests"))
    return Sets(shingles, bounds_of(sizes), texts, guests)


def _sets(runs: Words, texts: Places, *, guests: bool) -> Sets:
    """Keep each run of a text once."""
    marks = np.full(len(texts), guests)
    ordered = (
        Sets(runs.hashes, runs.bounds, texts, marks).lists().list.eval(pl.element().sort()).explode(empty_as_null=False)
    )
    hashes = ordered.to_numpy()
    owners = np.repeat(np.arange(len(texts)), runs.lengths)
    first = np.ones(len(hashes), dtype=bool)
    first[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    return Sets(hashes[first], bounds_of(np.bincount(owners[first], minlength=len(texts))), texts, marks)


def similarities(left: Sets, right: Sets, lefts: Places, rights: Places) -> NDArray[np.float64]:
    """Return the Jaccard similarity of pairs of sets: the shingles that both hold, of those that either holds.

    That of two guests is for nobody to ask: there are sets of longer runs by which their texts are compared.
    """
    both = left.sizes[lefts] + right.sizes[rights]
    # Some at a time, by what they hold: a pair of the longest prompts has as many shingles as thousands of others.
    steps = slices(both, _AT_ONCE)
    shared = np.concatenate([_shared(left, right, lefts[step], rights[step]) for step in steps] or [both])
    similar: NDArray[np.float64] = shared / (both - shared)
    return similar


def _shared(left: Sets, right: Sets, lefts: Places, rights: Places) -> Places:
    one, mine = np.unique(lefts, return_inverse=True)
    other, theirs = np.unique(rights, return_inverse=True)
    pairs = {"left": left.of(one).lists().gather(mine), "right": right.of(other).lists().gather(theirs)}
    shared = pl.DataFrame(pairs).select(pl.col("left").list.set_intersection("right").list.len().cast(pl.Int64))
    return shared.to_series().to_numpy()


def slices(counts: Places, most: int) -> Iterator[slice]:
    """Cut rows into slices whose counts come to no more than `most`, or that are one row."""
    done = bounds_of(counts)
    start = 0
    while start < len(counts):
        fits = int(np.searchsorted(done, done[start] + most, side="right")) - 1
        stop = max(fits, start + 1)
        yield slice(start, stop)
        start = stop
