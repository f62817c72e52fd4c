"""The adapter `ratings`: scores of responses as comparisons, never across raters, scales or prompts."""

import json
import random
from dataclasses import fields
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.adapters.ratings import guess
from pipeline.core.digests import digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.scores import Attribute, score_of
from pipeline.core.params import parse_yaml
from tests.building import SIDECAR, Built, build, lines
from tests.pages import DOCS, blocks, documented, section

RATED: dict[str, Any] = {"values": {"1": 1, "2": 2, "3": 3, "4": 4, "5": 5}, "unrated": ["N/A"], "scale": [1, 5]}
LISTED: dict[str, Any] = {
    "within": "annotator",
    "responses": "completions",
    "response": "response",
    "model": "model",
    "attributes": {"helpfulness": {**RATED, "path": "annotations.helpfulness.Rating"}},
}
LISTED_FIELDS = {
    "prompt": "instruction",
    "annotator": {"constant": "gpt-4"},
    "annotator_kind": {"constant": "model"},
}
FIVE = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
SINGLE: dict[str, Any] = {
    "within": "group",
    "response": "response",
    "attributes": {"helpfulness": {"path": "helpfulness", "scale": [0, 4]}},
}
SINGLE_FIELDS = {"prompt": "prompt", "annotator": {"constant": None}, "annotator_kind": {"constant": "human"}}
BY_RATER = {**SINGLE, "within": "annotator"}
RATER_FIELDS = {**SINGLE_FIELDS, "annotator": "who"}


