"""The one door through which values are validated: collected, null-safe, and silent about texts."""

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors


class TableError(Exception):
    """A table that breaks its schema; says table, column, rule and count, never a value."""


def check(frame: pl.DataFrame, schema: pa.DataFrameSchema) -> pl.DataFrame:
    """Validate every value of `frame` against `schema` and return it unchanged.

    Pandera checks no values on a LazyFrame and its own report prints whole rows, so this takes a collected
    frame and reports counts only. Raises TableError.
    """
    if not isinstance(frame, pl.DataFrame):
        msg = f"{schema.name}: give a collected DataFrame; values of a LazyFrame would go unchecked"
        raise TypeError(msg)
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        raise TableError(_report(errors, schema, frame.height)) from None
    return frame


def _report(errors: SchemaErrors, schema: pa.DataFrameSchema, height: int) -> str:
    found = sorted({_finding(error, schema) for error in errors.schema_errors})
    return "\n".join([f"table {schema.name} ({height:,} rows) breaks its schema:", *(f"  {line}" for line in found)])


def _finding(error: object, schema: pa.DataFrameSchema) -> str:
    reason = getattr(getattr(error, "reason_code", None), "name", "")
    where = getattr(getattr(error, "schema", None), "name", None)
    column = where if where in schema.columns else "(table)"
    if reason in {"COLUMN_NOT_IN_DATAFRAME", "COLUMN_NOT_IN_SCHEMA", "COLUMN_NOT_ORDERED"}:
        return f"columns: {reason.lower()}; the schema has {', '.join(schema.columns)}"
    return f"column {column}: {reason.lower()} {getattr(error, 'check', '') or ''}{_count(error)}".rstrip()


def _count(error: object) -> str:
    output = getattr(error, "check_output", None)
    failed = getattr(error, "failure_cases", None)
    if isinstance(output, pl.DataFrame) and "check_output" in output.columns:
        return f": {output.height - output['check_output'].sum():,} rows"
    return f": {failed.height:,} rows" if isinstance(failed, pl.DataFrame) else ""
