"""Conflicts in real feedback logs, found again with plain Python and a search that is not ours."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx  # DVC brings it
import polars as pl
import pytest

from tests.building import Built
from tests.real_building import real_project

pytestmark = pytest.mark.real

Key = tuple[Any, str, str]
"""A prompt and the two responses, the lesser text first."""


@pytest.fixture(scope="module")
def built(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    names = ("llmfao", "hh_rlhf", "ukp_convarg")
    return real_project(real, tmp_path_factory.mktemp("real"), *names).run("ingest", "validate", "dedupe")


def conflicts_of(built: Built, source: str) -> pl.DataFrame:
    named = built.comparisons().select("comparison_id", "source").unique()
    rows = built.table("dedupe/conflicts").with_columns(comparison_id=pl.col("comparison_ids").list.first())
    return rows.join(named, on="comparison_id").filter(source=source)


def ukp(real: Path) -> Iterator[tuple[Key, str, int]]:
    for file in sorted((real / "ukp_convarg").glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as stream:
            for vote in csv.DictReader(stream):
                one, other = vote["argument_1"].strip(), vote["argument_2"].strip()
                towards_one = {"a1": 1, "a2": -1}.get(vote["value"], 0)
                key = ((vote["topic"], vote["stance"]), min(one, other), max(one, other))
                yield key, vote["worker"], towards_one if one <= other else -towards_one


def llmfao(real: Path) -> Iterator[tuple[Key, str, int]]:
    lines = (real / "llmfao" / "pairs-crowd.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = {str(one["id"]): one for one in map(json.loads, lines)}
    with (real / "llmfao" / "crowd-comparisons.csv").open(encoding="utf-8", newline="") as stream:
        for vote in csv.DictReader(stream):
            pair = pairs[vote["id"]]
            one, other = pair["result_x"].strip(), pair["result_y"].strip()
            towards_one = {"left": 1, "right": -1}.get(vote["winner"], 0)
            key = (" ".join(pair["text"].split()), min(one, other), max(one, other))
            yield key, vote["worker"], towards_one if one <= other else -towards_one


def counted(votes: Iterator[tuple[Key, str, int]]) -> dict[Key, Counter[int]]:
    """Count one vote for each person: the sign of the sum of their verdicts; an empty response is never judged."""
    said: dict[Key, Counter[str]] = defaultdict(Counter)
    for key, worker, sign in votes:
        if key[1] and key[2] and key[1] != key[2]:
            said[key][worker] += sign
    return {key: Counter((sum_ > 0) - (sum_ < 0) for sum_ in votes.values()) for key, votes in said.items()}


def circular(votes: dict[Key, Counter[int]]) -> tuple[int, int]:
    """Return how many components of three or more there are, and how many pairs lie on a circle."""
    graph: Any = nx.DiGraph()
    for (prompt, one, other), count in votes.items():
        if count[1] != count[-1]:
            ends = [(prompt, one), (prompt, other)]
            graph.add_edge(*(ends if count[-1] > count[1] else ends[::-1]))
    large = [found for found in nx.strongly_connected_components(graph) if len(found) > 2]
    return len(large), sum(graph.subgraph(found).number_of_edges() for found in large)


FOUND = {"llmfao": (664, 12, 426), "ukp_convarg": (812, 5, 1_430)}
"""By source: pairs with opposite votes, cycles, pairs on cycles."""


@pytest.mark.parametrize("source", FOUND)
def test_conflicts_are_those_that_plain_python_finds(built: Built, real: Path, source: str) -> None:
    votes = counted({"llmfao": llmfao, "ukp_convarg": ukp}[source](real))
    opposite = sum(count[1] > 0 and count[-1] > 0 for count in votes.values())
    assert (opposite, *circular(votes)) == FOUND[source]
    found = conflicts_of(built, source)
    rows = {kind: found.filter(kind=kind) for kind in ("opposite", "cycle")}
    assert (rows["opposite"].height, rows["cycle"]["cycle"].n_unique(), rows["cycle"].height) == FOUND[source]


def test_where_the_705_pairs_of_llmfao_with_opposite_verdicts_are(real: Path) -> None:
    """On 5 of them one person contradicts nobody but themself, and 36 have an empty response, which is not judged."""
    verdicts: dict[Key, set[int]] = defaultdict(set)
    people: dict[Key, Counter[str]] = defaultdict(Counter)
    for key, worker, sign in llmfao(real):
        verdicts[key].add(sign)
        people[key][worker] += sign
    assert sum({1, -1} <= signs for signs in verdicts.values()) == 705
    votes = {key: {(sign > 0) - (sign < 0) for sign in said.values()} for key, said in people.items()}
    opposite = [key for key, signs in votes.items() if {1, -1} <= signs]
    assert len(opposite) == 705 - 5
    assert sum(not (one and other) for _, one, other in opposite) == 36
    assert FOUND["llmfao"][0] == 705 - 5 - 36


def test_hh_has_no_conflict(built: Built) -> None:
    assert conflicts_of(built, "hh_rlhf").is_empty()
    assert built.account("dedupe")["conflicts"] == {
        "opposite_pairs": 664 + 812,
        "cycles": 12 + 5,
        "pairs_in_cycles": 426 + 1_430,
    }
