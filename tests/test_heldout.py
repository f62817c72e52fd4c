"""A held-out set stays held out: neighbours, released prompts, pins and epochs, from the files to the decisions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from pipeline.core import neighbours, pins, released
from pipeline.core.errors import PairtrailError
from pipeline.core.pins import pinned
from pipeline.core.project import Project
from pipeline.core.references import READERS
from pipeline.core.sides import Division
from pipeline.lineage.epochs import record_epoch
from pipeline.lineage.released import remember
from pipeline.lineage.syncing import wanted_deps
from pipeline.stages import split
from schemas.columns import MESSAGES
from schemas.released import RELEASED
from tests.building import NEAR, SIDECAR, Built, lines, record
from tests.laws import PARAMS, Case, cases, decide
from tests.leak_laws import matching, own_side, root_of

BEFORE = ("ingest", "validate", "dedupe")


def prompts(built: Built) -> dict[str, list[tuple[str, str]]]:
    """Match key and root of every prompt, by the side that is its own."""
    built.run("split")
    keys = built.comparisons().select("comparison_id", "match_key", "root_id")
    rows = built.table("split/decisions").join(keys, on="comparison_id").sort("match_key")
    return {
        side: rows.filter(side=side).select("match_key", "root_id").unique().sort("match_key").rows()
        for side in ("train", "validation", "heldout")
    }


def fates(built: Built) -> dict[str, tuple[str | None, str, str | None]]:
    """Reason, side and neighbour, by match key."""
    keys = built.comparisons().select("comparison_id", "match_key")
    rows = built.run("split").table("split/decisions").join(keys, on="comparison_id")
    return {
        key: (reason, side, near)
        for key, reason, side, near in rows.select("match_key", "drop_reason", "side", "near").iter_rows()
    }


@pytest.fixture
def sixty(project: Built) -> Built:
    """Sixty prompts of one turn, of two sources and two categories, as dedupe left them."""
    fields = {"category": "kind"}
    rows = [record(prompt=f"Question {i}?", kind="code" if i % 2 else "prose") for i in range(60)]
    for name, here in (("early", rows[:40]), ("late", rows[40:])):
        project.source(name, {"x.jsonl": lines(*here)}, fields={**SIDECAR["fields"], **fields})
    return project.run(*BEFORE)


def test_a_neighbour_of_a_held_out_prompt_is_neither_trained_nor_tuned_on(sixty: Built) -> None:
    of = prompts(sixty)
    (held, held_root), (tuned, tuned_root) = of["heldout"][0], of["validation"][0]
    (near, near_root), (beside, beside_root), (free, _) = of["train"][:3]
    sixty.near(
        ("prompt", near, held, near_root, held_root),
        ("prompt", beside, tuned, beside_root, tuned_root),
        ("prompt", tuned, held, tuned_root, held_root),
    )
    found = fates(sixty)
    assert found[near] == ("near_heldout", "train", held)
    assert found[tuned] == ("near_heldout", "validation", held)
    assert found[beside] == ("near_validation", "train", tuned)
    assert found[held] == (None, "heldout", None)
    assert found[free] == (None, "train", None)
    assert sixty.reasons("split") == {"near_heldout": 2, "near_validation": 1}


def test_an_opening_near_a_held_out_opening_withholds_all_that_grew_from_it(sixty: Built) -> None:
    of = prompts(sixty)
    (_, held_root), (near, near_root) = of["heldout"][0], of["train"][0]
    assert fates(sixty.near(("root", near_root, held_root, near_root, held_root)))[near] == (
        "near_heldout",
        "train",
        held_root,
    )


def test_a_neighbour_that_no_kept_row_has_withholds_nobody(project: Built) -> None:
    rows = [record(prompt=f"Question {i}?") for i in range(40)]
    of = prompts(project.source("s", {"x.jsonl": lines(*rows)}).run(*BEFORE))
    (held, held_root), (near, near_root) = of["heldout"][0], of["train"][0]
    project.near(("prompt", near, held, near_root, held_root))
    assert fates(project)[near][0] == "near_heldout"
    texts = project.comparisons().filter(match_key=held)["prompt"].item()[0]["content"]
    gone = [{**row, "a": ""} if row["prompt"] == texts else row for row in rows]
    project.source("s", {"x.jsonl": lines(*gone)}).run(*BEFORE)
    assert fates(project)[near] == (None, "train", None)


def test_what_a_release_gave_away_is_held_out_no_more_and_withholds_nobody(sixty: Built) -> None:
    of = prompts(sixty)
    (gone, gone_root), (tainted, tainted_root), (held, _) = of["heldout"][:3]
    (trained, trained_root), (near, near_root) = of["train"][:2]
    sixty.near(
        ("prompt", near, gone, near_root, gone_root),
        ("prompt", trained, tainted, trained_root, tainted_root),
    )
    assert fates(sixty)[near][0] == fates(sixty)[trained][0] == "near_heldout"
    sixty.gave_away("v1", (gone, gone_root, "train"), (trained, trained_root, "validation"))
    found = fates(sixty)
    assert found[gone] == ("seen_in_training", "heldout", min(gone, gone_root))
    assert found[tainted] == ("seen_in_training", "heldout", trained)
    assert found[near] == found[trained] == (None, "train", None)
    assert found[held] == (None, "heldout", None)
    assert sixty.account("split")["released"] == {"releases": 1, "prompts": 2}


@pytest.mark.parametrize("kind", ["prompt", "root"])
def test_a_held_out_prompt_whose_opening_was_released_withholds_nobody(sixty: Built, kind: str) -> None:
    of = prompts(sixty)
    (held, held_root), (near, near_root) = of["heldout"][0], of["train"][0]
    ours, theirs = (near, held) if kind == "prompt" else (near_root, held_root)
    sixty.near((kind, ours, theirs, near_root, held_root))
    assert fates(sixty)[near] == ("near_heldout", "train", theirs)
    found = fates(sixty.gave_away("v1", ("f" * 32, held_root, "train")))
    assert found[held] == ("seen_in_training", "heldout", held_root)
    assert found[near] == (None, "train", None)


def test_a_released_prompt_counts_for_its_neighbours_when_no_row_of_it_is_kept_any_more(project: Built) -> None:
    rows = [record(prompt=f"Question {i}?") for i in range(40)]
    of = prompts(project.source("s", {"x.jsonl": lines(*rows)}).run(*BEFORE))
    (held, held_root), (trained, trained_root) = of["heldout"][0], of["train"][0]
    texts = project.comparisons().filter(match_key=trained)["prompt"].item()[0]["content"]
    gone = [{**row, "a": ""} if row["prompt"] == texts else row for row in rows]
    project.source("s", {"x.jsonl": lines(*gone)}).run(*BEFORE)
    project.near(("prompt", trained, held, trained_root, held_root)).gave_away("v1", (trained, trained_root, "train"))
    assert fates(project)[held] == ("seen_in_training", "heldout", trained)


def test_benchmarks_are_never_trained_on(sixty: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    of = prompts(sixty)
    bad = [of[side][0][kind] for side, kind in (("train", 0), ("validation", 1), ("heldout", 0))]
    monkeypatch.setitem(READERS, "contaminated", lambda _: pl.LazyFrame({"key": bad}))
    found = fates(sixty)
    assert [found[of[side][0][0]][0] for side in of] == ["contaminated", "contaminated", None]


def test_a_pin_moves_its_own_rows_and_withholds_the_others(project: Built) -> None:
    for name, who in (("early", "ann"), ("late", "bob")):
        rows = [record(prompt=f"Question {i}?", annotator=who) for i in range(30)]
        project.source(name, {"x.jsonl": lines(*rows)})
    of = prompts(project.run(*BEFORE))
    project.pinned({"source": "late", "side": "validation"}).run("split")
    named = project.table("split/decisions").join(
        project.comparisons().select("comparison_id", "source", "match_key"), on="comparison_id"
    )
    assert set(named["side"]) == {"validation"}
    withheld = named.filter(drop_reason="pinned_elsewhere")
    tuned = [key for key, _ in of["validation"]]
    assert set(withheld["source"]) == {"early"}
    assert set(withheld["match_key"]) == {key for side in ("train", "heldout") for key, _ in of[side]}
    assert named.filter(pl.col("match_key").is_in(tuned))["drop_reason"].null_count() == 2 * len(tuned)
    account = project.account("split")["pins"]
    assert account["roots"] == {"train": 0, "validation": 30, "heldout": 0}
    assert account["roots_moved"] == {"train": 0, "validation": 30 - len(tuned), "heldout": 0}


def test_the_strictest_pin_wins_in_whatever_file_and_order(sixty: Built) -> None:
    of = prompts(sixty)
    (key, root) = of["train"][0]
    sixty.pinned({"root": root, "side": "heldout"}, {"root": root, "side": "train"}, file="b.jsonl")
    sixty.pinned({"source": "early", "side": "validation"}, {"source": "early", "side": "train"}, file="a.jsonl")
    found = fates(sixty)
    assert found[key] == (None, "heldout", None)
    early = sixty.comparisons().filter(pl.col("source") == "early", pl.col("match_key") != key)["match_key"]
    assert {found[one] for one in early} == {(None, "validation", None)}
    late = sixty.comparisons().filter(source="late").select("match_key").to_series()
    assert {found[one][1] for one in late if one != key} == {
        side for side in of for one, _ in of[side] if one in set(late)
    }


def test_a_pin_that_matches_nothing_is_told_by_its_place_and_no_name(sixty: Built) -> None:
    sixty.pinned(
        {"category": "code", "side": "heldout"},
        {"category": "verse", "side": "heldout"},
        {"root": "0" * 32, "side": "train"},
    ).run("split")
    told = sixty.account("split")["pins"]
    assert told["pins"] == 3
    assert told["matching_nothing"] == ["pins.jsonl: pin 2", "pins.jsonl: pin 3"]
    assert told["roots"] == {"train": 0, "validation": 0, "heldout": 30}
    assert "verse" not in json.dumps(sixty.account("split"))


@pytest.mark.parametrize(
    ("pin", "told"),
    [
        ({"source": "latte", "side": "heldout"}, "pins.jsonl: pin 1: `latte`: no ingested .*known: early, late"),
        ({"source": "late", "category": "code", "side": "heldout"}, "line 1:\n  a pin names exactly one of source, ca"),
        ({"side": "heldout"}, "line 1:\n  a pin names exactly one"),
        ({"source": "late", "side": "test"}, "`side`: Input should be 'train', 'validation' or 'heldout'"),
        ({"source": "late", "side": "heldout", "reason": " "}, "`reason`"),
        ({"root": "Question 7?", "side": "heldout"}, "`root`"),
        ({"source": 7, "side": "heldout"}, "`source`"),
        ({"source": None, "side": "heldout"}, "it is blank"),
        ({"sorce": "late", "side": "heldout"}, "unknown key `sorce`; did you mean `source`"),
    ],
)
def test_a_pin_that_nobody_can_follow_is_refused(sixty: Built, pin: dict[str, Any], told: str) -> None:
    with pytest.raises(PairtrailError, match=told) as refused:
        sixty.pinned(pin).run("split")
    assert "Question 7" not in str(refused.value)


@pytest.mark.parametrize(
    ("file", "told"), [("pins.json", "call it NAME.jsonl"), ("more.jsonl.dvc", "not pulled; run `dvc pull`")]
)
def test_a_file_of_pins_that_would_not_be_read_is_refused(sixty: Built, file: str, told: str) -> None:
    sixty.pinned({"source": "late", "side": "heldout"})
    (sixty.pins / file).write_text("{}")
    with pytest.raises(PairtrailError, match=told):
        sixty.run("split")


@pytest.mark.parametrize("content", ["[]", "{", '{"side": [[[[[[[[[[]]]]]]]]]]}', "\u00e9", '"' + "x" * 70_000 + '"'])
def test_hostile_lines_of_a_ledger_end_in_one_message(sixty: Built, content: str) -> None:
    for path in (sixty.ready_to_split().epochs, sixty.pinned().pins / "pins.jsonl"):
        held = path.read_text(encoding="utf-8")
        path.write_text(content + "\n", encoding="utf-8")
        with pytest.raises(PairtrailError, match="line 1"):
            sixty.run("split")
        path.write_text(held, encoding="utf-8")


def test_split_refuses_an_epoch_that_is_not_recorded(sixty: Built) -> None:
    sixty.run("split").epochs.unlink()
    sixty.epochs.touch()
    with pytest.raises(
        PairtrailError, match=r"epoch 1 of params.yaml is not recorded .recorded: none.; .*epoch record"
    ):
        sixty.run("split")
    assert record_epoch(sixty, "the first").startswith("epoch 1 recorded in data/ledger/epochs.jsonl")
    sixty.run("split")
    assert sixty.account("split")["epoch"] == {
        "epoch": 1,
        "heldout": 0.2,
        "validation": 0.2,
        "normalisation": "nfkc-fold-1",
        "recorded": 1,
    }
    assert "salt" not in json.dumps(sixty.account("split"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"salt": "another"}, "epoch 1 was recorded with other values: another salt; .*raise split.epoch to 2"),
        ({"heldout": 0.25}, "heldout is 0.25, not 0.2"),
        ({"validation": 0.1}, "validation is 0.1, not 0.2"),
    ],
)
def test_split_refuses_an_epoch_whose_values_changed(sixty: Built, change: dict[str, Any], told: str) -> None:
    sixty.run("split").set_params(split=change)
    with pytest.raises(PairtrailError, match=told):
        sixty.run("split")
    with pytest.raises(PairtrailError, match=r"recorded with other values.*Raise split.epoch in params.yaml"):
        record_epoch(sixty, "we want more")
    sixty.set_params(split={**change, "epoch": 2})
    with pytest.raises(PairtrailError, match=r"epoch 2 of params.yaml is not recorded .recorded: 1."):
        sixty.run("split")
    record_epoch(sixty, "we want more")
    assert sixty.run("split").account("split")["epoch"]["recorded"] == 2


def test_a_line_that_came_with_the_sample_is_deleted_not_outnumbered(sixty: Built) -> None:
    before = fates(sixty.run("split"))
    sample = sixty.epochs.read_text(encoding="utf-8")
    sixty.set_params(split={"salt": "ours"}).epochs.unlink()
    ours = fates(sixty.run("split"))
    assert ours != before
    sixty.epochs.write_text(sample, encoding="utf-8")
    offer = (
        r"another salt.*not of your own builds .*delete data/ledger/epochs.jsonl and run .*Only if it is.*split.epoch"
    )
    for refuse in (lambda: sixty.run("split"), lambda: record_epoch(sixty, "ours")):
        with pytest.raises(PairtrailError, match=offer):
            refuse()
    sixty.epochs.unlink()
    record_epoch(sixty, "ours")
    assert fates(sixty) == ours


def test_with_the_same_salt_nobody_is_told_to_delete_the_ledger(sixty: Built) -> None:
    sixty.run("split").set_params(split={"heldout": 0.25})
    for refuse in (lambda: sixty.run("split"), lambda: record_epoch(sixty, "more")):
        with pytest.raises(PairtrailError, match="other values") as refused:
            refuse()
        assert "delete" not in str(refused.value)


def test_another_normalisation_is_another_epoch(sixty: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    sixty.run("split")
    monkeypatch.setattr("pipeline.core.epochs.NORMALISATION", "nfkc-fold-2")
    with pytest.raises(PairtrailError, match="normalisation is nfkc-fold-2, not nfkc-fold-1"):
        sixty.run("split")


def test_an_epoch_that_was_left_is_not_taken_up_again(sixty: Built) -> None:
    record_epoch(sixty.set_params(split={"epoch": 1}), "the first")
    record_epoch(sixty.set_params(split={"epoch": 3}), "the third")
    assert "recorded already" in record_epoch(sixty, "again")
    sixty.set_params(split={"epoch": 1})
    with pytest.raises(PairtrailError, match=r"split.epoch is 1, but epoch 3 is recorded"):
        sixty.run("split")
    with pytest.raises(PairtrailError, match="epoch 3 is recorded, so a new one must be above it"):
        record_epoch(sixty.set_params(split={"epoch": 2}), "between")
    told = [json.loads(line) for line in sixty.epochs.read_text(encoding="utf-8").splitlines()]
    assert [(one["epoch"], one["reason"]) for one in told] == [(1, "the first"), (3, "the third")]


def test_a_blank_reason_and_two_contents_of_one_epoch_are_refused(sixty: Built) -> None:
    with pytest.raises(PairtrailError, match="blank reason"):
        record_epoch(sixty, " ")
    record_epoch(sixty, "the first")
    held = sixty.epochs.read_text(encoding="utf-8")
    sixty.epochs.write_text(held + held.replace("0.2", "0.3"), encoding="utf-8")
    with pytest.raises(PairtrailError, match="epoch 1 stands there with two contents"):
        sixty.run("split")


@pytest.mark.parametrize("epoch", [-1, 10**30])
def test_an_epoch_is_a_small_number(sixty: Built, epoch: int) -> None:
    with pytest.raises(PairtrailError, match="is no number from 0 to"):
        sixty.set_params(split={"epoch": epoch}).run("split")


def test_split_waits_for_near_neighbours(sixty: Built) -> None:
    from pipeline.core.running import run_stage

    sixty.ready_to_split()
    (sixty.stage("near") / "near.parquet").unlink()
    with pytest.raises(PairtrailError, match=r"data/near/near.parquet does not exist; run `pairtrail near` first"):
        run_stage(split, sixty)


def test_a_release_is_remembered_by_every_prompt_of_train_and_validation(project: Built) -> None:
    rows = [record(prompt=f"Question {i}?", preference="tie" if i % 5 == 0 else "a") for i in range(40)]
    of = prompts(project.source("s", {"x.jsonl": lines(*rows)}).run(*BEFORE))
    path, count = remember(project.run("split", "publish"), "v1.0.0")
    told = pl.read_parquet(path)
    expected = [(*prompt, side) for side in ("train", "validation") for prompt in of[side]]
    assert told.columns == list(RELEASED.columns)
    assert told.rows() == sorted(expected)
    assert count == len(expected)
    before = path.read_bytes()
    assert remember(project, "v1.0.0") == (path, count)
    assert path.read_bytes() == before
    assert fates(project) == {key: (None, side, None) for side in of for key, _ in of[side]}


def test_what_was_released_is_seen_under_another_epoch(project: Built) -> None:
    rows = [record(prompt=f"Question {i}?") for i in range(60)]
    of = prompts(project.source("s", {"x.jsonl": lines(*rows)}).run(*BEFORE))
    remember(project.run("split", "publish"), "v1.0.0")
    record_epoch(project.set_params(split={"epoch": 2}), "another split")
    found = fates(project)
    fresh = {key for key, _ in of["heldout"]}
    assert {key for key, (reason, side, _) in found.items() if side == "heldout" and reason is None} <= fresh
    seen = {key for key, (reason, _, _) in found.items() if reason == "seen_in_training"}
    assert seen == {key for key, (_, side, _) in found.items() if side == "heldout"} - fresh
    assert seen


def test_a_release_is_never_written_over(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(*(record(prompt=f"Question {i}?") for i in range(20)))}).run()
    path, _ = remember(project, "v1")
    held = path.read_bytes()
    project.source("s", {"x.jsonl": lines(*(record(prompt=f"Question {i}?") for i in range(30)))}).run()
    with pytest.raises(PairtrailError, match=r"v1.parquet holds other prompts"):
        remember(project, "v1")
    assert path.read_bytes() == held
    with pytest.raises(PairtrailError, match="cannot name a release"):
        remember(project, "../v1")


def test_an_older_release_is_remembered_from_its_own_files(project: Built, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hello  THERE"}, {"role": "assistant", "content": "Hi."}]
    rows = [record(prompt=[*turns, {"role": "user", "content": f"Question {i}?"}]) for i in range(9)]
    rows += [record(prompt=f"Question {i}?", preference="tie" if i % 3 else "a") for i in range(40)]
    fields = {**SIDECAR["fields"], "prompt": {"messages": "prompt"}}
    told = [{**row, "prompt": _as_messages(row["prompt"])} for row in rows]
    of = prompts(project.source("s", {"x.jsonl": lines(*told)}, fields=fields).run(*BEFORE))
    older = tmp_path / "v1 [given away]"
    project.run("split", "publish").stage("publish").rename(older)
    project.source("s", {"x.jsonl": lines(record(prompt="Another?"))}, fields=SIDECAR["fields"]).run()
    path, _ = remember(project, "v1", older)
    expected = [(*prompt, side) for side in ("train", "validation") for prompt in of[side]]
    assert pl.read_parquet(path).rows() == sorted(expected)
    assert {side for _, _, side in expected} == {"train", "validation"}
    with pytest.raises(PairtrailError, match="holds other prompts"):
        remember(project, "v1")


def _as_messages(prompt: Any) -> Any:  # noqa: ANN401
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def _no_messages(path: Path) -> None:
    pl.DataFrame({"prompt": ["Why?"]}).write_parquet(path)


def _without_content(path: Path) -> None:
    prompt: list[Any] = [[{"role": "user", "content": None}]]
    pl.DataFrame({"prompt": prompt}, schema={"prompt": MESSAGES}).write_parquet(path)


def _without_prompt(path: Path) -> None:
    pl.DataFrame({"question": ["Why?"]}).write_parquet(path)


def _copied(path: Path) -> None:
    path.write_bytes((path.parents[1] / "train" / path.name).read_bytes())


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (Path.unlink, "no validation/pairs.parquet: nobody could say .*run `?pairtrail publish`? first.*--from"),
        (lambda path: path.write_bytes(b"PAR1"), "validation/pairs.parquet: not a Parquet file that can be read"),
        (_no_messages, "validation/pairs.parquet: table published prompts"),
        (_without_content, "validation/pairs.parquet: table published prompts"),
        (_without_prompt, "validation/pairs.parquet: table published prompts"),
        (_copied, "prompts stand in train and in validation"),
    ],
)
def test_what_no_release_is_is_not_remembered(project: Built, write: Callable[[Path], None], told: str) -> None:
    project.source("s", {"x.jsonl": lines(*(record(prompt=f"Question {i}?") for i in range(20)))}).run()
    write(project.stage("publish") / "validation/pairs.parquet")
    with pytest.raises(PairtrailError, match=f"(?si){told}") as refused:
        remember(project, "v1")
    assert "Why?" not in str(refused.value)
    assert not project.released.exists()


def _not_parquet(path: Path) -> None:
    path.write_bytes(b"PAR1 nothing")


def _other_columns(path: Path) -> None:
    pl.DataFrame({"key": ["0" * 32]}).write_parquet(path)


def _no_digests(path: Path) -> None:
    pl.DataFrame({"match_key": ["Why?"], "root_id": ["Why?"], "side": ["train"]}).write_parquet(path)


def _unnamed_normalisation(path: Path) -> None:
    pl.DataFrame({"match_key": ["0" * 32], "root_id": ["0" * 32], "side": ["train"]}).write_parquet(path)


def _away(path: Path) -> None:
    path.with_name(f"{path.name}.dvc").write_text("outs: []")


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (_not_parquet, "released/v1.parquet: not a Parquet file that can be read whole"),
        (_other_columns, "released/v1.parquet: table released prompts"),
        (_no_digests, "released/v1.parquet: table released prompts .* breaks its schema"),
        (_unnamed_normalisation, "its keys are of the normalisation ``, not `nfkc-fold-1`"),
        (_away, "v1.parquet.dvc: not pulled; run `dvc pull`"),
    ],
)
def test_a_released_file_that_cannot_be_trusted_is_refused(
    sixty: Built, write: Callable[[Path], None], told: str
) -> None:
    sixty.released.mkdir(parents=True)
    write(sixty.released / "v1.parquet")
    with pytest.raises(PairtrailError, match=f"(?s){told}") as refused:
        sixty.run("split")
    assert "Why?" not in str(refused.value)


@pytest.mark.parametrize("name", ["pins", "released", "exceptions"])
def test_a_ledger_that_nobody_pulled_is_not_an_empty_one(sixty: Built, name: str) -> None:
    (sixty.ledger / f"{name}.dvc").write_text("outs: []", encoding="utf-8")
    with pytest.raises(PairtrailError, match=f"data/ledger/{name}: not pulled; run `dvc pull`"):
        sixty.run("split")
    (sixty.ledger / name).mkdir()
    sixty.run("split")


def test_split_depends_on_its_ledgers_and_near_on_pins(sixty: Built) -> None:
    ledgers = {
        stage: [dep for dep in wanted_deps(sixty, stage) if dep.startswith("data/")] for stage in ("split", "dedupe")
    }
    assert ledgers == {"split": [], "dedupe": []}
    sixty.ready_to_split().pinned({"source": "late", "side": "heldout"}).gave_away("v1", ("0" * 32, "1" * 32, "train"))
    told = ["data/ledger/epochs.jsonl", "data/ledger/pins/pins.jsonl", "data/ledger/released/v1.parquet"]
    assert sorted(dep for dep in wanted_deps(sixty, "split") if dep.startswith("data/")) == told


@given(drawn=cases(smallest=1))
@settings(max_examples=40)
def test_what_the_readers_leave_out_decides_nothing(drawn: Case, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The readers of near neighbours and released prompts leave out what no decision hangs on."""
    params: Division = PARAMS[split]
    references = dict(drawn.references)
    roots = references["pinned_roots"].lazy()
    pairs = references["near"].filter(pl.col("key") < pl.col("near_key"))
    near = pairs.select(
        pl.lit("-").alias("kind"),
        a="key",
        b="near_key",
        root_a=pl.col("key").replace(_roots(pairs)),
        root_b="near_root",
    )
    keys = references["released"]
    given_away = keys.select(match_key="key", root_id=pl.col("key").replace(_roots(keys)), side="side")
    present = pl.concat([drawn.comparisons.select(key=name) for name in ("match_key", "root_id")]).unique()
    with pytest.MonkeyPatch.context() as patched:
        for module in (neighbours, released):
            patched.setattr(module, "division", lambda _: params)
            patched.setattr(module, "pinned_roots", lambda _: roots)
            patched.setattr(module, "scan_near", lambda _: near.select(NEAR).lazy())
        patched.setattr(neighbours, "standing", lambda _, asked: asked.join(present, on="key", how="semi"))
        patched.setattr(released, "scan_released", lambda _: given_away.lazy())
        project = Project(tmp_path_factory.getbasetemp())
        found = {"near": neighbours.near(project).collect(), "released": released.released(project).collect()}
    full = references | {"released": pl.concat([keys, given_away.select(key="root_id", side="side")])}
    assert decide(split, drawn.comparisons, references | found).equals(decide(split, drawn.comparisons, full))
    assert found["near"].height <= references["near"].height


