"""The invented sample, by itself: same bytes each time, small, and a truth that agrees with its own book and files."""

import csv
import gzip
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard
from pyarrow import parquet
from ruamel.yaml import YAML

from pipeline.core.consent.standing import REASONS
from pipeline.core.digests import keyed_digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.keys import PUBLIC_KEY
from pipeline.demo import write_sample
from pipeline.demo.booth import ARENA
from pipeline.demo.consents import KEY, pseudonym
from pipeline.demo.crowd import CROWD
from pipeline.demo.helpdesk import HELPDESK
from pipeline.demo.judge import JUDGE
from pipeline.demo.ledger import Entry, Ledger, Row, Source, Verdict
from pipeline.demo.small import LEGACY, NONCOMMERCIAL, UNCONSENTED
from pipeline.demo.stories import AS_OF, Story
from pipeline.demo.truth import deduplicated, folding, truth_of
from tests.building import ROOT

SOURCES = (ARENA, CROWD, HELPDESK, JUDGE, LEGACY, NONCOMMERCIAL, UNCONSENTED)
COMPARISONS = 1_200
CONSENT_REASONS = {*REASONS, "no_common_purpose"}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder, comparisons=COMPARISONS)
    return folder


@pytest.fixture(scope="module")
def truth(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "truth.json").read_text("utf-8"))
    return content


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(content)
    return zstandard.ZstdDecompressor().decompressobj().decompress(content) if path.suffix == ".zst" else content


def test_same_seed_same_bytes(out: Path, tmp_path: Path) -> None:
    again = write_sample(tmp_path, comparisons=COMPARISONS)
    assert contents(tmp_path) == contents(out)
    assert json.loads(json.dumps(again)) == json.loads((out / "truth.json").read_text("utf-8"))


def test_another_seed_other_texts_same_exceptions(truth: dict[str, Any], tmp_path: Path) -> None:
    other = write_sample(tmp_path, seed=8, comparisons=COMPARISONS)
    assert other["annotators"] != truth["annotators"]
    assert other["quarantine"]["by_reason"] == truth["quarantine"]["by_reason"]
    told, others = (
        {reason: count for reason, count in one["validate"]["dropped_by"].items() if reason not in CONSENT_REASONS}
        for one in (truth, other)
    )
    assert told == others
    # How often somebody votes whose consent does not stand hangs on chance.
    assert other["consent_ledger"] == truth["consent_ledger"]


def test_sample_is_small_enough_for_git(out: Path) -> None:
    assert sum(len(content) for content in contents(out).values()) < 2_000_000


@pytest.mark.parametrize("comparisons", [500, 3_000])
def test_size_is_about_what_was_asked_for(comparisons: int, tmp_path: Path) -> None:
    candidates = write_sample(tmp_path, comparisons=comparisons)["comparisons"]["candidates"]
    assert comparisons <= candidates <= comparisons * 1.05 + 200


def test_too_few_comparisons_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PairtrailError, match="500 or more"):
        write_sample(tmp_path, comparisons=100)


