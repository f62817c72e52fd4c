"""What CI runs: the workflow and hooks that we ship, `check` in a clone without data, and its answers for scripts."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from hashlib import md5
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.core.canary import canary_of
from pipeline.core.errors import PairtrailError
from pipeline.core.sides import division
from pipeline.lineage.checking import check, checks
from pipeline.lineage.checks.published import published_checked
from pipeline.lineage.syncing import sync
from tests.building import ROOT, Built, build, event, lines, record
from tests.test_docs import COMMANDS, REGISTRY, options_of

WORKFLOW = ROOT / ".github/workflows/data.yml"
HOOKS = ROOT / ".pre-commit-hooks.yaml"


def read(path: Path) -> Any:  # noqa: ANN401
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


JOBS = read(WORKFLOW)["jobs"]
STEPS = {name: job["steps"] for name, job in JOBS.items()}
SCRIPTS = {
    f"{name} {place}": step["run"] for name, steps in STEPS.items() for place, step in enumerate(steps) if "run" in step
}


def test_the_workflow_runs_on_pushes_and_pull_requests_and_never_with_another_s_secrets() -> None:
    stated = read(WORKFLOW)
    assert set(stated["on"]) == {"push", "pull_request"}
    assert "pull_request_target" not in WORKFLOW.read_text(encoding="utf-8")
    assert stated["concurrency"]["group"]
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    for name, job in JOBS.items():
        secret = "secrets." in json.dumps(job)
        assert secret == (name == "compare")
        assert not secret or same in job["if"]
    assert JOBS["comment"]["needs"] == "compare"
    assert JOBS["compare"]["needs"] == "check"


def test_only_the_job_that_comments_may_write_and_it_runs_nothing_of_a_pull_request() -> None:
    assert read(WORKFLOW)["permissions"] == {"contents": "read"}
    assert {name: job["permissions"] for name, job in JOBS.items() if "permissions" in job} == {
        "comment": {"pull-requests": "write"}
    }
    assert not [step for step in STEPS["comment"] if "uses" in step]
    assert "pairtrail check" not in json.dumps(STEPS["comment"])


def test_actions_are_pinned_by_commit_and_leave_no_token_behind() -> None:
    used = re.findall(r"uses: (\S+)(.*)", WORKFLOW.read_text(encoding="utf-8"))
    assert used
    assert not [one for one, _ in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", one)]
    assert not [one for one, told in used if not re.fullmatch(r" # v\d+\.\d+\.\d+", told)]
    checkouts = [step["with"] for steps in STEPS.values() for step in steps if "checkout" in step.get("uses", "")]
    assert len(checkouts) == 2
    for stated in checkouts:
        assert (stated["fetch-depth"], stated["fetch-tags"], stated["persist-credentials"]) == (0, True, False)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_the_workflow_runs_is_there(name: str) -> None:
    script = SCRIPTS[name]
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    # An expression in a script is filled in before the shell reads it: whoever names a branch would write the script.
    assert "${{" not in script
    for command, rest in re.findall(r"pairtrail (\w+)([^>;|\n]*)", script.replace("pairtrail diff -->", "")):
        assert command in COMMANDS
        options = [word for word in shlex.split(rest) if word.startswith("--")]
        assert command not in COMMANDS or not [word for word in options if word not in options_of(command)]
    for target in re.findall(r"^make (\w+)", script, re.MULTILINE):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_no_shipped_file_of_ci_names_a_registry() -> None:
    assert not [path.name for path in (WORKFLOW, HOOKS) if REGISTRY.search(path.read_text(encoding="utf-8"))]


def script_of(job: str) -> str:
    return str(next(step["run"] for step in reversed(STEPS[job]) if "run" in step))


def stand_in(folder: Path, name: str, text: str) -> None:
    """A command that stands in for another one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def run(script: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder, env={**os.environ, "PATH": path, **env}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "said", "summary", "output"),
    [
        ("", "exit 9", "the secret DVC_CONFIG_LOCAL is not set", ""),
        ("[x]", "echo counts; grep -q x .dvc/config.local", "counts", "code=0"),
        ("[x]", "echo counts; exit 1", "counts", "code=1"),
        ("[x]", "echo told >&2; exit 1", "the log says why", ""),
    ],
)
def test_the_comparison_is_told_or_skipped_with_a_note(
    config: str, said: str, summary: str, output: str, tmp_path: Path
) -> None:
    stand_in(tmp_path / ".venv/bin", "pairtrail", said)
    (tmp_path / ".dvc").mkdir()
    files = {name: tmp_path / name.lower() for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    for path in files.values():
        path.touch()
    done = run(
        script_of("compare"), tmp_path, DVC_CONFIG_LOCAL=config, BASE="a", HEAD="b",
        **{name: str(path) for name, path in files.items()},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert summary in files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
    written = files["GITHUB_OUTPUT"].read_text(encoding="utf-8")
    assert bool(written) == bool(output)
    block = r"markdown<<(PAIRTRAIL_[0-9a-f]{32})\ncounts\n\n\1\n"
    assert not output or re.fullmatch(rf"{output}\n{block}", written)
    assert not (tmp_path / ".dvc/config.local").exists()


@pytest.mark.parametrize(("known", "called", "code"), [("", "POST", "0"), ("7", "PATCH", "1")])
def test_the_comment_is_posted_once_and_then_updated(known: str, called: str, code: str, tmp_path: Path) -> None:
    """And the job ends as the comparison did: with 1 where a row moved."""
    stand_in(tmp_path / "bin", "gh", f'case "$*" in *--paginate*) echo "{known}";; *) echo "$@" >> calls;; esac')
    told = 'counts `rm -rf x` $(touch planted) "quoted"'
    env = {
        "CODE": code,
        "MARKDOWN": told,
        "COMMENTS": "repos/o/r/issues/3/comments",
        "EDITED": "repos/o/r/issues/comments",
    }
    done = run(script_of("comment"), tmp_path, **env)
    assert done.returncode == int(code), done.stderr
    calls = (tmp_path / "calls").read_text(encoding="utf-8")
    place = f"{env['EDITED']}/7" if known else env["COMMENTS"]
    assert calls == f"api --method {called} {place} --raw-field body=<!-- pairtrail diff -->\n{told}\n"
    assert not (tmp_path / "planted").exists()


HOOKED = {hook["id"]: hook for hook in read(HOOKS)}
MATCHED = {
    "pairtrail-source": ["data/raw/arena/source.yaml", "data/raw/unconsented/source.yaml"],
    "pairtrail-benchmark": [],
    "pairtrail-params": ["params.yaml", "dvc.yaml"],
    "pairtrail-texts": ["data/policy/assistant-1.md", "data/rubric/pairwise-2.md"],
    "pairtrail-check": [],
}


@pytest.mark.parametrize("name", MATCHED)
def test_a_hook_runs_as_pre_commit_runs_it(name: str) -> None:
    """The entry, cut as a shell does, with the files that match; nothing of it is installed."""
    hook = HOOKED[name]
    assert hook["language"] == "system"
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    files = [one for one in listed if "files" in hook and re.search(hook["files"], one)]
    assert set(MATCHED[name]) <= set(files)
    assert not [one for one in files if one.endswith((".jsonl", ".py"))]
    words = shlex.split(hook["entry"])
    assert words[:2] == ["pairtrail", "check"]
    assert set(words[2:]) <= set(options_of("check"))
    if files or hook.get("always_run"):
        script = [sys.executable, "-c", "from pipeline.cli import main; main()", *words[1:], *files]
        done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_hook_is_tried_and_a_benchmark_s_sidecar_would_be_matched() -> None:
    assert set(HOOKED) == set(MATCHED)
    assert re.search(HOOKED["pairtrail-benchmark"]["files"], "data/benchmarks/mt_bench/benchmark.yaml")
    assert not re.search(HOOKED["pairtrail-source"]["files"], "tests/real_sources/oasst/source.yaml")


def track(path: Path) -> None:
    """Leave of a file what a clone has that pulled nothing: the .dvc file that names it."""
    held, size = md5(path.read_bytes(), usedforsecurity=False).hexdigest(), path.stat().st_size
    entry = f"- md5: {held}\n  size: {size}\n  hash: md5\n  path: {path.name}\n"
    path.with_name(f"{path.name}.dvc").write_text(f"outs:\n{entry}", encoding="utf-8")
    path.unlink()


def sourced(project: Built) -> Built:
    project.source("s", {"x.jsonl": lines(*(record(prompt=f"Why {i}?", annotator=f"a{i}") for i in range(30)))})
    shutil.copy(ROOT / "dvc.yaml", project.root)
    project.recorded()
    sync(project)
    return project


def test_a_clone_without_data_is_checked_as_far_as_names_go(project: Built) -> None:
    sourced(project)
    project.pinned({"source": "s", "side": "train"}).gave_away("v1", ("0" * 32, "1" * 32, "train"))
    sync(project)
    for path in (project.raw / "s/x.jsonl", project.ledger / "consent/s.jsonl", project.pins / "pins.jsonl"):
        track(path)
    found = check(project, [], allow_stale=True)
    away = "not checked: {0}: not pulled (`dvc pull` brings it)"
    assert f"data/raw/s/source.yaml: {away.format('data/raw/s/x.jsonl')}" in found
    assert f"consent ledger: {away.format('data/ledger/consent/s.jsonl')}" in found
    assert (
        "epochs, pins, releases and exceptions: 1 epochs, pins not pulled, 1 releases, 0 rows of contamination allowed"
        in found
    )
    assert "dvc.yaml" in found
    path = project.raw / "s/source.yaml"
    assert check(project, [path]) == [f"{path}: {away.format('data/raw/s/x.jsonl')}"]
    # What somebody added with DVC and nobody told dvc.yaml of is seen by its name alone.
    (project.raw / "s/y.jsonl").write_text("{}\n", encoding="utf-8")
    track(project.raw / "s/y.jsonl")
    project.consents("new.jsonl", event())
    track(project.ledger / "consent/new.jsonl")
    with pytest.raises(PairtrailError) as caught:
        check(project, [], allow_stale=True)
    assert "dvc.yaml: stage ingest lacks data/raw/s/y.jsonl; run `pairtrail sync`" in str(caught.value)
    assert "dvc.yaml: stage validate lacks data/ledger/consent/new.jsonl; run `pairtrail sync`" in str(caught.value)


def test_a_clone_without_data_still_says_what_is_wrong_with_a_sidecar(project: Built) -> None:
    sourced(project)
    track(project.raw / "s/x.jsonl")
    project.source("s", {}, licence="CC0-1.0")
    with pytest.raises(PairtrailError, match="unknown key `licence`"):
        check(project, [], allow_stale=True)


def test_a_stage_that_dvc_yaml_lost_is_told(project: Built) -> None:
    sourced(project)
    content = read(project.root / "dvc.yaml")
    del content["stages"]["decontaminate"]
    with (project.root / "dvc.yaml").open("w", encoding="utf-8") as stream:
        YAML().dump(content, stream)
    with pytest.raises(PairtrailError, match="no stage decontaminate; take it back from git"):
        check(project, [], allow_stale=True)


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("releases/1.0.0/train.parquet", "perhaps texts of real people, in git"),
        ("exports/trl/train.jsonl", "perhaps texts of real people, in git"),
        ("data/publish/train/pairs.parquet", "what a stage wrote of real data, in git"),
    ],
)
def test_real_data_that_git_got_from_a_release_or_an_export_is_told(place: str, told: str, project: Built) -> None:
    sourced(project)
    for one in (place, "releases/keys/me.pem", "releases/1.0.0/notes.md", "releases/1.0.0/SHA256SUMS"):
        (project.root / one).parent.mkdir(parents=True, exist_ok=True)
        (project.root / one).write_text("x", encoding="utf-8")
    for words in (["init", "-q"], ["add", "-f", "releases", "exports", "data/publish"]):
        for word in [words] if words[0] == "init" else [["add", "-f", name] for name in words[2:]]:
            subprocess.run(["git", *word], cwd=project.root, capture_output=True, check=False)
    assert f"{place}: {told}" not in "\n".join(fault for one in checks(project, []) for fault in one.faults)
    project.source("real", {"r.jsonl": lines(record())}, synthetic=False)
    faults = [fault for one in checks(project, []) for fault in one.faults]
    assert [fault.partition(":")[0] for fault in faults if told in fault] == [place]
    assert f"{place}: {told}" in "\n".join(faults)
    assert not [fault for fault in faults if "me.pem" in fault or "notes.md" in fault or "SHA256SUMS" in fault]


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return sourced(build(tmp_path_factory.mktemp("published") / "project")).run()


