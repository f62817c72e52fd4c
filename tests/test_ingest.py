"""Ingest: ids, copies and both accounts; bounded parts; what stops a build."""

import json
import random
from typing import Any

import polars as pl
import pytest

from pipeline.core import deliveries, filing
from pipeline.core.digests import keyed_digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.ingested import shard_name
from pipeline.core.keys import PUBLIC_KEY
from pipeline.stages import ingest
from tests.building import SIDECAR, Built, lines, record


def ids(built: Built) -> set[str]:
    return set(built.comparisons()["comparison_id"])


def test_a_comparison_id_covers_the_verdict_as_shown(project: Built) -> None:
    fields = {**SIDECAR["fields"], "presented_order": "order", "model_a": "m", "created_at": "at", "event_id": "event"}
    base = record(order="ab", m="m-1", at="2026-01-01", event="e")
    changes = [{"preference": "b"}, {"order": "ba"}, {"m": "m-2"}, {"at": "2026-01-02"}, {"event": "f"}]
    changes += [{"annotator": "bob"}, {"prompt": "Why is the  sky blue?"}, {"a": "Scattering. "}, {"b": "magic."}]
    variants = [base, *({**base, **change} for change in changes)]
    project.source("s", {"x.jsonl": lines(*variants)}, fields=fields).run("ingest")
    assert len(ids(project)) == len(variants)


def test_opposite_verdicts_are_never_merged(project: Built) -> None:
    swapped = record(a="Magic.", b="Scattering.", preference="a")
    project.source("s", {"x.jsonl": lines(record(), swapped)}).run("ingest")
    rows = project.comparisons()
    assert rows.height == 2
    assert rows["pair_id"].n_unique() == 1


def test_editing_a_sidecar_renames_nothing(new_project: Any) -> None:  # noqa: ANN401
    one = new_project("one").source("s", {"x.jsonl": lines(record())}).run("ingest")
    statements = {
        "policy_version": "p-0",
        "rubric_version": "r-2",
        "license": "CC-BY-4.0",
        "slices": {"language": "en"},
    }
    two = new_project("two").source("s", {"x.jsonl": lines(record())}, **statements).run("ingest")
    assert ids(one) == ids(two)


def test_what_the_record_itself_says_of_its_rubric_is_part_of_its_id(project: Built) -> None:
    rows = lines(record(rubric="r-1"), record(rubric="r-2"))
    project.source("s", {"x.jsonl": rows}, rubric_version={"path": "rubric"}).run("ingest")
    assert len(ids(project)) == 2


def test_workers_of_two_crowds_are_strangers_unless_a_namespace_is_shared(project: Built) -> None:
    for name, namespace in (("one", None), ("two", "crowd"), ("three", "crowd")):
        project.source(
            name, {"x.jsonl": lines(record(annotator=58))}, **({"namespace": namespace} if namespace else {})
        )
    found = project.run("ingest").comparisons().select("source", "annotator").to_dict(as_series=False)
    by_source = dict(zip(found["source"], found["annotator"], strict=True))
    assert by_source["two"] == by_source["three"] != by_source["one"]
    assert by_source["one"] == keyed_digest_text(PUBLIC_KEY, "annotator", "one", "58")


def test_copies_within_and_across_files_are_counted_once(project: Built) -> None:
    files = {
        "x.jsonl": lines(record(), record(), record(annotator="bob")),
        "y.jsonl": lines(record(), record(annotator="cid")),
    }
    project.source("s", files).run("ingest", "validate")
    account = project.account("ingest")
    assert account["comparisons"] == {"candidates": 5, "kept": 3, "copies": 2, "quarantined": 0}
    assert account["records"] == {
        "in": 5,
        "gave_comparisons": 3,
        "only_copies": 2,
        "quarantined": 0,
        "no_comparison": 0,
        "reference": 0,
    }
    assert project.account("validate")["in"] == 3
    assert project.comparisons()["comparison_id"].n_unique() == 3


def test_which_copy_is_read_hangs_on_content_not_on_place(new_project: Any) -> None:  # noqa: ANN401
    fields = {**SIDECAR["fields"], "category": "topic"}
    first, second = lines(record(topic="x")), lines(record(topic="y"))
    seen = []
    for name, files in {
        "straight": {"a.jsonl": first, "b.jsonl": second},
        "turned": {"a.jsonl": second, "b.jsonl": first},
        "one_file": {"a.jsonl": second + first},
    }.items():
        built = new_project(name).source("s", files, fields=fields).run()
        published = pl.concat(
            (built.table(f"publish/{side}/pairs") for side in ("train", "validation", "heldout")), how="diagonal"
        )
        seen.append(published["category"].to_list())
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 1