@pytest.mark.parametrize("folder", ["raw", "ledger"])
def test_what_exists_is_never_mixed_with_the_sample(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    with pytest.raises(PairtrailError, match="exists"):
        write_sample(tmp_path)


def test_accounts_add_up(truth: dict[str, Any]) -> None:
    account = truth["comparisons"]
    assert account["candidates"] == account["kept"] + account["copies"] + account["quarantined"]
    assert account["kept"] == sum(truth["kept_by_source"].values()) == truth["validate"]["in"]
    assert account["quarantined"] == len(truth["quarantine"]["rows"]) == sum(truth["quarantine"]["by_reason"].values())
    for stage in ("validate", "dedupe"):
        told = truth[stage]
        assert told["in"] == told["kept"] + sum(told["dropped_by"].values())
        assert told["kept"] == sum(told["kept_by_source"].values())
    assert truth["validate"]["kept"] == truth["dedupe"]["in"]


def test_folds_add_up(truth: dict[str, Any]) -> None:
    for fold in truth["folded"].values():
        assert fold["pairs"] + fold["ties"] == fold["by_humans"] + fold["by_models"]
        assert (
            sum(sum(votes.values()) for votes in fold["votes"].values()) <= fold["comparisons"] - fold["human_judged"]
        )
        assert fold["pairs"] > fold["ties"] > 0
        assert fold["human_judged"] > 0
        assert fold["contested"] > 0
    assert truth["folded"]["all"]["comparisons"] == truth["dedupe"]["kept"]
    assert {name: sum(counts.values()) for name, counts in truth["purposes"].items()} == truth["dedupe"][
        "kept_by_source"
    ]
    for purpose in ("ai-alignment", "ai-evaluation"):
        allowing = [n for counts in truth["purposes"].values() for told, n in counts.items() if purpose in told.split()]
        assert truth["folded"][purpose]["comparisons"] == sum(allowing)


def test_dedupe_finds_what_was_planted(truth: dict[str, Any]) -> None:
    planted = truth["planted"]
    assert truth["dedupe"]["dropped_by"] == {"superseded": planted["superseded"], "repeated": planted["repeated"]}
    assert min(truth["dedupe"]["dropped_by"].values()) > 0


def test_every_drop_reason_is_planted(truth: dict[str, Any]) -> None:
    assert [reason for reason, count in truth["validate"]["dropped_by"].items() if count == 0] == []


def test_every_quarantine_reason_is_planted_but_one(truth: dict[str, Any]) -> None:
    reasons = """
        unreadable_file empty_file format_mismatch invalid_utf8 broken_json too_deep duplicate_key not_finite
        lone_surrogate nul_character not_an_object wrong_column_count unterminated_quote ambiguous_key
        no_side_record missing_field wrong_type unknown_value unknown_role bad_time out_of_range contexts_differ
        no_assistant_turn
    """
    # `record_too_large` needs 16 MiB, which no repository should carry.
    assert set(truth["quarantine"]["by_reason"]) == set(reasons.split())


def test_records_are_as_many_as_the_files_hold(out: Path, truth: dict[str, Any]) -> None:
    held = Counter({"arena": 5 + 1 + 1 + 1, "helpdesk": 1})  # cut, empty, misnamed; a cut Parquet file
    raw = out / "raw"
    for path in raw.glob("helpdesk/reviews-[0-9].parquet"):
        held["helpdesk"] += parquet.read_metadata(path).num_rows
    lines = (*raw.glob("arena/battles-[0-9]*"), raw / "arena/battles-late.jsonl", *raw.glob("legacy/*"))
    for path in (*(path for path in lines if path.suffix != ".yaml"), raw / "crowd/texts.json"):
        held[path.parent.name] += len(unpacked(path).splitlines())
    for path in (*raw.glob("judge/*.jsonl"), raw / "unconsented/notes.json"):
        held[path.parent.name] += len(unpacked(path).splitlines()) - 2
    for path in (*raw.glob("crowd/*.csv*"), raw / "noncommercial/pairs.tsv"):
        text = unpacked(path).decode("utf-8", "replace").replace("\0", "")
        held[path.parent.name] += sum(1 for _ in csv.reader(text.splitlines(keepends=True))) - 1
    assert held == {name: sum(counts.values()) for name, counts in truth["records"].items()}


def test_undecodable_bytes_stand_where_the_truth_says(out: Path, truth: dict[str, Any]) -> None:
    file = "legacy/transcripts-1.jsonl"
    rows = truth["quarantine"]["rows"]
    told = [number for name, number, _, reason in rows if (name, reason) == (file, "invalid_utf8")]
    lines = (out / "raw" / file).read_bytes().splitlines()
    assert told == [number for number, line in enumerate(lines, 1) if b"\xff" in line]


def test_redelivered_lines_are_equal_to_the_byte(out: Path) -> None:
    folder = out / "raw/arena"
    first = {line for path in folder.glob("battles-[0-9]*") for line in unpacked(path).splitlines()}
    late = (folder / "battles-late.jsonl").read_bytes().splitlines()
    assert late
    assert set(late) <= first


def test_sidecars_state_what_the_truth_assumes(out: Path, truth: dict[str, Any]) -> None:
    for source in SOURCES:
        sidecar = YAML(typ="safe", pure=True).load((out / "raw" / source.name / "source.yaml").read_text("utf-8"))
        purposes = [] if sidecar["consent"] == "none" else sidecar["consent"]["purposes"]
        assert tuple(purposes) == source.purposes
        assert sidecar.get("namespace") == source.namespace
        assert sidecar["synthetic"] is True
        assert (sidecar["license"] != "CC0-1.0") == ("license_not_allowed" in source.faults)
        assert (sidecar["consent"] == "none") == ("no_consent" in source.faults)
        assert source.record == (None if sidecar["consent"] == "none" else sidecar["consent"].get("record"))
        for allowed in truth["purposes"].get(source.name, {}):
            assert set(allowed.split()) <= set(purposes)


def test_the_repository_s_params_are_those_that_stories_are_told_for() -> None:
    validate = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text("utf-8"))["validate"]
    assert (str(validate["as_of"]), validate["jurisdictions"], validate["special_category"]) == (AS_OF, "any", False)


