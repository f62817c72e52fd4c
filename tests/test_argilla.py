"""The adapter `argilla`: nested and flattened records, with labels, rankings and ratings."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.adapters.argilla import guess
from pipeline.core.errors import PairtrailError
from tests.building import Built, lines
from tests.raw_values import spoilt

ANN, BEN, CAM = (f"{name}{name}{name}{name}-0000-4000-8000-000000000000" for name in ("aa", "bb", "cc"))
TEXTS = {"instruction": "Why is the sky blue?", "one": "Scattering.", "two": "Magic.", "three": "Paint."}
VALUES = {"first": "a", "second": "b", "same": "tie", "neither": "both_bad"}

LABEL = {"kind": "label", "question": "better", "responses": {"a": "one", "b": "two"}, "values": VALUES}
RANKING = {"kind": "ranking", "question": "order", "responses": {"r1": "one", "r2": "two", "r3": "three"}}
RATING = {"kind": "rating", "responses": {"rate-1": "one", "rate-2": "two", "rate-3": "three"}, "scale": [1, 5]}

Given = tuple[Any, Any, Any]
"""Value, user and status of one answer."""


def flat(record_id: str = "1", /, **answers: list[Given]) -> dict[str, Any]:
    """A record of `to_list(flatten=True)`; a question's dashes are written as two underscores."""
    found: dict[str, Any] = {"id": record_id, "status": "completed", "_server_id": None, **TEXTS}
    for name, those in answers.items():
        question = name.replace("__", "-")
        found[f"{question}.responses"] = [value for value, _, _ in those]
        found[f"{question}.responses.users"] = [user for _, user, _ in those]
        found[f"{question}.responses.status"] = [status for _, _, status in those]
    return found


def nested(record_id: str = "1", /, **answers: list[Given]) -> dict[str, Any]:
    """A record of `to_list(flatten=False)`, which names no status; newer writers may (None: not at all)."""
    responses = {
        name.replace("__", "-"): [
            {"value": value, "user_id": user, **({} if status is None else {"status": status})}
            for value, user, status in those
        ]
        for name, those in answers.items()
    }
    rest: dict[str, Any] = {"metadata": {}, "suggestions": {}, "vectors": {}, "status": "pending", "_server_id": None}
    return {"id": record_id, "fields": TEXTS, "responses": responses, **rest}


def in_fields(options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "responses": {name: f"fields.{path}" for name, path in options["responses"].items()}}


def suggested(question: str, value: Any, agent: Any, score: Any = None) -> dict[str, Any]:  # noqa: ANN401
    return {
        f"{question}.suggestion": value,
        f"{question}.suggestion.agent": agent,
        f"{question}.suggestion.score": score,
    }


def ingested(project: Built, *records: Any, options: dict[str, Any] | None = None, **changes: Any) -> Built:  # noqa: ANN401
    stated = {"adapter": "argilla", "options": options or LABEL, "fields": {"prompt": "instruction"}, **changes}
    return project.source("arg", {"x.jsonl": lines(*records)}, **stated).run("ingest")


def outcomes(project: Built) -> list[tuple[str, str | None]]:
    return project.table("ingest/records").sort("source_row").select("outcome", "reason").rows()


def compared(project: Built) -> set[tuple[Any, ...]]:
    return set(project.comparisons().select("response_a", "preference", "response_b").iter_rows())


