"""The one door for values: null-safe on every rule of every table, and silent about what it saw."""

import re
from datetime import UTC, date, datetime
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest

from schemas.check import TableError, check
from schemas.columns import dtypes
from schemas.dictionary import TABLES, dictionary, schema_digest
from schemas.published import PAIRS

MARKER = "the-secret-nobody-may-read"
PLAIN: dict[Any, Any] = {
    pl.String: "text",
    pl.Float64: 0.5,
    pl.Int64: 1,
    pl.Boolean: True,
    pl.Date: date(2026, 1, 1),
    pl.Datetime: datetime(2026, 1, 1, tzinfo=UTC),
}
FORMS = ("0" * 32, "0" * 64, "DE", "de", "urn:example:notice", "00000000-0000-5000-8000-000000000000")
COLUMNS = [(place, name) for place, schema in TABLES.items() for name in schema.columns]


def rules(column: pa.Column) -> dict[str, Any]:
    return {rule.name: rule.statistics for rule in column.checks}


def sound_value(column: pa.Column) -> Any:  # noqa: ANN401
    found, dtype = rules(column), column.dtype.type
    if "isin" in found:
        return found["isin"]["allowed_values"][0]
    if "str_matches" in found:
        return next(value for value in FORMS if re.match(found["str_matches"]["pattern"], value))
    if "known_codes" in found:
        return [found["known_codes"]["codes"][0]]
    if isinstance(dtype, pl.List):
        inner = dtype.inner
        return [dict.fromkeys((one.name for one in inner.fields), "user") if isinstance(inner, pl.Struct) else "x"]
    if isinstance(dtype, pl.Struct):
        return {one.name: 1 for one in dtype.fields}
    return PLAIN[dtype.base_type()]


def sound(schema: pa.DataFrameSchema, **changes: Any) -> pl.DataFrame:  # noqa: ANN401
    row = {name: sound_value(column) for name, column in schema.columns.items()} | changes
    return pl.DataFrame([row], schema=dtypes(schema), orient="row")


def refusal(frame: pl.DataFrame, schema: pa.DataFrameSchema) -> str:
    with pytest.raises(TableError) as caught:
        check(frame, schema)
    assert MARKER not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("place", TABLES)
def test_a_sound_table_comes_back_unchanged(place: str) -> None:
    frame = sound(TABLES[place])
    assert check(frame, TABLES[place]) is frame
    assert check(frame.clear(), TABLES[place]).is_empty()


@pytest.mark.parametrize(("place", "name"), COLUMNS)
def test_a_null_is_seen_where_none_may_stand(place: str, name: str) -> None:
    schema = TABLES[place]
    frame = sound(schema, **{name: None})
    if schema.columns[name].nullable:
        check(frame, schema)
    else:
        assert f"column {name}: series_contains_nulls not_nullable: 1 rows" in refusal(frame, schema)


@pytest.mark.parametrize(("place", "name"), [(p, n) for p, n in COLUMNS if rules(TABLES[p].columns[n])])
def test_a_null_beside_it_hides_no_broken_rule(place: str, name: str) -> None:
    """A check whose result is null counts as passed in Pandera; here it must not swallow its neighbour."""
    schema = TABLES[place]
    limits = rules(schema.columns[name])
    broken: Any = f"{MARKER}!"
    if "greater_than_or_equal_to" in limits:
        broken = limits["greater_than_or_equal_to"]["min_value"] - 1
    elif "finite" in limits:
        broken = float("nan")
    elif "known_codes" in limits:
        broken = [MARKER]
    elif "whole_messages" in limits:
        broken = [{"role": MARKER, "content": MARKER}]
    keys = {key: value for key in (*(schema.unique or ()), "comparison_id") if key in schema.columns
            for value in [2 if schema.columns[key].dtype.type == pl.Int64 else "1" * 32]}  # fmt: skip
    frame = pl.concat([sound(schema, **{name: None}), sound(schema, **{**keys, name: broken})])
    told = refusal(frame, schema)
    assert any(line.strip().startswith(f"column {name}: dataframe_check") for line in told.splitlines()), told
    assert ": 1 rows" in told