def ledger_files(out: Path) -> dict[str, list[dict[str, Any]]]:
    files = sorted((out / "ledger/consent").glob("*.jsonl"))
    return {path.name: [json.loads(line) for line in path.read_text("utf-8").splitlines()] for path in files}


def said(event: dict[str, Any]) -> str:
    """Say what an event states, whatever the order of its keys and lists."""
    lists = {key: sorted(value) for key, value in event.items() if isinstance(value, list)}
    return json.dumps({**event, **lists}, sort_keys=True)


def test_ledger_holds_what_the_truth_says_and_some_of_it_twice(out: Path, truth: dict[str, Any]) -> None:
    files = ledger_files(out)
    first = [said(event) for name, events in files.items() if name != "copied.jsonl" for event in events]
    copied = [said(event) for event in files["copied.jsonl"]]
    assert len(first) == len(set(first)) == truth["consent_ledger"]["events"]
    assert set(copied) < set(first)
    assert len(copied) == truth["planted"]["copied_events"] > 9
    key = {(event["consent_id"], event["subject"]) for events in files.values() for event in events}
    assert key == {(one["consent_id"], one["subject"]) for one in truth["consents"]}
    assert len(key) == len(truth["consents"]) == truth["consent_ledger"]["consents"]


def test_ledger_is_in_no_order_and_names_nobody(out: Path) -> None:
    for name, events in ledger_files(out).items():
        times = [event["status_time"] for event in events]
        assert times != sorted(times) or len(set(times)) == 1 or len(times) < 5, name
        assert all(re.fullmatch("[0-9a-f]{32}|source:[a-z]+", event["subject"]) for event in events)
    assert not any("@" in path.read_text("utf-8") for path in (out / "ledger").rglob("*.jsonl"))


def test_pseudonyms_are_the_pipeline_s() -> None:
    assert KEY == PUBLIC_KEY
    for raw in ("worker-0001@example.com", "Müller, 日本"):
        assert pseudonym("agency", raw) == keyed_digest_text(PUBLIC_KEY, "annotator", "agency", raw)


def test_consents_of_every_kind_are_many(truth: dict[str, Any]) -> None:
    refused = Counter(one["refused"] for one in truth["consents"])
    assert set(refused) - {None} == set(CONSENT_REASONS) - {"jurisdiction_not_allowed"} | {"no_common_purpose"}
    assert min(refused.values()) > 1
    assert truth["consent_ledger"]["contradictions"] > 3
    assert Counter(len(one["purposes"]) for one in truth["consents"] if one["refused"] is None).keys() == {1, 2}


@pytest.mark.parametrize("comparisons", [500, 2_000])
def test_most_of_the_sample_stays(comparisons: int, tmp_path: Path) -> None:
    told = write_sample(tmp_path, comparisons=comparisons)["validate"]
    gated = sum(count for reason, count in told["dropped_by"].items() if reason in CONSENT_REASONS)
    assert 0.05 < gated / told["in"] < 0.15
    assert told["kept"] / told["in"] > 0.7


def test_annotators_judge_about_as_they_were_made(tmp_path: Path) -> None:
    annotators = write_sample(tmp_path, comparisons=8_000)["annotators"].values()
    right = sum(one["right"] for one in annotators) / sum(one["decided"] for one in annotators)
    expected = sum(
        one["decided"] * ((1 - one["first_habit"]) * one["accuracy"] + one["first_habit"] / 2) for one in annotators
    )
    assert right == pytest.approx(expected / sum(one["decided"] for one in annotators), abs=0.03)
    first = [
        one["first"] / one["ordered"]
        for one in sorted(annotators, key=lambda one: one["first_habit"])
        if one["ordered"] > 80
    ]
    half = len(first) // 2
    assert sum(first[half:]) / len(first[half:]) > sum(first[:half]) / half


