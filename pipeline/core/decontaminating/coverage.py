"""How much of a text stands in another word for word: the share of its words in runs that the other has too."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipeline.core.near.words import Words, grams, words_of

# Runs of 13 words are what training data have been searched for since Brown et al., Language Models are Few-Shot
# Learners (2020), appendix C; a text with fewer words is looked for whole.
LONGEST = 13
# Bits that a hash is told apart by before it is looked up: one byte for each such value, few enough for a cache.
_BITS = 22
# Rows of runs that are looked at together.
_MOST = 4_000_000
_FOUND = {"left": pl.UInt32, "right": pl.UInt32, "coverage": pl.Float64, "position": pl.Int64}


class _Known:
    """A set of hashes to look others up in: most are told apart by some of their bits, the rest by a search."""

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        """Take hashes, each once, in ascending order."""
        self.hashes = hashes
        self._some = np.zeros(2**_BITS, dtype=bool)
        self._some[hashes >> np.uint64(64 - _BITS)] = True

    def among(self, hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the places of those among `hashes` that are known, and of each the number in the set."""
        places = np.flatnonzero(self._some[hashes >> np.uint64(64 - _BITS)])
        numbers = np.minimum(np.searchsorted(self.hashes, hashes[places]), len(self.hashes) - 1)
        same = self.hashes[numbers] == hashes[places]
        return places[same], numbers[same]


@dataclass(frozen=True, slots=True)
class _Runs:
    """The runs of n words of some texts: where each stands (`run`, `right`, `start`), by its number in `known`."""

    n: int
    known: _Known
    places: pl.DataFrame


class CoverageIndex:
    """Texts whose words are looked for in others; a text with fewer than `fewest` words is left out (`short`)."""

    def __init__(self, texts: pl.Series, fewest: int) -> None:
        """Take texts as `matched_texts` gives them."""
        words = words_of(texts)
        self._words = words.lengths
        self.short = pl.Series("short", self._words < fewest)
        lengths = np.where(self._words < fewest, 0, np.minimum(self._words, LONGEST))
        self._runs = [_runs(words, int(n), lengths == n) for n in np.unique(lengths[lengths > 0])]
        self._least = _runs(words, self._runs[0].n, lengths > 0) if self._runs else None

    def covered(self, texts: pl.Series, least: float) -> pl.DataFrame:
        """Return the texts of the index that texts cover at least to a share: `left`, `right`, `coverage`, `position`.

        `left` numbers the texts given, `right` those of the index. `position` is the word of the text given (from 0) at
        which the first run of the other begins.
        """
        if self._least is None or texts.is_empty():
            return pl.DataFrame(schema=_FOUND)
        # Whoever has a run of any length has its first words too: few texts go on from here.
        holders = np.unique(_hits(words_of(texts), self._least)["left"].to_numpy())
        words = words_of(texts.gather(holders))
        found = [self._measured(part, runs.n) for runs in self._runs for part in _parts(_hits(words, runs), runs)]
        rows = pl.concat([pl.DataFrame(schema=_FOUND), *found]).filter(pl.col("coverage") >= least)
        return rows.with_columns(left=pl.lit(pl.Series(holders)).gather("left").cast(pl.UInt32))

    def _measured(self, runs: pl.DataFrame, n: int) -> pl.DataFrame:
        """Return how many words the runs of each pair of texts cover: a run adds what the run before it did not."""
        pair = ["left", "right"]
        ordered = runs.sort(*pair, "start")
        # The last run of a pair is followed by nothing.
        adds = (pl.col("start").shift(-1).over(pair) - pl.col("start")).fill_null(n).clip(upper_bound=n)
        told = ordered.with_columns(adds=adds).group_by(pair).agg(pl.col("adds").sum(), pl.col("position").min())
        whole = pl.lit(pl.Series(self._words)).gather("right")
        return told.with_columns(coverage=pl.col("adds") / whole).select(*_FOUND).cast(_FOUND)  # type: ignore[arg-type]


def _runs(words: Words, n: int, of: NDArray[np.bool_]) -> _Runs:
    runs = grams(words, n)
    owners, starts = _owners(runs)
    here = of[owners]
    hashes, numbers = np.unique(runs.hashes[here], return_inverse=True)
    places = {"run": numbers.astype(np.int64), "right": owners[here], "start": starts[here]}
    return _Runs(n, _Known(hashes), pl.DataFrame(places))


def _owners(runs: Words) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return of each run the text that it stands in, and its place there."""
    owners = np.repeat(np.arange(len(runs)), runs.lengths)
    return owners, np.arange(len(owners)) - runs.bounds[owners]


def _hits(words: Words, runs: _Runs) -> pl.DataFrame:
    """Return which known runs stand in texts, each once for a text, where it first stands."""
    said = grams(words, runs.n)
    places, numbers = runs.known.among(said.hashes)
    owners = np.searchsorted(said.bounds, places, side="right") - 1
    hits = pl.DataFrame({"left": owners, "run": numbers, "position": places - said.bounds[owners]})
    return hits.group_by("left", "run").agg(pl.col("position").min())


def _parts(hits: pl.DataFrame, runs: _Runs) -> Iterator[pl.DataFrame]:
    """Join hits with all places of their runs, some texts at a time: one run may stand in every text on both sides."""
    sizes = hits.join(runs.places.group_by("run").len(), on="run").group_by("left").agg(pl.col("len").sum())
    cut = sizes.sort("left").select("left", part=pl.col("len").cum_sum() // _MOST)
    for part in hits.join(cut, on="left").partition_by("part", include_key=False):
        yield part.join(runs.places, on="run")
