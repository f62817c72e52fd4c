"""The bytes of a raw file, decompressed as they are read and never held whole."""

import re
import zlib
from collections.abc import Iterator
from io import BufferedIOBase, RawIOBase
from typing import Protocol

import zstandard

_READ = 2**20
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
# One zstd block of 4 bytes can stand for 128 KiB, and its reader takes no limit: 256 bytes give at most 8 MiB at once.
_ZSTD_READ = 256
_GZIP_WBITS = 31
# Fixed, so that what is read before a fault does not hang on how much was asked for.
_GZIP_GIVES = 2**18


class CorruptError(Exception):
    """The compressed bytes end too early or make no sense from here on."""


class ByteStream:
    """Chunks of bytes; once they have ended, `broken` says whether they ended too early."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Take chunks of any size, whose iterator may raise CorruptError."""
        self._chunks = chunks
        self._ahead = b""
        self.broken = False

    def __iter__(self) -> Iterator[bytes]:
        """Give what was peeked at and not dropped, then the rest."""
        ahead, self._ahead = self._ahead, b""
        if ahead:
            yield ahead
        del ahead
        while chunk := self._read():
            yield chunk

    def peek(self, size: int) -> bytes:
        """Give the next `size` bytes (fewer where the stream ends) and keep them."""
        parts, held = [self._ahead], len(self._ahead)
        while held < size and (chunk := self._read()):
            parts.append(chunk)
            held += len(chunk)
        self._ahead = b"".join(parts)
        return self._ahead[:size]

    def drop(self, size: int) -> None:
        """Skip bytes that were peeked at."""
        self._ahead = self._ahead[size:]

    def _read(self) -> bytes:
        try:
            return next((chunk for chunk in self._chunks if chunk), b"")
        except CorruptError:
            self.broken = True
            return b""


def is_compressed(head: bytes) -> bool:
    """Tell gzip and zstd (or a zstd skippable frame, which parallel writers begin with) by their first bytes."""
    return head[:2] == _GZIP or head[:4] == _ZSTD or bool(_ZSTD_SKIPPABLE.match(head))


def open_stream(file: BufferedIOBase | RawIOBase) -> ByteStream:
    """Read an open binary file, decompressed where its first bytes say that it is compressed, whatever its name."""
    head = file.read(4) or b""
    file.seek(0)
    if not is_compressed(head):
        return ByteStream(_blocks(file, _READ))
    if head[:2] == _GZIP:
        return ByteStream(_members(_blocks(file, _READ), _Gzip))
    return ByteStream(_members(_blocks(file, _READ), _Zstd))


def _blocks(file: BufferedIOBase | RawIOBase, size: int) -> Iterator[bytes]:
    while block := file.read(size):
        yield block


class _Member(Protocol):
    """One gzip member or zstd frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def feed(self, block: bytes) -> Iterator[bytes]: ...


class _Gzip:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(_GZIP_WBITS)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def feed(self, block: bytes) -> Iterator[bytes]:
        while block and not self.eof:
            before = self._inner.copy()
            try:
                found = iter([self._inner.decompress(block, _GZIP_GIVES)])
            except zlib.error:
                # A call that fails gives nothing of what it had read: byte by byte, all that stands before the fault.
                found = (before.decompress(block[at : at + 1]) for at in range(len(block)))
            yield from found
            block = self._inner.unconsumed_tail


class _Zstd:
    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor().decompressobj()
        self._after = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data + self._after

    def feed(self, block: bytes) -> Iterator[bytes]:
        for start in range(0, len(block), _ZSTD_READ):
            yield self._inner.decompress(block[start : start + _ZSTD_READ])
            if self.eof:
                self._after = block[start + _ZSTD_READ :]
                return


def _members(blocks: Iterator[bytes], begin: type[_Gzip] | type[_Zstd]) -> Iterator[bytes]:
    """Decompress members one after another; raise CorruptError where one is cut short or is none."""
    member: _Member = begin()
    try:
        for block in blocks:
            rest = block
            while rest:
                if member.eof:
                    # Writers may pad the end of a file with zeros.
                    rest = rest.lstrip(b"\0")
                    member = begin() if rest else member
                yield from member.feed(rest)
                rest = member.unused_data if rest and member.eof else b""
    except (zlib.error, zstandard.ZstdError) as error:
        raise CorruptError from error
    if not member.eof:
        raise CorruptError
