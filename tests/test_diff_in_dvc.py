"""Diff and trace over releases with real git and DVC: from objects alone, and from remotes, the consumers' too."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from schemas.vocabulary import SIDES
from tests.building import PARAMS, Built, build, lines, record
from tests.places import Place, owned

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("git"), reason="needs git")]

PAIRTRAIL = "pairtrail"


def vote(number: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return record(**{"prompt": f"Question number {number}?", "annotator": f"annotator {number % 7}", **changes})


FIRST = [vote(number) for number in range(40)]
# Record 1 is gone, 2 was turned round, 3 got another vote, and there is a new one.
SECOND = [vote(0), vote(2, preference="b"), *FIRST[3:], vote(3, preference="b", annotator="z"), vote(99)]


def build_again(project: Built, place: Place, records: list[dict[str, Any]], message: str) -> None:
    project.source("s", {"x.jsonl": lines(*records)})
    project.run()
    place.run(PAIRTRAIL, "sync")
    place.dvc("commit", "--force", "--quiet")
    place.run("git", "add", ".")
    place.run("git", "commit", "-qm", message)


def release(project: Built, place: Place, version: str) -> None:
    """Write what git keeps of a release, as far as trace reads it, and tag it."""
    folder = project.releases / version
    folder.mkdir(parents=True)
    facts = {
        "format": "pairtrail-release-1",
        "version": version,
        "key_fingerprint": PARAMS["ingest"]["key_fingerprint"],
        "build_commit": place.run("git", "rev-parse", "HEAD").strip(),
        **dict.fromkeys(("name", "approvals_needed", "signed_by", "schema")),
        **{name: {} for name in ("ledgers", "files")},
    }
    (folder / "release.json").write_text(json.dumps(facts), encoding="utf-8")
    place.run("git", "add", ".")
    place.run("git", "commit", "-qm", f"release {version}")
    place.run("git", "tag", "-a", f"preferences@v{version}", "-m", version)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diff")


@pytest.fixture(scope="module")
def project(workshop: Path) -> Built:
    return build(workshop / "owner" / "clone").recorded()


@pytest.fixture(scope="module")
def owner(project: Built, workshop: Path) -> Iterator[Place]:
    """Two builds and a release of each, pushed to both remotes."""
    place = owned(project, workshop)
    build_again(project, place, FIRST, "first")
    release(project, place, "1.0.0")
    build_again(project, place, SECOND, "second")
    release(project, place, "2.0.0")
    place.dvc("push", "--all-commits", "--quiet")
    yield place
    for path in workshop.rglob("*"):  # DVC's cache is read-only
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.fixture
def clone(owner: Place, workshop: Path, tmp_path: Path) -> Place:
    """A clone with an empty cache."""
    place = Place(tmp_path / "clone", tmp_path / "home")
    owner.run("git", "clone", "-q", str(owner.root), str(place.root))
    for remote in ("restricted", "consumers"):
        place.dvc("remote", "modify", remote, "url", str(workshop / remote))
    return place


def diff(place: Place, *words: str, fails: bool = False) -> dict[str, Any]:
    done = place.tried(PAIRTRAIL, "diff", *words, "--json")
    assert (done.returncode != 0) == fails, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def counts(found: dict[str, Any]) -> dict[str, Any]:
    return {kind: told["count"] for kind, told in found["kinds"].items() if told and told["count"]}


CHANGED = {"removed": 1, "added": 1, "relabelled": 1, "moved_table": 1, "votes_added": 2, "votes_removed": 1}


def test_two_releases_are_compared_without_checking_either_out(owner: Place) -> None:
    found = diff(owner, "1.0.0")
    told = counts(found)
    assert told.pop("votes_restated", 0) == 1  # the votes on the pair that is a tie now
    assert told == CHANGED
    assert (found["before"]["revision"], found["after"]["revision"]) == ("1.0.0", "HEAD")
    assert (found["level"], found["not_compared"]) == ("major", {})
    assert found["kinds"]["removed"]["by"]["reason"]["values"] == {"not_ingested": 1}
    assert owner.run("git", "status", "--porcelain") == ""
    assert not list((owner.root / ".spill").glob("view-*"))


def test_a_revision_is_its_own(owner: Place) -> None:
    found = diff(owner, "v2.0.0", "HEAD~0")
    assert (found["level"], counts(found), found["why"]) == ("patch", {}, [])
    assert "nothing changed: 40 rows and 41 votes" in owner.run(PAIRTRAIL, "diff", "2.0.0")
    markdown = owner.run(PAIRTRAIL, "diff", "2.0.0", "--markdown")
    assert markdown.count("\n") < 5
    assert "no change" in markdown


def test_an_empty_cache_is_filled_from_the_remotes(clone: Place, owner: Place) -> None:
    assert not (clone.root / ".dvc/cache").exists()
    assert diff(clone, "1.0.0") == diff(owner, "1.0.0")


def test_with_the_consumers_remote_alone_what_can_be_is_compared_and_the_rest_is_said(
    clone: Place, owner: Place
) -> None:
    clone.dvc("remote", "remove", "restricted")
    found, whole = diff(clone, "1.0.0"), diff(owner, "1.0.0")
    assert {place.split("/")[1] for place in found["not_compared"]} == {"publish", "validate", "dedupe", "split"}
    assert all("could be fetched" in why for why in found["not_compared"].values())
    assert {kind for kind, told in found["kinds"].items() if told is None} == {"withheld", "freed", "consent_changed"}
    assert found["rows"]["before"] < whole["rows"]["before"]
    for kind, told in whole["kinds"].items():
        here = found["kinds"][kind]
        assert here is None or here["count"] <= told["count"]
    said = clone.run(PAIRTRAIL, "diff", "2.0.0", "2.0.0")
    assert "as far as could be compared" in said
    assert "not compared: data/publish/heldout/pairs.parquet: " in said
    assert "Not compared: " in clone.run(PAIRTRAIL, "diff", "1.0.0", "--markdown")


def test_what_is_gone_from_dvc_is_an_error(clone: Place, workshop: Path, tmp_path: Path) -> None:
    for remote in ("restricted", "consumers"):
        shutil.copytree(workshop / remote, tmp_path / remote)
        clone.dvc("remote", "modify", remote, "url", str(tmp_path / remote))
    lost = clone.run("git", "show", "preferences@v1.0.0:dvc.lock").split("data/publish/heldout/votes.parquet")[1]
    md5 = lost.split("md5: ")[1].split()[0]
    [path] = (tmp_path / "restricted").rglob(f"{md5[:2]}/{md5[2:]}")
    path.unlink()
    done = clone.tried(PAIRTRAIL, "diff", "1.0.0")
    assert done.returncode == 1
    assert "1.0.0: data/publish/heldout/votes.parquet: neither in DVC's cache nor on a remote" in done.stderr
    assert "Traceback" not in done.stderr


def test_each_change_is_written_as_a_row(owner: Place, tmp_path: Path) -> None:
    owner.run(PAIRTRAIL, "diff", "1.0.0", "--rows", str(tmp_path / "changes.parquet"))
    rows = pl.read_parquet(tmp_path / "changes.parquet")
    assert {kind: rows.filter(kind=kind).height for kind in CHANGED} == CHANGED
    done = owner.tried(PAIRTRAIL, "diff", "1.0.0", "--rows", str(tmp_path / "changes.parquet"))
    assert "changes.parquet is there already" in done.stderr


def test_a_revision_without_a_build_is_an_error(owner: Place) -> None:
    done = owner.tried(PAIRTRAIL, "diff", "no-such-branch")
    assert (done.returncode, "is no revision that git knows here" in done.stderr) == (1, True)


def trace(place: Place, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(place.run(PAIRTRAIL, "trace", *words, "--json"))
    return found


def versions(found: dict[str, Any]) -> dict[str, int]:
    return {one["version"]: len(one["places"]) for one in found["releases"] if not one["unknown"]}


def test_a_record_is_traced_to_every_release_that_it_was_in(owner: Place) -> None:
    kept = trace(owner, "s/x.jsonl:1", "--releases")
    assert versions(kept) == {"1.0.0": 1, "2.0.0": 1}
    for one in kept["releases"]:
        [place] = one["places"]
        assert place["comparison_id"] == kept["comparisons"][0]["comparison_id"]
        assert (place["table"], place["folded"], place["side"] in SIDES) == ("pairs", True, True)
    new = trace(owner, f"s/x.jsonl:{len(SECOND)}", "--releases")
    assert versions(new) == {"1.0.0": 0, "2.0.0": 1}
    said = owner.run(PAIRTRAIL, "trace", f"s/x.jsonl:{len(SECOND)}", "--releases")
    assert "  release  1.0.0: not in it" in said


def test_what_is_gone_today_is_found_in_the_release_that_had_it(owner: Place) -> None:
    then = trace(owner, "s/x.jsonl:2", "--release", "1.0.0")
    [story] = then["comparisons"]
    assert story["published"]
    assert len(story["occurrences"][0]["record_digest"]) == 32
    assert [consent["found"] for consent in story["consents"]] == [True]
    for wanted in ("comparison_id", "pair_id", "prompt_id"):
        found = trace(owner, story[wanted], "--releases")
        assert versions(found) == {"1.0.0": 1, "2.0.0": 0}
        assert "no comparison, pair or prompt of this build" in found["gone"]
        assert trace(owner, story[wanted], "--release", "v1.0.0")["comparisons"] == [story]
    assert "not in today's build: " in owner.run(PAIRTRAIL, "trace", story["pair_id"], "--releases")
    beyond = owner.tried(PAIRTRAIL, "trace", "0" * 32, "--releases")
    assert (beyond.returncode, "(and no release has it)" in beyond.stderr) == (1, True)


def test_a_record_that_no_file_holds_any_more_is_found_by_its_place(owner: Place, project: Built) -> None:
    last = len(FIRST)
    assert len(SECOND) > last
    place = f"gone/x.jsonl:{last}"
    assert owner.tried(PAIRTRAIL, "trace", place, "--releases").returncode == 1
    occurrences = project.stage("ingest") / "occurrences.parquet"
    records = project.stage("ingest") / "records.parquet"
    away = [path.rename(path.with_suffix(".away")) for path in (occurrences, records)]
    try:
        found = trace(owner, "s/x.jsonl:2", "--releases")
    finally:
        for path in away:
            path.rename(path.with_suffix(".parquet"))
    assert versions(found) == {"1.0.0": 1, "2.0.0": 1}
    one, two = (entry["places"][0]["comparison_id"] for entry in found["releases"])
    assert one != two


def test_a_release_that_cannot_be_read_is_unknown_and_never_absent(clone: Place, owner: Place) -> None:
    clone.dvc("remote", "remove", "restricted")
    then = trace(owner, "s/x.jsonl:1")["comparisons"][0]
    found = trace(clone, then["pair_id"], "--releases")
    assert all(any("heldout" in why for why in one["unknown"]) for one in found["releases"])
    clone.run("git", "tag", "-d", "preferences@v1.0.0")
    shutil.rmtree(clone.root / ".dvc/cache")
    clone.dvc("remote", "remove", "consumers")
    first, second = trace(clone, then["pair_id"], "--releases")["releases"]
    assert "is no revision that git knows here" in first["unknown"][0]
    assert second["unknown"]
    assert first["places"] == second["places"] == []
    assert "unknown: " in clone.run(PAIRTRAIL, "trace", then["pair_id"], "--releases")
