"""Tables on disk: same rows, same bytes, whole or not at all; plain types for whoever reads them."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from pipeline.core.errors import PairtrailError
from pipeline.core.exporting.rows import write_rows
from pipeline.core.publishing.content import file_digest
from pipeline.core.rowgroups import RowGroups
from pipeline.core.spill import Spill, parts_for, spilling
from pipeline.core.tables import (
    ROW_GROUP,
    arrow_schema,
    batches_of,
    whole_folder,
    write_json,
    write_sorted,
    write_table,
    write_text,
)
from schemas.columns import CONSENT_REFS, MESSAGES, column, dtypes, identifier, messages, table
from schemas.dictionary import TABLES

Claim = Callable[[Path], AbstractContextManager[Path]]

MIXED = table(
    "mixed",
    "A column of each awkward kind.",
    {
        "comparison_id": identifier("A key.", unique=True),
        "prompt": messages("Nested text."),
        "purposes": column(pl.List(pl.String), "A list."),
        "consent_refs": column(CONSENT_REFS, "Nested, perhaps null.", nullable=True),
        "strength": column(pl.Float64, "A number.", nullable=True, at_least=0.0, at_most=1.0),
    },
)


def rows(count: int) -> pl.DataFrame:
    """Rows in key order."""
    content: dict[str, Any] = {
        "comparison_id": [f"{i:032x}" for i in range(count)],
        "prompt": [[{"role": "user", "content": f"q {i} ü"}] * (1 + i % 3) for i in range(count)],
        "purposes": [["ai-alignment"] * (i % 2) for i in range(count)],
        "consent_refs": [
            None if i % 5 else [{"role": "annotator", "subject": None, "consent_id": "c"}] for i in range(count)
        ],
        "strength": [None if i % 4 == 0 else (i % 7) / 7 for i in range(count)],
    }
    return pl.DataFrame(content, schema=dtypes(MIXED))


def cut(frame: pl.DataFrame, size: int) -> Iterator[pl.DataFrame]:
    yield from frame.iter_slices(size)


def written(frames: Iterable[pl.DataFrame], path: Path) -> Path:
    write_sorted(frames, path, MIXED, {"second": "2", "first": "1"})
    return path


def types_of(kind: Any) -> Iterator[str]:  # noqa: ANN401
    yield str(kind)
    for i in range(kind.num_fields):
        yield from types_of(kind.field(i).type)


@pytest.mark.parametrize("place", TABLES)
def test_no_large_type_ever_appears(place: str, tmp_path: Path) -> None:
    """A loader once took a `large_list` for text and scored its representation."""
    schema = TABLES[place]
    path = tmp_path / "t.parquet"
    write_sorted([pl.DataFrame(schema=dtypes(schema))], path, schema)
    for found in (arrow_schema(schema, {}), parquet.read_schema(path)):
        told = " ".join(kind for field in found for kind in types_of(field.type))
        assert "large" not in told
        assert "view" not in told
        assert found.names == list(schema.columns)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    frame = rows(50)
    path = written([frame], tmp_path / "t.parquet")
    assert pl.read_parquet(path).equals(frame)
    assert pl.read_parquet(path).schema["prompt"] == MESSAGES
    assert parquet.read_table(path).to_pylist() == frame.to_dicts()


def test_row_groups_are_of_one_size_however_the_rows_are_cut(tmp_path: Path) -> None:
    frame = rows(2 * ROW_GROUP + 5)
    found = set()
    for name, frames in {
        "whole": [frame],
        "small": cut(frame, 1_000),
        "odd": [frame.head(1), frame.slice(1, ROW_GROUP), frame.slice(1 + ROW_GROUP)],
        "empty between": [frame.head(0), frame.head(7), frame.head(0), frame.slice(7), frame.head(0)],
        "columns shuffled": [frame.select(reversed(frame.columns))],
    }.items():
        path = written(frames, tmp_path / f"{name}.parquet")
        metadata = parquet.read_metadata(path)
        assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [ROW_GROUP, ROW_GROUP, 5]
        found.add(file_digest(path))
    assert len(found) == 1


def long_rows(count: int) -> pl.DataFrame:
    """Rows whose text, beside 80 bytes or so, is of very different sizes."""
    sizes = [(i * 37) % 400 if i % 9 else 3_000 for i in range(count)]
    prompts = [[{"role": "user", "content": "ü" * (size // 2)}] for size in sizes]
    return rows(count).with_columns(prompt=pl.Series(prompts, dtype=MESSAGES))


def bytes_of_text(value: object) -> int:
    """Count the bytes of all texts inside a value, one by one."""
    if isinstance(value, str):
        return len(value.encode())
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else []
    return sum(map(bytes_of_text, inner))


def groups_expected(frame: pl.DataFrame, limit: int) -> list[int]:
    groups: list[int] = []
    held = 0
    for row in frame.iter_rows():
        size = bytes_of_text(row)
        if not groups or held + size > limit or groups[-1] == ROW_GROUP:
            groups, held = [*groups, 0], 0
        groups[-1], held = groups[-1] + 1, held + size
    return groups


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=6), st.sampled_from([1, 500, 1_000, 2_500, 10_000, 10**9]))
def test_row_groups_end_before_texts_grow_too_large(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int
) -> None:
    """A row group of long prompts once overflowed the 32-bit offsets of plain strings."""
    folder = tmp_path_factory.mktemp("long")
    frame = long_rows(60)
    frames = [frame.slice(low, high - low) for low, high in pairwise([0, *sorted(sizes), 60])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.core.rowgroups._GROUP_BYTES", limit)
        path = written(frames, folder / "cut.parquet")
        assert path.read_bytes() == written([frame], folder / "whole.parquet").read_bytes()
    metadata = parquet.read_metadata(path)
    found = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert found == groups_expected(frame, limit)
    assert pl.concat(batches_of(path)).equals(frame)
    assert [batch.height for batch in batches_of(path)] == found


def test_what_waits_holds_no_text_of_rows_already_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice of a list column keeps the whole column: its cast would overflow where the rows themselves do not."""
    monkeypatch.setattr("pipeline.core.rowgroups._GROUP_BYTES", 10_000)
    groups = RowGroups(arrow_schema(MIXED, {}), ROW_GROUP)
    for group in chain(groups.add(long_rows(200)), groups.rest()):
        assert len(group["prompt"].chunk(0).values) == group.num_rows


