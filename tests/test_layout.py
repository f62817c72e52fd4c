"""The layout holds: small files, plain names, one word per thing, arrows that point down."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.adapters import adapter_names
from pipeline.cli import app
from pipeline.core.project import Project
from pipeline.exporters import exporter_names
from pipeline.stages import STAGES, stage_module
from tests.building import ROOT

CODE = sorted(path for folder in ("pipeline", "schemas") for path in (ROOT / folder).rglob("*.py"))
ALL = [*CODE, *sorted((ROOT / "tests").glob("*.py"))]
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "manager", "df", "data"}
# What walks rows in Python; a column is judged as a column.
ROW_BY_ROW = {"iter_rows", "map_elements", "apply", "map_rows", "iterrows", "itertuples", "rows"}


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def nodes(path: Path) -> Iterator[ast.AST]:
    yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("path", CODE, ids=named)
def test_a_file_is_short_and_so_are_its_functions(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 250
    long = {one.name: one.end_lineno - one.lineno + 1 for one in functions(path) if one.end_lineno}
    assert {name: lines for name, lines in long.items() if lines >= 40} == {}


def test_most_functions_are_shorter_still() -> None:
    lengths = sorted(one.end_lineno - one.lineno + 1 for path in CODE for one in functions(path) if one.end_lineno)
    assert lengths[len(lengths) // 2] <= 10


def names_in(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or ""


@pytest.mark.parametrize("path", ALL, ids=named)
def test_nothing_has_a_name_that_says_nothing(path: Path) -> None:
    assert not set(path.relative_to(ROOT).with_suffix("").parts) & FORBIDDEN
    assert path not in CODE or not {name.lower() for name in names_in(path)} & FORBIDDEN


def imports(path: Path) -> set[str]:
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_great_expectations_and_pandas_are_imported_by_the_gate_alone() -> None:
    heavy = {"great_expectations", "pandas"}
    assert {named(path): imports(path) & heavy for path in CODE if imports(path) & heavy} == {
        "pipeline/core/publishing/gate.py": heavy
    }


def test_dvc_is_imported_by_one_file_and_the_tests_by_none() -> None:
    """Every stage also runs without DVC; only who reads other revisions asks it to fetch what the cache lacks."""
    assert [named(path) for path in CODE if imports(path) & {"dvc", "dvc_data"}] == ["pipeline/lineage/revisions.py"]
    assert not [named(path) for path in CODE if "tests" in imports(path)]


def test_the_import_contracts_are_kept() -> None:
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or "lint-imports"
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert re.search(r"Contracts: [5-9] kept, 0 broken", done.stdout)


@pytest.mark.parametrize("name", [*STAGES, *adapter_names(), *exporter_names()])
def test_every_plug_in_has_its_test_file(name: str) -> None:
    assert (ROOT / "tests" / f"test_{name}.py").is_file()


def test_every_file_of_a_plug_in_folder_is_a_plug_in() -> None:
    plug_ins = {"stages": STAGES, "adapters": adapter_names(), "exporters": exporter_names()}
    for folder, known in plug_ins.items():
        assert {path.stem for path in (ROOT / "pipeline" / folder).iterdir() if path.stem[0] not in "._"} == set(known)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_s_name_is_one_word_everywhere(stage: str) -> None:
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    commands = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert re.fullmatch("[a-z]+", stage)
    assert tuple(stages) == STAGES
    assert set(params) == {*STAGES, "release"}
    assert stages[stage]["cmd"] == f"pairtrail {stage}"
    assert stage in stages[stage]["params"]
    assert stage in commands
    folder = f"data/{stage}/"
    outs = [next(iter(out)) if isinstance(out, dict) else out for out in stages[stage]["outs"]]
    assert all(out.startswith(folder) for out in outs)
    assert stages[stage]["metrics"] == [f"{folder}counts.json"]
    assert named(Project(ROOT).stage(stage)) == folder.rstrip("/")
    module = stage_module(stage)
    assert module.__name__ == f"pipeline.stages.{stage}"
    assert is_dataclass(module.Params)
    if hasattr(module, "CONTRACT"):
        assert module.CONTRACT.name == stage


ROW_PATH = [
    *sorted((ROOT / "pipeline/stages").glob("*.py")),
    *sorted((ROOT / "pipeline/exporters").glob("*.py")),
    *sorted((ROOT / "pipeline/core/exporting").glob("*.py")),
    ROOT / "pipeline/core/publishing/folding.py",
    ROOT / "pipeline/core/publishing/texts.py",
]


@pytest.mark.parametrize("path", ROW_PATH, ids=named)
def test_stages_and_folding_never_go_row_by_row(path: Path) -> None:
    called = {
        node.func.attr for node in nodes(path) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not called & ROW_BY_ROW


@pytest.mark.parametrize(
    "path", [ROOT / f"pipeline/stages/{stage}.py" for stage in ("validate", "dedupe", "split")], ids=named
)
def test_a_deciding_stage_knows_no_files_clock_chance_or_environment(path: Path) -> None:
    assert not imports(path) & {"os", "pathlib", "random", "secrets", "time", "datetime", "subprocess", "pyarrow"}
    called = {
        node.func.attr for node in nodes(path) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not {name for name in called if name.startswith(("scan_", "read_", "write_", "sink_"))}


def test_only_core_writes_tables() -> None:
    writers = {
        named(path)
        for path in CODE
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and re.match("write_(parquet|ipc|table|csv|ndjson)|sink_|ParquetWriter", node.attr)
    }
    places = {"pipeline/core/tables.py", "pipeline/core/exporting/rows.py"}
    assert writers - {name for name in writers if name.startswith("pipeline/demo/")} == places


def test_nothing_hangs_on_a_hash_that_changes_with_a_library() -> None:
    for path in CODE:
        assert not re.search(r"\.hash\(|\bhash\(|hash_rows", path.read_text(encoding="utf-8")), named(path)


def test_no_file_of_the_project_names_a_place_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z", "--", ":!data/raw"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    places = [str(place).encode() for place in (ROOT, Path.home()) if len(place.parts) > 1]
    texts = {path: path.read_bytes() for path in files if path.is_file()}
    assert [named(path) for path, text in texts.items() for place in places if place + b"/" in text] == []


def test_the_locks_name_no_index_and_pin_by_hash() -> None:
    for lock in (ROOT / "requirements.lock", ROOT / "tests/requirements.lock"):
        text = lock.read_text(encoding="utf-8")
        assert not re.search("index-url|find-links|://", text)
        pins = re.split("^(?=[a-z])", text, flags=re.MULTILINE)[1:]
        assert len(pins) > 10
        assert [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []


def test_what_a_killed_stage_leaves_behind_is_ignored_by_git() -> None:
    """A stage writes beside its folder and renames; a kill leaves that copy there, with its texts."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    folders = [
        *(f"data/{prefix}{stage}{end}" for stage in STAGES for prefix, end in (("", ""), (".", ".part"), (".", ".old")))
    ]
    places = [f"{folder}/comparisons/x.parquet" for folder in [*folders, ".spill/ingest", ".pairtrail"]]
    places += ["data/raw/s/.votes.jsonl.part", "data/raw/s/2026/deep/.x.csv.part"]
    places += ["data/ledger/consent/.mine.jsonl.part", "data/ledger/.consent.lock"]
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", *places], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert sorted(set(places) - set(done.stdout.split())) == []