def ranks(**by_name: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [{"value": name, "rank": rank} for name, rank in by_name.items()]


def test_each_submitted_label_is_a_comparison(project: Built) -> None:
    answers = [("first", ANN, "submitted"), ("same", BEN, "submitted"), ("second", CAM, "draft")]
    ingested(project, flat(better=[*answers, ("neither", "dd", "submitted"), ("first", "ee", "discarded")]))
    rows = project.comparisons()
    assert rows["preference"].sort().to_list() == ["a", "both_bad", "tie"]
    assert rows["annotator"].n_unique() == 3
    row = rows.to_dicts()[0]
    assert row["prompt"] == [{"role": "user", "content": "Why is the sky blue?"}]
    told = [row[name] for name in ("response_a", "response_b", "annotator_kind", "presented_order", "strength")]
    assert told == ["Scattering.", "Magic.", "human", None, None]
    assert outcomes(project) == [("gave_comparisons", None)]


def test_labels_may_state_a_strength_a_rationale_and_models(project: Built) -> None:
    options = {**LABEL, "strengths": {"first": 0.5, "same": 0}, "rationale": "why", "models": {"a": "llm", "b": "llm2"}}
    words = [("Physics.", ANN, "submitted"), ("Not yet.", BEN, "draft"), ("Nobody's.", "None", "submitted")]
    answers = [("first", ANN, "submitted"), ("second", BEN, "submitted"), ("same", "None", "submitted")]
    ingested(project, {**flat(better=answers, why=words), "llm": "m1"}, options=options)
    names = ("preference", "strength", "strength_raw", "strength_scale", "rationale", "model_a", "model_b")
    scale = "first=0.5, same=0"
    assert project.comparisons().sort("preference").select(names).rows() == [
        ("a", 0.5, "first", scale, "Physics.", "m1", None),
        ("b", None, None, None, None, "m1", None),
        ("tie", 0.0, "same", scale, None, "m1", None),
    ]


def test_nested_records_name_no_status_and_say_nothing_until_the_options_do(project: Built) -> None:
    record = nested(better=[("first", ANN, None), ("second", BEN, None)])
    fields = {"prompt": "fields.instruction"}
    ingested(project, record, options=in_fields(LABEL), fields=fields)
    assert (project.reasons("ingest"), outcomes(project)) == ({"unknown_value": 2}, [("quarantined", "unknown_value")])
    ingested(project, record, options={**in_fields(LABEL), "assume_submitted": True}, fields=fields)
    assert compared(project) == {("Scattering.", "a", "Magic."), ("Scattering.", "b", "Magic.")}


def test_nested_and_flattened_records_give_the_same_comparisons(new_project: Callable[[str], Built]) -> None:
    answers: list[Given] = [("first", ANN, "submitted"), ("second", BEN, "submitted"), ("same", CAM, "draft")]
    flattened = ingested(new_project("flat"), flat(better=answers)).comparisons()
    fields = {"prompt": "fields.instruction"}
    record = nested(better=answers)
    folded = ingested(new_project("nested"), record, options=in_fields(LABEL), fields=fields).comparisons()
    assert folded.sort("comparison_id").equals(flattened.sort("comparison_id"))


def test_whoever_was_deleted_is_nobody(project: Built) -> None:
    ingested(project, flat(better=[("first", "None", "submitted"), ("second", None, "submitted")]))
    assert project.comparisons()["annotator"].to_list() == [None, None]


def test_a_ranking_is_compared_pair_by_pair_and_equal_ranks_are_a_tie(project: Built) -> None:
    ingested(project, flat(order=[(ranks(r1=1, r2=2, r3=2), ANN, "submitted")]), options=RANKING)
    assert compared(project) == {
        ("Magic.", "b", "Scattering."),
        ("Paint.", "b", "Scattering."),
        ("Magic.", "tie", "Paint."),
    }
    assert project.comparisons()["strength"].to_list() == [None] * 3
    assert project.run("validate").reasons("validate") == {}


def test_pairing_chooses_and_caps(project: Built) -> None:
    record = flat(order=[(ranks(r3=3, r1=1, r2=2), ANN, "submitted"), (ranks(r1=1, r2=1), BEN, "submitted")])
    models = {"models": {"r1": "llm"}, "pairing": {"pairs": "adjacent", "ties": False}}
    ingested(project, {**record, "llm": "m1"}, options={**RANKING, **models})
    assert compared(project) == {("Magic.", "b", "Scattering."), ("Magic.", "a", "Paint.")}
    assert project.comparisons().sort("preference")["model_b"].to_list() == [None, "m1"]
    ingested(project, record, options={**RANKING, "pairing": {"most": 2}})
    assert (project.comparisons().height, project.reasons("ingest")) == (3, {"over_cap": 1})


def test_an_order_without_ranks_counts_only_where_the_options_say_so(project: Built) -> None:
    record = flat(order=[(["r2", "r1", "r3"], ANN, "submitted")])
    assert outcomes(ingested(project, record, options=RANKING)) == [("no_comparison", "not_ranked")]
    ingested(project, record, options={**RANKING, "order_is_rank": True})
    assert compared(project) == {
        ("Magic.", "a", "Scattering."),
        ("Magic.", "a", "Paint."),
        ("Paint.", "b", "Scattering."),
    }


def test_a_response_without_a_rank_is_not_compared(project: Built) -> None:
    ingested(
        project,
        flat(order=[(ranks(r1=2, r2=None, r3=1), ANN, "submitted")]),
        options={**RANKING, "order_is_rank": True},
    )
    assert compared(project) == {("Paint.", "a", "Scattering.")}


def test_ratings_are_compared_within_one_user(project: Built) -> None:
    answers = {
        "rate__1": [(5, ANN, "submitted"), (2, BEN, "submitted")],
        "rate__2": [(2, ANN, "submitted"), (2, BEN, "submitted"), (4, CAM, "submitted")],
        "rate__3": [(1, BEN, "draft")],
    }
    ingested(project, flat(**answers), options=RATING)
    names = ("response_a", "preference", "response_b", "strength", "strength_raw", "strength_scale")
    assert set(project.comparisons().select(names).iter_rows()) == {
        ("Magic.", "b", "Scattering.", 0.75, "3", "0..4"),
        ("Magic.", "tie", "Scattering.", 0.0, "0", "0..4"),
    }


def test_suggestions_are_of_models_where_asked_for(project: Built) -> None:
    record = {**flat(better=[("first", ANN, "submitted")]), **suggested("better", "second", "judge-2", 0.8)}
    assert ingested(project, record).comparisons()["annotator_kind"].to_list() == ["human"]
    rows = ingested(project, record, options={**LABEL, "suggestions": True}).comparisons().sort("annotator_kind")
    told = rows.select("annotator_kind", "preference", "confidence").rows()
    assert told == [("human", "a", None), ("model", "b", 0.8)]
    folded = {**nested(), "suggestions": {"better": {"value": "same", "score": 0.5, "agent": None}}}
    options = {**in_fields(LABEL), "suggestions": True}
    rows = ingested(project, folded, options=options, fields={"prompt": "fields.instruction"}).comparisons()
    assert rows.select("annotator_kind", "preference", "confidence", "annotator").rows() == [
        ("model", "tie", 0.5, None)
    ]


def test_suggested_rankings_and_ratings_are_of_models_too(project: Built) -> None:
    options = {**RANKING, "suggestions": True, "order_is_rank": True}
    ingested(project, {**flat(), **suggested("order", ["r2", "r1"], "judge", [0.9, 0.1])}, options=options)
    assert compared(project) == {("Magic.", "a", "Scattering.")}
    assert project.comparisons()["confidence"].to_list() == [None]
    same = {**suggested("rate-1", 5, "judge"), **suggested("rate-2", 1, "judge"), **suggested("rate-3", 3, "other")}
    ingested(project, {**flat(rate__3=[(1, "judge", "submitted")]), **same}, options={**RATING, "suggestions": True})
    assert compared(project) == {("Magic.", "b", "Scattering.")}
    assert project.comparisons()["annotator_kind"].to_list() == ["model"]


def test_a_numbered_suggestion_of_a_dataset_export_is_no_label(project: Built) -> None:
    record = {**flat(better=[("first", ANN, "submitted")]), **suggested("better", 1, "judge")}
    ingested(project, record, options={**LABEL, "suggestions": True})
    assert (project.reasons("ingest"), project.comparisons().height) == ({"unknown_value": 1}, 1)


SILENT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("not_judged", LABEL, flat()),
    ("not_judged", LABEL, flat(better=[])),
    ("not_judged", LABEL, {**flat(), "better.responses": None, "better.responses.users": None}),
    ("not_judged", LABEL, flat(better=[(None, ANN, "submitted")])),
    ("not_judged", LABEL, flat(other=[("first", ANN, "submitted")])),
    ("not_judged", LABEL, nested()),
    ("not_judged", LABEL, {**nested(), "responses": None}),
    ("not_submitted", LABEL, flat(better=[("first", ANN, "draft")])),
    ("not_submitted", LABEL, flat(better=[("first", ANN, "discarded"), (None, BEN, "draft")])),
    ("not_ranked", RANKING, flat(order=[(ranks(r1=1), ANN, "submitted")])),
    ("not_ranked", RANKING, flat(order=[([], ANN, "submitted")])),
    ("one_label", {**RANKING, "pairing": {"ties": False}}, flat(order=[(ranks(r1=1, r2=1), ANN, "submitted")])),
    ("no_partner", RATING, flat(rate__1=[(1, ANN, "submitted")], rate__2=[(2, BEN, "submitted")])),
    ("no_partner", RATING, flat(rate__1=[(1, "None", "submitted")], rate__2=[(2, "None", "submitted")])),
]


