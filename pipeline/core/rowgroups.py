"""Row groups of Parquet files: where they end hangs on the rows alone, and none holds more text than fits."""

from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as arrow

from pipeline.core.errors import PairtrailError

_GROUP_BYTES = 512 * 2**20


class RowGroups:
    """Rows cut into row groups: at most so many rows, and no more bytes of text than plain `string` holds.

    A group ends before the row whose text would not fit; a row that is larger than the limit is a group by itself. So
    the cuts hang on the rows alone, never on how they came, and no more than a group waits in memory.
    """

    def __init__(self, target: arrow.Schema, most: int) -> None:
        """Cut rows of the columns of `target` into groups of at most `most` rows."""
        self._target, self._most = target, most
        self._held: list[arrow.Table] = []
        self._rows = self._bytes = 0

    def add(self, frame: pl.DataFrame) -> Iterator[arrow.Table]:
        """Yield the groups that are full; the rest waits, as Arrow: a Polars frame would keep all texts of its part."""
        ends = _text_bytes(frame).cum_sum()
        start = before = 0
        while start < frame.height:
            fit = int(ends.search_sorted(before + _GROUP_BYTES - self._bytes, side="right"))
            stop = min(max(fit, start if self._rows else start + 1), start + self._most - self._rows, frame.height)
            if stop > start:
                self._hold(frame.select(pl.all().gather(range(start, stop))), int(ends[stop - 1]) - before)
                start, before = stop, int(ends[stop - 1])
            if start < frame.height or self._rows == self._most:
                yield from self.rest()

    def rest(self) -> Iterator[arrow.Table]:
        """Yield the rows that wait, if any."""
        if self._held:
            group = arrow.concat_tables(self._held).combine_chunks()
            self._held, self._rows, self._bytes = [], 0, 0
            yield group

    def _hold(self, rows: pl.DataFrame, text: int) -> None:
        """Keep gathered rows: those of a slice would bring along the texts of all rows that it is a slice of."""
        try:
            self._held.append(rows.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(self._target))
        except arrow.ArrowInvalid:
            if text <= _GROUP_BYTES:
                raise
            msg = f"a row holds {text:,} bytes of text, more than a column of plain strings takes (2 GiB); drop it"
            raise PairtrailError(msg) from None
        self._rows, self._bytes = self._rows + rows.height, self._bytes + text


def _text_bytes(frame: pl.DataFrame) -> pl.Series:
    """Return how many bytes of text each row holds."""
    sizes = [_size(pl.col(name), kind) for name, kind in frame.schema.items()]
    found = [size for size in sizes if size is not None]
    none = pl.repeat(0, pl.len(), dtype=pl.Int64)
    return frame.select(pl.sum_horizontal(none, *found).cast(pl.Int64).alias("bytes"))["bytes"]


def _size(value: pl.Expr, kind: Any) -> pl.Expr | None:  # noqa: ANN401
    if kind == pl.String:
        return value.str.len_bytes().cast(pl.Int64).fill_null(0)
    if isinstance(kind, pl.List):
        inner = _size(pl.element(), kind.inner)
        return None if inner is None else value.list.eval(inner).list.sum().fill_null(0)
    if isinstance(kind, pl.Struct):
        sizes = [_size(value.struct.field(field.name), field.dtype) for field in kind.fields]
        found = [size for size in sizes if size is not None]
        return pl.sum_horizontal(found) if found else None
    return None
