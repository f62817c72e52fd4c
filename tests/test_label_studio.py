"""The adapter `label_studio`: tasks with choices between two responses, or with rankings of a list."""

import json
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.adapters.label_studio import guess
from pipeline.core.errors import PairtrailError
from tests.building import Built
from tests.raw_values import spoilt

PAIRWISE = {"control": "pw", "responses": {"a": "data.one", "b": "data.two"}, "rationale": "why"}
RANKER = {"control": "rank", "items": {"path": "data.items", "text": "text", "model": "llm"}}
BUCKETS = {**RANKER, "buckets": ["good", "bad"]}
ITEMS = [
    {"id": "x", "text": "gold", "llm": "m1"},
    {"id": "y", "text": "silver", "llm": "m2"},
    {"id": 3, "text": "brass"},
]


def task(*annotations: Any, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    texts = {"prompt": "Why is the sky blue?", "one": "Scattering.", "two": "Magic.", "items": ITEMS}
    return {"id": 7, "data": texts, "annotations": list(annotations), "predictions": [], "drafts": [], **changes}


def annotation(number: int, *result: dict[str, Any], **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    when = {"created_at": "2026-03-09T22:16:08.728353Z", "updated_at": "2026-03-10T08:00:00Z", "lead_time": 4.25}
    flags = {"was_cancelled": False, "ground_truth": False}
    return {"id": number, "completed_by": 10, "result": list(result), **when, **flags, **changes}


def pairwise(side: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"from_name": "pw", "to_name": "pw", "type": "pairwise", "value": {"selected": side}}


def choices(*words: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"from_name": "pw", "to_name": "one", "type": "choices", "value": {"choices": list(words)}}


def comment(*lines: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"from_name": "why", "to_name": "one", "type": "textarea", "value": {"text": list(lines)}}


def ranked(order: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"from_name": "rank", "to_name": "items", "type": "ranker", "value": {"ranker": order}}


def ingested(project: Built, *tasks: Any, options: dict[str, Any] | None = None, **changes: Any) -> Built:  # noqa: ANN401
    fields = {"prompt": "data.prompt"}
    stated = {
        "adapter": "label_studio",
        "options": options or PAIRWISE,
        "fields": fields,
        "files": ["*.json"],
        **changes,
    }
    return project.source("ls", {"x.json": json.dumps(tasks)}, **stated).run("ingest")


def outcomes(project: Built) -> list[tuple[str, str | None]]:
    return project.table("ingest/records").sort("source_row").select("outcome", "reason").rows()


def compared(project: Built) -> set[tuple[Any, ...]]:
    return set(project.comparisons().select("response_a", "preference", "response_b").iter_rows())


def test_an_annotation_is_a_comparison_with_all_that_it_states(project: Built) -> None:
    ingested(project, task(annotation(1, pairwise("left"), comment("Physics.", "Short."))))
    row = project.comparisons().to_dicts()[0]
    assert row["prompt"] == [{"role": "user", "content": "Why is the sky blue?"}]
    told = [row[name] for name in ("response_a", "response_b", "preference", "rationale", "duration_s")]
    assert told == ["Scattering.", "Magic.", "a", "Physics.\nShort.", 4.25]
    assert str(row["created_at"]) == "2026-03-09 22:16:08.728353+00:00"
    assert (row["annotator_kind"], row["presented_order"], row["strength"]) == ("human", None, None)
    assert project.run("validate").account("validate")["kept"] == 1


def test_several_annotators_of_one_task_are_several_votes(project: Built) -> None:
    votes = [annotation(1, pairwise("left")), annotation(2, pairwise("right"), completed_by=11)]
    ingested(project, task(*votes, annotation(3, pairwise("right"), completed_by={"id": 12, "email": "z@example.org"})))
    rows = project.comparisons()
    assert rows["preference"].sort().to_list() == ["a", "b", "b"]
    assert rows["annotator"].n_unique() == 3


def test_one_person_is_one_annotator_as_number_and_as_object(project: Built) -> None:
    people = [10, {"id": 10, "email": "z@example.org"}, {"id": None, "email": "z@example.org"}, "z@example.org"]
    tasks = [task(annotation(number, pairwise("left"), completed_by=who)) for number, who in enumerate(people)]
    found = ingested(project, *tasks).comparisons()["annotator"].value_counts()["count"]
    assert found.to_list() == [2, 2]
    assert b"example.org" not in b"".join(path.read_bytes() for path in project.shards.iterdir())


CHOICES = {
    **PAIRWISE,
    "values": {"A much": "a", "A": "a", "same": "tie", "B": "b", "neither": "both_bad"},
    "strengths": {"A much": 1, "A": 0.5, "same": 0},
    "models": {"a": "data.llm1", "b": "data.llm2"},
}


def test_choices_are_mapped_and_may_state_a_strength(project: Built) -> None:
    words = ["A much", "A", "same", "B", "neither"]
    votes = [annotation(number, choices(word), completed_by=number) for number, word in enumerate(words)]
    one = task(*votes)
    one["data"] = {**one["data"], "llm1": "m1", "llm2": "m2"}
    rows = ingested(project, one, options=CHOICES).comparisons()
    scale = "A=0.5, A much=1, same=0"
    assert set(rows.select("preference", "strength", "strength_raw", "strength_scale").iter_rows()) == {
        ("a", 1.0, "A much", scale),
        ("a", 0.5, "A", scale),
        ("tie", 0.0, "same", scale),
        ("b", None, None, None),
        ("both_bad", None, None, None),
    }
    assert set(rows.select("model_a", "model_b").iter_rows()) == {("m1", "m2")}


def test_a_ranking_is_compared_pair_by_pair(project: Built) -> None:
    ingested(project, task(annotation(1, ranked({"rank": ["x", "3", "y"]}))), options=RANKER)
    assert compared(project) == {("brass", "b", "gold"), ("gold", "a", "silver"), ("brass", "a", "silver")}
    rows = project.comparisons().sort("response_a", "response_b").select("model_a", "model_b").rows()
    assert rows == [(None, "m1"), (None, "m2"), ("m1", "m2")]
    assert project.run("validate").reasons("validate") == {}


def test_a_ranking_may_be_a_mere_list(project: Built) -> None:
    ingested(project, task(annotation(1, ranked(["y", "x"]))), options=RANKER)
    assert compared(project) == {("gold", "b", "silver")}


def test_items_of_one_bucket_are_a_tie_and_those_in_none_are_not_ranked(project: Built) -> None:
    ingested(project, task(annotation(1, ranked({"_": ["y"], "bad": ["x"], "good": ["3"]}))), options=BUCKETS)
    assert compared(project) == {("brass", "a", "gold")}
    ingested(project, task(annotation(1, ranked({"bad": ["x", "y"], "good": ["3"]}))), options=BUCKETS)
    assert compared(project) == {("brass", "a", "gold"), ("brass", "a", "silver"), ("gold", "tie", "silver")}


def test_pairing_chooses_and_caps(project: Built) -> None:
    order = task(annotation(1, ranked({"rank": ["x", "y", "3"]})))
    ingested(project, order, options={**RANKER, "pairing": {"pairs": "adjacent"}})
    assert compared(project) == {("gold", "a", "silver"), ("brass", "b", "silver")}
    ingested(project, order, options={**RANKER, "pairing": {"most": 1}})
    assert (project.comparisons().height, project.reasons("ingest")) == (1, {"over_cap": 2})
    assert outcomes(project) == [("gave_comparisons", None)]


def test_predictions_are_of_models_where_asked_for(project: Built) -> None:
    prediction = {
        "id": 1,
        "model_version": "judge-2",
        "score": 0.8,
        "result": [pairwise("right")],
        "created_ago": "1 h",
    }
    both = task(annotation(1, pairwise("left")), predictions=[prediction])
    assert ingested(project, both).comparisons()["annotator_kind"].to_list() == ["human"]
    rows = ingested(project, both, options={**PAIRWISE, "predictions": True}).comparisons().sort("annotator_kind")
    told = rows.select("annotator_kind", "preference", "confidence", "duration_s", "created_at").rows()
    assert told[1] == ("model", "b", 0.8, None, None)
    # Annotation 1 and prediction 1 are two events.
    assert project.run("validate").reasons("validate") == {}


def test_predicted_and_annotated_rankings_of_one_number_are_two_events(project: Built) -> None:
    prediction = {"id": 1, "model_version": "judge-2", "result": [ranked({"rank": ["y", "x"]})]}
    both = task(annotation(1, ranked({"rank": ["x", "y"]})), predictions=[prediction])
    ingested(project, both, options={**RANKER, "predictions": True}).run("validate")
    assert (project.comparisons().height, project.reasons("validate")) == (2, {})


SILENT: list[tuple[str, dict[str, Any]]] = [
    ("not_judged", task()),
    ("not_judged", task(annotations=None)),
    ("not_judged", {"id": 1, "data": {}}),
    ("not_judged", task(annotation(1))),
    ("not_judged", task(annotation(1, result=None))),
    ("not_judged", task(annotation(1, comment("Only words.")))),
    ("not_judged", task(annotation(1, choices()))),
    ("not_judged", task(annotation(1, pairwise(None)))),
    ("not_judged", task(predictions=[{"id": 1, "model_version": "m", "result": [pairwise("left")]}])),
    ("not_submitted", task(drafts=[{"id": 1, "result": [pairwise("left")]}])),
    ("not_submitted", task(drafts=[17])),
    ("cancelled", task(annotation(1, pairwise("left"), was_cancelled=True))),
    ("cancelled", task(annotation(1, skipped=True))),
]


@pytest.mark.parametrize(("reason", "given_task"), SILENT)
def test_a_task_may_hold_no_verdict(project: Built, reason: str, given_task: dict[str, Any]) -> None:
    ingested(project, given_task, task(annotation(9, pairwise("left"))))
    assert outcomes(project) == [("no_comparison", reason), ("gave_comparisons", None)]


def test_a_cancelled_annotation_does_not_count_beside_another(project: Built) -> None:
    ingested(project, task(annotation(1, pairwise("left"), was_cancelled=True), annotation(2, pairwise("right"))))
    assert compared(project) == {("Scattering.", "b", "Magic.")}


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("unknown_value", task(annotation(1, pairwise("middle")))),
    ("unknown_value", task(annotation(1, choices("left", "right")))),
    ("unknown_value", task(annotation(1, pairwise("left"), pairwise("right")))),
    ("unknown_value", task(annotation(1, {"from_name": "pw", "value": {"rating": 3}}))),
    ("wrong_type", task(annotation(1, pairwise("left"), comment("fine", 3)))),
    ("wrong_type", task(17)),
    ("wrong_type", task(annotations={"0": annotation(1)})),
    ("wrong_type", task(annotation(1, result="left"))),
    ("wrong_type", task(annotation(1, pairwise("left"), was_cancelled="no"))),
    ("wrong_type", task(annotation(1, pairwise("left"), completed_by=[10]))),
    ("wrong_type", task(annotation(1, pairwise("left"), lead_time="4"))),
    ("bad_time", task(annotation(1, pairwise("left"), created_at="3 hours ago"))),
    ("out_of_range", task(annotation(1, pairwise("left"), lead_time=-1))),
    ("missing_field", task(annotation(1, pairwise("left")), data={"prompt": "p", "one": "x"})),
]


@pytest.mark.parametrize(("reason", "given_task"), FAULTS)
def test_what_cannot_be_a_comparison_is_quarantined(project: Built, reason: str, given_task: dict[str, Any]) -> None:
    ingested(project, given_task, task(annotation(9, pairwise("left"))))
    assert project.reasons("ingest") == {reason: 1}
    assert outcomes(project) == [("quarantined", reason), ("gave_comparisons", None)]


RANKED_FAULTS: list[tuple[str, Any]] = [
    ("wrong_type", "x"),
    ("wrong_type", {"rank": "x"}),
    ("wrong_type", {"rank": ["x", None]}),
    ("unknown_value", {"best": ["x", "y"]}),
    ("unknown_response", {"rank": ["x", "gone"]}),
    ("conflicting_ratings", {"rank": ["x", "y", "x"]}),
]


@pytest.mark.parametrize(("reason", "order"), RANKED_FAULTS)
def test_a_ranking_that_cannot_be_told_is_quarantined(project: Built, reason: str, order: Any) -> None:  # noqa: ANN401
    ingested(project, task(annotation(1, ranked(order))), options=RANKER)
    assert outcomes(project) == [("quarantined", reason)]


def test_two_items_of_one_id_name_nothing(project: Built) -> None:
    twice = [*ITEMS, {"id": "x", "text": "another"}]
    one = task(annotation(1, ranked({"rank": ["x", "y"]})), annotation(2, ranked({"rank": ["y", "3"]})))
    ingested(project, {**one, "data": {**one["data"], "items": twice}}, options=RANKER)
    assert (project.reasons("ingest"), project.comparisons().height) == ({"unknown_response": 1}, 1)


@pytest.mark.parametrize(
    ("reason", "order", "pairing"),
    [
        ("not_ranked", {"_": ["x", "y"], "good": ["3"]}, {}),
        ("not_ranked", {"_": ["x", "y", "3"], "good": [], "bad": []}, {}),
        ("one_label", {"good": ["x", "y"]}, {"ties": False}),
    ],
)
def test_a_ranking_may_order_nothing(project: Built, reason: str, order: Any, pairing: dict[str, Any]) -> None:  # noqa: ANN401
    ingested(project, task(annotation(1, ranked(order))), options={**BUCKETS, "pairing": pairing})
    assert outcomes(project) == [("no_comparison", reason)]


def test_json_min_is_read_with_paths_of_its_own(project: Built) -> None:
    when = {"created_at": "2026-03-09T22:16:08Z", "updated_at": "2026-03-09T22:16:08Z", "lead_time": 2.5}
    flat = {"prompt": "p?", "one": "yes", "two": "no", "id": 7, "annotator": 10, "annotation_id": 5, **when}
    options = {**PAIRWISE, "responses": {"a": "one", "b": "two"}}
    records = [
        {**flat, "pw": [{"selected": "left"}], "why": "Short."},
        {**flat, "pw": "right", "annotation_id": 6, "why": ["One.", "Two."], "annotator": "z@example.org"},
        {**flat, "annotation_id": None, "annotator": None},
        {**flat, "annotation_id": 8},
        {**flat, "pw": {"choices": ["left", "right"]}, "annotation_id": 9},
    ]
    ingested(project, *records, options=options, fields={"prompt": "prompt"})
    rows = project.comparisons().sort("preference").select("preference", "rationale", "duration_s").rows()
    assert rows == [("a", "Short.", 2.5), ("b", "One.\nTwo.", 2.5)]
    silent = ("no_comparison", "not_judged")
    assert outcomes(project)[2:] == [silent, silent, ("quarantined", "unknown_value")]


def test_json_min_holds_rankings_too(project: Built) -> None:
    flat = {
        "prompt": "p?",
        "items": ITEMS,
        "annotation_id": 5,
        "annotator": 10,
        "rank": [{"ranker": {"rank": ["y", "x"]}}],
    }
    options = {**RANKER, "items": {"path": "items", "text": "text"}}
    ingested(project, flat, options=options, fields={"prompt": "prompt"})
    assert compared(project) == {("gold", "b", "silver")}


def test_the_same_export_again_is_copies_and_an_edited_annotation_a_conflict(project: Built) -> None:
    first = task(annotation(1, pairwise("left")), annotation(2, pairwise("left"), completed_by=11))
    later = task(annotation(1, pairwise("left"), updated_at="2026-05-01T00:00:00Z"))
    later["annotations"].append(annotation(2, pairwise("right"), completed_by=11, updated_at="2026-05-01T00:00:00Z"))
    fields = {"prompt": "data.prompt"}
    stated = {"adapter": "label_studio", "options": PAIRWISE, "fields": fields, "files": ["*.json"]}
    project.source("ls", {"1.json": json.dumps([first]), "2.json": json.dumps([later])}, **stated).run(
        "ingest", "validate"
    )
    assert project.account("ingest")["comparisons"] == {"candidates": 4, "kept": 3, "copies": 1, "quarantined": 0}
    assert project.reasons("validate") == {"event_conflict": 2}


MANY = [
    task(
        annotation(1, ranked({"rank": ["x", "y", "3"]})), annotation(2, ranked({"rank": ["3", "x"]}), completed_by=11)
    ),
    task(annotation(3, ranked({"rank": ["y", "3"]})), id=8),
    task(annotation(4, was_cancelled=True), id=9),
]


@given(st.randoms())
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_tasks_items_and_annotations_changes_nothing(
    new_project: Callable[[str], Built],
    random: Any,  # noqa: ANN401
) -> None:
    def shuffled(one: dict[str, Any]) -> dict[str, Any]:
        items = random.sample(one["data"]["items"], len(ITEMS))
        annotations = random.sample(one["annotations"], len(one["annotations"]))
        return {**one, "data": {**one["data"], "items": items}, "annotations": annotations}

    # Record digests differ, as the bytes do: compare what the ids and texts say.
    tables = [
        ingested(new_project(name), *tasks, options=RANKER).comparisons().sort("comparison_id")
        for name, tasks in (("plain", MANY), ("shuffled", random.sample([shuffled(one) for one in MANY], len(MANY))))
    ]
    assert tables[0].height == 5
    assert tables[0].equals(tables[1])


SOUND = [
    task(
        annotation(1, pairwise("left"), ranked({"rank": ["x", "y"]}), comment("Because.")),
        predictions=[{"id": 2, "model_version": "m", "score": 0.5, "result": [pairwise("left"), ranked(["x", "y"])]}],
    ),
    {
        "prompt": "p?",
        "one": "yes",
        "annotation_id": 5,
        "pw": [{"selected": "left"}],
        "rank": [{"ranker": ["x"]}],
        "why": "x",
    },
]


@given(spoilt(*SOUND))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("options", [PAIRWISE, RANKER, BUCKETS], ids=["pairwise", "ranker", "buckets"])
def test_hostile_records_are_accounted_for(
    new_project: Callable[[str], Built], options: dict[str, Any], records: list[dict[str, Any]]
) -> None:
    built = ingested(new_project("hostile"), *records, options={**options, "predictions": True})
    assert built.account("ingest")["records"]["in"] == len(records)
    assert all(reason for outcome, reason in outcomes(built) if outcome not in {"gave_comparisons", "only_copies"})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"control": "pw"}, "either `responses`"),
        ({**PAIRWISE, "items": {"path": "x"}}, "either `responses`"),
        ({"control": "pw", "responses": {"a": "x"}}, "paths of a and b"),
        ({**RANKER, "models": {"a": "x", "b": "y"}}, "take them out beside `items`"),
        ({**BUCKETS, "unranked": ["bad"]}, "a bucket stands once"),
        ({**PAIRWISE, "strengths": {"much": 1}}, "no key of `values`"),
        ({**PAIRWISE, "pairing": {"most": 0}}, "at least 1"),
        ({**PAIRWISE, "value": {}}, "did you mean `values`"),
    ],
)
def test_contradictory_options_are_refused(project: Built, options: dict[str, Any], told: str) -> None:
    with pytest.raises(PairtrailError, match=told):
        ingested(project, task(), options=options)


