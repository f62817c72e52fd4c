"""dvc.yaml is true: a stage depends on whatever it imports or reads, and on nothing else, and `sync` keeps it so."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.core.closure import closure, code_digest
from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.lineage.syncing import sync, synced
from pipeline.stages import STAGES
from tests.building import ROOT, SIDECAR, Built, build, lines, record

LOCK = "requirements.lock"
# Runs the stages one after the other, each with its code loaded afresh, and tells which files each opened by whatever
# library, and which code it ran.
SPY = """
import json, sys
from pathlib import Path
opened, told = set(), {}
sys.addaudithook(lambda event, args: event == "open" and "w" not in str(args[1]) and opened.add(str(args[0])))
import polars as pl
from pyarrow import parquet
def spied(read):
    return lambda source, *args, **kwargs: (opened.add(str(source)), read(source, *args, **kwargs))[1]
pl.scan_parquet, pl.read_parquet = spied(pl.scan_parquet), spied(pl.read_parquet)
parquet.ParquetFile, parquet.read_metadata = spied(parquet.ParquetFile), spied(parquet.read_metadata)
root, *stages = sys.argv[1:]
for stage in stages:
    for name in [name for name in sys.modules if name.split(".")[0] in ("pipeline", "schemas")]:
        del sys.modules[name]
    opened.clear()
    from pipeline.core.project import Project
    from pipeline.stages import stage_module
    module = stage_module(stage)
    if hasattr(module, "run"):
        module.run(Project(Path(root)))
    else:
        from pipeline.core.running import run_stage
        run_stage(module, Project(Path(root)))
    code = {module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
    told[stage] = sorted(opened), sorted(code)
print(json.dumps(told))
"""


def deps_of(root: Path) -> dict[str, list[str]]:
    stages = YAML(typ="safe").load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return {name: stage["deps"] for name, stage in stages.items()}


def below(paths: list[str], root: Path) -> set[str]:
    found = {Path(path).resolve() for path in paths}
    return {path.relative_to(root.resolve()).as_posix() for path in found if path.is_relative_to(root.resolve())}


def read_by(stage: str, opened: list[str], root: Path) -> set[str]:
    own = (f"data/.{stage}.part/", f"data/{stage}/", ".spill/", "params.yaml")
    return {name for name in below(opened, root) if not name.startswith(own)}


@pytest.fixture(scope="module")
def awkward(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A project with a file of each kind, so that what loads late is loaded."""
    import polars as pl

    project = build(tmp_path_factory.mktemp("awkward") / "project")
    shutil.copy(ROOT / "dvc.yaml", project.root)
    rows = [record(prompt=f"Question {i}?", text_id=i) for i in range(12)]
    project.source("plain", {"x.jsonl": lines(*rows), "LICENSE": "CC0"}, ignore=["LICENSE"])
    project.source(
        "joined",
        {"x.csv": "a,b,preference,annotator,text_id\nyes,no,a,ann,1\n", "t.jsonl": lines({"id": 1, "q": "Why?"})},
        format="csv",
        files=["*.csv"],
        join={"texts": {"glob": "t.jsonl", "key": "id", "on": "text_id", "format": "json"}},
        fields={**SIDECAR["fields"], "prompt": "texts:q"},
    )
    pl.DataFrame(rows).write_parquet(project.source("columns", {"y.jsonl": lines(*rows)}).raw / "columns" / "x.parquet")
    project.source("columns", {}, format="parquet", files=["*.parquet", {"glob": "y.jsonl", "format": "json"}])
    turns = {"chosen": "\n\nHuman: Hi\n\nAssistant: Yes", "rejected": "\n\nHuman: Hi\n\nAssistant: No"}
    fields = {"annotator": {"constant": None}, "annotator_kind": {"constant": "human"}}
    project.source("talk", {"x.jsonl": lines(turns)}, adapter="hh_rlhf", fields=fields)
    project.recorded().pinned({"source": "talk", "side": "train"})
    project.gave_away("v1", ("0" * 32, "1" * 32, "train"))
    sync(project)
    return project


@pytest.fixture(scope="module")
def seen(awkward: Built) -> dict[str, tuple[set[str], set[str]]]:
    command = [sys.executable, "-c", SPY, str(awkward.root), *STAGES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    return {stage: (read_by(stage, opened, awkward.root), below(code, ROOT)) for stage, (opened, code) in told.items()}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_exactly_the_files_that_it_reads(
    stage: str, seen: dict[str, tuple[set[str], set[str]]], awkward: Built
) -> None:
    declared = [dep for dep in deps_of(awkward.root)[stage] if dep.startswith("data/")]
    read, _ = seen[stage]
    folders = tuple(f"{dep}/" for dep in declared if (awkward.root / dep).is_dir())
    assert {name for name in read if not name.startswith(folders)} == {d for d in declared if f"{d}/" not in folders}
    assert all(any(name.startswith(folder) for name in read) for folder in folders)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_that_it_runs(
    stage: str, seen: dict[str, tuple[set[str], set[str]]], awkward: Built
) -> None:
    ran = {name for name in seen[stage][1] if not name.startswith(".venv/")}
    assert f"pipeline/stages/{stage}.py" in ran
    assert ran <= set(deps_of(awkward.root)[stage])


def file_of(module: str) -> str | None:
    place = ROOT.joinpath(*module.split("."))
    found = next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)
    return found.relative_to(ROOT).as_posix() if found else None


def names_in(file: str) -> set[str]:
    """Name whatever a file imports anywhere, functions included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: a relative import is not followed"
            found.update([str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)])
    return found


def files_behind(modules: set[str]) -> set[str]:
    found: set[str] = set()
    while modules:
        name = modules.pop()
        file = file_of(name)
        if file and file not in found:
            found.add(file)
            modules |= names_in(file) | {name.rpartition(".")[0] or name}
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_the_repository_s_own_deps_cover_the_import_closure(stage: str) -> None:
    adapters = {f"pipeline.adapters.{path.stem}" for path in (ROOT / "pipeline/adapters").glob("[!_]*.py")}
    behind = files_behind({f"pipeline.stages.{stage}"} | (adapters if stage == "ingest" else set()))
    declared = deps_of(ROOT)[stage]
    assert set(closure(f"pipeline.stages.{stage}")) == behind
    assert {dep for dep in declared if dep.endswith(".py")} == behind
    assert LOCK in declared
    assert len(set(declared)) == len(declared)
    assert all(
        (ROOT / dep).exists() for dep in declared if not re.match("data/(?!raw|ledger|policy|rubric|benchmarks)", dep)
    )


def test_the_repository_s_own_pipeline_is_in_sync() -> None:
    assert synced(Project(ROOT))[1] == {}


def test_every_raw_file_and_sidecar_of_the_repository_is_a_dep_of_ingest() -> None:
    ignored = {"LICENSE"}
    listed = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "data/raw").rglob("*")
        if path.is_file() and path.name not in ignored and path.suffix != ".dvc" and path.name != ".gitignore"
    }
    assert listed == {dep for dep in deps_of(ROOT)["ingest"] if dep.startswith("data/raw/")}


def test_no_stage_depends_on_a_file_inside_another_stage_s_folder_output() -> None:
    """DVC would call it up to date when it is stale."""
    stages: Any = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    outs = [
        next(iter(out)) if isinstance(out, dict) else out
        for one in stages.values()
        for out in (*one["outs"], *one["metrics"])
    ]
    deps = [dep for one in stages.values() for dep in one["deps"]]
    assert not [(dep, out) for dep in deps for out in outs if dep.startswith(f"{out}/")]
    assert not [(one, other) for one in outs for other in outs if one.startswith(f"{other}/")]
    made = set(outs)
    assert {dep for dep in deps if re.match("data/(?!raw|ledger|policy|rubric|benchmarks)", dep)} <= made


def test_code_that_is_imported_by_name_is_known_to_the_closure() -> None:
    """Whoever calls `import_module` hides an import; these are accounted for, and no stage imports an exporter."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "pipeline").rglob("*.py")
        if re.search(r"import_module\(|__import__\(|importlib\.import", path.read_text(encoding="utf-8"))
    }
    assert found == {f"pipeline/{kind}/__init__.py" for kind in ("adapters", "exporters", "stages")}


