"""Parquet rows as records: what Python cannot hold costs its row, and a fault leaves the rows before it."""

import gzip
import io
import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.core.raw.rawfiles import Limits, RawBatch, read_batches


def written(table: arrow.Table, **options: Any) -> bytes:  # noqa: ANN401
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def parquet(rows: list[dict[str, Any]], **options: Any) -> bytes:  # noqa: ANN401
    return written(arrow.Table.from_pylist(rows), **options)


def digest(raw: bytes) -> str:
    return sha256(raw).hexdigest()


def read(folder: Path, raw: bytes, limits: Limits | None = None) -> RawBatch:
    (folder / "raw").write_bytes(raw)
    (batch,) = read_batches(folder / "raw", "parquet", lambda raws: [digest(raw) for raw in raws], limits or Limits())
    return batch


def judged(batch: RawBatch) -> list[Any]:
    return [reason or value for value, reason in zip(batch.values, batch.reasons, strict=True)]


ROWS: list[dict[str, Any]] = [
    {
        "a": 1,
        "text": "one",
        "when": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
        "day": date(2024, 1, 2),
        "more": {"x": [1.5]},
    },
    {"a": 2, "text": "two", "when": None, "day": None, "more": {"x": [math.nan]}},
    {"a": 3, "text": "nul\0", "when": None, "day": None, "more": None},
    {"a": 4, "text": "no \\u0000, no NaN", "when": None, "day": None, "more": None},
]
PLAIN = [
    {"a": 1, "text": "one", "when": "2024-01-02T03:04:05+00:00", "day": "2024-01-02", "more": {"x": [1.5]}},
    "not_finite",
    "nul_character",
    {"a": 4, "text": "no \\u0000, no NaN", "when": None, "day": None, "more": None},
]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_parquet_rows_are_records(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    found = read(tmp_path, pack(parquet(ROWS)))
    assert (found.rows, judged(found)) == ([1, 2, 3, 4], PLAIN)
    raw = json.dumps(PLAIN[0], sort_keys=True, separators=(",", ":")).encode()
    assert found.digests[0] == digest(raw)


def test_parquet_values_that_python_cannot_hold_cost_their_row(tmp_path: Path) -> None:
    invalid = arrow.StringArray.from_buffers(2, arrow.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), arrow.py_buffer(b"\xffb"))
    far = arrow.array([0, 2**62], arrow.timestamp("us"))
    for column, reasons in ((invalid, ["invalid_utf8", None]), (far, [None, "out_of_range"])):
        assert read(tmp_path, written(arrow.table({"a": column}))).reasons == reasons


def test_parquet_nanoseconds_are_cut_and_other_types_stay(tmp_path: Path) -> None:
    nanoseconds = arrow.array([1_700_000_000_123_456_789], arrow.timestamp("ns"))
    other = {"many": arrow.array([Decimal("1.5")]), "raw": arrow.array([b"x"])}
    found = judged(read(tmp_path, written(arrow.table({"when": nanoseconds, **other}))))
    assert found == [{"when": "2023-11-14T22:13:20.123456", "many": Decimal("1.5"), "raw": b"x"}]


def test_parquet_columns_of_one_name(tmp_path: Path) -> None:
    twice = arrow.Table.from_arrays([arrow.array([1]), arrow.array([2])], ["a", "a"])
    assert read(tmp_path, written(twice)).reasons == ["duplicate_key"]


def test_parquet_rows_too_large_and_no_rows(tmp_path: Path) -> None:
    large = read(tmp_path, parquet([{"a": "x" * 50}, {"a": "x"}]), Limits(record_bytes=40))
    assert large.reasons == ["record_too_large", None]
    assert read(tmp_path, parquet(ROWS[:1])[:4] + b"\x15\0" * 40).reasons == ["unreadable_file"]
    assert read(tmp_path, written(arrow.table({"a": arrow.array([], arrow.int64())}))).reasons == ["empty_file"]


def test_parquet_keeps_the_rows_before_a_fault(tmp_path: Path) -> None:
    rows = [{"a": n, "text": sha256(b"%d" % n).hexdigest()} for n in range(4000)]
    raw = bytearray(parquet(rows, row_group_size=1000, compression="zstd"))
    raw[len(raw) // 2 : len(raw) // 2 + 3000] = b"\xff" * 3000
    found = read(tmp_path, bytes(raw))
    good = len(found.rows) - 1
    assert good >= 1000
    assert judged(found) == [*rows[:good], "unreadable_file"]


def test_a_nested_column_that_is_null_throughout_is_read(tmp_path: Path) -> None:
    messages = [{"content": [{"text": text, "image": None}]} for text in ("one", "two")]
    rows: list[dict[str, Any]] = [{"said": messages}, {"said": messages}]
    assert judged(read(tmp_path, parquet(rows))) == rows