def completion(response: Any, rating: Any, model: str = "m-1", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    annotations = {"helpfulness": {"Rating": rating, "Rationale": "because"}}
    annotations |= {name: {"Rating": number} for name, number in more.items()}
    return {"response": response, "model": model, "annotations": annotations, "overall_score": 7.5}


def listed(*completions: Any, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A record as UltraFeedback writes them."""
    return {"source": "s", "instruction": "Why?", "completions": list(completions), **changes}


def single(response: Any, helpfulness: Any, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A record as HelpSteer2 writes them."""
    return {"prompt": "Why?", "response": response, "helpfulness": helpfulness, **changes}


def ingested(project: Built, *records: dict[str, Any], **changes: Any) -> Built:  # noqa: ANN401
    stated = {"adapter": "ratings", "options": LISTED, "fields": LISTED_FIELDS, **changes}
    return project.source("rated", {"x.jsonl": lines(*records)}, **stated).run("ingest")


def grouped(project: Built, *records: dict[str, Any], **changes: Any) -> Built:  # noqa: ANN401
    return ingested(project, *records, **{"options": SINGLE, "fields": SINGLE_FIELDS, **changes})


def shown(project: Built) -> list[tuple[Any, ...]]:
    columns = ["response_a", "response_b", "preference", "strength", "strength_raw", "strength_scale"]
    return sorted(project.comparisons().select(columns).rows())


def outcomes(project: Built) -> dict[str, int]:
    counted = project.table("ingest/records").group_by("outcome", "reason").len().rows()
    return {reason or outcome: count for outcome, reason, count in counted}


def test_every_two_responses_of_a_record_are_compared(project: Built) -> None:
    ingested(project, listed(completion("C", "5", "m-3"), completion("A", "2", "m-1"), completion("B", "2", "m-2")))
    assert shown(project) == [
        ("A", "B", "tie", 0.0, "2 - 2", "1..5"),
        ("A", "C", "b", 0.75, "2 - 5", "1..5"),
        ("B", "C", "b", 0.75, "2 - 5", "1..5"),
    ]
    rows = project.comparisons().sort("response_a", "response_b")
    assert rows.select("model_a", "model_b").rows() == [("m-1", "m-2"), ("m-1", "m-3"), ("m-2", "m-3")]
    assert rows["annotator"].n_unique() == 1
    assert rows["annotator_kind"].unique().to_list() == ["model"]
    assert rows["presented_order"].null_count() == 3


def test_a_rating_written_as_text_counts_and_not_available_is_unrated_and_not_zero(project: Built) -> None:
    ingested(project, listed(completion("A", "N/A"), completion("B", "1"), completion("C", None), completion("D", "3")))
    assert shown(project) == [("B", "D", "b", 0.5, "1 - 3", "1..5")]
    assert project.account("ingest")["comparisons"]["candidates"] == 1


def test_records_with_one_prompt_are_compared_with_each_other(project: Built) -> None:
    two = [single("No.", 1), single("Yes.", 4), single("Yes.", 4, prompt="What?"), single("No.", 0, prompt="What?")]
    assert shown(grouped(project, *two)) == [
        ("No.", "Yes.", "b", 0.75, "1 - 4", "0..4"),
        ("No.", "Yes.", "b", 1.0, "0 - 4", "0..4"),
    ]
    assert outcomes(project) == {"gave_comparisons": 4}
    parts = project.table("ingest/occurrences").group_by("part").len().rows()
    assert sorted(parts) == [("side", 2), ("verdict", 2)]


def test_numbers_of_two_raters_are_never_compared(project: Built) -> None:
    records = [
        single("A", 1, who="ann"),
        single("B", 4, who="bob"),
        single("C", 3, who="bob"),
        single("D", 2, who=None),
    ]
    grouped(project, *records, single("E", 2, who=" "), options=BY_RATER, fields=RATER_FIELDS)
    assert shown(project) == [("B", "C", "a", 0.25, "4 - 3", "0..4")]
    assert outcomes(project) == {"gave_comparisons": 2, "no_partner": 3}


@pytest.mark.parametrize("who", [None, " ", "", 0, 58])
def test_a_rater_must_be_named_and_a_number_names_one(project: Built, who: Any) -> None:  # noqa: ANN401
    """Nobody is not the same person as nobody, but worker 0 is worker 0."""
    options = {**LISTED, "attributes": {"helpfulness": {"path": "helpfulness", "scale": [0, 4]}}}
    grouped(project, single("A", 1, who=who), single("B", 4, who=who), options=BY_RATER, fields=RATER_FIELDS)
    items = [{"response": text, "helpfulness": place} for place, text in enumerate("AB")]
    project.source("other", {"x.jsonl": lines(listed(*items, who=who))}, adapter="ratings", options=options,
                   fields={**LISTED_FIELDS, "annotator": "who"}).run("ingest")  # fmt: skip
    named = {"gave_comparisons": 3} if who in (0, 58) else {"no_partner": 3}
    assert outcomes(project) == named


@pytest.mark.parametrize("other", [{"prompt": "Why "}, {"rubric": "r-2"}, {"policy": "p-0"}, {"consent": "c-2"}])
def test_records_that_differ_in_what_a_comparison_has_but_once_are_not_compared(
    project: Built, other: dict[str, str]
) -> None:
    stated = {"rubric": "r-1", "policy": "p-1", "consent": "c-1"}
    refs = [{"role": "annotator", "subject": {"constant": "x"}, "consent_id": "consent"}]
    changes: dict[str, Any] = {"policy_version": {"path": "policy"}, "rubric_version": {"path": "rubric"}}
    changes["fields"] = {**SINGLE_FIELDS, "consent_refs": refs}
    grouped(
        project, single("A", 1, **stated), single("B", 2, **{**stated, **other}), single("C", 4, **stated), **changes
    )
    assert shown(project) == [("A", "C", "b", 0.75, "1 - 4", "0..4")]
    assert outcomes(project) == {"gave_comparisons": 2, "no_partner": 1}


def test_a_rater_who_is_a_number_and_one_who_is_its_text_are_one(project: Built) -> None:
    records = [single("A", 4, who=7), single("B", 1, who="7"), single("C", 1, who=True)]
    grouped(project, *records, options=BY_RATER, fields=RATER_FIELDS)
    assert [row[:3] for row in shown(project)] == [("A", "B", "a")]


def test_prompts_of_messages_are_equal_by_their_words(project: Built) -> None:
    said = [{"role": "user", "content": "Why?"}]
    timed = [{**said[0], "at": 12}]
    fields = {**SINGLE_FIELDS, "prompt": {"messages": "prompt"}}
    grouped(project, single("A", 1, prompt=said), single("B", 2, prompt=timed), fields=fields)
    assert project.comparisons()["prompt"].to_list() == [said]


def attributes(*names: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {name: {"path": name, "scale": [0, 4], **changes} for name in names}


def test_each_attribute_is_a_rubric_of_its_own(project: Built) -> None:
    rated = attributes("helpfulness", "verbosity")
    rated["helpfulness"]["rubric"], rated["verbosity"]["rubric"] = "r-1", "r-2"
    records = [single("A", 4, verbosity=0), single("B", 2, verbosity=3)]
    grouped(project, *records, options={**SINGLE, "attributes": rated}).run("validate")
    found = project.comparisons().select("rubric_version", "preference", "strength").sort("rubric_version").rows()
    assert found == [("r-1", "a", 0.5), ("r-2", "b", 0.75)]
    assert project.reasons("validate") == {}


def test_renaming_a_rubric_renames_no_comparison(new_project: Any) -> None:  # noqa: ANN401
    ids = set()
    for rubric in ("r-1", "r-2"):
        options = {**SINGLE, "attributes": attributes("helpfulness", rubric=rubric)}
        project = grouped(new_project(rubric), single("A", 4), single("B", 2), options=options)
        assert project.comparisons()["rubric_version"].to_list() == [rubric]
        ids |= set(project.comparisons()["comparison_id"])
    assert len(ids) == 1


WEIGHTS = {"helpfulness": 0.65, "correctness": 0.8, "coherence": 0.45, "complexity": 0.55, "verbosity": -0.4}


def test_a_weighted_sum_is_one_comparison_of_its_own_scale(project: Built) -> None:
    rated = {name: {"path": name, "scale": [0, 4], "weight": weight} for name, weight in WEIGHTS.items()}
    numbers = [dict(zip(FIVE, stated, strict=True)) for stated in ((4, 4, 4, 2, 4), (3, 2, 4, 2, 0))]
    records = [{"prompt": "Why?", "response": text, **stated} for text, stated in zip("AB", numbers, strict=True)]
    grouped(project, *records, options={**SINGLE, "attributes": rated, "sum_rubric": "r-2"})
    # By hand: 2.6 + 3.2 + 1.8 + 1.1 - 1.6 = 7.1 and 1.95 + 1.6 + 1.8 + 1.1 - 0 = 6.45, between -1.6 and 9.8.
    assert shown(project) == [("A", "B", "a", pytest.approx(0.65 / 11.4, abs=1e-15), "7.1 - 6.45", "-1.6..9.8")]
    assert project.comparisons()["rubric_version"].to_list() == ["r-2"]


def test_a_sum_is_exact_and_needs_all_its_parts(project: Built) -> None:
    rated = {name: {"path": name, "scale": [0, 4], "weight": 1} for name in ("x", "y")}
    records = [
        {"prompt": "Why?", "response": "A", "x": 0.1, "y": 0.2},
        {"prompt": "Why?", "response": "B", "x": 0.3, "y": 0},
    ]
    records += [{"prompt": "Why?", "response": "C", "x": 4}]
    grouped(project, *records, options={**SINGLE, "attributes": rated})
    assert shown(project) == [("A", "B", "tie", 0.0, "0.3 - 0.3", "0..8")]
    assert outcomes(project) == {"gave_comparisons": 2, "not_rated": 1}


def test_names_may_hold_spaces_and_parentheses(project: Built) -> None:
    options = {**SINGLE, "attributes": {"human (overall)": {"path": "scores.human (overall)", "scale": [1, 5]}}}
    records = [
        {"prompt": "Why?", "response": text, "scores": {"human (overall)": n}} for text, n in (("A", 1), ("B", 5))
    ]
    assert shown(grouped(project, *records, options=options)) == [("A", "B", "b", 1.0, "1 - 5", "1..5")]


def pairs_by_digest(*texts: str) -> list[tuple[str, str]]:
    pairs = [(a, b) for a in texts for b in texts if a < b]
    return sorted(pairs, key=lambda pair: digest_text(*pair))


def test_the_pairs_beyond_the_cap_are_reported_and_the_choice_hangs_on_content(project: Built) -> None:
    texts = ("A", "B", "C", "D")
    completions = [completion(text, str(place + 1)) for place, text in enumerate(texts)]
    ingested(project, listed(*completions), options={**LISTED, "most_pairs": 2})
    assert project.reasons("ingest") == {"over_cap": 4}
    assert project.table("ingest/quarantine")["fan_out"].unique().to_list() == ["helpfulness"]
    assert {row[:2] for row in shown(project)} == set(pairs_by_digest(*texts)[:2])


def test_the_cap_counts_only_what_could_be_written(project: Built) -> None:
    records = [single("A", 1), single("B", 2), single("C", 9), single("D", None)]
    grouped(project, *records, options={**SINGLE, "most_pairs": 1})
    assert [row[:2] for row in shown(project)] == [("A", "B")]
    assert project.reasons("ingest") == {"off_scale": 2}
    assert outcomes(project) == {"gave_comparisons": 2, "off_scale": 1, "not_rated": 1}


def test_more_responses_than_any_log_holds_are_quarantined(project: Built) -> None:
    grouped(
        project,
        *(single(f"{place}", 1) for place in range(101)),
        single("A", 1, prompt="x"),
        single("B", 1, prompt="x"),
    )
    assert project.reasons("ingest") == {"too_many_responses": 101}
    assert project.comparisons().height == 1


def test_more_ratings_of_one_prompt_than_any_log_holds_are_quarantined(project: Built) -> None:
    many = [single("AB"[place % 2], 1, note=place) for place in range(1_001)]
    alike = [single("A", 1, note=place, prompt="x") for place in range(1_001)]
    grouped(project, *many, *alike)
    assert outcomes(project) == {"too_many_responses": 1_001, "no_partner": 1_001}


def test_two_numbers_for_one_response_are_no_rating(project: Built) -> None:
    grouped(project, single("A", 1), single("A ", 2), single("B", 3), single("C", 4), single("C", 4, note="again"))
    assert shown(project) == [("B", "C", "b", 0.25, "3 - 4", "0..4")]
    assert project.reasons("ingest") == {"conflicting_ratings": 2}
    assert outcomes(project) == {"gave_comparisons": 3, "conflicting_ratings": 2}


def test_a_conflict_of_one_attribute_leaves_the_others(project: Built) -> None:
    rated = attributes("helpfulness", "verbosity")
    rated["helpfulness"]["rubric"], rated["verbosity"]["rubric"] = "r-1", "r-2"
    records = [single("A", 1, verbosity=2), single("A", 2, verbosity=2), single("B", 3, verbosity=4)]
    grouped(project, *records, options={**SINGLE, "attributes": rated})
    assert shown(project) == [("A", "B", "b", 0.5, "2 - 4", "0..4")]
    assert project.reasons("ingest") == {"conflicting_ratings": 1}


JUDGED: list[tuple[Any, Any]] = [
    (5, "off_scale"),
    (-1, "off_scale"),
    (10**400, "off_scale"),
    (True, "wrong_type"),
    ("3", "wrong_type"),
    ([3], "wrong_type"),
    ({"Rating": 3}, "wrong_type"),
    (float("nan"), "out_of_range"),
    (float("-inf"), "out_of_range"),
    (None, None),
    ("N/A", None),
    (4, Fraction(4)),
    (2.5, Fraction(5, 2)),
]


@pytest.mark.parametrize(("raw", "meant"), JUDGED)
def test_a_number_counts_as_it_is_written_and_on_its_scale(raw: Any, meant: Any) -> None:  # noqa: ANN401
    assert score_of(raw, Attribute("x", [0, 4], unrated=["N/A"]), text_alone=False) == meant


def test_a_map_of_values_names_every_value() -> None:
    likes = Attribute("x", [0, 2], values={"bad": 0, "good": 2, "true": 1})
    judged = [score_of(raw, likes, text_alone=False) for raw in ("good", True, "great", ["good"])]
    assert judged == [Fraction(2), Fraction(1), "unknown_value", "unknown_value"]


def test_numbers_are_read_from_csv_and_blank_is_unrated(project: Built) -> None:
    content = "prompt,response,helpfulness\nWhy?,A,1\nWhy?,B,2.5\nWhy?,C,\nWhy?,D,x\nWhy?,E,nan\n"
    stated = {"adapter": "ratings", "options": SINGLE, "fields": SINGLE_FIELDS, "format": "csv", "files": ["*.csv"]}
    project.source("rated", {"x.csv": content}, **stated).run("ingest")
    assert shown(project) == [("A", "B", "b", 0.375, "1 - 2.5", "0..4")]
    assert outcomes(project) == {"gave_comparisons": 2, "not_rated": 1, "wrong_type": 1, "out_of_range": 1}


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("wrong_type", listed(completion("A", "1"), completion(["B"], "2"))),
    ("missing_field", listed(completion("A", "1"), completion(None, "2"))),
    ("unknown_value", listed(completion("A", "1"), completion("B", "6"))),
    ("unknown_value", listed(completion("A", "1"), completion("B", [1]))),
    ("wrong_type", listed("A", "B")),
    ("wrong_type", listed(completions="A")),
    ("wrong_type", listed(completion("A", "1"), completion("B", "2"), instruction=["Why?"])),
    ("missing_field", listed(completion("A", "1"), completion("B", "2"), instruction=None)),
]


@pytest.mark.parametrize(("reason", "given"), FAULTS)
def test_what_cannot_be_compared_is_quarantined(project: Built, reason: str, given: dict[str, Any]) -> None:
    assert ingested(project, given).reasons("ingest") == {reason: 1}
    assert outcomes(project) == {reason: 1}


def test_records_that_cannot_be_grouped_are_quarantined(project: Built) -> None:
    records = [
        single(["A"], 1),
        single(None, 1),
        single("A", 1, prompt=None),
        single("A", 1, prompt=7),
        single("B", 2, prompt=7),
    ]
    grouped(project, *records)
    assert project.reasons("ingest") == {"wrong_type": 2, "missing_field": 2}
    assert outcomes(project) == {"wrong_type": 3, "missing_field": 2}


SILENT: list[tuple[str, dict[str, Any]]] = [
    ("one_response", listed()),
    ("one_response", listed(completion("A", "1"), completion("A ", "2"))),
    ("one_response", {"instruction": "Why?"}),
    ("not_rated", listed(completion("A", "N/A"), completion("B", "2"))),
    ("not_rated", listed(completion("A", "1"), {"response": "B"})),
]


@pytest.mark.parametrize(("reason", "given"), SILENT)
def test_a_record_without_two_rated_responses_says_why(project: Built, reason: str, given: dict[str, Any]) -> None:
    assert outcomes(ingested(project, given, listed(completion("A", "1"), completion("B", "2")))) == {
        "gave_comparisons": 1,
        reason: 1,
    }


def test_order_changes_nothing(new_project: Any) -> None:  # noqa: ANN401
    found = []
    records = [single(f"r{place % 5}", place % 5, prompt=f"p{place % 3}", note=place) for place in range(30)]
    for seed in range(3):
        random.Random(seed).shuffle(records)  # noqa: S311
        project = grouped(new_project(f"g{seed}"), *records, options={**SINGLE, "most_pairs": 3})
        found.append((set(project.comparisons()["comparison_id"]), project.reasons("ingest"), outcomes(project)))
    completions = [completion(text, rating) for text, rating in zip(("A", "A ", "B", "D"), "1135", strict=True)]
    for seed in range(3):
        random.Random(seed).shuffle(completions)  # noqa: S311
        project = ingested(new_project(f"l{seed}"), listed(*completions))
        found.append((set(project.comparisons()["comparison_id"]), {}, {}))
    assert found[0] == found[1] == found[2]
    assert found[3] == found[4] == found[5]


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("name one of `attributes`", {"attributes": {}}),
    ("no side files", {"response": "texts:response"}),
    ("two numbers, the lower first", {"attributes": attributes("x", scale=[4, 0])}),
    ("two numbers, the lower first", {"attributes": attributes("x", scale=[4])}),
    ("most_pairs must be at least 1", {"most_pairs": 0}),
    ("a rubric each", {"attributes": attributes("x", "y")}),
    ("a rubric each", {"attributes": attributes("x", "y", rubric="r-1")}),
    ("every attribute a weight", {"attributes": {**attributes("x"), **attributes("y", weight=1)}}),
    ("every attribute a weight", {"attributes": attributes("x", weight=0)}),
    ("state its rubric once", {"attributes": attributes("x", weight=1, rubric="r-1")}),
    ("sum_rubric is the rubric of a weighted sum", {"sum_rubric": "r-1"}),
    ("missing key `within`", {"within": None}),
    ("unknown key `weights`", {"weights": {"x": 1}}),
    ("map `annotator` to who rated", {"within": "annotator"}),
]


@pytest.mark.parametrize(("told", "changes"), WRONG)
def test_options_that_contradict_each_other_are_refused(project: Built, told: str, changes: dict[str, Any]) -> None:
    options = {name: value for name, value in {**SINGLE, **changes}.items() if value is not None}
    with pytest.raises(PairtrailError, match=told) as error:
        grouped(project, single("A", 1), options=options)
    assert "rated/source.yaml" in str(error.value)


def test_a_group_of_ratings_has_no_annotator_of_its_own(project: Built) -> None:
    with pytest.raises(PairtrailError, match="map `annotator` to a constant"):
        grouped(project, single("A", 1), fields=RATER_FIELDS)


def test_a_ratings_id_is_no_id_of_a_comparison(project: Built) -> None:
    with pytest.raises(PairtrailError, match="`event_id`"):
        grouped(project, single("A", 1), fields={**SINGLE_FIELDS, "event_id": "id"})


def test_a_build_to_the_end(project: Built) -> None:
    ingested(project, listed(*(completion(text, rating) for text, rating in zip("ABCD", "1335", strict=True)))).run()
    sides = [project.table(f"publish/{side}/pairs") for side in ("train", "validation", "heldout")]
    ties = [project.table(f"publish/{side}/ties") for side in ("train", "validation", "heldout")]
    assert sum(side.height for side in sides) == 5
    assert sum(side.height for side in ties) == 1


JSON = st.recursive(
    st.sampled_from(["A", "B ", "1", "N/A", "Why?"]) | st.none() | st.booleans() | st.integers(-2, 7) | st.floats(0, 5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["response", "annotations", "helpfulness", "Rating"]), inner, max_size=3)
    ),
    max_leaves=8,
)
RECORDS = st.lists(
    st.dictionaries(st.sampled_from(["prompt", "instruction", "response", "helpfulness", "completions", "who"]), JSON),
    max_size=6,
)


