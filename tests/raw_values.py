"""Records as nobody should write them: sound ones in which anything may stand anywhere."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Step = str | int

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


def places(value: Any, *above: Step) -> Iterator[tuple[Step, ...]]:  # noqa: ANN401
    """Every place in a JSON value, but the value itself."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*above, step)
        yield from places(inner, *above, step)


def replaced(record: dict[str, Any], place: tuple[Step, ...], value: Any) -> dict[str, Any]:  # noqa: ANN401
    changed = deepcopy(record)
    inner: Any = changed
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return changed


def spoilt(*sound: dict[str, Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Lists of the sound records, each with another value in one place."""
    one = st.sampled_from([(record, place) for record in sound for place in places(record)])
    changed = st.builds(lambda found, value: replaced(found[0], found[1], value), one, json_values)
    return st.lists(changed, min_size=60, max_size=90)
