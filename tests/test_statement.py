"""What the data statement counts, against counts over the published tables in plain Python."""

from collections import Counter
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import PairtrailError
from pipeline.core.publishing.statement import CONSENTED_BY, Statement, consented
from schemas.columns import dtypes
from schemas.comparisons import COMPARISONS
from schemas.vocabulary import CONSENT_ROLES, SIDES
from tests.building import Built, build
from tests.published_again import consent_by_hand, everything, folded_by_hand, manifest_of, rows_of

COUNTED = ("annotators", "verdicts", "consent", "folded", "licenses", "languages")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return everything(build(tmp_path_factory.mktemp("statement") / "project"))


def test_annotators_are_counted_by_kind_and_those_of_nobody_apart(built: Built) -> None:
    votes, told = rows_of(built, "votes"), manifest_of(built)
    known = {row["comparison_id"]: row["annotator"] for row in built.comparisons().to_dicts()}
    for kind in ("human", "model"):
        own = [vote for vote in votes if vote["annotator_kind"] == kind]
        names = [known[vote["comparison_id"]] for vote in own]
        counts = {"annotators": len(set(names) - {None}), "verdicts": len(own), "unnamed": names.count(None)}
        assert told["annotators"][kind] == counts
    assert told["annotators"]["human"]["annotators"] == 7
    assert told["annotators"]["model"]["annotators"] == 1
    assert told["annotators"]["human"]["unnamed"] == told["verdicts"]["old"]["human"] > 0
    assert set(told["annotators"]) == {"human", "model"}
    by_source = Counter((vote["source"], vote["annotator_kind"]) for vote in votes)
    assert {(name, kind): n for name, kinds in told["verdicts"].items() for kind, n in kinds.items()} == by_source


def test_what_rests_on_which_basis_purposes_and_records(built: Built) -> None:
    told = manifest_of(built)["consent"]
    assert told == consent_by_hand(built)
    assert all(told["pairs"]["by_basis"].values())
    assert told["ties"]["by_basis"]["Contract + eu-gdpr:A6-1-a"] > 0
    assert "ai-alignment, ai-evaluation, ai-other" in told["verdicts"]["by_purposes"]
    assert 0 < told["verdicts"]["by_role"]["prompt_author"] < told["verdicts"]["by_role"]["annotator"]
    assert told["verdicts"]["named"].keys() == {"people", "whole_source"}


def test_rows_are_counted_by_votes_by_who_decided_and_by_unknown_strength(built: Built) -> None:
    told = manifest_of(built)["folded"]
    for side in SIDES:
        assert told[side]["pairs"] == folded_by_hand(rows_of(built, "pairs", side), "strength")
        assert told[side]["ties"] == folded_by_hand(rows_of(built, "ties", side), None)
    assert told["train"]["ties"]["by_votes"]["4"] > 0
    assert 0 < told["train"]["pairs"]["strength_unknown"] < told["train"]["pairs"]["rows"]


def test_licences_and_languages_are_those_of_the_rows_that_are_loaded(built: Built) -> None:
    told = manifest_of(built)
    rows = [row for table in ("pairs", "ties") for row in rows_of(built, table, "train", "validation")]
    assert told["licenses"] == Counter(row["license"] for row in rows)
    languages = Counter(row["language"] for row in rows)
    assert told["languages"]["unstated"] == languages.pop(None)
    assert told["languages"]["stated"] == languages
    assert set(told["licenses"]) == {"CC0-1.0", "CC-BY-4.0"}


def test_parts_and_orders_change_nothing(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    before = manifest_of(built)
    with monkeypatch.context() as small:
        small.setattr("pipeline.core.spill._PART_BYTES", 8_192)
        after = manifest_of(built.run("publish"))
    assert {name: after[name] for name in COUNTED} == {name: before[name] for name in COUNTED}
    assert [*before["licenses"]] == [*after["licenses"]]


some = st.sampled_from([None, "x", "source:s"])
refs = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from([None, "x", *CONSENT_ROLES]), "subject": some, "consent_id": some}),
    max_size=5,
)


@given(st.lists(refs, min_size=1, max_size=8))
@settings(max_examples=60)
def test_each_bit_is_one_role_or_the_whole_source(drawn: list[list[dict[str, Any]]]) -> None:
    frame = pl.DataFrame({"consent_refs": drawn}, schema={"consent_refs": dtypes(COMPARISONS)["consent_refs"]})
    for found, own in zip(frame.select(consented())[CONSENTED_BY].to_list(), drawn, strict=True):
        whole = [one for one in own if one["subject"] is not None and one["consent_id"] is not None]
        wanted = {len(CONSENT_ROLES) if one["subject"].startswith("source:") else one["role"] for one in whole}
        places = {CONSENT_ROLES.index(one) if one in CONSENT_ROLES else one for one in wanted}
        assert found == sum(1 << place for place in places if isinstance(place, int))


def test_counts_that_do_not_come_to_all_verdicts_stop_the_build() -> None:
    with pytest.raises(PairtrailError, match="does not add up"):
        Statement().facts([], 1, {})
    assert Statement().facts([], 0, {})["annotators"] == {}


def test_no_count_is_of_one_annotator_and_no_annotator_is_named(built: Built) -> None:
    """Consumers read the manifest, the card and the Croissant description."""
    names = built.comparisons()["annotator"].drop_nulls().unique().to_list()
    assert len(names) == 7 + 1 + 1
    for file in ("manifest.json", "README.md", "croissant.json"):
        text = (built.stage("publish") / file).read_text(encoding="utf-8")
        assert not [name for name in names if name in text]
        assert "ann-" not in text
