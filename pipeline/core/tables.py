"""Tables on disk: the only place that writes them; same rows, same bytes, whole or not at all."""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandera.polars as pa
import polars as pl
import pyarrow as arrow
from pyarrow import parquet

from pipeline.core.errors import PairtrailError
from schemas.check import TableError, check
from schemas.columns import dtypes

ROW_GROUP = 16_384
_PART_BYTES = 256 * 2**20
_HEX_DIGITS = 16


def write_table(
    frame: pl.DataFrame, path: Path, schema: pa.DataFrameSchema, by: list[str], facts: Mapping[str, str] | None = None
) -> None:
    """Check a table, sort it by the unique key `by`, and write it."""
    write_sorted([frame.sort(by)], path, schema, facts)


def write_sorted(
    frames: Iterable[pl.DataFrame], path: Path, schema: pa.DataFrameSchema, facts: Mapping[str, str] | None = None
) -> int:
    """Write frames that follow each other in key order as one Parquet file; return the number of rows.

    Plain `list` and `string` (a reader of `large_list` once scored the text of the list), zstd, row groups of a fixed
    size whatever the frames' sizes, page statistics, metadata in sorted order.
    """
    target = arrow_schema(schema, facts or {})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    rows = 0
    with parquet.ParquetWriter(
        part, target, compression="zstd", write_statistics=True, write_page_index=True
    ) as writer:
        for group in _row_groups(frames, schema):
            _checked(group, schema, path)
            writer.write_table(_to_arrow(group, target), row_group_size=ROW_GROUP)
            rows += group.height
    part.replace(path)
    return rows


def _row_groups(frames: Iterable[pl.DataFrame], schema: pa.DataFrameSchema) -> Iterator[pl.DataFrame]:
    held = pl.DataFrame(schema=dtypes(schema))
    for frame in frames:
        held = (
            pl.concat([held, frame.select(list(schema.columns))]) if held.height else frame.select(list(schema.columns))
        )
        while held.height >= ROW_GROUP:
            yield held.head(ROW_GROUP)
            held = held.slice(ROW_GROUP)
    if held.height:
        yield held


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


def _to_arrow(frame: pl.DataFrame, target: arrow.Schema) -> arrow.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(target)


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
            writer.write_table(_to_arrow(frame, target), row_group_size=ROW_GROUP)
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

    Ids are digests, so the parts are of one size. With one part the rows stay in memory.
    """

    def __init__(self, folder: Path, key: str, parts: int) -> None:
        """Empty `folder` (a kill may have left texts there) and cut by `key` into `parts`."""
        self._folder, self._key = folder, key
        self._digits = len(f"{parts:x}") - 1
        self._frames: list[pl.DataFrame] = []
        self._files: dict[str, list[Path]] = {}
        shutil.rmtree(folder, ignore_errors=True)

    def add(self, frame: pl.DataFrame) -> None:
        """Put rows aside."""
        if not self._digits:
            self._frames.append(frame)
            return
        for (prefix,), rows in frame.group_by(pl.col(self._key).str.head(self._digits)):
            path = self._folder / f"{prefix}-{len(self._files.setdefault(str(prefix), []))}.arrow"
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            rows.write_ipc(path, compression="lz4")
            self._files[str(prefix)].append(path)

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield the parts in the order of their digits, unsorted inside; then leave nothing behind."""
        if self._frames:
            yield pl.concat(self._frames)
        for prefix in sorted(self._files):
            yield pl.concat([pl.read_ipc(path) for path in self._files[prefix]])
        shutil.rmtree(self._folder, ignore_errors=True)


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
