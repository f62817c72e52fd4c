"""What keeps records apart that would otherwise meet in one verdict: statements that a comparison has but once."""

import json
from collections.abc import Iterable
from typing import Any

from pipeline.core.mapping.candidates import RawFile
from pipeline.core.mapping.exchanges import stated_at
from pipeline.core.mapping.verdicts import Seen
from pipeline.core.sidecar.specs import AnySpec, FromPath

_VERSIONS = ("policy_version", "rubric_version")


def versions_of(file: RawFile) -> list[AnySpec]:
    """Return where the sidecar finds policy and rubric: scores under two of them are not one judgement."""
    specs = dict(file.variants())[None]
    return [specs[name] for name in _VERSIONS if name in specs]


def told_apart(seen: Seen, specs: Iterable[AnySpec]) -> str:
    """Write what a record states for each spec as one text, to group by."""
    stated = [[label_of(stated_at(seen, path), spec) for path in spec.paths()] for spec in specs]
    return json.dumps(stated, ensure_ascii=False, sort_keys=True, default=str)


def label_of(value: Any, spec: AnySpec) -> Any:  # noqa: ANN401
    """Write a whole number as the field map writes a label: whoever is 7 and whoever is "7" are one."""
    return str(value) if type(value) is int and isinstance(spec, FromPath) else value
