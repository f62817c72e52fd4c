"""Raw file -> candidates: one file per raw shape, found by its file name.

An adapter is a module with `read(source, reader)`. It yields `(raw file, Batch)`, all batches of a file in a row, and
reads raw files through `reader` alone.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Protocol, cast

from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.candidates import Batch, Reader
from pipeline.core.sidecar.sidecars import Source


class Adapter(Protocol):
    """What every adapter module offers."""

    def read(self, source: Source, reader: Reader) -> Iterator[tuple[Path, Batch]]:
        """Yield the source's raw files, in bounded batches."""
        ...


def adapter_names() -> list[str]:
    """Return the names that a sidecar may give as its adapter."""
    return sorted(module.name for module in iter_modules(__path__))


def adapter_for(source: Source) -> Adapter:
    """Return the adapter module that a sidecar names."""
    name = source.sidecar.adapter
    if name not in adapter_names():
        msg = f"{source.name}: unknown adapter `{name}` (known: {', '.join(adapter_names())})"
        raise PairtrailError(msg)
    return cast("Adapter", import_module(f"{__name__}.{name}"))
