"""The pseudonym key: made once, outside git, readable by its owner alone, and never told."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.errors import PairtrailError
from pipeline.core.keys import (
    KEY_FILE,
    KEY_FILE_VARIABLE,
    KEY_VARIABLE,
    PUBLIC_KEY,
    fingerprint,
    init_key,
    kept_key_file,
    load_key,
)
from tests.building import ROOT, Built, build, lines, record

OWN = "an-own-key-of-more-than-thirty-two-characters"


@pytest.fixture(autouse=True)
def _no_key_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.delenv(KEY_FILE_VARIABLE, raising=False)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def refusal(root: Path, expected: str, real: list[str] | None = None) -> str:
    with pytest.raises(PairtrailError) as caught:
        load_key(root, expected, real or [])
    return str(caught.value)


@pytest.mark.usefixtures("open_umask")
def test_a_new_key_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path, named = init_key(tmp_path)
    assert path == tmp_path / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    key = path.read_text(encoding="ascii").strip()
    assert re.fullmatch("[0-9a-f]{64}", key)
    assert named == fingerprint(key)
    assert load_key(tmp_path, named, ["real"]) == key


def test_a_second_key_is_never_written_over_the_first(tmp_path: Path) -> None:
    path, _ = init_key(tmp_path)
    before = path.read_bytes()
    with pytest.raises(PairtrailError, match="exists already; a second key would orphan every pseudonym"):
        init_key(tmp_path)
    assert path.read_bytes() == before


def test_no_two_keys_are_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert init_key(tmp_path / "one")[1] != init_key(tmp_path / "two")[1]


def test_a_fingerprint_names_a_key_and_gives_it_not_away() -> None:
    assert fingerprint(PUBLIC_KEY) == "913cf30ff011dfd9"
    assert re.fullmatch("[0-9a-f]{16}", fingerprint(OWN))
    assert fingerprint(OWN) != fingerprint(OWN + " ")


def test_the_environment_may_give_the_key_or_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere.key"
    elsewhere.write_text(OWN + "\n")
    elsewhere.chmod(0o600)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(elsewhere))
    assert load_key(tmp_path, fingerprint(OWN), ["real"]) == OWN
    monkeypatch.setenv(KEY_VARIABLE, f" {OWN[::-1]}\n")
    assert load_key(tmp_path, fingerprint(OWN[::-1]), ["real"]) == OWN[::-1]


def key_file(path: Path, key: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(key + "\n")
    path.chmod(0o600)
    return path


def test_of_all_places_the_first_that_holds_the_named_key_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key in the environment that is another one must not stop a build whose own key lies in the project."""
    keys = [f"key-{number}-of-more-than-thirty-two-characters" for number in range(4)]
    monkeypatch.setenv(KEY_VARIABLE, keys[0])
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(key_file(tmp_path / "elsewhere.key", keys[1])))
    key_file(tmp_path / KEY_FILE, keys[2])
    key_file(tmp_path / kept_key_file(fingerprint(keys[3])), keys[3])
    assert [load_key(tmp_path, fingerprint(key), ["real"]) for key in keys] == keys
    told = refusal(tmp_path, "0" * 16)
    places = (KEY_VARIABLE, "elsewhere.key", KEY_FILE.name)
    assert all(
        f"the key from {place} has fingerprint {fingerprint(key)}" in told
        for place, key in zip(places, keys, strict=False)
    )
    assert not [key for key in keys if key in told]


def test_a_kept_key_is_believed_by_what_it_holds_not_by_its_name(tmp_path: Path) -> None:
    key_file(tmp_path / kept_key_file(fingerprint(OWN)), OWN[::-1])
    assert f"has fingerprint {fingerprint(OWN[::-1])}" in refusal(tmp_path, fingerprint(OWN))
    key_file(tmp_path / ".pairtrail/pseudonym-.key", OWN)
    for odd in ("", "..", "*"):
        assert "no pseudonym key" in refusal(tmp_path, odd)


