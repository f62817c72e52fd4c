"""Content digests: what a table says, whatever wrote the file; checked by an implementation of its own."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as arrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from pipeline.core.publishing.content import content_digest, file_digest
from pipeline.core.tables import ROW_GROUP

SCHEMA: dict[str, Any] = {
    "text": pl.String,
    "whole": pl.Int64,
    "real": pl.Float64,
    "truth": pl.Boolean,
    "day": pl.Date,
    "instant": pl.Datetime("us", "UTC"),
    "list": pl.List(pl.String),
    "struct": pl.Struct({"chosen": pl.Int64, "tie": pl.Int64}),
    "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
}
ROW: dict[str, Any] = {
    "text": "ü, 12:ab,",
    "whole": -3,
    "real": 0.1,
    "truth": True,
    "day": date(1969, 12, 31),
    "instant": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "list": ["a", "b"],
    "struct": {"chosen": 1, "tie": 0},
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}],
}


def framed(parts: list[str | None]) -> str:
    return "".join("~," if part is None else f"{len(part.encode())}:{part}," for part in parts)


def as_text(value: Any) -> str | None:  # noqa: ANN401, PLR0911
    """Say in plain Python what the docstring of pipeline.core.publishing.content says."""
    if value is None:
        return None
    if isinstance(value, dict):
        return framed([as_text(one) for one in value.values()])
    if isinstance(value, list):
        return "".join(framed([as_text(one)]) for one in value)
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return str(round(value * 1_000_000_000))
    if isinstance(value, datetime):
        return str((value - datetime(1970, 1, 1, tzinfo=UTC)) // (datetime.resolution))
    if isinstance(value, date):
        return str((value - date(1970, 1, 1)).days)
    return str(value)


def independent(rows: list[dict[str, Any]]) -> str:
    digests = [sha256(framed([as_text(value) for value in row.values()]).encode()).hexdigest() for row in rows]
    return sha256("".join(digests).encode()).hexdigest()


def put(rows: list[dict[str, Any]], path: Path, **how: Any) -> Path:  # noqa: ANN401
    pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(path, **how)
    return path


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
VALUES = {
    "text": words,
    "whole": st.integers(-(2**62), 2**62),
    "real": st.sampled_from([0.0, -0.0, 1.0, -1.0, 1 / 3, 2 / 3, 0.999999999, 1e-9, 123.25]),
    "truth": st.booleans(),
    "day": st.dates(),
    "instant": st.datetimes(timezones=st.just(UTC)),
    "list": st.lists(words | st.none(), max_size=3),
    "struct": st.builds(
        lambda chosen, tie: {"chosen": chosen, "tie": tie}, st.integers(0, 9), st.integers(0, 9) | st.none()
    ),
    "messages": st.lists(st.builds(lambda role, content: {"role": role, "content": content}, words | st.none(), words)),
}
a_row = st.tuples(*(value | st.none() for value in VALUES.values())).map(
    lambda row: dict(zip(SCHEMA, row, strict=True))
)
some_rows = st.lists(a_row, max_size=4)


@settings(max_examples=40)
@given(some_rows)
def test_the_digest_is_what_its_docstring_says(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    path = put(rows, tmp_path_factory.mktemp("any") / "t.parquet")
    assert content_digest(path) == independent(rows)


def test_the_writer_does_not_matter(tmp_path: Path) -> None:
    rows = [{**ROW, "whole": i} for i in range(500)]
    polars = put(rows, tmp_path / "polars", compression="snappy", row_group_size=7)
    plain = pl.DataFrame(rows, schema=SCHEMA, orient="row").to_arrow(compat_level=pl.CompatLevel.oldest())
    small = arrow.schema([arrow.field(field.name, _smaller(field.type)) for field in plain.schema])
    parquet.write_table(plain.cast(small), tmp_path / "arrow", compression="none", row_group_size=100)
    assert content_digest(polars) == content_digest(tmp_path / "arrow") == independent(rows)
    assert file_digest(polars) != file_digest(tmp_path / "arrow")


def _smaller(kind: Any) -> Any:  # noqa: ANN401
    if arrow.types.is_large_list(kind):
        return arrow.list_(_smaller(kind.value_type))
    if arrow.types.is_struct(kind):
        return arrow.struct([arrow.field(field.name, _smaller(field.type)) for field in kind])
    return arrow.string() if arrow.types.is_large_string(kind) else kind


def test_rows_beyond_one_batch_count(tmp_path: Path) -> None:
    rows = [{"whole": i} for i in range(2 * ROW_GROUP + 1)]
    pl.DataFrame(rows).write_parquet(tmp_path / "t")
    assert content_digest(tmp_path / "t") == independent(rows)


CHANGES: dict[str, Callable[[list[dict[str, Any]]], list[dict[str, Any]]]] = {
    "a row more": lambda rows: [*rows, rows[0]],
    "a row less": lambda rows: rows[:-1],
    "another order": lambda rows: rows[::-1],
    "an empty text": lambda rows: [{**rows[0], "text": ""}, *rows[1:]],
    "a null text": lambda rows: [{**rows[0], "text": None}, *rows[1:]],
    "a letter": lambda rows: [{**rows[0], "text": "u"}, *rows[1:]],
    "a digit": lambda rows: [{**rows[0], "whole": -4}, *rows[1:]],
    "a billionth": lambda rows: [{**rows[0], "real": 0.100000001}, *rows[1:]],
    "a truth": lambda rows: [{**rows[0], "truth": False}, *rows[1:]],
    "a day": lambda rows: [{**rows[0], "day": date(1970, 1, 1)}, *rows[1:]],
    "a microsecond": lambda rows: [{**rows[0], "instant": ROW["instant"].replace(microsecond=7)}, *rows[1:]],
    "an empty list": lambda rows: [{**rows[0], "list": []}, *rows[1:]],
    "a null list": lambda rows: [{**rows[0], "list": None}, *rows[1:]],
    "a list of null": lambda rows: [{**rows[0], "list": [None]}, *rows[1:]],
    "a list of an empty text": lambda rows: [{**rows[0], "list": [""]}, *rows[1:]],
    "a list joined otherwise": lambda rows: [{**rows[0], "list": ["ab"]}, *rows[1:]],
    "a list in another order": lambda rows: [{**rows[0], "list": ["b", "a"]}, *rows[1:]],
    "a null struct": lambda rows: [{**rows[0], "struct": None}, *rows[1:]],
    "swapped members": lambda rows: [{**rows[0], "struct": {"chosen": 0, "tie": 1}}, *rows[1:]],
    "a message less": lambda rows: [{**rows[0], "messages": ROW["messages"][:1]}, *rows[1:]],
    "a message's text": lambda rows: [
        {**rows[0], "messages": [ROW["messages"][0], {"role": "assistant", "content": ""}]}
    ],
}


def test_every_kind_of_change_shows(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "whole": 9}]
    found = {name: content_digest(put(change(rows), tmp_path / "t")) for name, change in CHANGES.items()}
    found["nothing"] = content_digest(put(rows, tmp_path / "t"))
    assert len(set(found.values())) == len(CHANGES) + 1


def test_the_last_bits_of_a_float_do_not_show(tmp_path: Path) -> None:
    one, other = ([{**ROW, "real": value}] for value in (0.1 + 0.2, 0.3))
    assert content_digest(put(one, tmp_path / "a")) == content_digest(put(other, tmp_path / "b"))


def test_a_file_digest_is_sha_256_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * (2**20 + 1))
    assert file_digest(tmp_path / "x") == sha256(b"x" * (2**20 + 1)).hexdigest()