@pytest.mark.parametrize(
    ("place", "name"), [(p, n) for p, n in COLUMNS if TABLES[p].columns[n].dtype.type == pl.Float64]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(place: str, name: str, value: float) -> None:
    """`NaN >= 0` holds in Polars: a lower limit alone lets it through."""
    assert f"column {name}" in refusal(sound(TABLES[place], **{name: value}), TABLES[place])


@pytest.mark.parametrize(
    "prompt",
    [
        [None],
        [{"role": None, "content": MARKER}],
        [{"role": MARKER, "content": "x"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": MARKER}, None],
    ],
)
def test_a_message_is_whole_or_refused(prompt: list[Any]) -> None:
    assert "column prompt: dataframe_check <Check whole_messages>: 1 rows" in refusal(
        sound(PAIRS, prompt=prompt), PAIRS
    )


def test_wrong_columns_and_types_are_told_without_a_value() -> None:
    frame = sound(PAIRS, chosen=MARKER)
    assert "column_not_in_dataframe; the schema has pair_id," in refusal(frame.drop("prompt"), PAIRS)
    assert "column_not_in_schema" in refusal(frame.with_columns(pl.lit(MARKER).alias("extra")), PAIRS)
    assert "column_not_ordered" in refusal(frame.select(reversed(frame.columns)), PAIRS)
    for name in ("prompt", "strength", "purposes", "votes"):
        assert f"column {name}: wrong_datatype" in refusal(frame.with_columns(pl.lit(MARKER).alias(name)), PAIRS)


def test_a_key_that_comes_twice_is_told_by_count() -> None:
    twice = pl.concat([sound(PAIRS, chosen=MARKER)] * 2)
    told = refusal(twice, PAIRS)
    assert told.startswith("table pairs (2 rows) breaks its schema:")
    assert "duplicates" in told
    assert "2 rows" in told.splitlines()[1]


def test_every_fault_is_named_at_once() -> None:
    told = refusal(sound(PAIRS, strength=2.0, p_chosen=-1.0, fold=MARKER, chosen=None), PAIRS)
    assert {line.split(":")[0].strip() for line in told.splitlines()[1:]} == {
        "column strength",
        "column p_chosen",
        "column fold",
        "column chosen",
    }


@pytest.mark.parametrize("place", TABLES)
def test_tables_declare_only_what_is_asked_all_at_once(place: str) -> None:
    """What `check` asks before Pandera's report is all that a table may declare: columns, types, nulls, keys, rules."""
    schema = TABLES[place]
    assert schema.strict is True
    assert schema.ordered
    assert not any((schema.checks, schema.coerce, schema.parsers, schema.index))
    for column in schema.columns.values():
        assert column.required
        assert not any((column.coerce, column.regex, column.parsers))
        assert not any(rule.element_wise or rule.groupby or not rule.ignore_na for rule in column.checks)


def test_a_lazy_frame_is_refused() -> None:
    """Pandera would check its types and none of its values, without a word."""
    lazy: Any = sound(PAIRS, strength=2.0).lazy()
    with pytest.raises(TypeError, match="pairs: give a collected DataFrame"):
        check(lazy, PAIRS)


def test_the_dictionary_tells_every_column_of_every_table() -> None:
    told = dictionary()
    for place, schema in TABLES.items():
        assert f"`{place}`: {schema.description}" in told
        for name, column in schema.columns.items():
            assert column.description
            row = next(
                line for line in told.splitlines() if line.startswith(f"| `{name}`") and column.description in line
            )
            assert f"| {'yes' if column.nullable else 'no'} |" in row


def test_the_schema_digest_follows_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    before = schema_digest()
    assert before == schema_digest()
    assert len(before) == 64
    monkeypatch.setitem(PAIRS.columns, "strength", PAIRS.columns["p_chosen"])
    assert schema_digest() != before