def test_from_export_to_published_pairs(project: Built) -> None:
    tasks = []
    for number in range(40):
        votes = [
            annotation(2 * number, pairwise("left")),
            annotation(2 * number + 1, pairwise("left"), completed_by=11),
        ]
        one = task(*votes, id=number)
        tasks.append({**one, "data": {**one["data"], "prompt": f"Question {number}?"}})
    ingested(project, *tasks).run()
    pairs = pl.concat(
        (project.table(f"publish/{side}/pairs") for side in ("train", "validation", "heldout")), how="diagonal"
    )
    assert set(pairs.select("chosen", "rejected").iter_rows()) == {("Scattering.", "Magic.")}
    assert (pairs.height, pairs["votes"].struct.field("chosen").to_list()) == (40, [2] * 40)


def test_a_guess_names_what_the_records_show() -> None:
    plain = task(annotation(1, pairwise("left"), comment("x")))
    plain["data"] = {name: plain["data"][name] for name in ("prompt", "one", "two")}
    assert guess([plain]) == {"options": PAIRWISE, "fields": {"prompt": "data.prompt"}}
    listed = guess([task(annotation(1, ranked({"rank": ["x"]})))])
    assert listed == {
        "options": {"control": "rank", "items": {"path": "data.items"}},
        "fields": {"prompt": "data.prompt"},
    }


@pytest.mark.parametrize(
    "records",
    [
        [],
        [{"prompt": "p", "chosen": "c", "rejected": "r"}],
        [{"data": {}, "annotations": []}],
        [task(annotation(1, {"from_name": "label", "type": "rectanglelabels", "value": {}}))],
        [{"data": {"text": "x"}, "annotations": [annotation(1, choices("positive"))]}],
        [task(annotation(1, pairwise("left"))), {"chosen": "c"}],
        [{"data": 1, "annotations": "x"}],
    ],
)
def test_a_guess_is_none_for_other_shapes(records: list[dict[str, Any]]) -> None:
    assert guess(records) is None


@given(spoilt(*SOUND))
@settings(max_examples=6)
def test_a_guess_is_options_and_fields_or_none(records: list[dict[str, Any]]) -> None:
    guesses = [guess(records[start : start + 2]) for start in range(len(records))]
    assert {frozenset(one) for one in guesses if one is not None} <= {frozenset({"options", "fields"})}
