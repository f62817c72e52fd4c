"""What releases promised: the columns of published tables, ledgers that only grow, texts that keep their names."""

import json
import shutil
import subprocess
from copy import deepcopy
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import PairtrailError
from pipeline.core.keys import PUBLIC_KEY, fingerprint
from pipeline.core.project import Project
from pipeline.lineage.checks.promises import ledgers_grown, schema_checked, texts_checked
from pipeline.lineage.checks.recorded import releases_checked
from pipeline.lineage.releases.records import FORMAT
from schemas.contract import VERSION, breaks, contract
from schemas.published import PUBLISHED
from tests.building import Built, event, lines

PAIRS = "train/pairs.parquet"
WHO = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"]


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *WHO, *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def release(project: Project, folder_name: str = "1.0.0", /, **changes: Any) -> Path:  # noqa: ANN401
    """Write the folder of a release as `pairtrail release` does, of the project as it stands."""
    ledgers = {
        path.relative_to(project.ledger).as_posix(): {"size": path.stat().st_size, "sha256": digest(path)}
        for path in sorted(project.ledger.rglob("*"))
        if path.is_file() and path.suffix != ".dvc"
    }
    facts = {
        "format": FORMAT,
        "version": folder_name,
        "name": "preferences",
        "build_commit": "0" * 40,
        "signed_by": "d" * 64,
        "approvals_needed": 0,
        "key_fingerprint": fingerprint(PUBLIC_KEY),
        "schema": contract(),
        "policies": {path.stem: digest(path) for path in project.policy.glob("*.md")},
        "rubrics": {path.stem: digest(path) for path in project.rubric.glob("*.md")},
        "ledgers": ledgers,
        "files": {PAIRS: {"rows": 1, "bytes": 1, "sha256": "a" * 64, "content_sha256": "b" * 64, "md5": "c" * 32}},
        **changes,
    }
    folder = project.releases / folder_name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "release.json").write_text(json.dumps(facts), encoding="utf-8")
    (folder / "SHA256SUMS").write_text(f"{'a' * 64}  {PAIRS}\n", encoding="utf-8")
    return folder


def changed(place: str = PAIRS, **columns: dict[str, Any] | None) -> dict[str, Any]:
    """The contract with some columns otherwise, or not there."""
    stated = deepcopy(contract())
    for name, facts in columns.items():
        stated["tables"][place].pop(name, None)
        if facts is not None:
            stated["tables"][place][name] = facts
    return stated


def test_the_contract_tells_each_published_column_and_breaks_nothing_itself() -> None:
    stated = contract()
    assert stated["version"] == VERSION
    assert {place: list(columns) for place, columns in stated["tables"].items()} == {
        place: list(schema.columns) for place, schema in PUBLISHED.items()
    }
    assert stated["tables"][PAIRS]["prompt"] == {
        "type": "list<struct<role: string, content: string>>",
        "nullable": False,
    }
    assert stated["tables"][PAIRS]["strength"] == {"type": "float64", "nullable": True}
    assert json.loads(json.dumps(stated)) == stated
    assert breaks(stated, contract()) == []


