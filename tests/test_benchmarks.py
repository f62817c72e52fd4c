"""Benchmarks: each is read whole, or refused with the places of what cannot be read; never with a text."""

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline.core.benchmarks.items import Item, read_items, texts_of
from pipeline.core.benchmarks.sidecars import Benchmark, load_benchmarks
from pipeline.core.errors import PairtrailError
from pipeline.lineage.checking import check
from pipeline.lineage.syncing import wanted_deps
from tests.building import Built, build, lines, record
from tests.hostile import anything

STATED: dict[str, Any] = {"files": ["*.jsonl"], "prompt": "q", "license": "MIT", "attribution": "the tests"}
MARKER = "nobody may read this"


def put(project: Built, name: str, contents: Mapping[str, str | bytes], **changes: Any) -> Built:  # noqa: ANN401
    """Write a benchmark; a change to None takes a key out."""
    folder = project.benchmarks / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    stated = {key: value for key, value in {**STATED, **changes}.items() if value is not None}
    with (folder / "benchmark.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(stated, stream)
    return project


def benchmark(project: Built, *records: dict[str, Any], **changes: Any) -> Benchmark:  # noqa: ANN401
    [found] = load_benchmarks(put(project, "b", {"x.jsonl": lines(*records)}, **changes))
    return found


def refused(project: Built) -> str:
    with pytest.raises(PairtrailError) as caught:
        check(project, [project.benchmarks / "b" / "benchmark.yaml"])
    assert MARKER not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "turns"),
    [
        ("Why?", ["Why?"]),
        (["Why?", "And how?"], ["Why?", "And how?"]),
        ([{"role": "user", "content": "Why?"}], ["Why?"]),
        (
            [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "Why?"},
                {"role": "assistant", "content": "Because."},
                {"role": "user", "content": "How?"},
            ],
            ["Why?", "How?"],
        ),
    ],
)
def test_a_prompt_is_a_text_or_turns_or_messages(value: Any, turns: list[str], project: Built) -> None:  # noqa: ANN401
    assert read_items(benchmark(project, {"deep": {"q": [value]}}, prompt="deep.q.0")) == [
        Item("x.jsonl:1", turns, "x.jsonl", 1)
    ]


def test_each_turn_is_a_text_and_so_is_an_item_of_several() -> None:
    texts = texts_of([Item("one", ["Why?"], "x", 1), Item("two", ["Why?", "How?"], "x", 2)])
    told = texts.with_columns(pl.col("prompt").list.eval(pl.element().struct.field("content")).list.join("/"))
    assert told.rows() == [("one", 1, "Why?"), ("two", 1, "Why?"), ("two", 2, "How?"), ("two", None, "Why?/How?")]


def test_an_id_is_what_the_sidecar_names_or_the_place(project: Built) -> None:
    records: list[dict[str, Any]] = [{"q": "Why?", "id": 7}, {"q": "How?", "id": " k-1 "}]
    assert [one.item for one in read_items(benchmark(project, *records, item="id"))] == ["7", "k-1"]
    put(project, "b", {"deep/y.jsonl": lines({"q": "Who?"})}, files=["**/*.jsonl"])
    assert [one.item for one in read_items(load_benchmarks(project)[0])] == ["deep/y.jsonl:1", "x.jsonl:1", "x.jsonl:2"]


@pytest.mark.parametrize(
    "ids", [("a", "a"), (1, "1"), ("a", None), ("a", ""), ("a", True), ("a", 1.5), ("a", "x" * 129)]
)
def test_an_id_names_one_item(ids: tuple[Any, Any], project: Built) -> None:
    benchmark(project, *({"q": f"{MARKER} {place}", "id": one} for place, one in enumerate(ids)), item="id")
    assert re.search(
        r"x\.jsonl:1 and x\.jsonl:2 have one id at `id`|x\.jsonl:2: `id`: an id is needed", refused(project)
    )


