"""The facts that others counted in real feedback logs, found again; and the same facts counted here with plain Python.

`tests/real_sources/README.md` says how to build a project from these logs by hand.
"""

import csv
import gzip
import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.building import Built
from tests.real_building import SOURCES, real_project

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def built(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A project of all the sources, whose raw files are links to the real logs."""
    names = [sidecar.parent.name for sidecar in sorted(SOURCES.glob("*/source.yaml"))]
    return real_project(real, tmp_path_factory.mktemp("real"), *names).run()


def of_source(built: Built, source: str) -> pl.DataFrame:
    return built.comparisons().filter(source=source)


def dropped(built: Built, source: str) -> dict[str, int]:
    fates = built.account("validate")["by_source"][source]
    return {reason: count for reason, count in fates.items() if reason != "kept"}


def folded(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip()


def verdicts_per_source(built: Built) -> dict[str, int]:
    verdicts = built.table("ingest/occurrences").filter(part="verdict")
    return dict(verdicts.group_by("source").len().iter_rows())


def test_every_record_and_every_vote_is_accounted_for(built: Built) -> None:
    records = built.account("ingest")["records_by_source"]
    assert {source: sum(outcomes.values()) for source, outcomes in records.items()} == {
        "conture": 119,
        "hh_rlhf": 2_312,
        "llamafactory": 600,
        "llamafactory_kto": 300,
        "oasst": 100,
        "pandalm": 999,
        "llmfao": 8_931 + 2_139 + 2_228,
        "ukp_convarg": 9_967,
        "autoj": 1_392,
        "ja_vicuna": 480,
    }
    assert verdicts_per_source(built) == {
        "conture": 271,
        "hh_rlhf": 2_312 - 5,
        "llamafactory": 600,
        "llamafactory_kto": 1,
        "oasst": 754,
        "pandalm": 999 * 3 - 6 * 3,
        "llmfao": 8_931 + 2_139,
        "ukp_convarg": 9_967,
        "autoj": 1_392,
        "ja_vicuna": 960,
    }


def test_hh_rlhf(built: Built, real: Path) -> None:
    assert built.reasons("ingest")["contexts_differ"] == 5
    # Eight chosen transcripts have one role twice in a row; in four of these the contexts differ as well.
    assert dropped(built, "hh_rlhf") == {"empty_response": 4, "roles_not_alternating": 4}
    with gzip.open(real / "hh_rlhf" / "harmless-base-test.jsonl.gz") as stream:
        records = [json.loads(line) for line in stream]
    twice = [one for one in records if _twice(one["chosen"])]
    assert len(twice) == 8
    assert sum(_context(one["chosen"]) == _context(one["rejected"]) for one in twice) == 4
    first = built.comparisons().filter(source="hh_rlhf").select(pl.col("prompt").list.first().struct.field("content"))
    kept = {folded(text).lower() for text in first.to_series()}
    assert len({folded(_first_turn(one["chosen"])).lower() for one in records}) == 2_177
    assert of_source(built, "hh_rlhf")["root_id"].n_unique() == len(kept)
    verdicts = of_source(built, "hh_rlhf").group_by("pair_id").agg(pl.struct("response_a_id", "preference").n_unique())
    assert verdicts["response_a_id"].max() == 1


def _turns(text: str) -> list[str]:
    return re.findall(r"\n\n(Human|Assistant):", text)


def _twice(text: str) -> bool:
    roles = _turns(text)
    return any(one == other for one, other in pairwise(roles))


def _context(text: str) -> str:
    return text[: text.rindex("\n\nAssistant:")]


def _first_turn(text: str) -> str:
    return re.split(r"\n\n(?:Human|Assistant):", text)[1]


def test_pandalm(built: Built, real: Path) -> None:
    items = json.loads((real / "pandalm" / "testset-v1.json").read_text(encoding="utf-8"))
    strange = [one for one in items if isinstance(one["response1"], bool) or isinstance(one["response2"], bool)]
    faults = built.table("ingest/quarantine").filter(source="pandalm")
    assert faults["reason"].unique().to_list() == ["wrong_type"]
    assert sorted(faults["source_row"].unique()) == sorted(items.index(one) + 1 for one in strange)
    sound = [one for one in items if one not in strange]
    texts = {(one["instruction"], one["input"], one["response1"], one["response2"]) for one in sound}
    votes = {
        (one["instruction"], one["input"], one["response1"], one["response2"], who, one[who])
        for one in sound
        for who in ("annotator1", "annotator2", "annotator3")
    }
    found = of_source(built, "pandalm")
    assert found.height == len(votes)
    # 863 unique items by exact text; the six with booleans are never written, and two of the items with white space
    # at an end share their responses with others once stripped.
    shown = found.select("prompt_id", "response_a_id", "response_b_id").unique().height
    stripped = {(folded(f"{p}\n\n{i}"), a.strip(), b.strip()) for p, i, a, b in texts}
    assert shown == len(stripped)
    # The fact counts an item once whichever response comes first.
    unordered = {
        (one["instruction"], one["input"], *sorted([str(one["response1"]), str(one["response2"])])) for one in items
    }
    assert len(unordered) == 863
    pairs = {(folded(f"{p}\n\n{i}"), *sorted([a.strip(), b.strip()])) for p, i, a, b in texts}
    assert found["pair_id"].n_unique() == len(pairs)
    assert found["prompt_id"].n_unique() == len({folded(f"{p}\n\n{i}") for p, i, _, _ in texts})
    assert len({folded(f"{one['instruction']}\n\n{one['input']}") for one in items}) == 170
    empty = [one for one in items if one not in strange and not (one["response1"].strip() and one["response2"].strip())]
    delivered = built.table("ingest/occurrences").filter(source="pandalm", part="verdict")
    reasons = built.table("validate/decisions").filter(drop_reason="empty_response")
    assert delivered.join(reasons, on="comparison_id", how="semi").height == len(empty) * 3


def test_llmfao(built: Built, real: Path) -> None:
    found = of_source(built, "llmfao")
    assert built.account("ingest")["records_by_source"]["llmfao"]["reference"] == 2_228
    assert found["prompt_id"].n_unique() == 13
    humans = found.filter(annotator_kind="human")
    assert humans.height == 8_931
    assert humans["annotator"].n_unique() == 124
    reasons = built.table("validate/decisions")
    empty = humans.join(reasons.filter(drop_reason="empty_response"), on="comparison_id", how="semi")
    assert empty.height == 1_208
    pairs = {}
    for line in (real / "llmfao" / "pairs-crowd.jsonl").read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        pairs[one["id"]] = (folded(one["text"]), one["result_x"].strip(), one["result_y"].strip())
    # 1,773 text pairs where responses are folded and lower-cased; ours keep exact responses.
    exact = {(text, *sorted([x, y])) for text, x, y in pairs.values()}
    assert found["pair_id"].n_unique() == len(exact)
    loose = {(text.lower(), *sorted([folded(x).lower(), folded(y).lower()])) for text, x, y in pairs.values()}
    assert len(loose) == 1_773
    shares = humans.filter(pl.col("preference") != "tie")["preference"].value_counts(normalize=True)
    assert dict(shares.iter_rows())["a"] == pytest.approx(0.533, abs=0.0005)
    assert humans.filter(preference="tie").height / humans.height == pytest.approx(0.389, abs=0.0005)


def _opposite(real: Path, form: Callable[[str], str]) -> int:
    pairs = {}
    for line in (real / "llmfao" / "pairs-crowd.jsonl").read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        pairs[str(one["id"])] = (folded(one["text"]).lower(), form(one["result_x"]), form(one["result_y"]))
    said: dict[tuple[str, ...], set[str]] = defaultdict(set)
    with (real / "llmfao" / "crowd-comparisons.csv").open(encoding="utf-8", newline="") as stream:
        for vote in csv.DictReader(stream):
            prompt, left, right = pairs[vote["id"]]
            if vote["winner"] != "tie":
                said[prompt, *sorted([left, right])].add({"left": left, "right": right}[vote["winner"]])
    return sum(len(responses) > 1 for responses in said.values())


def test_llmfao_opposite_votes_are_kept_apart(built: Built, real: Path) -> None:
    a, b = pl.col("preference") == "a", pl.col("preference") == "b"
    chosen = pl.when(a).then("response_a_id").when(b).then("response_b_id")
    found = of_source(built, "llmfao").filter(annotator_kind="human").with_columns(chosen=chosen)
    opposite = found.group_by("pair_id").agg(pl.col("chosen").drop_nulls().n_unique()).filter(pl.col("chosen") > 1)
    # 702 pairs where responses are folded and lower-cased; 705 where their exact text counts, as it does here.
    assert _opposite(real, lambda text: folded(text).lower()) == 702
    assert opposite.height == _opposite(real, str.strip) == 705
    assert _copies(built)["llmfao"] == 0


def _copies(built: Built) -> Counter[str]:
    verdicts = built.table("ingest/occurrences").filter(part="verdict", canonical=False)
    return Counter({"llmfao": 0, **dict(verdicts.group_by("source").len().iter_rows())})


def test_ukp_convarg(built: Built, real: Path) -> None:
    found = of_source(built, "ukp_convarg")
    counted: Counter[str] = Counter()
    for file in sorted((real / "ukp_convarg").glob("*.csv")):
        with file.open(encoding="utf-8", newline="") as stream:
            counted.update(one["value"] for one in csv.DictReader(stream))
    assert dict(found["preference"].value_counts().iter_rows()) == {
        "a": counted["a1"],
        "b": counted["a2"],
        "tie": counted["equal"],
    }
    assert found["created_at"].null_count() == 0
    assert found["rationale"].null_count() < found.height


def test_autoj(built: Built, real: Path) -> None:
    items: list[dict[str, Any]] = [
        json.loads(line) for line in (real / "autoj" / "autoj_pairwise.json").read_text(encoding="utf-8").splitlines()
    ]
    found = of_source(built, "autoj")
    assert found.filter(preference="tie").height / found.height == pytest.approx(0.268, abs=0.001)
    verdicts = {(one["prompt"], one["response 1"].strip(), one["response 2"].strip(), one["label"]) for one in items}
    loose = [one for one in items if folded(one["response 1"]).lower() == folded(one["response 2"]).lower()]
    assert len(loose) == 10
    # Ten identical items where folded and lower-cased; ours compares exact texts, and one item came twice.
    empty = sum(not (a and b) for _, a, b, _ in verdicts)
    equal = sum(a == b != "" for _, a, b, _ in verdicts)
    assert dropped(built, "autoj") == {"equal_responses": equal, "empty_response": empty}
    prompts = [folded(one["prompt"]).lower() for one in items]
    assert len(prompts) - len(set(prompts)) == 213
    assert found["match_key"].n_unique() == len(set(prompts))


def test_ja_vicuna(built: Built) -> None:
    found = of_source(built, "ja_vicuna")
    assert found.height == 960
    assert dict(found["presented_order"].value_counts().iter_rows()) == {"ab": 480, "ba": 480}
    both = found.join(built.table("ingest/occurrences").filter(part="verdict"), on="comparison_id")
    flips = (
        both.group_by("source_file", "source_row").agg(pl.col("preference").n_unique()).filter(pl.col("preference") > 1)
    )
    # 48 of 480 pairs of verdicts, where a tie that becomes a side counts too.
    assert flips.height == 48
    assert found["annotator"].n_unique() == 1


def test_both_accounts_of_the_build_add_up(built: Built) -> None:
    accounts = {stage: built.account(stage) for stage in ("ingest", "validate", "dedupe", "split", "publish")}
    records = accounts["ingest"]["records"]
    assert records["in"] == sum(count for outcome, count in records.items() if outcome != "in")
    comparisons = accounts["ingest"]["comparisons"]
    assert comparisons["candidates"] == comparisons["kept"] + comparisons["copies"] + comparisons["quarantined"]
    flow = comparisons["kept"]
    for stage in ("validate", "dedupe", "split", "publish"):
        account = accounts[stage]
        assert account["in"] == flow == account["kept"] + sum(account["dropped_by"].values())
        flow = account["kept"]
    published = pl.concat(built.table(f"publish/{side}/votes") for side in ("train", "validation", "heldout"))
    assert published["folded"].sum() == flow
    assert published.height == accounts["publish"]["in"]


def test_no_root_stands_on_two_sides(built: Built) -> None:
    roots = [set(built.table(f"publish/{side}/pairs")["root_id"]) for side in ("train", "validation", "heldout")]
    assert not roots[0] & roots[1]
    assert not roots[0] & roots[2]
    assert not roots[1] & roots[2]
