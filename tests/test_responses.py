"""Labelled responses: each once, with the label that all votes on it give, or left out with a reason."""

from collections import Counter, defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.exporting.judged import Judged
from pipeline.core.exporting.responses import REASONS, labelled, labels
from pipeline.core.tables import write_table
from schemas.columns import dtypes
from schemas.published import PAIRS, TIES
from tests.building import build, lines, record
from tests.exporting import KEY, pair, pairs

Row = dict[str, Any]
VOTES = st.integers(0, 3)


def tie(prompt: str, a: str, b: str, votes: tuple[int, int, int, int], rubric: str) -> Row:
    """A published tie; `votes` are those for a, for b, tie and both_bad."""
    alike = pair(("user", prompt), chosen=a, rejected=b, rubric_version=rubric)
    counts = dict(zip(("a", "b", "tie", "both_bad"), votes, strict=True))
    return {**alike, "response_a": a, "response_b": b, "p_a": 0.5, "votes": counts}


def won(prompt: str, a: str, b: str, votes: tuple[int, int, int, int], rubric: str) -> Row:
    counts = dict(zip(("chosen", "rejected", "tie", "both_bad"), votes, strict=True))
    return pair(("user", prompt), chosen=a, rejected=b, rubric_version=rubric, votes=counts)


def labelled_of(won_rows: list[Row], tied_rows: list[Row]) -> tuple[list[Row], Counter[str]]:
    """What the two published tables give: the labelled responses, and how many have no label, by reason."""
    with TemporaryDirectory() as folder:
        tables = {"pairs": Path(folder) / "pairs.parquet", "ties": Path(folder) / "ties.parquet"}
        write_table(pairs(*won_rows), tables["pairs"], PAIRS, by=KEY)
        tied = pl.DataFrame([{name: row.get(name) for name in dtypes(TIES)} for row in tied_rows], schema=dtypes(TIES))
        write_table(tied, tables["ties"], TIES, by=KEY)
        thin = labels(tables, Judged())
        batches = list(labelled(tables, thin.filter(pl.col("reason").is_null())))
    return [row for batch in batches for row in batch.to_dicts()], Counter(thin["reason"].drop_nulls())


@st.composite
def published(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """Pairs and ties over few prompts and responses, so that responses meet several others, and no pair twice."""
    texts = ["A", "B", "C", "D"]
    met = [(p, a, b, r) for p in "PQ" for a in texts for b in texts if a < b for r in ("r-1", "r-2")]
    won_rows, tied_rows = [], []
    for prompt, a, b, rubric in draw(st.lists(st.sampled_from(met), unique=True, max_size=12)):
        more, less, ties, bad = (draw(VOTES) for _ in range(4))
        if draw(st.booleans()):
            first, second = draw(st.permutations([a, b]))
            won_rows.append(won(prompt, first, second, (less + more + 1, less, ties, bad), rubric))
        else:
            tied_rows.append(tie(prompt, a, b, (more, less, ties, bad), rubric))
    return won_rows, tied_rows


@given(published())
def test_each_response_stands_once_with_all_that_its_votes_say(tables: tuple[list[Row], list[Row]]) -> None:
    said: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in [*tables[0], *tables[1]]:
        votes = row["votes"]
        sides = [("chosen", "rejected"), ("rejected", "chosen")] if "chosen" in votes else [("a", "b"), ("b", "a")]
        texts = {"chosen": row["chosen"], "rejected": row["rejected"], "a": row["chosen"], "b": row["rejected"]}
        for mine, other in sides:
            counts = said[row["prompt"][0]["content"], texts[mine], row["rubric_version"]]
            counts[0] += votes[mine]
            counts[1] += votes[other] + votes["both_bad"]
    rows, reasons = labelled_of(*tables)
    found = {
        (row["prompt"][0]["content"], row["response"], row["rubric_version"]): [row["votes_for"], row["votes_against"]]
        for row in rows
    }
    assert len(rows) == len(found)
    assert found == {key: counts for key, counts in said.items() if counts[0] != counts[1]}
    assert all(row["desirable"] == (row["votes_for"] > row["votes_against"]) for row in rows)
    assert reasons["no_verdict"] == sum(counts == [0, 0] for counts in said.values())
    assert reasons["as_many_against"] == sum(counts[0] == counts[1] > 0 for counts in said.values())
    assert set(reasons) <= set(REASONS)


def test_a_response_that_wins_here_and_loses_there_has_the_label_of_more_votes() -> None:
    rows, _ = labelled_of(
        [won("P", "A", "B", (1, 0, 0, 0), "r-1"), won("P", "C", "A", (3, 0, 0, 0), "r-1")],
        [tie("P", "A", "D", (1, 1, 2, 0), "r-1")],
    )
    found = {row["response"]: (row["desirable"], row["votes_for"], row["votes_against"]) for row in rows}
    assert found == {"A": (False, 2, 4), "B": (False, 0, 1), "C": (True, 3, 0)}


def test_both_bad_is_against_both_and_a_tie_says_nothing() -> None:
    rows, reasons = labelled_of([], [tie("P", "A", "B", (0, 0, 0, 2), "r-1"), tie("Q", "A", "B", (0, 0, 4, 0), "r-1")])
    assert [(row["desirable"], row["votes_for"], row["votes_against"]) for row in rows] == [(False, 0, 2)] * 2
    assert reasons == {"no_verdict": 2}


def test_rubrics_are_not_added_up() -> None:
    rows, _ = labelled_of([won("P", "A", "B", (1, 0, 0, 0), "r-1"), won("P", "B", "A", (1, 0, 0, 0), "r-2")], [])
    assert {(row["response"], row["rubric_version"], row["desirable"]) for row in rows} == {
        ("A", "r-1", True), ("B", "r-1", False), ("B", "r-2", True), ("A", "r-2", False)
    }  # fmt: skip


def test_outer_white_space_makes_no_other_response_and_the_text_is_that_of_the_first_pair_before_any_tie() -> None:
    made = [won("P", "A", "B", (1, 0, 0, 0), "r-1"), won("P", " A\n", "C", (1, 0, 0, 0), "r-1")]
    rows, _ = labelled_of(made, [tie("P", f"\tA{' ' * i}", "D", (0, 0, 1, 0), "r-1") for i in range(9)])
    least = min(made, key=lambda row: row["pair_id"])
    (found,) = [row for row in rows if row["desirable"]]
    assert (found["response"], found["pair_id"], found["votes_for"]) == (least["chosen"], least["pair_id"], 2)


def test_one_annotator_has_one_vote_on_a_pair_however_often_they_say_it(tmp_path: Path) -> None:
    """The whole way from records: votes are those that folding counted."""
    shown = [record(annotator="ann"), record(annotator="ann", a="Magic.", b="Scattering.", preference="b")]
    built = build(tmp_path).source("s", {"x.jsonl": lines(*shown, record(annotator="bob", preference="both_bad"))})
    built.set_params(split={"heldout": 0.001, "validation": 0.001}).run()
    tables = {name: built.stage("publish") / "train" / f"{name}.parquet" for name in ("pairs", "ties")}
    assert {name: pl.read_parquet(path).height for name, path in tables.items()} == {"pairs": 0, "ties": 1}
    thin = labels(tables, Judged())
    assert Counter(thin["reason"]) == {"as_many_against": 1, None: 1}
    (row,) = pl.concat(labelled(tables, thin.filter(pl.col("reason").is_null()))).to_dicts()
    assert (row["response"], row["votes_for"], row["votes_against"]) == ("Magic.", 0, 2)
