"""Export: what is refused, what is left out, what the receipt says, and that nothing else in a folder is touched."""

import hashlib
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pyarrow as arrow
import pytest
from pyarrow import parquet

from pipeline.cli import app
from pipeline.core import tables
from pipeline.core.errors import PairtrailError
from pipeline.core.exporting.tasks import Options, Task
from pipeline.core.project import Project
from pipeline.core.publishing.content import file_digest
from pipeline.exporters import exporter_for, exporter_names
from pipeline.lineage import export as exporting
from pipeline.lineage.export import Request, export, told
from schemas.columns import dtypes
from schemas.published import HELDOUT_TIES
from tests.building import SIDECAR, Built, build, lines, record
from tests.exporting import MARK, pair, pairs, publish, responses
from tests.pages import PAGES, blocks

MARKER = "somebody's text"
KINDS = [(kind, task) for kind in exporter_names() for task in exporter_for(kind).TASKS]
each_kind = pytest.mark.parametrize(("kind", "task"), KINDS)


def asked(out: Path, **changes: Any) -> Request:  # noqa: ANN401
    return Request(**{"format": "trl", "split": "train", "out": out, **changes})


def some(count: int = 5, **changes: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [pair(("user", f"{MARKER} {i}?"), **changes) for i in range(count)]


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refused(project: Project, out: Path, **changes: Any) -> str:  # noqa: ANN401
    before = out.exists() and out.is_dir() and digests(out)
    with pytest.raises(PairtrailError) as error:
        export(project, asked(out, **changes))
    assert (out.exists() and out.is_dir() and digests(out)) == before
    assert MARKER not in str(error.value)
    return str(error.value)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return publish(tmp_path / "project", *some())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "exports" / "here"


def test_the_receipt_says_what_was_written_from_what(project: Project, out: Path) -> None:
    receipt = export(project, asked(out, task="reward", margin_scale=2.0))
    assert receipt == json.loads((out / "export.json").read_text(encoding="utf-8"))
    manifest = hashlib.sha256((project.root / "data/publish/manifest.json").read_bytes()).hexdigest()
    assert receipt == {
        "receipt": "pairtrail-export-1",
        "format": "trl",
        "task": "reward",
        "split": "train",
        "heldout_reason": None,
        "rubric": None,
        "policy": None,
        "read": {"from": "pairs", "rows": 5},
        "rows": 5,
        "left_out": {},
        "file": "train.parquet",
        "columns": ["prompt", "chosen", "rejected", "margin", "pair_id"],
        "canary": None,
        "margin_scale": 2.0,
        "margin_omitted": None,
        "negative_margins": 0,
        "judged_under": {"policies": {"p-1": 5}, "rubrics": {"r-1": 5}, "licenses": {"CC0-1.0": 5}},
        "files": {name: digest for name, digest in digests(out).items() if name != "export.json"},
        "manifest_sha256": manifest,
    }


def test_the_first_task_is_the_one_when_none_is_given(project: Project, out: Path) -> None:
    assert export(project, asked(out))["task"] == next(iter(exporter_for("trl").TASKS)) == "dpo"


def test_what_is_unknown_is_told_with_what_is_known(project: Project, out: Path) -> None:
    assert f"(known: {', '.join(exporter_names())})" in refused(project, out, format="nobody")
    assert "trl has no task `ppo` (known: dpo, reward, kto)" in refused(project, out, task="ppo")
    assert "unknown split `test` (known: train, validation, heldout)" in refused(project, out, split="test")


@pytest.mark.parametrize("reason", [None, "", "  \n"])
def test_heldout_is_refused_without_a_reason(tmp_path: Path, out: Path, reason: str | None) -> None:
    project = publish(tmp_path / "project", *some(), side="heldout")
    assert "--heldout REASON" in refused(project, out, split="heldout", heldout=reason)
    assert not out.exists()


@pytest.mark.parametrize("reason", ["an audit\n", "\udcff", "\x1b[2J", "an\u2028audit"])
def test_a_reason_that_cannot_be_printed_is_refused(tmp_path: Path, out: Path, reason: str) -> None:
    project = publish(tmp_path / "project", *some(), side="heldout")
    assert "can be printed" in refused(project, out, split="heldout", heldout=reason)
    assert not out.exists()


def test_the_reason_for_heldout_is_told_and_kept(tmp_path: Path, out: Path) -> None:
    project = publish(tmp_path / "project", *some(), side="heldout")
    receipt = export(project, asked(out, split="heldout", heldout="the yearly audit"))
    assert receipt["heldout_reason"] == "the yearly audit"
    assert "heldout, because: the yearly audit" in told(receipt)
    assert [path.name for path in sorted(out.iterdir())] == [
        ".gitignore",
        "README.md",
        "export.json",
        "heldout.parquet",
    ]


@each_kind
def test_held_out_rows_bear_their_canary_where_the_format_has_room(
    tmp_path: Path, out: Path, kind: str, task: str
) -> None:
    project = publish(tmp_path / "project", *some(), side="heldout")
    receipt = export(project, asked(out, format=kind, task=task, split="heldout", heldout="an audit"))
    read = pl.read_parquet if receipt["file"].endswith(".parquet") else pl.read_ndjson
    rows = read(out / receipt["file"])
    assert rows.columns == receipt["columns"]
    assert receipt["canary"] == MARK
    if kind == "openai":
        assert MARK not in (out / receipt["file"]).read_text(encoding="utf-8")
        assert "no canary: openai has no room for one, so nothing in these rows says that they are held out" in told(
            receipt
        )
    else:
        assert rows["canary"].to_list() == [MARK] * rows.height != []
        assert "canary" not in told(receipt)


@each_kind
def test_no_other_side_bears_a_canary(tmp_path: Path, out: Path, kind: str, task: str) -> None:
    project = publish(tmp_path / "project", *some())
    receipt = export(project, asked(out, format=kind, task=task))
    assert (receipt["canary"], "canary" in receipt["columns"]) == (None, False)
    assert "canary" not in told(receipt)


def test_a_side_of_ties_alone_bears_its_canary(tmp_path: Path, out: Path) -> None:
    """A tie says nothing of its responses, but `both_bad` does: KTO learns from it."""
    project = publish(tmp_path / "project", side="heldout")
    path = project.stage("publish") / "heldout" / "ties.parquet"
    texts = {"prompt": [{"role": "user", "content": "Q?"}], "response_a": "A.", "response_b": "B.", "canary": MARK}
    ids = dict.fromkeys(["pair_id", "root_id", "prompt_id"], "0" * 32)
    facts = {"policy_version": "p-1", "rubric_version": "r-1", "fold": "human", "license": "CC0-1.0", "p_a": 0.5}
    lists: dict[str, Any] = {"purposes": [], "sources": [], "comparison_ids": []}
    tie = {**ids, **texts, **facts, **lists, "votes": {"a": 0, "b": 0, "tie": 0, "both_bad": 1}}
    rows = pl.DataFrame([{name: tie.get(name) for name in dtypes(HELDOUT_TIES)}], schema=dtypes(HELDOUT_TIES))
    tables.write_table(rows, path, HELDOUT_TIES, by=["pair_id", "policy_version", "rubric_version"])
    manifest = project.stage("publish") / "manifest.json"
    described = json.loads(manifest.read_text(encoding="utf-8"))
    described["files"]["heldout/ties.parquet"]["sha256"] = file_digest(path)
    manifest.write_text(json.dumps(described), encoding="utf-8")
    export(project, asked(out, task="kto", split="heldout", heldout="an audit"))
    assert pl.read_parquet(out / "heldout.parquet")["canary"].to_list() == [MARK] * 2


def test_files_that_were_published_without_a_canary_are_said_to_have_none(tmp_path: Path, out: Path) -> None:
    project = publish(tmp_path / "project", *some())
    folder = project.stage("publish")
    (folder / "train").rename(folder / "heldout")
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace("train/", "heldout/"), encoding="utf-8")
    receipt = export(project, asked(out, split="heldout", heldout="an audit"))
    assert (receipt["canary"], receipt["rows"]) == (None, 5)
    assert "no canary: the published files have none" in told(receipt)


