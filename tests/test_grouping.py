"""Groups of records: adapters written here, on the machinery that real ones stand on."""

import random
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.mapping import grouping
from pipeline.core.mapping.candidates import Batch, RawFile
from pipeline.core.mapping.grouping import Key, read_groups
from pipeline.core.mapping.verdicts import NoVerdict, Seen, Verdict, fills, read_verdicts
from tests.building import Built, build, lines

FIELDS = {"annotator": "rater", "annotator_kind": {"constant": "human"}}
GIVEN = fills("prompt", "response_a", "response_b", "preference")


def key_of(seen: Seen) -> Key | NoVerdict | Verdict:
    if seen.content.get("score") is None:
        return NoVerdict("not_rated")
    if not isinstance(seen.content.get("score"), int):
        return Verdict({}, fault="wrong_type", of=(seen,))
    return (str(seen.content.get("prompt")), str(seen.content.get("rater")))


def pair(members: list[Seen]) -> Iterator[Verdict]:
    ordered = sorted(members, key=lambda one: str(one.content.get("text")))
    for place, a in enumerate(ordered):
        for b in ordered[place + 1 :]:
            said = "a" if a.content["score"] > b.content["score"] else "b"
            prompt = [{"role": "user", "content": a.content.get("prompt")}]
            texts = {"response_a": a.content.get("text"), "response_b": b.content.get("text")}
            yield Verdict({"prompt": prompt, **texts, "preference": said}, of=(a, b))


def in_groups(file: RawFile) -> Iterator[Batch]:
    return read_groups(file, key_of, pair, GIVEN, lambda _: "no_partner")


@pytest.fixture(autouse=True)
def adapter(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return install(monkeypatch, in_groups)


def install(monkeypatch: pytest.MonkeyPatch, read: Any) -> ModuleType:  # noqa: ANN401
    """Stand in for the adapter `hh_rlhf`, whose place in the code is of no matter here."""
    import pipeline.adapters.hh_rlhf as module

    monkeypatch.setattr(module, "read", read)
    return module


def ingested(project: Built, *records: dict[str, Any]) -> Built:
    return project.source("s", {"x.jsonl": lines(*records)}, adapter="hh_rlhf", fields=FIELDS).run("ingest")


def rated(text: Any, score: Any, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"prompt": "Why?", "text": text, "score": score, "rater": "ann", **changes}


def outcomes(project: Built) -> list[tuple[str, str | None]]:
    return list(project.table("ingest/records").sort("source_row").select("outcome", "reason").iter_rows())


def test_records_that_give_comparisons_together_are_all_accounted_for(project: Built) -> None:
    given_ = [rated("one", 1), rated("two", 2), rated("three", 3), rated("alone", 1, rater="bob"), rated("none", None)]
    ingested(project, *given_, rated("bad", "high"))
    assert outcomes(project) == [
        ("gave_comparisons", None),
        ("gave_comparisons", None),
        ("gave_comparisons", None),
        ("no_comparison", "no_partner"),
        ("no_comparison", "not_rated"),
        ("quarantined", "wrong_type"),
    ]
    found = project.comparisons()
    assert sorted(zip(found["response_a"], found["response_b"], found["preference"], strict=True)) == [
        ("one", "three", "b"),
        ("one", "two", "b"),
        ("three", "two", "a"),
    ]
    drawn = project.table("ingest/occurrences")
    assert drawn.filter(part="side").height == 3
    assert drawn.filter(part="verdict").height == 3


def test_the_partner_of_a_quarantined_candidate_is_quarantined_too(project: Built) -> None:
    ingested(project, rated("one", 1), rated(["two"], 2))
    assert outcomes(project) == [("quarantined", "wrong_type"), ("quarantined", "wrong_type")]
    assert project.reasons("ingest") == {"wrong_type": 1}


def test_equal_records_are_copies(project: Built) -> None:
    ingested(project, rated("one", 1), rated("two", 2), rated("one", 1))
    account = project.account("ingest")
    assert account["comparisons"] == {"candidates": 2, "kept": 1, "copies": 1, "quarantined": 0}
    assert sorted(outcome for outcome, _ in outcomes(project)) == [
        "gave_comparisons",
        "gave_comparisons",
        "only_copies",
    ]


def many(seed: int) -> list[dict[str, Any]]:
    choose = random.Random(seed)  # noqa: S311
    return [
        rated(f"text {choose.randint(0, 9)}", choose.choice([1, 2, 3, None]), prompt=f"Q{choose.randint(0, 9)}?")
        for _ in range(200)
    ]


def test_groups_on_disk_give_the_same(new_project: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    held = ingested(new_project("held"), *many(1))
    monkeypatch.setattr(grouping, "parts_for", lambda _: 16)
    aside = ingested(new_project("aside"), *many(1))
    for name in ("records", "occurrences", "quarantine"):
        assert held.table(f"ingest/{name}").equals(aside.table(f"ingest/{name}"))
    assert held.comparisons().equals(aside.comparisons())
    assert not aside.spill.joinpath("ingest").exists()


def test_the_order_of_records_is_of_no_matter(new_project: Any) -> None:  # noqa: ANN401
    made = many(2)
    straight = ingested(new_project("straight"), *made)
    random.Random(3).shuffle(made)  # noqa: S311
    assert ingested(new_project("shuffled"), *made).comparisons().equals(straight.comparisons())
    assert straight.account("ingest")["records"]["no_comparison"] > 0


def test_a_verdict_s_values_are_judged_like_mapped_ones(project: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(seen: Seen) -> list[Verdict] | NoVerdict:
        values = seen.content.get("values")
        return NoVerdict("not_judged") if values is None else [Verdict(values, key="k")]

    install(monkeypatch, lambda file: read_verdicts(file, find, GIVEN))
    good = {"prompt": [{"role": "user", "content": "Hi"}], "response_a": "x", "response_b": "y", "preference": "a"}
    bad: list[dict[str, Any]] = [
        {"preference": "c"},
        {"response_a": 7},
        {"prompt": [{"role": "elf", "content": "x"}]},
        {"response_b": None},
    ]
    ingested(project, {"values": good}, {"rater": "ann"}, *({"values": {**good, **one}} for one in bad))
    reasons = [reason for _, reason in outcomes(project)]
    assert reasons == [None, "not_judged", "unknown_value", "wrong_type", "unknown_role", "missing_field"]
    assert project.table("ingest/quarantine")["fan_out"].unique().to_list() == ["k"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=25)
@given(st.lists(st.fixed_dictionaries({"prompt": json_values, "text": json_values, "score": json_values}), max_size=6))
def test_whatever_the_records_hold_both_accounts_add_up(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[dict[str, Any]]
) -> None:
    project = ingested(build(tmp_path_factory.mktemp("any")), rated("one", 1), rated("two", 2), *drawn)
    assert project.account("ingest")["records"]["in"] == len(drawn) + 2
