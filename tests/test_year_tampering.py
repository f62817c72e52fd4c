"""After a year of releases: each thing that somebody could change of the past, and `check` names it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.released import FACTS, read_released
from pipeline.core.tables import write_table
from pipeline.lineage.checking import checks
from schemas.released import RELEASED
from tests.owners import Owner
from tests.places import removable
from tests.year import Year

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("git"), reason="needs git"),
    pytest.mark.xdist_group("year"),
]


@pytest.fixture
def place(year: Year, tmp_path: Path) -> Iterator[Owner]:
    """A copy of bob's clone, as CI has it: all that git holds, and no data of DVC's."""
    with removable(tmp_path):
        owner = Owner(tmp_path / "clone", tmp_path / "home")
        owner.root.mkdir()
        owner.run("git", "clone", "-q", str(year.hub), ".")
        yield owner


def flipped(path: Path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)


def named(place: Owner, what: str) -> str:
    """Commit what was tampered with, and check; return what is said of it."""
    place.commit("nothing to see here")
    faults = [fault for one in checks(place.project, []) for fault in one.faults]
    told = [fault for fault in faults if what in fault]
    assert told, faults
    return "\n".join(told)


def test_check_ends_with_1_and_names_the_file(place: Owner) -> None:
    """As a process; the other tests ask the same of the function behind it."""
    path = place.root / "data/policy/p-1.md"
    flipped(path, path.read_bytes().index(b"helpful"))
    place.commit("nothing to see here")
    done = place.tried("pairtrail", "check")
    assert done.returncode == 1
    assert "data/policy/p-1.md: `p-1` was released in 1.0.0, 1.1.0" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_nobody_tampered_with_is_sound(place: Owner) -> None:
    assert "releases: 6 releases, the last 3.0.0" in place.run("pairtrail", "check")


@pytest.mark.parametrize("text", ["data/policy/p-1.md", "data/rubric/r-2.md", "data/rubric/r-1.md"])
def test_one_byte_of_a_released_text(place: Owner, text: str) -> None:
    """The last release names r-1 no more, and the earlier ones do."""
    path = place.root / text
    flipped(path, path.read_bytes().index(b"helpful"))
    assert "was released in" in named(place, text)


def test_one_byte_of_a_ledgers_line(place: Owner) -> None:
    path = place.root / "data/ledger/consent/withdrawals.jsonl"
    flipped(path, path.read_bytes().index(b"2026-05-10") + 9)
    assert "were changed, since release 3.0.0" in named(place, "data/ledger/consent/withdrawals.jsonl: ")


@pytest.mark.parametrize("ledger", ["consent/withdrawals.jsonl", "consent/s.jsonl", "epochs.jsonl"])
def test_a_line_that_is_taken_out_of_a_ledger(place: Owner, ledger: str) -> None:
    (place.root / "data/ledger" / ledger).write_text("")
    assert "it shrank from" in named(place, f"data/ledger/{ledger}: ")


def test_a_ledger_that_is_gone(place: Owner) -> None:
    (place.root / "data/ledger/consent/withdrawals.jsonl").unlink()
    assert "it is gone" in named(place, "data/ledger/consent/withdrawals.jsonl: ")


@pytest.mark.parametrize("version", ["1.0.0", "2.0.1", "3.0.0"])
def test_one_byte_of_the_released_prompts(place: Owner, version: str) -> None:
    """Those of the last release too, which no build has read yet."""
    ledger = f"data/ledger/released/{version}.parquet"
    flipped(place.root / ledger, 40)
    named(place, ledger)


@pytest.mark.parametrize("output", ["data/publish/train/pairs.parquet", "data/split/decisions.parquet"])
def test_one_digit_of_dvc_lock(place: Owner, output: str) -> None:
    path = place.root / "dvc.lock"
    lines = path.read_text().splitlines(keepends=True)
    at = max(place for place, line in enumerate(lines) if line.strip() == f"- path: {output}")
    at += next(more for more in range(1, 4) if "md5: " in lines[at + more])
    digit = lines[at].index("md5: ") + 5
    lines[at] = f"{lines[at][:digit]}{'1' if lines[at][digit] == '0' else '0'}{lines[at][digit + 1 :]}"
    path.write_text("".join(lines))
    named(place, "dvc.lock")


def test_a_released_prompt_that_is_forgotten(place: Owner) -> None:
    """A sound file with a row less: what forgets a prompt of the last release could hold it out next."""
    path = place.root / "data/ledger/released/3.0.0.parquet"
    prompts = read_released(path)
    write_table(prompts.head(-1), path, RELEASED, ["match_key"], FACTS)
    assert "differs from what the tag preferences@v3.0.0 holds" in named(place, "data/ledger/released/3.0.0.parquet: ")


def test_a_key_that_took_another_ones_place(place: Owner) -> None:
    keys = place.root / "releases/keys"
    shutil.copy(keys / "bob.pem", keys / "alice.pem")
    named(place, "releases/keys/alice.pem")


@pytest.mark.parametrize("paper", ["SHA256SUMS", "release.json", "statement.dsse.json", "notes.md", "croissant.json"])
def test_one_byte_of_an_old_releases_paper(place: Owner, paper: str) -> None:
    path = place.root / "releases/1.1.0" / paper
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    named(place, f"releases/1.1.0/{paper}")