def row(verdict: str, **changes: object) -> Row:
    values: dict[str, Any] = {
        "source": "s", "annotator": "s/one", "kind": "human", "pair": b"p", "prompt": b"q", "root": b"r",
        "version": ("assistant-1", "pairwise-1"), "purposes": (), "verdict": verdict, "shown_first": "low",
        "order_known": True, "better": "low", "time": 1.0, "drop": None,
    }  # fmt: skip
    return Row(**{**values, **changes})


def test_who_comes_back_to_a_verdict_repeats_it() -> None:
    kept, dropped = deduplicated([row("low"), row("high", time=2.0), row("low", time=3.0)])
    assert [(one.verdict, one.time) for one in kept] == [("low", 3.0)]
    assert dropped == {"superseded": 1, "repeated": 1}


def test_other_order_other_person_and_nobody_are_never_dropped() -> None:
    rows = [
        row("low"),
        row("low", shown_first="high"),
        row("low", annotator="s/two"),
        *[row("low", annotator=None)] * 2,
    ]
    assert len(deduplicated(rows)[0]) == 5


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("low"), row("low", annotator="s/two"), row("high", annotator="s/three")], {"chosen": 2, "rejected": 1}),
        ([row("low"), row("tie", annotator="s/two")], {"sided": 1, "tie": 1}),
        ([row("low"), row("high", shown_first="high")], {"tie": 1}),
        ([row("both_bad"), row("both_bad", shown_first="high")], {"both_bad": 1}),
        ([row("low"), row("high", annotator="s/bot", kind="model")], {"chosen": 1}),
        ([row("high", annotator=None), row("high", annotator=None)], {"chosen": 2}),
    ],
)
def test_folding(rows: list[Row], expected: dict[str, int]) -> None:
    votes = folding(rows)["votes"]
    assert {name: count for counts in votes.values() for name, count in counts.items() if count} == expected


WHO, ASKED = ("s/who", "c1"), ("s/asked", "c2")


@pytest.mark.parametrize(
    ("refs", "drop", "purposes"),
    [
        ([WHO], None, ("ai-alignment", "ai-evaluation")),
        ([WHO, ASKED], None, ("ai-evaluation",)),
        ([WHO, ("s/asked", "c1")], "consent_unknown", ()),
        ([("s/gone", "c3"), ("s/late", "c4")], "consent_withdrawn", ("ai-alignment", "ai-evaluation")),
        ([ASKED, ("s/trainer", "c5")], "no_common_purpose", ()),
        ([WHO, ("s/asked", None)], None, ("ai-alignment", "ai-evaluation")),
    ],
)
def test_a_row_under_several_consents(
    refs: list[tuple[str, str | None]], drop: str | None, purposes: tuple[str, ...]
) -> None:
    book = Ledger()
    book.consents = {
        WHO: Story(()),
        ASKED: Story((), purposes=("ai-evaluation",)),
        ("s/gone", "c3"): Story((), "consent_withdrawn"),
        ("s/late", "c4"): Story((), "consent_expired"),
        ("s/trainer", "c5"): Story((), purposes=("ai-alignment",)),
    }
    named = tuple((subject.removeprefix("s/"), consent) for subject, consent in refs)
    book.record(Source("s"), "f", 1, Entry(b"", (Verdict((("user", "q"),), "x", "y", "a", refs=named),)))
    assert [(one.drop, one.purposes) for one in book.rows] == [(drop, purposes)]


def test_first_fault_in_the_documented_order_counts() -> None:
    ledger = Ledger()
    verdict = Verdict((("user", "q"),), "x", "y", "a", faults=("unknown_rubric", "empty_response"))
    ledger.record(Source("s", faults=("no_consent",)), "f", 1, Entry(b"", (verdict,)))
    ledger.record(Source("s", faults=("no_consent",)), "f", 2, Entry(b"", (verdict,)))
    truth = truth_of(ledger)
    assert truth["validate"]["dropped_by"]["empty_response"] == 1
    assert truth["comparisons"] == {"candidates": 2, "kept": 1, "copies": 1, "quarantined": 0}
    assert truth["records"]["s"]["only_copies"] == 1
