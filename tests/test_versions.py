"""Policies and rubrics: Markdown with front matter, named by their version."""

from hashlib import sha256
from pathlib import Path

import pytest

from pipeline.core.errors import PairtrailError
from pipeline.core.versions import FrontMatter, load_versions
from tests.building import ROOT

HEAD = "version: r-1\ntitle: How to judge\neffective: 2026-01-01\napproved_by: the board\napproved_on: 2025-12-01\n"
SOUND = f"---\n{HEAD}---\nBe fair.\n\n---\nA rule, not a fence.\n"


def put(folder: Path, text: str | bytes, name: str = "r-1.md") -> Path:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_a_version_is_its_front_matter_and_the_digest_of_its_whole_file(tmp_path: Path) -> None:
    put(tmp_path, SOUND)
    put(tmp_path, SOUND.replace("r-1", "r-0").replace("---\nBe", "synthetic: true\n---\nBe"), "r-0.md")
    put(tmp_path, "not a version", "README.txt")
    found = load_versions(tmp_path)
    assert list(found) == ["r-0", "r-1"]
    assert found["r-1"].front_matter == FrontMatter("r-1", "How to judge", "2026-01-01", "the board", "2025-12-01")
    assert found["r-1"].sha256 == sha256(SOUND.encode()).hexdigest()
    assert found["r-0"].front_matter.synthetic
    before = found["r-1"]
    assert load_versions(put(tmp_path, SOUND + "One word more.\n"))["r-1"] != before


def test_a_folder_without_versions_has_none(tmp_path: Path) -> None:
    assert load_versions(tmp_path) == {}
    assert load_versions(tmp_path / "missing") == {}


FAULTS: dict[str, tuple[str | bytes, str]] = {
    "no fences": (
        "Be fair.\n",
        "no front matter; between two `---` lines state version, title, effective, approved_by and approved_on",
    ),
    "one fence": (f"---\n{HEAD}", "no front matter"),
    "text before": (f"Hello\n---\n{HEAD}---\n", "no front matter"),
    "empty file": ("", "no front matter"),
    "another name": (SOUND.replace("version: r-1", "version: r-2"), "`version` is r-2, but the file's name says r-1"),
    "missing key": (SOUND.replace("title: How to judge\n", ""), "missing key `title`"),
    "unknown key": (SOUND.replace("title", "titel"), "unknown key `titel`; did you mean `title`?"),
    "no day of approval": (SOUND.replace("approved_on: 2025-12-01\n", ""), "missing key `approved_on`"),
    "blank day": (
        SOUND.replace("2025-12-01", ""),
        "`approved_on`: a day of the calendar is needed, written as 2026-01-31",
    ),
    "no such day": (SOUND.replace("2025-12-01", "2025-02-29"), "r-1.md: line 5: 2025-02-29 is no day of the calendar"),
    "no such day, quoted": (SOUND.replace("2025-12-01", '"2025-02-29"'), "`approved_on`: a day of the calendar"),
    "a time": (SOUND.replace("2025-12-01", "2025-12-01T10:00:00Z"), "`approved_on`: a day of the calendar"),
    "a day without marks": (SOUND.replace("2025-12-01", "20251201"), "`approved_on`: a day of the calendar"),
    "it takes effect on no day": (SOUND.replace("2026-01-01", '"2026-13-01"'), "`effective`: a day of the calendar"),
    "blank approval": (SOUND.replace("the board", '" "'), "`approved_by`"),
    "blank author": (SOUND.replace("title:", "written_by:\ntitle:"), "`written_by`: it is blank; state it, or take"),
    "unknown author": (SOUND.replace("title:", "writen_by: x\ntitle:"), "`writen_by`; did you mean `written_by`?"),
    "number": (SOUND.replace("r-1", "1"), "`version`: Input should be a valid string"),
    "list": ("---\n- a\n---\n", "r-1.md"),
    "nothing stated": ("---\n---\n", "r-1.md"),
    "key twice": (f"---\n{HEAD}title: twice\n---\n", "duplicate key"),
    "broken YAML": ("---\ntitle: [open\n---\n", "expected"),
    "bytes": (b"---\ntitle: \xff\n---\n", "UTF-8"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_told_with_the_file(name: str, tmp_path: Path) -> None:
    text, told = FAULTS[name]
    with pytest.raises(PairtrailError) as caught:
        load_versions(put(tmp_path, text))
    assert str(tmp_path / "r-1.md") in str(caught.value)
    assert told in str(caught.value)


def test_line_ends_of_another_system_are_line_ends(tmp_path: Path) -> None:
    assert list(load_versions(put(tmp_path, SOUND.replace("\n", "\r\n")))) == ["r-1"]


@pytest.mark.parametrize("kind", ["policy", "rubric"])
def test_the_project_s_own_versions_are_sound(kind: str) -> None:
    assert load_versions(ROOT / "data" / kind)
