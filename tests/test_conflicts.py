"""Conflicts: opposite votes and circles of preference are told as they are, in whatever order and parts rows come."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import networkx as nx  # DVC brings it
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core import spill
from pipeline.core.conflicts import Conflicts
from pipeline.core.digests import digest_text
from pipeline.stages import dedupe
from schemas.columns import dtypes
from schemas.comparisons import COMPARISONS
from tests.building import SIDECAR, Built, lines, record

IDS = {name: digest_text("response", name) for name in "abcdefgh"}
NAMES = {value: name for name, value in IDS.items()}


def verdict(place: int, winner: str, loser: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A verdict that prefers `winner`, listed first where `place` is even; `preference` "a" means the winner."""
    first, second = (winner, loser) if place % 2 == 0 else (loser, winner)
    prompt = digest_text("prompt", changes.pop("prompt", "p"))
    row = {
        "comparison_id": digest_text("comparison", str(place)),
        "pair_id": digest_text(prompt, *sorted([IDS[first], IDS[second]])),
        "prompt_id": prompt,
        "response_a_id": IDS[first],
        "response_b_id": IDS[second],
        "preference": "a" if place % 2 == 0 else "b",
        "annotator": f"someone {place}",
        "annotator_kind": "human",
        "policy_version": "p-1",
        "rubric_version": "r-1",
    }
    return {**row, **changes}


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    columns = dedupe.CONTRACT.columns
    schema = {name: dtypes(COMPARISONS)[name] for name in columns}
    return pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], schema=schema)


def found(folder: Path, kept: pl.DataFrame, parts: int = 1) -> tuple[pl.DataFrame, dict[str, int]]:
    conflicts = Conflicts(folder / "aside", parts)
    for part in [kept] if parts == 1 else kept.partition_by("pair_id"):
        conflicts.add(part)
    told = conflicts.write(folder)["conflicts"]
    return pl.read_parquet(folder / "conflicts.parquet"), told


def circles(conflicts: pl.DataFrame) -> dict[str, set[str]]:
    """The pairs of each cycle, by its digest."""
    pairs: dict[str, set[str]] = defaultdict(set)
    for row in conflicts.filter(kind="cycle").to_dicts():
        pairs[row["cycle"]].add("".join(sorted(NAMES[row[f"response_{side}_id"]] for side in "ab")))
    return dict(pairs)


