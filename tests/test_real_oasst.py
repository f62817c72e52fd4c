"""Open-Assistant's trees: the ranked sibling sets, counted here with plain Python and found again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.building import ROOT, Built
from tests.real_building import real_project

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def built(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return real_project(real, tmp_path_factory.mktemp("oasst"), "oasst").run()


@pytest.fixture(scope="module")
def trees(real: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (real / "oasst/en_100_tree.jsonl").read_text(encoding="utf-8").splitlines()]


def below(message: dict[str, Any], path: tuple[dict[str, Any], ...] = ()) -> Iterator[tuple[dict[str, Any], Any]]:
    yield message, path
    for reply in message["replies"]:
        yield from below(reply, (*path, message))


def ranked_sets(trees: list[dict[str, Any]]) -> list[tuple[list[tuple[str, str]], list[dict[str, Any]]]]:
    """Each set of two ranked siblings or more, with the roles and texts that lead to it."""
    found = []
    for tree in trees:
        for message, path in below(tree["prompt"]):
            ranked = [reply for reply in message["replies"] if reply.get("rank") is not None]
            if len(ranked) > 1:
                led = [({"prompter": "user"}.get(one["role"], one["role"]), one["text"]) for one in (*path, message)]
                found.append((led, ranked))
    return found


def test_the_facts(trees: list[dict[str, Any]]) -> None:
    messages = [message for tree in trees for message, _ in below(tree["prompt"])]
    sets = [ranked for _, ranked in ranked_sets(trees)]
    assert (len(trees), len(messages), len(sets)) == (100, 1_167, 212)
    # All ranked siblings are the assistant's; none is deleted or failed its review; no two have one rank.
    assert {one["role"] for ranked in sets for one in ranked} == {"assistant"}
    assert not [one for one in messages if one["deleted"] or one["review_result"] is not True]
    assert all(sorted(one["rank"] for one in ranked) == list(range(len(ranked))) for ranked in sets)


def test_each_ranked_set_gives_each_of_its_pairs(built: Built, trees: list[dict[str, Any]]) -> None:
    expected = set()
    for led, ranked in ranked_sets(trees):
        for better in ranked:
            for worse in ranked:
                if better["rank"] < worse["rank"]:
                    expected.add((tuple(led), better["text"], worse["text"]))
    assert len(expected) == 754
    found = set()
    for row in built.comparisons().to_dicts():
        texts = (row["response_a"], row["response_b"])
        shown = tuple((message["role"], message["content"]) for message in row["prompt"])
        found.add((shown, *(texts if row["preference"] == "a" else texts[::-1])))
    assert found == expected
    assert built.account("ingest")["comparisons"] == {"candidates": 754, "kept": 754, "copies": 0, "quarantined": 0}
    assert built.account("ingest")["records"]["gave_comparisons"] == 100
    assert built.account("validate")["kept"] == 754


def test_which_is_shown_first_does_not_tell_which_is_better(built: Built) -> None:
    assert 0.4 < (built.comparisons()["preference"] == "a").mean() < 0.6  # type: ignore[operator]


def test_models_are_named_where_a_message_is_synthetic(built: Built, trees: list[dict[str, Any]]) -> None:
    expected = sum(
        len(ranked) * (len(ranked) - 1) // 2
        for _, ranked in ranked_sets(trees)
        if all(one["synthetic"] for one in ranked)
    )
    named = built.comparisons().filter(pl.col("model_a").is_not_null())
    assert named.height == expected > 0
    assert named["model_a"].to_list() == named["model_b"].to_list() == ["chip20b"] * expected


def test_the_same_messages_one_by_one_give_the_same_comparisons(
    built: Built, trees: list[dict[str, Any]], tmp_path: Path, real: Path
) -> None:
    alone = [
        {**{name: message[name] for name in message if name != "replies"}, "message_tree_id": tree["message_tree_id"]}
        for tree in trees
        for message, _ in below(tree["prompt"])
    ]
    flat = real_project(real, tmp_path, "oasst")
    folder = flat.raw / "oasst"
    (folder / "en_100_tree.jsonl").unlink()
    (folder / "en_100_tree.jsonl").write_text("".join(json.dumps(one) + "\n" for one in alone), encoding="utf-8")
    sidecar = (ROOT / "tests/real_sources/oasst/source.yaml").read_text(encoding="utf-8")
    (folder / "source.yaml").write_text(
        sidecar.replace("prompt.lang", "lang") + "options: {layout: messages}\n", encoding="utf-8"
    )
    flat.run("ingest")
    assert sorted(flat.comparisons()["comparison_id"]) == sorted(built.comparisons()["comparison_id"])
    unused = sum(not any(one is message for _, ranked in ranked_sets(trees) for one in ranked) for message in alone)
    assert unused > 0
    assert flat.account("ingest")["records"]["in"] == 1_167