@pytest.mark.parametrize("kind", ["trl", "openai"])
def test_heldout_is_never_called_train(tmp_path: Path, out: Path, kind: str) -> None:
    """Given a folder, `datasets` calls what it does not know `train`."""
    datasets = pytest.importorskip("datasets")
    project = publish(tmp_path / "project", *some(), side="heldout")
    export(project, asked(out, format=kind, split="heldout", heldout="the yearly audit"))
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"heldout": 5}


def test_a_reason_for_heldout_goes_with_no_other_side(project: Project, out: Path) -> None:
    assert "leave it out" in refused(project, out, heldout="because")


def test_one_unknown_strength_omits_the_margin_and_says_so(tmp_path: Path, out: Path) -> None:
    project = publish(tmp_path / "project", *some(), pair(("user", "Q?"), strength=None))
    receipt = export(project, asked(out, task="reward"))
    assert "margin" not in parquet.read_schema(out / "train.parquet").names
    assert (receipt["rows"], receipt["margin_omitted"], receipt["margin_scale"]) == (6, {"no_strength": 1}, None)
    assert "no margin column: 1 pairs state no strength; --require-strength leaves them out" in told(receipt)


def test_required_strengths_leave_out_what_has_none_and_say_so(tmp_path: Path, out: Path) -> None:
    lacking = [pair(("user", f"{i}?"), strength=None) for i in range(3)]
    project = publish(tmp_path / "project", *some(), *lacking)
    receipt = export(project, asked(out, task="reward", require_strength=True, margin_scale=3.0))
    assert pl.read_parquet(out / "train.parquet")["margin"].to_list() == [1.5] * 5
    assert (receipt["rows"], receipt["left_out"]) == (5, {"no_strength": 3})
    assert "trl reward: 5 of 8 pairs of train" in told(receipt)
    assert "left out: no_strength 3" in told(receipt)


