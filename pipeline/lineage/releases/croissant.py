"""Whether a croissant.json tells the truth of the files beside it: their bytes, and their columns, both ways.

It is held against the Parquet files alone, and not against the code that writes it; no Croissant library is needed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as arrow
from pyarrow import parquet

from pipeline.core.publishing.content import file_digest
from pipeline.core.publishing.croissant import CONFORMS_TO, ENCODINGS
from pipeline.core.publishing.croissant.context import CONTEXT
from pipeline.core.publishing.croissant.fields import PLACES

_TYPES = {
    arrow.string(): "sc:Text",
    arrow.int64(): "cr:Int64",
    arrow.float64(): "cr:Float64",
    arrow.bool_(): "sc:Boolean",
    arrow.date32(): "sc:Date",
}


def croissant_faults(document: object, folder: Path) -> list[str]:
    """Return what `document` says of the published files in `folder` that does not hold; nothing where all holds.

    Every table of train and validation must be described, once, with its size and SHA-256, and have a record set whose
    fields are its columns, of the same types. No other file may be described, heldout's least of all.
    """
    if not isinstance(document, Mapping):
        return ["croissant.json: not an object"]
    heads = {"@context": CONTEXT, "conformsTo": CONFORMS_TO}
    faults = [
        f"croissant.json: {key} is not that of Croissant 1.1" for key, own in heads.items() if document.get(key) != own
    ]
    files, sets = _nodes(document.get("distribution")), _nodes(document.get("recordSet"))
    known = {"file": [*PLACES], "record set": ["splits", *map(record_set_of, PLACES)]}
    named = {"file": [one.get("contentUrl") for one in files], "record set": [one.get("@id") for one in sets]}
    for kind, names in named.items():
        others = {str(name)[:80] for name in names if name not in known[kind]}
        faults += [f"croissant.json: describes a {kind} that consumers are not given: {name}" for name in others]
    for place in PLACES:
        described = [one for one in files if one.get("contentUrl") == place]
        records = [one for one in sets if one.get("@id") == record_set_of(place)]
        if len(described) != 1 or len(records) != 1:
            faults.append(
                f"{place}: described {len(described)} times, with {len(records)} record sets; once each is right"
            )
        elif not (folder / place).is_file():
            faults.append(f"{place}: croissant.json describes it, but it is not there")
        else:
            faults += [f"{place}: {fault}" for fault in _faults(described[0], records[0], folder / place, place)]
    return sorted(faults)


def record_set_of(place: str) -> str:
    """Name the record set of a file."""
    side, table = place.removesuffix(".parquet").split("/")
    return f"{table}_{side}"


def _nodes(listed: object) -> list[Mapping[str, Any]]:
    return [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []


def _faults(described: Mapping[str, Any], records: Mapping[str, Any], path: Path, place: str) -> Iterator[str]:
    true = {
        "@id": place,
        "contentSize": f"{path.stat().st_size} B",
        "sha256": file_digest(path),
        "encodingFormat": ENCODINGS,
    }
    for key, value in true.items():
        if described.get(key) != value:
            yield f"{key} in croissant.json is not the file's, {value}"
    try:
        columns = Counter(line for field in parquet.read_schema(path) for line in _of_column(field.name, field.type))
    except (arrow.ArrowException, OSError):
        yield "not a Parquet file"
        return
    told = [one for one in _nodes(records.get("field")) if not _is_split(one)]
    fields = Counter(line for one in told for line in _of_field(one, place))
    yield from (f"croissant.json has no field for its column {line}" for line in sorted(columns - fields))
    yield from (
        f"croissant.json has a field that is no column of it: {line[:200]}" for line in sorted(fields - columns)
    )


def _of_column(name: str, dtype: arrow.DataType) -> Iterator[str]:
    """Write a column as lines such as `purposes[] sc:Text` and `votes/tie cr:Int64`."""
    if arrow.types.is_list(dtype):
        yield from _of_column(f"{name}[]", dtype.value_type)
    elif arrow.types.is_struct(dtype):
        for part in dtype:
            yield from _of_column(f"{name}/{part.name}", part.type)
    else:
        yield f"{name} {_TYPES.get(dtype, 'of a type that Croissant has no name for')}"


def _of_field(field: Mapping[str, Any], place: str) -> Iterator[str]:
    """Write a field, or the parts that it is made of, as lines like a column's."""
    name = _last(field)
    prefix = f"{name}[]" if _is_array(field) else name
    if "subField" not in field:
        yield f"{prefix} {field.get('dataType')}{_misread(field, place, name)}"
    for part in _nodes(field.get("subField")):
        own = f"{prefix}/{_last(part)}{'[]' if _is_array(part) else ''}"
        yield f"{own} {part.get('dataType')}{_misread(part, place, name, _last(part))}"


def _misread(field: Mapping[str, Any], place: str, column: str, part: str | None = None) -> str:
    """Say where a field is not read from its own column of its own file."""
    source: dict[str, Any] = {"fileObject": {"@id": place}, "extract": {"column": column}}
    if part is not None:
        source["transform"] = {"jsonPath": part}
    return "" if field.get("source") == source else " (read from elsewhere)"


def _is_split(field: Mapping[str, Any]) -> bool:
    """Whether a field tells the side, which no column does."""
    source = field.get("source")
    return (
        _last(field) == "split"
        and isinstance(source, Mapping)
        and source.get("extract") == {"fileProperty": "fullpath"}
    )


def _is_array(field: Mapping[str, Any]) -> bool:
    return field.get("isArray") is True and field.get("arrayShape") == "-1"


def _last(field: Mapping[str, Any]) -> str:
    return str(field.get("@id")).rpartition("/")[2]
