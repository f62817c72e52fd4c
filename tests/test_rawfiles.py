"""Raw files of every format and compression to bounded batches; nothing is lost and nothing is held."""

import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.core.errors import PairtrailError
from pipeline.core.raw import rawfiles
from pipeline.core.raw.rawfiles import Declared, Limits, RawBatch, read_batches

RECORDS = [{"a": 1, "text": "one"}, {"a": 2, "text": "zwei \u00fc"}, {"a": 3, "text": 'th"ree\n'}]
LINES = "\n".join(map(json.dumps, RECORDS)).encode()


def digest(raw: bytes) -> str:
    return sha256(raw).hexdigest()


def digests(raws: list[bytes]) -> list[str]:
    return [digest(raw) for raw in raws]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., RawBatch]:
    """Write bytes to a file and read it; all batches as one."""

    def write_and_read(raw: bytes, declared: Declared = "json", limits: Limits | None = None) -> RawBatch:
        path = tmp_path / "raw"
        path.write_bytes(raw)
        whole = RawBatch()
        for batch in read_batches(path, declared, digests, limits or Limits()):
            whole.rows.extend(batch.rows)
            whole.digests.extend(batch.digests)
            whole.values.extend(batch.values)
            whole.reasons.extend(batch.reasons)
        return whole

    return write_and_read


Read = Callable[..., RawBatch]


def judged(batch: RawBatch) -> list[Any]:
    return [reason or value for value, reason in zip(batch.values, batch.reasons, strict=True)]


def parquet(rows: list[dict[str, Any]], **options: Any) -> bytes:  # noqa: ANN401
    file = io.BytesIO()
    pq.write_table(arrow.Table.from_pylist(rows), file, **options)
    return file.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip, padded": lambda raw: gzip.compress(raw, mtime=0) + b"\0" * 2_000_000,
    "gzip, two members": lambda raw: gzip.compress(raw[:9], mtime=0) + gzip.compress(raw[9:]),
    "zstd": zstandard.compress,
    "zstd, two frames": lambda raw: zstandard.compress(raw[:9]) + zstandard.compress(raw[9:]),
    "zstd, skippable first": lambda raw: b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstandard.compress(raw),
}
SHAPED: dict[str, Callable[[list[Any]], str]] = {
    "lines": lambda records: "\n".join(map(json.dumps, records)),
    "lines, blank ones between": lambda records: "\n\n".join(map(json.dumps, records)) + "\r\n\n",
    "array": json.dumps,
    "array, pretty": lambda records: json.dumps(records, indent=2, ensure_ascii=False),
    "array, a line each": lambda records: "[\n" + ",\n".join(map(json.dumps, records)) + "\n]\n",
    "with a byte order mark": lambda records: "\ufeff" + "\n".join(map(json.dumps, records)),
}
VALUES = (
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20) | st.integers() | st.none()
)


@pytest.mark.parametrize("shape", SHAPED)
@pytest.mark.parametrize("pack", PACKED)
@given(records=st.lists(st.dictionaries(st.text('ab\\"', max_size=3), VALUES, max_size=3), min_size=1, max_size=5))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_shape_and_compression_do_not_matter(read: Read, shape: str, pack: str, records: list[Any]) -> None:
    found = read(PACKED[pack](SHAPED[shape](records).encode()))
    assert found.values == records
    assert not any(found.reasons)
    if not shape.startswith("lines, blank"):
        assert found.rows == list(range(1, len(records) + 1))


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_every_one_of_many_members_is_read(read: Read, pack: str) -> None:
    records = [{"n": n, "text": sha256(b"%d" % n).hexdigest() * (n % 7)} for n in range(300)]
    found = read(b"".join(PACKED[pack](json.dumps(record).encode() + b"\n") for record in records))
    assert found.values == records