@settings(max_examples=40)
@given(records=RECORDS, shape=st.sampled_from([0, 1, 2]))
def test_both_accounts_add_up_whatever_comes(
    records: list[dict[str, Any]],
    shape: int,
    tmp_path_factory: Any,  # noqa: ANN401
) -> None:
    options, mapped = [(LISTED, LISTED_FIELDS), (SINGLE, SINGLE_FIELDS), (BY_RATER, RATER_FIELDS)][shape]
    sound = [listed(completion("A", "1"), completion("B", "2")), single("A", 1, who="x"), single("B", 2, who="x")]
    project = build(tmp_path_factory.mktemp("hostile"))
    ingested(project, *sound, *json.loads(json.dumps(records)), options=options, fields=mapped)
    account = project.account("ingest")
    assert account["records"]["in"] == len(records) + 3
    counted = [account["comparisons"][name] for name in ("kept", "copies", "quarantined")]
    assert account["comparisons"]["candidates"] == sum(counted)


def test_a_guess_knows_two_published_shapes_and_no_other(project: Built) -> None:
    first = listed(completion("A", "1"), completion("B", "2"))
    second = {"prompt": "Why?", "response": "A", **dict.fromkeys(FIVE, 3)}
    for record, kind in ((first, "model"), (second, "human")):
        told = guess([record, record]) or {}
        assert told["fields"]["annotator_kind"] == {"constant": kind}
        ingested(project, record, options=told["options"], fields=told["fields"])
    assert guess([]) is None
    for other in (
        {"prompt": "p", "response": "r"},
        {**second, "helpfulness": "3"},
        {"instruction": "i", "completions": []},
    ):
        assert guess([other]) is None
    assert guess([first, second]) is None