def test_formats(project: Built) -> None:
    folder = put(project, "b", {"x.csv": "id,q\n1,Why?\n"}, format="csv", files=["*.csv"]).benchmarks / "b"
    assert read_items(load_benchmarks(project)[0])[0].turns == ["Why?"]
    pl.DataFrame({"q": [["Why?", "How?"]]}).write_parquet(folder / "x.parquet")
    put(project, "b", {}, format="parquet", files=["*.parquet"], ignore=["*.csv"])
    assert read_items(load_benchmarks(project)[0])[0].turns == ["Why?", "How?"]
    put(
        project,
        "b",
        {"x.json": f'[{{"q": "{MARKER}"}}, {{"q": "Who?"}}]'},
        files=["*.json"],
        ignore=["x.csv", "*.parquet"],
    )
    assert len(read_items(load_benchmarks(project)[0])) == 2


@pytest.mark.parametrize(
    "value",
    [None, "", "  \n", [], [MARKER, " "], [MARKER, None], 7, {"text": MARKER}, [[MARKER]], [{"role": "user"}],
     [{"role": "human", "content": MARKER}], [{"role": "system", "content": MARKER}], [{"role": ["user"]}],
     [{"role": "user", "content": [MARKER]}], [{"role": "user", "content": MARKER}, MARKER]],
)  # fmt: skip
def test_what_has_no_prompt_is_refused_by_its_place_and_count(value: Any, project: Built) -> None:  # noqa: ANN401
    benchmark(project, {"q": MARKER}, {"q": value}, {"q": value})
    said = refused(project)
    assert "benchmark b: 2 records give no item" in said
    assert "x.jsonl:2: `q`: " in said
    assert "x.jsonl:3: `q`: " in said
    assert "`unread: 2`" in said


def test_what_is_known_to_be_unread_is_stated_and_exact(project: Built) -> None:
    records: list[dict[str, Any]] = [{"q": "Why?"}, {}, {"q": None}]
    assert len(read_items(benchmark(project, *records, unread=2))) == 1
    for stated in (0, 1, 3):
        benchmark(project, *records, unread=stated)
        assert "2 records give no item" in refused(project)
    benchmark(project, {}, unread=1)
    assert "no item" in refused(project)
    put(project, "b", {}, unread=-1)
    assert "`unread` is -1" in refused(project)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"[" * 100_000, b'{"q": NaN}', b'{"q": "\\ud83d"}', b'{"q": "a", "q": "b"}',
     b'{"q": "' + b"x" * 2**25, b"null", b"PAR1", b"\x1f\x8b\x08broken", b'{"q": "' + MARKER.encode() + b'"\n'],
)  # fmt: skip
def test_hostile_files_end_in_a_refusal(content: bytes, project: Built) -> None:
    put(project, "b", {"x.jsonl": content})
    assert "1 records give no item" in refused(project)


@given(st.lists(st.dictionaries(st.sampled_from(["q", "id"]), anything(["role", "content", "user"])), min_size=1))
def test_any_record_is_an_item_or_refused(records: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        found = benchmark(build(Path(folder) / "project"), *records, item="id")
        try:
            items = read_items(found)
        except PairtrailError as error:
            assert re.search("records give no item|have one id|no item", str(error))  # noqa: PT017
        else:
            assert len(items) == len(records)
            assert texts_of(items).height >= len(items)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"prompt": None}, "missing key `prompt`"),
        ({"license": None}, "missing key `license`"),
        ({"attribution": " "}, "`attribution`"),
        ({"promt": "q"}, "unknown key `promt`; did you mean `prompt`?"),
        ({"license": "ours"}, "`license`: not an SPDX licence expression"),
        ({"files": []}, "`files` names no file"),
        ({"files": ["../*.jsonl"]}, "leaves the benchmark's folder"),
        ({"files": ["*.jsonl", "*.csv"]}, "glob `*.csv` matches no file"),
        ({"files": ["x.jsonl"]}, "z.jsonl: no glob names it"),
        ({"files": ["x.jsonl", "y.jsonl", "z.jsonl"], "format": "xml"}, "`format`"),
        ({"item": "q"}, "`item` and `prompt` are one path"),
    ],
)
def test_faults_of_a_sidecar(changes: dict[str, Any], fault: str, project: Built) -> None:
    put(project, "b", {name: lines({"q": MARKER}) for name in ("x.jsonl", "y.jsonl", "z.jsonl")}, **changes)
    assert fault in refused(project)