def _roots(keys: pl.DataFrame) -> dict[str, str]:
    return {key: root_of(key) for key in keys["key"]}


@given(drawn=cases())
@settings(max_examples=30)
def test_pinned_roots_are_those_that_the_pins_match(drawn: Case) -> None:
    """The laws tell pinned roots row by row; the reader by column."""
    found = pinned(drawn.comparisons.lazy(), drawn.references["pins"].lazy()).collect()
    told = drawn.references["pinned_roots"]
    assert found.sort("root_id").rows() == told.sort("root_id").rows()
    assert own_side("0" * 32) in pins.STRICTEST_LAST


def told_by_hand(given: Case) -> dict[str, tuple[str | None, str, str | None]]:
    """Reason, side and neighbour of each comparison, from the rules as docs/heldout.md states them, row by row."""
    frames = given.references
    pairs = frames["near"].rows()
    away, bad = set(frames["released"]["key"]), set(frames["contaminated"]["key"])
    pinned_to: dict[str, str] = dict(frames["pinned_roots"].iter_rows())
    pins_of = frames["pins"].select("selector", "value", "side").rows()
    purposes = dict(frames["purposes"].iter_rows())
    touched = away | {key for key, near, _, _ in pairs if near in away}

    def side_of(root: str) -> str:
        return pinned_to.get(root, own_side(root))

    def fate(row: dict[str, Any]) -> tuple[str | None, str, str | None]:
        side, keys = side_of(row["root_id"]), {row["match_key"], row["root_id"]}
        near = [(other, side_of(root)) for key, other, root, stands in pairs if key in keys and stands]
        held = [key for key, at in near if at == "heldout" and not {key, root_of(key)} & touched]
        tuned = [key for key, at in near if at == "validation"]
        seen = [*(keys & away), *(other for key, other, _, _ in pairs if key in keys and other in away)]
        if ("ai-evaluation" if side == "heldout" else "ai-alignment") not in purposes[row["comparison_id"]]:
            return "purpose_not_covered", side, None
        if side != own_side(row["root_id"]) and side not in matching(row, pins_of):
            return "pinned_elsewhere", side, None
        if side == "heldout":
            return ("seen_in_training", side, min(seen)) if seen else (None, side, None)
        if keys & bad:
            return "contaminated", side, None
        if held:
            return "near_heldout", side, min(held)
        return ("near_validation", side, min(tuned)) if tuned and side == "train" else (None, side, None)

    return {row["comparison_id"]: fate(row) for row in given.comparisons.to_dicts()}


@given(drawn=cases(smallest=4))
@settings(max_examples=150)
def test_decisions_are_what_the_rules_say_row_by_row(drawn: Case) -> None:
    found = decide(split, drawn.comparisons, drawn.references)
    rows = found.select("comparison_id", "drop_reason", "side", "near").rows()
    assert {key: (reason, side, near) for key, reason, side, near in rows} == told_by_hand(drawn)


def test_the_rules_are_tried_on_every_reason() -> None:
    """What Hypothesis draws reaches each reason, or the test above would say little."""
    met: set[str | None] = set()

    @given(drawn=cases(smallest=4))
    @settings(max_examples=150, database=None)
    def draw(drawn: Case) -> None:
        met.update(reason for reason, _, _ in told_by_hand(drawn).values())

    draw()
    assert met == {None, *split.REASONS}