PAGE = DOCS / "adapters" / "ratings.md"


def test_each_key_of_an_attribute_is_documented() -> None:
    assert documented(section(PAGE, "Attributes")) == [field.name for field in fields(Attribute)]


def example(heading: str) -> tuple[dict[str, Any], str]:
    """The sidecar and the raw file below a heading of the page."""
    told = section(PAGE, heading)
    [sidecar], [content] = ([text for text in blocks(PAGE, kind) if text in told] for kind in ("yaml", "json"))
    return {**parse_yaml(sidecar), "files": ["*.jsonl"], "synthetic": True}, content


def of_the_page(project: Built, heading: str) -> Built:
    stated, content = example(heading)
    return project.source("page", {"x.jsonl": content}, **stated).run("ingest")


def test_the_page_shows_what_its_examples_give(project: Built, new_project: Any) -> None:  # noqa: ANN401
    assert shown(of_the_page(project, "Responses in one record")) == [
        ("7", "9", "a", 1.0, "5 - 1", "1..5"),
        ("7", "Eleven", "a", 0.5, "4 - 2", "1..5"),
        ("7", "Eleven", "tie", 0.0, "5 - 5", "1..5"),
        ("9", "Eleven", "b", 1.0, "1 - 5", "1..5"),
    ]
    second = of_the_page(new_project("second"), "One response in each record")
    told = ("7", "A prime is a number such as 7.", "a", pytest.approx(0.8 / 7.4), "5.8 - 5", "-1.6..5.8")
    assert shown(second) == [told]
    assert outcomes(second) == {"gave_comparisons": 2, "no_partner": 1}


def test_a_negative_preference_of_helpsteer_prefers_response_1(project: Built) -> None:
    """-3 is "response 1 is much better"; in HelpSteer2's preferences and in HelpSteer3 alike."""
    rows = of_the_page(project, "Signed preferences").comparisons()
    seven = rows.filter(response_a="7").select("preference", "strength", "rationale").sort("rationale").rows()
    assert seven == [("a", 1.0, "@Response 1 is right."), ("a", 1.0, "Nine is none.")]
    hello = rows.filter(response_a="Hi").select("preference", "strength", "rationale").sort("preference").rows()
    assert hello == [("b", 0.667, "It asks back."), ("tie", 0.0, "")]
    assert rows["annotator"].null_count() == 4


def test_a_place_without_an_annotator_is_dropped_with_a_reason(project: Built) -> None:
    stated, content = example("Signed preferences")
    one = json.loads(content.splitlines()[0])
    one["individual_preference"].pop()
    stated |= {"policy_version": "p-1", "rubric_version": "r-1", "consent": SIDECAR["consent"]}
    project.source("page", {"x.jsonl": lines(one)}, **stated).run("ingest", "validate")
    assert project.reasons("validate") == {"unknown_preference": 1}
    assert project.account("validate")["kept"] == 1
