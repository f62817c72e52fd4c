"""Trace: the whole story of a row, whichever end one begins at, and its texts only where asked for."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.core.errors import PairtrailError
from pipeline.lineage.trace import told, trace
from tests.building import SIDECAR, Built, build, event, lines, record

MARKER = "what only --reveal may show"
FIELDS = {**SIDECAR["fields"], "created_at": "at", "rationale": "why"}
VOTES: list[Any] = [
    record(prompt=f"Kept: {MARKER}?", a=f"{MARKER} yes", b=f"{MARKER} no", at="2026-01-02", why=f"{MARKER} because"),
    record(prompt=f"Kept: {MARKER}?", a=f"{MARKER} yes", b=f"{MARKER} no", at="2026-01-02", why=f"{MARKER} because"),
    f'{{"prompt": "{MARKER}", "a": \n',
    record(prompt="Equal?", a=MARKER, b=MARKER, at="2026-01-02"),
    record(prompt=f"Kept: {MARKER}?", a=f"{MARKER} yes", b=f"{MARKER} no", at="2026-01-01"),
    record(prompt="Changed my mind?", preference="a", at="2026-01-01"),
    record(prompt="Changed my mind?", preference="b", at="2026-01-02"),
]
PLACE = {"gave": 1, "copy": 2, "broken": 3, "equal": 4, "repeated": 5, "superseded": 6, "later": 7}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    project = build(tmp_path_factory.mktemp("trace") / "project")
    votes = "".join(one if isinstance(one, str) else lines(one) for one in VOTES)
    judge = {"glob": "judge.jsonl", "fields": {"annotator_kind": {"constant": "model"}, "annotator": {"constant": "j"}}}
    project.source(
        "crowd", {"votes.jsonl": votes, "judge.jsonl": lines(VOTES[0])}, files=["votes.jsonl", judge], fields=FIELDS
    )
    project.source("again", {"votes.jsonl": lines(record(prompt="Again?"))})
    consent = {**SIDECAR["consent"], "purposes": ["ai-evaluation"]}
    project.source("tests", {"x.jsonl": lines(*(record(prompt=f"Test {i}?") for i in range(10)))}, consent=consent)
    fields = {**SIDECAR["fields"], "prompt": "texts:q"}
    project.source(
        "joined",
        {"x.jsonl": lines(record(text=7), record(text=8)), "t.jsonl": lines({"id": 7, "q": MARKER})},
        files=["x.jsonl"],
        join={"texts": {"glob": "t.jsonl", "key": "id", "on": "text"}},
        fields=fields,
    )
    one, two = (
        {"key": key, "fields": {"annotator": {"constant": key}, "preference": key}} for key in ("first", "second")
    )
    project.source(
        "panel",
        {"x.jsonl": lines(record(first="a", second="left"), record(first="left", second="up"))},
        fan_out=[one, two],
    )
    return project.run()


def story(built: Built, wanted: str, **how: bool) -> dict[str, Any]:
    return trace(built, wanted, **how)


def at(built: Built, name: str) -> dict[str, Any]:
    return story(built, f"crowd/votes.jsonl:{PLACE[name]}")


def only(found: dict[str, Any]) -> dict[str, Any]:
    [comparison] = found["comparisons"]
    assert isinstance(comparison, dict)
    return comparison


def test_a_record_that_gave_a_comparison_is_followed_to_its_published_row(built: Built) -> None:
    found = at(built, "gave")
    assert (found["kind"], found["record"]["outcome"], found["record"]["reason"]) == (
        "record",
        "gave_comparisons",
        None,
    )
    assert found["quarantined"] == []
    comparison = only(found)
    assert (comparison["source"], comparison["preference"], comparison["annotator_kind"]) == ("crowd", "a", "human")
    assert {stage: decision["drop_reason"] for stage, decision in comparison["decisions"].items()} == {
        "validate": None,
        "dedupe": None,
        "split": None,
    }
    assert comparison["decisions"]["validate"]["purposes"] == ["ai-alignment", "ai-evaluation"]
    [place] = comparison["published"]
    side = comparison["decisions"]["split"]["side"]
    assert (place["side"], place["table"], place["folded"]) == (side, "pairs", True)
    pairs = pl.read_parquet(built.stage("publish") / side / "pairs.parquet").filter(pair_id=place["pair_id"])
    assert comparison["comparison_id"] in pairs["comparison_ids"].to_list()[0]


def test_every_occurrence_is_told_with_its_place_and_digest(built: Built) -> None:
    occurrences = only(at(built, "gave"))["occurrences"]
    assert [(one["source_file"], one["source_row"], one["delivery"], one["canonical"]) for one in occurrences] == [
        ("crowd/votes.jsonl", 1, 0, True),
        ("crowd/votes.jsonl", 2, 1, False),
    ]
    assert len({one["record_digest"] for one in occurrences}) == 1
    assert all("event" not in one for one in occurrences)


def test_a_record_of_copies_tells_the_comparison_that_it_repeats(built: Built) -> None:
    found = at(built, "copy")
    assert found["record"]["outcome"] == "only_copies"
    assert only(found)["comparison_id"] == only(at(built, "gave"))["comparison_id"]


def test_a_quarantined_record_tells_why(built: Built) -> None:
    found = at(built, "broken")
    assert (found["record"]["outcome"], found["record"]["reason"]) == ("quarantined", "broken_json")
    assert found["quarantined"] == [{"fan_out": None, "reason": "broken_json"}]
    assert found["comparisons"] == []
    said = told(found)
    assert "record   quarantined (broken_json), digest " in said
    assert "quarantined: broken_json" in said


def test_a_side_record_is_a_reference_and_leads_to_what_was_joined_to_it(built: Built) -> None:
    found = story(built, "joined/t.jsonl:1")
    assert found["record"]["outcome"] == "reference"
    comparison = only(found)
    assert [(one["part"], one["source_file"]) for one in comparison["occurrences"]] == [
        ("side", "joined/t.jsonl"),
        ("verdict", "joined/x.jsonl"),
    ]
    assert only(story(built, "joined/x.jsonl:1")) == comparison
    assert story(built, "joined/x.jsonl:2")["quarantined"] == [{"fan_out": None, "reason": "no_side_record"}]


def test_a_record_that_fans_out_tells_each_candidate(built: Built) -> None:
    one, two = (story(built, f"panel/x.jsonl:{row}") for row in (1, 2))
    assert one["record"]["outcome"] == "gave_comparisons"
    assert one["quarantined"] == [{"fan_out": "second", "reason": "unknown_value"}]
    assert len(one["comparisons"]) == 1
    assert two["record"]["outcome"] == "quarantined"
    assert [fault["fan_out"] for fault in two["quarantined"]] == ["first", "second"]
    assert "quarantined: unknown_value, second" in told(one)


@pytest.mark.parametrize(
    ("name", "stage", "reason"),
    [
        ("equal", "validate", "equal_responses"),
        ("repeated", "dedupe", "repeated"),
        ("superseded", "dedupe", "superseded"),
    ],
)
def test_a_dropped_row_tells_stage_and_reason_and_nothing_after(
    name: str, stage: str, reason: str, built: Built
) -> None:
    comparison = only(at(built, name))
    decisions = comparison["decisions"]
    assert decisions[stage]["drop_reason"] == reason
    assert list(decisions) == ["validate", "dedupe", "split"][: ["validate", "dedupe", "split"].index(stage) + 1]
    assert comparison["published"] == []
    said = told(at(built, name)).splitlines()
    assert any(line.startswith(f"  {stage:8} dropped: {reason}") for line in said)
    assert "  publish  not published" in said


def test_a_row_that_another_replaced_names_it(built: Built) -> None:
    for dropped, kept in (("repeated", "gave"), ("superseded", "later")):
        stays = only(at(built, dropped))["decisions"]["dedupe"]["stays"]
        assert stays == only(at(built, kept))["comparison_id"]
        assert f"stays {stays}" in told(at(built, dropped))


def test_a_row_without_the_purpose_of_its_side_is_told(built: Built) -> None:
    fates = set()
    for row in range(1, 11):
        comparison = only(story(built, f"tests/x.jsonl:{row}"))
        split = comparison["decisions"]["split"]
        fates.add((split["side"] == "heldout", split["drop_reason"], len(comparison["published"])))
    assert fates == {(True, None, 1), (False, "purpose_not_covered", 0)}


def test_a_model_s_vote_that_was_not_folded_is_told(built: Built) -> None:
    found = story(built, "crowd/judge.jsonl:1")
    [place] = only(found)["published"]
    assert not place["folded"]
    assert "(not folded: human_judged)" in told(found)
    assert "(folded)" in told(at(built, "gave"))


def test_an_id_of_any_kind_leads_to_its_comparisons(built: Built) -> None:
    comparison = only(at(built, "gave"))
    by_comparison = story(built, comparison["comparison_id"])
    assert (by_comparison["kind"], only(by_comparison)) == ("comparison", comparison)
    for kind in ("pair", "prompt"):
        found = story(built, comparison[f"{kind}_id"])
        assert found["kind"] == kind
        ids = [one["comparison_id"] for one in found["comparisons"]]
        assert ids == sorted(ids)
        assert comparison["comparison_id"] in ids
        assert len(ids) == 3  # the vote, its repetition, the judge's
    alone = only(story(built, "again/votes.jsonl:1"))
    assert story(built, alone["prompt_id"])["kind"] == "prompt"


def test_every_comparison_of_the_build_can_be_traced(built: Built) -> None:
    for name in built.comparisons()["comparison_id"]:
        comparison = only(story(built, name))
        dropped = [one for one in comparison["decisions"].values() if one["drop_reason"]]
        assert bool(dropped) != bool(comparison["published"])
        assert sum(one["canonical"] for one in comparison["occurrences"] if one["part"] == "verdict") == 1


def test_every_record_of_the_build_can_be_traced(built: Built) -> None:
    records = built.table("ingest/records")
    for place, outcome in records.select(pl.format("{}:{}", "source_file", "source_row"), "outcome").iter_rows():
        found = story(built, place)
        assert found["record"]["outcome"] == outcome
        assert bool(found["comparisons"]) == (outcome in {"gave_comparisons", "only_copies", "reference"})
        assert bool(found["quarantined"]) or outcome != "quarantined"


def test_texts_are_told_only_when_asked_for(built: Built) -> None:
    ids = [str(only(at(built, "gave"))[kind]) for kind in ("comparison_id", "pair_id", "prompt_id")]
    for wanted in [*ids, *(f"crowd/votes.jsonl:{row}" for row in PLACE.values()), "joined/t.jsonl:1"]:
        found = story(built, wanted)
        assert MARKER not in told(found) + json.dumps(found, default=str)
    found = story(built, ids[0], reveal=True)
    comparison = only(found)
    assert comparison["prompt"] == [{"role": "user", "content": f"Kept: {MARKER}?"}]
    said = told(found)
    for line in (f"prompt: user: Kept: {MARKER}?", f"response_a: {MARKER} yes", f"rationale: {MARKER} because"):
        assert line in said
    assert MARKER not in json.dumps(story(built, "crowd/votes.jsonl:3", reveal=True), default=str)


def test_a_story_is_the_same_each_time(built: Built) -> None:
    wanted = str(only(at(built, "gave"))["pair_id"])
    stories = {json.dumps(story(built, wanted, reveal=True), sort_keys=True, default=str) for _ in range(3)}
    assert len(stories) == 1
    assert json.loads(stories.pop())["asked"] == wanted


def test_a_file_may_be_named_as_a_shell_completes_it(built: Built) -> None:
    assert story(built, "data/raw/crowd/votes.jsonl:1")["record"] == at(built, "gave")["record"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("0" * 32, f"no comparison, pair or prompt of this build has the id {'0' * 32}"),
        ("crowd/votes.jsonl:99", "crowd/votes.jsonl:99: it has no such record"),
        ("crowd/nope.jsonl:1", "crowd/nope.jsonl:1: no such file; known: again/votes.jsonl, crowd/judge.jsonl,"),
        ("crowd/votes.jsonl:0", "neither an id (32 hexadecimal digits) nor FILE:RECORD"),
        ("crowd/votes.jsonl", "neither an id"),
        ("A" * 32, "neither an id"),
        ("", "neither an id"),
    ],
)
def test_what_nobody_knows_is_said(wanted: str, said: str, built: Built) -> None:
    with pytest.raises(PairtrailError) as caught:
        story(built, wanted)
    assert said in str(caught.value)


def test_a_story_goes_as_far_as_the_build(project: Built) -> None:
    with pytest.raises(PairtrailError, match="run `pairtrail ingest` first"):
        trace(project, "0" * 32)
    with pytest.raises(PairtrailError, match="run `pairtrail ingest` first"):
        trace(project, "s/x.jsonl:1")
    project.source("s", {"x.jsonl": lines(record())}).run("ingest")
    assert only(trace(project, "s/x.jsonl:1"))["decisions"] == {}
    assert "publish  not run yet" in told(trace(project, "s/x.jsonl:1"))
    project.run("validate")
    assert list(only(trace(project, "s/x.jsonl:1"))["decisions"]) == ["validate"]


def test_nothing_is_written_by_looking(built: Built) -> None:
    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in built.root.rglob("*")}

    before = files()
    at(built, "gave")
    assert files() == before


def test_the_consents_that_a_row_stands_on_are_told(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())}).run()
    [story] = trace(project, "s/x.jsonl:1")["comparisons"]
    [consent] = story["consents"]
    assert (consent["consent_id"], consent["status"], consent["found"]) == ("whole", "ConsentGiven", True)
    assert "  consent  whole: ConsentGiven since 2025-01-01 (eu-gdpr:A6-1-a), event " in told(
        trace(project, "s/x.jsonl:1")
    )
    project.consents("s.jsonl", event(notice_version="2"))
    assert "is not in the ledger; it was there when validate ran" in told(trace(project, "s/x.jsonl:1"))
