"""Many texts to sets and buckets, a batch at a time; the sets go to a file, as those of a million texts fill memory."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from pipeline.core.near.minhash import Bands, Keys, band_keys
from pipeline.core.near.shingles import Sets, shingled
from pipeline.core.near.words import Hashes, bounds_of

_THREADS = 2
T = TypeVar("T")
R = TypeVar("R")


def cut(batches: Iterable[pl.Series], by: Bands, path: Path) -> tuple[Sets, Keys]:
    """Return the sets and buckets of texts, numbered over all batches; the shingles stay in the file at `path`."""
    none = np.array([], dtype=np.int64)
    sizes, texts, guests, before = [none], [none], [none.astype(bool)], 0
    keys = [np.empty((0, by.bands), dtype=np.uint32)]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("wb") as file:
        for height, sets, found in ahead(lambda batch: _cut(batch, by), batches):
            sets.shingles.tofile(file)
            sizes.append(sets.sizes)
            texts.append(sets.texts + before)
            guests.append(sets.guests)
            keys.append(found)
            before += height
    bounds = bounds_of(np.concatenate(sizes))
    return Sets(_mapped(path), bounds, np.concatenate(texts), np.concatenate(guests)), np.concatenate(keys)


def _cut(texts: pl.Series, by: Bands) -> tuple[int, Sets, Keys]:
    sets = shingled(texts, by.threshold)
    return len(texts), sets, band_keys(sets, by)


def _mapped(path: Path) -> Hashes:
    if not path.stat().st_size:
        return np.array([], dtype=np.uint64)
    return np.memmap(path, dtype=np.uint64, mode="r")


def ahead(work: Callable[[T], R], batches: Iterable[T]) -> Iterator[R]:
    """Yield what `work` makes of each batch, in order, while the next ones are worked on."""
    waiting: list[Future[R]] = []
    left = iter(batches)
    with ThreadPoolExecutor(_THREADS) as threads:
        waiting += [threads.submit(work, batch) for batch in islice(left, _THREADS)]
        while waiting:
            done = waiting.pop(0).result()
            waiting += [threads.submit(work, batch) for batch in islice(left, 1)]
            yield done
