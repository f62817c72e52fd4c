"""What a diff reads of published tables, in key order: keys, and digests in the place of texts."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl
import polars_hash as plh
from pyarrow import parquet

from pipeline.core.errors import PairtrailError
from pipeline.core.publishing.content import as_text
from pipeline.core.publishing.folding import KEY, SIDED
from pipeline.core.tables import batches_of

ROWS = {"pairs": ("chosen", "rejected"), "ties": ("a", "b")}
"""The tables of rows, and what each calls its two responses."""
TEXTS = {"pairs": ("chosen", "rejected"), "ties": ("response_a", "response_b")}
BOTH = " + "
"""Joins several names to one; no name of a source or a column holds it."""
SLICES = ["sources", "category", "language"]
PROMPT = ["prompt_role", "prompt_content"]
RESPONSES = ["response_first", "response_second"]
WHERE = ["side", "table"]
FOLDED = {
    "votes": ["votes_first", "votes_second", "votes_tie", "votes_both_bad"],
    "p": ["p_first"],
    "agreement": ["agreement"],
    "fold": ["fold"],
    "comparison_ids": ["folded_ids"],
    "sources": ["sources"],
}
"""What is counted from the votes of a row, by the name that is told, and where it is read."""
_LISTED = ["root_id", "prompt", "votes", "agreement", "fold", "license", "purposes", "comparison_ids", *SLICES]
_BILLION = 1_000_000_000
_TURNED = "__turned"
_DIGEST = pl.UInt128()
_TYPES = {
    **dict.fromkeys([*KEY, *WHERE, "sources", "license", "purposes", "fold"], pl.String()),
    **dict.fromkeys(PROMPT, pl.List(_DIGEST)),
    **dict.fromkeys([*RESPONSES, "folded_ids"], _DIGEST),
    "chosen_first": pl.Boolean(),
}


def no_rows(labels: Sequence[str]) -> pl.DataFrame:
    """Return rows as `told_rows` tells them, but none."""
    folded = [name for names in FOLDED.values() for name in names]
    numbers = dict.fromkeys(["strength", *(name for name in folded if name not in _TYPES)], pl.Int64())
    return pl.DataFrame(schema={**_TYPES, **numbers, **dict.fromkeys(labels, pl.String())})


def no_votes(columns: Sequence[str]) -> pl.DataFrame:
    """Return votes as `told_votes` tells them, but none."""
    names = ["comparison_id", *KEY, "source", "side", *map(said, columns)]
    return pl.DataFrame(schema=dict.fromkeys(names, pl.String()))


def said(column: str) -> str:
    """Name a vote's column where it stands beside the keys."""
    return f"said_{column}"


class Cursor:
    """A table's rows in the order of an id, taken in parts that end before a bound."""

    def __init__(self, frames: Iterable[pl.DataFrame], key: str, name: str) -> None:
        """Begin before the first row; `name` is what errors call the table."""
        self._frames, self._key, self._name = iter(frames), key, name
        self._held: pl.DataFrame | None = None
        self._last = ""

    def up_to(self, bound: str | None) -> list[pl.DataFrame]:
        """Take the rows before a bound that were not taken before; all that are left where there is none."""
        taken = []
        while (held := self._next()) is not None:
            end = held.height if bound is None else int(held[self._key].search_sorted(bound))
            taken.append(held.head(end))
            self._held = held.slice(end) if end < held.height else None
            if self._held is not None:
                break
        return taken

    def _next(self) -> pl.DataFrame | None:
        if self._held is not None:
            return self._held
        frame = next(self._frames, None)
        if frame is not None:
            if not frame[self._key].is_sorted() or frame[self._key][0] < self._last:
                msg = f"{self._name} is not sorted by {self._key}: it was not written by `pairtrail publish`"
                raise PairtrailError(msg)
            self._last = frame[self._key][-1]
        return frame


def columns_of(path: Path) -> list[str]:
    """Return the names of a Parquet file's columns."""
    return list(parquet.read_schema(path).names)


def labels_of(columns: Iterable[str]) -> list[str]:
    """Return which of the columns of rows are labels: all that mean nothing else, those of a response by its order."""
    sided = {f"{name}_{which}": name for name in SIDED for which in ("chosen", "rejected", "a", "b")}
    texts = {name for names in TEXTS.values() for name in names}
    known = {*KEY, *_LISTED, *texts, *sided, "strength", "p_chosen", "p_a"} - {"category", "language"}
    found = {name for name in columns if name not in known}
    return ["root_id", *sorted(found), *(f"{name}_{which}" for name in SIDED for which in ("first", "second"))]


