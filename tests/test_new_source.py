"""`pairtrail sources new`: guesses that wait for their owner, blanks that nobody can guess, and nothing in git."""

import gzip
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline.cli import main
from pipeline.core.errors import PairtrailError
from pipeline.core.params import parse_yaml, read_yaml
from pipeline.core.sidecar.sources import load_source
from pipeline.core.sidecar.waiting import STATEMENTS
from pipeline.lineage.checking import check
from pipeline.lineage.drafting import written_out
from pipeline.lineage.newsource import new_source, next_steps
from pipeline.lineage.sources import sources
from pipeline.lineage.syncing import sync
from pipeline.stages import STAGES
from tests.building import PARAMS, ROOT, SIDECAR, Built, build, lines
from tests.pages import DOCS, section

MARKER = "zzperson"
STATED = (
    *("license", "attribution", "collected_by", "approved_by", "approved_on", "policy_version", "rubric_version"),
    "consent",
)


def vote(number: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    sound = {
        "question": f"Question {number}? {MARKER}",
        "answer_1": f"The first answer. {MARKER}",
        "answer_2": f"Another answer. {MARKER}",
        "winner": ("left", "right", "tie")[number % 3],
        "worker": f"{MARKER}-{number % 4}",
    }
    return {**sound, **changes}


VOTES = lines(*map(vote, range(30)))


def outside(project: Built, content: str | bytes = VOTES, name: str = "votes.jsonl") -> Path:
    path = project.root.parent / "elsewhere" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def begun(project: Built, content: str | bytes = VOTES, name: str = "votes.jsonl") -> Path:
    return new_source(project, outside(project, content, name), "mine").sidecar


def refusal(project: Built, path: Path) -> str:
    with pytest.raises(PairtrailError) as caught:
        check(project, [path])
    assert MARKER not in str(caught.value)
    return str(caught.value)


def change(path: Path, **changes: Any) -> None:  # noqa: ANN401
    content = {**read_yaml(path), **changes}
    with path.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(content, stream)


def finish(path: Path, fields: dict[str, Any] | None = None, **changes: Any) -> None:  # noqa: ANN401
    """Do what an owner does: fill the blanks in, and strike every guess."""
    content = read_yaml(path)
    stated = {name: SIDECAR[name] for name in STATED}
    change(path, **{**stated, "unconfirmed": None, "fields": {**content["fields"], **(fields or {})}, **changes})


def test_a_source_is_refused_until_its_owner_has_spoken(project: Built) -> None:
    path = begun(project)
    told = refusal(project, path)
    for name in STATEMENTS:
        if name in STATED[:-1] or name.startswith("consent."):
            assert f"`{name}` is blank: {STATEMENTS[name]}" in told
    waits = read_yaml(path)["unconfirmed"]
    assert f"{len(waits)} guesses wait for confirmation: {', '.join(waits)};" in told
    assert "strike its name from `unconfirmed`" in told
    finish(path, unconfirmed=waits)
    assert [line for line in refusal(project, path).splitlines() if "blank" in line] == []
    finish(path, unconfirmed=["fields.prompt"])
    assert "1 guess waits for confirmation: fields.prompt;" in refusal(project, path)
    finish(path)
    assert check(project, [path]) == [f"{path}: 30 comparisons from 30 records"]


@pytest.mark.parametrize("waits", [["adapter"], "adapter", {"adapter": True}, [None], [["adapter"]], 1, True])
def test_whatever_stands_under_unconfirmed_waits(waits: Any, project: Built) -> None:  # noqa: ANN401
    path = begun(project)
    finish(path, unconfirmed=waits)
    with pytest.raises(PairtrailError, match="1 guess waits"):
        load_source(path)


@pytest.mark.parametrize("struck", [None, []])
def test_a_key_without_names_waits_for_nothing(struck: Any, project: Built) -> None:  # noqa: ANN401
    path = begun(project)
    finish(path, unconfirmed=struck)
    assert load_source(path).sidecar.unconfirmed == []


BLANKS: dict[str, dict[str, Any]] = {
    **{name: {name: None} for name in STATED},
    **{f"consent.{name}": {"consent": {**SIDECAR["consent"], name: None}} for name in SIDECAR["consent"]},
    "adapter": {"adapter": None},
    "fields": {"fields": None},
    "fields.prompt": {"fields": {**SIDECAR["fields"], "prompt": None}},
    "fields.category": {"fields": {**SIDECAR["fields"], "category": None}},
    "fields.strength.scale": {"fields": {**SIDECAR["fields"], "strength": {"path": "s", "scale": None}}},
    "fields.preference.values": {"fields": {**SIDECAR["fields"], "preference": {"path": "p", "values": {0: None}}}},
    "fields.prompt.roles": {"fields": {**SIDECAR["fields"], "prompt": {"messages": "m", "roles": {"x": None}}}},
    "files.0.fields.annotator": {"files": [{"glob": "*.jsonl", "fields": {"annotator": None}}]},
    "fan_out.0.fields.preference.values": {
        "fan_out": [{"key": "k", "fields": {"preference": {"path": "p", "values": {"1": None, "2": "b"}}}}]
    },
}


@pytest.mark.parametrize("name", BLANKS)
def test_a_blank_is_refused_by_its_name(name: str, project: Built) -> None:
    project.source("s", {"x.jsonl": VOTES}, **BLANKS[name])
    told = refusal(project, project.raw / "s/source.yaml")
    assert f"`{name}` is blank: " in told or f"`{name}` has no target for " in told
    assert "unconfirmed" not in told


def test_what_is_null_on_purpose_is_no_blank(project: Built) -> None:
    fields = {**SIDECAR["fields"], "annotator": {"constant": None}}
    project.source("s", {"x.jsonl": VOTES}, fields=fields, consent="none", namespace=None)
    assert load_source(project.raw / "s/source.yaml").sidecar.consent is None


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_that_reads_sources_takes_one_that_waits(stage: str, project: Built) -> None:
    """What dedupe, near, decontaminate and split are given was refused before."""
    project.source("s", {"x.jsonl": lines(*({**vote(i), "prompt": f"{i}", "a": "x", "b": "y", "preference": "a",
                                             "annotator": "w"} for i in range(3)))}).run()  # fmt: skip
    begun(project)
    if stage in {"dedupe", "near", "decontaminate", "split"}:
        project.run(stage)
        return
    with pytest.raises(PairtrailError, match="guesses wait for confirmation"):
        project.run(stage)


def test_nor_does_any_other_command(project: Built) -> None:
    begun(project)
    shutil.copy(ROOT / "dvc.yaml", project.root)
    for command in (lambda: sync(project), lambda: sources(project), lambda: check(project, [])):
        with pytest.raises(PairtrailError, match="guesses wait for confirmation"):
            command()


def test_each_guess_stands_under_its_evidence_and_names_itself(project: Built) -> None:
    text = begun(project).read_text(encoding="utf-8")
    content = parse_yaml(text)
    assert content["unconfirmed"] == ["synthetic", "adapter", "format", *(
        f"fields.{name}" for name in ("prompt", "response_a", "response_b", "preference", "annotator", "annotator_kind")
    )]  # fmt: skip
    assert content["synthetic"] is False
    assert content["fields"]["preference"] == {"path": "winner", "values": {"left": "a", "right": "b", "tie": "tie"}}
    assert "# Guess: `winner` is in 30 of 30 records; it holds `left` 10, `right` 10, `tie` 10." in text
    assert "# Guess: `worker` is in 30 of 30 records; it holds 4 distinct values." in text
    assert "# Guess: 30 of the first 30 records can be read so." in text
    assert text.count("# Guess: ") == len(content["unconfirmed"])
    assert text.count("# Blank: ") == len(STATED) - 1 + 4


def test_no_text_and_no_person_stands_in_it(project: Built) -> None:
    rows = [
        {**vote(number), "reason": f"because {MARKER}", f"{MARKER}@example.org": 1, "label": f"{MARKER}{number}",
         "votes": {f"{MARKER}-{number}": "left"}, "choice": f"{MARKER} said so. {number}"}
        for number in range(60)
    ]  # fmt: skip
    path = begun(project, lines(*rows) + f'{{"{MARKER}": \n')
    assert MARKER not in path.read_text(encoding="utf-8")
    assert read_yaml(path)["fields"]["preference"]["path"] == "winner"


PEOPLE: dict[str, dict[str, Any]] = {
    "in roles": {
        "question": [{"author": f"{MARKER}@example.org", "text": "Hi"}, {"author": "bot", "text": "Ho"}],
    },
    "in a choice": {"winner": f"{MARKER} has it"},
    "in the name of who decided": {"decision_by": f"{MARKER} Huber", "winner": 1},
    "in the name of a reviewer": {"best_reviewer": f"{MARKER} Huber", "winner": None},
    "in a strength": {"degree": f"{MARKER} Huber"},
    "in keys": {"votes": {MARKER: "left", f"{MARKER}2": "right"}, "choice": {MARKER: "left"}, "winner": None},
    "in a panel": {"winner": None, "annotator_1": f"{MARKER} a", "annotator_2": f"{MARKER} b", "vote": f"{MARKER} c"},
}


@pytest.mark.parametrize("name", PEOPLE)
def test_no_name_stands_in_it_or_in_what_check_says(name: str, project: Built) -> None:
    path = begun(project, lines(*(vote(number, **PEOPLE[name]) for number in range(30))))
    assert MARKER not in path.read_text(encoding="utf-8")
    refusal(project, path)


def test_what_is_not_shown_is_counted_and_left_blank(project: Built) -> None:
    chat = [{"author": name, "text": "Hi"} for name in ("Maria", "bot")]
    path = begun(project, lines(*(vote(i, question=chat, winner=("Tom", "Ada")[i % 2]) for i in range(30))))
    text = path.read_text(encoding="utf-8")
    unwrapped = re.sub(r"\n +# ", " ", text)
    assert "its roles: 2 distinct names" in unwrapped
    assert "it holds 2 distinct values" in unwrapped
    assert unwrapped.count("it may name people, so it is not shown here") == 2
    assert "Tom" not in text
    told = refusal(project, path)
    assert "`fields.preference.values` is blank: " in told
    assert "`fields.prompt.roles` is blank: " in told


def test_a_label_in_few_records_is_known_or_not_shown(project: Built) -> None:
    path = begun(project, lines(vote(1, winner=MARKER), vote(2, winner="left")))
    assert read_yaml(path)["fields"]["preference"] is None
    assert MARKER not in path.read_text(encoding="utf-8")


def test_the_example_of_the_docs_is_what_is_written(project: Built) -> None:
    told = section(DOCS / "sources.md", "Starting a source")
    [raw] = re.findall(r"```json\n(.*?)```", told, re.DOTALL)
    [shown] = re.findall(r"```yaml\n(.*?)```", told, re.DOTALL)
    written = begun(project, raw).read_text(encoding="utf-8")
    assert [line for line in shown.splitlines() if line not in written.splitlines()] == []
    finish(project.raw / "mine/source.yaml")
    assert check(project, [project.raw / "mine/source.yaml"])


def packed(content: str, how: str) -> bytes:
    if how == "gz":
        return gzip.compress(content.encode())
    return zstandard.compress(content.encode()) if how == "zst" else content.encode()


CSV = "worker,question,first,second,verdict\n" + "".join(
    f'w{i},"Why, {i}?","It is so, as long as anybody can remember. {i}",'
    f"Nobody knows that and nobody ever will say {i},{'first' if i % 2 else 'second'}\n"
    for i in range(12)
)
FORMATS = {
    "json lines": ("votes.jsonl", VOTES, "json"),
    "an array": ("votes.json", json.dumps([vote(i) for i in range(9)], indent=1), "json"),
    "an odd suffix": ("votes.txt", VOTES, "json"),
    "a wrong suffix": ("votes.csv", VOTES, "json"),
    "csv": ("votes.csv", CSV, "csv"),
    "csv without a suffix": ("votes", CSV, "csv"),
    "tsv": ("votes.tsv", re.sub(r',(?! |")', "\t", CSV.replace('"', "").replace(", ", " ")), "tsv"),
}


@pytest.mark.parametrize("how", ["", "gz", "zst"])
@pytest.mark.parametrize("name", FORMATS)
def test_the_format_is_told_by_content(name: str, how: str, project: Built) -> None:
    file, content, expected = FORMATS[name]
    path = begun(project, packed(content, how), f"{file}.{how}" if how else file)
    assert read_yaml(path)["format"] == expected
    finish(path, {"annotator": "worker", "annotator_kind": {"constant": "human"}})
    assert re.search(r": (\d+) comparisons from \1 records$", check(project, [path])[0])


def test_parquet_is_read_too(project: Built) -> None:
    file = outside(project)
    pl.DataFrame([vote(i) for i in range(9)]).write_parquet(file)
    path = new_source(project, file, "mine").sidecar
    assert read_yaml(path)["format"] == "parquet"
    finish(path)
    assert check(project, [path]) == [f"{path}: 9 comparisons from 9 records"]


HOSTILE = {
    "empty": (b"", "empty_file 1"),
    "blank": (b" \n \n", "empty_file 1"),
    "binary": (bytes(range(256)) * 40, "no record can be read"),
    "broken JSON": (b'{"prompt": "x", \n' * 50, "broken_json 50"),
    "prose": (b"It was a dark and stormy night.\nThe rain fell in torrents.\n" * 20, "no record can be read"),
    "numbers": (b"1\n2\n3\n", "not_an_object 3"),
    "a cut gzip": (gzip.compress(VOTES.encode())[:-30][:20], "no record can be read"),
    "a cut parquet": (b"PAR1\x00\x00", "no record can be read"),
    "UTF-16": (VOTES.encode("utf-16"), "no record can be read"),
    "one line of 50 MB": (b'{"prompt": "' + b"x" * 50_000_000 + b'"}', "record_too_large 1"),
    "a deep one": (b'{"prompt": ' * 100_000, "too_deep 1"),
    "CSV without a header": (CSV.partition("\n")[2].replace("w", "left").encode(), "does not look like a header"),
    "CSV whose labels are its header": (b"left,Why so?,Yes,No\nright,How?,Yes,No\nleft,Why?,No,Yes\n", "header"),
    "a column twice": (b"a,a,b\n1,2,3\n", "no record can be read"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_log_is_refused_and_nothing_is_written(name: str, project: Built) -> None:
    content, told = HOSTILE[name]
    with pytest.raises(PairtrailError, match=re.escape(told)):
        begun(project, content, "votes.csv" if name.startswith(("CSV", "a column")) else "votes.jsonl")
    assert not project.raw.exists()


def test_a_repeated_header_is_no_missing_one(project: Built) -> None:
    path = begun(project, CSV + CSV, "votes.csv")
    assert read_yaml(path)["format"] == "csv"


def test_unknown_shapes_leave_adapter_and_fields_blank(project: Built) -> None:
    path = begun(project, lines(*({"height": number, "width": 2} for number in range(5))))
    content = read_yaml(path)
    assert content["adapter"] is content["fields"] is None
    told = refusal(project, path)
    assert "`adapter` is blank" in told
    assert "`fields` is blank" in told
    assert "Paths that no guess uses: height, width." in path.read_text(encoding="utf-8")


def test_the_same_file_gives_the_same_bytes(new_project: Callable[[str], Built]) -> None:
    one, two = new_project("one"), new_project("two/deeper")
    assert begun(one).read_bytes() == begun(two).read_bytes()


def test_nothing_is_overwritten(project: Built) -> None:
    path = begun(project)
    before = path.read_bytes()
    for file in (outside(project, name="other.jsonl"), project.raw / "mine/votes.jsonl"):
        with pytest.raises(PairtrailError, match=r"source\.yaml exists already and is not overwritten"):
            new_source(project, file, "mine")
    assert path.read_bytes() == before
    path.unlink()
    kept = project.raw / "mine/votes.jsonl"
    kept.write_text("the owner's", encoding="utf-8")
    with pytest.raises(PairtrailError, match=r"data/raw/mine/votes\.jsonl exists already"):
        new_source(project, outside(project), "mine")
    assert kept.read_text(encoding="utf-8") == "the owner's"
    assert not path.exists()


NAMES = [
    ("Votes-2026.jsonl.gz", None, "votes_2026"),
    ("arena.battles.v2.jsonl", None, "arena_battles_v2"),
    ("x.jsonl", "mine", "mine"),
    ("2026.jsonl", None, "cannot name a source"),
    ("投票.jsonl", None, "cannot name a source"),
    ("x.jsonl", "Mine", "cannot name a source"),
    ("x.jsonl", "../up", "cannot name a source"),
    ("x.jsonl", "", "cannot name a source"),
    ("source.yaml", "mine", "is no data"),
    ("x.dvc", "mine", "is no data"),
    ("a\nb.jsonl", "mine", "not plain text"),
]


@pytest.mark.parametrize(("file", "name", "told"), NAMES)
def test_a_source_s_name(file: str, name: str | None, told: str, project: Built) -> None:
    path = outside(project, name=file)
    if " " in told:
        with pytest.raises(PairtrailError, match=told):
            new_source(project, path, name)
        assert not project.raw.exists()
    else:
        assert new_source(project, path, name).sidecar == project.raw / told / "source.yaml"


@pytest.mark.parametrize("name", ["a [x].jsonl", "what?.jsonl", "*.jsonl", "#1 !.jsonl", 'it\'s "so".jsonl', "ä.jsonl"])
def test_a_file_s_name_may_hold_anything_plain(name: str, project: Built) -> None:
    path = begun(project, name=name)
    finish(path)
    assert check(project, [path]) == [f"{path}: 30 comparisons from 30 records"]


def test_a_file_that_is_there_already_stays_where_it_is(project: Built) -> None:
    file = project.raw / "mine/2026/votes.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text(VOTES, encoding="utf-8")
    made = new_source(project, file, None)
    assert (made.sidecar, made.file, made.copied) == (project.raw / "mine/source.yaml", file, False)
    assert read_yaml(made.sidecar)["files"] == ["2026/votes.jsonl"]
    made.sidecar.unlink()
    with pytest.raises(PairtrailError, match="belongs to source `mine`"):
        new_source(project, file, "other")
    beside = shutil.copy(file, project.raw / "votes.jsonl")
    with pytest.raises(PairtrailError, match="stands beside the sources"):
        new_source(project, Path(beside), "mine")


def test_a_way_through_the_sources_leads_out_of_them(project: Built) -> None:
    outside(project)
    made = new_source(project, project.raw / "one/../../../../elsewhere/votes.jsonl", "two")
    assert (made.copied, made.sidecar) == (True, project.raw / "two/source.yaml")


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
@pytest.mark.parametrize(
    "name", ["votes.jsonl", "a [x]*? #1!.jsonl", "#.jsonl", "!.jsonl", " x .jsonl", "end.jsonl ", "back\\slash"]
)
def test_git_never_sees_the_file(name: str, project: Built) -> None:
    subprocess.run(["git", "init", "-q"], cwd=project.root, check=True)
    begun(project, name=name)
    subprocess.run(["git", "add", "-A"], cwd=project.root, check=True)
    listed = subprocess.run(
        ["git", "ls-files", "data/raw"], cwd=project.root, check=True, capture_output=True, text=True
    )
    assert listed.stdout.split() == ["data/raw/mine/.gitignore", "data/raw/mine/source.yaml"]


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
@pytest.mark.parametrize("name", ["votes.jsonl", "it's [x] *.jsonl"])
def test_what_git_holds_already_is_told(name: str, project: Built) -> None:
    file = project.raw / "mine" / name
    file.parent.mkdir(parents=True)
    file.write_text(VOTES, encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=project.root, check=True)
    subprocess.run(["git", "add", "-A"], cwd=project.root, check=True)
    told = next_steps(project, new_source(project, file, None))
    assert "git ignores it" not in told
    assert told.index(f"  git rm --cached {quote(f'data/raw/mine/{name}')}\n  dvc add ") > 0
    other = project.raw / "other/votes.jsonl"
    other.parent.mkdir()
    other.write_text(VOTES, encoding="utf-8")
    told = next_steps(project, new_source(project, other, None))
    assert "git ignores it" in told
    assert "--cached" not in told


def test_without_git_nothing_is_said_of_what_it_holds(project: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    made = new_source(project, outside(project), "mine")
    monkeypatch.setenv("PATH", "")
    assert "--cached" not in next_steps(project, made)


def test_what_git_was_told_before_stays(project: Built) -> None:
    ignore = project.raw / "mine/.gitignore"
    ignore.parent.mkdir(parents=True)
    ignore.write_text("/old.csv", encoding="utf-8")
    begun(project)
    assert ignore.read_text(encoding="utf-8") == "/old.csv\n/votes.jsonl\n"


def test_the_command_says_what_comes_next(
    project: Built, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.chdir(project.root)
        monkeypatch.setattr(sys, "argv", ["pairtrail", "sources", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capfd.readouterr()

    file = outside(project, name="my votes.jsonl")
    code, out, err = run("new", str(file))
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "data/raw/my_votes/source.yaml written: 9 guesses to confirm, 11 blanks to fill in"
    assert out.splitlines()[-3:] == [
        "  dvc add 'data/raw/my_votes/my votes.jsonl'",
        "  pairtrail check data/raw/my_votes/source.yaml",
        "  pairtrail sync",
    ]
    code, out, err = run("new", str(file))
    assert (code, out) == (1, "")
    assert "exists already" in err
    assert run("new", "nowhere.jsonl")[::2] == (1, "pairtrail: nowhere.jsonl: no such file\n")
    assert run("new", ".")[0] == 1
    assert run("new")[0] == 2
    assert run("--json")[0] == 1
    finish(project.raw / "my_votes/source.yaml")
    code, out, err = run("--json")
    assert (code, err, json.loads(out)[0]["source"]) == (0, "", "my_votes")


@given(
    st.recursive(st.text() | st.integers() | st.booleans(), lambda inner: st.dictionaries(st.text(), inner, min_size=1))
)
def test_what_is_written_out_reads_the_same(content: Any) -> None:  # noqa: ANN401
    from pipeline.core.errors import PairtrailError as Refused

    try:
        read = parse_yaml("\n".join(written_out("key", content, 0)))
    except Refused as refused:
        assert "written alike" in str(refused) or "character" in str(refused)  # noqa: PT017
        return
    assert read == {"key": {} if content == {} else content}


# -- published logs ---------------------------------------------------------------------------------------------------

REAL = {
    "autoj": ("autoj_pairwise.json", {"prompt", "response_a", "response_b", "category"}, 1_392, 1_392),
    "hh_rlhf": ("harmless-base-test.jsonl.gz", {"annotator"}, 2_307, 2_312),
    "ja_vicuna": (
        "cyberagent--calm2-7b-chat_openai--text-davinci-003.jsonl",
        {"prompt", "response_a", "response_b", "annotator", "annotator_kind", "model_a", "model_b", "created_at"},
        160,
        80,
    ),
    "llmfao": ("crowd-comparisons.csv", {"preference"}, 5_000, 5_000),
    "pandalm": ("testset-v1.json", {"prompt", "response_a", "response_b"}, 2_979, 999),
    "ukp_convarg": (
        "evolution-vs-creation_creation.csv",
        {"response_a", "response_b", "preference", "annotator", "annotator_kind", "rationale", "category"},
        2_634,
        2_634,
    ),
}
OTHERS = {
    "benchmarks": "llmbar/Natural.json",
    "conture": "data.json",
    "llamafactory": "dpo_zh_demo.json",
    "oasst": "en_100_tree.jsonl",
}


def made_real(root: Path, real: Path, name: str, file: str) -> tuple[Built, Path]:
    project = build(root / "real")
    project.set_params(ingest={**PARAMS["ingest"], "record_bytes": 2**24})
    return project, new_source(project, real / name / file, name).sidecar


@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_what_can_be_guessed_of_a_published_log_is_right(name: str, real: Path, tmp_path: Path) -> None:
    file, right, comparisons, records = REAL[name]
    project, path = made_real(tmp_path, real, name, file)
    truth = read_yaml(ROOT / "tests/real_sources" / name / "source.yaml")
    found = read_yaml(path)
    assert (found["adapter"], found["format"]) == (truth["adapter"], truth["format"])
    assert {field: found["fields"][field] for field in right} == {field: truth["fields"][field] for field in right}
    assert "guesses wait for confirmation" in refusal(project, path)
    for side in ("pairs-crowd.jsonl", "prompts.jsonl", "models.jsonl") if name == "llmfao" else ():
        (path.parent / side).symlink_to(real / name / side)
    stated = {key: truth[key] for key in (*STATED, "join", "fan_out", "slices") if key in truth}
    own = {"annotator": "worker", "annotator_kind": {"constant": "human"}} if name == "llmfao" else {}
    change(
        path,
        **stated,
        unconfirmed=None,
        fields={**truth["fields"], **{key: found["fields"][key] for key in right}, **own},
    )
    [told] = check(project, [path])
    first = "the first " if name == "llmfao" else ""
    assert f": {comparisons:,} comparisons from {first}{records:,} records" in told


@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_no_uncertain_verdict_of_a_published_log_has_a_target(name: str, real: Path, tmp_path: Path) -> None:
    """PandaLM writes 0 for a tie, Auto-J for the first response."""
    _, path = made_real(tmp_path, real, name, REAL[name][0])
    found = read_yaml(path)
    specs = [found["fields"].get("preference"), *(entry["fields"]["preference"] for entry in found.get("fan_out", []))]
    maps = [spec["values"] for spec in specs if spec]
    expected: dict[str, list[dict[str, Any]]] = {
        "autoj": [{"0": None, "1": None, "2": None}],
        "hh_rlhf": [],
        "ja_vicuna": [{"model_1": "a", "model_2": "b", "tie": "tie"}] * 2,
        "llmfao": [{"left": "a", "right": "b", "tie": "tie"}],
        "pandalm": [{"0": None, "1": None, "2": None}] * 3,
        "ukp_convarg": [{"a1": "a", "a2": "b", "equal": "tie"}],
    }
    assert maps == expected[name]


@pytest.mark.real
@pytest.mark.parametrize("name", OTHERS)
def test_every_other_published_log_gets_a_sidecar_that_waits(name: str, real: Path, tmp_path: Path) -> None:
    project, path = made_real(tmp_path, real, name, OTHERS[name])
    told = refusal(project, path)
    assert "`license` is blank" in told
    assert "wait for confirmation: synthetic, " in told
