"""What is wrong with a sidecar beyond its shape: fields, globs, joins and value specs that do not fit together."""

import re
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from pipeline.core.errors import PairtrailError
from pipeline.core.licenses import licenses_in
from pipeline.core.sidecar.fields import CHOICES, FIELDS, NUMBERS, TEXTS
from pipeline.core.sidecar.sidecars import Group, Source, leaves
from pipeline.core.sidecar.specs import AnySpec, Constant, FromPath, Messages, side_of
from schemas.vocabulary import LEGAL_BASES, PURPOSES

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def faults_of(source: Source) -> Iterator[str]:
    """Yield every fault of a source's statements, in words that say what to do."""
    if not _NAME.fullmatch(source.name):
        yield f"folder `{source.name}`: a source's name is lower-case letters, digits and _"
    for faults in (_glob_faults, _shared_files, _stray_faults, _join_faults):
        yield from faults(source)
    keys = [entry.key for entry in source.sidecar.fan_out]
    yield from (f"fan_out key `{key}` stands twice" for key in sorted({key for key in keys if keys.count(key) > 1}))
    yield from _consent_faults(source)
    for ref in source.consent_refs:
        for spec in (ref.subject, ref.consent_id):
            yield from _side_faults(source, "consent_refs", spec)
    yield from sorted({fault for group in source.sidecar.files for fault in _map_faults(source, group)})


def _consent_faults(source: Source) -> Iterator[str]:
    """Find codes that nobody knows, and a publisher's record of the whole source beside one in its rows."""
    try:
        licenses_in(source.sidecar.license)
    except PairtrailError as error:
        yield f"`license`: {error}"
    consent = source.sidecar.consent
    if consent is None:
        return
    stated = [("basis", consent.basis, LEGAL_BASES), *(("purposes", one, PURPOSES) for one in consent.purposes)]
    for key, code, codes in stated:
        if code not in codes:
            near = get_close_matches(code, codes, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            yield f"`consent.{key}`: `{code}` is not a known code{hint} (known: {', '.join(codes)})"
    if consent.record and any(ref.role == "publisher" for ref in source.consent_refs):
        yield "`consent.record` is the publisher's, but `fields.consent_refs` names one of that role too; keep one"


def _glob_faults(source: Source) -> Iterator[str]:
    if not source.sidecar.files:
        yield "`files` names no file"
    for pattern in [*source.globs(), *source.sidecar.ignore]:
        if leaves(pattern):
            yield f"glob `{pattern}` leaves the source's folder"
        elif pattern not in source.sidecar.ignore and not source.matching(pattern):
            yield f"glob `{pattern}` matches no file in {source.folder.name}/"


def _join_faults(source: Source) -> Iterator[str]:
    for name, join in source.sidecar.join.items():
        for path in (join.on, join.key):
            if side_of(path)[0] is not None:
                yield f"join `{name}`: `{path}` must be a path of the record itself, without a side"


def _shared_files(source: Source) -> Iterator[str]:
    """Find the files that would be read twice: by two groups, or as verdicts and as a side."""
    matched = [path for group in source.sidecar.files for path in source.files(group)]
    matched += {path for join in source.sidecar.join.values() for path in source.matching(join.glob)}
    for path in sorted(path for path, times in Counter(matched).items() if times > 1):
        yield f"{source.relative(path)} is matched by more than one of `files` and `join`"


def _map_faults(source: Source, group: Group) -> Iterator[str]:
    for _, specs in source.variants(group):
        for name, spec in specs.items():
            yield from _spec_faults(source, name, spec)


def _spec_faults(source: Source, name: str, spec: AnySpec) -> Iterator[str]:
    if name not in FIELDS:
        near = get_close_matches(name, FIELDS, n=1)
        yield f"unknown field `{name}`{f'; did you mean `{near[0]}`?' if near else ''} (known: {', '.join(FIELDS)})"
    yield from _side_faults(source, name, spec)
    yield from _misfits(name, spec)
    known = CHOICES.get(name)
    targets: list[Any] = []
    if isinstance(spec, FromPath) and spec.values:
        targets = list(spec.values.values())
    elif isinstance(spec, Constant) and spec.constant is not None:
        targets = [spec.constant]
    for target in sorted({str(target) for target in targets if known and target not in known}):
        yield f"field `{name}`: `{target}` is not one of {', '.join(known or ())}"


def _side_faults(source: Source, name: str, spec: AnySpec) -> Iterator[str]:
    for path in spec.paths():
        side, _ = side_of(path)
        if side is not None and side not in source.sidecar.join:
            known_sides = ", ".join(source.sidecar.join) or "none"
            yield f"field `{name}`: `{path}` reads side `{side}`, but `join` has {known_sides}"


def _misfits(name: str, spec: AnySpec) -> Iterator[str]:
    """Find the keys of a value spec that this field has no use for."""
    if isinstance(spec, Messages) and name != "prompt":
        yield f"field `{name}`: `messages` fits `prompt` alone"
    if not isinstance(spec, FromPath):
        return
    if spec.scale is not None and name != "strength":
        yield f"field `{name}`: `scale` fits `strength` alone"
    if (spec.unit is not None or spec.format is not None) and name != "created_at":
        yield f"field `{name}`: `unit` and `format` fit `created_at` alone"
    if spec.format is not None and ("%Z" in spec.format or not any(year in spec.format for year in ("%Y", "%F", "%s"))):
        yield f"field `{name}`: `format` needs a year (%Y), and a zone as an offset (%z): names of zones are not read"
    if spec.values is not None and name in {"prompt", "created_at", *TEXTS, *NUMBERS}:
        yield f"field `{name}`: `values` fits labels, choices and `strength`"


def _stray_faults(source: Source) -> Iterator[str]:
    """Find files that would be skipped in silence, and folders that lead out of the source's own."""
    for path in source.unmatched():
        yield f"{source.relative(path)} is matched by no glob; add it to `files`, `join` or `ignore`"
    for path in sorted(source.folder.rglob("*")):
        if path.is_symlink() and path.is_dir():
            yield f"{source.relative(path)} is a link to a folder; put the files themselves here"
        if not path.name.isprintable():
            yield f"a file's name in {source.name}/ is not plain text; rename it"
