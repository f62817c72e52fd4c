"""Bytes to raw records: lines, JSON arrays. Every splitter streams and works in time linear in the bytes.

A splitter yields `(record number, raw bytes, reason)`; the reason is null where the record is still to be decoded.
"""

import re
from collections.abc import Iterator

from pipeline.core.bytestream import ByteStream

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
        self._too_large = False

    def add(self, piece: bytes) -> None:
        if self._too_large:
            return
        self._held += piece
        if len(self._held) > self._limit:
            del self._held[BEGINNING:]
            self._too_large = True

    def take(self) -> Line:
        raw, reason = bytes(self._held), "record_too_large" if self._too_large else None
        self._held, self._too_large = bytearray(), False
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


_STRING = re.compile(rb'[^"\n]*"?')
_TOKEN = re.compile(rb'"[^"\n]*"?|\n[ \t\r]{0,200}\{|[][{},]')
_INDENT = 200
_QUOTE, _COMMA, _OBJECT, _END_OBJECT, _ARRAY, _END_ARRAY = b'",{}[]'
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
        self._previous = _COMMA

    @property
    def between(self) -> bool:
        """Whether no bracket and no string is open."""
        return not (self._levels or self._in_string or self._lost)

    def cuts(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Yield (end of an element, beginning of the next) in text whose escapes are masked."""
        for token in _TOKEN.finditer(text, self._string_end(text)):
            mark = token[0]
            kind = mark[-1]
            if kind == _QUOTE and len(mark) > 1:
                self._previous = _QUOTE
            elif mark[0] == _QUOTE:
                self._open_string(at_end=token.end() == len(text))
            elif kind == _OBJECT and self._is_next_element(mark):
                yield token.end() - 1, token.end() - 1
                self._begin(mark)
            elif self._lost:
                continue
            elif kind in (_OBJECT, _ARRAY):
                self._open(mark)
            elif kind == _COMMA:
                self._previous = _COMMA
                if not self._levels:
                    yield token.start(), token.end()
            elif self._close(kind):
                self.closed = True
                yield token.start(), token.end()
                return

    def _string_end(self, text: bytes) -> int:
        """Finish a string that an earlier chunk began; give where to go on."""
        if not self._in_string:
            return 0
        end = _STRING.match(text).end()  # type: ignore[union-attr]  # matches the empty text too
        self._in_string = False
        if text[end - 1 : end] != b'"':
            self._open_string(at_end=end == len(text))
        return end

    def _open_string(self, *, at_end: bool) -> None:
        self._previous = _QUOTE
        self._in_string = at_end
        self._lost = self._lost or not at_end

    def _is_next_element(self, mark: bytes) -> bool:
        if self._lost:
            return mark == self._indent or (len(self._indent) == 1 < len(mark))
        return self._previous == _COMMA and self._levels[-1:] == b"{" and not self._beyond

    def _begin(self, mark: bytes) -> None:
        self._levels.clear()
        self._beyond, self._lost = 0, False
        self._open(mark)

    def _open(self, mark: bytes) -> None:
        self._previous = mark[-1]
        if not self._levels:
            self._indent = mark
        if len(self._levels) < _TYPED_LEVELS:
            self._levels.append(mark[-1])
        else:
            self._beyond += 1

    def _close(self, kind: int) -> bool:
        """Close what this bracket fits; tell whether it ends the array."""
        self._previous = kind
        if self._beyond:
            self._beyond -= 1
            return False
        if not self._levels:
            return kind == _END_ARRAY
        fits = self._levels.rfind(b"{" if kind == _END_OBJECT else b"[")
        if fits >= 0:
            del self._levels[fits:]
        return False


def json_array(stream: ByteStream, limit: int) -> Iterator[Slice]:
    """Yield the elements of an array whose opening bracket was dropped, then what is wrong with its end."""
    scan, pending, row = _ArrayScan(), _Pending(limit), 0
    for text, masked in _masked(stream):
        start = 0
        for stop, after in scan.cuts(masked) if not scan.closed else ():
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
    elif scan.between and raw.endswith(b"}"):
        yield row, raw, reason
        yield row + 1, b"", "broken_json"
    else:
        yield row, raw, reason or "broken_json"


def _masked(stream: ByteStream) -> Iterator[tuple[bytes, bytes]]:
    """Cut the stream where no escape and no indent is divided; give each piece also with its escapes blanked."""
    held = b""
    for chunk in stream:
        whole = held + chunk
        stop = _whole_tokens(whole)
        held, text = whole[stop:], whole[:stop]
        if text:
            yield text, _mask(text)
    if held:
        yield held, _mask(held)


def _mask(text: bytes) -> bytes:
    return text.replace(rb"\\", b"  ").replace(rb"\"", b"  ")


def _whole_tokens(text: bytes) -> int:
    if (len(text) - len(text.rstrip(b"\\"))) % 2:
        return len(text) - 1
    body = text.rstrip(b" \t\r")
    return len(body) - 1 if body.endswith(b"\n") and len(text) - len(body) <= _INDENT else len(text)
