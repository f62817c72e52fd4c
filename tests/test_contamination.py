"""Contamination: what a person sees of it without texts, what they may allow, and what split is told."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.cli import main
from pipeline.core.contamination import allowances, contaminated
from pipeline.core.errors import PairtrailError
from pipeline.lineage.benchmarks import benchmarks_in_git
from pipeline.lineage.checking import check
from pipeline.lineage.contamination import allow, contamination_of, contaminations
from tests.building import ROOT, Built, lines, record
from tests.test_benchmarks import put

ASKED = "Tell me why the sky is zebra coloured today"
OTHER = "How many legs does a flamingo stand on at night"


@pytest.fixture
def built(project: Built) -> Built:
    put(
        project,
        "b",
        {"x.jsonl": lines({"q": [ASKED, "Say it in rhymes, in four languages of your choice"]}, {"q": OTHER})},
    )
    project.source("s", {"x.jsonl": lines(record(prompt=ASKED), record(prompt=ASKED, annotator="bob"))})
    project.source("t", {"x.jsonl": lines(record(prompt=ASKED), record(prompt=OTHER), record(prompt="Who?"))})
    return project.run("ingest", "decontaminate")


def ids(built: Built, *, item: str = "x.jsonl:1") -> list[str]:
    return [row["contamination_id"] for row in contaminations(built)["rows"] if row["item"] == item]


def keys(built: Built) -> list[str]:
    return contaminated(built).collect()["key"].to_list()


def run(*args: str, cwd: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> str:
    monkeypatch.chdir(cwd)
    monkeypatch.setattr(sys, "argv", ["pairtrail", "contamination", *args])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capfd.readouterr()
    assert bool(ended.value.code) == bool(err)
    return out + err


def test_the_list_counts_by_benchmark_and_rule_and_names_ids(built: Built) -> None:
    found = contaminations(built, "b")
    assert found["counts"] == {"b": {"match": 2, "near": 2, "ngram": 2}}
    assert found["prompts"] == 2
    assert [row["turn"] for row in found["rows"]] == [1] * 6
    assert {row["rule"]: row["coverage"] for row in found["rows"]} == {"match": None, "ngram": 1.0, "near": None}
    assert not any(row["allowed"] for row in found["rows"])
    assert {row["match_key"] for row in found["rows"]} == set(keys(built))
    assert "zebra" not in json.dumps(found)
    with pytest.raises(PairtrailError, match=r"no benchmark is called c \(known: b\)"):
        contaminations(built, "c")


def test_show_tells_places_and_texts_only_when_asked(built: Built) -> None:
    found = contamination_of(built, ids(built)[0])
    assert found["record"] == "data/benchmarks/b/x.jsonl:1"
    assert found["sources"] == {"s": 2, "t": 1}
    assert found["comparisons"] == len(found["comparison_ids"]) == 3
    assert "zebra" not in json.dumps(found)
    told = contamination_of(built, ids(built)[0], reveal=True)
    assert told["benchmark_text"] == told["prompt_turns"] == [ASKED]


def test_what_is_allowed_is_withheld_no_more(built: Built) -> None:
    one, other = ids(built), ids(built, item="x.jsonl:2")
    assert len(keys(built)) == 2
    first = allow(built, one[:1], "the tests", "common", "2026-01-05")
    assert (first["added"], sorted(first["still_withholding"])) == (1, sorted(one[1:]))
    assert len(keys(built)) == 2, "two rules still name the prompt"
    rest = allow(built, [*one, one[0]], "the tests", "common", "2026-01-05")
    assert (rest["added"], rest["already_allowed"], rest["still_withholding"]) == (2, 1, [])
    assert len(keys(built)) == 1
    allow(built, other, "the tests", "common", "2026-01-05")
    assert keys(built) == []
    assert contaminations(built)["exceptions"] == {"standing": 6, "in_vain": 0}
    assert contamination_of(built, one[0])["exception"] == {"by": "the tests", "on": "2026-01-05", "reason": "common"}
    written = (built.ledger / "exceptions" / "reviewed.jsonl").read_text("utf-8").splitlines()
    assert json.loads(written[0]) == {
        "contamination_id": one[0], "by": "the tests", "on": "2026-01-05", "reason": "common",
    }  # fmt: skip
    assert len(written) == 6


def test_an_exception_for_what_is_found_no_more_is_counted(built: Built) -> None:
    allow(built, ids(built), "the tests", "common")
    put(built, "b", {"x.jsonl": lines({"q": OTHER})}).run("decontaminate")
    assert contaminations(built)["exceptions"] == {"standing": 0, "in_vain": 3}
    assert len(keys(built)) == 1


def test_an_unknown_id_allows_nothing(built: Built) -> None:
    for wrong in ("0" * 32, "nonsense"):
        with pytest.raises(PairtrailError, match="`pairtrail contamination list` prints the ids"):
            allow(built, [ids(built)[0], wrong], "the tests", "common")
        with pytest.raises(PairtrailError, match="decontaminate found nothing"):
            contamination_of(built, wrong)
    for by, reason in (("", "common"), ("the tests", " ")):
        with pytest.raises(PairtrailError, match="who reviewed it"):
            allow(built, ids(built), by, reason)
    assert allowances(built) == {}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("nonsense", "reviewed.jsonl: line 2: not one JSON object"),
        ({"contamination_id": "x"}, "contamination_id"),
        ({"on": "2026-02-30"}, "on"),
        ({"by": " "}, "by"),
        ({"reason": None}, "reason"),
        ({"ok": 1}, "unknown key `ok`"),
    ],
)
def test_a_broken_ledger_is_refused_with_its_line(line: Any, fault: str, built: Built) -> None:  # noqa: ANN401
    sound = {"contamination_id": "0" * 32, "by": "the tests", "on": "2026-01-05", "reason": "common"}
    folder = built.ledger / "exceptions"
    folder.mkdir()
    wrong = line if isinstance(line, str) else json.dumps({**sound, **line})
    (folder / "reviewed.jsonl").write_text(f"{json.dumps(sound)}\n{wrong}\n", encoding="utf-8")
    with pytest.raises(PairtrailError, match=r"reviewed\.jsonl: line 2") as caught:
        contaminated(built)
    assert fault in str(caught.value)
    with pytest.raises(PairtrailError, match=r"reviewed\.jsonl: line 2"):
        check(built, [])


def test_before_decontaminate_it_says_what_to_run(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())}).run("ingest")
    for ask in (lambda: contaminations(project), lambda: contaminated(project), lambda: contamination_of(project, "x")):
        with pytest.raises(PairtrailError, match="run `pairtrail decontaminate` first"):
            ask()


def test_the_benchmark_may_be_gone(built: Built) -> None:
    one = ids(built)[0]
    put(built, "b", {"x.jsonl": lines({"q": OTHER})}, item=None)
    other = ids(built, item="x.jsonl:2")[0]
    with pytest.raises(PairtrailError, match="has that item no more; run `pairtrail decontaminate` again"):
        contamination_of(built, other)
    shutil.rmtree(built.benchmarks)
    with pytest.raises(PairtrailError, match="is in data/benchmarks no more"):
        contamination_of(built, one)


def test_split_depends_on_the_exceptions(built: Built) -> None:
    shutil.copy(ROOT / "dvc.yaml", built.root)
    allow(built, ids(built), "the tests", "common")
    stages = YAML(typ="safe").load((built.root / "dvc.yaml").read_text("utf-8"))["stages"]
    holding = {name for name, one in stages.items() if "data/ledger/exceptions/reviewed.jsonl" in one["deps"]}
    assert holding == {"split"}


def test_the_commands(built: Built, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def said(*args: str) -> str:
        return run(*args, cwd=built.root, monkeypatch=monkeypatch, capfd=capfd)

    one = ids(built)[0]
    listed = said("list", "--benchmark", "b")
    assert re.search(r"^b +2 +2 +2$", listed, re.MULTILINE)
    assert one in listed
    assert "2 prompts hold a text of a benchmark; 0 rows are allowed, 0 exceptions name nothing" in listed
    shown = said("show", one)
    assert "record: data/benchmarks/b/x.jsonl:1" in shown
    assert "sources: s 2, t 1" in shown
    assert json.loads(said("show", one, "--json"))["contamination_id"] == one
    assert "zebra" not in listed + shown + said("list", "--json")
    assert said("show", one, "--reveal").count(ASKED) == 2
    allowed = said("allow", one, "--by", "the tests", "--reason", "common")
    assert "1 allowed in data/ledger/exceptions/reviewed.jsonl, 0 were allowed before; 2 more rows name" in allowed
    assert all(other in allowed for other in ids(built)[1:])
    assert json.loads(said("allow", one, "--by", "x", "--reason", "y", "--json"))["already_allowed"] == 1
    assert "exception: by the tests, on 20" in said("show", one)
    assert said("show", "0" * 32).startswith("pairtrail: decontaminate found nothing with the id")


def test_the_list_of_nothing(
    project: Built, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    project.source("s", {"x.jsonl": lines(record())}).run("ingest", "decontaminate")
    said = run("list", cwd=project.root, monkeypatch=monkeypatch, capfd=capfd)
    assert said.startswith("There is no benchmark in data/benchmarks: no prompt was compared with anything.\n0 prompts")
    put(project, "b", {"x.jsonl": lines({"q": OTHER})}).run("decontaminate")
    said = run("list", cwd=project.root, monkeypatch=monkeypatch, capfd=capfd)
    assert said.startswith("0 prompts hold a text of a benchmark")


def test_a_real_benchmark_in_git_is_refused(built: Built) -> None:
    shutil.copy(ROOT / "dvc.yaml", built.root)
    subprocess.run(["git", "init", "--quiet"], cwd=built.root, check=True)
    subprocess.run(["git", "add", "-f", "data/benchmarks"], cwd=built.root, check=True)
    with pytest.raises(PairtrailError, match=r"data/benchmarks/b/x\.jsonl: a real benchmark in git"):
        check(built, [])
    put(built, "b", {}, synthetic=True)
    assert benchmarks_in_git(built, {"data/benchmarks/b/x.jsonl"}) == []
