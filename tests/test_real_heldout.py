"""On real logs: nothing near stands on two sides, by plain Python; and whatever logs come later, nothing moves."""

from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path

import polars as pl
import pytest

from tests import brute
from tests.building import Built
from tests.near_sides import STRICT, THRESHOLD, expected_reasons, met_reasons, prompts_of
from tests.real_building import SOURCES, real_project

pytestmark = [pytest.mark.real, pytest.mark.slow]

NAMES = [sidecar.parent.name for sidecar in sorted(SOURCES.glob("*/source.yaml"))]
STAGES = ("ingest", "validate", "dedupe", "near", "decontaminate", "split")


@pytest.fixture(scope="module")
def versions(real: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Built]:
    """Three versions of the data: a third of the sources, two thirds, all of them."""
    return [
        real_project(real, tmp_path_factory.mktemp(f"version{part}"), *NAMES[: len(NAMES) * part // 3]).run(*STAGES)
        for part in (1, 2, 3)
    ]


def test_nothing_near_is_kept_on_two_sides(versions: list[Built]) -> None:
    """Each text of a kept row is compared with each of another side, prompts with prompts and roots with roots."""
    kept = prompts_of(versions[-1]).filter(pl.col("drop_reason").is_null())
    met = 0
    for text, (weak, strict) in product(("turns", "root"), product(STRICT, STRICT)):
        if STRICT[weak] < STRICT[strict]:
            mine, others = ([*kept.filter(side=side)[text].unique().sort()] for side in (strict, weak))
            met += len(mine)
            assert [round(found, 3) for _, _, found in brute.near_some(others, mine, THRESHOLD)] == []
    assert met > 100


def test_withheld_rows_have_the_neighbour_that_they_are_withheld_for(versions: list[Built]) -> None:
    """Plain Python finds exactly the rows that are near a prompt of a stricter side of which dedupe kept a row."""
    rows = prompts_of(versions[-1])
    near = rows.filter(pl.col("drop_reason").is_null() | pl.col("drop_reason").str.starts_with("near_"))
    assert met_reasons(near, expected_reasons(rows)) == {"near_heldout", "near_validation", None}


def test_no_prompt_moves_as_logs_grow(versions: list[Built]) -> None:
    sides = [dict(prompts_of(version).select("root_id", "side").unique().iter_rows()) for version in versions]
    assert len(sides[0]) < len(sides[1]) < len(sides[2])
    for fewer, more in pairwise(sides):
        assert fewer.items() <= more.items()


def test_more_logs_only_withhold(versions: list[Built]) -> None:
    kept = [
        set(version.table("split/decisions").filter(pl.col("drop_reason").is_null())["comparison_id"])
        for version in versions
    ]
    for version, fewer, more in zip(versions[1:], kept, kept[1:], strict=False):
        gone = version.table("split/decisions").filter(pl.col("comparison_id").is_in(list(fewer - more)))
        assert set(gone["drop_reason"]) <= {"near_heldout", "near_validation"}


@pytest.fixture
def given(versions: list[Built]) -> Iterator[pl.DataFrame]:
    """What a release of everything on train and validation gave away, by somebody who withheld nothing."""
    last = versions[-1]
    near = pl.col("drop_reason").is_in(["near_heldout", "near_validation"])
    rows = prompts_of(last).filter((pl.col("drop_reason").is_null() | near) & (pl.col("side") != "heldout"))
    last.gave_away("first", *rows.select("match_key", "root_id", "side").unique().iter_rows())
    last.run("near", "split")
    yield rows
    (last.released / "first.parquet").unlink()
    last.run("near", "split")


def test_what_is_near_released_prompts_is_not_held_out_and_these_stay(
    versions: list[Built], given: pl.DataFrame
) -> None:
    found = prompts_of(versions[-1])
    reasons = found.join(given.select("comparison_id"), on="comparison_id", how="semi")["drop_reason"]
    assert set(reasons) == {None, "near_validation"}
    assert found.filter(drop_reason="seen_in_training").height > 0
    for text in ("turns", "root"):
        kept = [*found.filter((pl.col("side") == "heldout") & pl.col("drop_reason").is_null())[text].unique().sort()]
        assert kept
        assert [*brute.near_some([*given[text].unique().sort()], kept, THRESHOLD)] == []