@pytest.mark.parametrize("size", [1, 7, 60])
def test_exported_row_groups_are_bounded_and_lose_nothing(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.core.rowgroups._GROUP_BYTES", 2_500)
    frame = long_rows(60)
    path = tmp_path / "rows.parquet"
    assert write_rows(cut(frame, size), path, dtypes(MIXED)) == 60
    metadata = parquet.read_metadata(path)
    found = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert found == [count for piece in cut(frame, size) for count in groups_expected(piece, 2_500)]
    assert pl.read_parquet(path).equals(frame)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 40), max_size=6))
def test_bytes_hang_on_rows_alone(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    folder = tmp_path_factory.mktemp("cuts")
    frame = rows(40)
    bounds = [0, *sorted(sizes), 40]
    frames = [frame.slice(low, high - low) for low, high in pairwise(bounds)]
    assert written(frames, folder / "cut").read_bytes() == written([frame], folder / "whole").read_bytes()


def test_pages_hang_on_rows_alone(tmp_path: Path) -> None:
    """The writer begins a page anew where its input is cut, unless that is put together first."""
    long = rows(4_000).with_columns(
        prompt=pl.col("prompt").list.eval(
            pl.struct(
                pl.element().struct.field("role"),
                content=pl.lit("x ") + pl.element().struct.field("content").repeat_by(300).list.join(" "),
            )
        )
    )
    whole = written([long], tmp_path / "whole.parquet")
    assert whole.read_bytes() == written(cut(long, 700), tmp_path / "cut.parquet").read_bytes()
    assert (
        whole.read_bytes()
        == written([long.head(900).vstack(long.slice(900))], tmp_path / "chunks.parquet").read_bytes()
    )


def test_the_file_is_compressed_has_statistics_and_its_facts_in_order(tmp_path: Path) -> None:
    path = written([rows(30)], tmp_path / "t.parquet")
    metadata = parquet.read_metadata(path)
    chunk = metadata.row_group(0).column(0)
    assert chunk.compression == "ZSTD"
    assert chunk.statistics.min == "0" * 32
    assert chunk.has_column_index
    assert chunk.has_offset_index
    assert metadata.metadata[b"first"] == b"1"
    footer = path.read_bytes()[-metadata.serialized_size :]
    assert 0 < footer.index(b"first") < footer.index(b"second")


def test_a_table_is_sorted_before_it_is_written(tmp_path: Path) -> None:
    frame = rows(100)
    write_table(frame.sample(fraction=1, shuffle=True, seed=5), tmp_path / "t.parquet", MIXED, ["comparison_id"])
    assert pl.read_parquet(tmp_path / "t.parquet").equals(frame)


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    assert write_sorted([], tmp_path / "deep" / "t.parquet", MIXED) == 0
    assert pl.read_parquet(tmp_path / "deep" / "t.parquet").schema == rows(0).schema


def broken_midway() -> Iterator[pl.DataFrame]:
    yield rows(ROW_GROUP)
    msg = "the power went"
    raise OSError(msg)


def test_an_exception_midway_leaves_the_old_file(tmp_path: Path) -> None:
    path = written([rows(3)], tmp_path / "t.parquet")
    before = path.read_bytes()
    with pytest.raises(OSError, match="the power went"):
        written(broken_midway(), path)
    assert path.read_bytes() == before
    with pytest.raises(OSError, match="the power went"):
        written(broken_midway(), tmp_path / "new.parquet")
    assert not (tmp_path / "new.parquet").exists()


def test_a_table_that_breaks_its_schema_is_not_written_and_its_text_not_told(tmp_path: Path) -> None:
    path = written([rows(3)], tmp_path / "t.parquet")
    before = path.read_bytes()
    bad = rows(3).with_columns(strength=pl.lit(7.5), prompt=pl.lit([{"role": "SECRET", "content": "SECRET"}]))
    with pytest.raises(PairtrailError, match=r"t\.parquet was not written: table mixed") as caught:
        written([bad], path)
    assert "SECRET" not in str(caught.value)
    assert path.read_bytes() == before


PAIRED = table(
    "paired",
    "A key of two columns.",
    {"left": column(pl.String, "One half."), "right": column(pl.String, "The other.", nullable=True)},
    unique=["left", "right"],
)


@pytest.mark.parametrize("first", [1, 3, ROW_GROUP])
def test_a_key_that_repeats_across_row_groups_is_refused(first: int, tmp_path: Path) -> None:
    """Inside a group the schema finds it; at the seam of two it was once written."""
    frame = rows(ROW_GROUP)
    frames = [frame.head(first), frame.slice(first), frame.tail(1)]
    with pytest.raises(PairtrailError, match=r"one comparison_id twice, in rows 16,384 and 16,385"):
        written(frames, tmp_path / "t.parquet")
    assert not (tmp_path / "t.parquet").exists()


@pytest.mark.parametrize("right", ["x", None])
def test_a_key_of_two_columns_may_share_one_across_row_groups(
    right: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.core.tables.ROW_GROUP", 2)
    kinds = {"left": pl.String, "right": pl.String}
    sound = pl.DataFrame({"left": ["a", "b", "b"], "right": ["x", right, "y"]}, schema=kinds)
    assert write_sorted([sound], tmp_path / "t.parquet", PAIRED) == 3
    broken = sound.with_columns(right=pl.Series(["x", right, right], dtype=pl.String))
    with pytest.raises(PairtrailError, match="one left, right twice, in rows 2 and 3"):
        write_sorted([broken], tmp_path / "t.parquet", PAIRED)


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    place = tmp_path / "stage"
    for content in ("one", "two"):
        with whole_folder(place) as built:
            write_text(content, built / f"{content}.txt")
            assert not (place / f"{content}.txt").exists()
    assert [path.name for path in place.iterdir()] == ["two.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]


def test_an_exception_midway_leaves_the_old_folder(tmp_path: Path) -> None:
    place = tmp_path / "stage"
    with whole_folder(place) as built:
        write_text("old", built / "kept.txt")

    def fail() -> None:
        with whole_folder(place) as built:
            write_text("new", built / "half.txt")
            msg = "the power went"
            raise OSError(msg)

    with pytest.raises(OSError, match="the power went"):
        fail()
    assert [path.name for path in place.iterdir()] == ["kept.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]


def test_what_a_kill_left_beside_a_folder_is_swept_away(tmp_path: Path) -> None:
    for name in (".stage.part", ".stage.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "text.parquet").write_text("left over")
    with whole_folder(tmp_path / "stage") as built:
        assert not list(built.iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]


def test_a_kill_between_the_two_renames_loses_no_folder(tmp_path: Path) -> None:
    """The old folder has stepped aside, the new one is not in its place; then the next run fails."""
    place = tmp_path / "stage"
    (tmp_path / ".stage.old").mkdir()
    write_text("old", tmp_path / ".stage.old" / "kept.txt")
    (tmp_path / ".stage.part").mkdir()

    def fail() -> None:
        with whole_folder(place):
            msg = "the power went"
            raise OSError(msg)

    with pytest.raises(OSError, match="the power went"):
        fail()
    assert (place / "kept.txt").read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path: Path) -> None:
    place = tmp_path / "stage"
    with whole_folder(place) as built:
        write_text("old", built / "kept.txt")

    def vanish() -> None:
        with whole_folder(place) as built:
            built.rmdir()

    with pytest.raises(FileNotFoundError):
        vanish()
    assert [path.name for path in place.iterdir()] == ["kept.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["stage"]


@pytest.mark.parametrize("claim", [whole_folder, spilling])
def test_a_second_run_leaves_the_first_alone(claim: Claim, tmp_path: Path) -> None:
    """The second once emptied the folder that the first was writing."""
    place = tmp_path / "stage"
    with claim(place) as folder:
        folder.mkdir(exist_ok=True)
        write_text("first", folder / "kept.txt")
        with pytest.raises(PairtrailError, match="another run is at work on stage"), claim(place):
            pass
        assert (folder / "kept.txt").read_text(encoding="utf-8") == "first"
    with claim(place):
        pass
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("claim", [whole_folder, spilling])
def test_a_lock_that_a_killed_run_left_holds_nobody_up(claim: Claim, tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from pipeline.core.alone import alone\n"
        "with alone(Path(sys.argv[1])): os._exit(9)"
    )
    place = tmp_path / "stage"
    assert subprocess.run([sys.executable, "-c", code, str(place)], check=False).returncode == 9
    assert [path.name for path in tmp_path.iterdir()] == [".stage.lock"]
    with claim(place):
        pass
    assert not list(tmp_path.glob(".*"))


def test_a_platform_without_locks_goes_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.core.alone._FCNTL", None)
    with whole_folder(tmp_path / "deep" / "stage") as built:
        write_text("one", built / "one.txt")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["stage"]


def test_json_is_sorted_readable_and_ends_its_line(tmp_path: Path) -> None:
    write_json({"b": [1], "a": "ü"}, tmp_path / "deep" / "x.json")
    assert (tmp_path / "deep" / "x.json").read_bytes() == '{\n  "a": "ü",\n  "b": [\n    1\n  ]\n}\n'.encode()
    assert json.loads((tmp_path / "deep" / "x.json").read_text(encoding="utf-8")) == {"a": "ü", "b": [1]}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.json"]


def hashed(count: int) -> pl.DataFrame:
    """Rows whose ids begin with every digit, in no order."""
    frame = rows(count)
    ids = pl.Series("comparison_id", [f"{i * 2654435761 % 2**32:08x}".rjust(8, "0") + "0" * 24 for i in range(count)])
    return frame.with_columns(ids)


@pytest.mark.parametrize("parts", [1, 16, 256])
@pytest.mark.parametrize("block", [1, 100_000, 2**30])
def test_parts_give_the_file_that_one_sort_gives(
    parts: int, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.core.spill._BLOCK_BYTES", block)
    frame = hashed(1_000)
    spill = Spill(tmp_path / "spill", "comparison_id", parts)
    for piece in cut(frame, 300):
        spill.add(piece)
    if parts > 1 and block == 1:
        assert len(list((tmp_path / "spill").iterdir())) == 4
        assert (tmp_path / "spill").stat().st_mode & 0o077 == 0
    found = written((part.sort("comparison_id") for part in spill.parts()), tmp_path / "parts.parquet")
    whole = written([frame.sort("comparison_id")], tmp_path / "whole.parquet")
    assert found.read_bytes() == whole.read_bytes()
    assert not (tmp_path / "spill").exists()


def test_each_part_holds_the_ids_that_begin_with_its_digits(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "spill", "comparison_id", 16)
    spill.add(hashed(1).with_columns(comparison_id=pl.lit("c" * 32)))
    found = dict(zip(spill.prefixes, spill.parts(), strict=True))
    assert {prefix: part.height for prefix, part in found.items()} == {f"{i:x}": int(i == 12) for i in range(16)}


@pytest.mark.parametrize("value", ["no digest", None, "-1"])
def test_a_key_that_is_no_digest_loses_no_row_in_silence(value: str | None, tmp_path: Path) -> None:
    spill = Spill(tmp_path / "spill", "comparison_id", 16)
    spill.add(hashed(5))
    spill.add(hashed(1).with_columns(comparison_id=pl.lit(value, pl.String)))
    with pytest.raises((PairtrailError, pl.exceptions.PolarsError)):
        list(spill.parts())


def test_an_empty_spill_gives_nothing(tmp_path: Path) -> None:
    for parts in (1, 16):
        spill = Spill(tmp_path / "spill", "comparison_id", parts)
        spill.add(rows(0))
        assert sum(part.height for part in spill.parts()) == 0


def test_texts_that_a_kill_left_are_swept_away(tmp_path: Path) -> None:
    (tmp_path / "spill").mkdir()
    (tmp_path / "spill" / "a-0.arrow").write_text("somebody's text")
    spill = Spill(tmp_path / "spill", "comparison_id", 16)
    assert not (tmp_path / "spill").exists()
    spill.add(hashed(20))
    assert sum(part.height for part in spill.parts()) == 20


def test_parts_are_as_many_as_the_size_asks_for() -> None:
    mebi = 2**20
    assert [parts_for(size * mebi) for size in (0, 1, 256, 257, 4_096, 4_097)] == [1, 1, 1, 16, 16, 256]


def test_parts_without_rows_take_no_room_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.core.spill._BLOCK_BYTES", 1)
    ids = [f"{number % 4:02x}{number:030x}" for number in range(2_000)]
    spill = Spill(tmp_path / "spill", "id", 256)
    spill.add(pl.DataFrame({"id": ids, "texts": [[one, "x" * 50] for one in ids]}))
    assert sum(path.stat().st_size for path in (tmp_path / "spill").iterdir()) < 2 * 2_000 * 120
    assert [part.height for part in spill.parts()] == [500, 500, 500, 500, *[0] * 252]
