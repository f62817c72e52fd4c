"""Rows as trainers read them: JSON lines or Parquet that no schema of ours describes."""

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
from pyarrow import parquet

from pipeline.core.rowgroups import RowGroups
from pipeline.core.tables import ROW_GROUP, plain_schema


def write_rows(frames: Iterable[pl.DataFrame], path: Path, types: Mapping[str, Any]) -> int:
    """Write rows that no schema of ours describes, as JSON lines or Parquet by the file's ending; return how many.

    `types` are the columns in order. JSON lines are UTF-8 with keys in that order; Parquet has plain lists and strings.
    """
    counted = (frame.select(list(types)) for frame in frames)
    return (_write_parquet if path.suffix == ".parquet" else _write_lines)(counted, path, types)


def _write_lines(frames: Iterable[pl.DataFrame], path: Path, _: Mapping[str, Any]) -> int:
    rows = 0
    with path.open("wb") as stream:
        for frame in frames:
            frame.write_ndjson(stream)
            rows += frame.height
    return rows


def _write_parquet(frames: Iterable[pl.DataFrame], path: Path, types: Mapping[str, Any]) -> int:
    target = plain_schema(types, {})
    groups = RowGroups(target, ROW_GROUP)
    rows = 0
    with parquet.ParquetWriter(path, target, compression="zstd") as writer:
        for frame in frames:
            for group in chain(groups.add(frame), groups.rest()):
                writer.write_table(group, row_group_size=ROW_GROUP)
            rows += frame.height
    return rows
