"""Tables on disk: the only place that writes them; same rows, same bytes, whole or not at all."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pandera.polars as pa
import polars as pl
import pyarrow as arrow
from pyarrow import parquet

from pipeline.core.errors import PairtrailError
from schemas.check import TableError, check
from schemas.columns import dtypes

ROW_GROUP = 16_384
_GROUP_BYTES = 512 * 2**20
Seen: TypeAlias = Callable[[pl.DataFrame], None]


def write_table(
    frame: pl.DataFrame, path: Path, schema: pa.DataFrameSchema, by: list[str], facts: Mapping[str, str] | None = None
) -> None:
    """Check a table, sort it by the unique key `by`, and write it."""
    write_sorted([frame.sort(by)], path, schema, facts)


def write_sorted(
    frames: Iterable[pl.DataFrame], path: Path, schema: pa.DataFrameSchema, facts: Mapping[str, str] | None = None
) -> int:
    """Write frames that follow each other in key order as one Parquet file; return the number of rows."""
    with writing(path, schema, facts) as table:
        for frame in frames:
            table.add(frame)
    return table.rows


class RowGroups:
    """Rows cut into row groups: at most `ROW_GROUP` rows, and no more bytes of text than plain `string` holds.

    A group ends before the row whose text would not fit; a row that is larger than the limit is a group by itself. So
    the cuts hang on the rows alone, never on how they came, and no more than a group waits in memory.
    """

    def __init__(self, target: arrow.Schema) -> None:
        """Cut rows of the columns of `target`."""
        self._target = target
        self._held: list[arrow.Table] = []
        self._rows = self._bytes = 0

    def add(self, frame: pl.DataFrame) -> Iterator[arrow.Table]:
        """Yield the groups that are full; the rest waits, as Arrow: a Polars frame would keep all texts of its part."""
        ends = _text_bytes(frame).cum_sum()
        start = before = 0
        while start < frame.height:
            fit = int(ends.search_sorted(before + _GROUP_BYTES - self._bytes, side="right"))
            stop = min(max(fit, start if self._rows else start + 1), start + ROW_GROUP - self._rows, frame.height)
            if stop > start:
                self._hold(frame.select(pl.all().gather(range(start, stop))), int(ends[stop - 1]) - before)
                start, before = stop, int(ends[stop - 1])
            if start < frame.height or self._rows == ROW_GROUP:
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


class TableWriter:
    """A Parquet file that grows by frames that follow each other in key order."""

    def __init__(self, path: Path, schema: pa.DataFrameSchema, file: parquet.ParquetWriter, seen: Seen | None) -> None:
        """Write into an open file; `path` names the table in errors."""
        self.rows = 0
        self._path, self._schema, self._file, self._seen = path, schema, file, seen
        self._groups = RowGroups(file.schema)

    def add(self, frame: pl.DataFrame) -> None:
        """Write rows; those that fill no row group wait."""
        rows = frame.select(list(self._schema.columns))
        if rows.schema != dtypes(self._schema):
            _checked(rows, self._schema, self._path)
        for group in self._groups.add(rows):
            self._write(group)

    def finish(self) -> None:
        """Write the rows that wait."""
        for group in self._groups.rest():
            self._write(group)

    def _write(self, group: arrow.Table) -> None:
        """Check and write a row group: what is checked is what is written."""
        rows = pl.DataFrame(pl.from_arrow(group))
        _checked(rows, self._schema, self._path)
        self._file.write_table(group, row_group_size=ROW_GROUP)
        self.rows += rows.height
        if self._seen:
            self._seen(rows)


@contextmanager
def writing(
    path: Path, schema: pa.DataFrameSchema, facts: Mapping[str, str] | None = None, seen: Seen | None = None
) -> Iterator[TableWriter]:
    """Give the writer of one Parquet file, which takes its place at the end, whole, or not at all.

    `seen` is shown all rows in their order, as they are written (a digest, say).

    Plain `list` and `string` (a reader of `large_list` once scored the text of the list), zstd, row groups that
    hang on the rows alone, page statistics, metadata in sorted order.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    target = arrow_schema(schema, facts or {})
    with parquet.ParquetWriter(part, target, compression="zstd", write_page_index=True) as file:
        table = TableWriter(path, schema, file, seen)
        yield table
        table.finish()
    part.replace(path)


def _checked(frame: pl.DataFrame, schema: pa.DataFrameSchema, path: Path) -> None:
    try:
        check(frame, schema)
    except TableError as error:
        msg = f"{path.parent.name}/{path.name} was not written: {error}"
        raise PairtrailError(msg) from None


def arrow_schema(schema: pa.DataFrameSchema, facts: Mapping[str, str]) -> arrow.Schema:
    """Return the table's Arrow schema, with `facts` as sorted key-value metadata."""
    return plain_schema(dtypes(schema), facts)


def plain_schema(types: Mapping[str, Any], facts: Mapping[str, str]) -> arrow.Schema:
    """Return columns as an Arrow schema of plain lists and strings, which all readers know."""
    empty = pl.DataFrame(schema=types).to_arrow().schema
    fields = [arrow.field(field.name, _plain(field.type)) for field in empty]
    return arrow.schema(fields, metadata={key: facts[key] for key in sorted(facts)} or None)


def _plain(kind: Any) -> Any:  # noqa: ANN401
    if arrow.types.is_large_list(kind):
        return arrow.list_(_plain(kind.value_type))
    if arrow.types.is_struct(kind):
        return arrow.struct([arrow.field(field.name, _plain(field.type)) for field in kind])
    if arrow.types.is_large_string(kind) or arrow.types.is_string_view(kind):
        return arrow.string()
    return kind


def batches_of(path: Path, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
    """Yield a Parquet file's rows in file order, at most a row group of ours at a time, and no batch without rows.

    No batch spans row groups, or long texts that were cut apart would be put together again. Whoever keeps a text
    column of a batch keeps the whole batch in memory.
    """
    with parquet.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(batch_size=ROW_GROUP, row_groups=[group], columns=columns):
                if batch.num_rows:
                    yield pl.DataFrame(batch)


def scan_table(path: Path) -> pl.LazyFrame:
    """Scan one Parquet file, whatever characters its name has: a `[` in it is no pattern."""
    return pl.scan_parquet(path, glob=False)


def write_json(content: object, path: Path) -> None:
    """Write JSON for machines and people: sorted keys, two spaces, a final newline."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write a text file whole."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)


@contextmanager
def whole_folder(place: Path) -> Iterator[Path]:
    """Give a folder beside `place` to write into; at the end it takes the place of the old one, or nothing changes.

    The old folder steps aside for the moment between two renames: whoever finds it there, and no folder in its place,
    puts it back before anything else.
    """
    built, old = (place.with_name(f".{place.name}.{suffix}") for suffix in ("part", "old"))
    _put_back(old, place)
    for stale in (built, old):
        shutil.rmtree(stale, ignore_errors=True)
    built.mkdir(parents=True)
    try:
        yield built
        if place.exists():
            place.replace(old)
        built.replace(place)
    finally:
        _put_back(old, place)
        for stale in (built, old):
            shutil.rmtree(stale, ignore_errors=True)


def _put_back(old: Path, place: Path) -> None:
    if old.exists() and not place.exists():
        old.replace(place)