@pytest.mark.parametrize(("reason", "options", "given_record"), SILENT)
def test_a_record_may_hold_no_verdict(
    project: Built, reason: str, options: dict[str, Any], given_record: dict[str, Any]
) -> None:
    ingested(project, given_record, options=options)
    assert outcomes(project) == [("no_comparison", reason)]


def unequal(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {**flat(better=[("first", ANN, "submitted"), ("second", BEN, "submitted")]), **changes}


FAULTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("lists_disagree", LABEL, unequal(**{"better.responses": ["first"]})),
    ("lists_disagree", LABEL, unequal(**{"better.responses.users": [ANN]})),
    ("lists_disagree", LABEL, unequal(**{"better.responses.users": None})),
    ("lists_disagree", LABEL, unequal(**{"better.responses.status": ["submitted"] * 3})),
    ("lists_disagree", {**LABEL, "rationale": "why"}, unequal(**{"why.responses": ["x"], "why.responses.users": []})),
    ("wrong_type", LABEL, unequal(**{"better.responses": "first"})),
    ("wrong_type", LABEL, unequal(**{"better.responses.users": [[ANN], BEN]})),
    ("wrong_type", LABEL, {**nested(), "responses": [{"value": "first"}]}),
    ("wrong_type", LABEL, {**nested(), "responses": {"better": "first"}}),
    ("wrong_type", LABEL, {**nested(), "responses": {"better": ["first"]}}),
    ("wrong_type", {**LABEL, "suggestions": True}, {**nested(), "suggestions": ["first"]}),
    ("unknown_value", LABEL, flat(better=[("third", ANN, "submitted")])),
    ("unknown_value", LABEL, flat(better=[("a", ANN, "submitted")])),
    ("unknown_value", LABEL, flat(better=[(["first"], ANN, "submitted")])),
    ("unknown_value", LABEL, flat(better=[("first", ANN, "pending")])),
    ("unknown_value", LABEL, flat(better=[("first", ANN, None)])),
    ("missing_field", LABEL, {**flat(better=[("first", ANN, "submitted")]), "two": None}),
    ("wrong_type", RANKING, flat(order=[("r1", ANN, "submitted")])),
    ("wrong_type", RANKING, flat(order=[([1, 2], ANN, "submitted")])),
    ("wrong_type", RANKING, flat(order=[(ranks(r1="1", r2=2), ANN, "submitted")])),
    ("unknown_response", RANKING, flat(order=[(ranks(r1=1, r9=2), ANN, "submitted")])),
    ("conflicting_ratings", RANKING, flat(order=[([*ranks(r1=1), *ranks(r1=2)], ANN, "submitted")])),
    ("off_scale", RATING, flat(rate__1=[(1, ANN, "submitted")], rate__2=[(6, ANN, "submitted")])),
    ("wrong_type", RATING, flat(rate__1=[(1, ANN, "submitted")], rate__2=[(True, ANN, "submitted")])),
    ("wrong_type", RATING, flat(rate__1=[(1, ANN, "submitted")], rate__2=[("2", ANN, "submitted")])),
    ("conflicting_ratings", RATING, flat(rate__1=[(1, ANN, "submitted"), (2, ANN, "submitted")])),
]


