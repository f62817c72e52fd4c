"""The column dictionary: every table and column with type and meaning, generated from the schemas."""

from hashlib import sha256
from typing import Any

import pandera.polars as pa
import polars as pl

from schemas.changes import CHANGES
from schemas.comparisons import COMPARISONS
from schemas.consents import EVENTS
from schemas.contamination import CONTAMINATION
from schemas.decisions import CONFLICTS, DEDUPE, SPLIT, VALIDATE
from schemas.ingested import OCCURRENCES, QUARANTINE, RECORDS
from schemas.near import NEAR
from schemas.published import HELDOUT_PAIRS, HELDOUT_TIES, PAIRS, TIES, VOTES
from schemas.released import RELEASED

TABLES: dict[str, pa.DataFrameSchema] = {
    "data/publish/<train or validation>/pairs.parquet": PAIRS,
    "data/publish/<train or validation>/ties.parquet": TIES,
    "data/publish/heldout/pairs.parquet": HELDOUT_PAIRS,
    "data/publish/heldout/ties.parquet": HELDOUT_TIES,
    "data/publish/<side>/votes.parquet": VOTES,
    "data/ingest/comparisons/*.parquet": COMPARISONS,
    "data/ingest/occurrences.parquet": OCCURRENCES,
    "data/ingest/records.parquet": RECORDS,
    "data/ingest/quarantine.parquet": QUARANTINE,
    "data/ledger/consent/*.jsonl": EVENTS,
    "data/ledger/released/*.parquet": RELEASED,
    "data/validate/decisions.parquet": VALIDATE,
    "data/dedupe/decisions.parquet": DEDUPE,
    "data/dedupe/conflicts.parquet": CONFLICTS,
    "data/near/near.parquet": NEAR,
    "data/decontaminate/contamination.parquet": CONTAMINATION,
    "data/split/decisions.parquet": SPLIT,
    "<the file that pairtrail diff --rows names>": CHANGES,
}


def dictionary() -> str:
    """Return the dictionary as Markdown."""
    head = ["# Column dictionary", "", "Generated from `schemas/` by `pairtrail columns`; a test keeps it true.", ""]
    return "\n".join([*head, *(line for place, schema in TABLES.items() for line in _table(place, schema))])


def _table(place: str, schema: pa.DataFrameSchema) -> list[str]:
    rows = [
        f"| `{name}` | {type_name(column)} | {'yes' if column.nullable else 'no'} | {column.description} |"
        for name, column in schema.columns.items()
    ]
    return [
        f"## {schema.name}",
        "",
        f"`{place}`: {schema.description}",
        "",
        "| column | type | null | meaning |",
        "|---|---|---|---|",
        *rows,
        "",
    ]


def type_name(column: pa.Column) -> str:
    """Name a column's type as readers of any language know it."""
    return f"`{plain_type(column.dtype.type)}`"


def plain_type(dtype: Any) -> str:  # noqa: ANN401
    """Name a type as readers of any language know it."""
    if isinstance(dtype, pl.List):
        return f"list<{plain_type(dtype.inner)}>"
    if isinstance(dtype, pl.Struct):
        return f"struct<{', '.join(f'{field.name}: {plain_type(field.dtype)}' for field in dtype.fields)}>"
    if isinstance(dtype, pl.Datetime):
        return f"timestamp[{dtype.time_unit}, {dtype.time_zone}]"
    return str(dtype).lower()


def schema_digest() -> str:
    """Return the SHA-256 of all tables' columns, types, nullability and rules."""
    lines = [
        f"{place} {name} {type_name(column)} {column.nullable} {[str(check) for check in column.checks]}"
        for place, schema in TABLES.items()
        for name, column in schema.columns.items()
    ]
    return sha256("\n".join(lines).encode()).hexdigest()
