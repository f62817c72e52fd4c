"""Bytes to raw records: cut where they end, a fault costs its own record, whatever the chunks."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.raw.bytestream import ByteStream, CorruptError
from pipeline.core.raw.decoding import json_decoder
from pipeline.core.raw.splitting import BEGINNING, Slice, json_array, json_lines

LIMIT = 10_000


def chunks(raw: bytes, size: int, *, broken: bool = False) -> Iterator[bytes]:
    for start in range(0, len(raw), size):
        yield raw[start : start + size]
    if broken:
        raise CorruptError


def lines(raw: bytes, size: int = 7, limit: int = LIMIT, *, broken: bool = False) -> list[Slice]:
    return list(json_lines(ByteStream(chunks(raw, size, broken=broken)), limit))


def array(raw: bytes, size: int = 7, limit: int = LIMIT, *, broken: bool = False) -> list[Slice]:
    stream = ByteStream(chunks(raw.removeprefix(b"["), size, broken=broken))
    return list(json_array(stream, limit))


def judged(slices: list[Slice]) -> list[Any]:
    """Each element as its value or its reason."""
    decode = json_decoder(64)
    pairs = [(None, reason) if reason else decode(raw) for _, raw, reason in slices]
    return [value if reason is None else reason for value, reason in pairs]


def test_lines_are_numbered_with_the_blank_ones() -> None:
    assert lines(b'{"a": 1}\r\n\n  \n {"b": 2} \n{"c": 3}') == [
        (1, b'{"a": 1}', None),
        (4, b'{"b": 2}', None),
        (5, b'{"c": 3}', None),
    ]


@pytest.mark.parametrize("size", [1, 7, 64, 10**6])
def test_a_record_too_large_is_kept_by_its_beginning_only(size: int) -> None:
    large = b'"' + b"x" * 100_000
    beginning = large[:BEGINNING]
    limit = 90_000
    assert lines(b"{}\n" + large + b"\n{}\n", size, limit) == [
        (1, b"{}", None),
        (2, beginning, "record_too_large"),
        (3, b"{}", None),
    ]
    assert array(b"[{}," + large + b'",{}]', size, limit) == [
        (1, b"{}", None),
        (2, beginning, "record_too_large"),
        (3, b"{}", None),
    ]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'[{"a": 1}, {"a": nope}, {"a": 3}]', [{"a": 1}, "broken_json", {"a": 3}]),
        (b'[{"a": {"b": 1}, {"a": 2}]', ["broken_json", {"a": 2}]),
        (b'[{"a": [1, 2}, {"a": 2}]', ["broken_json", {"a": 2}]),
        (b'[{"a": [1]], "b": 2}, {"a": 2}]', ["broken_json", {"a": 2}]),
        (b'[{"a": 1}}, {"a": 2}]', ["broken_json", {"a": 2}]),
        (b'[[1, {"a": 2], {"a": 2}]', ["broken_json", {"a": 2}]),
        (b'[\n{"a": "x},\n{"a": 2},\n{"a": 3}\n]', ["broken_json", {"a": 2}, {"a": 3}]),
        (b'[{"a": "x},\n{"a": 2},\n{"a": 3}]', ["broken_json", {"a": 2}, {"a": 3}]),
        (b'[\n  {\n    "a": [\n    {"b": "x}\n    ]\n  },\n  {\n    "a": 2\n  }\n]', ["broken_json", {"a": 2}]),
        (b'[\n{"a": "x},\n "b": {"c": 3}},\n{"a": 2}]', ["broken_json", {"a": 2}]),
        (b'[{"a": 1}, , {"a": 2},]', [{"a": 1}, "broken_json", {"a": 2}, "broken_json"]),
        (b'[1, "x, [", {"a": 2}]', ["not_an_object", "not_an_object", {"a": 2}]),
        (b'[{"a": 1}', [{"a": 1}, "broken_json"]),
        (b'[{"a": 1},', [{"a": 1}, "broken_json"]),
        (b'[{"a": 1}, {"a": [2', [{"a": 1}, "broken_json"]),
        (b'[{"a": 1}, {"a": "2', [{"a": 1}, "broken_json"]),
        (b'[{"a": 1}, {"a": "2\\', [{"a": 1}, "broken_json"]),
        (b'[{"a": 1}] {"a": 2}', [{"a": 1}, "broken_json"]),
        (b'[{"a": 1}]\n  \n', [{"a": 1}]),
        (b"[", ["broken_json"]),
        (b"[ \n ]", []),
        (b'[{"a": ' + b"[" * 2000 + b"]" * 2000 + b'}, {"a": 2}]', ["too_deep", {"a": 2}]),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 10**6])
def test_a_broken_element_costs_only_itself(raw: bytes, expected: list[Any], size: int) -> None:
    found = array(raw, size)
    assert judged(found) == expected
    assert [row for row, _, _ in found] == list(range(1, len(expected) + 1))


def test_a_record_too_large_at_a_missing_end_is_one_record() -> None:
    raw = b'{"a": "' + b"x" * 20 + b'"}'
    assert array(b"[" + raw, limit=10) == [(1, raw, "record_too_large")]


@pytest.mark.parametrize("size", [1, 5, 10**6])
def test_what_a_broken_stream_leaves_is_one_unreadable_record(size: int) -> None:
    assert lines(b'{"a": 1}\n{"a"', size, broken=True) == [(1, b'{"a": 1}', None), (2, b'{"a"', "unreadable_file")]
    assert lines(b'{"a": 1}\n', size, broken=True) == [(1, b'{"a": 1}', None), (2, b"", "unreadable_file")]
    assert array(b'[{"a": 1}, {"a"', size, broken=True) == [(1, b'{"a": 1}', None), (2, b'{"a"', "unreadable_file")]


PIECES = [
    '"',
    "\\",
    '\\"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    "\n  {",
    " ",
    "a",
    "1",
    '"a"',
    '{"a": 1}',
    ",\n{",
    "\r\n",
    "\ufeff",
]
SOUP = st.lists(st.sampled_from(PIECES), max_size=60).map(lambda found: "".join(found).encode())


@pytest.mark.parametrize("split", [lines, array])
@given(raw=SOUP, size=st.integers(1, 20), broken=st.booleans(), limit=st.sampled_from([10, LIMIT]))
def test_law_chunks_do_not_matter(
    *, split: Callable[..., list[Slice]], raw: bytes, size: int, broken: bool, limit: int
) -> None:
    assert split(raw, size, limit, broken=broken) == split(raw, 10**6, limit, broken=broken)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.text(
    '\\"{}[],\n a', max_size=12
)
OBJECTS = st.lists(
    st.dictionaries(
        TEXTS, TEXTS | st.integers() | st.lists(st.dictionaries(TEXTS, TEXTS, max_size=2), max_size=2), max_size=3
    ),
    max_size=5,
)


@given(found=OBJECTS, indent=st.sampled_from([None, 0, 1, 2, "\t"]), ascii_only=st.booleans(), size=st.integers(1, 40))
def test_law_a_valid_array_is_cut_at_its_elements(
    *, found: list[Any], indent: int | str | None, ascii_only: bool, size: int
) -> None:
    raw = json.dumps(found, indent=indent, ensure_ascii=ascii_only).encode()
    assert judged(array(raw, size)) == found


HOSTILE: dict[str, tuple[Callable[..., list[Slice]], bytes]] = {
    "brackets": (array, b"["),
    "objects opened by each line": (array, b'{"a":\n'),
    "closing brackets that fit nothing": (array, b"[[[[}"),
    "strings opened by each line": (array, b'{"a\n'),
    "escapes": (array, b"\\"),
    "escaped quotes": (array, b'"\\"'),
    "spaces": (array, b" \n"),
    "lines": (lines, b"\n"),
    "one line": (lines, b"x"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_take_linear_time(name: str) -> None:
    split, piece = HOSTILE[name]

    def seconds(size: int) -> float:
        raw = piece * (size // len(piece))
        start = time.process_time()
        split(raw, 2**16, 2**24)
        return time.process_time() - start

    # Ten times the bytes: ten times the time where it is linear, a hundred times where it is not.
    assert seconds(400_000) < 0.2 + 40 * seconds(40_000)
