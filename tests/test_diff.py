"""Diff: every row and vote of two builds has one story, and its numbers add up."""

import json
import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.lineage.diff import compare as comparing
from pipeline.lineage.diff import reading, telling
from pipeline.lineage.diff.builds import DECISIONS, RESTRICTED
from pipeline.lineage.diff.compare import bounds_for, compare
from pipeline.lineage.diff.diff import write_changes
from pipeline.lineage.diff.found import Diff
from pipeline.lineage.diff.kinds import KINDS, level_of
from schemas.changes import CHANGES
from schemas.check import check
from schemas.published import PUBLISHED
from tests.building import SIDECAR, Built, build, event, lines, record
from tests.diffing import KEYS, VERDICTS, Row, Vote, World, changes_of, named, slow_diff, worlds
from tests.pages import DOCS, section, table_rows


def compared(old: World, new: World) -> Diff:
    with tempfile.TemporaryDirectory() as folder:
        return compare(old.write(Path(folder) / "old"), new.write(Path(folder) / "new"))


@settings(max_examples=60)
@given(worlds())
def test_the_diff_is_that_of_a_slow_one(both: tuple[World, World]) -> None:
    old, new = both
    found, slow = compared(old, new), slow_diff(old, new)
    assert changes_of(found.changes) == slow
    assert found.changes.height == len(slow)
    counts = found.counts()
    assert {kind: told["count"] for kind, told in counts["kinds"].items() if told["count"]} == Counter(
        change[0] for change in slow
    )
    asked = {level_of(kind, next(iter(reasons))) for kind, _, _, reasons, *_ in slow}
    assert found.level == next((level for level in ("major", "minor") if level in asked), "patch")
    assert found.moved == sum(change[0] in {"moved_side", "moved_root"} for change in slow)
    assert (counts["rows"]["before"], counts["rows"]["after"]) == (len(old.rows), len(new.rows))
    assert (counts["votes"]["before"], counts["votes"]["after"]) == (len(old.votes), len(new.votes))


@settings(max_examples=12)
@given(worlds())
def test_what_was_added_one_way_is_removed_the_other_way_and_nothing_is_its_own_change(
    both: tuple[World, World],
) -> None:
    there, back = compared(*both), compared(*reversed(both))
    for one, other in (("added", "removed"), ("removed", "added"), ("votes_added", "votes_removed")):
        keys = ["pair_id", "policy_version", "rubric_version", "comparison_id"]
        assert there.changes.filter(kind=one).select(keys).equals(back.changes.filter(kind=other).select(keys))
    for world in both:
        same = compared(world, world)
        assert (same.empty, same.level, same.why, same.moved) == (True, "patch", [], 0)


@settings(max_examples=8)
@given(worlds())
def test_parts_do_not_matter(both: tuple[World, World]) -> None:
    whole = compared(*both).changes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "bounds_for", lambda _: [*(f"{part:x}" for part in range(1, 16)), None])
        assert compared(*both).changes.equals(whole)


PAIR = KEYS[0]
ROW = Row(PAIR)
[FIRST, SECOND, THIRD] = [name for name, pair in VERDICTS.items() if pair == PAIR[0]]
OLD = World(rows={PAIR: ROW}, votes={FIRST: Vote(PAIR), SECOND: Vote(PAIR)})


def only(found: Diff) -> dict[str, str]:
    """The kinds that were found, with their reasons."""
    return dict(found.changes.select("kind", "reason").iter_rows())


