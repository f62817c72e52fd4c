"""Logical content digests: what a table says, whatever wrote the file.

A Parquet footer names its writer's version, so a library upgrade changes the file digest of identical rows. Here each
row is written as length-prefixed texts (floats as whole billionths), hashed with SHA-256, and the rows' digests are
hashed in key order.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import polars_hash as plh

from pipeline.core.digests import framed
from pipeline.core.tables import batches_of

_BILLION = 1_000_000_000


class ContentDigest:
    """The SHA-256 of a table's rows, in their order, a frame at a time."""

    def __init__(self) -> None:
        """Begin with no row."""
        self._whole = sha256()

    def add(self, rows: pl.DataFrame) -> None:
        """Go on with the next rows."""
        texts = framed(*(as_text(pl.col(name), dtype) for name, dtype in rows.schema.items()))
        digests = rows.select(plh.CryptographicHashingNameSpace(texts).sha2_256().str.join(""))
        self._whole.update(digests.item().encode())

    def hexdigest(self) -> str:
        """Return the digest of the rows so far."""
        return self._whole.hexdigest()


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a Parquet file's rows, in file order."""
    whole = ContentDigest()
    for rows in batches_of(path):
        whole.add(rows)
    return whole.hexdigest()


def as_text(value: pl.Expr, dtype: Any) -> pl.Expr:  # noqa: ANN401
    """Write a value of any of the tables' types as text, the same with every library version."""
    if isinstance(dtype, pl.List):
        parts = value.list.eval(framed(as_text(pl.element(), dtype.inner))).list.join("")
        return pl.when(value.is_not_null()).then(parts)
    if isinstance(dtype, pl.Struct):
        parts = framed(*(as_text(value.struct.field(field.name), field.dtype) for field in dtype.fields))
        return pl.when(value.is_not_null()).then(parts)
    if dtype.is_float():
        return (value * _BILLION).round().cast(pl.Int64).cast(pl.String)
    if dtype.is_temporal():
        return value.to_physical().cast(pl.String)
    if dtype == pl.Boolean:
        return value.cast(pl.Int8).cast(pl.String)
    return value.cast(pl.String)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    whole = sha256()
    with path.open("rb") as stream:
        while block := stream.read(2**20):
            whole.update(block)
    return whole.hexdigest()
