"""The sample's truth was counted by its maker, who knows nothing of the pipeline; the pipeline finds the same."""

import json
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from pipeline.core.consent.standing import REASONS as CONSENT_REASONS
from pipeline.core.ingested import scan_comparisons
from pipeline.core.publishing.folding import THIN, deciding, fold, oriented
from pipeline.demo import write_sample
from pipeline.stages.validate import REASONS
from tests.building import ROOT, Built
from tests.near_sides import expected_reasons, met_reasons, prompts_of

SEEDS = {"small": (7, 600), "other": (11, 1_500)}


@pytest.fixture(scope="module", params=SEEDS)
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Built, dict[str, Any]]:
    """A sample of its own seed, built with the repository's own params."""
    seed, comparisons = SEEDS[request.param]
    built = Built(tmp_path_factory.mktemp("sample"))
    truth = write_sample(built.root / "data", seed=seed, comparisons=comparisons)
    built.params.write_bytes((ROOT / "params.yaml").read_bytes())
    return built.run(), json.loads(json.dumps(truth))


Sample = tuple[Built, dict[str, Any]]


def test_records_and_their_outcomes(sample: Sample) -> None:
    built, truth = sample
    found = built.account("ingest")["records_by_source"]
    assert found == {name: {k: v for k, v in told.items() if v} for name, told in truth["records"].items()}


def test_candidates_copies_and_what_was_kept(sample: Sample) -> None:
    built, truth = sample
    account = built.account("ingest")
    assert account["comparisons"] == truth["comparisons"]
    assert account["kept_by_source"] == truth["kept_by_source"]


def test_every_quarantined_record_at_its_place(sample: Sample) -> None:
    built, truth = sample
    rows = built.table("ingest/quarantine").select("source_file", "source_row", "fan_out", "reason").rows()
    assert sorted(map(repr, rows)) == sorted(repr(tuple(row)) for row in truth["quarantine"]["rows"])


@pytest.mark.parametrize("stage", ["validate", "dedupe"])
def test_what_each_stage_drops_and_why(sample: Sample, stage: str) -> None:
    built, truth = sample
    assert built.reasons(stage) == truth[stage]["dropped_by"]
    kept = {source: fates["kept"] for source, fates in built.account(stage)["by_source"].items() if fates.get("kept")}
    assert kept == truth[stage]["kept_by_source"]


def test_every_drop_reason_of_validate_is_planted(sample: Sample) -> None:
    _, truth = sample
    # params.yaml allows any jurisdiction, so that reason never applies here.
    assert set(truth["validate"]["dropped_by"]) == set(REASONS) - {"jurisdiction_not_allowed"}


def test_the_consent_ledger_holds_what_was_planted(sample: Sample) -> None:
    built, truth = sample
    told = built.account("validate")["consent_ledger"]
    assert told.pop("as_of") == "2026-06-30"
    assert told == truth["consent_ledger"]


def test_each_row_meets_what_its_consents_come_to(sample: Sample) -> None:
    built, truth = sample
    told = {(one["consent_id"], one["subject"]): one for one in truth["consents"]}
    unknown = {"refused": "consent_unknown", "purposes": []}
    refs = dict(built.comparisons().unique("comparison_id").select("comparison_id", "consent_refs").rows())
    checked = Counter[str | None]()
    for row in built.table("validate/decisions").iter_rows(named=True):
        behind = [told.get((ref["consent_id"], ref["subject"]), unknown) for ref in refs[row["comparison_id"]]]
        refused = {one["refused"] for one in behind} - {None}
        if row["drop_reason"] is None:
            allowed = set[str].intersection(*(set(one["purposes"]) for one in behind))
            assert (refused, set(row["purposes"])) == (set(), allowed)
        elif row["drop_reason"] in CONSENT_REASONS and row["drop_reason"] not in refused:
            # The licence is the source's own.
            assert row["drop_reason"] == "license_not_allowed"
            assert not refused
        checked[row["drop_reason"]] += 1
    assert checked[None] == truth["validate"]["kept"]
    assert set(CONSENT_REASONS) - set(checked) == {"jurisdiction_not_allowed"}


def test_purposes_of_what_dedupe_keeps(sample: Sample) -> None:
    built, truth = sample
    sources = built.comparisons().unique("comparison_id").select("comparison_id", "source")
    kept = built.table("dedupe/decisions").filter(pl.col("drop_reason").is_null()).select("comparison_id")
    purposes = built.table("validate/decisions").select("comparison_id", pl.col("purposes").list.join(" "))
    counted = kept.join(purposes, on="comparison_id").join(sources, on="comparison_id")
    found = counted.group_by("source", "purposes").len().rows()
    assert sorted(found) == sorted((name, *one) for name, told in truth["purposes"].items() for one in told.items())