@pytest.mark.parametrize(
    ("changed", "kind", "reason", "level"),
    [
        ({"side": "validation"}, "moved_side", "train to validation", "major"),
        ({"chosen": "right"}, "relabelled", "same_votes", "major"),
        ({"texts": ("yes ", "no")}, "text_edited", "responses", "major"),
        ({"texts": ("yes", " no")}, "text_edited", "responses", "major"),
        ({"prompt": ("Why? ",)}, "text_edited", "prompt", "major"),
        ({"prompt": ("Wh", "y?")}, "text_edited", "prompt", "major"),
        ({"license": "CC-BY-4.0"}, "license_changed", "CC0-1.0 to CC-BY-4.0", "major"),
        ({"purposes": ()}, "purposes_changed", "lost", "major"),
        ({"purposes": ("dpv:AcademicResearch",)}, "purposes_changed", "exchanged", "major"),
        ({"purposes": ("ai-alignment", "ai-evaluation")}, "purposes_changed", "gained", "minor"),
        ({"strength": 0.25}, "strength_changed", "same_votes", "minor"),
        ({"strength": None}, "strength_changed", "same_votes", "minor"),
        ({"models": ("m", None)}, "labels_changed", "model", "minor"),
        ({"agreement": 0.5}, "folded_otherwise", "agreement", "minor"),
        ({"counts": (2, 0, 0, 0)}, "folded_otherwise", "votes", "minor"),
    ],
)
def test_each_change_of_a_row_is_told_once_and_asks_for_its_level(
    changed: dict[str, Any], kind: str, reason: str, level: str
) -> None:
    found = compared(OLD, replace(OLD, rows={PAIR: replace(ROW, **changed)}))
    assert only(found) == {kind: reason}
    assert found.level == level
    assert [one["kind"] for one in found.why] == [kind]


def test_a_swap_takes_along_what_is_said_of_each_response() -> None:
    row = replace(ROW, models=("m", "n"), counts=(2, 1, 0, 0))
    turned = replace(row, chosen="right")
    found = compared(replace(OLD, rows={PAIR: row}), replace(OLD, rows={PAIR: turned}))
    assert only(found) == {"relabelled": "same_votes"}
    tied = compared(replace(OLD, rows={PAIR: row}), replace(OLD, rows={PAIR: replace(row, chosen=None)}))
    assert only(tied) == {"moved_table": "majority_lost", "votes_restated": "table"}


@pytest.mark.parametrize("place", PUBLISHED)
def test_no_column_of_any_table_changes_without_a_word(place: str, tmp_path: Path) -> None:
    """Whatever column of whatever table says otherwise is told, but for the annotator's number."""
    side, table = place.removesuffix(".parquet").split("/")
    row = replace(ROW, side=side, chosen=None if table == "ties" else "left", agreement=0.5, labels=("x",) * 6)
    world = World(rows={PAIR: replace(row, models=("m", "n"))}, votes={FIRST: Vote(PAIR, strength=0.5)})
    old, new = world.write(tmp_path / "old"), world.write(tmp_path / "new")
    assert compare(old, new).empty
    for name, kind in pl.read_parquet_schema(path := new.stage("publish") / place).items():
        frame = pl.read_parquet(path)
        frame.with_columns(_other(name, kind)).write_parquet(path)
        found = compare(old, new)
        assert found.empty == (name == "annotator_number"), name
        assert found.level == ("patch" if found.empty else found.level)
        assert found.empty or found.level != "patch", name
        frame.write_parquet(path)