def test_without_a_key_it_says_what_to_do(tmp_path: Path) -> None:
    told = refusal(tmp_path, fingerprint(OWN))
    for word in (KEY_VARIABLE, KEY_FILE_VARIABLE, str(KEY_FILE), "pairtrail keys init"):
        assert word in told


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path, named = init_key(tmp_path)
    for mode in (0o640, 0o604, 0o660, 0o610):
        path.chmod(mode)
        assert "others may read the key file; run `chmod 600`" in refusal(tmp_path, named)


NO_KEYS = {
    "empty": b"",
    "short": b"short",
    "accents": b"\xc3\xbc" * 40,
    "bytes": b"\xff" * 40,
    "bell": b"x" * 40 + b"\x07x",
}


@pytest.mark.parametrize("content", NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_no_key_is_refused_and_not_repeated(content: bytes, tmp_path: Path) -> None:
    path, named = init_key(tmp_path)
    path.write_bytes(content)
    told = refusal(tmp_path, named)
    assert "is not one that `pairtrail keys init` makes" in told
    assert not content or content.decode("latin-1") not in told


def test_the_public_key_serves_synthetic_sources_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = fingerprint(PUBLIC_KEY)
    assert load_key(tmp_path, public, []) == PUBLIC_KEY
    told = refusal(tmp_path, public, ["crowd", "panel"])
    assert "these sources are not synthetic: crowd, panel" in told
    assert "pairtrail keys init" in told
    monkeypatch.setenv(KEY_VARIABLE, PUBLIC_KEY)
    assert "not synthetic" in refusal(tmp_path, public, ["crowd"])


def test_a_build_with_the_public_key_stops_at_a_real_source(project: Built) -> None:
    project.source("made", {"x.jsonl": lines(record())})
    project.source("real", {"x.jsonl": lines(record())}, synthetic=False)
    with pytest.raises(PairtrailError, match="these sources are not synthetic: real"):
        project.run("ingest")
    assert not project.stage("ingest").exists()


def test_a_build_with_another_key_stops_and_says_so(project: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    _, named = init_key(project.root)
    project.source("real", {"x.jsonl": lines(record())}, synthetic=False).set_params(ingest={"key_fingerprint": named})
    ids = set(project.run("ingest").comparisons()["comparison_id"])
    monkeypatch.setenv(KEY_VARIABLE, OWN)
    (project.root / KEY_FILE).unlink()
    with pytest.raises(PairtrailError) as caught:
        project.run("ingest")
    told = str(caught.value)
    assert f"the key from {KEY_VARIABLE} has fingerprint {fingerprint(OWN)}" in told
    assert f"names {named}" in told
    assert OWN not in told
    assert set(project.comparisons()["comparison_id"]) == ids


def test_another_key_gives_other_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name, key in (("one", OWN), ("two", OWN[::-1])):
        monkeypatch.setenv(KEY_VARIABLE, key)
        built = build(tmp_path / name).set_params(ingest={"key_fingerprint": fingerprint(key)})
        built.source("real", {"x.jsonl": lines(record())}, synthetic=False).run("ingest")
        found.append(built.comparisons().row(0, named=True))
    for name in ("comparison_id", "annotator"):
        assert found[0][name] != found[1][name]
    for name in ("pair_id", "prompt_id", "root_id"):
        assert found[0][name] == found[1][name]


def test_the_key_stands_in_nothing_that_a_build_writes(project: Built, capfd: pytest.CaptureFixture[str]) -> None:
    path, named = init_key(project.root)
    key = path.read_text(encoding="ascii").strip()
    project.source("real", {"x.jsonl": lines(record())}, synthetic=False).set_params(ingest={"key_fingerprint": named})
    project.run("ingest", "validate", "dedupe", "split")
    for file in (project.root / "data").rglob("*"):
        assert not file.is_file() or key.encode() not in file.read_bytes()
    told = capfd.readouterr()
    assert key not in told.out + told.err
    assert key not in repr(project)


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_git_and_dvc_never_see_the_key() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", str(KEY_FILE)], cwd=ROOT, capture_output=True, check=False
    )
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    assert ignored.returncode == 0
    assert f"{KEY_FILE.parent}/" in (ROOT / ".dvcignore").read_text(encoding="utf-8").split()