def test_split_withholds_what_purposes_do_not_cover(sample: Sample) -> None:
    built, _ = sample
    purposes = built.table("validate/decisions").select("comparison_id", "purposes")
    decisions = built.table("split/decisions").join(purposes, on="comparison_id")
    needed = pl.when(side="heldout").then(pl.lit("ai-evaluation")).otherwise(pl.lit("ai-alignment"))
    withheld = pl.col("drop_reason").eq_missing("purpose_not_covered")
    held = decisions.select("side", covered=pl.col("purposes").list.contains(needed), withheld=withheld)
    assert (held["withheld"] == ~held["covered"]).all()
    # Both sorts are there on both kinds of side, so none of this holds of nothing.
    assert held.group_by(pl.col("side") == "heldout", "withheld").len().height == 4


def test_split_withholds_what_plain_python_finds_near(sample: Sample) -> None:
    rows = prompts_of(sample[0])
    others = pl.col("drop_reason").fill_null("kept") != "purpose_not_covered"
    assert met_reasons(rows.filter(others), expected_reasons(rows)) >= {"near_heldout", None}


@pytest.mark.parametrize("purpose", ["all", "ai-alignment", "ai-evaluation"])
def test_the_fold_of_all_that_dedupe_keeps(sample: Sample, purpose: str) -> None:
    built, truth = sample
    kept = built.table("dedupe/decisions").filter(pl.col("drop_reason").is_null()).select("comparison_id")
    purposes = built.table("validate/decisions").select("comparison_id", "purposes")
    thin = (
        scan_comparisons(built).select(THIN).collect().join(kept, on="comparison_id").join(purposes, on="comparison_id")
    )
    if purpose != "all":
        thin = thin.filter(pl.col("purposes").list.contains(purpose))
    verdicts = oriented(thin.with_columns(side=pl.lit("train")))
    marked = verdicts.with_columns(deciding(verdicts, humans_decide=True))
    folded = fold(marked.filter("folded"), majority="all", licenses=["CC0-1.0"])
    told = truth["folded"][purpose]
    pairs, ties = folded.filter(table="pairs"), folded.filter(table="ties")
    assert (pairs.height, ties.height) == (told["pairs"], told["ties"])
    assert marked.height - marked["folded"].sum() == told["human_judged"]
    assert (folded["fold"] == "human").sum() == told["by_humans"]
    won = pl.when(pl.col("chosen") == "a").then("n_a").otherwise("n_b")
    lost = pl.when(pl.col("chosen") == "a").then("n_b").otherwise("n_a")
    counted = {
        "chosen": won.sum(),
        "rejected": lost.sum(),
        "tie": pl.col("n_tie").sum(),
        "both_bad": pl.col("n_bad").sum(),
    }
    assert pairs.select(**counted).to_dicts() == [told["votes"]["pairs"]]
    undecided = {
        "sided": pl.sum_horizontal("n_a", "n_b").sum(),
        "tie": pl.col("n_tie").sum(),
        "both_bad": pl.col("n_bad").sum(),
    }
    assert ties.select(**undecided).to_dicts() == [told["votes"]["ties"]]


def test_roots_and_prompts(sample: Sample) -> None:
    built, truth = sample
    kept = built.table("dedupe/decisions").filter(pl.col("drop_reason").is_null()).select("comparison_id")
    rows = (
        scan_comparisons(built).select("comparison_id", "root_id", "prompt_id").collect().join(kept, on="comparison_id")
    )
    assert rows["root_id"].n_unique() == truth["roots"]
    assert rows["prompt_id"].n_unique() == truth["prompts"]


def test_no_marked_text_of_a_dropped_row_is_published(sample: Sample) -> None:
    built, _ = sample
    for path in sorted(Path(built.stage("publish")).rglob("*.parquet")):
        texts = pl.read_parquet(path).select(
            pl.selectors.string(), pl.col("^prompt$").list.eval(pl.element().struct.field("content")).list.join(" ")
        )
        found = texts.select(pl.any_horizontal(pl.all().str.contains("zzmark", literal=True))).to_series()
        assert not found.any()


def unpacked(place: Path, content: bytes) -> object:
    """Compare what is said, not how it is packed: another build of zlib packs otherwise."""
    readers: dict[str, Callable[[bytes], object]] = {".gz": _gunzipped, ".zst": _unzstd, ".parquet": _rows}
    return readers.get(place.suffix, bytes)(content)


def _gunzipped(content: bytes) -> bytes:
    return zlib.decompressobj(wbits=31).decompress(content)


def _unzstd(content: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(content)


def _rows(content: bytes) -> object:
    return pl.read_parquet(content).to_dicts() if content.endswith(b"PAR1") else content[:4]


def test_the_repository_holds_the_sample_that_demo_makes(tmp_path: Path) -> None:
    if not (ROOT / "data" / "truth.json").exists():
        pytest.skip("this clone's owner took the sample out")
    truth = json.loads((ROOT / "data" / "truth.json").read_text(encoding="utf-8"))
    write_sample(tmp_path, seed=truth["seed"], comparisons=truth["asked_for"])
    made = {path.relative_to(tmp_path): path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    assert {place.parts[0] for place in made} == {"raw", "policy", "rubric", "ledger", "truth.json"}
    for place, content in made.items():
        assert unpacked(place, (ROOT / "data" / place).read_bytes()) == unpacked(place, content), place
    assert sum(map(len, made.values())) <= 2 * 2**20
