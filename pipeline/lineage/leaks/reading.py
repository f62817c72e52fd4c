"""Files to look through, read in batches of bounded size: columns that may hold texts, and which rows hold a canary."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as arrow
from pyarrow import parquet

from pipeline.core.errors import PairtrailError
from pipeline.core.raw.bytestream import open_stream
from pipeline.lineage.leaks.cells import JSON, typed
from pipeline.lineage.leaks.lines import Block, blocks

# A batch holds about so many bytes of the file, and at most so many rows.
BATCH_BYTES = 32 * 2**20
_MOST_ROWS = 32_768
# So many lines tell which type each column has; lines that do not fit are read as texts.
_INFERRED = 1_000
_PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class Met:
    """Names of columns that were met in a file; `texts`: of those that hold texts, lists or objects."""

    names: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of a file: their numbers, the columns that were asked for, and whether a canary stands anywhere in each."""

    rows: pl.Series
    columns: pl.DataFrame
    canary: pl.Series


def steps_of(path: Path) -> int:
    """Return about how many batches a file comes in."""
    return 1 + path.stat().st_size // BATCH_BYTES


def read_rows(path: Path, known: list[str], canaries: list[str], met: Met) -> Iterator[Batch]:
    """Yield a file's rows; a row's number is its line (JSON lines) or its place from 1 (JSON array, Parquet).

    The names of columns that are met are added to `met`.

    Raises PairtrailError for a file that cannot be read whole, and names the line or record.
    """
    marks = [canary.encode() for canary in canaries]
    try:
        with path.open("rb") as file:
            is_parquet = file.read(4) == _PARQUET
        yield from (_parquet if is_parquet else _json)(path, known, marks, met)
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror or 'it is cut short'}); check that it is there, and whole"
        raise PairtrailError(msg) from error
    except arrow.ArrowException as error:
        msg = f"{path}: cannot be read as Parquet ({type(error).__name__}); check that it is whole"
        raise PairtrailError(msg) from error


def _parquet(path: Path, known: list[str], marks: list[bytes], met: Met) -> Iterator[Batch]:
    with parquet.ParquetFile(path) as file:
        names = file.schema_arrow.names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            msg = f"{path}: the columns {', '.join(twice)} are there twice, so nobody can say which is trained on"
            raise PairtrailError(msg)
        met.names.update(names)
        met.texts.update(column.name for column in file.schema_arrow if _holds_texts(column.type))
        read = 0
        for group in range(file.num_row_groups):
            held = file.metadata.row_group(group)
            size = max(1, min(_MOST_ROWS, BATCH_BYTES * held.num_rows // max(held.total_byte_size, 1)))
            for batch in file.iter_batches(batch_size=size, row_groups=[group]):
                yield _of_arrow(batch, read, known, marks)
                read += batch.num_rows


def _holds_texts(kind: arrow.DataType) -> bool:
    kinds = arrow.types
    texts = (kinds.is_string, kinds.is_large_string, kinds.is_string_view, kinds.is_binary, kinds.is_large_binary)
    return any(holds(kind) for holds in (*texts, kinds.is_dictionary, kinds.is_nested))


def _of_arrow(batch: arrow.RecordBatch, before: int, known: list[str], marks: list[bytes]) -> Batch:
    names = batch.schema.names
    found = [name for name in known if name in names]
    rows = pl.int_range(before + 1, before + batch.num_rows + 1, dtype=pl.UInt64, eager=True).alias("row")
    columns = pl.DataFrame({name: pl.Series(name, batch.column(name)) for name in found})
    return Batch(rows, columns, _marked(batch, marks))


def _marked(batch: arrow.RecordBatch, marks: list[bytes]) -> pl.Series:
    """Say which rows hold a canary in any text at any depth: the bytes of a column first, its values where they do."""
    held = [False] * batch.num_rows
    for column in batch.columns:
        values = column.dictionary_decode() if arrow.types.is_dictionary(column.type) else column
        whole = [buffer.to_pybytes() for buffer in values.buffers() if buffer is not None]
        if any(mark in content for mark in marks for content in whole):
            texts = [mark.decode() for mark in marks]
            told = (str(value) for value in values.to_pylist())
            held = [before or any(text in one for text in texts) for before, one in zip(held, told, strict=True)]
    return pl.Series("canary", held, dtype=pl.Boolean)


def _json(path: Path, known: list[str], marks: list[bytes], met: Met) -> Iterator[Batch]:
    schema: dict[str, pl.DataType] | None = None
    with path.open("rb", buffering=0) as file:
        for block in blocks(open_stream(file), str(path), BATCH_BYTES):
            if schema is None:
                schema = _schema(block, known)
            names, texts = block.names()
            met.names.update(names)
            met.texts.update(texts)
            marked = _marked_lines(block, marks)
            for places, columns in _columns(block, schema):
                yield Batch(block.rows.gather(places), columns, marked.gather(places))


def _schema(block: Block, known: list[str]) -> dict[str, pl.DataType]:
    """Find the type of each known column in the first lines; one that is not met there is read as a text."""
    head = b"\n".join(block.lines()[:_INFERRED])
    try:
        met = pl.read_ndjson(head, infer_schema_length=None).schema
    except pl.exceptions.PolarsError:
        met = pl.Schema()
    return {name: typed(met[name]) if name in met else pl.String() for name in known}


def _columns(block: Block, schema: dict[str, pl.DataType]) -> Iterator[tuple[pl.Series, pl.DataFrame]]:
    """Read lines by the schema, and those that do not fit it one by one; give each part with its places in the block.

    Polars writes a list or an object where a text is expected as text, but not as sound JSON (its backslashes are
    lost): every line with a text that begins like one is decoded again.
    """
    every = pl.int_range(len(block.rows), dtype=pl.UInt32, eager=True)
    try:
        read = pl.read_ndjson(block.content, schema=schema)
    except pl.exceptions.PolarsError:
        read = pl.DataFrame()
    if read.height != len(every):
        yield every, block.decoded(list(schema), every)
        return
    doubtful = read.select(pl.any_horizontal(_like_json(pl.col(name), kind) for name, kind in schema.items()))
    again = doubtful.to_series().fill_null(value=False)
    yield every.filter(~again), read.filter(~again)
    if again.any():
        yield every.filter(again), block.decoded(list(schema), every.filter(again))


def _like_json(value: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """Say whether a text at any depth begins like a list or an object."""
    if isinstance(kind, pl.List) and isinstance(kind.inner, pl.DataType):
        return value.list.eval(_like_json(pl.element(), kind.inner)).list.any()
    if isinstance(kind, pl.Struct):
        fields = [(field.name, field.dtype) for field in kind.fields if isinstance(field.dtype, pl.DataType)]
        return pl.any_horizontal(_like_json(value.struct.field(name), inner) for name, inner in fields)
    return value.str.contains(JSON) if kind == pl.String else pl.lit(value=False)


def _marked_lines(block: Block, marks: list[bytes]) -> pl.Series:
    if not any(mark in block.content for mark in marks):
        return pl.repeat(value=False, n=len(block.rows), dtype=pl.Boolean, eager=True).alias("canary")
    return pl.Series("canary", [any(mark in line for mark in marks) for line in block.lines()], dtype=pl.Boolean)