@pytest.fixture
def published(run_once: Built, tmp_path: Path) -> Built:
    return Built(shutil.copytree(run_once.root, tmp_path / "copy"))


def write(project: Built, place: str, rows: pl.DataFrame) -> None:
    rows.write_parquet(project.stage("publish") / f"{place}.parquet")


def pairs(project: Built, side: str) -> pl.DataFrame:
    return project.table(f"publish/{side}/pairs")


def test_what_is_published_is_looked_through(published: Built) -> None:
    assert published_checked(published) == ([], "6 tables, roots, match keys and canaries")
    assert min(pairs(published, side).height for side in ("train", "validation", "heldout")) > 0
    (published.stage("publish") / "heldout/ties.parquet").unlink()
    found = published_checked(published)
    assert found == ([], "5 tables, roots, match keys and canaries; not here: heldout/ties")
    shutil.rmtree(published.stage("publish"))
    assert published_checked(published) is None


def test_a_root_on_two_sides_is_told(published: Built) -> None:
    train, heldout = pairs(published, "train"), pairs(published, "heldout")
    write(published, "train/pairs", pl.concat([train, heldout.drop("canary").head(1)]))
    found = published_checked(published)
    assert found is not None
    assert [fault.partition(";")[0] for fault in found[0]] == [
        "data/publish: train and heldout share 1 roots",
        "data/publish: train and heldout share 1 match keys of prompts",
    ]


