"""Record sets: each published table of train and validation as typed fields, and the splits that there are."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import pandera.polars as pa
import polars as pl

from schemas.published import PUBLISHED

Node: TypeAlias = dict[str, Any]

LOADED = ("train", "validation")
"""Heldout is not described: consumers do not have it."""
PLACES = tuple(f"{side}/{table}.parquet" for table in ("pairs", "ties", "votes") for side in LOADED)

_SPLITS = {"train": "cr:TrainingSplit", "validation": "cr:ValidationSplit"}
_TYPES: dict[Any, str] = {
    pl.String: "sc:Text",
    pl.Int64: "cr:Int64",
    pl.Float64: "cr:Float64",
    pl.Boolean: "sc:Boolean",
    pl.Date: "sc:Date",
}


def record_sets() -> list[Node]:
    """Describe the splits, and the rows of each file."""
    return [_splits(), *(_record_set(place, PUBLISHED[place]) for place in PLACES)]


def _splits() -> Node:
    """Say which splits there are, as the specification recommends."""
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "The sides that are loaded.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": "splits/url", "name": "url", "dataType": ["sc:URL", "cr:Split"]},
        ],
        "data": [{"splits/name": side, "splits/url": url} for side, url in _SPLITS.items()],
    }


def _record_set(place: str, schema: pa.DataFrameSchema) -> Node:
    side, table = place.removesuffix(".parquet").split("/")
    name = f"{table}_{side}"
    fields = [
        _field(f"{name}/{column}", declared.dtype.type, _column(place, column), declared.description)
        for column, declared in schema.columns.items()
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"{schema.description} Side: {side}.",
        "key": [{"@id": f"{name}/{column}"} for column in _key(schema)],
        "field": [_split_field(name, place), *fields],
    }


def _column(place: str, column: str) -> Node:
    return {"fileObject": {"@id": place}, "extract": {"column": column}}


def _key(schema: pa.DataFrameSchema) -> list[str]:
    return list(schema.unique or [name for name, column in schema.columns.items() if column.unique])


def _split_field(name: str, place: str) -> Node:
    """Name the split of a record set's rows: the folder that its file stands in."""
    source = {
        "fileObject": {"@id": place},
        "extract": {"fileProperty": "fullpath"},
        # The reference implementation applies it twice where it joins: what it found must match again.
        "transform": {"regex": f"^(?:.*/)?({'|'.join(LOADED)})(?:/[a-z]+\\.parquet)?$"},
    }
    return {
        "@type": "cr:Field",
        "@id": f"{name}/split",
        "name": "split",
        "description": "The side that the row stands on.",
        "dataType": "sc:Text",
        "source": source,
        "references": {"field": {"@id": "splits/name"}},
    }


def _field(identity: str, dtype: Any, source: Node, description: str | None = None) -> Node:  # noqa: ANN401
    """Describe a column, or a part of the struct in it; a list is an array of what it holds."""
    repeated = isinstance(dtype, pl.List)
    inner = dtype.inner if repeated else dtype
    node: Node = {"@type": "cr:Field", "@id": identity, "name": identity.rpartition("/")[2]}
    node |= {"description": description} if description else {}
    node |= {"isArray": True, "arrayShape": "-1"} if repeated else {}
    if isinstance(inner, pl.Struct):
        return {**node, "subField": list(_parts(identity, inner, source))}
    return {**node, "dataType": _TYPES[inner], "source": source}


def _parts(identity: str, struct: pl.Struct, source: Node) -> Iterator[Node]:
    for part in struct.fields:
        yield _field(f"{identity}/{part.name}", part.dtype, {**source, "transform": {"jsonPath": part.name}})
