"""The adapter `arena`: the published battle logs, their votes, and what of them cannot be compared."""

import csv
import io
import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.adapters.arena import find, guess
from pipeline.core.digests import keyed_digest_text
from pipeline.core.keys import PUBLIC_KEY
from pipeline.core.mapping.candidates import CANDIDATE_REASONS, NO_COMPARISON_REASONS
from pipeline.core.mapping.verdicts import NoVerdict, Seen
from tests.building import Built, build, lines
from tests.pages import DOCS, section, table_rows

FIELDS: dict[str, Any] = {"annotator": {"constant": None}, "annotator_kind": {"constant": "human"}}


def ingested(project: Built, *records: dict[str, Any], **changes: Any) -> Built:  # noqa: ANN401
    stated = {"adapter": "arena", "fields": FIELDS, **changes}
    return project.source("arena", {"x.jsonl": lines(*records)}, **stated).run("ingest")


def said(*turns: str) -> list[dict[str, Any]]:
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(turns)]


def parts(*turns: str) -> list[dict[str, Any]]:
    """Messages as the layout of 2025 writes them."""
    return [
        {**message, "content": [{"type": "text", "text": message["content"], "image": None, "mimeType": None}]}
        for message in said(*turns)
    ]


def old(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A vote in the layout of 2023."""
    sound = {
        "question_id": "q-1",
        "model_a": "m-1",
        "model_b": "m-2",
        "winner": "model_a",
        "judge": "arena_user_7",
        "conversation_a": said("Hi", "Hello."),
        "conversation_b": said("Hi", "Yes?"),
        "turn": 1,
        "anony": True,
        "language": "English",
        "tstamp": 1767225600.25,
    }
    return {**sound, **changes}


def new(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A vote in the layout of 2025."""
    sound = {
        "id": "vote-1",
        "model_a": "m-1",
        "model_b": "m-2",
        "winner": "model_b",
        "evaluation_session_id": "s-1",
        "evaluation_order": 1,
        "conversation_a": parts("Hi", "Hello."),
        "conversation_b": parts("Hi", "Yes?"),
        "full_conversation": rounds(("Hi", "Hello.", "Yes?")),
        "category_tag": {"math_v0.1": {"math": False}, "if_v0.1": {"if": False, "score": 1}},
        "language": "en",
        "is_code": False,
        "timestamp": "2026-01-01T10:30:00.5",
    }
    return {**sound, **changes}


def rounds(*turns: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [
        {"user": parts(asked)[0], "model_side_a": parts("", a)[1], "model_side_b": parts("", b)[1]}
        for asked, a, b in turns
    ]


def state(*turns: Any, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A conversation in FastChat's vote log."""
    messages = [[("USER", "ASSISTANT")[place % 2], text] for place, text in enumerate(turns)]
    sound = {"template_name": "vicuna", "system_message": "Be kind.", "roles": ["USER", "ASSISTANT"], "offset": 0}
    return {**sound, "messages": messages, "conv_id": "c-1", "model_name": "m-1", **changes}


def vote(kind: str = "leftvote", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    states = [state("Hi", "Hello."), state("Hi", "Yes?", model_name="m-2")]
    sound = {"tstamp": 1767225600.1234, "type": kind, "models": ["", ""], "states": states, "ip": "203.0.113.7"}
    return {**sound, **changes}


def kaggle(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A row of the competition's file, where turns are JSON in a text."""
    sound = {
        "id": "30192",
        "model_a": "m-1",
        "model_b": "m-2",
        "prompt": '["Hi"]',
        "response_a": '["Hello."]',
        "response_b": '["Yes?"]',
        "winner_model_a": "0",
        "winner_model_b": "0",
        "winner_tie": "1",
    }
    return {**sound, **changes}


def test_each_layout_gives_the_same_prompt_and_responses(project: Built) -> None:
    files = {"a.jsonl": lines(old()), "b.jsonl": lines(new()), "c.jsonl": lines(vote()), "d.jsonl": lines(kaggle())}
    project.source("arena", files, adapter="arena", fields=FIELDS).run("ingest")
    rows = project.comparisons()
    assert rows.select("prompt", "response_a", "response_b", "model_a", "model_b").unique().to_dicts() == [
        {
            "prompt": [{"role": "user", "content": "Hi"}],
            "response_a": "Hello.",
            "response_b": "Yes?",
            "model_a": "m-1",
            "model_b": "m-2",
        }
    ]
    assert sorted(rows["preference"]) == ["a", "a", "b", "tie"]
    assert sorted(rows["presented_order"].fill_null("unknown")) == ["ab", "ab", "unknown", "unknown"]
    assert rows["strength"].null_count() == 4


VERDICTS = [
    *(
        (old(winner=stated), meant)
        for stated, meant in (("model_b", "b"), ("tie", "tie"), ("tie (bothbad)", "both_bad"))
    ),
    *((new(winner=stated), meant) for stated, meant in (("model_a", "a"), ("tie", "tie"), ("both_bad", "both_bad"))),
    *(
        (vote(stated), meant)
        for stated, meant in (("rightvote", "b"), ("tievote", "tie"), ("bothbad_vote", "both_bad"))
    ),
    (kaggle(winner_model_a="1", winner_tie="0"), "a"),
    (kaggle(winner_model_b=1, winner_tie=0), "b"),
]


@pytest.mark.parametrize(("given", "meant"), VERDICTS)
def test_each_way_to_name_a_winner(project: Built, given: dict[str, Any], meant: str) -> None:
    assert ingested(project, given).comparisons()["preference"].to_list() == [meant]


def test_several_votes_of_one_session_are_different_verdicts(project: Built) -> None:
    """One session, equal words, equal winners: the vote's own id, or its place in the session, tells them apart."""
    twice = [new(id="vote-1"), new(id="vote-2"), new(id=None), new(id=None, evaluation_order=2)]
    again = [{**one, "full_conversation": None, "conversation_a": parts("Hi", "Hello.", "Hi", "Hello."),
              "conversation_b": parts("Hi", "Hello.", "Hi", "Yes?")} for one in twice]  # fmt: skip
    ingested(project, *again).run("validate")
    assert project.comparisons().height == 4
    assert project.reasons("validate") == {}
    assert project.account("ingest")["comparisons"]["copies"] == 0


def test_votes_of_one_conversation_are_told_apart_by_time_and_judge_not_by_its_id(project: Built) -> None:
    fields = {**FIELDS, "annotator": "judge", "created_at": {"path": "tstamp", "unit": "seconds"}}
    records = [old(), old(tstamp=1767225660.5), old(judge="arena_user_8"), old()]
    ingested(project, *records, fields=fields).run("validate")
    assert project.account("ingest")["comparisons"] == {"candidates": 4, "kept": 3, "copies": 1, "quarantined": 0}
    assert project.reasons("validate") == {}


def test_turns_before_the_last_are_the_prompt_where_both_models_share_them(project: Built) -> None:
    same = old(
        conversation_a=said("Hi", "Hello.", "A prime?", "Seven."),
        conversation_b=said("Hi", "Hello.", "A prime?", "Nine."),
    )
    row = ingested(project, same).comparisons().to_dicts()[0]
    assert row["prompt"] == said("Hi", "Hello.", "A prime?")
    assert (row["response_a"], row["response_b"]) == ("Seven.", "Nine.")


def test_earlier_rounds_that_both_sides_share_belong_to_the_prompt(project: Built) -> None:
    second = new(evaluation_order=2, full_conversation=rounds(("First?", "One.", "One."), ("Hi", "Hello.", "Yes?")))
    assert ingested(project, second).comparisons()["prompt"].to_list() == [said("First?", "One.", "Hi")]


def test_the_address_of_a_voter_becomes_a_pseudonym_and_leaves_in_no_file(project: Built) -> None:
    ingested(project, vote(), fields={**FIELDS, "annotator": "ip"}).run()
    assert project.comparisons()["annotator"].to_list() == [
        keyed_digest_text(PUBLIC_KEY, "annotator", "arena", "203.0.113.7")
    ]
    written = [path for path in (project.root / "data").rglob("*") if path.is_file() and "raw" not in path.parts]
    assert written
    assert [path for path in written if b"203.0.113.7" in path.read_bytes()] == []


def test_what_a_template_says_before_the_conversation_is_no_part_of_it(project: Built) -> None:
    shots = state("Example?", "Example.", "Hi", "Hello.", offset=2)
    other = state("Hi", "Yes?", system_message="", roles=["", ""], model_name=None)
    other["messages"] = [["", text] for _, text in other["messages"]]
    row = ingested(project, vote(states=[shots, other], models=["", "m-9"])).comparisons().to_dicts()[0]
    assert row["prompt"] == said("Hi")
    assert (row["response_a"], row["response_b"], row["model_b"]) == ("Hello.", "Yes?", "m-9")


def test_the_competition_file_is_read_as_csv(project: Built) -> None:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(kaggle()))
    writer.writeheader()
    turns = {"prompt": '["Hi", "And \\"why\\"?"]', "response_a": '["Hello.", "So."]', "response_b": '["Hello.", null]'}
    writer.writerows(
        [kaggle(id="1"), kaggle(id="2", **{**turns, "response_b": '["Hello.", "No."]'}), kaggle(id="3", **turns)]
    )
    changes: dict[str, Any] = {"adapter": "arena", "fields": FIELDS, "format": "csv", "files": ["*.csv"]}
    project.source("arena", {"train.csv": stream.getvalue()}, **changes).run("ingest")
    assert project.reasons("ingest") == {"missing_field": 1}
    assert said("Hi", "Hello.", 'And "why"?') in project.comparisons()["prompt"].to_list()


def test_the_layout_of_2025_is_read_as_parquet(project: Built) -> None:
    stream = io.BytesIO()
    pl.DataFrame([new(), new(id="vote-2", winner="both_bad")]).write_parquet(stream)
    changes: dict[str, Any] = {"adapter": "arena", "format": "parquet", "files": ["*.parquet"]}
    fields = {**FIELDS, "created_at": "timestamp"}
    project.source("arena", {"x.parquet": stream.getvalue()}, fields=fields, **changes).run("ingest")
    assert sorted(project.comparisons()["preference"]) == ["b", "both_bad"]
    assert project.comparisons()["created_at"].null_count() == 0


def test_a_row_of_plain_texts_is_one_turn(project: Built) -> None:
    plain = {
        "id": "x",
        "prompt": "[1]",
        "response_a": "A list.",
        "response_b": "One.",
        "winner": "model_a",
        "language": "English",
    }
    row = ingested(project, plain).comparisons().to_dicts()[0]
    assert (row["prompt"], row["language"], row["preference"]) == (said("[1]"), "English", "a")


TAGS = {
    "creative_writing_v0.1": {"creative_writing": True, "score": "yes"},
    "criteria_v0.1": {"complexity": True, "creativity": True},
    "if_v0.1": {"if": False, "score": 2},
    "math_v0.1": {"math": True},
}


def test_slices_are_what_the_log_says(project: Built) -> None:
    toxic = {"roberta-large": {"flagged": False, "probability": 0.01}, "t5-large": {"flagged": True, "score": -1.5}}
    records = [
        new(id="1", category_tag=TAGS, is_code=True),
        new(id="2"),
        new(id="3", toxic_chat_tag=toxic),
        new(id="4", openai_moderation={"flagged": False}, category_tag=["math"]),
    ]
    ingested(project, *records)
    seen = project.comparisons().join(
        project.table("ingest/occurrences").select("comparison_id", "source_row"), on="comparison_id"
    )
    assert seen.sort("source_row").select("category", "language", "safety").rows() == [
        ("code+creative_writing+math", "en", None),
        (None, "en", None),
        (None, "en", "unsafe"),
        (None, "en", "benign"),
    ]


def test_what_the_sidecar_says_of_a_slice_goes_before_the_log(project: Built) -> None:
    fields = {**FIELDS, "language": {"path": "language", "values": {"en": "en-US"}}}
    ingested(project, new(category_tag=TAGS), fields=fields, slices={"category": "chat"})
    assert project.comparisons().select("category", "language").rows() == [("chat", "en-US")]


IMAGE = [{"role": "user", "content": [{"type": "image", "text": None, "image": "x.png", "mimeType": "image/png"}]}]
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("contexts_differ", old(conversation_b=said("Ho", "Yes?"))),
    ("contexts_differ", old(conversation_a=said("Hi", "A.", "And?", "x"), conversation_b=said("Hi", "B.", "And?", "y"))),  # noqa: E501
    ("contexts_differ", old(conversation_a=said("Hi", "A.", "And?", "x"))),
    ("contexts_differ", new(evaluation_order=2, full_conversation=rounds(("1?", "A.", "B."), ("Hi", "Hello.", "Yes?")))),  # noqa: E501
    ("contexts_differ", new(evaluation_order=2, full_conversation=None)),
    ("contexts_differ", kaggle(prompt='["Hi", "So?"]', response_a='["A.", "x"]', response_b='["B.", "y"]')),
    ("contexts_differ", vote(states=[state("Hi", "A."), state("Hi", "A.", "And?", "B.")])),
    ("no_assistant_turn", old(conversation_a=said("Hi"))),
    ("no_assistant_turn", old(conversation_a=[], conversation_b=[])),
    ("no_assistant_turn", kaggle(prompt='["Hi", "So?"]')),
    ("missing_field", old(conversation_b=[*said("Hi"), {"role": "assistant", "content": None}])),
    ("missing_field", kaggle(response_a="[null]")),
    ("missing_field", kaggle(prompt=None)),
    ("missing_field", vote(states=[state("Hi", None), state("Hi", "Yes?")])),
    ("missing_field", {"tstamp": 1}),
    ("missing_field", {}),
    ("broken_json", kaggle(prompt='["Hi"')),
    ("broken_json", kaggle(prompt='["\\ud83d"]')),
    ("broken_json", kaggle(prompt='["\\u0000"]')),
    ("broken_json", kaggle(prompt="[" * 5_000)),
    ("broken_json", kaggle(prompt='["Hi"], "x": 1')),
    ("wrong_type", kaggle(prompt='"Hi"')),
    ("wrong_type", kaggle(prompt="[1]", response_a='["a"]', response_b='["b"]')),
    ("wrong_type", kaggle(response_a='["a", "b"]')),
    ("wrong_type", new(conversation_a=[*IMAGE, parts("", "a")[1]], conversation_b=[*IMAGE, parts("", "b")[1]])),
    ("wrong_type", new(conversation_b=[parts("Hi")[0], {"role": "assistant", "content": [{"type": "text", "text": None}]}])),  # noqa: E501
    ("wrong_type", old(conversation_a="Hi")),
    ("wrong_type", old(conversation_a=["Hi"])),
    ("wrong_type", new(full_conversation=["Hi"])),
    ("wrong_type", new(full_conversation=[{}, {}])),
    ("wrong_type", vote(states=[state("Hi", "A.")])),
    ("wrong_type", vote(states=None)),
    ("wrong_type", vote(states=[state("Hi", "A.", offset=3), state("Hi", "B.")])),
    ("wrong_type", vote(states=[state(["Hi", ["image"]], "A."), state(["Hi", ["image"]], "B.")])),
    ("wrong_type", vote(states=[state("Hi", "A."), state("Hi", "B.", messages=[["USER"]])])),
    ("wrong_type", {"type": ["leftvote"]}),
    ("unknown_role", vote(states=[state("Hi", "A.", roles=["Q", "ASSISTANT"]), state("Hi", "B.", roles=["Q", "ASSISTANT"])])),  # noqa: E501
    ("unknown_value", old(winner="a")),
    ("unknown_value", new(winner={"model": "a"})),
    ("unknown_value", kaggle(winner_model_a="1")),
    ("unknown_value", kaggle(winner_tie="2")),
    ("unknown_value", kaggle(winner_tie=None)),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "given"), FAULTS)
def test_what_is_no_comparison_of_two_answers_to_one_prompt_is_quarantined(
    project: Built, reason: str, given: dict[str, Any]
) -> None:
    assert ingested(project, given, old()).reasons("ingest") == {reason: 1}
    assert project.comparisons().height == 1


SILENT: list[tuple[str, dict[str, Any]]] = [
    ("nothing_said", {"tstamp": 1.5, "type": "chat", "model": "m-1", "state": state("Hi", "A."), "ip": "203.0.113.7"}),
    ("nothing_said", vote("share")),
    ("nothing_said", vote("some_later_event")),
    *(("one_response", {"type": kind, "state": state("Hi", "A.")}) for kind in ("upvote", "downvote", "flag")),
    ("not_judged", old(winner=None)),
    ("not_judged", kaggle(winner_tie="0")),
    ("not_judged", {"id": 1, "prompt": "Hi", "response_a": "a", "response_b": "b"}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "given"), SILENT)
def test_other_events_give_no_comparison_for_a_reason(project: Built, reason: str, given: dict[str, Any]) -> None:
    ingested(project, given, old())
    told = project.table("ingest/records").filter(outcome="no_comparison")
    assert told["reason"].to_list() == [reason]


KEYS: tuple[str, ...] = (
    "type",
    "states",
    "models",
    "conversation_a",
    "conversation_b",
    "full_conversation",
    "evaluation_order",
    "winner",
)
KEYS += ("prompt", "response_a", "response_b", "winner_model_a", "winner_tie", "category_tag", "toxic_chat_tag", "id")
INNER = (
    st.sampled_from([vote()["states"], new()["conversation_a"], rounds(("Hi", "a", "b")), '["Hi"]'])
    | st.sampled_from(["leftvote", "model_a", *KEYS, "role", "content", "user", "roles", "USER"])
    | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3)
)  # fmt: skip
NAMES = st.sampled_from(["role", "content", "messages", "offset", "roles", "text", "type", "user", "model_side_a"])
VALUES = st.recursive(
    INNER, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)


@settings(max_examples=400)
@given(record=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=9))
def test_no_value_of_any_type_stops_the_adapter(record: dict[str, Any]) -> None:
    found = find(Seen(1, "", record))
    if isinstance(found, NoVerdict):
        assert found.reason in NO_COMPARISON_REASONS
    else:
        assert [one.fault in {None, *CANDIDATE_REASONS} for one in found] == [True]


