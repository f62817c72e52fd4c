"""Raw files as they are written: each record is numbered and booked as it goes out, nothing is held."""

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import pyarrow as arrow
import zstandard
from pyarrow import parquet

from pipeline.demo.ledger import Entry, Ledger, Source

Put = Callable[[Entry], None]
_ROW_GROUP = 5_000


@dataclass(frozen=True, slots=True)
class Shape:
    """What stands before, between and after the records of a text file."""

    before: bytes = b""
    between: bytes = b"\n"
    after: bytes = b"\n"


LINES = Shape()
ARRAY = Shape(b"[\n", b",\n", b"\n]\n")


def table(*columns: str, separator: str = ",") -> Shape:
    """Return the shape of a delimited file with a header."""
    return Shape(before=f"{separator.join(columns)}\n".encode())


def delimited(values: Iterable[str], separator: str) -> bytes:
    """Write one record of a delimited file, quoted where it must be."""
    text = StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerow(values)
    return text.getvalue().removesuffix("\n").encode()


@dataclass(frozen=True, slots=True)
class Desk:
    """Where one source is written and booked."""

    raw: Path
    ledger: Ledger
    source: Source

    def path(self, name: str) -> Path:
        """Return the path of one of the source's files; its folder exists afterwards."""
        path = self.raw / self.source.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def text(self, name: str, shape: Shape = LINES) -> Iterator[Put]:
        """Open a text file, compressed as its suffix says, and yield what writes one entry."""
        number = 0
        with self.path(name).open("wb") as file, _compressed(file, name) as stream:
            stream.write(shape.before)

            def put(entry: Entry) -> None:
                nonlocal number
                stream.write((shape.between if number else b"") + entry.content)
                number += 1
                self.ledger.record(self.source, name, number, entry)

            yield put
            stream.write(shape.after if number else b"")

    @contextmanager
    def parquet(self, name: str, schema: Any) -> Iterator[Put]:  # noqa: ANN401 -- pyarrow ships no types
        """Open a Parquet file and yield what writes one entry, whose content is a row."""
        number = 0
        waiting: list[dict[str, object]] = []
        with parquet.ParquetWriter(self.path(name), schema, compression="zstd") as writer:

            def put(entry: Entry) -> None:
                nonlocal number
                number += 1
                waiting.append(entry.content)
                self.ledger.record(self.source, name, number, entry)
                if len(waiting) == _ROW_GROUP:
                    flush()

            def flush() -> None:
                writer.write_table(arrow.Table.from_pylist(waiting, schema))
                waiting.clear()

            yield put
            flush()

    def broken(self, name: str, content: bytes, *entries: Entry) -> None:
        """Write a file whose bytes are not what its entries would give, and book these."""
        self.path(name).write_bytes(content)
        for number, entry in enumerate(entries, start=1):
            self.ledger.record(self.source, name, number, entry)


@contextmanager
def _compressed(file: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """Compress without a time or a file name, so that equal content gives equal bytes."""
    if name.endswith(".gz"):
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as stream:
            yield stream  # type: ignore[misc]  # a GzipFile is a binary stream in all but its declared type
    elif name.endswith(".zst"):
        with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as stream:
            yield stream
    else:
        yield file


def pour(entries: Iterator[Entry], put: Put) -> None:
    """Write all entries."""
    for entry in entries:
        put(entry)


def parts(entries: Iterator[Entry], size: int) -> Iterator[tuple[int, Iterator[Entry]]]:
    """Cut entries into numbered parts, from 1, each to be used up before the next."""
    for number, first in enumerate(entries, start=1):
        yield number, chain([first], islice(entries, size - 1))


def sprinkled(entries: Iterator[Entry], extra: Iterator[Entry], step: int) -> Iterator[Entry]:
    """Put one extra entry after every `step` entries, and what is left of them at the end."""
    for number, entry in enumerate(entries, start=1):
        yield entry
        if number % step == 0:
            yield from islice(extra, 1)
    yield from extra


def remembering(entries: Iterator[Entry], late: list[Entry], step: int, most: int) -> Iterator[Entry]:
    """Pass entries on, and keep every `step`-th, to be delivered a second time."""
    for number, entry in enumerate(entries, start=1):
        if number % step == 0 and len(late) < most:
            late.append(entry)
        yield entry
