"""JSON lines and JSON arrays in blocks of whole records, each of which stands on a line of its own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import polars as pl

from pipeline.core.errors import PairtrailError
from pipeline.core.raw.bytestream import ByteStream
from pipeline.core.raw.splitting import BEGINNING, SPACE, json_array
from pipeline.lineage.leaks.cells import MARK, once

# A longer record is no row that anybody trains on.
MOST_BYTES = 256 * 2**20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Block:
    """Some records of a file, a line each: the bytes, and the number of the first line; blank lines count."""

    file: str
    first: int
    content: bytes

    @cached_property
    def _numbered(self) -> list[tuple[int, bytes]]:
        stripped = ((number, line.strip(SPACE)) for number, line in enumerate(self.content.split(b"\n"), self.first))
        return [(number, line) for number, line in stripped if line]

    @cached_property
    def rows(self) -> pl.Series:
        """Return the numbers of the records."""
        return pl.Series("row", [number for number, _ in self._numbered], dtype=pl.UInt64)

    def lines(self) -> list[bytes]:
        """Return the records' bytes."""
        return [line for _, line in self._numbered]

    def names(self) -> tuple[set[str], set[str]]:
        """Return the keys of all records, and those of them that hold a text, a list or an object.

        Raises PairtrailError for a record that is broken, or has a key twice: a faster reader would take one of the two
        without a word.
        """
        every: set[str] = set()
        texts: set[str] = set()
        for number, line in self._numbered:
            record = self._decoded(number, line)
            every.update(record)
            texts.update(key for key, value in record.items() if isinstance(value, str | list | dict))
        return every, texts

    def decoded(self, columns: list[str], places: pl.Series) -> pl.DataFrame:
        """Decode some records one by one; lists and objects stand as their JSON, marked.

        Raises PairtrailError with the number of the first record that is broken.
        """
        records = [self._decoded(*self._numbered[place]) for place in places]
        texts = {name: [_as_text(record.get(name)) for record in records] for name in columns}
        return pl.DataFrame(texts, schema=dict.fromkeys(columns, pl.String))

    def _decoded(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line.decode(), object_pairs_hook=once)
        except UnicodeDecodeError:
            self._refuse(number, "not UTF-8")
        except RecursionError:
            self._refuse(number, "nested too deeply")
        except KeyError:
            self._refuse(number, "a key is there twice")
        except ValueError:
            self._refuse(number, "broken JSON")
        if not isinstance(record, dict):
            self._refuse(number, "not an object")
        return record

    def _refuse(self, number: int, fault: str) -> NoReturn:
        msg = f"{self.file}: record {number:,}: {fault}; mend or remove it: a record that cannot be read may be a leak"
        raise PairtrailError(msg)


def _as_text(value: Any) -> str | None:  # noqa: ANN401
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = f"{MARK}{text}" if isinstance(value, dict | list) else text
    return text.encode("utf-8", "replace").decode()


def blocks(stream: ByteStream, file: str, size: int) -> Iterator[Block]:
    """Cut a file of JSON lines, or a JSON array, into blocks of about so many bytes."""
    head = stream.peek(BEGINNING)
    if head.startswith(_BOM):
        stream.drop(len(_BOM))
    body = head.removeprefix(_BOM).lstrip(SPACE)
    yield from (_of_array if body.startswith(b"[") else _of_lines)(stream, file, size)
    if stream.broken:
        msg = f"{file}: the compressed bytes end too early or make no sense; fetch the file again"
        raise PairtrailError(msg)


def _of_lines(stream: ByteStream, file: str, size: int) -> Iterator[Block]:
    held, waiting, first = [b""], 0, 1
    for chunk in stream:
        held.append(chunk)
        waiting += len(chunk)
        if waiting >= size and b"\n" in chunk:
            whole, _, rest = b"".join(held).rpartition(b"\n")
            yield Block(file, first, whole)
            first += whole.count(b"\n") + 1
            held, waiting = [rest], len(rest)
        elif waiting > MOST_BYTES:
            _too_long(file, first + sum(part.count(b"\n") for part in held))
    yield Block(file, first, b"".join(held))


def _of_array(stream: ByteStream, file: str, size: int) -> Iterator[Block]:
    stream.drop(stream.peek(BEGINNING).index(b"[") + 1)
    held: list[bytes] = []
    waiting, first = 0, 1
    for number, raw, reason in json_array(stream, MOST_BYTES):
        if reason == "record_too_large":
            _too_long(file, number)
        if reason and not stream.broken:
            msg = f"{file}: record {number:,}: {reason}; the array is not whole"
            raise PairtrailError(msg)
        # A line feed cannot stand in a JSON text's strings.
        held.append(raw.replace(b"\n", b" "))
        waiting += len(raw)
        if waiting >= size:
            yield Block(file, first, b"\n".join(held))
            held, waiting, first = [], 0, number + 1
    yield Block(file, first, b"\n".join(held))


def _too_long(file: str, number: int) -> NoReturn:
    msg = f"{file}: record {number:,} is longer than {MOST_BYTES // 2**20} MiB; remove it, or check it by itself"
    raise PairtrailError(msg)