HOSTILE = st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=9), max_size=4)


@settings(max_examples=25)
@given(records=HOSTILE)
def test_both_accounts_add_up_whatever_comes(records: list[dict[str, Any]], tmp_path_factory: Any) -> None:  # noqa: ANN401
    project = ingested(build(tmp_path_factory.mktemp("hostile")), old(), *json.loads(json.dumps(records)))
    account = project.account("ingest")
    assert account["records"]["in"] == len(records) + 1
    assert account["comparisons"]["candidates"] == sum(
        account["comparisons"][name] for name in ("kept", "copies", "quarantined")
    )


TALKS = {
    "a battle of one turn": [old(), old(winner="tie"), old(winner="model_b")],
    "two turns, whose first answers are equal": [
        old(conversation_a=said("Hi", "A.", "And?", "x"), conversation_b=said("Hi", "A.", "And?", "y"))
    ],
    "two turns, whose first answers differ": [
        old(conversation_a=said("Hi", "A.", "And?", "x"), conversation_b=said("Hi", "B.", "And?", "y"), winner=winner)
        for winner in ("model_a", "tie")
    ],
    "a session's second vote": [
        new(evaluation_order=2, full_conversation=rounds(("First?", "A.", "B."), ("Hi", "Hello.", "Yes?")))
    ],
    "a battle over an image": [
        new(conversation_a=[*IMAGE, parts("", "a")[1]], conversation_b=[*IMAGE, parts("", "b")[1]])
    ],
    "an answer that is null": [old(conversation_b=[*said("Hi"), {"role": "assistant", "content": None}])],
    "a battle without a vote": [old(winner=None)],
}