def test_the_code_digest_follows_every_file_of_the_closure(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas", ignore=shutil.ignore_patterns("__pycache__"))
    program = "from pipeline.core.closure import code_digest; print(code_digest(['pipeline.stages.dedupe']))"

    def digest() -> str:
        return subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    before = digest()
    assert before.strip() == code_digest(["pipeline.stages.dedupe"])
    for file, counts in (
        ("pipeline/stages/split.py", False),
        ("pipeline/cli/stages.py", False),
        ("schemas/columns.py", True),
    ):
        (tmp_path / file).write_text((tmp_path / file).read_text() + "\n# changed\n")
        assert (digest() != before) == counts


COMMENTED = """# At the top.
vars: []
stages:
  # Before a stage.
  ingest:
    cmd: pairtrail ingest # beside a command
    deps:
      - requirements.lock # beside the lock
      - data/raw/gone/x.jsonl
    # Before outputs.
    outs:
      - data/ingest/comparisons: {remote: "quoted"}
  # Between stages.
  validate:
    cmd: pairtrail validate
    deps:
      - data/ingest/comparisons # beside a table
    outs: [data/validate/decisions.parquet]
# At the end.
"""


def commented(project: Built) -> Path:
    project.source("s", {"x.jsonl": lines(record())})
    path = project.root / "dvc.yaml"
    path.write_text(COMMENTED)
    return path


def test_sync_adds_removes_and_says_so(project: Built) -> None:
    commented(project)
    changes = sync(project)
    added, removed = changes["ingest"]
    assert {"data/raw/s/x.jsonl", "data/raw/s/source.yaml", "pipeline/stages/ingest.py"} <= set(added)
    assert removed == ["data/raw/gone/x.jsonl"]
    assert "data/rubric/r-1.md" in changes["validate"][0]
    deps = deps_of(project.root)
    assert set(added) < set(deps["ingest"])
    assert "data/ingest/comparisons" in deps["validate"]
    project.source("s", {"y.jsonl": lines(record())})
    (project.raw / "s/x.jsonl").unlink()
    assert sync(project) == {"ingest": (["data/raw/s/y.jsonl"], ["data/raw/s/x.jsonl"])}


def test_sync_is_idempotent(project: Built) -> None:
    path = commented(project)
    sync(project)
    before = path.read_bytes()
    assert sync(project) == {}
    assert path.read_bytes() == before


@pytest.mark.parametrize("comment", re.findall(r"# (.*)", COMMENTED))
def test_comments_survive(comment: str, project: Built) -> None:
    path = commented(project)
    sync(project)
    assert path.read_text().count(f"# {comment}\n") == 1


def test_what_is_not_ours_to_write_stays_as_it_stands(project: Built) -> None:
    path = commented(project)
    sync(project)
    text = path.read_text()
    assert '- data/ingest/comparisons: {remote: "quoted"}' in text
    assert "outs: [data/validate/decisions.parquet]" in text


def test_a_stage_of_the_owner_s_own_is_left_alone(project: Built) -> None:
    """Users own the project: they may add stages."""
    path = commented(project)
    own = "  plot:\n    cmd: python plot.py\n    deps:\n      - plot.py\n"
    path.write_text(COMMENTED.replace("# At the end.\n", own))
    assert "plot" not in sync(project)
    assert deps_of(project.root)["plot"] == ["plot.py"]


def test_a_faulty_sidecar_stops_sync_before_it_writes(project: Built) -> None:
    path = commented(project)
    project.source("s", {}, files=["*.nothing"])
    with pytest.raises(PairtrailError, match="matches no file"):
        sync(project)
    assert path.read_text() == COMMENTED
