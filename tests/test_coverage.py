"""What the manifest says of provenance, against counts over the published votes in plain Python."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from ruamel.yaml import YAML

from pipeline.core.params import read_yaml
from pipeline.core.publishing.card import card
from pipeline.core.publishing.card.markdown import percent
from pipeline.core.publishing.coverage import FIELDS, KEYS, STATED_BY, stated
from pipeline.demo import write_sample
from schemas.columns import dtypes
from schemas.comparisons import COMPARISONS
from tests.building import ROOT, SIDECAR, Built, lines, record

ROW_FIELDS = [
    *("annotator", "annotator_kind", "consent_refs", "model_a", "model_b", "decoder_a", "decoder_b"),
    *("chat_template_sha256", "policy_version", "rubric_version", "created_at", "presented_order"),
    *("language", "strength"),
]
SIDECAR_KEYS = ["collected_by", "written_by", "filtered_by", "approved_by", "approved_on"]
TEMPLATE = "9" * 64


def manifest(built: Built) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((built.stage("publish") / "manifest.json").read_text(encoding="utf-8"))
    return content


def states(row: Mapping[str, Any], field: str) -> bool:
    if field == "consent_refs":
        return any(None not in (ref["subject"], ref["consent_id"]) for ref in row[field])
    return row[field] is not None


def counted(built: Built) -> dict[str, dict[str, Any]]:
    """Count row by row: the votes of all sides, and the comparisons of their ids as ingest wrote them."""
    votes = [
        name
        for side in ("train", "validation", "heldout")
        for name in built.table(f"publish/{side}/votes")["comparison_id"].to_list()
    ]
    known = {row["comparison_id"]: row for row in built.comparisons().to_dicts()}
    found: dict[str, dict[str, Any]] = {}
    for folder in sorted(built.raw.iterdir()):
        sidecar = read_yaml(folder / "source.yaml")
        rows = [known[name] for name in votes if known[name]["source"] == folder.name]
        shares = {field: sum(states(row, field) for row in rows) for field in ROW_FIELDS}
        shares |= {key: len(rows) if sidecar.get(key) else 0 for key in SIDECAR_KEYS}
        told = {name: round(count / len(rows), 6) if rows else 0.0 for name, count in shares.items()}
        found[folder.name] = {"rows": len(rows), **told}
    return found


def some(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    everything = {
        "ma": "m-1", "mb": "m-2", "da": "t=1", "db": "t=0", "tpl": TEMPLATE, "at": "2026-01-05T10:00Z", "order": "ab",
        "lang": "en", "how": 1, "consent": "c-1", "rubric": "r-1",
    }  # fmt: skip
    return record(**{**everything, **changes})


FIELD_MAP = {
    **SIDECAR["fields"],
    "model_a": "ma",
    "model_b": "mb",
    "decoder_a": "da",
    "decoder_b": "db",
    "chat_template_sha256": "tpl",
    "created_at": "at",
    "presented_order": "order",
    "language": "lang",
    "strength": {"path": "how", "scale": [0, 3]},
}
GAPS: list[dict[str, Any]] = [
    *({name: None} for name in ("annotator", "consent", "ma", "mb", "da", "db", "tpl", "at", "order", "lang", "how")),
    *[{"da": None, "db": None}] * 2,
    {"mb": None, "consent": None, "at": None},
]


@pytest.fixture
def varied(project: Built) -> Built:
    """Three sources: one with gaps everywhere, copies and dropped rows; a judge's; one that nothing is used of."""
    asked = [some(prompt=f"Q{number}?", **gap) for number, gap in enumerate(GAPS * 3 + [{}] * 5)]
    dropped = [some(prompt="Gone?", rubric="r-9", da=None), some(prompt="Same?", b="Scattering.", mb=None)]
    rows = lines(*asked, *dropped, *asked[:4])
    stated_by = {"written_by": "everybody", "filtered_by": "nobody", "rubric_version": {"path": "rubric"}}
    project.source("s", {"x.jsonl": rows}, fields=FIELD_MAP, **stated_by)
    judge = {**SIDECAR["fields"], "annotator_kind": {"constant": "model"}, "decoder_b": {"constant": "t=0"}}
    project.source("judge", {"x.jsonl": lines(*(some(prompt=f"Q{n}?") for n in range(7)))}, fields=judge)
    project.source("unused", {"x.jsonl": lines(some(prompt="Q?"))}, fields=FIELD_MAP, consent="none")
    return project.run()


def test_coverage_is_what_the_published_verdicts_state(varied: Built) -> None:
    told = manifest(varied)["coverage"]
    assert told == counted(varied)
    # By hand: each gap stands three times among 47. No row is published without a consent record.
    assert told["s"]["rows"] == 3 * len(GAPS) + 5 == 47
    assert told["s"]["decoder_a"] == round((47 - 9) / 47, 6)
    assert told["s"]["consent_refs"] == 1
    assert told["s"]["created_at"] == told["s"]["model_b"] == round((47 - 6) / 47, 6)
    assert (told["s"]["written_by"], told["judge"]["written_by"]) == (1.0, 0.0)
    assert (told["judge"]["rows"], told["judge"]["decoder_a"], told["judge"]["decoder_b"]) == (7, 0.0, 1.0)
    assert set(told["unused"].values()) == {0}
    votes = varied.account("publish")
    assert sum(source["rows"] for source in told.values()) == votes["in"] == 54
    assert votes["dropped_by"] == {"human_judged": 7}


