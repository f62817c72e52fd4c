"""Texts to words, and words to runs of n words, all as stable 64-bit hashes in flat arrays.

Hashes are xxHash3 and arithmetic of our own on 64 bits: the same on every machine and library version.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import polars as pl
import polars_hash as plh
from numpy.typing import NDArray

Hashes: TypeAlias = NDArray[np.uint64]
Places: TypeAlias = NDArray[np.int64]

# Scripts that are written without spaces: each character counts as a word.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = rf"[{_UNSPACED}]|[[\p{{L}}\p{{M}}\p{{N}}_]--[{_UNSPACED}]]+"
# Of no width: they choose how a character looks, or say where a word may be broken, and part no words.
_UNSEEN = r"[\u{ad}\u{200b}-\u{200f}\u{2060}-\u{2064}\u{fe00}-\u{fe0f}\u{feff}]"
_CHARACTER = r"\S"

# Odd constants of SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014).
_STEP, _MIX_1, _MIX_2 = (np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@dataclass(frozen=True, slots=True)
class Words:
    """Hashes of texts, one text after the other: text i has those from bounds[i] to bounds[i + 1]."""

    hashes: Hashes
    bounds: Places

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.bounds) - 1

    @property
    def lengths(self) -> Places:
        """Return how many hashes each text has."""
        return np.diff(self.bounds)

    def of(self, texts: Places) -> "Words":
        """Return the hashes of some texts, in the order given."""
        lengths = self.lengths[texts]
        return Words(self.hashes[spans(self.bounds[texts], lengths)], bounds_of(lengths))


def bounds_of(lengths: Places) -> Places:
    """Return where each of some spans of these lengths begins when laid end to end, and where the last ends."""
    bounds = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=bounds[1:])
    return bounds


def spans(starts: Places, lengths: Places) -> Places:
    """Return the places of all spans laid end to end: from each start, as many as its length."""
    total = int(lengths.sum())
    return np.repeat(starts - bounds_of(lengths)[:-1], lengths) + np.arange(total)


def words_of(texts: pl.Series) -> Words:
    """Hash the words of texts: runs of letters, marks, digits and `_`, or single characters of scripts without spaces.

    A text that has none of these (emoji, punctuation) counts each of its characters that is not white space. Texts are
    taken as they come: normalised and in lower case, as `matched_texts` gives them.
    """
    said = texts.fill_null("").str.replace_all(_UNSEEN, "")
    words = said.str.extract_all(_WORD)
    lengths = words.list.len().to_numpy().astype(np.int64)
    found = Words(_hashed(words.explode(empty_as_null=False)), bounds_of(lengths))
    return found if lengths.all() else _with_characters(found, said)


def _hashed(words: pl.Series) -> Hashes:
    hashes = pl.select(plh.NonCryptographicHashingNameSpace(pl.lit(words)).xxh3_64()).to_series()
    return hashes.to_numpy() if len(words) else np.array([], dtype=np.uint64)


def _with_characters(words: Words, texts: pl.Series) -> Words:
    """Let the texts without a word have their characters instead."""
    wordless = words.lengths == 0
    characters = texts.filter(wordless).str.extract_all(_CHARACTER)
    places = np.arange(len(words))
    places[wordless] = len(words) + np.arange(wordless.sum())
    lengths = np.concatenate([words.lengths, characters.list.len().to_numpy().astype(np.int64)])
    hashes = np.concatenate([words.hashes, _hashed(characters.explode(empty_as_null=False))])
    return Words(hashes, bounds_of(lengths)).of(places)


def grams(words: Words, n: int) -> Words:
    """Hash all runs of `n` words of each text, in order, so that a run's place is that of its first word."""
    lengths = np.maximum(words.lengths - (n - 1), 0)
    reach = max(len(words.hashes) - (n - 1), 0)
    found = np.full(reach, n, dtype=np.uint64)
    for step in range(n):
        found *= _STEP
        found += words.hashes[step : step + reach]
        found ^= found >> np.uint64(29)
    return Words(_mixed(found[spans(words.bounds[:-1], lengths)]), bounds_of(lengths))


def _mixed(hashes: Hashes) -> Hashes:
    """Spread the bits of hashes over all places (the finalizer of SplitMix64)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * _MIX_1
    hashes = (hashes ^ (hashes >> np.uint64(27))) * _MIX_2
    return hashes ^ (hashes >> np.uint64(31))
