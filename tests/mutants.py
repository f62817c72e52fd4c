"""Records that went wrong: any value at any key, keys that are gone, records said twice."""

import random
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import strategies as st

from tests.building import Built, build, lines

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5)
    | st.sampled_from(["up", "a", "API", "output", "user", "", " ", "2026-01-01", "0001-01-01T00:00:00+14:00"])
)
JSON = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "id", "text", "type", "messages", "score"]), inner)
    ),
    max_leaves=6,
)


@st.composite
def mutants(draw: st.DrawFn, sound: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sound records, some of which have any value at some key, or lack the key."""
    found = []
    for record in draw(st.lists(st.sampled_from(sound), min_size=1, max_size=12)):
        changed = {**record}
        for key in draw(st.lists(st.sampled_from(sorted(record)), max_size=2)):
            changed[key] = draw(JSON)
            if draw(st.booleans()):
                del changed[key]
        found.append(changed)
    return found


def adds_up(held: Mapping[str, list[dict[str, Any]]], /, **changes: Any) -> None:  # noqa: ANN401
    """Ingest files in a project of their own; whatever they hold, both accounts add up."""
    with TemporaryDirectory() as folder:
        built = build(Path(folder) / "project")
        built.source("mutants", {name: lines(*records) for name, records in held.items()}, **changes).run("ingest")
        account = built.account("ingest")
        assert sum(account["records_by_source"]["mutants"].values()) == sum(map(len, held.values()))
        told = account["comparisons"]
        assert told["candidates"] == told["kept"] + told["copies"] + told["quarantined"]


def ids_of(built: Built) -> set[str]:
    return set(built.comparisons()["comparison_id"])


def shuffled(records: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
    return random.Random(seed).sample(records, len(records))  # noqa: S311