def test_a_margin_is_the_scale_times_the_strength_and_keeps_its_sign(tmp_path: Path, out: Path) -> None:
    strengths = [0.25, -0.5, 0.0, 1.0]
    project = publish(tmp_path / "project", *[pair(("user", f"{s}?"), strength=s) for s in strengths])
    receipt = export(project, asked(out, task="reward", margin_scale=0.5))
    assert sorted(pl.read_parquet(out / "train.parquet")["margin"]) == [-0.25, 0.0, 0.125, 0.5]
    assert receipt["negative_margins"] == 1
    assert "negative margins: 1" in told(receipt)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(project: Project, out: Path, scale: float) -> None:
    assert "finite number above 0" in refused(project, out, task="reward", margin_scale=scale)


@pytest.mark.parametrize("changes", [{"margin_scale": 2.0}, {"require_strength": True}])
def test_what_a_task_without_a_margin_would_ignore_is_refused(
    project: Project, out: Path, changes: dict[str, Any]
) -> None:
    assert "carry no margin" in refused(project, out, task="dpo", **changes)


def test_the_project_s_data_is_no_place_for_an_export(project: Project, tmp_path: Path) -> None:
    for place in ("data", "data/publish", "data/exports/new", "x/../data/new"):
        assert "data/ is for what stages" in refused(project, project.root / place)
    (tmp_path / "link").symlink_to(project.root / "data")
    assert "data/ is for what stages" in refused(project, tmp_path / "link" / "new")


@pytest.mark.parametrize("receipt", [None, "{", "[]", "{}", '{"receipt": "another", "files": {"keep.txt": ""}}'])
def test_a_folder_of_somebody_else_s_is_left_alone(project: Project, out: Path, receipt: str | None) -> None:
    out.mkdir(parents=True)
    (out / "keep.txt").write_text("kept", encoding="utf-8")
    if receipt is not None:
        (out / "export.json").write_text(receipt, encoding="utf-8")
    assert f"holds {1 + (receipt is not None)} files that no export wrote" in refused(project, out)


