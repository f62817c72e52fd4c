"""`check`: what is wrong with a project, in words that say what to do and never repeat a record's text."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.adapters import adapter_names
from pipeline.core.errors import PairtrailError
from pipeline.lineage.checking import check
from pipeline.lineage.syncing import sync
from tests.building import ROOT, SIDECAR, Built, event, lines, record

FIELDS = SIDECAR["fields"]
MARKER = "the text of a person"
TOLD = record(prompt=MARKER, a=f"{MARKER} a", b=f"{MARKER} b", annotator=f"{MARKER} who")


def put(project: Built, *records: dict[str, Any], name: str = "s", **changes: Any) -> Path:  # noqa: ANN401
    return project.source(name, {"x.jsonl": lines(*records or (TOLD,))}, **changes).raw / name / "source.yaml"


def refused(project: Built, *paths: Path) -> str:
    with pytest.raises(PairtrailError) as caught:
        check(project, list(paths))
    assert MARKER not in str(caught.value)
    return str(caught.value)


def sound(project: Built) -> list[str]:
    """What is told of a project that nobody has built yet."""
    return check(project, [], allow_stale=True)


def with_pipeline(project: Built) -> Built:
    shutil.copy(ROOT / "dvc.yaml", project.root)
    sync(project.recorded())
    return project


def test_what_is_sound_is_listed(project: Built) -> None:
    sidecar = put(project)
    rubric = project.rubric / "r-1.md"
    given = [sidecar, project.params, rubric]
    tried = "1 comparisons from 1 records"
    assert check(project, given) == [f"{sidecar}: {tried}", str(project.params), str(rubric)]
    assert sound(with_pipeline(project)) == [
        "params.yaml",
        "policies and rubrics",
        f"data/raw/s/source.yaml: {tried}",
        "epochs, pins, releases and exceptions: 1 epochs, 0 pins, 0 releases, 0 rows of contamination allowed",
        "consent ledger: 1 events of 1 consents",
        "dvc.yaml",
        "dvc.lock: stale, which --allow-stale lets pass: 1 reasons; `dvc repro` builds anew",
        "raw data in git",
        "releases: no release yet",
        "schema: no release yet",
        "released policies and rubrics: no release yet",
        "ledgers since the last release: no release yet",
        "data/publish: not checked: nothing of it is here",
    ]
    assert "dvc.lock: not there, so nothing was built; run `dvc repro`" in refused(project)


def test_the_small_ledgers_are_held_against_what_split_would_refuse(project: Built) -> None:
    put(project)
    with_pipeline(project).pinned(
        {"source": "s", "side": "heldout"}, {"source": "t", "side": "heldout"}, file="a.jsonl"
    )
    project.gave_away("v1", ("0" * 32, "1" * 32, "train"))
    (project.released / "v2.parquet").write_bytes(b"PAR1")
    (project.released / "v3.parquet").write_bytes(b"PAR1")
    (project.ledger / "exceptions.dvc").write_text("outs: []", encoding="utf-8")
    project.set_params(split={"heldout": 0.3})
    told = refused(project)
    for fault in (
        "epoch 1 was recorded with other values: heldout is 0.3, not 0.2",
        "data/ledger/pins/a.jsonl: pin 2: no source `t` in data/raw (known: s)",
        "data/ledger/released/v2.parquet: not a Parquet file",
        "data/ledger/released/v3.parquet: not a Parquet file",
        "data/ledger/exceptions: not pulled; run `dvc pull`",
    ):
        assert told.count(fault) == 1
    assert "pin 1" not in told
    assert "v1.parquet" not in told
    (project.pins / "a.jsonl").write_text('{"side": "train"}\n\nnonsense\n', encoding="utf-8")
    told = refused(project)
    assert "data/ledger/pins/a.jsonl: line 1:\n" in told
    assert "data/ledger/pins/a.jsonl: line 3: not one JSON object" in told


def test_an_epoch_that_was_never_recorded_is_told_before_split(project: Built) -> None:
    put(project)
    assert "epoch 1 of params.yaml is not recorded (recorded: none)" in refused(project)


def test_the_project_s_own_sources_and_params_are_sound() -> None:
    from pipeline.core.project import Project

    sidecars = sorted((ROOT / "data/raw").glob("*/source.yaml"))
    assert sidecars
    assert len(check(Project(ROOT), [*sidecars, ROOT / "params.yaml"])) == len(sidecars) + 1


def test_a_sidecar_may_be_named_from_within_its_folder(project: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(put(project).parent)
    assert check(project, [Path("source.yaml")]) == ["source.yaml: 1 comparisons from 1 records"]


TEXTS = {"glob": "texts.jsonl", "key": "id", "on": "text_id"}
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a path": (
        {"fields": {**FIELDS, "prompt": "prmpt"}},
        "*.jsonl: field `prompt`: `prmpt` is found in none of 1 records (known: a, annotator,",
    ),
    "a path below": (
        {"fields": {**FIELDS, "response_a": "a.text"}},
        "field `response_a`: `a.text` is found in none of 1 records",
    ),
    "a template": (
        {"fields": {**FIELDS, "prompt": {"template": "{prompt} {input}"}}},
        "field `prompt`: `input` is found in none",
    ),
    "messages": ({"fields": {**FIELDS, "prompt": {"messages": "turns"}}}, "field `prompt`: `turns` is found in none"),
    "a version's field": ({"policy_version": {"path": "guide"}}, "field `policy_version`: `guide` is found in none"),
    "a group's field": (
        {"files": [{"glob": "*.jsonl", "fields": {"language": "lang"}}]},
        "field `language`: `lang` is found in none",
    ),
    "a fan-out's field": (
        {"fan_out": [{"key": "k", "fields": {"preference": "preference_1"}}]},
        "field `preference`: `preference_1` is found in none",
    ),
    "a consent": (
        {"fields": {**FIELDS, "consent_refs": [{"role": "annotator", "subject": "annotator", "consent_id": "consnt"}]}},
        "`consnt` is found in none of 1 records",
    ),
    "a map": (
        {"fields": {**FIELDS, "preference": {"path": "preference", "values": {"left": "a", "right": "b"}}}},
        "field `preference`: none of the map's keys (left, right) occurs at `preference` in 1 records",
    ),
    "a file of nothing": ({"format": "parquet"}, "no record can be read"),
    "a transcript's label": (
        {"adapter": "hh_rlhf", "fields": {"annotator": "whom", "annotator_kind": {"constant": "human"}}},
        "field `annotator`: `whom` is found in none of 1 records",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_fits_no_record_is_explained(name: str, project: Built) -> None:
    changes, told = FAULTS[name]
    path = put(project, **changes)
    said = refused(project, path)
    assert str(path) in said
    assert told in said


@pytest.mark.parametrize(
    ("join", "told"),
    [
        ({**TEXTS, "on": "txt"}, "join.texts.on: `txt` is found in none of 1 records"),
        ({**TEXTS, "key": "key"}, "join.texts.key: `key` is found in none of 2 records (known: id, q)"),
        (TEXTS, "field `prompt`: `texts:question` is found in none of 2 records (known: id, q)"),
    ],
)
def test_a_join_that_finds_nothing_is_explained(join: dict[str, str], told: str, project: Built) -> None:
    sides = lines({"id": 1, "q": MARKER}, {"id": 2, "q": MARKER})
    project.source(
        "s",
        {"x.jsonl": lines({**TOLD, "text_id": 1}), "texts.jsonl": sides},
        files=["x.jsonl"],
        join={"texts": join},
        fields={**FIELDS, "prompt": "texts:question"},
    )
    assert told in refused(project, project.raw / "s/source.yaml")


def test_a_value_map_speaks_yaml_s_words(project: Built) -> None:
    """`true`, not `True`; a number matches its text."""
    for value in (True, 1, "1.0"):
        written = str(value).lower()
        mapped = {"path": "preference", "values": {written: "a"}}
        path = put(project, record(preference=value), fields={**FIELDS, "preference": mapped})
        assert check(project, [path])


def test_a_fault_in_one_of_many_records_is_ingest_s_to_find(project: Built) -> None:
    assert check(project, [put(project, TOLD, {"other": 1}, record(preference="left"))])


def test_a_file_that_no_glob_names_is_told(project: Built) -> None:
    path = put(project)
    (path.parent / "deep").mkdir()
    (path.parent / "deep" / "y.csv").write_text(MARKER)
    (path.parent / "LICENSE").write_text(MARKER)
    told = refused(project, path)
    assert "s/deep/y.csv is matched by no glob; add it to `files`, `join` or `ignore`" in told
    assert "s/LICENSE is matched by no glob" in told
    put(project, ignore=["LICENSE", "deep/*"])
    assert check(project, [path])


def test_an_unknown_adapter_is_told(project: Built) -> None:
    assert f"s: unknown adapter `recrods` (known: {', '.join(adapter_names())})" in refused(
        project, put(project, adapter="recrods")
    )


def test_all_faults_of_a_project_come_in_one_error(project: Built) -> None:
    put(project, fields={**FIELDS, "prompt": "prmpt"}, name="one")
    put(project, fields={**FIELDS, "anotator": "x"}, name="two")
    put(project, name="three")
    (project.raw / "four").mkdir()
    project.set_params(split={"epok": 1})
    (project.rubric / "r-9.md").write_text(MARKER)
    shutil.copy(ROOT / "dvc.yaml", project.root)
    told = refused(project)
    for fault in ("prmpt", "anotator", "four", "epok", "r-9.md"):
        assert fault in told
    assert "three/source.yaml" not in told


def test_a_project_without_sources_says_what_to_do(project: Built) -> None:
    shutil.copy(ROOT / "dvc.yaml", project.root)
    assert "put your logs into a folder below it" in refused(project)


def test_a_project_without_a_pipeline_says_so(project: Built) -> None:
    put(project)
    assert "dvc.yaml" in refused(project)
    (project.root / "dvc.yaml").write_text("stages: [\n")
    assert "dvc.yaml" in refused(project, project.root / "dvc.yaml")


def test_a_stray_file_beside_the_sources_is_no_source(project: Built) -> None:
    put(project)
    (project.raw / "README.md").write_text("Sources.\n")
    assert sound(with_pipeline(project))


def test_without_versions_it_says_where_they_go(project: Built) -> None:
    put(project)
    shutil.rmtree(project.policy)
    with_pipeline(project)
    assert "policy: no version; write one as data/policy/NAME.md" in refused(project)


@pytest.mark.parametrize("name", ["notes.txt", "data/raw/s/x.jsonl"])
def test_another_kind_of_file_names_the_known_kinds(name: str, project: Built) -> None:
    put(project)
    told = "cannot check this kind of file; known: source.yaml, benchmark.yaml, params.yaml, dvc.yaml, policies"
    assert told in refused(project, project.root / name)


@pytest.mark.parametrize("name", ["data/raw/t/source.yaml", "data/rubric/r-7.md"])
def test_a_file_that_is_not_there_is_not_sound(name: str, project: Built) -> None:
    assert "no such file" in refused(project, project.root / name)


def test_a_pipeline_out_of_date_is_told(project: Built) -> None:
    put(project)
    with_pipeline(project)
    project.source("s", {"y.jsonl": lines(record())})
    (project.rubric / "r-0.md").unlink()
    told = refused(project, project.root / "dvc.yaml")
    assert "dvc.yaml: stage ingest lacks data/raw/s/y.jsonl; run `pairtrail sync`" in told
    assert "dvc.yaml: stage validate names in vain data/rubric/r-0.md; run `pairtrail sync`" in told


def git(folder: Path, *args: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *args], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("below", ["", "deep/clone"])
@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_real_data_in_git_is_refused(below: str, project: Built) -> None:
    """Its history cannot be erased; a sidecar, a `.dvc` file and what DVC tells git to ignore may stand there."""
    above = project.root
    if below:
        nested = above / below
        nested.parent.mkdir()
        shutil.copytree(above, nested, ignore=shutil.ignore_patterns("deep"))
        project = Built(nested)
    put(project, name="made")
    real = put(project, name="real", synthetic=False, ignore=["notes.txt"]).parent
    (real / "notes.txt").write_text(MARKER)
    (real / "y.jsonl.dvc").write_text("outs: []\n")
    (real / ".gitignore").write_text("/y.jsonl\n")
    (real / "2026").mkdir()
    (real / "2026/.gitignore").write_text("/z.jsonl\n")
    shutil.rmtree(project.ledger)
    with_pipeline(project)
    git(above, "init", "-q")
    assert sound(project)
    git(above, "add", ".")
    told = refused(project)
    for name in ("x.jsonl", "notes.txt"):
        assert (
            f"data/raw/real/{name}: real data in git (not `synthetic: true`); `git rm --cached` it, then `dvc add`"
            in told
        )
    assert told.count("real data in git") == 2
    git(above, "commit", "-qm", "all")
    assert "real data in git" in refused(project)
    git(above, "rm", "-q", "--cached", *(str((real / name).relative_to(above)) for name in ("x.jsonl", "notes.txt")))
    assert sound(project)


def test_no_record_s_text_is_told_whatever_is_wrong(project: Built) -> None:
    """A sidecar in which every path, map and join misses, over records that hold one person's text."""
    every = dict.fromkeys(("prompt", "response_a", "response_b", "annotator", "model_a", "category"), "missing")
    fields = {
        **every,
        "preference": {"path": "prompt", "values": {"left": "a"}},
        "annotator_kind": {"constant": "human"},
    }
    broken = lines(TOLD) + json.dumps(TOLD)[:-20] + "\n" + f'"{MARKER}"\n'
    project.source("s", {"x.jsonl": broken, "t.jsonl": broken}, fields=fields, files=["x.jsonl"],
                   join={"texts": {"glob": "t.jsonl", "key": "id", "on": "id"}})  # fmt: skip
    told = refused(project, project.raw / "s/source.yaml")
    assert len(told.splitlines()) >= 8


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_no_row_is_told_where_the_header_is_missing(ending: str, project: Built) -> None:
    """Its cells look like names of columns: a person, two answers of a word."""
    rows = [f"{who},blue,red,left" for who in ("Maria Huber", "Tom Weiss", "Maria Huber")]
    content = "\n".join(rows).replace(",", "\t" if ending == "tsv" else ",") + "\n"
    project.source("s", {f"x.{ending}": content}, files=[f"x.{ending}"], format=ending)
    told = refused(project, project.raw / "s/source.yaml")
    assert "is found in none of 2 records (the first row does not look like a header)" in told
    assert not any(word in told for word in ("Maria", "Tom", "blue", "red,"))