@pytest.mark.parametrize("text", ["", "a", "[1]", "files: {"])
def test_a_sidecar_that_is_no_mapping(text: str, project: Built) -> None:
    benchmark(project, {"q": "Why?"})
    (project.benchmarks / "b" / "benchmark.yaml").write_text(text)
    assert "benchmark.yaml: " in refused(project)


def test_what_was_never_pulled_is_no_smaller_benchmark(project: Built) -> None:
    benchmark(project, {"q": "Why?"})
    (project.benchmarks / "b" / "y.jsonl.dvc").write_text("outs: []")
    assert "y.jsonl: not pulled; run `dvc pull`" in refused(project)


def test_a_folder_without_a_sidecar_is_refused(project: Built) -> None:
    (project.benchmarks / "b").mkdir(parents=True)
    with pytest.raises(PairtrailError, match=r"no benchmark\.yaml; a benchmark must state"):
        load_benchmarks(project)


def test_check_reads_every_benchmark_and_says_how_much(project: Built) -> None:
    benchmark(project, {"q": ["Why?", "How?"]}, {"q": "Who?"})
    assert check(project, [project.benchmarks / "b" / "benchmark.yaml"]) == [
        f"{project.benchmarks / 'b' / 'benchmark.yaml'}: 2 items, 4 texts"
    ]


def test_its_files_are_deps_of_decontaminate_alone(project: Built) -> None:
    benchmark(project, {"q": "Why?"})
    project.source("s", {"x.jsonl": lines(record())})
    files = ["data/benchmarks/b/benchmark.yaml", "data/benchmarks/b/x.jsonl"]
    for stage in ("ingest", "validate", "dedupe", "decontaminate", "split", "publish"):
        found = [dep for dep in wanted_deps(project, stage) if dep.startswith("data/benchmarks/")]
        assert found == (files if stage == "decontaminate" else [])


def test_the_digest_follows_names_and_contents(project: Built) -> None:
    digests = {benchmark(project, {"q": text}).sha256() for text in ("Why?", "How?")}
    put(project, "b", {"z.jsonl": lines({"q": "How?"})})
    digests.add(load_benchmarks(project)[0].sha256())
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("data/benchmarks.dvc", "data/benchmarks: not pulled; run `dvc pull`"),
        ("data/benchmarks/c.dvc", "data/benchmarks/c: not pulled; run `dvc pull`"),
        ("data/benchmarks/x.jsonl", "data/benchmarks/x.jsonl: no folder; a benchmark is a folder with its files"),
    ],
)
def test_what_lies_beside_the_benchmarks_is_not_missed(at: str, told: str, project: Built) -> None:
    path = project.root / at
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("outs: []", encoding="utf-8")
    for look in (lambda: load_benchmarks(project), lambda: check(project, [])):
        with pytest.raises(PairtrailError, match=re.escape(told)):
            look()


def test_a_folder_that_was_pulled_is_a_benchmark(project: Built) -> None:
    put(project, "b", {"x.jsonl": lines({"q": "Why?"})})
    for name in ("b.dvc", ".gitignore"):
        (project.benchmarks / name).write_text("outs: []", encoding="utf-8")
    (project.root / "data/benchmarks.dvc").write_text("outs: []", encoding="utf-8")
    assert [one.name for one in load_benchmarks(project)] == ["b"]
