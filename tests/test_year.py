"""A year of six releases, played by real people's commands: what each publishes, refuses, tells and gives away.

What is expected is worked out in tests/by_hand.py, which knows the docs and not the code.
"""

import json
import shutil
from collections import Counter, defaultdict

import pytest

from pipeline.core.keys import PUBLIC_KEY
from tests.by_hand import changes, match_key, near, record_digest, root, side, withheld
from tests.planted import BUILDS, EXPECTED, LEVELS, PINNED, PLANTED, PREVIOUS, TWINS, prompt, raw
from tests.reading import SIDES
from tests.year import Year

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("git"), reason="needs git"),
    pytest.mark.xdist_group("year"),
]

each = pytest.mark.parametrize("version", BUILDS)
later = pytest.mark.parametrize("version", list(BUILDS)[1:])


# What was released.


@each
def test_each_release_publishes_what_was_planted_and_nothing_else(year: Year, version: str) -> None:
    """Row by row: side, table, chosen response and votes, from the Parquet files that a reader pulled."""
    found = {}
    for where, table, row in year.visits[version].rows():
        text = row["prompt"][0]["content"]
        a, b = f"Yes, {text}.", f"No, {text}."
        first, second = ("chosen", "rejected") if table == "pairs" else ("response_a", "response_b")
        assert {row[first], row[second]} == {a, b}
        names = ("chosen", "rejected") if table == "pairs" else ("a", "b")
        votes = dict(zip((row[first], row[second]), names, strict=True))
        counts = (row["votes"][votes[a]], row["votes"][votes[b]], row["votes"]["tie"])
        chosen = {a: "a", b: "b"}[row["chosen"]] if table == "pairs" else None
        key = (text, row["policy_version"], row["rubric_version"])
        assert key not in found
        found[key] = (where, table, chosen, counts)
    assert found == EXPECTED[version].rows


@each
def test_each_releases_papers_count_the_same(year: Year, version: str) -> None:
    facts, expected = year.visits[version].facts, EXPECTED[version]
    tables = Counter(f"{row.side}/{row.table}.parquet" for row in expected.rows.values())
    votes = Counter(f"{side(one.prompt)}/votes.parquet" for one in expected.votes)
    assert {place: one["rows"] for place, one in facts["files"].items() if one["rows"]} == {**tables, **votes}
    assert (facts["level"], facts["previous"], facts["as_of"]) == (
        LEVELS[version],
        PREVIOUS[version],
        BUILDS[version].as_of,
    )
    assert (tuple(facts["rubrics"]), tuple(facts["policies"])) == (BUILDS[version].rubrics, BUILDS[version].policies)


@each
def test_each_release_verifies_from_a_clone_with_an_empty_cache(year: Year, version: str) -> None:
    verified = year.visits[version].verified
    assert [look for look in verified["looks"] if look["faults"]] == []
    assert verified["verified"]
    assert verified["not_looked_at"] == []
    looked = {look["what"] for look in verified["looks"]}
    assert {f"{one}/{table}.parquet" for one in SIDES for table in ("pairs", "ties", "votes")} <= looked


@later
def test_each_diff_counts_what_was_planted(year: Year, version: str) -> None:
    before = str(PREVIOUS[version])
    compared = year.visits[version].compared
    assert compared is not None
    expected = changes(BUILDS[before], BUILDS[version], EXPECTED[before], EXPECTED[version])
    kinds = {kind: one["count"] for kind, one in compared["kinds"].items() if kind != "consent_changed"}
    assert {kind: count for kind, count in kinds.items() if count} == expected["kinds"]
    assert {name: compared["rows"][name] for name in expected["rows"]} == expected["rows"]
    assert {name: count for name, count in compared["votes"].items() if count} == {
        name: count for name, count in expected["votes"].items() if count
    }
    assert (compared["level"], compared["not_compared"]) == (LEVELS[version], {})
    told = year.visits[version].facts["changes"]
    assert {kind: one["count"] for kind, one in told["kinds"].items() if one["count"]} == {
        kind: count
        for kind, count in {
            **expected["kinds"],
            "consent_changed": compared["kinds"]["consent_changed"]["count"],
        }.items()
        if count
    }
    assert (told["rows"], told["votes"]) == (compared["rows"], compared["votes"])


# What must never be.


def test_no_prompt_and_no_root_ever_changes_sides(year: Year) -> None:
    """Counted from the texts of all six releases, by digests of this test's own."""
    stood: defaultdict[str, set[str]] = defaultdict(set)
    trained: set[str] = set()
    for version in BUILDS:
        rows = [(where, row["prompt"][0]["content"], row["root_id"]) for where, _, row in year.visits[version].rows()]
        for where, text, stated in rows:
            assert root(text) == stated
            for key in (match_key(text), stated):
                stood[key].add(where)
        heldout = {match_key(text) for where, text, _ in rows if where == "heldout"}
        assert heldout
        assert not heldout & trained
        trained |= {match_key(text) for where, text, _ in rows if where != "heldout"}
    assert len(trained) > 50
    assert {key: sides for key, sides in stood.items() if len(sides) > 1} == {}


