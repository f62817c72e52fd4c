"""Rows of a Parquet file as the records that a JSON file of the same rows would give."""

import json
from collections.abc import Iterator
from datetime import date, datetime, time
from io import BufferedIOBase, RawIOBase
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as pq

from pipeline.core.raw.decoding import Decoded, escaped_reasons
from pipeline.core.raw.splitting import BEGINNING

Row = tuple[int, bytes, dict[str, Any] | None, str | None]

# Rows turned into Python values at once: few, as nothing bounds the size of one.
_ROWS = 256


def parquet_rows(file: BufferedIOBase | RawIOBase, limit: int) -> Iterator[Row]:
    """Yield (row, its JSON, its values, reason); what cannot be read from some row on is one `unreadable_file`."""
    row = 0
    try:
        source = pq.ParquetFile(file)
        names = source.schema_arrow.names
        twice = len(set(names)) != len(names)
        for batch in source.iter_batches(batch_size=_ROWS):
            for values, reason in _values(_in_microseconds(batch)):
                row += 1
                yield row, *_judged(values, "duplicate_key" if twice else reason, limit)
    except (arrow.ArrowException, OSError):
        yield row + 1, b"", None, "unreadable_file"


def _in_microseconds(batch: arrow.RecordBatch) -> arrow.RecordBatch:
    """Cut nanoseconds off times: Python's hold none, and pyarrow would give pandas' where that is installed."""
    fields = [
        arrow.field(field.name, arrow.timestamp("us", field.type.tz)) if arrow.types.is_timestamp(field.type) else field
        for field in batch.schema
    ]
    # Only where the type changes: pyarrow breaks a nested column of nulls by casting it, even to its own type.
    columns = [
        column if column.type == field.type else column.cast(field.type, safe=False)
        for column, field in zip(batch.columns, fields, strict=True)
    ]
    return arrow.RecordBatch.from_arrays(columns, schema=arrow.schema(fields))


def _values(batch: arrow.RecordBatch) -> Iterator[Decoded]:
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    try:
        lists = [column.to_pylist() for column in columns.values()]
    except (ValueError, OverflowError):
        yield from (_value(columns, place) for place in range(batch.num_rows))
        return
    for cells in zip(*lists, strict=True):
        yield dict(zip(columns, cells, strict=True)), None


def _value(columns: dict[str, arrow.Array], place: int) -> Decoded:
    """Convert one row cell by cell; a cell that Python cannot hold is left out, and is the row's reason."""
    values: dict[str, Any] = {}
    reason = None
    for name, column in columns.items():
        try:
            values[name] = column[place].as_py()
        except UnicodeDecodeError:
            reason = "invalid_utf8"
        except (ValueError, OverflowError):
            reason = reason or "out_of_range"
    return values, reason


def _judged(
    values: dict[str, Any] | None, reason: str | None, limit: int
) -> tuple[bytes, dict[str, Any] | None, str | None]:
    values = _plain(values)
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) > limit:
        return raw[:BEGINNING], None, "record_too_large"
    reason = reason or ("not_finite" if _has_not_finite(raw, values) else None)
    if not reason and b"\\u0000" in raw:
        reason = min(escaped_reasons(raw), default=None)
    return raw, None if reason else values, reason


def _has_not_finite(raw: bytes, values: dict[str, Any] | None) -> bool:
    if b"NaN" not in raw and b"Infinity" not in raw:
        return False
    try:
        json.dumps(values, allow_nan=False, default=str)
    except ValueError:
        return True
    return False


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Write times as ISO 8601 at any depth, and a map (pyarrow gives pairs) as the lists that it is."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    return value.isoformat() if isinstance(value, (datetime, date, time)) else value