def told_rows(path: Path, side: str, table: str, labels: Sequence[str], *, alike: bool) -> Iterator[pl.DataFrame]:
    """Read pairs or ties; of a table that is `alike` in both builds keys and slices only, as nothing else is asked."""
    if missing := sorted({*KEY, *_LISTED, *TEXTS[table]} - {*columns_of(path)}):
        msg = f"{side}/{table}.parquet has no {', '.join(missing)}: another version of Pairtrail wrote it"
        raise PairtrailError(msg)
    for rows in batches_of(path, [*KEY, "root_id", *SLICES] if alike else None):
        turned = rows if alike else rows.with_columns(_turned(table).alias(_TURNED))
        yield turned.select(
            *KEY,
            side=pl.lit(side),
            table=pl.lit(table),
            sources=pl.col("sources").list.join(BOTH),
            **{} if alike else _compared(table),
            **_labels(rows.schema, labels, table),
        )


def _turned(table: str) -> pl.Expr:
    """Tell rows whose responses stand in the other order than that of a fast hash of their stripped texts.

    The order is the same in every row of one pair, whichever was chosen. Two texts that were made to collide would look
    edited where they changed places, which is as large a change as the one that it hid.
    """
    left, right = (_hashing(pl.col(name).str.strip_chars()).xxh3_64() for name in TEXTS[table])
    return left > right


def _hashing(text: pl.Expr) -> plh.NonCryptographicHashingNameSpace:
    return plh.NonCryptographicHashingNameSpace(text)


def _exact(text: pl.Expr) -> pl.Expr:
    """Digest a text exactly: XXH3, 128 bits. It tells edits of one project's own text apart, and is never kept."""
    return _hashing(text).xxh3_128()


def _compared(table: str) -> dict[str, pl.Expr]:
    """Return what is compared besides labels; what is of one response stands by the order of the two, not by choice."""
    left, right = ROWS[table]
    responses = [_exact(pl.col(name)) for name in TEXTS[table]]
    votes = {name: pl.col("votes").struct.field(name) for name in (left, right, "tie", "both_bad")}
    p, pair = _billionths(f"p_{left}"), table == "pairs"
    message = pl.element().struct.field
    return {
        **{f"prompt_{part}": pl.col("prompt").list.eval(_exact(message(part))) for part in ("role", "content")},
        **_ordered("response", *responses),
        "chosen_first": ~pl.col(_TURNED) if pair else pl.lit(None, pl.Boolean),
        "strength": _billionths("strength") if pair else pl.lit(None, pl.Int64),
        "license": pl.col("license"),
        "purposes": pl.col("purposes").list.join(BOTH),
        **_ordered("votes", votes[left], votes[right]),
        **{f"votes_{name}": votes[name] for name in ("tie", "both_bad")},
        "p_first": pl.when(_TURNED).then(_BILLION - p).otherwise(p),
        "agreement": _billionths("agreement"),
        "fold": pl.col("fold"),
        "folded_ids": _exact(pl.col("comparison_ids").list.join(",")),
    }


def _ordered(name: str, left: pl.Expr, right: pl.Expr) -> dict[str, pl.Expr]:
    return {
        f"{name}_first": pl.when(_TURNED).then(right).otherwise(left),
        f"{name}_second": pl.when(_TURNED).then(left).otherwise(right),
    }


def _billionths(name: str) -> pl.Expr:
    return (pl.col(name) * _BILLION).round().cast(pl.Int64)


def _labels(schema: pl.Schema, labels: Sequence[str], table: str) -> dict[str, pl.Expr]:
    """Return the labels as texts; null where this table, or a table of that build, has no such column."""
    found = {name: as_text(pl.col(name), schema[name]) for name in labels if name in schema}
    for kind in SIDED:
        left, right = (f"{kind}_{which}" for which in ROWS[table])
        if left in schema and right in schema:
            found |= _ordered(kind, pl.col(left), pl.col(right))
    return {name: found.get(name, pl.lit(None, pl.String)) for name in labels}


def told_votes(path: Path, side: str, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Read votes: keys, source, and each of `columns` as a text."""
    has = set(columns_of(path))
    for rows in batches_of(path, [name for name in ("comparison_id", *KEY, "source", *columns) if name in has]):
        yield rows.select(
            "comparison_id",
            *KEY,
            "source",
            side=pl.lit(side),
            **{
                said(name): as_text(pl.col(name), rows.schema[name]) if name in has else pl.lit(None, pl.String)
                for name in columns
            },
        )