def test_the_fields_are_those_that_the_docs_name() -> None:
    assert list(FIELDS) == ROW_FIELDS
    assert list(KEYS) == SIDECAR_KEYS


labels = st.sampled_from([None, "x"])
refs = st.lists(st.fixed_dictionaries({"role": labels, "subject": labels, "consent_id": labels}), max_size=3)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(FIELDS, labels) | {"consent_refs": refs}), min_size=1, max_size=8))
def test_each_bit_is_one_field_of_one_row(rows: list[dict[str, Any]]) -> None:
    types = {**dict.fromkeys(FIELDS, pl.String), "consent_refs": dtypes(COMPARISONS)["consent_refs"]}
    bits = pl.DataFrame(rows, schema=types).select(stated())[STATED_BY].to_list()
    for row, found in zip(rows, bits, strict=True):
        assert {field for place, field in enumerate(FIELDS) if found & 2**place} == {
            field for field in FIELDS if states(row, field)
        }
        assert found < 2 ** len(FIELDS)


def test_parts_and_orders_change_nothing(varied: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    before = manifest(varied)["coverage"]
    with monkeypatch.context() as small:
        small.setattr("pipeline.core.spill._PART_BYTES", 8_192)
        assert manifest(varied.run("publish"))["coverage"] == before
    file = varied.raw / "s" / "x.jsonl"
    file.write_text("".join(reversed(file.read_text(encoding="utf-8").splitlines(keepends=True))), encoding="utf-8")
    assert manifest(varied.run())["coverage"] == before


def test_who_collected_wrote_selected_and_approved_stands_in_the_manifest(varied: Built) -> None:
    with (varied.root / "data/rubric/r-1.md").open("w", encoding="utf-8") as file:
        head = {"version": "r-1", "title": "How to judge", "effective": "2026-01-01"}
        stated_by = {"approved_by": "the board", "approved_on": "2025-12-31", "written_by": "the annotation lead"}
        file.write("---\n")
        YAML(typ="safe").dump({**head, **stated_by}, file)
        file.write("---\nBe fair.\n")
    told = manifest(varied.run("publish"))
    assert {key: told["sources"]["s"][key] for key in SIDECAR_KEYS} == {
        "collected_by": "the tests",
        "written_by": "everybody",
        "filtered_by": "nobody",
        "approved_by": "the tests",
        "approved_on": "2025-12-01",
    }
    assert told["sources"]["judge"]["written_by"] is told["sources"]["judge"]["filtered_by"] is None
    rubric = told["rubrics"]["r-1"]
    assert {key: rubric[key] for key in rubric if key != "sha256"} == {"title": "How to judge", **stated_by}
    assert told["policies"]["p-1"]["written_by"] is None
    footer = json.loads(parquet.read_metadata(varied.stage("publish") / "train/votes.parquet").metadata[b"pairtrail"])
    assert footer["coverage"] == told["coverage"]


def test_the_card_shows_it_in_percent_and_never_all_for_less(varied: Built) -> None:
    told = manifest(varied)
    written = (varied.stage("publish") / "README.md").read_text(encoding="utf-8")
    table, again = (text.split("## Provenance\n")[1].split("\n## ")[0] for text in (written, card(told)))
    assert table == again
    head, _, *rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    assert head == ["source", "verdicts", *(f"`{name}`" for name in (*ROW_FIELDS, *SIDECAR_KEYS))]
    assert [row[:2] for row in rows] == [["judge", "7"], ["s", "47"]]
    shown = dict(zip(head, rows[1], strict=True))
    assert (shown["`decoder_a`"], shown["`annotator_kind`"], shown["`written_by`"]) == ("80.9", "100", "100")
    assert dict(zip(head, rows[0], strict=True))["`written_by`"] == "0"


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0"), (0.000001, "0.1"), (0.0004, "0.1"), (0.5, "50.0"), (0.9994, "99.9"), (0.999999, "99.9"), (1.0, "100")],
)
def test_a_little_is_not_nothing_and_nearly_all_is_not_all(share: float, shown: str) -> None:
    assert percent(share) == shown


def test_the_sample_s_coverage_is_counted_and_its_decoders_are_stated(tmp_path: Path) -> None:
    built = Built(tmp_path)
    write_sample(built.root / "data", seed=3, comparisons=600)
    built.params.write_bytes((ROOT / "params.yaml").read_bytes())
    told = manifest(built.run())["coverage"]
    assert told == counted(built)
    for name in ("arena", "judge", "legacy"):
        assert told[name]["rows"] > 0
        assert told[name]["decoder_a"] == told[name]["decoder_b"] == 1.0
    assert told["legacy"]["chat_template_sha256"] == 1.0
    assert 0 < told["crowd"]["strength"] < 1
