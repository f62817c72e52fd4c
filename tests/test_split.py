"""Sides hang on roots alone; purposes withhold, they never move."""

import hmac
from typing import Any

import polars as pl
import pytest

from pipeline.core.errors import PairtrailError
from pipeline.core.params import build
from pipeline.core.sides import Division, side, sided
from pipeline.stages.split import Params
from tests.building import PARAMS, SIDECAR, Built, lines, record


def many(**changes: Any) -> str:  # noqa: ANN401
    return lines(*(record(prompt=f"Question {i}?", **changes) for i in range(60)))


def sides(built: Built) -> dict[str, str]:
    roots = built.comparisons().select("comparison_id", "root_id")
    decisions = built.table("split/decisions").join(roots, on="comparison_id")
    return dict(decisions.select("root_id", "side").iter_rows())


def test_a_side_is_a_keyed_hash_of_the_root() -> None:
    params = Params("salt", 3, 0.25, 0.25, "ai-alignment", "ai-evaluation")
    for i in range(50):
        root = f"{i:032x}"
        framed = b"".join(b"%d:%b," % (len(part), part) for part in (b"side", b"3", root.encode()))
        place = int(hmac.new(b"salt", framed, "sha256").hexdigest()[:13], 16) / 16**13
        expected = "heldout" if place < 0.25 else "validation" if place < 0.5 else "train"
        assert pl.select(side(pl.lit(root), params)).item() == expected


def test_a_pinned_root_stands_where_it_is_pinned_and_no_other_moves() -> None:
    by = Division("salt", 1, 0.3, 0.3)
    rows = pl.LazyFrame({"near_root": [f"{i:032x}" for i in range(60)] * 2})
    own = dict(rows.select("near_root", side(pl.col("near_root"), by)).collect().iter_rows())
    pins = {
        root: to
        for (root, _), to in zip(sorted(own.items())[:30], ["train", "validation", "heldout"] * 10, strict=True)
    }
    pinned = pl.LazyFrame({"root_id": list(pins), "side": list(pins.values())})
    found = sided(rows, "near_root", by, pinned, "stands").collect()
    assert found.columns == ["near_root", "stands"]
    assert found.height == 120
    assert dict(found.iter_rows()) == {**own, **pins}
    assert {**own, **pins} != own


def test_fractions_are_kept() -> None:
    params = Params("salt", 1, 0.1, 0.2, "ai-alignment", "ai-evaluation")
    roots = pl.Series([f"{i:032x}" for i in range(20_000)])
    shares = dict(pl.select(side(pl.lit(roots), params)).to_series().value_counts(normalize=True).iter_rows())
    assert shares == pytest.approx({"heldout": 0.1, "validation": 0.2, "train": 0.7}, abs=0.01)


def test_purposes_that_do_not_cover_a_side_withhold(project: Built) -> None:
    sources = {
        "both": ["ai-alignment", "ai-evaluation"],
        "training": ["ai-alignment"],
        "testing": ["ai-evaluation"],
    }
    for name, purposes in sources.items():
        consent = {**SIDECAR["consent"], "purposes": purposes}
        project.source(name, {"x.jsonl": many(annotator=name)}, consent=consent)
    project.run("ingest", "validate", "dedupe", "split")
    named = project.table("split/decisions").join(
        project.comparisons().select("comparison_id", "source"), on="comparison_id"
    )
    withheld = (
        named.filter(drop_reason="purpose_not_covered").select("source", heldout=pl.col("side") == "heldout").unique()
    )
    assert sorted(withheld.rows()) == [("testing", False), ("training", True)]
    assert set(named.filter(source="both")["drop_reason"]) == {None}
    assert set(named["side"]) == {"train", "validation", "heldout"}


def test_other_sources_move_nothing(new_project: Any) -> None:  # noqa: ANN401
    alone = new_project("alone").source("s", {"x.jsonl": many()}).run("ingest", "validate", "dedupe", "split")
    crowd = new_project("crowd").source("s", {"x.jsonl": many()})
    crowd.source("t", {"x.jsonl": many(annotator="else")}).run("ingest", "validate", "dedupe", "split")
    assert sides(alone) == sides(crowd)


def test_one_opening_has_one_side(project: Built) -> None:
    def turns(i: int) -> list[dict[str, str]]:
        opening = {"role": "user", "content": " HELLO" if i % 2 else "hello"}
        return [opening, {"role": "assistant", "content": "hi"}, {"role": "user", "content": f"{i}?"}]

    fields = {**SIDECAR["fields"], "prompt": {"messages": "prompt"}}
    rows = lines(*(record(prompt=turns(i)) for i in range(30)))
    project.source("s", {"x.jsonl": rows}, fields=fields).run("ingest", "validate", "dedupe", "split")
    assert project.table("split/decisions")["side"].n_unique() == 1


@pytest.mark.parametrize("change", [{"heldout": 0.0}, {"heldout": 0.6, "validation": 0.4}, {"validation": -0.1}])
def test_fractions_that_leave_nothing_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(PairtrailError, match="train needs a share"):
        build(Params, {**PARAMS["split"], **change}, "params.yaml")
