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
_ARROW_BYTES = 2**30
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
        self._held: list[arrow.Table] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Write rows; those that fill no row group wait, as Arrow: a Polars frame would keep all texts of its part."""
        rows = frame.select(list(self._schema.columns))
        if rows.schema != dtypes(self._schema):
            _checked(rows, self._schema, self._path)
        self._held += [block.to_arrow(compat_level=pl.CompatLevel.oldest()) for block in _blocks(rows)]
        while sum(held.num_rows for held in self._held) >= ROW_GROUP:
            self._write()

    def finish(self) -> None:
        """Write the rows that wait."""
        while any(held.num_rows for held in self._held):
            self._write()

    def _write(self) -> None:
        """Check and write the first of the rows that wait: what is checked is what is written."""
        waiting = arrow.concat_tables(self._held)
        self._held = [waiting.slice(ROW_GROUP)]
        group = waiting.slice(0, ROW_GROUP).cast(self._file.schema).combine_chunks()
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

    Plain `list` and `string` (a reader of `large_list` once scored the text of the list), zstd, row groups of a fixed
    size whatever the frames' sizes, page statistics, metadata in sorted order.
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


def _blocks(frame: pl.DataFrame) -> Iterable[pl.DataFrame]:
    """Cut what would not fit into one Arrow `string`, whose offsets have 32 bits."""
    return frame.iter_slices(ROW_GROUP) if frame.estimated_size() > _ARROW_BYTES else [frame]


def batches_of(path: Path, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
    """Yield a Parquet file's rows in file order, at most a row group of ours at a time, and no batch without rows.

    Whoever keeps a text column of a batch keeps the whole batch in memory.
    """
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROW_GROUP, columns=columns):
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