def test_what_was_read_is_what_ingest_reads(project: Built) -> None:
    """A sound check means that ingest keeps rows."""
    path = put(project, record(), record(prompt="Why?"))
    assert check(project, [path])
    assert project.run("ingest").comparisons().height == 2
    with path.open(encoding="utf-8") as stream:
        assert YAML(typ="safe").load(stream)["adapter"] == "records"


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_a_ledger_of_real_people_in_git_is_refused(project: Built) -> None:
    put(project, name="made")
    with_pipeline(project)
    git(project.root, "init", "-q")
    git(project.root, "add", ".")
    assert sound(project)
    put(project, name="real", synthetic=False)
    with_pipeline(project)
    told = refused(project)
    assert "data/ledger/consent/made.jsonl: a ledger of real people in git; `git rm --cached` it" in told


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_epochs_may_stand_in_git_and_pins_and_released_prompts_may_not(project: Built) -> None:
    put(project, name="real", synthetic=False)
    project.recorded().pinned({"source": "real", "side": "train"})
    project.gave_away("v1", ("0" * 32, "1" * 32, "train"))
    git(project.root, "init", "-q")
    git(project.root, "add", "-f", "data/ledger/epochs.jsonl", "data/ledger/pins", "data/ledger/released")
    told = refused(with_pipeline(project))
    named = [line.partition(": ")[0] for line in told.splitlines() if "a ledger of real people in git" in line]
    assert named == ["data/ledger/pins/pins.jsonl", "data/ledger/released/v1.parquet"]


