"""The one door through which values are validated: collected, null-safe, and silent about texts."""

from typing import Any

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors


class TableError(Exception):
    """A table that breaks its schema; says table, column, rule and count, never a value."""


def check(frame: pl.DataFrame, schema: pa.DataFrameSchema) -> pl.DataFrame:
    """Validate every value of `frame` against `schema` and return it unchanged.

    Pandera checks no values on a LazyFrame and its own report prints whole rows, so this takes a collected
    frame and reports counts only. Raises TableError.

    Pandera collects each rule of each column by itself, which takes 40 ms a call for the 37 columns of a comparison; so
    its rules are first asked all at once, and only a table that breaks one goes through its report.
    """
    if not isinstance(frame, pl.DataFrame):
        msg = f"{schema.name}: give a collected DataFrame; values of a LazyFrame would go unchecked"
        raise TypeError(msg)
    if _sound(frame, schema):
        return frame
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        raise TableError(_report(errors, schema, frame.height)) from None
    msg = f"table {schema.name} ({frame.height:,} rows) breaks its schema: a rule that its report does not show"
    raise TableError(msg)


def _sound(frame: pl.DataFrame, schema: pa.DataFrameSchema) -> bool:
    """Say whether a table has its columns, types, values where none may be null, unique keys, and keeps every rule."""
    if list(frame.schema.items()) != [(name, column.dtype.type) for name, column in schema.columns.items()]:
        return False
    if any(frame[name].null_count() for name, column in schema.columns.items() if not column.nullable):
        return False
    keys = [[name] for name, column in schema.columns.items() if column.unique]
    keys += [schema.unique] if schema.unique else []
    if any(frame.select(pl.struct(key).is_duplicated().any()).item() for key in keys):
        return False
    return all(
        result.select(pl.all_horizontal(pl.all().all())).item() for result in pl.collect_all(_rules(frame, schema))
    )


def _rules(frame: pl.DataFrame, schema: pa.DataFrameSchema) -> list[pl.LazyFrame]:
    schema.register_default_backends(pl.LazyFrame)
    rows = frame.lazy()
    return [_asked(rule, rows, name) for name, column in schema.columns.items() for rule in column.checks]


def _asked(rule: pa.Check, rows: pl.LazyFrame, name: str) -> pl.LazyFrame:
    """Ask a rule of one column: one truth a row, null of a null.

    Pandera's own rules are looked up at each call, as Pandera does: what they do with a frame is registered late.
    """
    backend: Any = rule.get_backend(rows)(rule)
    bound, known_as = backend.check_fn, str(rule.name)
    ask = rule.get_builtin_check_fn(known_as) if rule.is_builtin_check(known_as) else bound.func
    truths: pl.LazyFrame = ask(pa.PolarsData(rows, name), **bound.keywords)
    return truths


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
