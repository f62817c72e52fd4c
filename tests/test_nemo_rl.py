"""NeMo RL: JSON lines in rank format, 0 preferred."""

import json
from pathlib import Path

import datasets
import pytest

from tests.exporting import exported, pair, said

TURNS = (("system", "Be brief."), ("user", "Why?"), ("assistant", "Because."), ("user", "Is it? é"))


@pytest.mark.parametrize("task", ["dpo", "reward"])
def test_a_line_is_the_documented_one(tmp_path: Path, task: str) -> None:
    published = pair(*TURNS, chosen=" Yes.\n", rejected="No.")
    exported(tmp_path, "nemo_rl", published, task=task)
    (line,) = (tmp_path / "out/train.jsonl").read_text(encoding="utf-8").splitlines()
    assert line == (
        '{"context":[{"role":"system","content":"Be brief."},{"role":"user","content":"Why?"},'
        '{"role":"assistant","content":"Because."},{"role":"user","content":"Is it? é"}],'
        '"completions":[{"rank":0,"completion":[{"role":"assistant","content":" Yes.\\n"}]},'
        '{"rank":1,"completion":[{"role":"assistant","content":"No."}]}],'
        f'"pair_id":"{published["pair_id"]}"}}'
    )


def test_datasets_reads_messages_and_ranks(tmp_path: Path) -> None:
    """What NeMo RL's PreferenceDataset does with the file: open it as JSON, and add a column `task_name`."""
    rows = [pair(*TURNS, chosen=f"Yes, {number}.") for number in range(3)]
    exported(tmp_path, "nemo_rl", *rows, pair(("user", "Q")))
    file = str(tmp_path / "out/train.jsonl")
    found = datasets.load_dataset("json", data_files=file, split="train", cache_dir=str(tmp_path / "cache"))
    found = found.add_column("task_name", ["train"] * len(found))
    expected = {row["pair_id"]: row for row in [*rows, pair(("user", "Q"))]}
    assert len(found) == 4
    for row in found:
        published = expected[row["pair_id"]]
        assert row["context"] == published["prompt"]
        better, worse = row["completions"]
        assert better["rank"] < worse["rank"]
        assert row["context"] + better["completion"] == [
            *published["prompt"],
            *said(("assistant", published["chosen"])),
        ]
        assert row["context"] + worse["completion"] == [*published["prompt"], *said(("assistant", "No."))]


def test_every_line_has_two_ranked_completions_and_no_column_of_the_loader_s(tmp_path: Path) -> None:
    """Its loader adds `task_name`, and fails where a file has one."""
    exported(tmp_path, "nemo_rl", pair(*TURNS), pair(("user", "Q"), strength=None), pair(("user", "R"), chosen="1"))
    lines = (tmp_path / "out/train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 3
    for row in rows:
        assert set(row) == {"context", "completions", "pair_id"}
        assert [ranked["rank"] for ranked in row["completions"]] == [0, 1]
        assert [len(ranked["completion"]) for ranked in row["completions"]] == [1, 1]
