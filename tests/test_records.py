"""The adapter `records`: shapes, formats and value specs against exact rows; each quarantine reason by example."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from pipeline.core.mapping.candidates import CANDIDATE_REASONS
from tests.building import SIDECAR, Built, lines, record

FIELDS = SIDECAR["fields"]
TWO = [record(), record(prompt="Où?", a="Ici \u2603", b="x\ny", preference="tie", annotator="bob")]


def as_csv(records: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(records[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue().encode()


def as_parquet(records: list[dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    pl.DataFrame(records).write_parquet(stream)
    return stream.getvalue()


FORMATS: dict[str, tuple[str, bytes]] = {
    "lines": ("json", lines(*TWO).encode()),
    "array": ("json", json.dumps(TWO, indent=2).encode()),
    "csv": ("csv", as_csv(TWO)),
    "tsv": ("tsv", as_csv(TWO, "\t")),
    "parquet": ("parquet", as_parquet(TWO)),
}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gz": gzip.compress, "zst": zstandard.compress}


def shown(built: Built) -> list[tuple[Any, ...]]:
    columns = ["prompt", "response_a", "response_b", "preference", "source_row"]
    rows = (
        built.table("ingest/occurrences").filter(part="verdict", canonical=True).select("comparison_id", "source_row")
    )
    return sorted(built.comparisons().join(rows, on="comparison_id").select(columns).rows(), key=lambda row: row[-1])


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("shape", FORMATS)
def test_every_format_gives_the_same_rows(project: Built, shape: str, packing: str) -> None:
    declared, content = FORMATS[shape]
    packed = PACKINGS[packing](content)
    # The suffix lies: only the content tells.
    project.source("s", {"log.bin": packed}, format=declared, files=["log.bin"]).run("ingest")
    sky = [{"role": "user", "content": "Why is the sky blue?"}]
    numbers = [1, 2]
    assert shown(project) == [
        (sky, "Scattering.", "Magic.", "a", numbers[0]),
        ([{"role": "user", "content": "Où?"}], "Ici \u2603", "x\ny", "tie", numbers[1]),
    ]


def test_nested_fields_templates_constants_maps_and_times(project: Built) -> None:
    given = {
        "task": {"text": "Translate.", "input": ["ignored", " Bonjour "]},
        "left": {"text": "Hello", "model": "m-1", "temperature": "0.7"},
        "right": {"text": "Bye", "model": "m-2"},
        "winner": "right_vote",
        "clear": True,
        "who": 58,
        "when": 1767225600.25,
        "took": 12,
        "sure": 0.5,
        "why": "because",
    }
    fields = {
        "prompt": {"template": "{task.text}\n\n{task.input.1}"},
        "response_a": "left.text",
        "response_b": {"path": "right.text"},
        "preference": {"path": "winner", "values": {"left_vote": "a", "right_vote": "b"}},
        "strength": {"path": "clear", "values": {True: 1, False: 0.25}},
        "annotator": "who",
        "annotator_kind": {"constant": "human"},
        "model_a": "left.model",
        "model_b": "right.model",
        "decoder_a": "left.temperature",
        "created_at": {"path": "when", "unit": "seconds"},
        "duration_s": "took",
        "confidence": "sure",
        "rationale": "why",
        "presented_order": {"constant": "ba"},
        "behaviour_a": {"constant": "comply"},
    }
    slices = {"language": "fr", "category": "translation", "template_id": "t-1", "safety": "benign"}
    project.source("s", {"x.jsonl": lines(given)}, fields=fields, slices=slices).run("ingest")
    row = project.comparisons().to_dicts()[0]
    expected = {
        "prompt": [{"role": "user", "content": "Translate.\n\n Bonjour"}],
        "response_a": "Hello",
        "response_b": "Bye",
        "preference": "b",
        "strength": 1.0,
        "strength_raw": "true",
        "strength_scale": "false=0.25, true=1",
        "model_a": "m-1",
        "model_b": "m-2",
        "decoder_a": "0.7",
        "decoder_b": None,
        "created_at": datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC),
        "duration_s": 12.0,
        "confidence": 0.5,
        "rationale": "because",
        "presented_order": "ba",
        "behaviour_a": "comply",
        "behaviour_b": None,
        "language": "fr",
        "category": "translation",
        "template_id": "t-1",
        "safety": "benign",
        "policy_version": "p-1",
        "rubric_version": "r-1",
        "source": "s",
        "license": "CC0-1.0",
        "consent_refs": [{"role": "publisher", "subject": "source:s", "consent_id": "whole"}],
        "annotator_kind": "human",
    }
    assert {name: row[name] for name in expected} == expected


def test_message_lists_keep_their_turns_and_roles_are_renamed(project: Built) -> None:
    turns = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}, {"from": "human", "value": "And?"}]
    prompt = {"messages": "turns", "role": "from", "content": "value", "roles": {"human": "user", "gpt": "assistant"}}
    rows = lines(record(turns=turns), record(turns=[{"from": "oracle", "value": "?"}], annotator="bob"))
    project.source("s", {"x.jsonl": rows}, fields={**FIELDS, "prompt": prompt}).run("ingest")
    assert project.comparisons()["prompt"].to_list() == [
        [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "And?"},
        ]
    ]
    assert project.reasons("ingest") == {"unknown_role": 1}


@pytest.mark.parametrize(
    ("raw", "scale", "strength"), [(3, [0, 3], 1.0), (1, [0, 4], 0.25), ("2", [1, 5], None), (0, [-2, 2], 0.5)]
)
def test_strength_keeps_raw_value_and_scale(project: Built, raw: Any, scale: list[int], strength: float | None) -> None:  # noqa: ANN401
    fields = {**FIELDS, "strength": {"path": "how", "scale": scale}}
    project.source("s", {"x.jsonl": lines(record(how=raw))}, fields=fields).run("ingest")
    if strength is None:
        assert project.reasons("ingest") == {"wrong_type": 1}
        return
    row = project.comparisons().to_dicts()[0]
    assert (row["strength"], row["strength_raw"]) == (strength, str(raw))
    assert row["strength_scale"] == f"{scale[0]}..{scale[1]}"


def test_an_unknown_strength_is_null_never_zero(project: Built) -> None:
    fields = {**FIELDS, "strength": {"path": "how", "scale": [0, 3]}}
    project.source("s", {"x.jsonl": lines(record(how=None), record(annotator="bob"))}, fields=fields).run("ingest")
    assert project.comparisons().select("strength", "strength_raw", "strength_scale").unique().rows() == [(None,) * 3]


def test_a_blank_names_nobody_and_says_nothing(project: Built) -> None:
    refs = [{"role": "annotator", "subject": "annotator", "consent_id": "consent"}]
    votes = {"path": "preference", "values": {"a": "a", "b": "b"}}
    fields = {**FIELDS, "preference": votes, "category": "topic", "consent_refs": refs}
    rows = as_csv([record(annotator=" ", preference="", topic="", consent="")])
    project.source("s", {"x.csv": rows}, format="csv", files=["x.csv"], fields=fields).run("ingest")
    row = project.comparisons().to_dicts()[0]
    assert (row["annotator"], row["preference"], row["category"]) == (None, None, None)
    assert row["consent_refs"][:-1] == [{"role": "annotator", "subject": None, "consent_id": None}]


def test_fan_out_gives_one_comparison_per_annotator_column(project: Built) -> None:
    votes = {0: "tie", 1: "a", 2: "b"}
    fan_out = [
        {"key": who, "fields": {"annotator": {"constant": who}, "preference": {"path": who, "values": votes}}}
        for who in ("ann", "bob", "cid")
    ]
    given = [record(ann=1, bob=2, cid=0), record(prompt="?", ann=1, bob=9, cid=True)]
    project.source("s", {"x.jsonl": lines(*given)}, fan_out=fan_out).run("ingest")
    rows = project.comparisons().join(project.table("ingest/occurrences"), on="comparison_id")
    assert rows.sort("source_row")["source_row"].to_list() == [1, 1, 1, 2]
    assert sorted(rows.filter(source_row=1)["preference"]) == ["a", "b", "tie"]
    assert rows["annotator"].n_unique() == 3
    faults = project.table("ingest/quarantine").select("source_row", "fan_out", "reason").rows()
    assert faults == [(2, "bob", "unknown_value"), (2, "cid", "unknown_value")]
    outcomes = project.table("ingest/records")["outcome"].to_list()
    assert outcomes == ["gave_comparisons", "gave_comparisons"]


JOIN = {
    "format": "csv",
    "files": ["votes.csv"],
    "join": {"texts": {"glob": "texts.json", "format": "json", "key": "id", "on": "item"}},
    "fields": {
        "prompt": "texts:q.text",
        "response_a": "texts:answers.0",
        "response_b": "texts:answers.1",
        "preference": {"path": "winner", "values": {"left": "a", "right": "b"}},
        "annotator": "worker",
        "annotator_kind": {"constant": "human"},
    },
}


def test_votes_join_to_texts(project: Built) -> None:
    texts = [{"id": i, "q": {"text": f"Q{i}"}, "answers": ["yes", "no"]} for i in range(3)]
    texts += [{"id": 3, "q": {"text": "one"}, "answers": ["y", "n"]}, {"id": 3, "q": {"text": "two"}, "answers": []}]
    texts += [texts[0], {"q": {"text": "no key"}}]
    votes = [{"item": i, "winner": "left", "worker": f"w{i}"} for i in (0, 1, 0, 3, 8)]
    project.source("s", {"votes.csv": as_csv(votes), "texts.json": json.dumps(texts)}, **JOIN).run("ingest")
    assert [row[0][0]["content"] for row in shown(project)] == ["Q0", "Q1"]
    records = project.table("ingest/records").select("source_file", "source_row", "outcome", "reason").rows()
    assert records == [
        *[("s/texts.json", row, "reference", None) for row in (1, 2, 3)],
        *[("s/texts.json", row, "quarantined", "ambiguous_key") for row in (4, 5)],
        *[("s/texts.json", row, "reference", None) for row in (6, 7)],
        ("s/votes.csv", 1, "gave_comparisons", None),
        ("s/votes.csv", 2, "gave_comparisons", None),
        ("s/votes.csv", 3, "only_copies", None),
        *[("s/votes.csv", row, "quarantined", "no_side_record") for row in (4, 5)],
    ]
    sides = project.table("ingest/occurrences").filter(part="side").select("source_file", "source_row", "delivery")
    assert sorted(sides.rows()) == [("s/texts.json", 1, 0), ("s/texts.json", 1, 1), ("s/texts.json", 2, 0)]


TYPED = {
    **FIELDS,
    "confidence": "sure",
    "created_at": "at",
    "duration_s": "took",
    "preference": {"path": "preference", "values": {"a": "a", "b": "b"}},
    "safety": "safety",
}
FAULTS: dict[str, list[dict[str, Any]]] = {
    "wrong_type": [
        record(a=True),
        record(b=7),
        record(prompt=["x"]),
        record(annotator=1.5),
        record(annotator=False),
        record(sure="high"),
        record(sure=True),
        record(at=12),
    ],
    "unknown_value": [record(preference="c"), record(preference=1), record(safety="odd")],
    "bad_time": [
        record(at="26-01-01"),
        record(at="+12026-01-01"),
        record(at="yesterday"),
        record(at="2026-13-01"),
        record(at="2026-01-01T25:00:00Z"),
    ],
    "out_of_range": [
        record(sure=2**70),
        record(took=-1),
        record(at="0000-01-01"),
        record(at="0001-01-01T00:00:00+14:00"),
        record(at="9999-12-31T23:59:59-12:00"),
    ],
    "missing_field": [record(a=None), record(prompt=None), {"a": "x", "b": "y", "preference": "a"}],
}


@pytest.mark.parametrize(("reason", "given"), [(reason, one) for reason, found in FAULTS.items() for one in found])
def test_a_value_that_does_not_fit_costs_its_record_alone(project: Built, reason: str, given: dict[str, Any]) -> None:
    rows = lines(record(annotator="before"), given, record(annotator="after"))
    project.source("s", {"x.jsonl": rows}, fields=TYPED).run("ingest")
    assert project.reasons("ingest") == {reason: 1}
    assert project.table("ingest/quarantine")["source_row"].to_list() == [2]
    assert project.comparisons().height == 2


TIMES = {
    "2026-01-01": datetime(2026, 1, 1, tzinfo=UTC),
    "2026-01-01 10:30": datetime(2026, 1, 1, 10, 30, tzinfo=UTC),
    "2026-01-01T10:30:00Z": datetime(2026, 1, 1, 10, 30, tzinfo=UTC),
    "2026-01-01T10:30:00.125+02:00": datetime(2026, 1, 1, 8, 30, 0, 125_000, tzinfo=UTC),
    "2026-01-01 10:30:00": datetime(2026, 1, 1, 10, 30, tzinfo=UTC),
    "": None,
    "2026-01-01T10:30Z": datetime(2026, 1, 1, 10, 30, tzinfo=UTC),
    "2026-01-01T10:30+0200": datetime(2026, 1, 1, 8, 30, tzinfo=UTC),
    "2026-01-01 10:30:00.5+02": datetime(2026, 1, 1, 8, 30, 0, 500_000, tzinfo=UTC),
    "2026-01-01 10:30:00 UTC": datetime(2026, 1, 1, 10, 30, tzinfo=UTC),
    "1969-12-31t23:59:59z": datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
}


@pytest.mark.parametrize("text", TIMES)
def test_times(project: Built, text: str) -> None:
    project.source("s", {"x.jsonl": lines(record(at=text))}, fields={**FIELDS, "created_at": "at"}).run("ingest")
    assert project.comparisons()["created_at"].to_list() == [TIMES[text]]


@pytest.mark.parametrize(
    ("stated", "reason"), [(1e300, "out_of_range"), ("soon", "bad_time"), ("nan", "out_of_range"), (True, "bad_time")]
)
def test_bad_epochs(project: Built, stated: Any, reason: str) -> None:  # noqa: ANN401
    fields = {**FIELDS, "created_at": {"path": "at", "unit": "milliseconds"}}
    project.source("s", {"x.jsonl": lines(record(at=stated), record(at=86_400_000))}, fields=fields).run("ingest")
    assert project.reasons("ingest") == {reason: 1}
    assert project.comparisons()["created_at"].to_list() == [datetime(1970, 1, 2, tzinfo=UTC)]


def test_a_side_file_s_format_decides_what_its_numbers_are(project: Built) -> None:
    join = {"texts": {"glob": "s.csv", "format": "csv", "key": "i", "on": "i"}}
    fields = {**FIELDS, "confidence": "texts:d", "duration_s": "d"}
    votes = lines(record(i=1, d=2), record(i=1, d="2", annotator="bob"), record(i=2, annotator="cid"))
    files: dict[str, str | bytes] = {"x.jsonl": votes, "s.csv": b"i,d\n1,0.5\n2,\n"}
    project.source("s", files, join=join, fields=fields).run("ingest")
    assert sorted(project.comparisons()["confidence"].to_list(), key=str) == [0.5, None]
    assert project.reasons("ingest") == {"wrong_type": 1}


def test_a_blank_epoch_in_csv_is_no_time(project: Built) -> None:
    fields = {**FIELDS, "created_at": {"path": "at", "unit": "seconds"}}
    rows = as_csv([record(at="")])
    project.source("s", {"x.csv": rows}, format="csv", files=["x.csv"], fields=fields).run("ingest")
    assert project.comparisons()["created_at"].to_list() == [None]


def test_a_whole_key_goes_before_a_path(project: Built) -> None:
    rows = lines(record(**{"a.text": "whole"}))
    project.source("s", {"x.jsonl": rows}, fields={**FIELDS, "response_a": "a.text"}).run("ingest")
    assert project.comparisons()["response_a"].to_list() == ["whole"]


def test_stated_time_formats(project: Built) -> None:
    fields = {**FIELDS, "created_at": {"path": "at", "format": "%d.%m.%Y %H:%M"}}
    project.source("s", {"x.jsonl": lines(record(at="02.01.2026 03:04"))}, fields=fields).run("ingest")
    assert project.comparisons()["created_at"].to_list() == [datetime(2026, 1, 2, 3, 4, tzinfo=UTC)]


def test_groups_override_fields_and_format(project: Built) -> None:
    files: dict[str, str | bytes] = {"human.jsonl": lines(record()), "judge.csv": as_csv([record(annotator="x")])}
    judge = {"annotator": {"constant": "judge"}, "annotator_kind": {"constant": "model"}}
    groups = ["*.jsonl", {"glob": "judge.csv", "format": "csv", "fields": judge}]
    project.source("s", files, files=groups).run("ingest")
    assert sorted(project.comparisons()["annotator_kind"]) == ["human", "model"]


def test_every_fault_here_is_a_candidate_reason() -> None:
    assert {"no_side_record", "unknown_role", *FAULTS} <= set(CANDIDATE_REASONS)


def test_dirty_bytes_cost_their_record_alone(project: Built) -> None:
    good = [lines(record(annotator=f"w{i}")).encode() for i in range(4)]
    bad = {
        "broken_json": b'{"prompt": nope}\n',
        "invalid_utf8": lines(record()).encode().replace(b"sky", b"s\xffy"),
        "too_deep": b'{"prompt": ' + b"[" * 100 + b"]" * 100 + b"}\n",
        "duplicate_key": b'{"prompt": "x", "prompt": "y"}\n',
        "not_finite": b'{"prompt": NaN}\n',
        "lone_surrogate": b'{"prompt": "\\ud800"}\n',
        "nul_character": b'{"prompt": "\\u0000"}\n',
        "not_an_object": b"[1, 2]\n",
        "record_too_large": b'{"prompt": "' + b"x" * 200_000 + b'"}\n',
    }
    content = b"".join([good[0], *bad.values(), *good[1:]])
    files: dict[str, str | bytes] = {"x.jsonl": content, "cut.jsonl": gzip.compress(content)[:-40], "empty.jsonl": b""}
    project.source("s", files).run("ingest")
    faults = project.table("ingest/quarantine").filter(source_file="s/x.jsonl").select("source_row", "reason").rows()
    assert faults == list(enumerate(bad, start=2))
    whole = project.table("ingest/occurrences").filter(source_file="s/x.jsonl")
    assert whole.height == 4
    others = project.table("ingest/quarantine").filter(pl.col("source_file") != "s/x.jsonl")
    assert {"unreadable_file", "empty_file"} <= set(others["reason"])
    assert b"nope" not in Path(project.root / "data/ingest/quarantine.parquet").read_bytes()
