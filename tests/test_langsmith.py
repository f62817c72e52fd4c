"""The adapter `langsmith`: comparisons in feedback groups, corrected outputs, and corrected scores that are none."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from pipeline.adapters import langsmith
from pipeline.core.errors import PairtrailError
from tests.building import Built, lines
from tests.mutants import adds_up, ids_of, mutants, shuffled

JOIN = {"runs": {"glob": "runs.jsonl", "key": "id", "on": "run_id"}}
PAIRWISE: dict[str, Any] = {"comparative": {"preferred": {}}}
EVERYTHING: dict[str, Any] = {
    "scores": {
        "help": {"scale": [0, 1], "rubric": "r-1"},
        "tone": {"values": {"poor": 0, "fair": 1, "good": 2}, "rubric": "r-2"},
    },
    "comparative": {"preferred": {"neither": "both_bad", "rubric": "r-3"}},
    "corrections": {"keys": ["help", "rewrite"], "rubric": "r-4"},
    "api": "human",
    "api_annotator": "runs:extra.metadata.user",
}


def run(name: str, text: str | None = None, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    message = {"type": "human", "content": "What is dew?"}
    return {
        "id": name,
        "run_type": "chain",
        "inputs": {"messages": [message]},
        "outputs": {"output": f"answer of {name}" if text is None else text},
        "extra": {"metadata": {"ls_model_name": f"model of {name}", "user": "end-user"}},
        **changes,
    }


RUNS = [run("r1"), run("r2"), run("r3"), run("r9", inputs={"messages": [{"role": "user", "content": "And?"}]})]


def feedback(number: int, of: str | None = "r1", score: Any = 1, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "id": f"feedback-{number}",
        "run_id": of,
        "key": "help",
        "score": score,
        "value": None,
        "comment": None,
        "correction": None,
        "feedback_source": {"type": "app", "user_id": "ann", "metadata": {}},
        "created_at": f"2026-01-01T10:00:{number:02}.077838",
        "comparative_experiment_id": None,
        "feedback_group_id": None,
        **changes,
    }


def compared(number: int, of: str, score: Any, group: str = "g1", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    told = {"key": "preferred", "feedback_group_id": group, "comparative_experiment_id": "experiment"}
    return feedback(number, of, score, **told, **changes)


def sourced(kind: str | None, user: str | None = None) -> dict[str, Any]:
    return {"feedback_source": {"type": kind, "user_id": user, "metadata": None}}


def ingested(
    project: Built,
    *feedbacks: dict[str, Any],
    runs: list[dict[str, Any]] = RUNS,
    options: dict[str, Any] = PAIRWISE,
) -> Built:
    written = {"feedback.jsonl": lines(*feedbacks), "runs.jsonl": lines(*runs)}
    changes = {"adapter": "langsmith", "files": ["feedback.jsonl"], "fields": {}, "join": JOIN, "options": options}
    return project.source("ls", written, **changes).run("ingest")


def silences(project: Built) -> dict[str, int]:
    records = project.table("ingest/records")
    return dict(records.filter(records["outcome"] == "no_comparison")["reason"].value_counts().iter_rows())


def test_two_runs_of_one_feedback_group_are_a_comparison(project: Built) -> None:
    scores = compared(1, "r1", 0, comment="shorter"), compared(2, "r2", 1, comment="shorter")
    [row] = ingested(project, *scores).comparisons().to_dicts()
    assert row["prompt"] == [{"role": "user", "content": "What is dew?"}]
    assert (row["response_a"], row["response_b"], row["preference"]) == ("answer of r1", "answer of r2", "b")
    assert (row["model_a"], row["model_b"], row["annotator_kind"]) == ("model of r1", "model of r2", "human")
    assert (row["strength"], row["rationale"], row["presented_order"]) == (None, "shorter", None)


@pytest.mark.parametrize(("score", "preference"), [(0.5, "tie"), (1, "tie"), (True, "tie")])
def test_equal_scores_in_a_group_are_a_tie(project: Built, score: Any, preference: str) -> None:  # noqa: ANN401
    [row] = ingested(project, compared(1, "r1", score), compared(2, "r2", score)).comparisons().to_dicts()
    assert (row["preference"], row["strength"], row["annotator"] is None) == (preference, None, False)


@pytest.mark.parametrize("neither", [None, "tie", "both_bad"])
def test_neither_is_what_the_options_say(project: Built, neither: str | None) -> None:
    options = {"comparative": {"preferred": {"neither": neither}}}
    ingested(project, compared(1, "r1", 0), compared(2, "r2", score=False), options=options)
    if neither is None:
        assert silences(project) == {"nothing_said": 2}
    else:
        assert project.comparisons()["preference"].to_list() == [neither]


def test_a_group_ranks_more_than_two_runs(project: Built) -> None:
    scores = compared(1, "r1", 0.2), compared(2, "r2", 1), compared(3, "r3", 0.5)
    rows = ingested(project, *scores).comparisons()
    found = {(a[-1], b[-1]): said for a, b, said in rows.select("response_a", "response_b", "preference").iter_rows()}
    assert found == {("1", "2"): "b", ("1", "3"): "b", ("2", "3"): "a"}


def test_two_runs_with_one_text_are_compared_and_dropped_later(project: Built) -> None:
    runs = [run("r1", "same"), run("r2", "same")]
    ingested(project, compared(1, "r1", 0), compared(2, "r2", 1), runs=runs).run("validate")
    assert project.reasons("validate") == {"equal_responses": 1}


def test_groups_do_not_mix(project: Built) -> None:
    scores = compared(1, "r1", 0), compared(2, "r2", 1, "g2"), feedback(3, "r3", 1, key="preferred")
    assert silences(ingested(project, *scores)) == {"no_partner": 2, "not_a_comparison": 1}


def test_runs_of_two_prompts_cannot_be_compared(project: Built) -> None:
    ingested(project, compared(1, "r1", 0), compared(2, "r9", 1))
    assert project.reasons("ingest") == {"contexts_differ": 1}
    assert project.account("ingest")["records_by_source"]["ls"] == {"quarantined": 2, "reference": 4}


@pytest.mark.parametrize("group", [None, "g1"])
def test_feedback_under_two_policies_does_not_meet(project: Built, group: str | None) -> None:
    told = {"key": "preferred", "feedback_group_id": group, **sourced("app", "ann")}
    records = [feedback(n, f"r{n}", n, **told, policy=policy) for n, policy in ((1, "p-1"), (2, "p-2"))]
    written = {"feedback.jsonl": lines(*records), "runs.jsonl": lines(*RUNS)}
    options = PAIRWISE if group else {"scores": {"preferred": {"scale": [0, 5]}}}
    changes = {"adapter": "langsmith", "files": ["feedback.jsonl"], "fields": {}, "join": JOIN, "options": options}
    project.source("ls", written, **changes, policy_version={"path": "policy"}).run("ingest")
    assert silences(project) == {"no_partner": 2}


def test_scores_of_one_annotator_on_equal_inputs_are_a_comparison(project: Built) -> None:
    options = {"scores": {"help": {"scale": [0, 1]}}}
    [row] = (
        ingested(project, feedback(1, "r1", 0.25), feedback(2, "r2", score=True), options=options)
        .comparisons()
        .to_dicts()
    )
    assert (row["preference"], row["strength"], row["strength_raw"]) == ("b", 0.75, "0.25, true")
    assert row["created_at"].isoformat() == "2026-01-01T10:00:02.077838+00:00"


def test_a_category_is_read_by_its_value(project: Built) -> None:
    options = {"scores": {"help": {"values": {"poor": 0, "fair": 1, "good": 2}}}}
    scores = feedback(1, "r1", 0, value="good"), feedback(2, "r2", 0, value="poor"), feedback(3, "r3", 0)
    [row] = ingested(project, *scores, options=options).comparisons().to_dicts()
    assert (row["preference"], row["strength"]) == ("a", 1.0)
    assert silences(project) == {"not_rated": 1}


def test_a_corrected_output_is_preferred_to_the_original(project: Built) -> None:
    options = {"corrections": {"keys": ["help"]}}
    corrections = (
        feedback(1, "r1", None, correction={"output": "zebras"}, comment="why"),
        feedback(2, "r2", 0, correction="a better one"),
    )
    rows = ingested(project, *corrections, options=options).comparisons().sort("created_at").to_dicts()
    assert [(row["response_a"], row["response_b"], row["preference"]) for row in rows] == [
        ("answer of r1", "zebras", "b"),
        ("a better one", "answer of r2", "a"),
    ]
    assert [(row["model_a"], row["model_b"]) for row in rows] == [("model of r1", None), (None, "model of r2")]
    assert (rows[0]["rationale"], rows[0]["annotator_kind"]) == ("why", "human")


def test_a_correction_may_repeat_the_messages_of_a_prompt_with_tools(project: Built) -> None:
    asked = {"type": "human", "content": "What is dew?"}
    runs = [run("r1", inputs={"messages": [asked], "tools": [{"name": "f"}]})]
    correction = [asked, {"type": "ai", "content": "Water."}]
    options = {"corrections": {"keys": ["help"]}}
    [row] = ingested(project, feedback(1, correction=correction), runs=runs, options=options).comparisons().to_dicts()
    assert (row["response_a"], row["response_b"], row["preference"]) == ("Water.", "answer of r1", "a")
    assert [one["content"] for one in row["prompt"]] == ['[{"name": "f"}]', "What is dew?"]


def test_a_corrected_score_is_no_corrected_output(project: Built) -> None:
    options = {"scores": {"help": {"rubric": "r-1"}}, "corrections": {"keys": ["help"], "rubric": "r-2"}}
    ingested(project, feedback(1, "r1", 0, correction={"score": 1}), feedback(2, "r2", 1), options=options)
    assert silences(project) == {"overruled": 1, "no_partner": 1}
    assert project.account("ingest")["comparisons"]["candidates"] == 0


def test_a_record_may_hold_a_correction_and_a_score(project: Built) -> None:
    options = {"scores": {"help": {"rubric": "r-1"}}, "corrections": {"keys": ["help"], "rubric": "r-2"}}
    scores = feedback(1, "r1", 0, correction={"text": "better"}), feedback(2, "r2", 1)
    rows = ingested(project, *scores, options=options).comparisons()
    assert sorted(rows["rubric_version"]) == ["r-1", "r-2"]
    assert project.account("ingest")["records_by_source"]["ls"] == {"gave_comparisons": 2, "reference": 4}


def test_what_kind_of_annotator_a_source_is(project: Built) -> None:
    for kind, told in (("model", "model"), ("auto_eval", "model"), ("evaluator", "model"), ("api", "rule")):
        scores = [{**compared(n, f"r{n}", n - 1), **sourced(kind)} for n in (1, 2)]
        [row] = ingested(project, *scores, options={**PAIRWISE, "api": "rule"}).comparisons().to_dicts()
        assert (row["annotator_kind"], row["annotator"]) == (told, None)


def test_who_sent_feedback_by_the_api_is_what_the_options_say(project: Built) -> None:
    scores = [{**feedback(n, f"r{n}", n - 1), **sourced("api")} for n in (1, 2)]
    options: dict[str, Any] = {"scores": {"help": {}}}
    assert silences(ingested(project, *scores, options=options)) == {"not_a_comparison": 2}
    assert silences(ingested(project, *scores, options={**options, "api": "human"})) == {"no_partner": 2}
    named = {**options, "api": "human", "api_annotator": "runs:extra.metadata.user"}
    [row] = ingested(project, *scores, options=named).comparisons().to_dicts()
    assert (row["annotator_kind"], row["annotator"] is not None) == ("human", True)


SILENT: list[tuple[str, dict[str, Any]]] = [
    ("no_partner", sourced("app", "bea")),
    ("no_partner", sourced("model")),
    ("no_partner", {"run_id": "r9"}),
    ("no_partner", sourced("app")),
    ("not_rated", {"score": None}),
    ("not_a_comparison", {"key": "other"}),
    ("not_a_comparison", {"run_id": None}),
    ("not_a_comparison", {"feedback_group_id": "g"}),
    ("one_label", {"score": 1}),
]


@pytest.mark.parametrize(("reason", "changes"), SILENT)
def test_what_gives_no_comparison_says_why(project: Built, reason: str, changes: dict[str, Any]) -> None:
    ingested(project, feedback(1, "r1", 1), {**feedback(2, "r2", 0), **changes}, options={"scores": {"help": {}}})
    told = {"no_partner": 1, reason: 1} if reason not in {"no_partner", "one_label"} else {reason: 2}
    assert silences(project) == told
    assert project.account("ingest")["comparisons"]["candidates"] == 0


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("off_scale", {"score": 2}),
    ("wrong_type", {"score": "1"}),
    ("wrong_type", {"score": {"n": 1}}),
    ("wrong_type", {"key": 7}),
    ("wrong_type", {"feedback_source": ["app"]}),
    ("wrong_type", sourced("app") | {"feedback_source": {"type": "app", "user_id": ["ann"]}}),
    ("missing_field", {"feedback_source": None}),
    ("unknown_value", sourced("gossip")),
    ("no_side_record", {"run_id": "gone"}),
    ("wrong_type", {"run_id": "steps"}),
    ("missing_field", {"run_id": "failed"}),
    ("conflicting_ratings", {"run_id": "r3", "score": 0.9}),
]


@pytest.mark.parametrize(("reason", "changes"), FAULTS)
def test_what_cannot_be_used_is_quarantined(project: Built, reason: str, changes: dict[str, Any]) -> None:
    runs = [*RUNS, run("r4"), run("steps", outputs={"messages": [{"role": "tool"}] * 2}), run("failed", outputs=None)]
    scores = feedback(2, "r2", 0), feedback(3, "r3", 1), feedback(4, "r4", 1)
    options = {"scores": {"help": {"scale": [0, 1]}}}
    ingested(project, {**feedback(1), **changes}, *scores, runs=runs, options=options)
    both = reason == "conflicting_ratings"
    assert project.reasons("ingest") == {reason: 2 if both else 1}
    assert project.comparisons().height == (1 if both else 3)


def test_a_correction_that_is_no_text_is_quarantined(project: Built) -> None:
    options = {"corrections": {"keys": ["help"]}}
    ingested(project, feedback(1, correction={"fields": [1, 2]}), options=options)
    assert project.reasons("ingest") == {"wrong_type": 1}


def test_a_run_that_continues_its_prompt_gives_the_one_new_message(project: Built) -> None:
    said = {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "AIMessage"],
        "kwargs": {"content": [{"type": "text", "text": "A"}]},
    }
    asked = {"lc": 1, "type": "constructor", "id": ["langchain", "HumanMessage"], "kwargs": {"content": "Hi"}}
    runs = [
        run("r1", inputs={"messages": [[asked]]}, outputs={"generations": [[{"text": "", "message": said}]]}),
        run("r2", inputs={"messages": [asked]}, outputs={"messages": [asked, {"type": "ai", "content": "B"}]}),
        run("r3", inputs={"messages": [asked]}, outputs={"messages": [asked, said, said]}),
    ]
    rows = ingested(project, *(compared(n, f"r{n}", n) for n in (1, 2, 3)), runs=runs).comparisons()
    assert rows.select("response_a", "response_b").rows() == [("A", "B")]
    assert project.reasons("ingest") == {"wrong_type": 1}


def test_options_that_read_nothing_or_fold_too_much_are_refused(project: Built) -> None:
    for options, said in (
        ({}, "name at least one thing"),
        ({"scores": {"help": {}}, "comparative": {"preferred": {}}}, "comparative.preferred, scores.help"),
        ({**PAIRWISE, "api_annotator": "runs:user"}, "state `api`"),
        ({"comparative": {"preferred": {"neither": "a"}}}, "neither"),
    ):
        with pytest.raises(PairtrailError, match=said):
            ingested(project, feedback(1), options=options)
    with pytest.raises(PairtrailError, match="side file `runs`"):
        project.source("ls", {"x.jsonl": "{}"}, adapter="langsmith", fields={}, options=PAIRWISE).run("ingest")


SOUND = [
    *(feedback(n, f"r{n}", n / 3) for n in (1, 2, 3)),
    *(feedback(n, f"r{n - 3}", n, key="tone", value="good" if n % 2 else "poor") for n in (4, 5, 6)),
    *(compared(n, f"r{n - 6}", n % 2) for n in (7, 8, 9)),
    {**feedback(10, "r1", None, key="rewrite", correction="better"), **sourced("api")},
    feedback(11, "r2", 0.1, correction={"output": "much better"}, **sourced("app", "bea")),
    feedback(12, "r2", None, correction={"score": 1}),
]


def test_neither_the_order_of_feedback_nor_of_runs_matters(new_project: Callable[[str], Built]) -> None:
    found = [
        ingested(new_project(str(seed)), *shuffled(SOUND, seed), runs=shuffled(RUNS, seed), options=EVERYTHING)
        for seed in range(4)
    ]
    assert len(ids_of(found[0])) == 3 + 3 + 3 + 2
    assert all(ids_of(one) == ids_of(found[0]) for one in found)


def test_a_small_file_goes_through_all_stages(project: Built) -> None:
    ingested(project, *(compared(n, f"r{n}", n) for n in (1, 2, 3))).run()
    assert project.account("publish")["kept"] == 3


def test_groups_that_do_not_fit_into_memory_give_the_same(
    new_project: Callable[[str], Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = ingested(new_project("held"), *SOUND, options=EVERYTHING)
    monkeypatch.setattr("pipeline.core.mapping.grouping.parts_for", lambda _: 16)
    aside = ingested(new_project("aside"), *SOUND, options=EVERYTHING)
    assert (ids_of(aside), silences(aside)) == (ids_of(held), silences(held))
    assert aside.table("ingest/occurrences").equals(held.table("ingest/occurrences"))


@settings(max_examples=25)
@given(mutants(SOUND), mutants(RUNS))
def test_whatever_the_files_hold_both_accounts_add_up(
    feedbacks: list[dict[str, Any]], runs: list[dict[str, Any]]
) -> None:
    changes = {"adapter": "langsmith", "files": ["feedback.jsonl"], "fields": {}, "join": JOIN, "options": EVERYTHING}
    adds_up({"feedback.jsonl": feedbacks, "runs.jsonl": runs}, **changes)


def test_a_guess_names_the_keys_and_nothing_that_it_cannot_see() -> None:
    options: dict[str, Any] = {"scores": {"help": {}, "tone": {}}, "comparative": {"preferred": {}}}
    assert langsmith.guess(SOUND) == {"options": options, "fields": {}}
    assert langsmith.guess([]) is None
    assert langsmith.guess([feedback(1), {"run_id": "r1", "score": 1}]) is None