def _other(name: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if name == "prompt":
        return column.list.concat(column)
    if isinstance(kind, pl.List):
        return column.list.concat(pl.lit(["other"]))
    if isinstance(kind, pl.Struct):
        return column.struct.with_fields(tie=pl.lit(9, pl.Int64))
    if name == "pair_id":
        return pl.lit(KEYS[-1][0]).alias(name)
    others: dict[Any, Any] = {pl.String: "other", pl.Float64: 0.125, pl.Int64: 9, pl.Boolean: False}
    return pl.lit(others.get(kind, 1)).cast(kind).alias(name)


def test_a_row_of_several_sources_is_counted_once_under_all_of_them() -> None:
    rows = {key: Row(key, sources=("s", "t") if key[2] == "r-2" else ("s",)) for key in KEYS}
    counted = compared(World(), World(rows=rows)).counts()["kinds"]["added"]
    assert counted["by"]["source"] == {"values": {"s": 6, "s + t": 6}, "others": 0, "unnamed": 0}
    assert counted["by"]["category"] == {"values": {}, "others": 0, "unnamed": 12}


def test_an_added_row_whose_root_stood_on_another_side_is_a_leak() -> None:
    other = replace(ROW, key=(PAIR[0], "p-2", "r-2"), side="heldout")
    assert other.root == ROW.root
    found = compared(OLD, World(rows={other.key: other}))
    assert found.moved == 1
    assert found.counts()["kinds"]["moved_root"]["by"]["reason"]["values"] == {"train to heldout": 1}
    assert "1 rows MOVED BETWEEN SPLITS" in telling.alarm(found)
    assert "> **1 rows MOVED BETWEEN SPLITS" in telling.markdown(found)


def test_what_the_manifests_say_otherwise_is_told() -> None:
    texts = {name: {"p-1": {"sha256": name}, "p-2": {"sha256": "same"}} for name in ("old", "new")}
    old, new = (replace(OLD, facts={"policies": texts[name]}) for name in ("old", "new"))
    found = compared(old, new)
    assert (found.build, found.level, found.empty) == ({"policies": ["p-1"]}, "minor", False)
    for facts in ({"key_fingerprint": "l"}, {"split": {"epoch": 2}}, {"normalisation": "m"}):
        assert compared(OLD, replace(OLD, facts=facts)).level == "major"
    assert compared(OLD, replace(OLD, facts={"policies": texts["new"]})).empty


def test_tables_that_are_one_object_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = OLD.write(tmp_path / "old")
    new = replace(OLD, votes={**OLD.votes, THIRD: Vote(PAIR)}).write(tmp_path / "new")
    read: list[str] = []
    told_rows = reading.told_rows

    def seen(path: Path, side: str, table: str, labels: list[str], *, alike: bool) -> Any:  # noqa: ANN401
        read.append(f"{side}/{table} {'keys' if alike else 'all'}")
        return told_rows(path, side, table, labels, alike=alike)

    monkeypatch.setattr("pipeline.lineage.diff.builds.told_rows", seen)
    for place in PUBLISHED:
        if not place.endswith("votes.parquet") and place != "train/ties.parquet":
            one = new.stage("publish") / place
            one.unlink()
            one.symlink_to(old.stage("publish") / place)
    found = compare(old, new)
    assert only(found) == {"votes_added": "new"}
    assert found.changes["sources"].to_list() == ["s"]
    assert Counter(read)["train/pairs keys"] == 1
    assert Counter(read)["train/ties all"] == 2
    read.clear()
    assert compare(old, old).empty
    assert read == []


@pytest.mark.parametrize("away", [*sorted(RESTRICTED), *DECISIONS])
def test_what_is_not_compared_is_said_and_never_called_unchanged(away: str, tmp_path: Path) -> None:
    old = replace(OLD, dropped={THIRD: ("split", "near_heldout")})
    new = replace(OLD, votes={FIRST: OLD.votes[FIRST], THIRD: Vote(PAIR)}, dropped={SECOND: ("dedupe", "repeated")})
    old_build, new_build = old.write(tmp_path / "old"), new.write(tmp_path / "new")
    whole = compare(old_build, new_build)
    assert dict(whole.changes.filter(comparison_id=SECOND).select("kind", "reason").iter_rows()) == {
        "votes_removed": "dedupe: repeated",
        "withheld": "dedupe: repeated",
    }
    assert whole.changes.filter(comparison_id=THIRD)["reason"].to_list() == ["split: near_heldout"] * 2
    (new_build.root / away).unlink()
    found = compare(old_build, new_build, {away: "it was eaten"})
    told = found.counts()
    assert told["not_compared"] == {away: "it was eaten"}
    assert "as far as could be compared" in telling.headline(found)
    assert f"not compared: {away}: it was eaten" in telling.not_compared_told(found)
    assert away.replace("_", "&#95;") in telling.markdown(found)
    if away in DECISIONS:
        assert told["kinds"]["withheld"] is told["kinds"]["freed"] is None
        assert set(found.changes["reason"]) == {"unknown"}
        assert {one["count"] for one in telling.changes_told(found) if one["what"].startswith("not compared")} == {None}
    else:
        assert told["kinds"]["withheld"]["count"] == 1


@pytest.mark.parametrize("place", ["train/pairs.parquet", "validation/votes.parquet", "manifest.json"])
def test_what_consumers_have_must_be_there(place: str, tmp_path: Path) -> None:
    old, new = OLD.write(tmp_path / "old"), OLD.write(tmp_path / "new")
    (new.stage("publish") / place).unlink()
    with pytest.raises(PairtrailError, match=place):
        compare(old, new)


def test_a_table_out_of_order_is_an_error(tmp_path: Path) -> None:
    rows = {key: Row(key) for key in KEYS}
    old, new = World().write(tmp_path / "old"), World(rows=rows).write(tmp_path / "new")
    path = new.stage("publish") / "train/pairs.parquet"
    pl.read_parquet(path).reverse().write_parquet(path)
    with pytest.raises(PairtrailError, match=r"train/pairs.parquet is not sorted by pair_id"):
        compare(old, new)


def test_values_of_records_cannot_break_the_markdown() -> None:
    hostile = "a|b</details>\n\n# x `y` @everyone <script> [l](http://x)"
    rows = {PAIR: replace(ROW, labels=(None,) * 4 + (hostile, "|"))}
    told = telling.markdown(compared(World(), World(rows=rows)))
    assert "<script>" not in told
    assert told.count("</details>") == 1
    table = [line for line in told.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {5}
    assert PAIR[0] not in told
    assert named("root") not in json.dumps(compared(World(), World(rows=rows)).counts())


def test_many_values_are_cut_to_the_largest_and_still_add_up() -> None:
    keys = [(named(f"pair {number}"), "p-1", "r-1") for number in range(60)]
    rows = {key: replace(Row(key), labels=(None,) * 4 + (f"c{number}", None)) for number, key in enumerate(keys)}
    found = compared(World(), World(rows=rows))
    by = found.counts()["kinds"]["added"]["by"]["category"]
    assert (len(by["values"]), by["others"], by["unnamed"]) == (50, 10, 0)
    shown = [one for one in telling.slices_told(found) if (one["by"], one["change"]) == ("category", "added")]
    assert [one["count"] for one in shown] == [1] * 10 + [50]


def test_changes_are_written_as_their_schema_says(tmp_path: Path) -> None:
    found = compared(OLD, replace(OLD, votes={FIRST: OLD.votes[FIRST]}))
    write_changes(found, tmp_path / "changes.parquet")
    rows = pl.read_parquet(tmp_path / "changes.parquet")
    check(rows, CHANGES)
    assert rows.equals(found.changes)
    with pytest.raises(PairtrailError, match=r"changes.parquet is there already"):
        write_changes(found, tmp_path / "changes.parquet")


def test_ranges_of_ids_end_in_order_and_the_last_has_no_end() -> None:
    assert bounds_for(10) == [None]
    bounds = bounds_for(3_000_000)
    assert bounds == [*(f"{part:x}" for part in range(1, 16)), None]
    assert len(bounds_for(50_000_000)) == 256


def test_each_kind_has_a_level_and_words() -> None:
    assert all(about.said and about.of in {"rows", "votes"} for about in KINDS.values())


# What a person does to a project, and what the diff of the two builds says of it.
BASE = [record(prompt=f"Question {number}?", annotator=f"a{number}") for number in range(12)]


def built(root: Path, records: list[dict[str, Any]], **changes: Any) -> Built:  # noqa: ANN401
    return build(root).source("s", {"x.jsonl": lines(*records)}, **changes)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(tmp_path_factory.mktemp("base") / "project", BASE).run()


def kinds(old: Project, new: Project) -> dict[str, dict[str, int]]:
    found = compare(old, new).counts()["kinds"]
    return {kind: told["by"]["reason"]["values"] for kind, told in found.items() if told and told["count"]}


def test_logs_that_grow_and_shrink(base: Built, tmp_path: Path) -> None:
    more = [record(prompt="Question 1?", annotator="b"), record(prompt="Question 99?")]
    grown = built(tmp_path / "more", [*BASE, *more]).run()
    assert kinds(base, grown) == {"added": {"new": 1}, "votes_added": {"new": 1}}
    assert compare(base, grown).level == "minor"
    assert kinds(grown, base) == {"removed": {"not_ingested": 1}, "votes_removed": {"not_ingested": 1}}
    assert compare(grown, base).level == "major"


def test_verdicts_that_turn_a_pair_round_or_tie_it(base: Built, tmp_path: Path) -> None:
    turned = built(tmp_path / "turned", [record(**{**BASE[0], "preference": "b"}), *BASE[1:]]).run()
    assert kinds(base, turned) == {
        "relabelled": {"votes_changed": 1},
        "votes_added": {"new": 1},
        "votes_removed": {"not_ingested": 1},
    }
    tied = built(tmp_path / "tied", [*BASE, record(**{**BASE[0], "preference": "b", "annotator": "b"})]).run()
    assert kinds(base, tied)["moved_table"] == {"majority_lost": 1}
    assert kinds(tied, base)["moved_table"] == {"majority_won": 1}


def test_white_space_is_an_edit_of_a_pair_that_stays_itself(base: Built, tmp_path: Path) -> None:
    edited = built(tmp_path / "edited", [record(**{**BASE[0], "prompt": "Question  0?"}), *BASE[1:]]).run()
    found = kinds(base, edited)
    assert found.pop("text_edited") == {"prompt": 1}
    assert found == {"votes_added": {"new": 1}, "votes_removed": {"not_ingested": 1}}


def test_a_withdrawn_consent_withholds_and_one_given_anew_frees(base: Built, tmp_path: Path) -> None:
    withdrawn = built(tmp_path / "withdrawn", BASE)
    later = event(status="ConsentWithdrawn", status_time="2025-06-01T00:00:00Z")
    withdrawn.consents("s.jsonl", event(), later).run()
    assert kinds(base, withdrawn) == {
        "removed": {"validate: consent_withdrawn": 12},
        "withheld": {"validate: consent_withdrawn": 12},
    }
    assert kinds(withdrawn, base) == {
        "added": {"validate: consent_withdrawn": 12},
        "freed": {"validate: consent_withdrawn": 12},
    }
    renewed = built(tmp_path / "renewed", BASE)
    renewed.consents("s.jsonl", event(), event(status="RenewedConsentGiven", status_time="2025-06-01T00:00:00Z")).run()
    found = compare(base, renewed)
    assert kinds(base, renewed) == {"consent_changed": {"same_purposes": 12}}
    assert (found.level, found.empty) == ("patch", False)


def test_a_sidecar_that_names_another_rubric_licence_or_label(base: Built, tmp_path: Path) -> None:
    rubric = kinds(base, built(tmp_path / "rubric", BASE, rubric_version="r-2").run())
    assert rubric == {
        "removed": {"other_row": 12},
        "added": {"other_row": 12},
        "rubric_changed": {"rubric_version": 12},
    }
    assert kinds(base, built(tmp_path / "license", BASE, license="CC-BY-4.0").run()) == {
        "license_changed": {"CC0-1.0 to CC-BY-4.0": 12}
    }
    fields = {**SIDECAR["fields"], "category": {"constant": "sky"}}
    assert kinds(base, built(tmp_path / "label", BASE, fields=fields).run()) == {"labels_changed": {"category": 12}}
    consent = {**SIDECAR["consent"], "purposes": ["ai-alignment", "ai-evaluation", "ai-other"]}
    more = built(tmp_path / "purposes", BASE, consent=consent)
    more.consents("s.jsonl", event(purposes=consent["purposes"])).run()
    assert kinds(base, more) == {"purposes_changed": {"gained": 12}, "consent_changed": {"other_purposes": 12}}
    assert kinds(more, base)["purposes_changed"] == {"lost": 12}


def test_another_epoch_moves_rows_between_the_sides(base: Built, tmp_path: Path) -> None:
    moved = built(tmp_path / "moved", BASE).set_params(split={"salt": "another", "epoch": 2}).run()
    found = compare(base, moved)
    assert found.moved == found.counts()["kinds"]["moved_side"]["count"] > 0
    assert found.build["epoch"] == {"before": 1, "after": 2}
    assert found.why[0] == {"level": "major", "kind": "epoch", "count": 1}


def test_a_row_is_the_same_whatever_number_an_annotator_has(base: Built, tmp_path: Path) -> None:
    again = built(tmp_path / "again", BASE).run()
    assert compare(base, again).empty
    shutil.rmtree(again.stage("ingest"))
    assert compare(base, again).empty


def test_the_page_tells_each_kind_with_its_level_and_each_fact() -> None:
    page = DOCS / "diff.md"
    told = {row[0].strip("`"): (row[1], row[2].split(";")[0]) for row in table_rows(section(page, "Kinds"))}
    assert list(told) == list(KINDS)
    levels = {"patch": "none"}
    assert told == {kind: (about.of, levels.get(about.level, about.level)) for kind, about in KINDS.items()}
    rows = table_rows(section(page, "Beside the rows"))
    facts = {name for row in rows for name in row[0].replace("`", "").split(", ")}
    assert facts == {"key_fingerprint", "epoch", "normalisation", "policies", "rubrics"}
