"""Bytes to raw records: lines, JSON arrays. Every splitter streams and works in time linear in the bytes.

A splitter yields `(record number, raw bytes, reason)`; the reason is null where the record is still to be decoded.
"""

import re
from collections.abc import Iterator

from pipeline.core.raw.bytestream import ByteStream

Slice = tuple[int, bytes, str | None]
Line = tuple[bytes, str | None]

SPACE = b" \t\r\n"
# What is kept, and digested, of a record that is too large to be held.
BEGINNING = 64 * 2**10


class _Pending:
    """The bytes of the record being read, cut to their beginning once they are too many to hold."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = bytearray()
        self._size = 0

    def add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self._limit:
            self._held += piece
        else:
            self._held += piece[:BEGINNING]
            del self._held[BEGINNING:]

    def take(self) -> Line:
        raw, reason = bytes(self._held), "record_too_large" if self._size > self._limit else None
        self._held, self._size = bytearray(), 0
        return raw, reason


def physical_lines(stream: ByteStream, limit: int) -> Iterator[Line]:
    """Yield each line without its line feed; of a broken stream the last is what was left, as `unreadable_file`."""
    pending = _Pending(limit)
    for chunk in stream:
        first, *rest = chunk.split(b"\n")
        pending.add(first)
        if not rest:
            continue
        yield pending.take()
        *lines, last = rest
        for line in lines:
            yield (line, None) if len(line) <= limit else (line[:BEGINNING], "record_too_large")
        pending.add(last)
    raw, reason = pending.take()
    if raw or stream.broken:
        yield raw, "unreadable_file" if stream.broken else reason


def json_lines(stream: ByteStream, limit: int) -> Iterator[Slice]:
    """Yield the lines that are not blank; a record's number is its line's, blank ones included."""
    for row, (line, reason) in enumerate(physical_lines(stream, limit), 1):
        raw = line.strip(SPACE)
        if raw or reason:
            yield row, raw, reason


# Each matches up to and with the next mark; at the end of the text the mark is empty. A string ends with its line, as
# no valid one holds a line feed. Repeats are bounded, as the engine keeps what it needs to undo each.
_BETWEEN = re.compile(rb'[^][{},"]*([][{},]|"[^"\n]*"?|\Z)')
_INSIDE = re.compile(rb'[^][{}"]*(?:"[^"\n]*"[^][{}"]*){0,99}([][{}]|"[^"\n]*"?|\Z)')
_LOST = re.compile(rb"[^{]*(\{|\Z)")
_REST_OF_STRING = re.compile(rb'[^"\n]*"?')
_INDENT = re.compile(rb"\n[ \t\r]*\Z")
_LOOK_BACK = 200
# Deeper levels are counted and no longer told apart, so that a file of brackets fills no memory.
_TYPED_LEVELS = 1000


class _ArrayScan:
    """Where the elements of a JSON array end, found from its brackets, commas and strings alone.

    What only a broken element can contain ends it early, so that it costs itself and no other: a closing bracket
    closes what it fits, skipping what was left open; an object right after a comma inside an object is the next
    element; after a string that its line does not close, the next element is the next line that begins as the
    element's own line did. A valid array contains none of these, so it is always cut where its elements end.
    """

    def __init__(self) -> None:
        self.closed = False
        self._levels = bytearray()
        self._beyond = 0
        self._in_string = False
        self._lost = False
        self._indent = b""
        self._before = b""

    @property
    def between(self) -> bool:
        """Whether no bracket and no string is open."""
        return not (self._levels or self._in_string or self._lost)

    def cuts(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Yield (end of an element, beginning of the next) in text whose escapes are masked."""
        at = self._string_end(text)
        while not self.closed and (token := self._pattern().match(text, at)) and (mark := token[1]):
            at = token.end()
            if mark[:1] == b'"':
                self._pass_string(mark, at_end=at == len(text))
            elif mark == b"{" and (self._lost or self._levels[-1:] == b"{") and self._is_next_element(text, at - 1):
                yield at - 1, at - 1
                self._levels.clear()
                self._beyond, self._lost = 0, False
                self._open(mark, text, at - 1)
            elif self._lost:
                continue
            elif mark in b"{[":
                self._open(mark, text, at - 1)
            elif mark == b"," or self._close(mark):
                self.closed = mark == b"]"
                yield at - 1, at
        self._before = self._behind(text, len(text))

    def _pattern(self) -> re.Pattern[bytes]:
        if self._lost:
            return _LOST
        return _INSIDE if self._levels else _BETWEEN

    def _string_end(self, text: bytes) -> int:
        """Finish a string that an earlier chunk began; give where to go on."""
        rest = _REST_OF_STRING.match(text) if self._in_string else None
        if not rest:
            return 0
        self._pass_string(b'"' + rest[0], at_end=rest.end() == len(text))
        return rest.end()

    def _pass_string(self, mark: bytes, *, at_end: bool) -> None:
        closed = len(mark) > 1 and mark.endswith(b'"')
        self._in_string = at_end and not closed
        self._lost = self._lost or not (at_end or closed)

    def _is_next_element(self, text: bytes, at: int) -> bool:
        before = self._behind(text, at)
        if not self._lost:
            return before.rstrip(SPACE).endswith(b",") and not self._beyond
        indent = _indent(before)
        return bool(indent) and self._indent in (b"", indent)

    def _behind(self, text: bytes, at: int) -> bytes:
        """Give what stands before a place, in an earlier chunk if need be."""
        near = text[max(0, at - _LOOK_BACK) : at]
        return near if len(near) == _LOOK_BACK else (self._before + near)[-_LOOK_BACK:]

    def _open(self, mark: bytes, text: bytes, at: int) -> None:
        if not self._levels:
            self._indent = _indent(self._behind(text, at))
        if len(self._levels) < _TYPED_LEVELS:
            self._levels += mark
        else:
            self._beyond += 1

    def _close(self, mark: bytes) -> bool:
        """Close what this bracket fits; tell whether it ends the array."""
        if self._beyond:
            self._beyond -= 1
            return False
        if not self._levels:
            return mark == b"]"
        fits = self._levels.rfind(b"{" if mark == b"}" else b"[")
        if fits >= 0:
            del self._levels[fits:]
        return False


