"""CSV and TSV: bytes to raw records, a raw record to its fields, and those to values."""

import re
from collections import deque
from collections.abc import Iterator

from pipeline.core.raw.bytestream import ByteStream
from pipeline.core.raw.decoding import Decode, Decoded
from pipeline.core.raw.splitting import Line, Slice, physical_lines

_QUOTES = re.compile(b'"+')


def csv_records(stream: ByteStream, delimiter: bytes, limit: int) -> Iterator[Slice]:
    """Yield the header as record 0, then the data records; a quoted field may hold line ends.

    Only a line with an odd number of quotes can begin a record of several lines, and only the next such line can end
    it. Where the two do not make a record, the first line alone is given and reading goes on at the next line: a stray
    quote costs its line, and no line is looked at more than twice.
    """
    lines = physical_lines(stream, limit)
    ahead: deque[Line] = deque()
    row, columns = 0, 0
    while line := ahead.popleft() if ahead else next(lines, None):
        raw, reason = line[0].removesuffix(b"\r"), line[1]
        if not raw and not reason:
            continue
        if not reason and raw.count(b'"') % 2:
            raw, unused = _continued(line[0], lines, delimiter, columns, limit)
            ahead.extend(unused)
        yield row, raw, reason
        columns = columns or len(csv_fields(raw, delimiter) or ())
        row += 1


def _continued(
    first: bytes, lines: Iterator[Line], delimiter: bytes, columns: int, limit: int
) -> tuple[bytes, list[Line]]:
    """Give the record that begins with this line, or the line alone; and the lines that were read and not used."""
    taken: list[Line] = []
    size = len(first)
    for line in lines:
        taken.append(line)
        size += len(line[0]) + 1
        if line[1] or size > limit:
            break
        if line[0].count(b'"') % 2:
            raw = b"\n".join([first, *(part for part, _ in taken)]).removesuffix(b"\r")
            fields = csv_fields(raw, delimiter)
            if fields and len(fields) == (columns or len(fields)):
                return raw, []
            break
    return first.removesuffix(b"\r"), taken


def csv_fields(raw: bytes, delimiter: bytes) -> list[bytes] | None:
    """Cut one CSV record into its fields; None where a quote stands in the wrong place.

    Strict as RFC 4180, and so None for a quote inside an unquoted field too: were it text, the last line of a broken
    record could pass for a record. The `csv` module is laxer, and caps fields at a size set for the whole process.
    """
    if b'"' not in raw:
        return raw.split(delimiter)
    fields, at = [], 0
    while True:
        if raw.startswith(b'"', at):
            end = _closing_quote(raw, at + 1)
            if end < 0 or (end + 1 < len(raw) and raw[end + 1 : end + 2] != delimiter):
                return None
            fields.append(raw[at + 1 : end].replace(b'""', b'"'))
            end += 1
        else:
            end = raw.find(delimiter, at)
            end = len(raw) if end < 0 else end
            if raw.find(b'"', at, end) >= 0:
                return None
            fields.append(raw[at:end])
        if end == len(raw):
            return fields
        at = end + 1


def _closing_quote(raw: bytes, at: int) -> int:
    """Find the quote that ends a quoted field: the last of the first odd run; pairs stand for a quote."""
    for run in _QUOTES.finditer(raw, at):
        if (run.end() - run.start()) % 2:
            return run.end() - 1
    return -1


def csv_decoder(header: list[str], delimiter: bytes) -> Decode:
    """Make the decoder of one CSV record: column to text."""
    twice = len(set(header)) != len(header)

    def decode(raw: bytes) -> Decoded:
        fields = csv_fields(raw, delimiter)
        try:
            values = [field.decode() for field in fields or [raw]]
        except UnicodeDecodeError:
            return None, "invalid_utf8"
        if twice:
            return None, "duplicate_key"
        if b"\0" in raw:
            return None, "nul_character"
        if fields is None:
            return None, "unterminated_quote"
        if len(fields) != len(header):
            return None, "wrong_column_count"
        return dict(zip(header, values, strict=True)), None

    return decode
