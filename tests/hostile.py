"""Hostile records: sound ones with some of their places taken out, or filled with anything that JSON can say."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from pipeline.core.mapping.candidates import NO_COMPARISON_REASONS
from tests.building import build, lines

_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=4)
)


def anything(keys: list[str]) -> st.SearchStrategy[Any]:
    """Any JSON value, whose objects often have the keys that an adapter looks for."""
    names = st.sampled_from(keys) | st.text(max_size=2)
    return st.recursive(
        _SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
        max_leaves=8,
    )


def places(value: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401
    """Every container in a value with every key of it."""
    keys: Any = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


def keys_of(value: Any) -> list[str]:  # noqa: ANN401
    return sorted({key for _, key in places(value) if isinstance(key, str)})


@st.composite
def spoiled(draw: st.DrawFn, sound: list[dict[str, Any]]) -> dict[str, Any]:
    """A sound record in which up to three places are taken out or filled with anything."""
    record: dict[str, Any] = deepcopy(draw(st.sampled_from(sound)))
    for _ in range(draw(st.integers(0, 3))):
        held = list(places(record))
        if not held:
            break
        holder, key = draw(st.sampled_from(held))
        if draw(st.booleans()):
            holder[key] = draw(anything(keys_of(sound)))
        else:
            del holder[key]
    return record


def spoiled_files(sound: list[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    wild = st.dictionaries(st.sampled_from(keys_of(sound)), anything(keys_of(sound)), max_size=5)
    return st.lists(spoiled(sound) | wild, min_size=1, max_size=25)


def nothing_is_lost(records: list[dict[str, Any]], **sidecar: Any) -> None:  # noqa: ANN401
    """Ingest and validate take any records: each has an outcome and a known reason, and both accounts add up."""
    with TemporaryDirectory() as folder:
        built = build(Path(folder) / "project").source("s", {"x.jsonl": lines(*records)}, **sidecar)
        built.run("ingest", "validate")
        account = built.account("ingest")
        told = built.table("ingest/records")
    outcomes = {name: count for name, count in account["records"].items() if name != "in"}
    assert account["records"]["in"] == len(records) == sum(outcomes.values()) == told.height
    fates = {name: count for name, count in account["comparisons"].items() if name != "candidates"}
    assert account["comparisons"]["candidates"] == sum(fates.values())
    silent = told.filter(outcome="no_comparison")["reason"]
    assert silent.null_count() == 0
    assert set(silent) <= set(NO_COMPARISON_REASONS)
    assert told.filter(outcome="quarantined")["reason"].null_count() == 0
