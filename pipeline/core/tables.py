"""Tables on disk: the only place that writes them; same rows, same bytes, whole or not at all."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import pandera.polars as pa
import polars as pl
import pyarrow as arrow
from pyarrow import parquet

from pipeline.core.alone import alone
from pipeline.core.errors import PairtrailError
from pipeline.core.rowgroups import RowGroups
from schemas.check import TableError, check
from schemas.columns import dtypes

ROW_GROUP = 16_384
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


class TableWriter:
    """A Parquet file that grows by frames that follow each other in key order."""

    def __init__(self, path: Path, schema: pa.DataFrameSchema, file: parquet.ParquetWriter, seen: Seen | None) -> None:
        """Write into an open file; `path` names the table in errors."""
        self.rows = 0
        self._path, self._schema, self._file, self._seen = path, schema, file, seen
        self._groups = RowGroups(file.schema, ROW_GROUP)
        self._keys = [[name] for name, column in schema.columns.items() if column.unique]
        self._keys += [schema.unique] if schema.unique else []
        self._last: pl.DataFrame | None = None

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
        self._check_seam(rows)
        self._file.write_table(group, row_group_size=ROW_GROUP)
        self.rows += rows.height
        if self._seen:
            self._seen(rows)

    def _check_seam(self, rows: pl.DataFrame) -> None:
        """Refuse a group whose first row repeats a unique key of the row before it, which its own check cannot see.

        That finds every repeated key by which the table is sorted. A unique column that it is not sorted by (that of
        the votes, say) is checked inside each group only.
        """
        for key in self._keys:
            if self._last is not None and self._last.select(key).row(0) == rows.select(key).row(0):
                msg = (
                    f"{self._path.parent.name}/{self._path.name} was not written: table {self._schema.name} holds one "
                )
                msg += f"{', '.join(key)} twice, in rows {self.rows:,} and {self.rows + 1:,}"
                raise PairtrailError(msg)
        self._last = rows.select(list(dict.fromkeys(chain(*self._keys)))).tail(1)


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
    puts it back before anything else. Raises PairtrailError where another run writes the same folder.
    """
    built, old = (place.with_name(f".{place.name}.{suffix}") for suffix in ("part", "old"))
    with alone(place):
        _put_back(old, place)
        for stale in (built, old):
            shutil.rmtree(stale, ignore_errors=True)
        built.mkdir()
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
