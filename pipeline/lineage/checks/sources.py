"""Sidecars held against their data: what a map does not find, and what the adapter makes of the first records."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.adapters import adapter_for
from pipeline.core.errors import raised
from pipeline.core.mapping.fieldmap import Joined
from pipeline.core.raw.rawfiles import read_batches
from pipeline.core.sidecar.sidecars import Format, Group, Source
from pipeline.core.sidecar.sources import load_source, read_source
from pipeline.core.sidecar.specs import AnySpec, FromPath, side_of
from pipeline.lineage.consent.checked import unconsented
from pipeline.lineage.looking import TABLES, Looked, headless
from pipeline.lineage.trying import tried

# Enough to see whether a map fits; the whole file is read by ingest.
_LOOKED_AT = 5_000
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,30}( [\w.-]{1,10})?")


def source_faults(path: Path) -> list[str]:
    """Explain what is wrong with a sidecar, looking at the first records of its files."""
    return source_checked(path)[0]


def source_checked(path: Path) -> tuple[list[str], str]:
    """Hold a sidecar against the first records of its files, then try its adapter on them."""
    source = read_source(path)
    if faults := [*raised(lambda: load_source(path)), *raised(lambda: adapter_for(source))]:
        return faults, ""
    adapter, told = adapter_for(source), []
    for group in source.sidecar.files:
        found = _map_faults(source, group)
        if not found:
            outcome = tried(source, adapter, group)
            told.append(outcome.told())
            found = [fault] if (fault := outcome.fault()) else []
        faults += [f"{path}: {group.glob}: {fault}" for fault in found]
    return faults, "; ".join([*told, *unconsented(source)])


def _map_faults(source: Source, group: Group) -> list[str]:
    records = _first_records(source.files(group), source.format(group))
    if not records.records:
        return ["no record can be read"]
    sides = {
        name: _first_records(source.matching(join.glob), source.format(join))
        for name, join in source.sidecar.join.items()
    }
    keys = [(f"join.{name}.on", records, join.on) for name, join in source.sidecar.join.items()]
    keys += [(f"join.{name}.key", sides[name], join.key) for name, join in source.sidecar.join.items()]
    faults = [
        f"{where}: `{path}` is found in none of {len(found.records):,} records{_known(found)}"
        for where, found, path in keys
        if _absent(found.records, path)
    ]
    mapped = [pair for _, specs in source.variants(group) for pair in specs.items()]
    mapped += [("consent_refs", spec) for ref in source.consent_refs for spec in (ref.subject, ref.consent_id)]
    for name, spec in mapped:
        faults += _spec_faults(name, spec, records, sides)
    return sorted(set(faults))


def _first_records(files: list[Path], declared: Format) -> Looked:
    values = (value for path in files for batch in read_batches(path, declared, _no_digest) for value in batch.values)
    records = list(islice((value for value in values if value is not None), _LOOKED_AT))
    return Looked(declared, records, len(records))


def _no_digest(raws: list[bytes]) -> list[str]:
    return [""] * len(raws)


def _absent(records: list[dict[str, Any]], path: str) -> bool:
    return all(value is None for value in Joined(records).at(path))


def _spec_faults(name: str, spec: AnySpec, records: Looked, sides: dict[str, Looked]) -> Iterator[str]:
    for path in spec.paths():
        side, inner = side_of(path)
        looked = records if side is None else sides[side]
        found = looked.records
        if _absent(found, inner):
            yield f"field `{name}`: `{path}` is found in none of {len(found):,} records{_known(looked)}"
        elif isinstance(spec, FromPath) and spec.values is not None:
            met = {
                str(value).lower() if isinstance(value, bool) else str(value)
                for value in Joined(found).at(inner)
                if value is not None
            }
            if not met & set(spec.values):
                keys = ", ".join(spec.values)
                yield f"field `{name}`: none of the map's keys ({keys}) occurs at `{path}` in {len(found):,} records"


def _known(looked: Looked) -> str:
    """List the keys that look like names; a table without a header has texts and people where its keys should be."""
    if looked.format in TABLES and looked.records and headless(looked.records):
        return " (the first row does not look like a header)"
    keys = sorted({str(key) for record in looked.records[:100] for key in record})
    names = [key for key in keys if _NAME.fullmatch(key)]
    told = ", ".join(names[:30]) or f"{len(keys)} keys that do not look like names"
    return f" (known: {told})" if keys else ""
