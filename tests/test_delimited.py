"""CSV and TSV: RFC 4180 to the letter; a stray quote costs its line, and nothing takes more than linear time."""

import csv
import io
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.raw.bytestream import ByteStream, CorruptError
from pipeline.core.raw.delimited import csv_decoder, csv_fields, csv_records
from pipeline.core.raw.splitting import BEGINNING, Slice

LIMIT = 10_000


def chunks(raw: bytes, size: int, *, broken: bool = False) -> Iterator[bytes]:
    for start in range(0, len(raw), size):
        yield raw[start : start + size]
    if broken:
        raise CorruptError


def table(raw: bytes, size: int = 7, limit: int = LIMIT, *, broken: bool = False) -> list[Slice]:
    return list(csv_records(ByteStream(chunks(raw, size, broken=broken)), b",", limit))


def rows(raw: bytes, delimiter: bytes = b",", size: int = 7) -> list[Any]:
    """Each data record as its list of texts or its reason."""
    (_, header, _), *slices = csv_records(ByteStream(chunks(raw, size)), delimiter, LIMIT)
    decode = csv_decoder([name.decode() for name in csv_fields(header, delimiter) or []], delimiter)
    pairs = [decode(raw) for _, raw, _ in slices]
    return [list(value.values()) if value else reason for value, reason in pairs]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a,b\r\n1,2\r\n\r\n,\n", [["1", "2"], ["", ""]]),
        (b'a,b\n"x, ""y""\n\n z",2\n', [['x, "y"\n\n z', "2"]]),
        (b'a,b\n"x\r\ny","2"', [["x\r\ny", "2"]]),
        (b'"a\nb",c\n1,2\n', [["1", "2"]]),
        (b"a,b\n1\n1,2,3\n1,2\n", ["wrong_column_count", "wrong_column_count", ["1", "2"]]),
        (b'a,b\n"1,2\n3,4\n', ["unterminated_quote", ["3", "4"]]),
        (b'a,b\n5" disk,2\n3,4\n', ["unterminated_quote", ["3", "4"]]),
        (b'a,b\n"1"x,2\n3,4\n', ["unterminated_quote", ["3", "4"]]),
        (b'a,b\n"1,2\n"x\ny",4\n5,6\n', ["unterminated_quote", ["x\ny", "4"], ["5", "6"]]),
        (b'a,b\n1,2,"x\ny"\n5,6\n', ["unterminated_quote", "unterminated_quote", ["5", "6"]]),
        (b'a,b\n"\xff",2\n3,4\n', ["invalid_utf8", ["3", "4"]]),
        (b"a,b\nx\0,2\n3,4\n", ["nul_character", ["3", "4"]]),
        (b"a,a\n1,2\n1\n", ["duplicate_key", "duplicate_key"]),
        (b"a\n" + b"x" * 9000 + b"\n", [["x" * 9000]]),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 10**6])
def test_csv(raw: bytes, expected: list[Any], size: int) -> None:
    assert rows(raw, size=size) == expected


def test_a_quote_that_closes_too_far_away_costs_its_line() -> None:
    raw = b'a,b\n"1,2\n' + b"3,4\n" * 100 + b'",9\n5,6\n'
    found = table(raw, limit=200)[1:]
    assert found[0][1] == b'"1,2'
    assert found[1:101] == [(row, b"3,4", None) for row in range(2, 102)]


@pytest.mark.parametrize("size", [1, 5, 10**6])
def test_a_record_too_large_and_what_a_broken_stream_leaves(size: int) -> None:
    assert table(b"a\n" + b"x" * 20_000 + b"\nb\n", size)[1:] == [
        (1, b"x" * 20_000, "record_too_large"),
        (2, b"b", None),
    ]
    assert table(b"a\n" + b"x" * 70_000, size)[1:] == [(1, b"x" * BEGINNING, "record_too_large")]
    assert table(b"a,b\n1,2\n3", size, broken=True)[1:] == [(1, b"1,2", None), (2, b"3", "unreadable_file")]


SOUP = st.lists(st.sampled_from(['"', '""', ",", "\n", "\r\n", "\r", "a", "\t", '"a"']), max_size=40)


@given(raw=SOUP.map(lambda found: "".join(found).encode()), size=st.integers(1, 20), broken=st.booleans())
@pytest.mark.parametrize("limit", [10, LIMIT])
def test_law_chunks_do_not_matter(*, raw: bytes, size: int, broken: bool, limit: int) -> None:
    assert table(raw, size, limit, broken=broken) == table(raw, 10**6, limit, broken=broken)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.text(
    '",\r\n\t a', max_size=8
)


@given(
    st.lists(st.lists(TEXTS, min_size=3, max_size=3), max_size=6),
    st.sampled_from([b",", b"\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 40),
)
def test_law_what_the_csv_module_writes_is_read_back(
    found: list[list[str]], delimiter: bytes, ending: str, size: int
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter.decode(), lineterminator=ending)
    writer.writerows([["a", "b", "c"], *found])
    assert rows(file.getvalue().encode(), delimiter, size) == found


@given(st.lists(st.sampled_from([b"1,2", b'"x","y"', b'"",z']), min_size=1, max_size=8), st.data())
def test_law_a_stray_quote_costs_its_line(good: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(good)))
    at = data.draw(st.integers(0, 3))
    stray = b"1,2"[:at] + b'"' + b"1,2"[at:]
    whole = [list(map(bytes.decode, csv_fields(line, b",") or [])) for line in good]
    assert rows(b"\n".join([b"a,b", *good[:place], stray, *good[place:]])) == [
        *whole[:place],
        "unterminated_quote",
        *whole[place:],
    ]


@pytest.mark.parametrize("piece", [b'"a\n', b'x","\n', b'"",""\n', b'"', b'"\n\n\n\n', b"\n"])
def test_hostile_bytes_take_linear_time(piece: bytes) -> None:
    def seconds(size: int) -> float:
        raw = b"a,b\n" + piece * (size // len(piece))
        start = time.process_time()
        table(raw, 2**16, 2**24)
        return time.process_time() - start

    # Ten times the bytes: ten times the time where it is linear, a hundred times where it is not.
    assert seconds(400_000) < 0.2 + 40 * seconds(40_000)