def test_a_prompt_under_a_false_root_is_told_by_its_match_key(published: Built) -> None:
    stray = pairs(published, "heldout").drop("canary").head(1).with_columns(root_id=pl.lit("f" * 32))
    write(published, "validation/pairs", pl.concat([pairs(published, "validation"), stray]))
    found = published_checked(published)
    assert found is not None
    assert [fault.partition(";")[0] for fault in found[0]] == [
        "data/publish: validation and heldout share 1 match keys of prompts"
    ]


@pytest.mark.parametrize("column", ["chosen", "rejected", "prompt"])
def test_a_canary_outside_heldout_is_told(column: str, published: Built) -> None:
    canary = canary_of(division(published))
    train = pairs(published, "train")
    if column == "prompt":
        strays = train.with_columns(
            prompt=pl.lit([{"role": "user", "content": f"x {canary}"}], dtype=train.schema["prompt"])
        )
    else:
        strays = train.with_columns(pl.lit(f"x {canary} y").alias(column))
    write(published, "train/pairs", strays)
    found = published_checked(published)
    assert found is not None
    assert f"data/publish/train/pairs.parquet: {train.height:,} rows hold a canary of heldout" in "\n".join(found[0])


def test_large_tables_are_held_to_their_roots_alone(published: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.lineage.checks.published.MOST_TEXT", 1)
    assert published_checked(published) == ([], "6 tables, roots; too large to read texts at each check")
    write(published, "validation/pairs", pairs(published, "heldout").drop("canary"))
    found = published_checked(published)
    assert found is not None
    assert "validation and heldout share" in found[0][0]
    (published.stage("publish") / "train/pairs.parquet").write_bytes(b"PAR1")
    found = published_checked(published)
    assert found is not None
    assert "data/publish/train/pairs.parquet: cannot be read" in found[0][0]


def said(project: Built, monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str]:
    monkeypatch.chdir(project.root)
    done = CliRunner().invoke(app, ["check", *words])
    if isinstance(done.exception, PairtrailError):
        return 1, str(done.exception)
    return done.exit_code, done.output


def test_a_script_is_told_in_json_and_by_the_exit_code(project: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    sourced(project)
    code, text = said(project, monkeypatch, "--allow-stale", "--json")
    told = json.loads(text)
    assert (code, told["faults"]) == (0, 0)
    assert {one["status"] for one in told["checks"]} == {"ok", "not checked"}
    assert set(told["checks"][0]) == {"name", "status", "told", "faults"}
    (project.rubric / "r-9.md").write_text("nothing", encoding="utf-8")
    code, text = said(project, monkeypatch, "--json")
    told = json.loads(text)
    wrong = {one["name"]: one["faults"] for one in told["checks"] if one["status"] == "fault"}
    assert (code, told["faults"]) == (1, sum(map(len, wrong.values())))
    assert "dvc.lock" in wrong
    assert "policies and rubrics" in wrong


def test_people_are_told_in_lines_and_by_the_exit_code(project: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    sourced(project)
    code, text = said(project, monkeypatch, "--allow-stale")
    assert code == 0
    assert re.findall(r"^(ok|--)  ([^:\n]+)", text, re.MULTILINE)[-1] == ("--", "data/publish")
    code, text = said(project, monkeypatch)
    assert (code, text.partition(":")[0]) == (1, "dvc.lock")
    assert said(project, monkeypatch, "--allow-unread")[0] == 1
    assert said(project, monkeypatch, "--no-such-option")[0] == 2