def test_the_page_shows_what_becomes_of_a_log(project: Built) -> None:
    """Each row of the page's table counts records and names what became of them."""
    ingested(project, *(record for records in TALKS.values() for record in records))
    told = table_rows(section(DOCS / "adapters" / "arena.md", "Which battles can be compared"))
    fates = project.table("ingest/records").sort("source_row").select("outcome", "reason").rows()
    for kind, count, fate in told:
        these, fates = fates[: len(TALKS[kind])], fates[len(TALKS[kind]) :]
        assert int(count) == len(these)
        for outcome, reason in these:
            assert fate.startswith(count) if outcome == "gave_comparisons" else fate.endswith(f"`{reason}`")
    assert fates == []


def test_a_build_to_the_end(project: Built) -> None:
    records = [new(), new(id="vote-2", winner="both_bad"), old(), vote("tievote"), kaggle()]
    ingested(project, *records).run()
    votes = pl.concat(project.table(f"publish/{side}/votes") for side in ("train", "validation", "heldout"))
    assert votes.height == len(records)


def test_a_guess_knows_the_layouts_and_no_other_shape() -> None:
    assert [(guess([one]) or {})["fields"]["annotator"] for one in (old(), vote(), new(), kaggle())] == [
        "judge",
        "ip",
        {"constant": None},
        {"constant": None},
    ]
    assert (guess([old()]) or {})["fields"]["created_at"] == {"path": "tstamp", "unit": "seconds"}
    assert (guess([new()]) or {})["fields"]["created_at"] == "timestamp"
    for other in (
        {"prompt": "p", "response_a": "a", "response_b": "b"},
        {"chosen": "a", "rejected": "b"},
        {"type": "x"},
    ):
        assert guess([other]) is None
    assert guess([]) is None
    assert guess([new(), {}]) is None