def ring(names: str, **changes: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """One vote for each step of a circle."""
    start = changes.pop("start", 0)
    steps = zip(names, names[1:] + names[0], strict=True)
    return [verdict(start + place, one, other, **changes) for place, (one, other) in enumerate(steps)]


def test_votes_for_both_responses_are_opposite(tmp_path: Path) -> None:
    rows = [
        verdict(0, "a", "b"),
        verdict(1, "b", "a"),
        verdict(2, "b", "a"),
        verdict(3, "a", "b", preference="tie"),
        verdict(4, "a", "b", preference="both_bad"),
        verdict(5, "c", "d"),
        verdict(6, "c", "d", preference="tie"),
    ]
    conflicts, told = found(tmp_path, frame(rows))
    a, b = sorted("ab", key=lambda name: IDS[name])
    count = {"a": 1, "b": 2}
    assert conflicts.to_dicts() == [
        {
            "kind": "opposite",
            "cycle": None,
            "prompt_id": digest_text("prompt", "p"),
            "pair_id": rows[0]["pair_id"],
            "policy_version": "p-1",
            "rubric_version": "r-1",
            "response_a_id": IDS[a],
            "response_b_id": IDS[b],
            "votes_a": count[a],
            "votes_b": count[b],
            "votes_tie": 1,
            "votes_both_bad": 1,
            "comparison_ids": sorted(row["comparison_id"] for row in rows[:5]),
        }
    ]
    assert told == {"opposite_pairs": 1, "cycles": 0, "pairs_in_cycles": 0}


NOT_OPPOSITE = {
    "one annotator, both presentation orders": [
        verdict(0, "a", "b", annotator="ann"),
        verdict(1, "b", "a", annotator="ann"),
    ],
    "under another rubric": [verdict(0, "a", "b"), verdict(1, "b", "a", rubric_version="r-2")],
    "under another policy": [verdict(0, "a", "b"), verdict(1, "b", "a", policy_version="p-0")],
    "a model against a human": [verdict(0, "a", "b"), verdict(1, "b", "a", annotator_kind="model")],
    "ties beside one side": [verdict(0, "a", "b"), verdict(1, "a", "b", preference="tie")],
    "agreement": [verdict(0, "a", "b"), verdict(1, "a", "b")],
    "to another prompt": [verdict(0, "a", "b"), verdict(1, "b", "a", prompt="q")],
}
OPPOSITE = {
    "two people": [verdict(0, "a", "b"), verdict(1, "b", "a")],
    "nobody named": [verdict(0, "a", "b", annotator=None), verdict(1, "b", "a", annotator=None)],
    "two models, where no human judged": [
        verdict(0, "a", "b", annotator_kind="model"),
        verdict(1, "b", "a", annotator_kind="rule"),
    ],
}


@pytest.mark.parametrize("name", NOT_OPPOSITE)
def test_what_is_no_opposite(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, frame(NOT_OPPOSITE[name]))[0].is_empty()


@pytest.mark.parametrize("name", OPPOSITE)
def test_what_is_an_opposite(tmp_path: Path, name: str) -> None:
    assert found(tmp_path, frame(OPPOSITE[name]))[0]["kind"].to_list() == ["opposite"]


CIRCLES: dict[str, tuple[list[dict[str, Any]], list[set[str]]]] = {
    "three": (ring("abc"), [{"ab", "bc", "ac"}]),
    "four without a circle of three": (ring("abcd"), [{"ab", "bc", "cd", "ad"}]),
    "two that share a response are one": (ring("abc") + ring("cde", start=9), [{"ab", "bc", "ac", "cd", "de", "ce"}]),
    "two apart": (ring("abc") + ring("def", start=9), [{"ab", "bc", "ac"}, {"de", "ef", "df"}]),
    "an edge between two circles is on neither": (
        [*ring("abc"), *ring("def", start=9), verdict(20, "a", "d")],
        [{"ab", "bc", "ac"}, {"de", "ef", "df"}],
    ),
    "the same under two rubrics": (
        ring("abc") + ring("abc", start=9, rubric_version="r-2"),
        [{"ab", "bc", "ac"}, {"ab", "bc", "ac"}],
    ),
    "under three rubrics together": (
        [
            verdict(0, "a", "b"),
            verdict(1, "b", "c", rubric_version="r-2"),
            verdict(2, "c", "a", rubric_version="r-3"),
        ],
        [],
    ),
    "about two prompts together": ([*ring("abc")[:2], verdict(2, "c", "a", prompt="q")], []),
    "a chain": ([verdict(0, "a", "b"), verdict(1, "b", "c"), verdict(2, "a", "c")], []),
    "a tie breaks it": ([*ring("abc"), verdict(9, "a", "c")], []),
    "a majority of one turns it": ([*ring("abc"), verdict(9, "a", "c"), verdict(11, "a", "c")], []),
    "opposite votes only": ([verdict(0, "a", "b"), verdict(1, "b", "a")], []),
}


@pytest.mark.parametrize("name", CIRCLES)
def test_circles(tmp_path: Path, name: str) -> None:
    rows, expected = CIRCLES[name]
    conflicts, told = found(tmp_path, frame(rows))
    assert sorted(map(sorted, circles(conflicts).values())) == sorted(map(sorted, expected))
    assert (told["cycles"], told["pairs_in_cycles"]) == (len(expected), sum(map(len, expected)))


def test_a_pair_may_be_of_both_kinds(tmp_path: Path) -> None:
    rows = [*ring("abc"), verdict(9, "b", "a"), verdict(10, "a", "b")]
    conflicts, told = found(tmp_path, frame(rows))
    both = conflicts.filter(pair_id=rows[0]["pair_id"])
    assert both["kind"].to_list() == ["cycle", "opposite"]
    assert both["votes_a"].to_list() == both["votes_a"].reverse().to_list()
    assert told == {"opposite_pairs": 1, "cycles": 1, "pairs_in_cycles": 3}


def test_the_name_of_a_cycle_never_changes(tmp_path: Path) -> None:
    members = ",".join(sorted(IDS[name] for name in "abc"))
    expected = digest_text("cycle", digest_text("prompt", "p"), "p-1", "r-1", members)
    turned = [
        verdict(place, loser, winner) for place, (winner, loser) in enumerate([("a", "b"), ("b", "c"), ("c", "a")])
    ]
    assert set(found(tmp_path, frame(ring("abc")))[0]["cycle"]) == {expected}
    assert set(found(tmp_path, frame(turned))[0]["cycle"]) == {expected} == {"d73aecc6b0c060a12a7696fca47e2a7d"}


def test_nothing_kept_gives_an_empty_table(tmp_path: Path) -> None:
    for kept in (frame([]), frame([verdict(0, "a", "b", preference="tie")])):
        conflicts, told = found(tmp_path, kept)
        assert conflicts.is_empty()
        assert set(told.values()) == {0}
    nothing = Conflicts(tmp_path / "aside", 16)
    assert set(nothing.write(tmp_path)["conflicts"].values()) == {0}


drawn = st.lists(
    st.builds(
        lambda ends, preference, who, kind, rubric, prompt: (
            *ends,
            {
                "preference": preference,
                "annotator": who,
                "annotator_kind": kind,
                "rubric_version": rubric,
                "prompt": prompt,
            },
        ),
        st.sampled_from([(one, other) for one in "abcde" for other in "abcde" if one != other]),
        st.sampled_from(["a", "b", "a", "b", "tie", "both_bad"]),
        st.sampled_from(["ann", "bob", None, None, None]),
        st.sampled_from(["human", "human", "human", "model"]),
        st.sampled_from(["r-1", "r-1", "r-1", "r-2"]),
        st.sampled_from(["p", "p", "p", "q"]),
    ),
    max_size=40,
)


def by_hand(rows: list[dict[str, Any]]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Count with dictionaries, search with networkx: the keys of opposite pairs, and of pairs on a circle."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["prompt_id"], row["rubric_version"], row["pair_id"]].append(row)
    opposite: set[tuple[str, str]] = set()
    graphs: dict[tuple[str, str], Any] = defaultdict(nx.DiGraph)
    for (prompt, rubric, pair), group in groups.items():
        humans = [row for row in group if row["annotator_kind"] == "human"]
        said: Counter[tuple[str, str]] = Counter()
        for row in humans or group:
            voter = (row["annotator"] or row["comparison_id"], row["annotator_kind"])
            towards = {"a": row["response_a_id"], "b": row["response_b_id"]}.get(row["preference"])
            said[voter] += (
                0 if towards is None else 1 if towards == min(row["response_a_id"], row["response_b_id"]) else -1
            )
        for_lesser, for_greater = (sum(vote * sign > 0 for vote in said.values()) for sign in (1, -1))
        if for_lesser and for_greater:
            opposite.add((pair, rubric))
        if for_lesser != for_greater:
            ends = sorted([group[0]["response_a_id"], group[0]["response_b_id"]])
            graphs[prompt, rubric].add_edge(*(ends if for_greater > for_lesser else ends[::-1]), pair=pair)
    circular: set[tuple[str, str]] = set()
    for (_, rubric), graph in graphs.items():
        for cycle in nx.simple_cycles(graph):
            circular |= {(graph.edges[edge]["pair"], rubric) for edge in zip(cycle, cycle[1:] + cycle[:1], strict=True)}
    return opposite, circular


@given(drawn, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_conflicts_are_those_that_a_search_finds_in_any_order_and_any_parts(
    tmp_path_factory: pytest.TempPathFactory,
    said: list[Any],
    chance: Any,  # noqa: ANN401
) -> None:
    rows = [verdict(2 * place, one, other, **changes) for place, (one, other, changes) in enumerate(said)]
    folder = tmp_path_factory.mktemp("conflicts")
    conflicts, told = found(folder, frame(rows))
    keys = {
        kind: set(conflicts.filter(kind=kind).select("pair_id", "rubric_version").rows())
        for kind in ("opposite", "cycle")
    }
    assert (keys["opposite"], keys["cycle"]) == by_hand(rows)
    assert told["opposite_pairs"] + told["pairs_in_cycles"] == conflicts.height
    written = (folder / "conflicts.parquet").read_bytes()
    chance.shuffle(rows)
    assert found(folder, frame(rows), parts=16)[1] == told
    assert (folder / "conflicts.parquet").read_bytes() == written


def test_rows_that_wait_on_disk_are_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "_BLOCK_BYTES", 1)
    rows = [row for i in range(40) for row in ring("abcde", start=100 * i, prompt=str(i))]
    rows += [verdict(100 * i + 50, "b", "a", prompt=str(i)) for i in range(20)]
    conflicts, told = found(tmp_path, frame(rows), parts=16)
    # An opposite vote ties its pair, and the circle is none any more.
    assert told == {"opposite_pairs": 20, "cycles": 20, "pairs_in_cycles": 100}
    assert conflicts.equals(conflicts.sort("pair_id", "policy_version", "rubric_version", "kind"))


def test_a_large_circle_needs_no_deep_stack(tmp_path: Path) -> None:
    names = [digest_text("response", str(i)) for i in range(20_000)]
    rows = ring("abc")
    steps = zip(names, [*names[1:], names[0]], strict=True)
    template = rows[0]
    rows += [
        {
            **template,
            "comparison_id": digest_text("c", one),
            "pair_id": digest_text("p", *sorted([one, other])),
            "response_a_id": one,
            "response_b_id": other,
            "preference": "a",
        }
        for one, other in steps
    ]
    assert found(tmp_path, frame(rows))[1] == {"opposite_pairs": 0, "cycles": 2, "pairs_in_cycles": 20_003}


def test_dedupe_tells_of_the_conflicts_among_what_it_keeps(project: Built) -> None:
    answers = {"a": "Rock.", "b": "Paper.", "c": "Scissors."}
    circle = [record(a=answers[one], b=answers[other], annotator=one) for one, other in ("ab", "bc", "ca")]
    opposite = [record(prompt="Tea?", annotator="ann"), record(prompt="Tea?", annotator="bob", preference="b")]
    again = [record(prompt="Milk?", at="2026-01-01"), record(prompt="Milk?", at="2026-01-02", preference="b")]
    fields = {"created_at": "at", "event_id": "event"}
    numbered = [{"event": place, **one} for place, one in enumerate([*circle, *opposite, *again])]
    project.source("s", {"x.jsonl": lines(*numbered)}, fields={**SIDECAR["fields"], **fields})
    project.run("ingest", "validate", "dedupe")
    assert project.reasons("dedupe") == {"superseded": 1}
    assert project.account("dedupe")["conflicts"] == {"opposite_pairs": 1, "cycles": 1, "pairs_in_cycles": 3}
    conflicts = project.table("dedupe/conflicts")
    kept = project.table("dedupe/decisions").filter(pl.col("drop_reason").is_null())["comparison_id"]
    assert set(conflicts["comparison_ids"].explode()) <= set(kept)
    assert conflicts["kind"].value_counts().sort("kind").rows() == [("cycle", 3), ("opposite", 1)]
