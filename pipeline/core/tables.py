"""Tables on disk: the only place that writes them; same rows, same bytes, whole or not at all."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import pandera.polars as pa
import polars as pl
import pyarrow as arrow
from pyarrow import ipc, parquet

from pipeline.core.errors import PairtrailError
from schemas.check import TableError, check
from schemas.columns import dtypes

ROW_GROUP = 16_384
_PART_BYTES = 256 * 2**20
_HEX_DIGITS = 16
_ARROW_BYTES = 2**30
_BLOCK_BYTES = 128 * 2**20
Seen: TypeAlias = Callable[[pl.DataFrame], None]
_PART = "__part"
_LZ4 = ipc.IpcWriteOptions(compression="lz4")


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
    return _plain_schema(dtypes(schema), facts)


def _plain_schema(types: Mapping[str, Any], facts: Mapping[str, str]) -> arrow.Schema:
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


def write_rows(frames: Iterable[pl.DataFrame], path: Path, types: Mapping[str, Any]) -> int:
    """Write rows that no schema of ours describes, as JSON lines or Parquet by the file's ending; return how many.

    `types` are the columns in order. JSON lines are UTF-8 with keys in that order; Parquet has plain lists and strings.
    """
    counted = (frame.select(list(types)) for frame in frames)
    return (_write_parquet if path.suffix == ".parquet" else _write_lines)(counted, path, types)


def _write_lines(frames: Iterable[pl.DataFrame], path: Path, _: Mapping[str, Any]) -> int:
    rows = 0
    with path.open("wb") as stream:
        for frame in frames:
            frame.write_ndjson(stream)
            rows += frame.height
    return rows


def _write_parquet(frames: Iterable[pl.DataFrame], path: Path, types: Mapping[str, Any]) -> int:
    target = _plain_schema(types, {})
    rows = 0
    with parquet.ParquetWriter(path, target, compression="zstd") as writer:
        for frame in frames:
            rows_as_arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(target)
            writer.write_table(rows_as_arrow, row_group_size=ROW_GROUP)
            rows += frame.height
    return rows


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


def parts_for(size: int) -> int:
    """Return into how many parts (a power of 16) content of about `size` bytes is cut so that each fits into memory."""
    parts = 1
    while size > parts * _PART_BYTES:
        parts *= _HEX_DIGITS
    return parts


class Spill:
    """Rows put aside by the leading digits of an id, so that each part can be sorted in memory by itself.

    Ids are digests, so the parts are of one size. With one part, or few rows, the rows stay in memory; else each block
    of rows becomes a file with one batch for every part.
    """

    def __init__(self, folder: Path, key: str, parts: int) -> None:
        """Empty `folder` (a kill may have left texts there) and cut by `key` into `parts`, a power of 16."""
        self._folder, self._key = folder, key
        self.prefixes = [f"{part:0{len(f'{parts:x}') - 1}x}" for part in range(parts)] if parts > 1 else [""]
        self._held: list[pl.DataFrame] = []
        self._files: list[Path] = []
        shutil.rmtree(folder, ignore_errors=True)

    def add(self, frame: pl.DataFrame) -> None:
        """Put rows aside."""
        self._held.append(frame)
        if len(self.prefixes) > 1 and sum(held.estimated_size() for held in self._held if held.height) > _BLOCK_BYTES:
            self._write(*self._cut())

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield a part for each of `prefixes`, unsorted inside; then leave nothing behind. Nothing added, no parts."""
        if not self._held and not self._files:
            return
        rows, bounds = self._cut() if self._held else (None, [])
        for number in range(len(self.prefixes)):
            part = [_read_batch(file, number) for file in self._files]
            if rows is not None:
                part.append(rows.slice(bounds[number], bounds[number + 1] - bounds[number]))
            yield pl.concat(part)
        self._files.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _cut(self) -> tuple[pl.DataFrame, list[int]]:
        """Order the rows held in memory by their parts, and hold them no longer; each part lies between two bounds."""
        rows, self._held = pl.concat(self._held), []
        if len(self.prefixes) == 1:
            return rows, [0, rows.height]
        digits = len(self.prefixes[0])
        numbers = rows[self._key].str.head(digits).str.to_integer(base=16, dtype=pl.Int64)
        ordered = rows.with_columns(numbers.alias(_PART)).sort(_PART, maintain_order=True)
        bounds = ordered[_PART].search_sorted(pl.Series(range(len(self.prefixes) + 1))).to_list()
        if numbers.null_count() or bounds[-1] != rows.height:
            msg = f"{self._key} holds values that are no digests; rows cannot be parted by it (our fault)"
            raise PairtrailError(msg)
        return ordered.drop(_PART), bounds

    def _write(self, rows: pl.DataFrame, bounds: list[int]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{len(self._files)}.arrow"
        whole = rows.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
        batch = arrow.RecordBatch.from_struct_array(whole.to_struct_array().chunk(0))
        with arrow.OSFile(str(path), "wb") as file, ipc.new_file(file, batch.schema, options=_LZ4) as writer:
            for low, high in pairwise(bounds):
                writer.write_batch(batch.slice(low, high - low))
        self._files.append(path)


def _read_batch(path: Path, number: int) -> pl.DataFrame:
    with arrow.OSFile(str(path), "rb") as file:
        return pl.DataFrame(pl.from_arrow(ipc.open_file(file).get_batch(number)))


@contextmanager
def spilling(folder: Path) -> Iterator[Path]:
    """Give a folder for what does not fit into memory, emptied before (a kill may have left texts there) and after."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def whole_folder(place: Path) -> Iterator[Path]:
    """Give a folder beside `place` to write into; at the end it takes the place of the old one, or nothing changes."""
    built, old = (place.with_name(f".{place.name}.{suffix}") for suffix in ("part", "old"))
    for stale in (built, old):
        shutil.rmtree(stale, ignore_errors=True)
    built.mkdir(parents=True)
    try:
        yield built
        if place.exists():
            place.replace(old)
        built.replace(place)
    finally:
        for stale in (built, old):
            shutil.rmtree(stale, ignore_errors=True)
