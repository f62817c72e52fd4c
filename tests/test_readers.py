"""Whoever opens the published files sees the same rows, in plain types, without a line of our code."""

import json
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from pyarrow import parquet

from schemas.published import PUBLISHED as SCHEMAS
from schemas.vocabulary import SIDES
from tests.building import SIDECAR, Built, build, lines, record

PUBLISHED = [(side, table) for side in SIDES for table in ("pairs", "ties", "votes")]
OPEN_SIDES = ("train", "validation")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with conversations, ties, nulls, times and awkward characters on every side."""
    fields = {**SIDECAR["fields"], "prompt": {"messages": "turns"}, "strength": "sure", "created_at": "at"}
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
    ]
    rows = [
        record(
            turns=[
                *turns[: 3 * (i % 2)],
                {"role": "user", "content": f'Nr. {i}: \u65e5\u672c\u8a9e \U0001f600 "quoted"\r\n\ttabbed'},
            ],
            preference=("a", "b", "tie", "both_bad")[i % 4],
            annotator=f"ann-{i % 3}",
            sure=(None, 0.25, 1)[i % 3],
            at=("2026-01-02T03:04:05Z", "1969-12-31", None)[i % 3],
        )
        for i in range(90)
    ]
    project: Built = build(tmp_path_factory.mktemp("readers") / "project")
    return project.source("s", {"x.jsonl": lines(*rows)}, fields=fields).run().stage("publish")


def by_pyarrow(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.read_table(path, partitioning=None).to_pylist()
    return rows


def by_duckdb(path: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        found = connection.execute("select * from read_parquet(?, hive_partitioning = false)", [str(path)])
        names = [column[0] for column in found.description or []]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.mark.parametrize(("side", "table"), PUBLISHED)
def test_pyarrow_polars_and_duckdb_see_the_same_rows(side: str, table: str, published: Path) -> None:
    path = published / side / f"{table}.parquet"
    rows = by_pyarrow(path)
    assert rows
    assert pl.read_parquet(path).to_dicts() == rows
    assert by_duckdb(path) == rows


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401
    """Hugging Face `datasets`, cut off from the hub, with a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in (
            "HF_HUB_OFFLINE",
            "HF_DATASETS_OFFLINE",
            "HF_HUB_DISABLE_TELEMETRY",
            "HF_DATASETS_DISABLE_PROGRESS_BARS",
        ):
            patch.setenv(name, "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        import datasets

        yield lambda folder, name=None: datasets.load_dataset(
            str(folder), *([name] if name else []), cache_dir=str(tmp_path_factory.getbasetemp() / "cache")
        )


@pytest.mark.parametrize("table", ["pairs", "ties", "votes"])
def test_datasets_obeys_the_card(table: str, published: Path, hub: Any) -> None:  # noqa: ANN401
    """`load_dataset` on the folder gives train and validation, and never a held-out row."""
    found = hub(published, table)
    assert set(found) == set(OPEN_SIDES)
    for side in OPEN_SIDES:
        assert found[side].to_list() == by_pyarrow(published / side / f"{table}.parquet")


def test_pairs_come_where_no_configuration_is_named(published: Path, hub: Any) -> None:  # noqa: ANN401
    assert hub(published)["train"].to_list() == by_pyarrow(published / "train/pairs.parquet")


def test_a_split_without_rows_does_not_stop_the_others(tmp_path: Path, hub: Any) -> None:  # noqa: ANN401
    """`load_dataset` fails on a file without rows, so the card names none."""
    folder = build(tmp_path / "project").source("s", {"x.jsonl": lines(record())}).run().stage("publish")
    rows = {side: by_pyarrow(folder / side / "pairs.parquet") for side in SIDES}
    filled = {side for side in OPEN_SIDES if rows[side]}
    assert sum(map(len, rows.values())) == len(filled) == 1
    for table in ("pairs", "votes"):
        assert set(hub(folder, table)) == filled
    for side, table in PUBLISHED:
        path = folder / side / f"{table}.parquet"
        assert by_duckdb(path) == by_pyarrow(path) == pl.read_parquet(path).to_dicts()


def test_a_prompt_is_a_list_of_messages_and_never_its_representation(published: Path, hub: Any) -> None:  # noqa: ANN401
    for row in hub(published, "pairs")["train"]:
        assert isinstance(row["prompt"], list)
        assert row["prompt"]
        for message in row["prompt"]:
            assert set(message) == {"role", "content"}
            assert all(type(value) is str for value in message.values())
        assert row["prompt"][-1]["role"] == "user"


@pytest.mark.parametrize("side", SIDES)
def test_no_text_is_null_and_chosen_is_not_rejected(side: str, published: Path) -> None:
    for table, texts in (("pairs", ("prompt", "chosen", "rejected")), ("ties", ("prompt", "response_a", "response_b"))):
        found = parquet.read_table(published / side / f"{table}.parquet")
        assert [found[name].null_count for name in texts] == [0, 0, 0]
        for row in found.to_pylist():
            assert row[texts[1]] != row[texts[2]]
            assert all(row[name] for name in texts)


@pytest.mark.parametrize(("side", "table"), PUBLISHED)
def test_types_are_plain_and_rows_sorted_by_key(side: str, table: str, published: Path) -> None:
    path = published / side / f"{table}.parquet"
    schema = parquet.read_schema(path)
    assert schema.names == list(SCHEMAS[f"{side}/{table}.parquet"].columns)
    told = str(schema.remove_metadata())
    assert not [word for word in ("large", "view", "dictionary", "duration", "extension") if word in told]
    key = ["pair_id", "policy_version", "rubric_version", *(["comparison_id"] if table == "votes" else [])]
    keys = [tuple(row[name] for name in key) for row in by_pyarrow(path)]
    assert keys == sorted(set(keys))


def test_every_file_carries_the_facts_of_the_manifest(published: Path) -> None:
    manifest = json.loads((published / "manifest.json").read_text(encoding="utf-8"))
    facts = {name: value for name, value in manifest.items() if name != "files"}
    for side, table in PUBLISHED:
        path = published / side / f"{table}.parquet"
        assert json.loads(parquet.read_schema(path).metadata[b"pairtrail"]) == facts
        assert manifest["files"][f"{side}/{table}.parquet"]["rows"] == len(by_pyarrow(path))
