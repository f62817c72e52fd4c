"""The release gate, with Great Expectations itself: what it says, and what its pages do and do not hold."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import PairtrailError
from pipeline.core.publishing.gate import Row, Rule, Verdict, run_gate

ROOT = Path(__file__).parents[1]
SOURCES: list[Row] = [
    {"source": "crowd", "kept": 1200, "share": 0.6},
    {"source": "panel", "kept": None, "share": 0.3},
    {"source": "judge", "kept": 90, "share": 1.25},
    {"source": "crowd", "kept": 90, "share": float("nan")},
]
PROGRAM = """
import socket, sys
from pathlib import Path

def refuse(*args):
    raise AssertionError("the gate asked for the network")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from pipeline.core.publishing.gate import Rule, run_gate
assert not {"great_expectations", "pandas"} & set(sys.modules), "loaded too early"
rows = [{"source": s, "kept": n, "share": n / 7} for n, s in enumerate(("crowd", "panel", "judge", "arena"))]
rules = [Rule("sources", "share", 0, 0.4), Rule("sources", "source", unique=True), Rule("splits", "pairs", minimum=1)]
run_gate({"sources": rows, "splits": [{"pairs": 1200}, {"pairs": None}]}, rules, Path(sys.argv[1]))
"""


def judge(rows: list[Row], docs: Path, rule: Rule) -> Verdict:
    """Run the gate with one table and one rule."""
    [verdict] = run_gate({rule.table: rows}, [rule], docs / "docs")
    assert verdict.rule is rule
    return verdict


def pages_of(docs: Path) -> dict[str, bytes]:
    """Read every file under a folder."""
    return {path.name: path.read_bytes() for path in docs.iterdir()}


def words_of(page: Path) -> str:
    """Read a page as people do: without tags, white space folded."""
    text = re.sub(r"<style>.*?</style>|<[^>]*>", " ", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(text.split())


def test_a_rule_that_holds(tmp_path: Path) -> None:
    """Limits are inclusive, and what was seen is told in numbers."""
    rows: list[Row] = [{"split": "train", "share": 0.25}, {"split": "heldout", "share": 0}]
    assert judge(rows, tmp_path, Rule("splits", "share", 0, 0.25)) == Verdict(
        Rule("splits", "share", 0, 0.25), passed=True, observed="min 0, max 0.25; no nulls"
    )


OUT = "min 90, max 1,200; "
NO_PANEL = "1 of 4 rows null: source=panel"
STRINGS = "4 of 4 rows not a number: crowd at row 1, panel at row 2, judge at row 3, ..."


@pytest.mark.parametrize(
    ("rule", "observed"),
    [
        (Rule("t", "share", 0, 1, not_null=False), "min 0.3, max 1.25; 1 of 4 rows outside: 1.25 at source=judge"),
        (Rule("t", "kept", 90, 91, not_null=False), OUT + "1 of 4 rows outside: 1200 at source=crowd"),
        (Rule("t", "kept", maximum=1e3, not_null=False), OUT + "1 of 4 rows outside: 1200 at source=crowd"),
        (Rule("t", "kept", 91), OUT + "2 of 4 rows outside: 90 at source=judge, 90 at source=crowd; " + NO_PANEL),
        (Rule("t", "kept"), NO_PANEL),
        (Rule("t", "share"), "1 of 4 rows null: source=crowd"),
        (Rule("t", "share", unique=True), "1 of 4 rows null: source=crowd; all different"),
        (Rule("t", "source", unique=True), "no nulls; 2 of 4 rows not unique: crowd at row 1, crowd at row 4"),
        (Rule("t", "source", maximum=1), STRINGS + "; no nulls"),
        (Rule("t", "pairs"), "no such column; the table has kept, share, source"),
    ],
)
def test_a_rule_that_fails_says_what_and_where(rule: Rule, observed: str, tmp_path: Path) -> None:
    """A NaN is a null, a count beside a null stays a whole number, a column that is not there fails its rule."""
    assert judge(SOURCES, tmp_path, rule) == Verdict(rule, passed=False, observed=observed)


@pytest.mark.parametrize(
    ("rule", "observed"),
    [
        (Rule("t", "kept", minimum=90, maximum=1200, not_null=False), "min 90, max 1,200"),
        (Rule("t", "source"), "no nulls"),
        (Rule("t", "source", not_null=False), "the table has kept, share, source"),
    ],
)
def test_nulls_break_no_other_rule(rule: Rule, observed: str, tmp_path: Path) -> None:
    """Limits and uniqueness are asked of what is there."""
    assert judge(SOURCES, tmp_path, rule) == Verdict(rule, passed=True, observed=observed)


def test_a_column_of_nulls_and_a_ragged_row(tmp_path: Path) -> None:
    """A row without a column has a null there; a limit on nothing but nulls holds and says so."""
    rows: list[Row] = [{"rate": None}, {"rate": float("nan"), "n": 3}]
    assert judge(rows, tmp_path, Rule("t", "rate", 0, 1, not_null=False)).observed == "no values"
    assert judge(rows, tmp_path, Rule("t", "n")).observed == "1 of 2 rows null: row 1"


@pytest.mark.parametrize("rule", [Rule("t", "n", 1, 2, unique=True), Rule("t", "n", not_null=False)])
def test_an_empty_table_passes_and_is_said_to_be_empty(rule: Rule, tmp_path: Path) -> None:
    """No row breaks a rule, but nobody should take that for a good value."""
    assert judge([], tmp_path, rule) == Verdict(rule, passed=True, observed="no rows")
    assert "no rows" in words_of(tmp_path / "docs" / "t.html")


def test_verdicts_come_in_the_order_of_the_rules(tmp_path: Path) -> None:
    """Also where two rules ask the same, and where tables come in another order; a table may have no rule."""
    rules = [Rule("b", "n", maximum=1, why="first"), Rule("a", "n"), Rule("b", "n", maximum=1, why="second")]
    verdicts = run_gate({"a": [{"n": 1}], "b": [{"n": 2}], "free": [{"n": 3}], "bare": []}, rules, tmp_path / "docs")
    assert [verdict.rule for verdict in verdicts] == rules
    assert [verdict.passed for verdict in verdicts] == [False, True, False]
    assert set(pages_of(tmp_path / "docs")) == {"index.html", "a.html", "b.html", "free.html", "bare.html"}


def test_the_pages_tell_what_was_checked(tmp_path: Path) -> None:
    """Result, limits, what was seen, and why stand on both pages; the table's own page shows the values, too."""
    rules = [
        Rule("sources", "share", 0, 1, not_null=False, why="A share is at most 1 & at least 0."),
        Rule("sources", "source"),
    ]
    run_gate({"sources": SOURCES}, rules, tmp_path / "docs")
    for name in ("index", "sources"):
        words = words_of(tmp_path / "docs" / f"{name}.html")
        assert "failed 1 of 2 rules hold" in words
        assert (
            "failed share values must be greater than or equal to 0.0 and less than or equal to 1.0 . "
            "min 0.3, max 1.25; 1 of 4 rows outside: 1.25 at source=judge A share is at most 1 &amp; at least 0."
        ) in words
        assert "passed source values must never be null." in words
        assert ("panel null 0.3" in words) == (name == "sources")