@given(st.integers(1, 8), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_a_corrupted_line_costs_itself(read: Read, count: int, data: st.DataObject) -> None:
    lines = [json.dumps({"n": n}).encode() for n in range(count)]
    bad = data.draw(st.integers(0, count - 1))
    lines[bad] = data.draw(st.binary(min_size=1, max_size=12).map(lambda raw: b"garbage" + raw.replace(b"\n", b"")))
    found = read(b"\n".join(lines))
    assert [place for place, reason in enumerate(found.reasons) if reason] == [bad]
    assert [value for value in found.values if value] == [{"n": n} for n in range(count) if n != bad]


@pytest.mark.parametrize(
    ("declared", "raw", "reason"),
    [
        ("json", b"", "empty_file"),
        ("json", b" \n\t\n", "empty_file"),
        ("json", b"\xef\xbb\xbf", "empty_file"),
        ("json", b" [ ] \n", "empty_file"),
        ("json", b"\n" * 200_000, "empty_file"),
        ("json", gzip.compress(b"", mtime=0), "empty_file"),
        ("json", parquet([{"a": 1}]), "format_mismatch"),
        ("json", '{"a": 1}'.encode("utf-16"), "format_mismatch"),
        ("json", gzip.compress(b"", mtime=0)[:5], "unreadable_file"),
        ("json", b"\x28\xb5\x2f\xfdgarbage", "unreadable_file"),
        ("csv", b"", "empty_file"),
        ("csv", b"a,b\n", "empty_file"),
        ("csv", b"\xef\xbb\xbf \n", "empty_file"),
        ("csv", b'{"a": 1}\n', "format_mismatch"),
        ("csv", b' [{"a": 1}]\n', "format_mismatch"),
        ("csv", parquet([{"a": 1}]), "format_mismatch"),
        ("csv", "a,b\n1,2".encode("utf-16"), "format_mismatch"),
        ("csv", b"a,\xff\n1,2\n", "format_mismatch"),
        ("csv", b'a,"b\n1,2\n', "format_mismatch"),
        ("csv", b"a,b\0\n1,2\n", "format_mismatch"),
        ("tsv", b"a\tb\n", "empty_file"),
        ("parquet", b"", "empty_file"),
        ("parquet", parquet([{"a": 1}])[:0], "empty_file"),
        ("parquet", LINES, "format_mismatch"),
        ("parquet", gzip.compress(LINES, mtime=0), "format_mismatch"),
        ("parquet", b"PAR1", "unreadable_file"),
        ("parquet", parquet([{"a": 1}])[:-9], "unreadable_file"),
        ("parquet", gzip.compress(parquet([{"a": 1}]), mtime=0)[:-9], "unreadable_file"),
    ],
)
def test_a_file_that_holds_no_record_is_one(read: Read, declared: Declared, raw: bytes, reason: str) -> None:
    found = read(raw, declared)
    assert (found.rows, found.values, found.reasons) == ([1], [None], [reason])


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
@pytest.mark.parametrize("shape", ["lines", "array"])
def test_what_was_read_before_a_truncation_stays_good(read: Read, pack: str, shape: str) -> None:
    records = [{"n": n, "text": sha256(b"%d" % n).hexdigest()} for n in range(20_000)]
    packed = PACKED[pack](SHAPED[shape](records).encode())
    found = read(packed[: len(packed) // 2])
    good = len(found.rows) - 1
    assert good > 1000
    assert found.values == [*records[:good], None]
    assert found.reasons == [None] * good + ["unreadable_file"]
    assert found.rows == list(range(1, good + 2))


def test_a_missing_gzip_trailer_and_garbage_after_it_are_unreadable(read: Read) -> None:
    packed = gzip.compress(LINES + b"\n", mtime=0)
    for raw in (packed[:-8], packed[:-1], packed + b"garbage", packed[:-8] + b"\0" * 8):
        found = read(raw)
        assert judged(found) == [*RECORDS, "unreadable_file"]
        assert found.digests[-1] == digest(b"")


@pytest.mark.parametrize(
    ("raw", "rows", "expected"),
    [
        (b'garbage\n{"a": 1}\n', [1, 2], ["broken_json", {"a": 1}]),
        (b'[1]\n{"a": 1}\n', [1, 2], ["not_an_object", {"a": 1}]),
        (b'[{"b": 1}]\n[]\n', [1, 2], ["not_an_object", "not_an_object"]),
        (b'{\n  "a": 1\n}\n', [1], [{"a": 1}]),
        (b'{\n  "a": 1\n}\n{"b": 1}', [1, 2, 3, 4], ["broken_json"] * 3 + [{"b": 1}]),
        (b'{"a": 1', [1], ["broken_json"]),
        (b"PAR1,b\n", [1], ["broken_json"]),
    ],
)
def test_lines_arrays_and_one_object_are_told_apart(
    read: Read, raw: bytes, rows: list[int], expected: list[Any]
) -> None:
    found = read(raw)
    assert (found.rows, judged(found)) == (rows, expected)


def test_csv_and_tsv_give_texts_by_column(read: Read) -> None:
    assert judged(read(b'\xef\xbb\xbfa,b\r\n1,"x\r\ny"\r\n', "csv")) == [{"a": "1", "b": "x\r\ny"}]
    assert judged(read(b"a\tb\n1\t\n2\n", "tsv")) == [{"a": "1", "b": ""}, "wrong_column_count"]
    assert judged(read(b"PAR1,b\n1,2\n", "csv")) == [{"PAR1": "1", "b": "2"}]
    assert judged(read(b"a,a\n1,2\n", "csv")) == ["duplicate_key"]


def test_digests_are_of_the_bytes_without_white_space(read: Read) -> None:
    assert read(b' {"a": 1} \r\n').digests == read(b'[ {"a": 1}\n]').digests == [digest(b'{"a": 1}')]
    assert read(b"a\tb\r\n1\t\r\n", "tsv").digests == [digest(b"1\t")]
    large = read(b'{"a": "' + b"x" * 200_000, limits=Limits(record_bytes=100_000))
    assert (large.digests, large.reasons) == ([digest(b'{"a": "' + b"x" * (2**16 - 7))], ["record_too_large"])


def test_batches_are_bounded_in_records_and_in_bytes(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes(b'{"n": 1}\n' * 25)
    by_records = list(read_batches(path, "json", digests, Limits(batch_records=10)))
    by_bytes = list(read_batches(path, "json", digests, Limits(batch_bytes=80)))
    assert [len(batch.rows) for batch in by_records] == [len(batch.rows) for batch in by_bytes] == [10, 10, 5]


@pytest.mark.parametrize("declared", ["json", "csv"])
@pytest.mark.parametrize(
    ("pack", "filler", "size"),
    [
        ("zstd", b"\0", 300_000_000),
        ("gzip", b"\0", 50_000_000),
        ("zstd", b" ", 50_000_000),
        ("zstd", b"\\", 10_000_000),
        ("zstd", b'"', 1_000_000),
        ("zstd", b"[", 200_000),
    ],
)
def test_an_archive_bomb_is_one_record_and_fills_no_memory(
    tmp_path: Path, declared: Declared, pack: str, filler: bytes, size: int
) -> None:
    path = tmp_path / "raw"
    path.write_bytes(PACKED[pack]((b'[{"a": 1},{' if declared == "json" else b"a\n1\n") + filler * size))
    tracemalloc.start()
    found = [judged(batch) for batch in read_batches(path, declared, digests, Limits(record_bytes=2**17))]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [[{"a": 1 if declared == "json" else "1"}, "record_too_large"]]
    assert peak < 40 * 2**20


def test_a_compressed_parquet_file_is_unpacked_up_to_a_limit(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rawfiles, "SPOOL_BYTES", 100)
    assert read(gzip.compress(parquet([{"a": "x" * 50}] * 20), mtime=0), "parquet").reasons == ["unreadable_file"]


def test_what_is_not_there_and_what_is_not_known_are_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(PairtrailError, match="cannot be read"):
        list(read_batches(tmp_path / "none", "json", digests))
    (tmp_path / "raw").write_bytes(LINES)
    with pytest.raises(PairtrailError, match="json, csv, tsv, parquet"):
        list(read_batches(tmp_path / "raw", "xml", digests))  # type: ignore[arg-type]
