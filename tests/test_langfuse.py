"""The adapter `langfuse`: scores that compare only together, corrections, and the zero that is no category."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from pipeline.adapters import langfuse
from pipeline.core.errors import PairtrailError
from tests.building import Built, lines, put_version
from tests.mutants import adds_up, ids_of, mutants, shuffled

JOIN = {
    "traces": {"glob": "traces.jsonl", "key": "id", "on": "traceId"},
    "observations": {"glob": "observations.jsonl", "key": "id", "on": "observationId"},
}
HELP = {"scores": {"help": {"scale": [1, 5]}}}
EVERYTHING: dict[str, Any] = {
    "scores": {
        "help": {"scale": [1, 5], "rubric": "r-1"},
        "tone": {"values": {"poor": 0, "fair": 1, "good": 2}, "rubric": "r-2"},
        "thumb": {"rubric": "r-3"},
    },
    "corrections": {"names": ["rewrite"], "rubric": "r-4"},
    "api": "human",
    "api_annotator": "traces:userId",
    "json_texts": True,
}


def trace(name: str, response: Any = None, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    answer = f"answer of {name}" if response is None else response
    return {"id": name, "input": "What is dew?", "output": answer, "userId": "end-user", "sessionId": "s", **changes}


TRACES = [trace("t1"), trace("t2"), trace("t3"), trace("t9", input="Another question")]
OBSERVATIONS = [trace("o1", model="m-1", traceId="t1"), trace("o2", model="m-2", traceId="t2")]


def score(number: int, of: str = "t1", value: Any = 4, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "id": f"score-{number}",
        "traceId": of,
        "observationId": None,
        "name": "help",
        "value": value,
        "dataType": "NUMERIC",
        "source": "ANNOTATION",
        "authorUserId": "ann",
        "comment": None,
        "timestamp": f"2026-01-01T10:00:{number:02}.000Z",
        "environment": "default",
        **changes,
    }


def category(number: int, of: str, text: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    told = {"name": "tone", "dataType": "CATEGORICAL", "stringValue": text}
    return score(number, of, 0, **told, **changes)


def files(scores: list[dict[str, Any]], traces: list[dict[str, Any]] = TRACES) -> dict[str, list[dict[str, Any]]]:
    return {"scores.jsonl": scores, "traces.jsonl": traces, "observations.jsonl": OBSERVATIONS}


def ingested(
    project: Built, *scores: dict[str, Any], traces: list[dict[str, Any]] = TRACES, options: dict[str, Any] = HELP
) -> Built:
    written = {name: lines(*records) for name, records in files([*scores], traces).items()}
    changes = {"adapter": "langfuse", "files": ["scores.jsonl"], "fields": {}, "join": JOIN, "options": options}
    return project.source("lf", written, **changes).run("ingest")


def silences(project: Built) -> dict[str, int]:
    records = project.table("ingest/records")
    return dict(records.filter(records["outcome"] == "no_comparison")["reason"].value_counts().iter_rows())


def test_two_scores_of_one_annotator_on_one_prompt_are_a_comparison(project: Built) -> None:
    [row] = ingested(project, score(1, "t1", 2), score(2, "t2", 4.0)).comparisons().to_dicts()
    assert row["prompt"] == [{"role": "user", "content": "What is dew?"}]
    assert (row["response_a"], row["response_b"], row["preference"]) == ("answer of t1", "answer of t2", "b")
    assert (row["strength"], row["strength_raw"], row["strength_scale"]) == (0.5, "2, 4.0", "1..5")
    assert (row["annotator_kind"], row["rubric_version"], row["presented_order"]) == ("human", "r-1", None)
    assert row["created_at"].isoformat() == "2026-01-01T10:00:02+00:00"


def test_three_scores_are_three_pairs_and_equal_ones_a_tie(project: Built) -> None:
    rows = ingested(project, score(1, "t1", 5), score(2, "t2", 5), score(3, "t3", 1)).comparisons()
    told = {(a[-1], b[-1]): (preference, strength) for a, b, preference, strength in rows.select(
        "response_a", "response_b", "preference", "strength").iter_rows()}  # fmt: skip
    assert told == {("1", "2"): ("tie", 0.0), ("1", "3"): ("a", 1.0), ("2", "3"): ("a", 1.0)}


def test_a_category_is_read_by_its_name_never_by_the_zero_beside_it(project: Built) -> None:
    options = {"scores": {"tone": {"values": {"poor": 0, "fair": 1, "good": 2}}}}
    [row] = (
        ingested(project, category(1, "t1", "good"), category(2, "t2", "poor"), options=options)
        .comparisons()
        .to_dicts()
    )
    assert (row["preference"], row["strength"], row["strength_raw"], row["strength_scale"]) == (
        "a",
        1.0,
        "good, poor",
        "0..2",
    )


def test_a_category_without_a_name_is_no_zero(project: Built) -> None:
    options = {"scores": {"tone": {"values": {"0": 0, "1": 1}}}}
    unnamed = {**category(1, "t1", ""), "stringValue": None}
    assert silences(ingested(project, unnamed, unnamed | {"id": "x", "traceId": "t2"}, options=options)) == {
        "not_rated": 2
    }


def test_version_three_of_the_endpoint_says_the_category_in_value(project: Built) -> None:
    options = {"scores": {"tone": {"values": {"bad": 0, "good": 1}, "rubric": "r-1"}, "ok": {"rubric": "r-2"}}}
    join = {"traces": {"glob": "traces.jsonl", "key": "id", "on": "subject.id"}}
    base: dict[str, Any] = {"name": "tone", "dataType": "CATEGORICAL", "source": "ANNOTATION", "authorUserId": "ann"}
    scores = [
        {**base, "id": "1", "value": "bad", "subject": {"kind": "trace", "id": "t1"}, "timestamp": "2026-01-01"},
        {**base, "id": "2", "value": "good", "subject": {"kind": "trace", "id": "t2"}, "timestamp": "2026-01-01"},
        {**base, "id": "3", "value": "good", "subject": {"kind": "session", "id": "s"}, "timestamp": "2026-01-01"},
        {
            **base,
            "id": "4",
            "value": True,
            "subject": {"kind": "trace", "id": "t1"},
            "dataType": "BOOLEAN",
            "name": "ok",
        },
        {
            **base,
            "id": "5",
            "value": False,
            "subject": {"kind": "trace", "id": "t2"},
            "dataType": "BOOLEAN",
            "name": "ok",
        },
    ]
    written = {"scores.jsonl": lines(*scores), "traces.jsonl": lines(*TRACES)}
    changes = {"adapter": "langfuse", "files": ["scores.jsonl"], "fields": {}, "join": join, "options": options}
    rows = project.source("lf", written, **changes).run("ingest").comparisons()
    assert dict(rows.select("rubric_version", "preference").iter_rows()) == {"r-1": "b", "r-2": "a"}
    assert silences(project) == {"not_a_comparison": 1}


def test_labels_say_which_is_better_and_not_by_how_much(project: Built) -> None:
    thumb = {"name": "thumb", "dataType": "BOOLEAN"}
    scores = (
        score(1, "t1", 1, **thumb, stringValue="True"),
        score(2, "t2", 0, **thumb, stringValue="False"),
        score(3, "t3", 1, **thumb, stringValue="True"),
    )
    rows = ingested(project, *scores, options={"scores": {"thumb": {}}}).comparisons()
    assert sorted(rows["preference"]) == ["a", "b"]
    assert rows["strength"].to_list() == rows["strength_raw"].to_list() == [None, None]


def test_a_score_of_which_less_is_better(project: Built) -> None:
    options = {"scores": {"help": {"scale": [0, 10], "lower_is_better": True}}}
    [row] = ingested(project, score(1, "t1", 2), score(2, "t2", 7), options=options).comparisons().to_dicts()
    assert (row["preference"], row["strength"]) == ("a", 0.5)


def test_an_observation_has_a_model(project: Built) -> None:
    scores = score(1, "t1", 1, observationId="o1"), score(2, "t2", 2, observationId="o2")
    [row] = ingested(project, *scores).comparisons().to_dicts()
    assert (row["response_a"], row["model_a"], row["model_b"], row["preference"]) == ("answer of o1", "m-1", "m-2", "b")
    sides = project.table("ingest/occurrences").filter(project.table("ingest/occurrences")["part"] == "side")
    assert sorted(sides["source_file"].to_list()) == sorted(
        ["lf/observations.jsonl"] * 2 + ["lf/traces.jsonl"] * 2 + ["lf/scores.jsonl"]
    )


@pytest.mark.parametrize("first", [True, False])
def test_a_correction_is_preferred_to_the_original(project: Built, *, first: bool) -> None:
    text = "a better one" if first else "zebras"
    told = {
        "name": "output",
        "dataType": "CORRECTION",
        "stringValue": text,
        "comment": "was wrong",
        "observationId": "o1",
    }
    [row] = ingested(project, score(1, "t1", 0, **told), options={"corrections": {}}).comparisons().to_dicts()
    texts, models = (text, "answer of o1"), (None, "m-1")
    assert (row["response_a"], row["response_b"]) == (texts if first else texts[::-1])
    assert (row["model_a"], row["model_b"]) == (models if first else models[::-1])
    assert (row["preference"], row["strength"], row["rationale"]) == ("a" if first else "b", None, "was wrong")
    assert row["annotator_kind"] == "human"
    assert row["annotator"] is not None


def test_a_text_score_corrects_where_the_options_name_it(project: Built) -> None:
    text = {"name": "rewrite", "dataType": "TEXT", "stringValue": "better"}
    other = {"name": "remark", "dataType": "TEXT", "stringValue": "nice"}
    del (named := score(1, **text))["value"]
    rows = ingested(project, named, score(2, **other), options={"corrections": {"names": ["rewrite"]}}).comparisons()
    assert rows["response_b"].to_list() == ["better"]
    assert silences(project) == {"not_a_comparison": 1}


def test_outputs_of_chats_are_read_and_json_in_texts_where_asked(project: Built) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    traces = [
        trace("t1", {"role": "assistant", "content": "A"}, input=chat),
        trace(
            "t2", '{"choices": [{"message": {"role": "assistant", "content": "B"}}]}', input=lines({"messages": chat})
        ),
    ]
    assert silences(ingested(project, score(1, "t1", 1), score(2, "t2", 2), traces=traces)) == {"no_partner": 2}
    options = {**HELP, "json_texts": True}
    [row] = (
        ingested(project, score(1, "t1", 1), score(2, "t2", 2), traces=traces, options=options).comparisons().to_dicts()
    )
    assert (row["prompt"], row["response_a"], row["response_b"]) == (chat, "A", "B")


def test_who_sent_a_score_by_the_api_is_what_the_options_say(project: Built) -> None:
    scores = [score(n, f"t{n}", n, source="API", authorUserId=None) for n in (1, 2)]
    assert silences(ingested(project, *scores)) == {"not_a_comparison": 2}
    assert silences(ingested(project, *scores, options={**HELP, "api": "human"})) == {"no_partner": 2}
    [row] = ingested(project, *scores, options={**HELP, "api": "rule"}).comparisons().to_dicts()
    assert (row["annotator_kind"], row["annotator"]) == ("rule", None)
    named = {**HELP, "api": "human", "api_annotator": "traces:userId"}
    [row] = ingested(project, *scores, options=named).comparisons().to_dicts()
    assert (row["annotator_kind"], row["annotator"] is not None) == ("human", True)


def test_an_evaluator_is_a_model_though_nobody_is_named(project: Built) -> None:
    scores = [score(n, f"t{n}", n, source="EVAL", authorUserId=None) for n in (1, 2)]
    [row] = ingested(project, *scores).comparisons().to_dicts()
    assert (row["annotator_kind"], row["annotator"]) == ("model", None)


APART: list[tuple[str, dict[str, Any]]] = [
    ("another annotator", {"authorUserId": "bea"}),
    ("nobody", {"authorUserId": None}),
    ("a blank", {"authorUserId": " "}),
    ("another prompt", {"traceId": "t9"}),
    ("another kind", {"source": "EVAL"}),
    ("the same trace", {"traceId": "t1", "value": 4}),
]


@pytest.mark.parametrize(("_why", "changes"), APART)
def test_what_is_apart_is_not_compared(project: Built, _why: str, changes: dict[str, Any]) -> None:
    assert silences(ingested(project, score(1, "t1", 4), {**score(2, "t2", 2), **changes})) == {"no_partner": 2}


def test_equal_thumbs_say_nothing(project: Built) -> None:
    scores = [score(n, f"t{n}", 1, name="thumb") for n in (1, 2)]
    assert silences(ingested(project, *scores, options={"scores": {"thumb": {}}})) == {"one_label": 2}


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("off_scale", {"value": 6}),
    ("out_of_range", {"value": 10**30}),
    ("wrong_type", {"value": "4"}),
    ("wrong_type", {"value": [4]}),
    ("wrong_type", {"name": ["help"]}),
    ("wrong_type", {"authorUserId": {"id": 1}}),
    ("missing_field", {"dataType": None}),
    ("unknown_value", {"dataType": "STARS"}),
    ("unknown_value", {"source": "FEEDBACK"}),
    ("no_side_record", {"traceId": "gone"}),
    ("no_side_record", {"traceId": None}),
    ("no_side_record", {"observationId": "gone"}),
    ("wrong_type", {"traceId": "strange"}),
    ("missing_field", {"traceId": "unanswered"}),
]


@pytest.mark.parametrize(("reason", "changes"), FAULTS)
def test_what_cannot_be_used_is_quarantined(project: Built, reason: str, changes: dict[str, Any]) -> None:
    odd = [trace("strange", {"steps": 3}), {**trace("unanswered"), "output": None}]
    ingested(project, {**score(1), **changes}, score(2, "t2", 1), score(3, "t3", 2), traces=[*TRACES, *odd])
    assert project.reasons("ingest") == {reason: 1}
    assert project.comparisons().height == 1


def test_a_category_without_a_number_is_quarantined(project: Built) -> None:
    for options in ({"scores": {"tone": {"values": {"poor": 0, "fair": 1}}}}, {"scores": {"tone": {"scale": [0, 2]}}}):
        reason = "unknown_value" if "values" in options["scores"]["tone"] else "wrong_type"
        assert ingested(project, category(1, "t1", "good"), options=options).reasons("ingest") == {reason: 1}


def test_one_response_rated_in_two_ways_is_in_no_pair(project: Built) -> None:
    scores = score(1, "t1", 4), score(2, "t1", 1), score(3, "t2", 2), score(4, "t3", 3)
    assert ingested(project, *scores).reasons("ingest") == {"conflicting_ratings": 2}
    assert project.comparisons().height == 1


def test_a_flood_of_responses_is_refused(project: Built) -> None:
    traces = [trace(f"t{n}") for n in range(101)]
    scores = [score(1, f"t{n}", 3, id=f"s{n}") for n in range(101)]
    assert ingested(project, *scores, traces=traces).reasons("ingest") == {"too_many_responses": 101}


@pytest.mark.parametrize(("many", "refused"), [(999, {}), (1_000, {"too_many_responses": 1_001})])
def test_a_flood_of_scores_is_refused(project: Built, many: int, refused: dict[str, int]) -> None:
    scores = [score(1, "t1", 3, id=f"s{n}") for n in range(many)]
    assert ingested(project, *scores, score(1, "t2", 4)).reasons("ingest") == refused


def test_a_score_delivered_twice_is_a_copy(project: Built) -> None:
    account = ingested(project, score(1, "t1", 1), score(2, "t2", 2), score(2, "t2", 2)).account("ingest")
    assert account["comparisons"] == {"candidates": 2, "kept": 1, "copies": 1, "quarantined": 0}


def test_a_score_changed_between_two_exports_is_a_conflict(project: Built) -> None:
    ingested(project, score(1, "t1", 1), score(2, "t2", 2))
    written = {"later.jsonl": lines(score(1, "t1", 5), score(2, "t2", 2))}
    changes = {"adapter": "langfuse", "fields": {}, "join": JOIN, "options": HELP}
    project.source("lf", written, **changes, files=["scores.jsonl", "later.jsonl"])
    assert project.run("ingest", "validate").reasons("validate") == {"event_conflict": 2}


def test_kinds_that_would_be_folded_together_need_rubrics(project: Built) -> None:
    for options, said in (
        ({}, "name at least one thing"),
        ({"scores": {"help": {}, "tone": {"rubric": "r-1"}}}, r"none at: scores\.help"),
        ({"scores": {"help": {}}, "corrections": {}}, "corrections"),
        ({**HELP, "api_annotator": "traces:userId"}, "state `api`"),
        ({"scores": {"help": {"scale": [5, 1]}}}, "the lower first"),
        ({"scores": {"help": {"scale": [1]}}}, "two numbers"),
        ({"scores": {"help": {"scale": [0, float("inf")]}}}, "finite"),
        ({"scores": {"help": {"values": {"a": float("nan"), "b": 1}}}}, "finite"),
        ({"scores": {"help": {"scale": [1, 5], "values": {"a": 1}}}}, "not both"),
        ({"scores": {"help": {"values": {"a": 1, "b": 1}}}}, "two different numbers"),
        ({"points": {}}, "unknown key `points`"),
    ):
        with pytest.raises(PairtrailError, match=said):
            ingested(project, score(1), options=options)


def test_a_join_must_be_named_as_the_adapter_knows_it(project: Built) -> None:
    join = {"texts": {"glob": "traces.jsonl", "key": "id", "on": "traceId"}}
    with pytest.raises(PairtrailError, match="needs `join` to name side files `traces`"):
        project.source("lf", {"scores.jsonl": "{}", "traces.jsonl": "{}"}, adapter="langfuse", files=["scores.jsonl"],
                       fields={}, join=join, options=HELP).run("ingest")  # fmt: skip


def test_everybody_behind_a_comparison_must_have_consented(project: Built) -> None:
    traces = [trace(f"t{n}", metadata={"consent": f"c{n}"}, userId=f"user-{n}") for n in (1, 2, 3)]
    traces[2]["metadata"] = {}
    ref = {"role": "prompt_author", "subject": "traces:userId", "consent_id": "traces:metadata.consent"}
    scores = [score(n, f"t{n}", n) for n in (1, 2, 3)]
    consent = {
        "basis": "eu-gdpr:A6-1-a",
        "purposes": ["ai-alignment"],
        "roles": ["prompt_author"],
        "statement": "made up",
    }
    written = {name: lines(*records) for name, records in files(scores, traces).items()}
    changes = {"adapter": "langfuse", "files": ["scores.jsonl"], "join": JOIN, "options": HELP, "consent": consent}
    project.source("lf", written, **changes, fields={"consent_refs": [ref]}).run("ingest").everybody_agrees()
    project.run("validate")
    rows = project.comparisons().sort("response_a", "response_b")
    assert [[one["consent_id"] for one in refs] for refs in rows["consent_refs"]] == [
        ["c1", "c2"],
        ["c1", None],
        ["c2", None],
    ]
    assert rows["consent_refs"][0].struct.field("subject").n_unique() == 2
    assert project.reasons("validate") == {"no_consent": 2}


@pytest.mark.parametrize("name", ["policy_version", "rubric_version"])
@pytest.mark.parametrize("path", ["metadata.under", "traces:under"])
def test_scores_under_two_policies_or_rubrics_do_not_meet(project: Built, name: str, path: str) -> None:
    under = {"t1": 1, "t2": "2", "t3": "1"}
    traces = [trace(of, under=version) for of, version in under.items()]
    scores = [score(n, of, n, metadata={"under": version}) for n, (of, version) in enumerate(under.items(), 1)]
    written = {name: lines(*records) for name, records in files(scores, traces).items()}
    sidecar = {"adapter": "langfuse", "files": ["scores.jsonl"], "join": JOIN, "fields": {}}
    project.source("lf", written, **sidecar, options=HELP, **{name: {"path": path}}).run("ingest")
    [row] = project.comparisons().to_dicts()
    assert (row["response_a"], row["response_b"], row[name]) == ("answer of t1", "answer of t3", "1")
    assert silences(project) == {"no_partner": 1}


SOUND = [
    *(score(n, f"t{n}", n) for n in (1, 2, 3)),
    *(category(n, f"t{n % 3 + 1}", "good" if n % 2 else "fair") for n in (4, 5, 6)),
    *(
        score(n, f"t{n - 6}", n % 2, name="thumb", dataType="BOOLEAN", source="API", authorUserId=None)
        for n in (7, 8, 9)
    ),
    score(10, "t1", 0, name="output", dataType="CORRECTION", stringValue="better"),
    score(11, "t2", 0, name="rewrite", dataType="TEXT", stringValue="much better", observationId="o2"),
]


def test_neither_the_order_of_scores_nor_of_traces_matters(new_project: Callable[[str], Built]) -> None:
    found = [
        ingested(new_project(str(seed)), *shuffled(SOUND, seed), traces=shuffled(TRACES, seed), options=EVERYTHING)
        for seed in range(4)
    ]
    assert len(ids_of(found[0])) == 3 + 3 + 2 + 2
    assert all(ids_of(one) == ids_of(found[0]) for one in found)
    rows = found[0].comparisons()
    assert (rows["response_a"] < rows["response_b"]).all()
    assert set(rows["preference"]) == {"a", "b", "tie"}


def test_two_names_are_two_verdicts_though_nothing_else_tells_them_apart(project: Built) -> None:
    bare = {"id": None, "timestamp": None}
    scores = [{**score(n, f"t{n}", n, name=name), **bare} for n in (1, 2) for name in ("thumb", "grip")]
    options = {"scores": {"thumb": {"rubric": "r-1"}, "grip": {"rubric": "r-2"}}}
    assert sorted(ingested(project, *scores, options=options).comparisons()["rubric_version"]) == ["r-1", "r-2"]


def test_a_small_file_goes_through_all_stages(project: Built) -> None:
    for version in ("r-3", "r-4"):
        put_version(project.root, "rubric", version)
    project.set_params(validate={"rubrics": ["r-1", "r-2", "r-3", "r-4"]})
    ingested(project, *SOUND, options=EVERYTHING).run()
    account = project.account("publish")
    assert account["in"] == account["kept"] == 10


@settings(max_examples=25)
@given(mutants(SOUND), mutants([*TRACES, *OBSERVATIONS]))
def test_whatever_the_files_hold_both_accounts_add_up(
    scores: list[dict[str, Any]], traces: list[dict[str, Any]]
) -> None:
    changes = {"adapter": "langfuse", "files": ["scores.jsonl"], "fields": {}, "join": JOIN, "options": EVERYTHING}
    adds_up(files(scores, traces), **changes)


def test_a_guess_names_the_scores_and_nothing_that_it_cannot_see() -> None:
    assert langfuse.guess(SOUND) == {
        "options": {"scores": {"help": {}, "thumb": {}, "tone": {}}, "corrections": {}},
        "fields": {},
    }
    assert langfuse.guess([]) is None
    assert langfuse.guess([score(1), {"prompt": "x"}]) is None
    assert langfuse.guess([score(1, dataType=["NUMERIC"])]) is None
