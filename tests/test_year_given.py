"""After a year of releases: what consumers import through their own remote, and what is told of a row over releases."""

import json
import shutil
import sys
from collections.abc import Iterator
from hashlib import sha256

import polars as pl
import pytest

from tests.by_hand import side
from tests.places import Place, removable
from tests.planted import BUILDS, EXPECTED, PLANTED, TWINS, prompt
from tests.year import Year

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("git"), reason="needs git"),
    pytest.mark.xdist_group("year"),
]


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A repository of those who train."""
    with removable(tmp_path_factory.mktemp("consumer")) as workshop:
        place = Place(workshop / "training", workshop / "home")
        place.root.mkdir()
        place.run("git", "init", "-q", "-b", "main")
        place.dvc("init", "-q")
        yield place


@pytest.fixture
def consumer(year: Year, training: Place) -> Iterator[Place]:
    """The same, while the restricted remote is nowhere."""
    restricted = year.workshop / "restricted"
    hidden = restricted.rename(year.workshop / "out of reach")
    yield training
    hidden.rename(restricted)


def sums(year: Year, version: str, folder: str) -> dict[str, str]:
    """Read the checksums of a release that were published, of one folder."""
    text = (year.bob.root / f"releases/{version}/SHA256SUMS").read_text()
    stated = {place: digest for digest, place in (line.split("  ") for line in text.splitlines())}
    return {place: digest for place, digest in stated.items() if place.startswith(f"{folder}/")}


def digests(place: Place, folder: str) -> dict[str, str]:
    files = [path for path in (place.root / folder).rglob("*") if path.is_file()]
    return {path.relative_to(place.root).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_consumer_imports_the_second_release_and_goes_on_to_the_last(year: Year, consumer: Place) -> None:
    """Both through the consumers' remote alone; what they have has the checksums of the release, and loads."""
    wanted = ("import", "-q", str(year.hub), "data/publish/train", "--rev", "preferences@v1.1.0", "--out", "train")
    consumer.dvc(*wanted)
    consumer.run("git", "add", "train.dvc", ".gitignore")
    consumer.run("git", "commit", "-qm", "train on 1.1.0")
    for version in ("1.1.0", "3.0.0"):
        if version == "3.0.0":
            consumer.dvc("update", "-q", "train.dvc", "--rev", "preferences@v3.0.0")
        assert digests(consumer, "train") == sums(year, version, "train")
        assert len(sums(year, version, "train")) == 3
        pairs = pl.read_parquet(consumer.root / "train/pairs.parquet")
        planted = {key for key, row in EXPECTED[version].rows.items() if (row.side, row.table) == ("train", "pairs")}
        texts = [messages[0]["content"] for messages in pairs["prompt"].to_list()]
        assert set(zip(texts, pairs["policy_version"], pairs["rubric_version"], strict=True)) == planted
    assert "train.dvc" in consumer.run("git", "status", "--porcelain")


def test_a_consumer_cannot_have_heldout(year: Year, consumer: Place) -> None:
    for wanted in ("data/publish/heldout", "data/publish/heldout/pairs.parquet", "data/publish"):
        for command in ("import", "get"):
            out = consumer.root / "more"
            options = (str(year.hub), wanted, "--rev", "preferences@v3.0.0", "--out", "more")
            assert consumer.tried(sys.executable, "-m", "dvc", command, *options).returncode != 0
            assert not list(out.rglob("*.parquet")) if out.is_dir() else not out.exists()
            shutil.rmtree(out, ignore_errors=True)
    held = [prompt for prompt, *_ in (key for key, row in EXPECTED["3.0.0"].rows.items() if row.side == "heldout")]
    assert held
    stored = [path.read_bytes() for path in consumer.root.rglob("*") if path.is_file()]
    assert not [text for text in held if any(text.encode() in one for one in stored)]


def told(year: Year, *asked: str) -> dict[str, object]:
    """Ask where the reader stands who looked at the last release."""
    reader = Place(year.workshop / "reader/3.0.0", year.workshop / "reader/home")
    found: dict[str, object] = json.loads(reader.run("pairtrail", "trace", *asked, "--json"))
    return found


def over(year: Year, asked: str) -> dict[str, set[str]]:
    """Ask in which releases a record was, and on which sides."""
    found = told(year, asked, "--releases")["releases"]
    assert isinstance(found, list)
    assert [one["version"] for one in found] == list(BUILDS)
    assert not any(one["unknown"] for one in found)
    return {one["version"]: {place["side"] for place in one["places"]} for one in found}


def place_of(text: str, annotator: str) -> str:
    """Find the first record of a verdict."""
    verdicts = (
        (name, row, one)
        for name, file in BUILDS["1.1.0"].files.items()
        for row, one in enumerate(file, 1)
        if (one.prompt, one.annotator) == (text, annotator)
    )
    name, row, _ = next(verdicts)
    return f"s/{name}:{row}"


def test_a_record_is_traced_to_every_release_that_it_was_in(year: Year) -> None:
    """Ann's until its rubric ended; dan's until he withdrew; the twin's never."""
    kept, his, leaking = place_of(PLANTED, "ann"), place_of(prompt(63), "dan"), TWINS["seen_in_training"]
    releases = list(BUILDS)
    assert [version for version, sides in over(year, kept).items() if sides == {"train"}] == releases[:5]
    assert [version for version, sides in over(year, his).items() if sides == {side(prompt(63))}] == releases[:3]
    assert set().union(*over(year, place_of(leaking, "ann")).values()) == set()


def test_a_record_is_told_as_an_old_release_had_it(year: Year) -> None:
    his = place_of(prompt(63), "dan")
    now, then = (told(year, his, "--release", version)["comparisons"] for version in ("2.0.0", "1.0.0"))
    assert isinstance(now, list)
    assert isinstance(then, list)
    assert [one["decisions"]["validate"]["drop_reason"] for one in (*now, *then)] == ["consent_withdrawn", None]
    assert [[place["side"] for place in one["published"]] for one in (*now, *then)] == [[], [side(prompt(63))]]