TEXT, MAYBE = {"type": "string", "nullable": False}, {"type": "string", "nullable": True}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "a new column that may be null": (contract(), changed(more=MAYBE), []),
    "a new column that may not": (
        contract(),
        changed(more=TEXT),
        [f"{PAIRS}: column `more` (string) is new and required; a new column may be null"],
    ),
    "one removed": (contract(), changed(fold=None), [f"{PAIRS}: column `fold` (string) was removed"]),
    "one of another type": (
        contract(),
        changed(p_chosen={"type": "float32", "nullable": False}),
        [f"{PAIRS}: column `p_chosen` was float64 and is float32"],
    ),
    "one that may be null now": (
        contract(),
        changed(chosen=MAYBE),
        [f"{PAIRS}: column `chosen` (string) may be null now, and never was"],
    ),
    "one that may be null no more": (
        contract(),
        changed(category=TEXT),
        [f"{PAIRS}: column `category` (string) is required now, and could be null"],
    ),
    "a field more in a struct": (
        changed(votes={"type": "struct<chosen: int64>", "nullable": False}),
        contract(),
        [
            (
                f"{PAIRS}: column `votes` was struct<chosen: int64> and is struct<chosen: int64, rejected: int64, tie: "
                "int64, both_bad: int64>"
            )
        ],
    ),
    "a new table": ({**contract(), "tables": {}}, contract(), []),
    "a table that is gone": (
        contract(),
        {**contract(), "tables": {PAIRS: contract()["tables"][PAIRS]}},
        [f"{place}: the table is gone" for place in PUBLISHED if place != PAIRS],
    ),
    "a version that went back": (
        {**contract(), "version": VERSION + 1},
        contract(),
        [f"VERSION went back from {VERSION + 1} to {VERSION}"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_breaks_readers_is_told_and_a_higher_version_passes(name: str) -> None:
    old, new, told = CASES[name]
    assert breaks(old, new) == told
    assert breaks(old, {**new, "version": old["version"] + 1}) == []


def test_the_schema_is_held_against_the_last_release(project: Built) -> None:
    assert schema_checked(project) == ([], "no release yet")
    release(project, "1.0.0", schema=changed(more=TEXT))
    [fault] = schema_checked(project)[0]
    assert fault == (
        "schemas/published.py: since release 1.0.0: train/pairs.parquet: column `more` (string) was removed; take the "
        "change back, or raise VERSION in schemas/contract.py (now 1) where readers are to be broken"
    )
    release(project, "1.1.0")
    assert schema_checked(project) == ([], "as of 1.1.0, or more; version 1")
    release(project, "1.10.0", schema=changed(fold=None))
    assert "column `fold` (string) is new and required" in schema_checked(project)[0][0]
    release(project, "1.11.0", schema={**changed(fold=None), "version": 0})
    assert schema_checked(project)[0] == []


@pytest.mark.parametrize(
    "schema", [None, 7, [], {}, {"version": 1, "tables": 3}, {"version": 1, "tables": {PAIRS: [1]}}]
)
def test_a_schema_that_nobody_wrote_is_a_fault(schema: Any, project: Built) -> None:  # noqa: ANN401
    release(project, schema=schema)
    [fault] = schema_checked(project)[0]
    assert fault == (
        "releases/1.0.0/release.json: `schema` is not as `pairtrail release` wrote it; take the file back from git"
    )


def test_a_text_that_any_release_named_keeps_its_name(project: Built) -> None:
    assert texts_checked(project) == ([], "no release yet")
    release(project, "1.0.0")
    release(project, "1.1.0")
    assert texts_checked(project) == ([], "5 released texts")
    rubric, policy = project.rubric / "r-1.md", project.policy / "p-0.md"
    rubric.write_text(rubric.read_text(encoding="utf-8") + "Be brief.\n", encoding="utf-8")
    policy.unlink()
    [fault] = texts_checked(project)[0]
    assert fault == (
        "data/rubric/r-1.md: `r-1` was released in 1.0.0, 1.1.0 with another text; take that back from git, and give "
        "the new text a name of its own"
    )
    # A later release does not make an earlier one's text another.
    release(project, "1.2.0")
    assert "1.0.0, 1.1.0 with another text" in texts_checked(project)[0][0]
    release(project, "1.3.0", rubrics=7)
    assert "releases/1.3.0/release.json: `rubrics` is not as" in "\n".join(texts_checked(project)[0])


@pytest.fixture
def ledgered(project: Built) -> Built:
    project.consents("a.jsonl", event(), event(consent_id="two")).consents("b.jsonl", event(consent_id="three"))
    return project.recorded().pinned({"source": "s", "side": "train"}).gave_away("0.9.0", ("0" * 32, "1" * 32, "train"))


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_a_ledger_may_grow_and_do_nothing_else(ledgered: Built) -> None:
    assert ledgers_grown(ledgered) == ([], "no release yet")
    release(ledgered)
    consent = ledgered.ledger / "consent"
    append(consent / "a.jsonl", lines(event(consent_id="four")))
    ledgered.consents("new.jsonl", event(consent_id="five"))
    ledgered.gave_away("1.0.0", ("2" * 32, "3" * 32, "train"))
    assert ledgers_grown(ledgered) == ([], "5 files begin as in release 1.0.0")
    text = (consent / "a.jsonl").read_text(encoding="utf-8")
    (consent / "a.jsonl").write_text(text.replace("two", "owt", 1), encoding="utf-8")
    (consent / "b.jsonl").unlink()
    pinned = (ledgered.pins / "pins.jsonl").stat().st_size
    (ledgered.pins / "pins.jsonl").write_text("{}\n", encoding="utf-8")
    append(ledgered.released / "0.9.0.parquet", "x")
    found = ledgers_grown(ledgered)[0]
    assert [fault.partition(", since release 1.0.0; a ledger is only added to")[0] for fault in found] == [
        f"data/ledger/consent/a.jsonl: its first {len(lines(event(), event(consent_id='two'))):,} bytes were changed",
        f"data/ledger/consent/b.jsonl: it is gone; {len(lines(event(consent_id='three'))):,} bytes of it were read",
        f"data/ledger/pins/pins.jsonl: it shrank from {pinned:,} to 3 bytes",
        found[3].partition(", since")[0],
    ]
    assert found[3].startswith("data/ledger/released/0.9.0.parquet: it grew from ")


def test_a_new_key_renames_subjects_lawfully_and_no_line_may_go(ledgered: Built) -> None:
    release(ledgered, key_fingerprint="another")
    path = ledgered.ledger / "consent/a.jsonl"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("source:s", "source:t"), encoding="utf-8")
    faults, told = ledgers_grown(ledgered)
    assert faults == []
    assert told == "the key was changed since release 1.0.0, so only sizes of 5 files compared"
    path.write_text(text[: len(text) // 2], encoding="utf-8")
    assert "a.jsonl: it shrank from" in ledgers_grown(ledgered)[0][0]
    # The prompts that were given away name nobody, and stay as they are.
    (ledgered.released / "0.9.0.parquet").write_bytes(b"x" * (ledgered.released / "0.9.0.parquet").stat().st_size)
    assert "released/0.9.0.parquet: its first" in ledgers_grown(ledgered)[0][1]


@pytest.mark.parametrize(
    "ledgers", [None, [], {"a": 1}, {"a": {"size": "1", "sha256": ""}}, {"../x": {"size": 1, "sha256": ""}}]
)
def test_ledgers_that_nobody_wrote_are_a_fault(ledgers: Any, ledgered: Built) -> None:  # noqa: ANN401
    release(ledgered, ledgers=ledgers)
    assert "`ledgers` is not as `pairtrail release` wrote it" in ledgers_grown(ledgered)[0][0]


def track(path: Path, md5_hex: str | None = None, size: int | None = None) -> str:
    """Take a file away and leave the .dvc file that tracks it, as a clone has it that pulled nothing."""
    held, length = md5(path.read_bytes(), usedforsecurity=False).hexdigest(), path.stat().st_size
    entry = f"- md5: {md5_hex or held}\n  size: {length if size is None else size}\n  hash: md5\n  path: {path.name}\n"
    path.with_name(f"{path.name}.dvc").write_text(f"outs:\n{entry}", encoding="utf-8")
    path.unlink()
    return held


def locked(project: Built, **md5s: str) -> str:
    """Commit a dvc.lock that names what a build read of ledgers; return the commit."""
    deps = "".join(f"    - path: {place}\n      md5: {held}\n      size: 1\n" for place, held in md5s.items())
    (project.root / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  validate:\n    deps:\n{deps}", encoding="utf-8")
    git(project.root, "init", "-q")
    git(project.root, "add", "dvc.lock", "params.yaml")
    git(project.root, "commit", "-qm", "built")
    return git(project.root, "rev-parse", "HEAD")


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_what_was_not_pulled_is_compared_by_its_dvc_file(ledgered: Built) -> None:
    """By the MD5 in the lock of the release's build; what grew since cannot be told without pulling, and is told so."""
    folder = release(ledgered)
    facts = json.loads((folder / "release.json").read_text(encoding="utf-8"))
    same, grown = ledgered.ledger / "consent/a.jsonl", ledgered.ledger / "consent/b.jsonl"
    given = ledgered.released / "0.9.0.parquet"
    md5s = {"data/ledger/consent/a.jsonl": track(same), "data/ledger/consent/b.jsonl": track(grown, "d" * 32, 10**6)}
    md5s["data/ledger/released/0.9.0.parquet"] = track(given)
    release(ledgered, **{**facts, "build_commit": locked(ledgered, **md5s)})
    faults, told = ledgers_grown(ledgered)
    assert faults == []
    assert told == (
        "5 files begin as in release 1.0.0; 1 not pulled and grown or renamed, so not compared: consent/b.jsonl"
    )
    for path in (grown, given):
        beside = path.with_name(f"{path.name}.dvc")
        beside.write_text(beside.read_text(encoding="utf-8").replace("md5: ", "md5: ee", 1)[:-2], encoding="utf-8")
    grown.write_text("x\n", encoding="utf-8")
    track(grown, "d" * 32, 3)
    given.write_bytes(b"x" * 5_000)
    track(given, "e" * 32)
    faults = ledgers_grown(ledgered)[0]
    assert [fault.partition(",")[0] for fault in faults][1] == ("data/ledger/released/0.9.0.parquet: it was changed")
    assert "b.jsonl: it shrank from" in faults[0]
    assert "to 3 bytes, as its .dvc file says" in faults[0]


def test_without_the_build_s_commit_what_was_not_pulled_is_told_as_not_compared(ledgered: Built) -> None:
    release(ledgered)
    track(ledgered.ledger / "consent/a.jsonl")
    faults, told = ledgers_grown(ledgered)
    assert faults == []
    assert told.endswith("so not compared: consent/a.jsonl")


def test_the_folders_of_releases_are_whole(project: Built) -> None:
    assert releases_checked(project) == ([], "no release yet")
    folder = release(project)
    (project.releases / "keys").mkdir()
    tags = "not here: the tags preferences@v1.0.0 (`git fetch --tags`)"
    assert releases_checked(project) == ([], f"1 releases, the last 1.0.0; {tags}")
    (folder / "SHA256SUMS").write_text(f"{'a' * 64}  train/ties.parquet\n", encoding="utf-8")
    assert releases_checked(project)[0] == [
        (
            "releases/1.0.0: SHA256SUMS and release.json differ on 2 files (train/pairs.parquet, train/ties.parquet); "
            "take both back from git"
        )
    ]
    for text in ("nonsense\n", None):
        (folder / "SHA256SUMS").unlink() if text is None else (folder / "SHA256SUMS").write_text(text)
        assert "SHA256SUMS: not there, or a line of it is no SHA-256" in releases_checked(project)[0][0]
    release(project, files=[1])
    with pytest.raises(PairtrailError, match=r"releases/1\.0\.0/release\.json: not as"):
        releases_checked(project)
    release(project)
    release(project, "1.1.0", version="1.2.0")
    assert "releases/1.1.0/release.json: its `version` is another" in releases_checked(project)[0][0]
    (project.releases / "1.2").mkdir()
    (project.releases / "1.2/release.json").write_text("{}")
    (project.releases / "1.3.0").mkdir()
    found = "\n".join(releases_checked(project)[0])
    assert "releases/1.2: `1.2` is no version" in found
    assert "releases/1.3.0: no release.json in it" in found


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_a_folder_that_differs_from_its_tag_is_told(project: Built) -> None:
    folder = release(project)
    git(project.root, "init", "-q")
    git(project.root, "add", "-f", "releases")
    git(project.root, "commit", "-qm", "release")
    git(project.root, "tag", "-a", "-m", "1.0.0", "preferences@v1.0.0")
    assert releases_checked(project) == ([], "1 releases, the last 1.0.0")
    facts = folder / "release.json"
    facts.write_text(facts.read_text(encoding="utf-8").replace("0" * 40, "1" * 40), encoding="utf-8")
    assert releases_checked(project)[0] == [
        (
            "releases/1.0.0/release.json: differs from what the tag preferences@v1.0.0 holds; take it back: `git "
            "checkout preferences@v1.0.0 -- releases/1.0.0/release.json`"
        )
    ]
    git(project.root, "rm", "-q", "--cached", "-r", "releases")
    git(project.root, "commit", "-qm", "without", "--allow-empty")
    git(project.root, "tag", "-f", "-a", "-m", "moved", "preferences@v1.0.0")
    assert "not in the tag preferences@v1.0.0; was the tag moved?" in releases_checked(project)[0][0]
