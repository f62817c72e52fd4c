"""Raw files to records in bounded batches: each record comes out once, good or with a reason, whatever a file holds."""

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedIOBase, RawIOBase
from itertools import compress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal, get_args

from pipeline.core.errors import PairtrailError
from pipeline.core.raw.bytestream import ByteStream, is_compressed, open_stream
from pipeline.core.raw.decoding import Decode, json_decoder
from pipeline.core.raw.delimited import csv_decoder, csv_fields, csv_records
from pipeline.core.raw.splitting import BEGINNING, SPACE, Slice, json_array, json_lines

Declared = Literal["json", "csv", "tsv", "parquet"]
Digest = Callable[[list[bytes]], list[str]]
"""The digests of raw records, many at a time."""
Record = tuple[int, bytes, dict[str, Any] | None, str | None]

_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# A CSV's first column may be called PAR1; in a Parquet file no text follows.
_PARQUET = re.compile(rb"PAR1(?![ -~\t\r\n])")
_DELIMITERS = {"csv": b",", "tsv": b"\t"}
# Digested at once: enough for the call to be cheap, few enough to be held beside what was decoded.
_DIGESTED = 500
_SOLID = re.compile(rb"[^ \t\r\n]")
# What makes a text no JSON at all, rather than JSON that cannot be used.
_NO_JSON = {"invalid_utf8", "broken_json", "too_deep"}
# A compressed Parquet file is unpacked to disk, as it is read from its end.
SPOOL_BYTES = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is held in memory: a larger or deeper record is quarantined, a fuller batch is closed."""

    record_bytes: int = 16 * 2**20
    depth: int = 64
    batch_records: int = 20_000
    batch_bytes: int = 64 * 2**20


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Records in file order: number, digest of the raw bytes, and either the decoded value or the reason why not."""

    rows: list[int] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    values: list[dict[str, Any] | None] = field(default_factory=list)
    reasons: list[str | None] = field(default_factory=list)

    def decoded(self) -> tuple[list[int], list[str], list[dict[str, Any]]]:
        """Return the numbers, digests and values of the records that could be decoded."""
        rows = list(compress(self.rows, map(_is_none, self.reasons)))
        digests = list(compress(self.digests, map(_is_none, self.reasons)))
        return rows, digests, [value for value in self.values if value is not None]


def _is_none(reason: str | None) -> bool:
    return reason is None


def read_batches(path: Path, declared: Declared, digest: Digest, limits: Limits = Limits()) -> Iterator[RawBatch]:
    """Yield a raw file's records, decompressed and decoded, in batches of bounded size; at least one record.

    A record's number is its line (JSON lines), its place from 1 (JSON array, Parquet) or its place after the header
    (CSV). Its digest is over its raw bytes without the white space around them, the line end alone in CSV; a Parquet
    row's over its JSON; a record's that is too large over its first 64 KiB. Raises PairtrailError for a file that
    cannot be opened and for an unknown format.
    """
    if declared not in get_args(Declared):
        msg = f"{path.name}: the format {declared!r} is none of {', '.join(get_args(Declared))}; mend its source.yaml"
        raise PairtrailError(msg)
    try:
        with path.open("rb", buffering=0) as file:
            yield from _batches(_or_empty(_records(file, declared, limits)), digest, limits)
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); check that it is there, whole, and may be read"
        raise PairtrailError(msg) from error


def _batches(records: Iterator[Record], digest: Digest, limits: Limits) -> Iterator[RawBatch]:
    while True:
        with _uncollected():
            batch = _batch(records, digest, limits)
        if not batch.rows:
            return
        yield batch


def _batch(records: Iterator[Record], digest: Digest, limits: Limits) -> RawBatch:
    batch, size = RawBatch(), 0
    waiting: list[bytes] = []
    for row, raw, value, reason in records:
        batch.rows.append(row)
        waiting.append(raw)
        batch.values.append(value)
        batch.reasons.append(reason)
        size += len(raw)
        if len(waiting) >= _DIGESTED:
            batch.digests.extend(digest(waiting))
            waiting.clear()
        if len(batch.rows) >= limits.batch_records or size >= limits.batch_bytes:
            break
    batch.digests.extend(digest(waiting))
    return batch


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector away: records hold no cycles, and looking for some takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _or_empty(records: Iterator[Record]) -> Iterator[Record]:
    yield next(records, (1, b"", None, "empty_file"))
    yield from records


