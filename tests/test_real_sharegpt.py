"""LLaMA-Factory's demo sets: repeated rows, and labels that meet at one prompt, counted here with plain Python."""

import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.building import Built
from tests.real_building import real_project

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def built(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return real_project(real, tmp_path_factory.mktemp("sharegpt"), "llamafactory", "llamafactory_kto").run()


def rows_of(real: Path, name: str) -> list[dict[str, Any]]:
    raw = (real / "llamafactory" / name).read_bytes()
    rows: list[dict[str, Any]] = json.loads(gzip.decompress(raw) if name.endswith(".gz") else raw)
    return rows


@pytest.mark.parametrize(("name", "repeated"), [("dpo_en_demo.json.gz", 5), ("dpo_zh_demo.json", 11)])
def test_each_row_gives_its_comparison_and_repeated_rows_are_copies(
    built: Built, real: Path, name: str, repeated: int
) -> None:
    rows = rows_of(real, name)
    exact = Counter(json.dumps(row, sort_keys=True) for row in rows)
    assert (len(rows), len(rows) - len(exact)) == (300, repeated)
    places = built.table("ingest/occurrences").filter(source_file=f"llamafactory/{name}", part="verdict")
    assert (places.height, places.filter(~places["canonical"]).height) == (300, repeated)
    roles = {"human": "user", "gpt": "assistant", "system": "system"}
    expected = {
        (
            tuple((roles[message["from"]], message["value"]) for message in row["conversations"]),
            row["chosen"]["value"],
            row["rejected"]["value"],
        )
        for row in rows
    }
    found = built.comparisons().join(places, on="comparison_id", how="semi").to_dicts()
    assert {row["preference"] for row in found} == {"a"}
    assert expected == {
        (tuple((one["role"], one["content"]) for one in row["prompt"]), row["response_a"], row["response_b"])
        for row in found
    }


def test_records_and_reasons(built: Built) -> None:
    account = built.account("ingest")
    assert account["quarantined_by"] == {}
    told = {outcome: count for outcome, count in account["records_by_source"]["llamafactory"].items() if count}
    assert told == {"gave_comparisons": 584, "only_copies": 16}
    told = {outcome: count for outcome, count in account["records_by_source"]["llamafactory_kto"].items() if count}
    assert told == {"gave_comparisons": 2, "no_comparison": 298}


def test_labels_meet_at_one_prompt_of_297(built: Built, real: Path) -> None:
    labels: dict[str, list[tuple[bool, str]]] = defaultdict(list)
    for row in rows_of(real, "kto_en_demo.json"):
        labels[json.dumps(row["messages"][:-1])].append((row["label"], row["messages"][-1]["content"]))
    # 300 records have 297 prompts: three stand twice, two of them with `true` both times.
    assert len(labels) == 297
    both = [found for found in labels.values() if len({label for label, _ in found}) == 2]
    [[(first, one), (_, other)]] = both
    chosen, rejected = (one, other) if first else (other, one)
    [row] = built.comparisons().filter(source="llamafactory_kto").to_dicts()
    shown = {"a": (row["response_a"], row["response_b"]), "b": (row["response_b"], row["response_a"])}
    assert shown[row["preference"]] == (chosen, rejected)
    reasons = built.table("ingest/records").filter(source="llamafactory_kto", outcome="no_comparison")["reason"]
    assert dict(reasons.value_counts().iter_rows()) == {"one_label": 298}
