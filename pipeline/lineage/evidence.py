"""What speaks for a guess, in counts: never a record's text, and never who a person is."""

from collections import Counter
from collections.abc import Collection
from typing import Any

from pipeline.core.guessing.columns import ROLES, as_numbers
from pipeline.core.guessing.labels import are_known, labels
from pipeline.core.mapping.candidates import first_reason
from pipeline.core.mapping.fieldmap import Joined, column_for
from pipeline.core.sidecar.fields import CHOICES
from pipeline.core.sidecar.specs import AnySpec, Messages, as_spec, side_of
from pipeline.lineage.looking import Looked

_COUNTED = ("annotator", "event_id", "language", "category", "model_a", "model_b")


def evidence(name: str, content: Any, looked: Looked) -> list[str]:  # noqa: ANN401
    """Tell, for a field and its guessed value spec, how many of the records looked at have it, and what it holds."""
    paths = paths_of(content)
    if not paths:
        return ["the same for every record"] if isinstance(content, dict) and "constant" in content else []
    joined = Joined(looked.records, {}, looked.text_alone)
    counts = {path: sum(value is not None for value in joined.at(path)) for path in paths}
    told = [f"`{path}` is in {count:,} of {len(looked.records):,} records" for path, count in counts.items()]
    path = content.get("path") if isinstance(content, dict) else content
    if isinstance(path, str):
        told += _held(name, content, [value for value in joined.at(path) if value is not None and value != ""])
    try:
        spec = as_spec(content)
    except ValueError:
        return told
    if isinstance(content, dict) and content.get("values", "") is None:
        return told
    return [*told, *_misfits(name, spec, joined)]


def paths_of(content: Any) -> list[str]:  # noqa: ANN401
    """Return the paths of a value spec within the record, of a spec that is not complete too."""
    if isinstance(content, dict) and isinstance(content.get("path"), str):
        return [content["path"]]
    try:
        paths = as_spec(content).paths()
    except ValueError:
        return []
    return [path for path in paths if side_of(path)[0] is None]


def _held(name: str, content: Any, values: list[Any]) -> list[str]:  # noqa: ANN401
    if name in _COUNTED:
        return [f"it holds {len(set(map(str, values))):,} distinct values"]
    numbers = as_numbers(values) if name == "strength" else None
    if numbers:
        return [f"it holds numbers from {min(numbers):g} to {max(numbers):g}"]
    if name in CHOICES or (isinstance(content, dict) and "values" in content):
        found = labels(values)
        if not found:
            return ["what it holds does not look like labels"]
        return [f"it holds {_tallied(found) if are_known(found) else _counted(found)}"]
    return []


def _counted(values: Collection[str]) -> str:
    return f"{len(values):,} distinct values"


def _tallied(counts: dict[str, int]) -> str:
    return ", ".join(f"`{label}` {count:,}" for label, count in counts.items())


def _misfits(name: str, spec: AnySpec, joined: Joined) -> list[str]:
    column, found = column_for(name, spec, joined)
    told = []
    if isinstance(spec, Messages):
        chats = [value for value in joined.at(spec.messages) if isinstance(value, list)]
        roles = [one.get(spec.role) for value in chats for one in value if isinstance(one, dict)]
        counted = Counter(role for role in roles if isinstance(role, str))
        known = all(role.lower() in ROLES for role in counted)
        listed = _tallied(dict(sorted(counted.items()))) if known else f"{len(counted):,} distinct names"
        told += [f"its roles: {listed}"] if counted else []
    if name == "created_at" and column.len() > column.null_count():
        days = column.dt.strftime("%Y-%m-%d")
        told.append(f"it reads as times from {days.min()!s} to {days.max()!s}")
    reasons = Counter(first_reason(found, len(joined.records)).drop_nulls().to_list())
    if reasons:
        listed = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
        told.append(f"{sum(reasons.values()):,} records do not fit ({listed})")
    return told