def _records(file: RawIOBase, declared: Declared, limits: Limits) -> Iterator[Record]:
    stream = open_stream(file)
    head = stream.peek(BEGINNING)
    ended = len(head) < BEGINNING
    if head.startswith(_BOM):
        stream.drop(len(_BOM))
        head = head.removeprefix(_BOM)
    body = head.strip(SPACE)
    if ended and not body:
        return iter([(1, b"", None, "unreadable_file")] if stream.broken else [])
    if _contradicts(body, declared):
        return iter([(1, body, None, "format_mismatch")])
    if declared == "parquet":
        return _parquet(file, stream, limits)
    if declared == "json":
        decode = json_decoder(limits.depth)
        return _decoded(_json_slices(stream, decode, limits.record_bytes), decode)
    return _csv(csv_records(stream, _DELIMITERS[declared], limits.record_bytes), _DELIMITERS[declared])


def _contradicts(body: bytes, declared: Declared) -> bool:
    is_parquet = bool(_PARQUET.match(body))
    if is_parquet or declared == "parquet":
        return is_parquet != (declared == "parquet")
    return body.startswith(_UTF_16) or (declared != "json" and body.startswith((b"{", b"[")))


def _decoded(slices: Iterator[Slice], decode: Decode) -> Iterator[Record]:
    for row, raw, reason in slices:
        yield (row, raw, None, reason) if reason else (row, raw, *decode(raw))


def _json_slices(stream: ByteStream, decode: Decode, limit: int) -> Iterator[Slice]:
    """Tell an array, lines, and one object written over many lines apart, by as much as one record may take."""
    head = stream.peek(limit + 1)
    body = head.lstrip(SPACE)
    end = body.find(b"\n")
    several = end >= 0 and bool(_SOLID.search(body, end))
    first_is_whole = several and decode(body[:end].strip(SPACE))[1] not in _NO_JSON
    if body.startswith(b"[") and not first_is_whole:
        stream.drop(head.index(b"[") + 1)
        return json_array(stream, limit)
    ended = len(head) <= limit and not stream.broken
    if body.startswith(b"{") and several and ended and not first_is_whole:
        alone = body.strip(SPACE)
        if decode(alone)[1] not in _NO_JSON:
            return iter([(1, alone, None)])
    return json_lines(stream, limit)


def _csv(slices: Iterator[Slice], delimiter: bytes) -> Iterator[Record]:
    """Decode by the header; where that cannot be read nothing can be named, and it stands for the file."""
    _, raw, reason = next(slices, (0, b"", "empty_file"))
    columns = csv_fields(raw, delimiter)
    try:
        header = [name.decode() for name in columns or ()]
    except UnicodeDecodeError:
        header = []
    if reason or not header or b"\0" in raw:
        return iter([(1, raw, None, reason or "format_mismatch")])
    return _decoded(slices, csv_decoder(header, delimiter))


def _parquet(file: RawIOBase, stream: ByteStream, limits: Limits) -> Iterator[Record]:
    from pipeline.core.raw.parquetrows import parquet_rows  # pyarrow loads only where it is needed

    file.seek(0)
    compressed = is_compressed(file.read(4) or b"")
    file.seek(0)
    if not compressed:
        yield from parquet_rows(file, limits.record_bytes)
        return
    with _spooled(stream) as spool:
        yield from parquet_rows(spool, limits.record_bytes) if spool else [(1, b"", None, "unreadable_file")]


@contextmanager
def _spooled(stream: ByteStream) -> Iterator[BufferedIOBase | None]:
    """Unpack to a temporary file; None for what is too large or broken."""
    with TemporaryFile() as spool:
        size = 0
        for chunk in stream:
            size += spool.write(chunk)
            if size > SPOOL_BYTES:
                break
        yield None if stream.broken or size > SPOOL_BYTES else spool
