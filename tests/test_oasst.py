"""The adapter `oasst`: which ranked siblings are compared, and what became of the others."""

import random
from copy import deepcopy
from io import BytesIO
from itertools import combinations
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from pipeline.adapters.oasst import guess
from pipeline.core.digests import digest_text
from pipeline.core.errors import PairtrailError
from tests.building import Built, lines
from tests.hostile import nothing_is_lost, spoiled_files

FIELDS = {"annotator": {"constant": None}, "annotator_kind": {"constant": "human"}}
SIDECAR: dict[str, Any] = {"adapter": "oasst", "fields": FIELDS}
FLAT = {**SIDECAR, "options": {"layout": "messages"}}


def said(name: str, *replies: dict[str, Any], role: Any = "assistant", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"message_id": name, "text": f"text {name}", "role": role, **more, "replies": list(replies)}


def tree(*replies: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    root = said("root", *replies, role="prompter", **more)
    return {"message_tree_id": "root", "tree_state": "ready_for_export", "prompt": root}


def ranked(*names: str, **more: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [said(name, rank=rank, **more) for rank, name in enumerate(names)]


def flattened(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of a tree one by one, as the Parquet releases hold them."""

    def below(message: dict[str, Any], parent: str | None) -> list[dict[str, Any]]:
        alone = {name: value for name, value in message.items() if name != "replies"}
        alone |= {"parent_id": parent, "message_tree_id": whole["message_tree_id"], "rank": message.get("rank")}
        return [alone, *(one for reply in message["replies"] for one in below(reply, message["message_id"]))]

    return below(whole["prompt"], None)


def ingested(project: Built, *records: dict[str, Any], **sidecar: Any) -> Built:  # noqa: ANN401
    return project.source("trees", {"x.jsonl": lines(*records)}, **{**SIDECAR, **sidecar}).run("ingest")


def verdicts(built: Built) -> set[tuple[str, str, str]]:
    rows = built.comparisons().select("response_a", "response_b", "preference").rows()
    return {(a.removeprefix("text "), b.removeprefix("text "), preference) for a, b, preference in rows}


def silent(built: Built) -> list[tuple[str, str | None]]:
    return built.table("ingest/records").select("outcome", "reason").rows()


DEEP = tree(
    said("b", said("next", *ranked("y", "x"), role="prompter"), rank=0, model_name="m-1"),
    said("a", rank=1, synthetic=True, model_name="m-2"),
    said("c", rank=2),
    said("unranked"),
)


def test_siblings_are_compared_by_rank_and_the_prompt_is_the_path_to_them(project: Built) -> None:
    ingested(project, DEEP)
    # The lesser text is response a, wherever it stands.
    assert verdicts(project) == {("a", "b", "b"), ("b", "c", "a"), ("a", "c", "a"), ("x", "y", "b")}
    prompts = {row["response_a"]: row["prompt"] for row in project.comparisons().to_dicts()}
    assert prompts["text a"] == [{"role": "user", "content": "text root"}]
    assert prompts["text x"] == [
        {"role": "user", "content": "text root"},
        {"role": "assistant", "content": "text b"},
        {"role": "user", "content": "text next"},
    ]
    [row] = project.comparisons().filter(response_a="text a", response_b="text b").to_dicts()
    assert (row["model_a"], row["model_b"]) == ("m-2", "m-1")
    assert {row[name] for name in ("annotator", "strength", "strength_raw", "presented_order", "created_at")} == {None}
    assert project.run("validate").reasons("validate") == {}


def test_adjacent_pairs_alone(project: Built) -> None:
    ingested(project, tree(*ranked("c", "a", "b")), options={"pairs": "adjacent"})
    assert verdicts(project) == {("a", "c", "b"), ("a", "b", "a")}


def test_all_pairs_are_all_of_them(project: Built) -> None:
    names = ["e", "b", "d", "a", "c"]
    ingested(project, tree(*ranked(*names)))
    expected = {
        (*sorted(pair), "a" if min(pair) == pair[0] else "b") for pair in combinations(names, 2)
    }  # the earlier name is the better one
    assert verdicts(project) == expected


def test_equal_texts_in_two_branches_are_two_verdicts(project: Built) -> None:
    whole = tree(said("a", *ranked("x", "y"), role="prompter"), said("b", *ranked("p", "q"), role="prompter"))
    for branch, texts in zip(whole["prompt"]["replies"], (("x", "y"), ("x", "y")), strict=True):
        branch["text"] = "the same"
        for reply, text in zip(branch["replies"], texts, strict=True):
            reply["text"] = text
    ingested(project, whole)
    assert project.account("ingest")["comparisons"] == {"candidates": 2, "kept": 2, "copies": 0, "quarantined": 0}


def test_no_replies_are_no_fault(project: Built) -> None:
    ingested(project, tree({**ranked("a")[0], "replies": None}, said("b", rank=1)))
    assert verdicts(project) == {("a", "b", "a")}
    assert project.reasons("ingest") == {}


def test_equal_ranks_are_a_tie_without_a_strength(project: Built) -> None:
    ingested(project, tree(said("a", rank=0), said("b", rank=0)))
    assert project.comparisons().select("preference", "strength").rows() == [("tie", None)]


@pytest.mark.parametrize(
    "replies",
    [
        [],
        [said("a", rank=0)],
        [said("a"), said("b")],
        [said("a", said("p", role="prompter", rank=0), said("q", role="prompter", rank=1))],
    ],
    ids=["no reply", "one rank", "no rank", "ranked prompters"],
)
def test_a_tree_without_two_ranked_responses(project: Built, replies: list[dict[str, Any]]) -> None:
    ingested(project, tree(*replies), tree(*ranked("x", "y")))
    assert silent(project) == [("no_comparison", "not_ranked"), ("gave_comparisons", None)]


def test_a_prompter_among_ranked_siblings_takes_no_part(project: Built) -> None:
    ingested(project, tree(*ranked("a", "b"), said("p", role="prompter", rank=2)))
    assert verdicts(project) == {("a", "b", "a")}
    assert project.account("ingest")["comparisons"]["candidates"] == 1


@pytest.mark.parametrize("mark", [{"deleted": True}, {"review_result": False}, {"deleted": "yes"}])
def test_what_is_withdrawn_is_quarantined_with_all_that_follows_it(project: Built, mark: dict[str, Any]) -> None:
    gone = said("gone", said("next", *ranked("x", "y"), role="prompter"), rank=1, **mark)
    ingested(project, tree(said("a", rank=0), gone, said("b", rank=2)))
    assert verdicts(project) == {("a", "b", "a")}
    assert project.reasons("ingest") == {"withdrawn": 3}


def test_quarantine_says_nothing_that_a_message_id_says(project: Built) -> None:
    replies = [said(f"Ann's secret {rank}", rank=rank, deleted=True) for rank in (0, 1)]
    ingested(project, tree(*replies))
    [key] = project.table("ingest/quarantine")["fan_out"]
    assert key == digest_text("Ann's secret 0", "Ann's secret 1")


def test_a_tree_whose_root_is_withdrawn_gives_nothing(project: Built) -> None:
    ingested(project, tree(*ranked("a", "b"), deleted=True), tree(*ranked("x", "y"), deleted=False, review_result=None))
    assert silent(project) == [("quarantined", "withdrawn"), ("gave_comparisons", None)]


FAULTS: list[tuple[str, list[dict[str, Any]]]] = [
    ("wrong_type", [said("a", rank="0"), *ranked("x", "y")]),
    ("wrong_type", [said("a", rank=True), *ranked("x", "y")]),
    ("wrong_type", [said("a", rank=2.0), *ranked("x", "y")]),
    ("wrong_type", [{**said("a"), "replies": "none"}, *ranked("x", "y")]),
    ("wrong_type", [{**said("a"), "replies": False}, *ranked("x", "y")]),
    ("wrong_type", [said("a", rank=0) | {"text": ["text"]}, said("b", rank=1), tree(*ranked("x", "y"))["prompt"]]),
    ("missing_field", [said("a", rank=0) | {"text": None}, said("b", rank=1), tree(*ranked("x", "y"))["prompt"]]),
    ("wrong_type", [said("a", rank=0) | {"message_id": 7}, said("b", rank=1), tree(*ranked("x", "y"))["prompt"]]),
    ("missing_field", [said("a", rank=0) | {"message_id": None}, said("b", rank=1), tree(*ranked("x", "y"))["prompt"]]),
    ("unknown_role", [said("a", rank=0, role="bot"), *ranked("x", "y")]),
    ("unknown_role", [said("a", *ranked("b", "c"), role="bot"), *ranked("x", "y")]),
    ("wrong_type", [said("a", *ranked("b", "c"), role=["assistant"]), *ranked("x", "y")]),
    ("too_many_responses", [said("p", *ranked(*map(str, range(51))), role="prompter"), *ranked("x", "y")]),
]


@pytest.mark.parametrize(("reason", "replies"), FAULTS)
def test_what_cannot_be_compared_costs_itself_alone(project: Built, reason: str, replies: list[dict[str, Any]]) -> None:
    assert ingested(project, tree(*replies)).reasons("ingest") == {reason: 1}
    assert verdicts(project) == {("x", "y", "a")}


def test_fifty_siblings_are_not_too_many(project: Built) -> None:
    ingested(project, tree(*ranked(*(f"{i:02}" for i in range(50)))))
    assert project.comparisons().height == 50 * 49 // 2


@pytest.mark.parametrize(("reason", "prompt"), [("missing_field", None), ("wrong_type", ["hi"]), ("wrong_type", "hi")])
def test_a_tree_without_a_root(project: Built, reason: str, prompt: Any) -> None:  # noqa: ANN401
    ingested(project, {"message_tree_id": "t", "prompt": prompt}, tree(*ranked("a", "b")))
    assert project.reasons("ingest") == {reason: 1}


def shuffled(whole: dict[str, Any], seed: int) -> dict[str, Any]:
    other = deepcopy(whole)
    order = random.Random(seed)  # noqa: S311

    def turn(message: dict[str, Any]) -> None:
        order.shuffle(message["replies"])
        for reply in message["replies"]:
            turn(reply)

    turn(other["prompt"])
    return other


def ids(built: Built) -> list[str]:
    return sorted(built.comparisons()["comparison_id"])


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_replies_changes_nothing(new_project: Any, seed: int) -> None:  # noqa: ANN401
    straight = ingested(new_project("straight"), DEEP)
    assert len(ids(straight)) == 4
    assert ids(ingested(new_project("shuffled"), shuffled(DEEP, seed))) == ids(straight)


@pytest.mark.parametrize("seed", range(3))
def test_a_trees_messages_one_by_one_give_the_same_comparisons(new_project: Any, seed: int) -> None:  # noqa: ANN401
    whole = ingested(new_project("whole"), DEEP)
    alone = flattened(DEEP)
    random.Random(seed).shuffle(alone)  # noqa: S311
    parts = ingested(new_project("alone"), *alone, **FLAT)
    assert ids(parts) == ids(whole)
    drawn_on = {
        place for place, _, _ in parts.table("ingest/occurrences").select("source_row", "part", "delivery").rows()
    }
    names = {one["message_id"] for number, one in enumerate(alone, 1) if number in drawn_on}
    assert names == {"root", "a", "b", "c", "next", "x", "y"}
    assert parts.account("ingest")["records"]["no_comparison"] == 1


def test_messages_in_parquet(project: Built) -> None:
    file = BytesIO()
    pl.DataFrame(flattened(DEEP), infer_schema_length=None).write_parquet(file)
    project.source("s", {"x.parquet": file.getvalue()}, **FLAT, format="parquet", files=["x.parquet"]).run("ingest")
    assert verdicts(project) == {("a", "b", "b"), ("b", "c", "a"), ("a", "c", "a"), ("x", "y", "b")}


def test_siblings_without_a_way_to_a_root_have_no_prompt(project: Built) -> None:
    messages = [one for one in flattened(DEEP) if one["message_id"] != "b"]
    ingested(project, *messages, **FLAT)
    assert verdicts(project) == {("a", "c", "a")}
    assert project.reasons("ingest") == {"missing_field": 1}


def test_messages_that_go_in_a_circle_have_no_prompt(project: Built) -> None:
    messages = flattened(tree(*ranked("a", "b")))
    ingested(project, {**messages[0], "parent_id": "a"}, *messages[1:], **FLAT)
    assert project.reasons("ingest") == {"missing_field": 1}


def test_one_id_with_two_contents_names_nothing(project: Built) -> None:
    messages = flattened(tree(*ranked("a", "b")))
    ingested(project, *messages, {**messages[0], "text": "other"}, **FLAT)
    assert project.reasons("ingest") == {"missing_field": 1}


def test_a_message_delivered_twice_gives_a_copy(project: Built) -> None:
    messages = flattened(tree(*ranked("a", "b")))
    ingested(project, *messages, *messages, **FLAT)
    assert project.account("ingest")["comparisons"] == {"candidates": 2, "kept": 1, "copies": 1, "quarantined": 0}


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("missing_field", {"message_tree_id": None}),
        ("missing_field", {"message_id": None}),
        ("wrong_type", {"message_tree_id": ["t"]}),
        ("wrong_type", {"parent_id": 7}),
    ],
)
def test_a_message_must_name_itself_and_its_tree(project: Built, reason: str, change: dict[str, Any]) -> None:
    messages = flattened(tree(*ranked("a", "b")))
    ingested(project, *messages, {**messages[1], **change}, **FLAT)
    assert project.reasons("ingest") == {reason: 1}
    assert verdicts(project) == {("a", "b", "a")}


def test_single_messages_cannot_say_who_consented(project: Built) -> None:
    refs = [{"role": "prompt_author", "subject": "user_id", "consent_id": "user_id"}]
    with pytest.raises(PairtrailError, match="trees: consent_refs: they would name the author of response a alone"):
        ingested(project, *flattened(DEEP), **{**FLAT, "fields": {**FIELDS, "consent_refs": refs}})


def test_from_a_tree_to_the_published_dataset(project: Built) -> None:
    project.source("trees", {"x.jsonl": lines(DEEP)}, **SIDECAR).run()
    assert project.account("publish")["kept"] == 4


def test_guess_knows_trees_and_messages() -> None:
    assert guess([DEEP]) == {"options": {"layout": "trees"}, "fields": {**FIELDS, "language": "prompt.lang"}}
    assert guess(flattened(DEEP)) == {"options": {"layout": "messages"}, "fields": {**FIELDS, "language": "lang"}}


@pytest.mark.parametrize(
    "records",
    [
        [],
        [{"prompt": "p", "chosen": "c", "rejected": "r"}],
        [{"message_tree_id": "t", "prompt": "p"}],
        [DEEP, {"prompt": "p"}],
        [{"thread_id": "t", "thread": []}],
    ],
)
def test_guess_leaves_other_shapes_alone(records: list[dict[str, Any]]) -> None:
    assert guess(records) is None


@settings(max_examples=15)
@given(spoiled_files([DEEP]))
def test_hostile_trees_are_accounted_for(records: list[dict[str, Any]]) -> None:
    guess(records)
    nothing_is_lost(records, **SIDECAR)


@settings(max_examples=15)
@given(spoiled_files(flattened(DEEP)))
def test_hostile_messages_are_accounted_for(records: list[dict[str, Any]]) -> None:
    guess(records)
    nothing_is_lost(records, **FLAT)
