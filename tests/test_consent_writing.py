"""The consent ledger grows by whole lines at the end of a file, or not at all."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.alone import alone
from pipeline.core.consent.events import read_events
from pipeline.core.consent.writing import append_events
from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from schemas.columns import dtypes
from schemas.consents import EVENTS
from tests.building import ROOT, event, lines

KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.core.consent.writing import append_events
from pipeline.core.project import Project
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
new = {"consent_id": "new", "subject": "source:s", "status_time": "2026-01-01T00:00:00Z"}
append_events(Project(Path(sys.argv[1])), "mine", [new])
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Project:
    return Project(tmp_path)


def held(project: Project, name: str = "mine") -> bytes:
    return (project.ledger / f"consent/{name}.jsonl").read_bytes()


def test_lines_have_their_keys_in_the_schema_s_order_and_state_only_what_is_stated(ledger: Project) -> None:
    whole: dict[str, Any] = {
        "license": "MIT",
        "special_category": False,
        "recipients": [],
        "evidence_sha256": "0" * 64,
        "jurisdiction": "DE",
        "valid_until": "2026-12-31",
        "language": None,
        "controller": 'Käufer & "Söhne"\u2028',
    }
    assert append_events(ledger, "mine", [event(**whole)]) == 1
    [line] = held(ledger).decode().removesuffix("\n").split("\n")
    written = json.loads(line)
    assert list(written) == [key for key in dtypes(EVENTS) if key in written]
    assert written == {key: value for key, value in event(**whole).items() if value is not None}


def test_what_stood_there_stays_the_beginning_and_nothing_is_added_twice(ledger: Project) -> None:
    old = lines(event(), event(consent_id="b"))[:-1].encode()
    for name, content in (("mine", old), ("other", lines(event(consent_id="c")).encode())):
        (ledger.ledger / "consent").mkdir(parents=True, exist_ok=True)
        (ledger.ledger / f"consent/{name}.jsonl").write_bytes(content)
    again = event(status_time="2025-01-01T01:00:00+01:00", purposes=["ai-evaluation", "ai-alignment"])
    added = [event(consent_id="d"), again, event(consent_id="c"), event(consent_id="d"), event(consent_id="e")]
    assert append_events(ledger, "mine", added) == 2
    assert held(ledger) == old + b"\n" + lines(event(consent_id="d"), event(consent_id="e")).encode()
    before = held(ledger)
    assert append_events(ledger, "mine", added) == 0
    assert held(ledger) == before
    assert read_events(ledger.ledger)["consent_id"].to_list() == ["b", "c", "d", "e", "whole"]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({"status": "ConsentGivn"}, "event 2: `status`: a code that is not known; nearest known: ConsentGiven"),
        ({"zq": 1}, "event 2: an unknown key; known: "),
        ({"purposes": "ai-alignment"}, "event 2: `purposes`"),
        ({"status_time": "2026-01-01"}, "event 2: `status_time`: a time with its offset"),
        ({"controller": "\ud800"}, "event 2: not UTF-8"),
        ({"controller": "\0"}, "event 2: a NUL character"),
        ({"controller": "x" * 70_000}, "event 2: longer than 65,536 bytes"),
        ({"special_category": float("nan")}, "event 2: a number that is not finite"),
    ],
)
def test_one_malformed_event_keeps_all_out(ledger: Project, bad: dict[str, Any], told: str) -> None:
    append_events(ledger, "mine", [event(consent_id="first")])
    before = held(ledger)
    with pytest.raises(PairtrailError) as caught:
        append_events(ledger, "mine", [event(), event(**bad), event(consent_id="x")])
    assert told in str(caught.value)
    assert held(ledger) == before


def test_nothing_is_added_to_a_ledger_that_is_malformed_or_compressed(ledger: Project) -> None:
    folder = ledger.ledger / "consent"
    folder.mkdir(parents=True)
    (folder / "mine.jsonl").write_bytes(gzip.compress(lines(event()).encode()))
    with pytest.raises(PairtrailError, match="line 1: compressed"):
        append_events(ledger, "mine", [event(consent_id="x")])
    (folder / "mine.jsonl").write_text(lines(event()), encoding="utf-8")
    assert append_events(ledger, "other", [event(), event(consent_id="x")]) == 1
    (folder / "broken.jsonl").write_text("{\n", encoding="utf-8")
    with pytest.raises(PairtrailError, match="the consent ledger has 1 faults"):
        append_events(ledger, "other", [event(consent_id="y")])
    assert sorted(path.name for path in folder.iterdir()) == ["broken.jsonl", "mine.jsonl", "other.jsonl"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "A", "x y", "x" * 101])
def test_a_file_s_name_is_a_plain_one(ledger: Project, name: str) -> None:
    with pytest.raises(PairtrailError, match="a ledger file's name"):
        append_events(ledger, name, [event()])


def test_one_writes_at_a_time(ledger: Project) -> None:
    with (
        alone(ledger.ledger / "consent"),
        pytest.raises(PairtrailError, match="another run is at work on consent"),
    ):
        append_events(ledger, "mine", [event()])
    assert append_events(ledger, "mine", [event()]) == 1


def test_a_link_into_a_cache_is_replaced_and_never_written_through(ledger: Project, tmp_path: Path) -> None:
    cached = tmp_path / "cached"
    cached.write_text(lines(event()), encoding="utf-8")
    cached.chmod(0o444)
    (ledger.ledger / "consent").mkdir(parents=True)
    (ledger.ledger / "consent/mine.jsonl").symlink_to(cached)
    assert append_events(ledger, "mine", [event(consent_id="x")]) == 1
    assert cached.read_text(encoding="utf-8") == lines(event())
    assert held(ledger) == lines(event(), event(consent_id="x")).encode()
    assert append_events(ledger, "mine", [event(consent_id="y")]) == 1


def test_a_kill_between_write_and_rename_leaves_the_ledger_whole(ledger: Project) -> None:
    append_events(ledger, "mine", [event()])
    before = held(ledger)
    done = subprocess.run([sys.executable, "-c", KILLED, str(ledger.root)], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert held(ledger) == before
    assert (ledger.ledger / "consent/.mine.jsonl.part").exists()
    assert append_events(ledger, "mine", [event(), event(consent_id="x")]) == 1
    assert held(ledger) == before + lines(event(consent_id="x")).encode()
    assert [path.name for path in (ledger.ledger / "consent").iterdir()] == ["mine.jsonl"]


def test_many_lines_are_checked_in_pieces_and_faults_name_the_right_one(
    ledger: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.core.consent.writing.LINES", 3)
    many = [event(consent_id=f"c-{number}") for number in range(10)]
    assert append_events(ledger, "mine", many) == 10
    with pytest.raises(PairtrailError, match="event 8: `status`"):
        append_events(ledger, "mine", [*many[:7], event(status="zq"), *many[8:]])


def test_nothing_is_added_to_a_ledger_that_lost_a_line(ledger: Project) -> None:
    append_events(ledger, "mine", [event()])
    path = ledger.ledger / "consent/mine.jsonl"
    read = {"path": "data/ledger/consent/mine.jsonl", "hash": "md5", "md5": "0" * 32, "size": path.stat().st_size + 1}
    lock = {"schema": "2.0", "stages": {"validate": {"cmd": "pairtrail validate", "deps": [read]}}}
    (ledger.root / "dvc.lock").write_text(json.dumps(lock), encoding="utf-8")
    with pytest.raises(PairtrailError, match="it shrank"):
        append_events(ledger, "mine", [event(consent_id="x")])
    assert held(ledger) == lines(event()).encode()
