"""Raw file -> candidates: one file per raw shape, found by its file name.

An adapter is a module with `NEEDS`, `FILLS`, `USES` and `read(file)`, which yields one raw file in bounded
batches. Where it has settings of its own, a frozen dataclass `Options` says what the sidecar's `options` may hold, and
`faults(source)`, where there is one, how the rest of a sidecar contradicts them. Where response a is whichever text
sorts first, `SORTS` is True, or a function that says so of the sidecar's `options`. It may offer `guess(records)`: what
a sidecar would say of an unknown file's first records, or None where they are not of its shape.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Protocol, cast

from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.candidates import Batch, RawFile
from pipeline.core.params import build
from pipeline.core.sidecar.sidecars import SIDECAR, Source

# What a record says of one response, or of how both were made.
_OF_RESPONSES = ("decoder_a", "decoder_b", "behaviour_a", "behaviour_b", "chat_template_sha256")


class Adapter(Protocol):
    """What every adapter module offers."""

    NEEDS: tuple[str, ...]
    """The fields that a sidecar must map."""
    FILLS: tuple[str, ...]
    """The fields that the adapter reads from the records by itself, so that a sidecar must not map them."""
    USES: tuple[str, ...]
    """Which of the sidecar's `join` and `fan_out` the adapter obeys."""

    def read(self, file: RawFile) -> Iterator[Batch]:
        """Yield one raw file in bounded batches."""
        ...


def adapter_names() -> list[str]:
    """Return the names that a sidecar may give as its adapter."""
    return sorted(module.name for module in iter_modules(__path__))


def adapter_for(source: Source) -> Adapter:
    """Return the adapter module that a sidecar names; raises PairtrailError where the sidecar does not suit it."""
    name = source.sidecar.adapter
    if name not in adapter_names():
        msg = f"{source.name}: unknown adapter `{name}` (known: {', '.join(adapter_names())})"
        raise PairtrailError(msg)
    adapter = adapter_named(name)
    options_of(source, adapter)
    if faults := sorted(set(_faults(source, adapter))):
        raise PairtrailError("\n".join([f"{source.folder / SIDECAR}:", *(f"  {fault}" for fault in faults)]))
    return adapter


def adapter_named(name: str) -> Adapter:
    """Return the adapter module of this name."""
    return cast("Adapter", import_module(f"{__name__}.{name}"))


@dataclass(frozen=True, slots=True)
class Claim:
    """An adapter that knows the shape of some records, and what a sidecar of theirs would say."""

    adapter: str
    says: dict[str, Any]


def claims(records: list[dict[str, Any]]) -> list[Claim]:
    """Ask every adapter that has `guess` whether it knows the shape of an unknown file's first records.

    The most specific comes first: `records` fits anything that has names, so it is last; of the others, those that
    read more of the fields by themselves (`FILLS`) know more of the shape; where that is equal, by name.
    """
    found = []
    for name in adapter_names():
        guess = getattr(adapter_named(name), "guess", None)
        if guess and (says := guess(records)) is not None:
            found.append(Claim(name, says))
    return sorted(
        found, key=lambda one: (one.adapter == "records", -len(adapter_named(one.adapter).FILLS), one.adapter)
    )


def options_of(source: Source, adapter: Adapter) -> Any:  # noqa: ANN401
    """Build the adapter's `Options` from a sidecar; None where the adapter has none."""
    where = f"{source.folder / SIDECAR}: options"
    if kind := getattr(adapter, "Options", None):
        try:
            return build(kind, source.sidecar.options, where)
        except PairtrailError as error:
            told = str(error)
            raise PairtrailError(told if told.startswith(where) else f"{where}: {told}") from None
    if source.sidecar.options:
        msg = f"{where}: adapter {source.sidecar.adapter} has none; take them out"
        raise PairtrailError(msg)
    return None


def _faults(source: Source, adapter: Adapter) -> Iterator[str]:
    name = source.sidecar.adapter
    maps = [set(specs) for group in source.sidecar.files for _, specs in source.variants(group)]
    mapped = set().union(*maps)
    for field in adapter.NEEDS:
        if not all(field in found for found in maps):
            yield f"field `{field}` is not mapped: give a path, or {{constant: ...}} (null where nobody can say)"
    for field in sorted(mapped & set(adapter.FILLS)):
        yield f"field `{field}`: adapter {name} reads it from the record; take it out"
    for field in sorted(_of_no_response(source, adapter)):
        told = "puts responses in the order of their texts, so no path can say which one it is about"
        yield f"field `{field}`: adapter {name} {told}; give a constant, or take it out"
    if source.sidecar.join and "join" not in adapter.USES:
        yield f"`join`: adapter {name} reads no side files; take it out"
    if source.sidecar.fan_out and "fan_out" not in adapter.USES:
        yield f"`fan_out`: adapter {name} finds the comparisons of a record by itself; take it out"
    if faults := getattr(adapter, "faults", None):
        yield from faults(source)


def _of_no_response(source: Source, adapter: Adapter) -> set[str]:
    """Return the fields that would be read from a record as said of one response, where nobody knows which it is."""
    sorts: bool | Callable[[dict[str, Any]], bool] = getattr(adapter, "SORTS", False)
    if not (sorts(source.sidecar.options) if callable(sorts) else sorts):
        return set()
    maps = [specs for group in source.sidecar.files for _, specs in source.variants(group)]
    return {field for specs in maps for field in _OF_RESPONSES if field in specs and specs[field].paths()}
