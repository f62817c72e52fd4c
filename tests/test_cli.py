"""The command line: each command on a small project; faults told in one block; heavy libraries loaded late."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from ruamel.yaml import YAML

from pipeline.cli import app, main
from pipeline.core.errors import PairtrailError
from pipeline.core.keys import KEY_FILE
from pipeline.stages import STAGES
from schemas.dictionary import dictionary
from tests.building import ROOT, Built, build, lines, record

MARKER = "somebody's text"
HEAVY = ("polars", "polars_hash", "pandera", "great_expectations", "pandas", "dvc", "pyarrow", "numpy")
COMMANDS = (
    *STAGES,
    "check",
    "sources",
    "sync",
    "trace",
    "export",
    "demo",
    "columns",
    "keys",
    "consent",
    "epoch",
    "released",
    "contamination",
    "diff",
    "release",
)


class Said(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `main`, which the console script is, in this process."""

    def said(*args: object, cwd: Path) -> Said:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["pairtrail", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Said(int(code or 0), *capfd.readouterr())

    return said


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    project = build(tmp_path_factory.mktemp("cli") / "project")
    shutil.copy(ROOT / "dvc.yaml", project.root)
    rows = [record(prompt=f"Question {i}? {MARKER}") for i in range(20)]
    equal = record(a=MARKER, b=MARKER)
    project.source("s", {"x.jsonl": lines(*rows, rows[0], equal) + f'{{"prompt": "{MARKER}"\n'})
    return project.run()


def test_each_stage_says_in_one_line_what_it_did(built: Built, run: Run) -> None:
    expected = {
        "ingest": r"ingest: 21 comparisons from 23 records, 1 copies, 1 quarantined \(broken_json 1\)",
        "validate": r"validate: 20 kept, 1 dropped \(equal_responses 1\)",
        "dedupe": r"dedupe: 20 kept, 0 dropped",
        "near": r"near: 21 prompts of 21 roots: 0 near pairs of prompts, 0 near pairs of roots",
        "decontaminate": r"decontaminate: no benchmark in data/benchmarks, so none of 21 prompts was compared",
        "split": r"split: 20 kept, 0 dropped",
        "publish": r"publish: 20 kept, 0 dropped; train \d+ pairs and 0 ties, validation .*, heldout \d+ pairs .*",
    }
    assert tuple(expected) == STAGES
    for stage, line in expected.items():
        said = run(stage, cwd=built.root / "data")
        assert (said.code, said.err) == (0, "")
        assert re.fullmatch(line + "\n", said.out)


def test_sync_then_check(built: Built, run: Run) -> None:
    said = run("sync", cwd=built.root)
    assert said.code == 0
    assert re.search(r"^ingest: \d+ dependencies added, \d+ removed$", said.out, re.MULTILINE)
    assert said.out.endswith("dvc.yaml is in sync\n")
    assert run("sync", cwd=built.root).out == "dvc.yaml is in sync\n"
    said = run("check", cwd=built.root)
    assert (said.code, said.out) == (1, "")
    assert "dvc.lock: not there, so nothing was built" in said.err
    said = run("check", "--allow-stale", cwd=built.root)
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[0] == "ok  params.yaml"
    ok = "ok  data/raw/s/source.yaml: 22 comparisons from 23 records: broken_json 1"
    assert ok in said.out.splitlines()
    assert run("check", "data/raw/s/source.yaml", cwd=built.root).out == f"{ok}\n"


def test_check_tells_every_fault_on_standard_error(project: Built, run: Run) -> None:
    project.source("s", {"x.jsonl": lines(record())}, fields={"promt": "prompt"}, files=["*.jsonl", "*.csv"])
    said = run("check", "data/raw/s/source.yaml", cwd=project.root)
    assert (said.code, said.out) == (1, "")
    for fault in (
        "unknown field `promt`; did you mean `prompt`?",
        "glob `*.csv` matches no file",
        "`preference` is not mapped",
    ):
        assert fault in said.err


def test_sources_are_a_table_for_people_and_json_for_scripts(built: Built, run: Run) -> None:
    said = run("sources", cwd=built.root)
    assert said.code == 0
    head, row = said.out.splitlines()
    assert head.split() == [
        "source",
        "adapter",
        "files",
        "license",
        "basis",
        "synthetic",
        "records",
        "comparisons",
        "quarantined",
    ]
    assert row.split() == ["s", "records", "1", "CC0-1.0", "eu-gdpr:A6-1-a", "True", "23", "21", "1"]
    assert json.loads(run("sources", "--json", cwd=built.root).out)[0]["comparisons"] == 21


def test_trace_tells_a_story_to_people_and_scripts(built: Built, run: Run) -> None:
    said = run("trace", "s/x.jsonl:1", cwd=built.root)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("record s/x.jsonl:1\n")
    assert MARKER not in said.out
    assert MARKER in run("trace", "s/x.jsonl:1", "--reveal", cwd=built.root).out
    story = json.loads(run("trace", "data/raw/s/x.jsonl:1", "--json", cwd=built.root).out)
    name = story["comparisons"][0]["comparison_id"]
    assert json.loads(run("trace", name, "--json", cwd=built.root).out)["comparisons"] == story["comparisons"]
    assert MARKER not in json.dumps(story)
    assert MARKER in run("trace", name, "--json", "--reveal", cwd=built.root).out


def test_columns_are_the_dictionary(tmp_path: Path, run: Run) -> None:
    assert run("columns", cwd=tmp_path) == Said(0, dictionary(), "")


def test_the_demo_is_the_same_for_the_same_seed(tmp_path: Path, run: Run) -> None:
    for out in ("one", "two"):
        said = run("demo", "--seed", 3, "--comparisons", 500, "--out", out, cwd=tmp_path)
        assert said.code == 0
        assert re.fullmatch(rf"demo: \d+ .*{out}/raw.*{out}/truth\.json\n", said.out)
    one, two = (
        {path.relative_to(tmp_path / out): path.read_bytes() for path in (tmp_path / out).rglob("*") if path.is_file()}
        for out in ("one", "two")
    )
    assert one == two
    assert Path("truth.json") in one


def test_a_key_is_made_once_and_never_shown(project: Built, run: Run) -> None:
    said = run("keys", "init", cwd=project.root)
    key = (project.root / KEY_FILE).read_text(encoding="ascii").strip()
    assert said.code == 0
    assert re.search(r"key_fingerprint: '?[0-9a-f]{16}'?\n", said.out)
    assert key not in said.out + said.err
    again = run("keys", "init", cwd=project.root)
    assert (again.code, again.out) == (1, "")
    assert "exists already" in again.err
    assert (project.root / KEY_FILE).read_text(encoding="ascii").strip() == key


@pytest.mark.parametrize(
    ("stage", "before"), [("validate", "ingest"), ("dedupe", "validate"), ("split", "validate"), ("publish", "split")]
)
def test_a_stage_before_its_time_says_which_to_run(stage: str, before: str, project: Built, run: Run) -> None:
    project.source("s", {"x.jsonl": lines(record())})
    said = run(stage, cwd=project.root)
    assert (said.code, said.out) == (1, "")
    assert re.fullmatch(
        rf"pairtrail: data/\S+ does not exist; run `pairtrail {before}` first, or `dvc repro` for all\n", said.err
    )
    assert not project.stage(stage).exists()


def test_each_stage_names_the_one_that_it_waits_for(project: Built, run: Run) -> None:
    project.source("s", {"x.jsonl": lines(record())}).run("ingest")
    assert "run `pairtrail validate` first" in run("dedupe", cwd=project.root).err
    project.run("validate")
    assert "run `pairtrail dedupe` first" in run("split", cwd=project.root).err


@pytest.mark.parametrize(
    "args",
    [*((stage,) for stage in STAGES), ("check",), ("sources",), ("sync",), ("trace", "0" * 32), ("keys", "init")],
    ids=" ".join,
)
def test_outside_a_project_it_says_so(args: tuple[str, ...], tmp_path: Path, run: Run) -> None:
    said = run(*args, cwd=tmp_path)
    assert (said.code, said.out) == (1, "")
    assert (
        said.err == f"pairtrail: no params.yaml in {tmp_path.name}/ or above it; run this inside a Pairtrail project\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_failed_build_leaves_the_last_one(project: Built, run: Run) -> None:
    project.source("s", {"x.jsonl": lines(record())}).run("ingest", "validate")
    before = project.decisions("validate").read_bytes()
    project.set_params(validate={"polices": []})
    said = run("validate", cwd=project.root)
    assert said.code == 1
    assert said.err.count("pairtrail:") == 1
    assert "unknown key `polices`; did you mean `policies`?" in said.err
    assert project.decisions("validate").read_bytes() == before


def test_only_our_own_errors_are_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A fault of ours must not pass for a fault of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pairtrail", "columns"])
    monkeypatch.setattr("schemas.dictionary.dictionary", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main()


def process(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


def test_a_process_of_its_own_fails_with_one_short_block(project: Built) -> None:
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pipeline.cli import main; main()"
    done = process(sys.executable, "-c", program, "split", cwd=project.root)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pairtrail: data/")
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_closes_early_sees_no_traceback() -> None:
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "columns"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=120)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_the_console_script_is_main() -> None:
    script = Path(sys.executable).with_name("pairtrail")
    if not script.exists():
        pytest.skip("the project is not installed beside this Python")
    done = process(str(script), "--help")
    assert done.returncode == 0
    assert "Preference pairs with a paper trail" in done.stdout


def test_help_loads_nothing_heavy() -> None:
    """A person who asks what there is should not wait for a dataframe library."""
    program = f"""
import sys
from pipeline.cli import app
for args in ([], ["--help"], *([name, "--help"] for name in {COMMANDS!r}), ["keys", "init", "--help"], ["nonsense"]):
    try:
        app(args)
    except SystemExit as ended:
        assert (ended.code or 0) == (2 if args in ([], ["nonsense"]) else 0), (args, ended.code)
print("loaded:", *sorted({HEAVY!r} & sys.modules.keys()))
"""
    done = process(sys.executable, "-c", program.replace(f"{HEAVY!r} &", f"set({HEAVY!r}) &"))
    assert not done.returncode, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"


def test_every_command_is_explained_with_an_example() -> None:
    groups = [group for one in app.registered_groups if (group := one.typer_instance)]
    callbacks = [command.callback for group in (app, *groups) for command in group.registered_commands]
    callbacks += [group.registered_callback.callback for group in groups if group.registered_callback]
    names = {callback.__name__ for callback in callbacks if callback}
    consent = {f"consent_{name}" for name in ("status", "withdraw", "import", "expiring", "report", "access")}
    contamination = {f"contamination_{name}" for name in ("list", "show", "allow")}
    release = {f"release_{name}" for name in ("cut", "approve", "verify", "list", "show", "withdraw", "key")}
    single = {"sources_new", "keys_init", "keys_rotate", "epoch_record", "released_add"}
    groups_alone = {"keys", "consent", "epoch", "released", "contamination", "release"}
    assert names == {*COMMANDS, *single, *consent, *contamination, *release} - groups_alone
    for callback in callbacks:
        assert callback
        assert callback.__doc__
        assert re.search(r"\n\s*Example: pairtrail [a-z]", callback.__doc__)


def test_our_error_is_one_small_exception() -> None:
    assert PairtrailError.__mro__[1] is Exception


def test_an_epoch_and_a_release_are_written_down_and_split_depends_on_them(run: Run, project: Built) -> None:
    shutil.copy(ROOT / "dvc.yaml", project.root)
    project.source("s", {"x.jsonl": lines(*(record(prompt=f"Question {i}? {MARKER}") for i in range(20)))})
    epoch = run("epoch", "record", "--reason", "the first", cwd=project.root)
    assert epoch.out.startswith("epoch 1 recorded in data/ledger/epochs.jsonl: heldout 0.2, validation 0.2; commit it")
    again = run("epoch", "record", "--reason", "the first", cwd=project.root)
    assert again.out == "epoch 1 is recorded already in data/ledger/epochs.jsonl, with these values\n"
    unreleased = run("released", "add", "v1.0.0", cwd=project.root)
    assert (unreleased.code, unreleased.out) == (1, "")
    assert "no train/pairs.parquet, " in unreleased.err
    released = run("released", "add", "v1.0.0", cwd=project.run().root)
    count = project.account("split")["kept"] - project.account("publish")["rows"]["heldout"]["pairs"]
    assert released.out.startswith(f"{count} prompts of v1.0.0 remembered in data/ledger/released/v1.0.0.parquet;")
    held = YAML(typ="safe").load((project.root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    ledgers = {stage: [dep for dep in told["deps"] if "/ledger/" in dep] for stage, told in held.items()}
    assert sorted(ledgers["split"]) == ["data/ledger/epochs.jsonl", "data/ledger/released/v1.0.0.parquet"]
    assert MARKER not in epoch.out + again.out + unreleased.err + released.out
