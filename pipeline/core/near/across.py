"""Near neighbours on two sides: an exact join, so that none is missed where one would be a leak."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.core.near.cutting import ahead
from pipeline.core.near.index import NEAR, NearIndex
from pipeline.core.near.neighbours import MOST
from pipeline.core.near.shingles import Sets
from pipeline.core.near.words import Places

KINDS = {"match_key": pl.col("match_key").is_not_null(), "root_id": pl.col("is_root")}
"""What a text may stand for, and which texts do."""
_AT_ONCE = 8_192


def across(sets: Sets, keys: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Return the near pairs of which a side could not stand: rows of `keys` as `left` and `right`, with similarity.

    `keys` has a row for each text: `match_key`, `root_id`, `is_root`, the `side` of its root, and for the match key and
    the root whether rows of it were kept so far (`stands_match_key`, `stands_root_id`) and whether it was released in
    train or validation (`released_match_key`, `released_root_id`). Prompts are compared with prompts, roots with roots.

    Only such neighbours are looked for as decide something, and of each text the `MOST` nearest of those that come
    first in the order of texts, if there are more: a crowd of others cannot take their places. Released ones of what is
    held out come first, as what is near them is held out no more and keeps nobody from train.
    """
    heldout, validation = pl.col("side") == "heldout", pl.col("side") == "validation"
    sides, found = _Sides(sets, keys, threshold), [pl.DataFrame(schema=NEAR)]
    seen = {}
    for kind in KINDS:
        released = pl.col(f"released_{kind}")
        pairs = pl.concat([found[0], *sides.joined(kind, released, heldout & pl.col(f"stands_{kind}"))])
        seen[kind] = released | pl.col(kind).is_in(keys[pairs["left"]][kind].unique().implode())
        found.append(pairs)
    fresh = {"match_key": ~seen["match_key"] & ~seen["root_id"], "root_id": ~seen["root_id"]}
    for kind in KINDS:
        stands = pl.col(f"stands_{kind}")
        found += sides.joined(kind, heldout & stands & fresh[kind], ~heldout)
        found += sides.joined(kind, validation & stands, ~heldout & ~validation)
    return pl.concat(found)


@dataclass(frozen=True, slots=True)
class _Sides:
    """Texts of which some are compared with others."""

    sets: Sets
    keys: pl.DataFrame
    threshold: float

    def joined(self, kind: str, of: pl.Expr, among: pl.Expr) -> list[pl.DataFrame]:
        """Return the near neighbours of texts (as `right`) among others (as `left`), all of one kind."""
        left, right = (self._places(KINDS[kind] & which.fill_null(value=False)) for which in (among, of))
        if not (len(left) and len(right)):
            return []
        index = NearIndex(self.sets.by_text(right), self.threshold)
        parts: list[Places] = [left[start : start + _AT_ONCE] for start in range(0, len(left), _AT_ONCE)]
        return list(ahead(lambda part: index.near(self.sets.of(part), MOST), parts))

    def _places(self, which: pl.Expr) -> Places:
        return np.flatnonzero(self.keys.select(which).to_series().to_numpy()[self.sets.texts])