def test_parts_on_disk_give_the_same_shard(new_project: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    rng = random.Random(1)  # noqa: S311
    rows = [record(prompt=f"Q{rng.randint(0, 400)}", preference=rng.choice("ab")) for _ in range(800)]
    whole = new_project("whole").source("s", {"x.jsonl": lines(*rows)}).run("ingest")
    monkeypatch.setattr(ingest, "parts_for", lambda _: 16)
    monkeypatch.setattr(filing, "parts_for", lambda _: 16)
    cut = new_project("cut").source("s", {"x.jsonl": lines(*rows)}).run("ingest")
    for name in ("records", "occurrences", "quarantine"):
        tables = [(built.stage("ingest") / f"{name}.parquet").read_bytes() for built in (whole, cut)]
        assert tables[0] == tables[1]
    shards = [next(built.shards.iterdir()).read_bytes() for built in (whole, cut)]
    assert shards[0] == shards[1]
    assert not cut.spill.joinpath("ingest").exists()


def test_an_empty_or_wholly_bad_file_still_has_its_record(project: Built) -> None:
    project.source("s", {"x.jsonl": "", "y.jsonl": "nonsense\n", "z.jsonl": lines(record())}).run("ingest")
    records = project.table("ingest/records").select("source_file", "outcome", "reason").rows()
    assert records == [
        ("s/x.jsonl", "quarantined", "empty_file"),
        ("s/y.jsonl", "quarantined", "broken_json"),
        ("s/z.jsonl", "gave_comparisons", None),
    ]
    assert [path.name for path in project.shards.iterdir()] == [shard_name("s/z.jsonl")]


def test_a_project_without_one_good_record_still_adds_up(project: Built) -> None:
    project.source("s", {"x.jsonl": "nonsense\n"}).run("ingest", "validate", "dedupe", "split")
    assert project.account("split")["in"] == 0


def test_a_bracket_in_a_name_is_no_pattern(new_project: Any) -> None:  # noqa: ANN401
    built = new_project("with[1]").source(
        "s", {"a[1].jsonl": lines(record(prompt="one?")), "a1.jsonl": lines(record())}
    )
    contents = sorted(row[0]["content"] for row in built.run().comparisons()["prompt"])
    assert contents == ["Why is the sky blue?", "one?"]


def test_what_the_record_says_of_policy_and_kind_is_part_of_its_id(project: Built) -> None:
    fields = {**SIDECAR["fields"], "annotator_kind": "kind"}
    rows = lines(*(record(policy=policy, kind=kind) for policy in ("p-0", "p-1") for kind in ("human", "model")))
    project.source("s", {"x.jsonl": rows}, fields=fields, policy_version={"path": "policy"}).run("ingest")
    assert len(ids(project)) == 4


def test_a_file_that_nobody_reads_stops_the_build(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record()), "new.ndjson": lines(record())})
    with pytest.raises(PairtrailError, match=r"s/new\.ndjson is matched by no glob"):
        project.run("ingest")


def test_a_source_that_came_after_ingest_stops_publish(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())}).run()
    project.source("late", {"x.jsonl": lines(record())})
    with pytest.raises(PairtrailError, match="late: new since the last ingest"):
        project.run("publish")


def test_a_fault_in_an_account_stops_the_build(project: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    project.source("s", {"x.jsonl": lines(record(), record(annotator="bob"))}).run("ingest")
    before = project.counts("ingest").read_bytes()
    monkeypatch.setattr(deliveries, "copies_elsewhere", lambda occurrences: occurrences)
    with pytest.raises(PairtrailError, match="does not add up"):
        project.run("ingest")
    assert project.counts("ingest").read_bytes() == before
    assert sorted(path.name for path in project.stage("ingest").parent.iterdir() if path.name.startswith(".")) == []


def test_a_file_named_by_two_globs_is_refused(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())}, files=["*.jsonl", "x.*"])
    with pytest.raises(PairtrailError, match="matched by more than one"):
        project.run("ingest")


def test_a_strange_adapter_is_refused_with_the_known_ones(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())}, adapter="recrods")
    with pytest.raises(PairtrailError, match=r"known: .*records"):
        project.run("ingest")


def test_counts_are_told_per_source(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record(), record(a=1))}).source("t", {"x.jsonl": lines(record(b=""))}).run(
        "ingest"
    )
    account = json.loads(project.counts("ingest").read_text(encoding="utf-8"))
    assert account["records_by_source"] == {
        "s": {"gave_comparisons": 1, "quarantined": 1},
        "t": {"gave_comparisons": 1},
    }
    assert account["kept_by_source"] == {"s": 1, "t": 1}