def test_a_file_is_no_folder(project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    assert "is no folder" in refused(project, tmp_path / "file")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "kept"


def test_a_place_that_cannot_be_written_is_told(project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "nothing was written" in refused(project, tmp_path / "file" / "out")


def test_an_earlier_export_is_replaced_whole(project: Project, out: Path) -> None:
    out.mkdir(parents=True)
    export(project, asked(out, format="rewardbench"))
    export(project, asked(out, format="openai"))
    assert sorted(digests(out)) == [".gitignore", "README.md", "export.json", "pair_ids.txt", "train.jsonl"]
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    assert "holds 1 files that no export wrote" in refused(project, out)


def test_git_adds_no_export_wherever_it_lies(tmp_path: Path) -> None:
    project = publish(tmp_path / "project", *some(), side="heldout")
    place = tmp_path / "repo" / "docs" / "out"
    git = ("git", "-C", str(tmp_path / "repo"))
    for _ in range(2):
        export(project, asked(place, split="heldout", heldout="the yearly audit"))
    subprocess.run([*git, "init", "-q"], check=True)
    (place.parent / "page.md").touch()
    subprocess.run([*git, "add", "-A"], check=True)
    staged = subprocess.run([*git, "ls-files"], check=True, capture_output=True, text=True).stdout
    assert staged.split() == ["docs/page.md"]


@pytest.mark.parametrize("name", [".here.old", ".here.part", ".here.new"])
def test_what_lies_beside_an_export_is_left_alone(project: Project, out: Path, name: str) -> None:
    notes = out.parent / name / "notes"
    notes.parent.mkdir(parents=True)
    notes.write_text("mine", encoding="utf-8")
    for _ in range(2):
        export(project, asked(out))
    assert notes.read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in out.parent.iterdir()) == sorted([out.name, name])


def test_an_export_that_cannot_take_its_place_gives_it_back(
    project: Project, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(project, asked(out))
    replace = Path.replace

    def broken(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(5, "Input/output error")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", broken)
    assert "nothing was written: Input/output error" in refused(project, out, format="openai")
    assert (out / "train.parquet").is_file()
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_fault_half_way_changes_nothing(project: Project, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(project, asked(out))

    def broken(*_: object) -> pl.DataFrame:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "write_rows", broken)
    assert "nothing was written: No space left on device" in refused(project, out)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_rows_that_the_manifest_does_not_describe_are_refused(project: Project, out: Path) -> None:
    train = project.root / "data/publish/train"
    (train / "ties.parquet").write_bytes((train / "pairs.parquet").read_bytes())
    assert "train/ties.parquet is not the file that manifest.json describes" in refused(project, out)
    (project.root / "data/publish/manifest.json").unlink()
    assert "run `pairtrail publish` first" in refused(project, out)


@pytest.mark.parametrize(
    "manifest", ["", "{", "[]", "{}", "null", '{"files": 1}', '{"files": {"x": 1}}', "[" * 100_000, "\udcff"]
)
def test_a_manifest_that_is_none_is_told(project: Project, out: Path, manifest: str) -> None:
    file = project.root / "data/publish/manifest.json"
    file.write_bytes(manifest.encode("utf-8", "surrogateescape"))
    assert "publish/manifest.json is not as `pairtrail publish` writes it" in refused(project, out)
    assert not out.exists()


def test_an_export_of_nothing_is_refused(tmp_path: Path, out: Path) -> None:
    project = publish(tmp_path / "project", *some(2, strength=None))
    assert "nothing to export for trl reward: no_strength 2" in refused(
        project, out, task="reward", require_strength=True
    )
    assert "it is empty" in refused(publish(tmp_path / "none"), out)


@each_kind
def test_same_rows_same_bytes_in_any_order_and_folder(tmp_path: Path, kind: str, task: str) -> None:
    rows = [*some(4), pair(("user", "Ja?"), ("assistant", "Nein\u2028\u0085 {'é'}"), ("user", 'Wo?\n"\t'))]
    for name, given in (("one", rows), ("two", rows[::-1])):
        export(publish(tmp_path / name / "project", *given), asked(tmp_path / name / "out", format=kind, task=task))
    assert digests(tmp_path / "one/out") == digests(tmp_path / "two/out")


@each_kind
def test_an_exporter_keeps_every_row_in_its_order_with_the_columns_of_no_rows(kind: str, task: str) -> None:
    exporter = exporter_for(kind)
    declared = exporter.TASKS[task]
    rows = sorted(some(3), key=lambda row: row["pair_id"])
    told_rows = [{**row, "response": "Yes.", "desirable": True, "votes_for": 1, "votes_against": 0} for row in rows]
    published = pairs(*rows) if declared.table == "pairs" else responses(*told_rows)
    options = Options("train.x", 1.0 if declared.margin else None)
    shaped = exporter.rows(published, task, options)
    assert shaped.height == 3
    assert shaped.schema == exporter.rows(published.clear(), task, options).schema
    assert ("margin" in str(shaped.schema)) == declared.margin
    assert exporter.KIND in {"jsonl", "parquet"}
    assert all(MARKER in json.dumps(row) for row in shaped.to_dicts())
    for name in {"pair_id", "id"} & set(shaped.columns):
        assert shaped[name].to_list() == published["pair_id"].to_list()


@pytest.mark.parametrize("task", ["dpo", "kto"])
def test_batches_are_bounded_and_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    project = publish(tmp_path / "project", *some(7))
    export(project, asked(tmp_path / "whole", task=task))
    monkeypatch.setattr(tables, "ROW_GROUP", 2)
    seen: list[int] = []
    trl = exporter_for("trl")

    def watched(published: pl.DataFrame, *rest: Any) -> pl.DataFrame:  # noqa: ANN401
        seen.append(published.height)
        return trl.rows(published, *rest)

    monkeypatch.setattr(
        exporting, "exporter_for", lambda _: SimpleNamespace(TASKS=trl.TASKS, KIND="jsonl", rows=watched)
    )
    export(project, asked(tmp_path / "cut", task=task))
    most = 2 if task == "dpo" else 4
    assert len(seen) > 3
    assert max(seen) <= most
    whole = pl.read_parquet(tmp_path / "whole/train.parquet").to_dicts()
    cut = [json.loads(line) for line in (tmp_path / "cut/train.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    assert sorted(cut, key=json.dumps) == sorted(whole, key=json.dumps)
    assert task == "kto" or cut == whole


def test_an_exporter_that_loses_a_row_is_found_out(
    project: Project, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trl = exporter_for("trl")
    lossy = SimpleNamespace(TASKS=trl.TASKS, KIND="jsonl", rows=lambda *given: trl.rows(*given).head(4))
    monkeypatch.setattr(exporting, "exporter_for", lambda _: lossy)
    assert "does not add up: 5 is not 4 rows" in refused(project, out)


def test_the_first_reason_that_holds_counts(project: Project, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trl = exporter_for("trl")
    unfit = {"null": pl.lit(None, pl.Boolean), "some": pl.col("prompt_id") < "8", "more": pl.col("prompt_id") < "c"}
    picky = SimpleNamespace(TASKS={"dpo": Task("x", unfit=unfit)}, KIND="jsonl", rows=trl.rows)
    monkeypatch.setattr(exporting, "exporter_for", lambda _: picky)
    ids = [row["prompt_id"] for row in some()]
    expected = {"some": sum(one < "8" for one in ids), "more": sum("8" <= one < "c" for one in ids)}
    assert all(expected.values()), "choose other texts"
    receipt = export(project, asked(out))
    assert receipt["left_out"] == expected
    assert receipt["rows"] == 5 - sum(expected.values())


def test_rows_that_cannot_name_their_pair_are_named_beside(project: Project, out: Path) -> None:
    export(project, asked(out, format="openai"))
    lines_ = [json.loads(line) for line in (out / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    named = {row["pair_id"]: row["prompt"] for row in some()}
    ids = (out / "pair_ids.txt").read_text(encoding="utf-8").splitlines()
    assert [named[one] for one in ids] == [line["input"]["messages"] for line in lines_]
    assert ids == sorted(named)


def test_parquet_has_plain_lists_and_strings(project: Project, out: Path) -> None:
    export(project, asked(out))
    schema = parquet.read_schema(out / "train.parquet")
    message = arrow.struct([("role", arrow.string()), ("content", arrow.string())])
    assert schema.field("prompt").type == schema.field("chosen").type == arrow.list_(arrow.field("element", message))
    assert schema.field("pair_id").type == arrow.string()


def test_several_rubrics_are_told(tmp_path: Path, out: Path) -> None:
    project = publish(tmp_path / "project", *some(2), *some(1, rubric_version="r-2"))
    receipt = export(project, asked(out))
    assert receipt["judged_under"]["rubrics"] == {"r-1": 2, "r-2": 1}
    assert "several rubrics, each with its own rows: r-1, r-2; one pair may stand twice" in told(receipt)
    assert "several policies" not in told(receipt)


def opposed(project: Path) -> Project:
    """Two pairs judged under two rubrics each, the sides the other way round; one more under another policy."""
    turned = {"rubric_version": "r-2", "chosen": "No.", "rejected": "Yes.", "strength": None}
    return publish(project, *some(2), *some(2, **turned), *some(1, rubric_version="r-2", policy_version="p-2"))


@pytest.mark.parametrize("task", ["dpo", "reward"])
@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"rubric": "r-1"}, (["Yes.", "Yes."], {"other_rubric": 3})),
        ({"rubric": "r-2", "policy": "p-1"}, (["No.", "No."], {"other_policy": 1, "other_rubric": 2})),
        ({"policy": "p-2"}, (["Yes."], {"other_policy": 4})),
        ({"rubric": "r-1", "policy": "p-1"}, (["Yes.", "Yes."], {"other_rubric": 3})),
    ],
)
def test_an_export_of_one_rubric_or_policy_leaves_out_the_others(
    tmp_path: Path, out: Path, task: str, limits: dict[str, str], expected: tuple[list[str], dict[str, int]]
) -> None:
    chosen, left_out = expected
    receipt = export(opposed(tmp_path / "project"), asked(out, task=task, **limits))
    written = pl.read_parquet(out / "train.parquet")
    assert [turns[0]["content"] for turns in written["chosen"]] == chosen
    assert (receipt["left_out"], receipt["read"]["rows"]) == (left_out, 5)
    assert (receipt["rubric"], receipt["policy"]) == (limits.get("rubric"), limits.get("policy"))
    assert sum(receipt["judged_under"]["rubrics"].values()) == len(chosen)
    assert all(f"  only {what} {version}\n" in told(receipt) for what, version in limits.items())
    assert "several" not in told(receipt)
    if task == "reward":  # Whether there is a margin hangs on the rows that are wanted only.
        assert ("margin" in written.columns) == ("No." not in chosen)
        assert receipt["margin_omitted"] == ({"no_strength": 2} if "No." in chosen else None)


def test_labels_of_one_rubric_know_no_votes_of_another(tmp_path: Path, out: Path) -> None:
    project = opposed(tmp_path / "project")
    for rubric, wanted, others in (("r-1", "Yes.", 6), ("r-2", "No.", 6)):
        receipt = export(project, asked(out, task="kto", rubric=rubric, policy="p-1"))
        rows = pl.read_parquet(out / "train.parquet").to_dicts()
        assert {(row["completion"][0]["content"], row["label"]) for row in rows} == {
            (text, text == wanted) for text in ("Yes.", "No.")
        }
        assert len(rows) == 4
        assert (receipt["read"]["rows"], sum(receipt["left_out"].values())) == (10, others)
        assert receipt["judged_under"]["rubrics"] == {rubric: 2}
    assert receipt["left_out"] == {"other_policy": 2, "other_rubric": 4}


def test_a_rubric_comes_before_all_other_reasons(tmp_path: Path, out: Path) -> None:
    split = {"votes": {"chosen": 1, "rejected": 1, "tie": 0, "both_bad": 0}, "rubric_version": "r-2"}
    project = publish(tmp_path / "project", *some(2), *some(1, strength=None, **split))
    assert export(project, asked(out, task="kto", rubric="r-1"))["left_out"] == {"other_rubric": 2}
    asks = asked(out, task="reward", rubric="r-1", require_strength=True)
    assert export(project, asks)["left_out"] == {"other_rubric": 1}
    assert export(project, asked(out, task="kto"))["left_out"] == {"as_many_against": 2}


def test_an_unknown_rubric_or_policy_is_told_with_those_known(tmp_path: Path, out: Path) -> None:
    project = opposed(tmp_path / "project")
    assert "under rubric `r-3` (known: r-1, r-2)" in refused(project, out, rubric="r-3")
    assert "under policy `` (known: p-1, p-2)" in refused(project, out, policy="")
    assert "nothing to export for trl dpo: other_policy 2, other_rubric 3" in refused(
        publish(tmp_path / "project", *some(2), *some(3, rubric_version="r-2", policy_version="p-2")),
        out,
        rubric="r-1",
        policy="p-2",
    )
    assert not out.exists()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    told_strength = {**SIDECAR["fields"], "strength": "how"}
    rows = [
        record(prompt=f"{MARKER} {i}?", preference=("a", "b", "tie", "both_bad")[i % 4], how=0.5 if i % 8 else None)
        for i in range(80)
    ]
    source = {"x.jsonl": lines(*rows)}
    return build(tmp_path_factory.mktemp("export")).source("s", source, fields=told_strength).run()


def test_ties_never_become_pairs(built: Built, tmp_path: Path) -> None:
    for kind, task in KINDS:
        receipt = export(built, asked(tmp_path / kind / task, format=kind, task=task))
        if receipt["read"]["from"] == "pairs":
            assert receipt["read"]["rows"] == built.table("publish/train/pairs").height > 0
    assert built.table("publish/train/ties").height > 0


@pytest.fixture
def run(built: Built, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.chdir(built.root)
    return lambda *words: app(list(map(str, words)), standalone_mode=False)


def test_the_command(built: Built, run: Callable[..., None], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run("export", "trl", "--split", "train", "--out", tmp_path / "one")
    count = built.table("publish/train/pairs").height
    assert capfd.readouterr().out == f"trl dpo: {count} of {count} pairs of train in train.parquet\n"
    reason = ("--split", "heldout", "--heldout", "an audit")
    run("export", "trl", *reason, "--task", "kto", "--out", tmp_path / "two", "--json")
    assert json.loads(capfd.readouterr().out)["heldout_reason"] == "an audit"
    run("export", "trl", "--split", "train", "--rubric", "r-1", "--policy", "p-1", "--out", tmp_path / "one")
    assert "  only rubric r-1\n  only policy p-1\n" in capfd.readouterr().out
    with pytest.raises(PairtrailError, match="finite number"):
        run("export", "trl", "--split", "train", "--task", "reward", "--margin-scale", "0", "--out", tmp_path / "three")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_each_call_that_the_docs_show_does_what_it_says(
    built: Built, run: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    shown = [line for page in PAGES for text in blocks(page, "sh") for line in text.splitlines()]
    calls = [shlex.split(line) for line in shown if line.startswith("pairtrail export ")]
    assert {call[2] for call in calls} == set(exporter_names())
    for call in calls:
        run(*call[1:])
        assert (built.root / call[call.index("--out") + 1] / "export.json").is_file()
        assert re.match(rf"{call[2]} \w+: [1-9]\d* of ", capfd.readouterr().out)
