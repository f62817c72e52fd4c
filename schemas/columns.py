"""Column types and checks that several tables share, so that a column is declared once."""

from collections.abc import Callable
from typing import Any

import pandera.polars as pa
import polars as pl

from schemas.vocabulary import ROLES

MESSAGE = pl.Struct({"role": pl.String, "content": pl.String})
MESSAGES = pl.List(MESSAGE)
CONSENT_REFS = pl.List(pl.Struct({"role": pl.String, "subject": pl.String, "consent_id": pl.String}))
INSTANT = pl.Datetime("us", "UTC")

ID = r"^[0-9a-f]{32}$"


def column(dtype: Any, description: str, *, nullable: bool = False, **rules: Any) -> pa.Column:  # noqa: ANN401
    """Declare a column; `rules` are `one_of`, `matches`, `at_least`, `at_most` and `unique`."""
    unique = rules.pop("unique", False)
    makers: dict[str, Callable[[Any], pa.Check]] = {
        "one_of": lambda known: pa.Check.isin(list(known)),
        "matches": pa.Check.str_matches,
        "at_least": pa.Check.ge,
        "at_most": pa.Check.le,
    }
    checks = [makers[name](value) for name, value in rules.items()]
    if dtype == pl.Float64:
        # NaN is greater than anything in Polars, so a lower limit alone lets it through.
        checks.append(pa.Check(_finite, name="finite"))
    return pa.Column(dtype, checks=checks, nullable=nullable, unique=unique, description=description)


def _finite(checked: pa.PolarsData) -> pl.LazyFrame:
    return checked.lazyframe.select(pl.col(checked.key).is_finite().fill_null(value=True))


def messages(description: str) -> pa.Column:
    """Declare a column of messages, each with a known role and a content."""
    return pa.Column(MESSAGES, checks=[pa.Check(_whole_messages, name="whole_messages")], description=description)


def _whole_messages(checked: pa.PolarsData) -> pl.LazyFrame:
    message = pl.element()
    known = message.struct.field("role").is_in(ROLES) & message.struct.field("content").is_not_null()
    return checked.lazyframe.select(pl.col(checked.key).list.eval(known.fill_null(value=False)).list.all())


def identifier(description: str, *, nullable: bool = False, unique: bool = False) -> pa.Column:
    """Declare a column of 128-bit digests written as 32 hexadecimal digits."""
    return column(pl.String, description, nullable=nullable, matches=ID, unique=unique)


def text(description: str, *, nullable: bool = True) -> pa.Column:
    """Declare a column of free text or labels."""
    return column(pl.String, description, nullable=nullable)


def table(
    name: str, description: str, columns: dict[str, pa.Column], unique: list[str] | None = None
) -> pa.DataFrameSchema:
    """Declare a table: exactly these columns, in this order."""
    return pa.DataFrameSchema(columns, name=name, description=description, strict=True, ordered=True, unique=unique)


def dtypes(schema: pa.DataFrameSchema) -> dict[str, Any]:
    """Return the Polars type of each column, in order."""
    return {name: declared.dtype.type for name, declared in schema.columns.items()}