def test_the_ledger_is_read_and_its_contradictions_are_told(project: Built) -> None:
    put(project)
    with_pipeline(project.consents("more.jsonl", event(status="ConsentWithdrawn")))
    assert "consent ledger: 2 events of 1 consents; 1 contradictions, of which the strictest counts" in sound(project)
    with_pipeline(project.consents("more.jsonl", event(status="ConsentWithdrew")))
    told = refused(project)
    assert "more.jsonl: line 1: `status`" in told
    assert "nearest known: ConsentWithdrawn" in told


def test_a_ledger_newer_than_as_of_is_told(project: Built) -> None:
    put(project)
    with_pipeline(project.consents("more.jsonl", event(consent_id="c-new", status_time="2030-01-01T00:00:00Z")))
    [told] = [one for one in sound(project) if one.startswith("consent ledger")]
    assert "; newest of 2030-01-01, after `as_of` 2026-" in told


@pytest.mark.parametrize(
    ("consent", "told"),
    [
        ({"record": None}, "name a consent by `consent.record`, or by `fields.consent_refs`"),
        ({"roles": ["publisher", "annotator"]}, "`consent.roles` has annotator, and no reference is of that role"),
        ("none", "`consent: none`, so no row will be published"),
    ],
)
def test_a_source_that_can_publish_nothing_is_told(project: Built, consent: dict[str, Any] | str, told: str) -> None:
    stated = {**SIDECAR["consent"], "record": "c-1"} | consent if isinstance(consent, dict) else consent
    stated = {name: what for name, what in stated.items() if what is not None} if isinstance(stated, dict) else stated
    [found] = check(project, [put(project, consent=stated)])
    assert found.endswith(told)
    project.run("ingest", "validate")
    assert project.account("validate")["dropped_by"] == {"no_consent": 1}