def test_no_held_out_prompt_is_near_one_that_was_ever_trained_on(year: Year) -> None:
    """The planted twins would be: each is withheld, and the released prompt that one was near has no rows any more."""
    trained: set[str] = set()
    for version in BUILDS:
        texts = {(where, row["prompt"][0]["content"]) for where, _, row in year.visits[version].rows()}
        trained |= {text for where, text in texts if where != "heldout"}
        heldout = {text for where, text in texts if where == "heldout"}
        assert [(one, other) for one in heldout for other in trained if near(one, other)] == []
        assert not {text for _, text in texts} & set(TWINS.values())
    given = frozenset[str]().union(*(one.given_away for one in EXPECTED.values()))
    last = BUILDS["3.0.0"]
    assert withheld(TWINS["seen_in_training"], last, given) == "seen_in_training"
    assert withheld(TWINS["seen after withdrawal"], last, given) == "seen_in_training"
    assert withheld(TWINS["near_heldout"], BUILDS["1.1.0"], given) == "near_heldout"


def test_of_who_withdrew_nothing_is_left(year: Year) -> None:
    """Not on heldout either: dan judged fifteen prompts alone, and they were on all sides."""
    his = {prompt(number) for number in range(60, 75)}
    for version in BUILDS:
        there = {where for where, _, row in year.visits[version].rows() if row["prompt"][0]["content"] in his}
        assert there == ({side(text) for text in his} if version < "2" else set())
    assert {side(text) for text in his} == {"train", "validation", "heldout"}


def test_verdicts_under_two_rubrics_stand_apart(year: Year) -> None:
    rubrics = {
        version: {row["rubric_version"] for _, _, row in visit.rows() if row["prompt"][0]["content"] == PLANTED}
        for version, visit in year.visits.items()
    }
    both = {"r-1", "r-2"}
    assert list(rubrics.values()) == [{"r-1"}, {"r-1"}, both, both, both, {"r-2"}]


def test_a_late_redelivery_changes_no_row(year: Year) -> None:
    before, after = (year.visits[version].facts["files"] for version in ("2.0.0", "2.0.1"))
    tables = [place for place in after if place.endswith(".parquet") and "votes" not in place]
    assert len(tables) == 6
    assert [after[place]["content_sha256"] for place in tables] == [before[place]["content_sha256"] for place in tables]
    assert year.visits["2.0.1"].facts["build_commit"] != year.visits["2.0.0"].facts["build_commit"]


# What is told of one pair.


@each
def test_a_published_pair_is_traced_to_its_records(year: Year, version: str) -> None:
    """To each file and record that states a verdict on it, and the digest of just that line."""
    story = year.visits[version].traced
    assert story["kind"] == "pair"
    found = {
        (found["source_file"], found["source_row"], found["record_digest"])
        for comparison in story["comparisons"]
        for found in comparison["occurrences"]
    }
    planted = {
        (f"s/{name}", row, record_digest(raw([one]).strip().encode(), PUBLIC_KEY))
        for name, file in BUILDS[version].files.items()
        for row, one in enumerate(file, 1)
        if one.prompt == PLANTED
    }
    assert found == planted
    votes = sum(one.prompt == PLANTED for one in EXPECTED[version].votes)
    assert sum(bool(comparison["published"]) for comparison in story["comparisons"]) == votes > 0


# What was refused.


def test_a_version_that_says_too_little_is_refused(year: Year) -> None:
    said = year.said
    assert "1.0.1 declares a PATCH change of 1.0.0, but it is a MINOR one" in said["additions as a patch"]
    assert "Release 1.1.0" in said["additions as a patch"]
    assert "1.3.0 declares a MINOR change of 1.2.0, but it is a MAJOR one" in said["withdrawals as additions"]
    assert "Release 2.0.0" in said["withdrawals as additions"]
    assert "but it is a MAJOR one" in said["a rubric's end as additions"]
    assert "Release 3.0.0" in said["a rubric's end as additions"]


def test_a_build_that_looked_at_consents_too_early_is_refused(year: Year) -> None:
    told = year.said["consent looked at too early"]
    assert "as_of is 2026-04-30, but the newest event of the consent ledger is of 2026-05-10" in told


def test_another_salt_moves_nothing(year: Year) -> None:
    assert "epoch 1 was recorded with other values: another salt" in year.said["another salt, built"]
    assert "another salt" in year.said["another salt, released"]


def test_a_pin_moves_no_released_prompt(year: Year) -> None:
    """From heldout to train: refused under any version. From train to heldout: withheld, and on neither side."""
    rows = EXPECTED["2.0.0"].rows
    moved, gone = (sum(key[0] == prompt(PINNED[to]) for key in rows) for to in ("train", "heldout"))
    assert f"{moved} rows stand on another side than in 2.0.0, in the same epoch: a leak" in year.said["pins"]
    kinds = {kind: one["count"] for kind, one in json.loads(year.said["pins, compared"])["kinds"].items()}
    assert kinds["moved_side"] == moved > 0
    assert kinds["removed"] == gone > 0
    assert kinds["added"] == 0
