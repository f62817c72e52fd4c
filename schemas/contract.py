"""The contract with readers: the published tables by column, and what a change of them breaks.

Raise `VERSION` when a change is meant to break readers; `pairtrail check` refuses it otherwise.
"""

from collections.abc import Iterator
from typing import Any

from schemas.dictionary import plain_type
from schemas.published import PUBLISHED

VERSION = 1


def contract() -> dict[str, Any]:
    """Return the version, and type and nullability of each column by its table's place below data/publish."""
    tables = {
        place: {
            name: {"type": plain_type(column.dtype.type), "nullable": bool(column.nullable)}
            for name, column in schema.columns.items()
        }
        for place, schema in PUBLISHED.items()
    }
    return {"version": VERSION, "tables": tables}


def breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return what in `new` breaks a reader of `old`: one line each, with table, column and both types.

    A table may come, and so may a column that may be null. All else breaks: a column that is gone or of another type;
    one that may be null now, as readers met no null before; one that may be null no more, or is new and never null, as
    whoever reads both releases as one table finds nulls in it. A higher version says that it breaks, and passes.
    """
    if new["version"] > old["version"]:
        return []
    found = []
    if new["version"] < old["version"]:
        found.append(f"VERSION went back from {old['version']} to {new['version']}")
    for place, columns in old["tables"].items():
        if place not in new["tables"]:
            found.append(f"{place}: the table is gone")
            continue
        found += [f"{place}: {fault}" for fault in _broken(columns, new["tables"][place])]
    return found


def _broken(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name, was in old.items():
        if (now := new.get(name)) is None:
            yield f"column `{name}` ({was['type']}) was removed"
        elif now["type"] != was["type"]:
            yield f"column `{name}` was {was['type']} and is {now['type']}"
        elif now["nullable"] and not was["nullable"]:
            yield f"column `{name}` ({now['type']}) may be null now, and never was"
        elif was["nullable"] and not now["nullable"]:
            yield f"column `{name}` ({now['type']}) is required now, and could be null"
    for name, now in new.items():
        if name not in old and not now["nullable"]:
            yield f"column `{name}` ({now['type']}) is new and required; a new column may be null"