def _indent(before: bytes) -> bytes:
    found = _INDENT.search(before)
    return found[0] if found else b""


def json_array(stream: ByteStream, limit: int) -> Iterator[Slice]:
    """Yield the elements of an array whose opening bracket was dropped, then what is wrong with its end."""
    scan, pending, row = _ArrayScan(), _Pending(limit), 0
    for text, masked in _masked(stream):
        start = 0
        for stop, after in scan.cuts(masked):
            pending.add(text[start:stop])
            start = after
            raw, reason = pending.take()
            raw = raw.strip(SPACE)
            if raw or reason or row or not scan.closed:
                row += 1
                yield row, raw, reason
        pending.add(text[start:])
    raw, reason = pending.take()
    yield from _array_rest(row + 1, raw.strip(SPACE), reason, scan, broken=stream.broken)


def _array_rest(row: int, raw: bytes, reason: str | None, scan: _ArrayScan, *, broken: bool) -> Iterator[Slice]:
    if broken:
        yield row, raw, "unreadable_file"
    elif scan.closed:
        if raw:
            yield row, raw, reason or "broken_json"
    elif scan.between and raw.endswith(b"}") and not reason:
        yield row, raw, None
        yield row + 1, b"", "broken_json"
    else:
        yield row, raw, reason or "broken_json"


def _masked(stream: ByteStream) -> Iterator[tuple[bytes, bytes]]:
    """Cut the stream where no escape is divided; give each piece also with its escapes blanked."""
    held = b""
    for chunk in stream:
        whole = held + chunk
        odd = (len(whole) - len(whole.rstrip(b"\\"))) % 2
        held, text = whole[len(whole) - odd :], whole[: len(whole) - odd]
        if text:
            yield text, text.replace(rb"\\", b"  ").replace(rb"\"", b"  ")
    if held:
        yield held, held