@pytest.mark.parametrize(("reason", "options", "given_record"), FAULTS)
def test_what_cannot_be_a_comparison_is_quarantined(
    project: Built, reason: str, options: dict[str, Any], given_record: dict[str, Any]
) -> None:
    ingested(project, given_record, options=options)
    assert outcomes(project) == [("quarantined", reason)]


def test_one_bad_answer_costs_that_answer(project: Built) -> None:
    ingested(project, flat(better=[("first", ANN, "submitted"), ("third", BEN, "submitted")]))
    assert (project.reasons("ingest"), project.comparisons().height) == ({"unknown_value": 1}, 1)


def test_older_exports_without_statuses_need_the_options_word(project: Built) -> None:
    record = {**unequal(), "better.responses.status": None}
    assert ingested(project, record).reasons("ingest") == {"unknown_value": 2}
    assert ingested(project, record, options={**LABEL, "assume_submitted": True}).comparisons().height == 2


def test_parquet_is_read_alike(project: Built) -> None:
    records = [
        flat("1", order=[(ranks(r1=1, r2=2), ANN, "submitted"), (ranks(r1=2, r2=1), BEN, "submitted")]),
        flat("2", order=[]),
    ]
    stream = BytesIO()
    pl.DataFrame(records).write_parquet(stream)
    stated = {"adapter": "argilla", "options": RANKING, "fields": {"prompt": "instruction"}, "files": ["*.parquet"]}
    project.source("arg", {"x.parquet": stream.getvalue()}, format="parquet", **stated).run("ingest")
    assert compared(project) == {("Magic.", "b", "Scattering."), ("Magic.", "a", "Scattering.")}
    assert outcomes(project) == [("gave_comparisons", None), ("no_comparison", "not_judged")]


