"""What heldout can show, by slice: against counts in plain Python, and figures worked out by hand."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.digests import digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.publishing.card import card
from pipeline.core.publishing.slices import Slices, smallest_change
from tests.building import SIDECAR, Built, lines, record

# 1.959964 and 0.841621 are the .975 and .80 quantiles of the normal distribution, as tables print them.
BY_HAND = {
    1: None,  # 2.801585 * .5 = 1.4008
    2: 0.990510,  # 2.801585 * sqrt(.125)
    4: 0.700396,  # 2.801585 / 4
    25: 0.280159,  # 2.801585 / 10
    100: 0.140079,  # 2.801585 / 20
    10_000: 0.014008,  # 2.801585 / 200
}


@pytest.mark.parametrize("roots", BY_HAND)
def test_the_smallest_change_by_hand(roots: int) -> None:
    found = smallest_change(roots)
    assert found == (BY_HAND[roots] and pytest.approx(BY_HAND[roots], abs=1.5e-6))
    assert smallest_change(0) is None


rows = st.fixed_dictionaries(
    {
        "root_id": st.sampled_from([digest_text("root", str(place)) for place in range(6)]),
        "side": st.sampled_from(["heldout", "heldout", "train", "validation"]),
        "table": st.sampled_from(["pairs", "pairs", "ties"]),
        "n": st.integers(1, 5),
        "sources": st.lists(st.sampled_from("stu"), min_size=1, unique=True).map(sorted),
        "category": st.sampled_from(["x", "y", "all", "", None]),
        "language": st.sampled_from(["en", "ja", None]),
    }
)
SCHEMA: dict[str, Any] = {
    **dict.fromkeys(["root_id", "side", "table", "category", "language"], pl.String),
    "n": pl.Int64,
    "sources": pl.List(pl.String),
}


def frame(drawn: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([{name: row[name] for name in SCHEMA} for row in drawn], schema=SCHEMA)


def fact(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    votes = [row["n"] for row in pairs]
    roots = len({row["root_id"] for row in pairs})
    change = 2.801585 * (0.25 / roots) ** 0.5 if roots else 2
    return {
        "heldout_roots": roots,
        "heldout_pairs": len(pairs),
        "votes_per_pair": round(sum(votes) / len(votes), 6) if votes else None,
        "fewer_than_three_votes": sum(count in {1, 2} for count in votes),
        "smallest_change": pytest.approx(change, abs=1.5e-6) if change <= 1 else None,
    }


def by_hand(drawn: list[dict[str, Any]]) -> dict[str, Any]:
    held = [row for row in drawn if (row["side"], row["table"]) == ("heldout", "pairs")]
    slices: dict[str, Any] = {}
    for kind in ("source", "category", "language"):
        of: dict[str | None, list[dict[str, Any]]] = defaultdict(list)
        for row in drawn:
            for value in row["sources"] if kind == "source" else [row[kind]]:
                of[value] += [row] if row in held else []
        unnamed = len(of.pop(None, []))
        slices[kind] = {"unnamed": unnamed, "values": {value: fact(pairs) for value, pairs in of.items()}}
    return {"heldout": fact(held), "slices": slices}


@given(st.lists(rows, max_size=30), st.integers(1, 5), st.sampled_from([1, 16]))
@settings(max_examples=80)
def test_slices_are_those_of_plain_python_in_any_parts(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[dict[str, Any]], size: int, parts: int
) -> None:
    numbered = [{**row, "place": place} for place, row in enumerate(drawn)]
    slices = Slices(tmp_path_factory.mktemp("slices"), parts)
    for first in range(0, len(drawn), size):
        slices.add(frame(drawn[first : first + size]))
    assert slices.facts() == by_hand(numbered)


FIELDS = {**SIDECAR["fields"], "category": "about", "language": {"constant": "en"}}


def built(project: Built, *records: dict[str, Any]) -> dict[str, Any]:
    project.source("s", {"x.jsonl": lines(*records)}, fields=FIELDS).run()
    content: dict[str, Any] = json.loads((project.stage("publish") / "manifest.json").read_text(encoding="utf-8"))
    return content


def several(**changes: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [
        record(prompt=f"Question {i // 2}?", a=f"Answer {i}.", about=("tea", "milk", None)[i // 2 % 3], **changes)
        for i in range(120)
    ]


def test_the_manifest_counts_what_stands_in_the_held_out_files(project: Built) -> None:
    manifest = built(project, *several(), *several(annotator="bob")[:40], *several(annotator="cid")[:20])
    pairs = project.table("publish/heldout/pairs").to_dicts()
    votes = [{**row, "n": sum(row["votes"].values())} for row in pairs]
    assert manifest["heldout"] == fact(votes)
    assert manifest["heldout"]["heldout_roots"] * 2 == len(pairs) > 4
    assert 0 < manifest["heldout"]["fewer_than_three_votes"] < len(pairs)
    for about in ("tea", "milk"):
        assert manifest["slices"]["category"]["values"][about] == fact(
            [row for row in votes if row["category"] == about]
        )
    assert manifest["slices"]["category"]["unnamed"] == sum(row["category"] is None for row in pairs) > 0
    assert manifest["slices"]["language"]["values"] == {"en": manifest["heldout"]}
    assert manifest["slices"]["source"]["values"] == {"s": manifest["heldout"]}


def test_no_held_out_root_stands_in_manifest_or_card(project: Built) -> None:
    built(project, *several())
    text = "".join(
        (project.stage("publish") / name).read_text(encoding="utf-8") for name in ("manifest.json", "README.md")
    )
    roots = project.table("publish/heldout/pairs")["root_id"].unique()
    assert len(roots) > 2
    assert not [root for root in roots if root in text]


def of_heldout(text: str) -> list[str]:
    return text.split("## What heldout can show")[1].split("\n## ", maxsplit=1)[0].splitlines()


def test_the_card_shows_the_slices_and_says_what_it_does_not_show(project: Built) -> None:
    manifest = built(project, *several())
    shown = of_heldout(card(manifest))
    whole = manifest["heldout"]
    roots, pairs, change = whole["heldout_roots"], whole["heldout_pairs"], 100 * whole["smallest_change"]
    assert f"| all |  | {roots} | {pairs} | 1.0 | {pairs} | {change:.1f} |" in shown
    assert f"| source | s | {roots} | {pairs} | 1.0 | {pairs} | {change:.1f} |" in shown
    unnamed = manifest["slices"]["category"]["unnamed"]
    assert f"- {unnamed} held-out pairs whose category nobody names, or not all votes alike." in shown
    one = fact([])
    many = {f"c{place}": {**one, "heldout_pairs": place} for place in range(53)}
    manifest["slices"]["category"] = {"unnamed": 0, "values": many}
    shown = of_heldout(card(manifest))
    assert [line.split(" | ")[1] for line in shown if line.startswith("| category")] == [
        f"c{i}" for i in range(52, 2, -1)
    ]
    assert "- 3 slices more by category; `manifest.json` has all of them." in shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a | b\n## c", "a &#124; b &#35;&#35; c"),
        ("<script>", "&#60;script&#62;"),
        ("[x](y)", "&#91;x&#93;&#40;y&#41;"),
        ("\u202eevil", "\ufffdevil"),
        ("", "(empty)"),
        ("long " * 40, f"{('long ' * 40)[:60]}..."),
    ],
)
def test_a_value_that_a_record_states_breaks_no_card(project: Built, value: str, shown: str) -> None:
    manifest = built(project, record())
    manifest["slices"]["category"]["values"] = {value: fact([])}
    assert f"| category | {shown} | 0 | 0 | - | 0 | - |" in of_heldout(card(manifest))


def sparse(project: Built, most_withheld: float) -> Built:
    """A project of which split withholds what is not held out: its purposes allow evaluation only."""
    consent = {**SIDECAR["consent"], "purposes": ["ai-evaluation"]}
    limits = {"most_quarantined": 1.0, "most_dropped": 1.0, "most_withheld": most_withheld, "fewest_train_pairs": 0}
    project.set_params(publish={"gate": limits})
    return project.source("s", {"x.jsonl": lines(*several())}, consent=consent)


def test_the_share_withheld_by_each_reason_is_told(project: Built) -> None:
    sparse(project, 1.0).run()
    account = project.account("split")
    share = round(account["dropped_by"]["purpose_not_covered"] / 120, 6)
    text = (project.stage("publish") / "manifest.json").read_text(encoding="utf-8")
    assert json.loads(text)["withheld"] == {"purpose_not_covered": share}
    row = f"| purpose_not_covered | {account['dropped_by']['purpose_not_covered']} | {100 * share:.1f} |"
    assert row in (project.stage("publish") / "README.md").read_text("utf-8")
    assert 0.5 < share < 1


def test_a_reason_that_withholds_too_much_fails_the_gate(project: Built) -> None:
    with pytest.raises(PairtrailError, match=r"withheld\.withheld_share: .*at reason=purpose_not_covered"):
        sparse(project, 0.5).run()
    assert not project.stage("publish").exists()


def test_where_nothing_is_withheld_the_gate_holds(project: Built) -> None:
    limits = {"most_quarantined": 0.0, "most_dropped": 0.0, "most_withheld": 0.0, "fewest_train_pairs": 1}
    project.set_params(publish={"gate": limits})
    assert built(project, *several())["withheld"] == {}
    assert (Path(project.stage("publish")) / "docs" / "withheld.html").is_file()