def test_the_pages_need_nothing_but_themselves(tmp_path: Path) -> None:
    """Nothing that a browser would fetch or run, and no key that becomes markup; links lead to our own pages."""
    evil = "<script src='http://x.example'>"
    rows: list[Row] = [{evil: evil, "n": 2}, {evil: "$n", "n": 1}]
    run_gate({"t": rows}, [Rule("t", evil, unique=True, why=evil), Rule("t", "n", maximum=1)], tmp_path / "docs")
    for page in pages_of(tmp_path / "docs").values():
        assert b"&lt;script src=" in page
        assert not re.search(rb"<(script|link|img|iframe|object|embed|base|meta http)\b|@import|url\(", page)
        assert not re.search(rb"<[^>]*\s(src|srcset|on\w+|data)=", page)
        assert set(re.findall(rb'href="?([^" >]*)', page)) <= {b"index.html", b"t.html"}


@pytest.mark.parametrize("text", ["word " * 41, "Dear all,\nhow are you?"])
def test_text_is_refused_and_not_repeated(text: str, tmp_path: Path) -> None:
    """A value that is too long for a key, or has lines, is somebody's text: no page is written."""
    with pytest.raises(PairtrailError, match="table t the column category holds 1 values of several lines") as caught:
        run_gate({"t": [{"category": "chat"}, {"category": text}]}, [], tmp_path / "docs")
    assert text[:5] not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_rule_about_an_unknown_table_is_a_mistake(tmp_path: Path) -> None:
    """It would never be checked, so it is not passed over."""
    with pytest.raises(PairtrailError, match="not given: pairs; given are: splits, sources"):
        run_gate({"splits": [], "sources": []}, [Rule("pairs", "n")], tmp_path / "docs")
    with pytest.raises(PairtrailError, match="given are: none"):
        run_gate({}, [Rule("pairs", "n")], tmp_path / "docs")


def test_the_folder_is_replaced_whole(tmp_path: Path) -> None:
    """No page of an earlier run stays, and nothing is left beside the folder, not even after a run that was killed."""
    docs = tmp_path / "deep" / "docs"
    for folder in (docs, docs.with_name(".docs.new")):
        folder.mkdir(parents=True)
        (folder / "old.html").write_text("old")
    run_gate({"t": [{"n": 1}]}, [Rule("t", "n")], docs)
    assert set(pages_of(docs)) == {"index.html", "t.html"}
    assert [path.name for path in docs.parent.iterdir()] == ["docs"]


@pytest.mark.slow
def test_equal_tables_give_equal_bytes_anywhere(tmp_path: Path) -> None:
    """Two processes with other hashes, zones, homes, locales and folders, cut off from the network, loading late."""
    runs = {}
    for seed, zone, language in (("1", "Asia/Tokyo", "C.UTF-8"), ("2", "America/Lima", "de_DE.UTF-8")):
        home = tmp_path / seed
        home.mkdir()
        here = {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": language, "HOME": str(home), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", PROGRAM, str(home / "out" / "docs")]
        runs[home] = subprocess.Popen(
            command, env=os.environ | here, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    for home, run in runs.items():
        assert (run.communicate()[0], run.returncode) == (b"", 0)
        assert [path.name for path in home.iterdir()] == ["out"]
    one, other = (pages_of(home / "out" / "docs") for home in runs)
    assert one == other
    told = b"".join(one.values())
    assert not re.search(rb"20\d\d|[0-9a-f]{8}-[0-9a-f]{4}|/(home|tmp|root|work|Users)\b", told)