MANY = [
    flat("1", order=[(ranks(r1=1, r2=2, r3=2), ANN, "submitted"), (ranks(r3=1, r1=2), BEN, "submitted")]),
    flat("2", order=[(ranks(r2=1, r3=2), CAM, "submitted"), (ranks(r2=1), BEN, "draft")]),
    flat("3"),
]


@given(st.randoms())
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_records_users_and_ranked_items_changes_nothing(
    new_project: Callable[[str], Built],
    random: Any,  # noqa: ANN401
) -> None:
    def shuffled(one: dict[str, Any]) -> dict[str, Any]:
        names = [name for name in one if name.startswith("order.")]
        rows = list(zip(*(one[name] for name in names), strict=True))
        mixed = random.sample([(random.sample(value, len(value)), *rest) for value, *rest in rows], len(rows))
        return {**one, **dict(zip(names, map(list, zip(*mixed, strict=True)), strict=True))}

    tables = [
        ingested(new_project(name), *records, options=RANKING).comparisons().sort("comparison_id")
        for name, records in (("plain", MANY), ("mixed", random.sample([shuffled(one) for one in MANY], len(MANY))))
    ]
    assert tables[0].height == 5
    assert tables[0].equals(tables[1])


_WHOLE: dict[str, list[Given]] = {
    "better": [("first", ANN, "submitted")],
    "order": [(ranks(r1=1, r2=2), ANN, "submitted"), (["r1", "r2"], BEN, "submitted")],
    "rate__1": [(1, ANN, "submitted")],
    "rate__2": [(2, ANN, "submitted")],
    "why": [("x", ANN, "submitted")],
}
_SUGGESTED = {name: {"value": value, "agent": "m", "score": 1} for name, value in (("better", "same"), ("rate-1", 1))}
SOUND = [
    {**flat(**_WHOLE), **suggested("better", "same", "judge", 0.5), **suggested("order", ["r1"], "judge", [0.5])},
    {**nested(**_WHOLE), "suggestions": _SUGGESTED, **TEXTS},
]


