"""Parts: rows put aside by the leading digits of the key that a step may be divided by."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import polars as pl
import pyarrow as arrow
from pyarrow import ipc

from pipeline.core.alone import alone
from pipeline.core.errors import PairtrailError

_PART_BYTES = 256 * 2**20
_HEX_DIGITS = 16
_BLOCK_BYTES = 128 * 2**20
_PART = "__part"
_LZ4 = ipc.IpcWriteOptions(compression="lz4")


def parts_for(size: int) -> int:
    """Return into how many parts (a power of 16) content of about `size` bytes is cut so that each fits into memory."""
    parts = 1
    while size > parts * _PART_BYTES:
        parts *= _HEX_DIGITS
    return parts


class Spill:
    """Rows put aside by the leading digits of an id, so that each part can be sorted in memory by itself.

    Ids are digests, so the parts are of one size. With one part, or few rows, the rows stay in memory; else each block
    of rows becomes a file with one batch for every part.
    """

    def __init__(self, folder: Path, key: str, parts: int) -> None:
        """Empty `folder` (a kill may have left texts there) and cut by `key` into `parts`, a power of 16."""
        self._folder, self._key = folder, key
        self.prefixes = [f"{part:0{len(f'{parts:x}') - 1}x}" for part in range(parts)] if parts > 1 else [""]
        self._held: list[pl.DataFrame] = []
        self._files: list[Path] = []
        shutil.rmtree(folder, ignore_errors=True)

    def add(self, frame: pl.DataFrame) -> None:
        """Put rows aside."""
        self._held.append(frame)
        if len(self.prefixes) > 1 and sum(held.estimated_size() for held in self._held if held.height) > _BLOCK_BYTES:
            self._write(*self._cut())

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield a part for each of `prefixes`, unsorted inside; then leave nothing behind. Nothing added, no parts."""
        if not self._held and not self._files:
            return
        rows, bounds = self._cut() if self._held else (None, [])
        for number in range(len(self.prefixes)):
            part = [_read_batch(file, number) for file in self._files]
            if rows is not None:
                part.append(rows.slice(bounds[number], bounds[number + 1] - bounds[number]))
            yield pl.concat(part)
        self._files.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _cut(self) -> tuple[pl.DataFrame, list[int]]:
        """Order the rows held in memory by their parts, and hold them no longer; each part lies between two bounds."""
        rows, self._held = pl.concat(self._held), []
        if len(self.prefixes) == 1:
            return rows, [0, rows.height]
        digits = len(self.prefixes[0])
        numbers = rows[self._key].str.head(digits).str.to_integer(base=16, dtype=pl.Int64)
        ordered = rows.with_columns(numbers.alias(_PART)).sort(_PART, maintain_order=True)
        bounds = ordered[_PART].search_sorted(pl.Series(range(len(self.prefixes) + 1))).to_list()
        if numbers.null_count() or bounds[-1] != rows.height:
            msg = f"{self._key} holds values that are no digests; rows cannot be parted by it (our fault)"
            raise PairtrailError(msg)
        return ordered.drop(_PART), bounds

    def _write(self, rows: pl.DataFrame, bounds: list[int]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{len(self._files)}.arrow"
        whole = rows.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
        batch = arrow.RecordBatch.from_struct_array(whole.to_struct_array().chunk(0))
        empty = arrow.RecordBatch.from_arrays(
            [arrow.array([], field.type) for field in batch.schema], schema=batch.schema
        )
        with arrow.OSFile(str(path), "wb") as file, ipc.new_file(file, batch.schema, options=_LZ4) as writer:
            for low, high in pairwise(bounds):
                # A slice without rows would take all buffers of the whole along.
                writer.write_batch(batch.slice(low, high - low) if high > low else empty)
        self._files.append(path)


def _read_batch(path: Path, number: int) -> pl.DataFrame:
    with arrow.OSFile(str(path), "rb") as file:
        return pl.DataFrame(pl.from_arrow(ipc.open_file(file).get_batch(number)))


@contextmanager
def spilling(folder: Path) -> Iterator[Path]:
    """Give a folder for what does not fit into memory, emptied before (a kill may have left texts there) and after.

    Raises PairtrailError where another run has its texts there.
    """
    with alone(folder):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