@given(spoilt(*SOUND))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("options", [LABEL, RANKING, RATING], ids=["label", "ranking", "rating"])
def test_hostile_records_are_accounted_for(
    new_project: Callable[[str], Built], options: dict[str, Any], records: list[dict[str, Any]]
) -> None:
    liberal = {"suggestions": True, "rationale": "why", **({"order_is_rank": True} if options is RANKING else {})}
    built = ingested(new_project("hostile"), *records, options={**options, **liberal})
    assert built.account("ingest")["records"]["in"] == len(records)
    assert all(reason for outcome, reason in outcomes(built) if outcome not in {"gave_comparisons", "only_copies"})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({**LABEL, "responses": {"x": "one", "y": "two"}}, "the keys a and b"),
        ({**LABEL, "values": {}}, "what each answer means"),
        ({**LABEL, "question": None}, "need `question`"),
        ({**LABEL, "scale": [1, 5]}, "goes with kind `rating`"),
        ({**LABEL, "strengths": {"much": 1}}, "no key of `values`"),
        ({**LABEL, "order_is_rank": True}, "goes with kind `ranking`"),
        ({**RANKING, "values": VALUES}, "no `values`"),
        ({**RANKING, "responses": {"r1": "one"}}, "two `responses` at least"),
        ({**RANKING, "models": {"r9": "llm"}}, r"`r9` is no key of `responses` \(known: r1, r2, r3\)"),
        ({**RATING, "question": "x"}, "one question per response"),
        ({**RATING, "scale": None}, "needs it"),
        ({**RATING, "scale": [5, 1]}, "the lower first"),
        ({**RATING, "scale": [1, 2, 3]}, "scale"),
        ({**RATING, "kind": "rate"}, "kind"),
    ],
)
def test_contradictory_options_are_refused(project: Built, options: dict[str, Any], told: str) -> None:
    with pytest.raises(PairtrailError, match=told):
        ingested(project, flat(), options=options)


def test_from_export_to_published_pairs(project: Built) -> None:
    votes: list[Given] = [("second", ANN, "submitted"), ("second", BEN, "submitted"), ("first", CAM, "discarded")]
    records = [{**flat(str(number), better=votes), "instruction": f"Question {number}?"} for number in range(40)]
    ingested(project, *records).run()
    pairs = pl.concat(
        (project.table(f"publish/{side}/pairs") for side in ("train", "validation", "heldout")), how="diagonal"
    )
    assert set(pairs.select("chosen", "rejected").iter_rows()) == {("Magic.", "Scattering.")}
    assert (pairs.height, pairs["votes"].struct.field("chosen").to_list()) == (40, [2] * 40)


def test_a_guess_names_what_the_records_show() -> None:
    fields = {"prompt": "instruction"}
    told: list[Given] = [("first", ANN, "submitted")]
    assert guess([flat(better=told), flat(better=[])]) == {
        "options": {"kind": "label", "question": "better"},
        "fields": fields,
    }
    order: list[Given] = [(ranks(r1=1), ANN, None)]
    assert guess([nested(order=order)]) == {
        "options": {"kind": "ranking", "question": "order"},
        "fields": {"prompt": "fields.instruction"},
    }
    assert guess([flat(rate__1=[(1, ANN, "submitted")])]) == {"options": {"kind": "rating"}, "fields": fields}


@pytest.mark.parametrize(
    "records",
    [
        [],
        [{}],
        [{"prompt": "p", "chosen": "c", "rejected": "r"}],
        [{"prompt": "p", "responses": ["a", "b"], "rank": [1, 2]}],
        [{"fields": {}, "responses": {}}],
        [{"fields": {"x": "y"}, "responses": {"q": "z"}}],
        [{"q.responses.users": "x"}],
    ],
)
def test_a_guess_is_none_for_other_shapes(records: list[dict[str, Any]]) -> None:
    assert guess(records) is None


@given(spoilt(*SOUND))
@settings(max_examples=6)
def test_a_guess_is_options_and_fields_or_none(records: list[dict[str, Any]]) -> None:
    guesses = [guess(records[start : start + 2]) for start in range(len(records))]
    assert {frozenset(one) for one in guesses if one is not None} <= {frozenset({"options", "fields"})}
