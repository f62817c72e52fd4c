"""Sources: what lies under data/raw, what the last ingest made of it, and what a sidecar must state."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.adapters import adapter_for, adapter_names
from pipeline.core.errors import PairtrailError
from pipeline.core.sidecar.sources import load_source, load_sources
from pipeline.lineage.sources import sources
from tests.building import SIDECAR, Built, lines, record

FIELDS = SIDECAR["fields"]


def put(project: Built, text: str | bytes) -> Path:
    path = project.source("s", {"x.jsonl": lines(record())}).raw / "s" / "source.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(PairtrailError) as caught:
        adapter_for(load_source(path))
    return str(caught.value)


def refused(project: Built, **changes: Any) -> str:  # noqa: ANN401
    return refusal(project.source("s", {"x.jsonl": lines(record())}, **changes).raw / "s" / "source.yaml")


def test_before_ingest_counts_are_not_known_and_after_it_they_are(project: Built) -> None:
    bad = '{"prompt": \n'
    project.source(
        "first", {"x.jsonl": lines(record(), record(), record(prompt="Why?")) + bad, "y.jsonl": lines(record())}
    )
    project.source("other", {"x.jsonl": bad}, consent="none", synthetic=True, license="CC-BY-4.0")
    stated = {"adapter": "records", "synthetic": True}
    first = {**stated, "source": "first", "license": "CC0-1.0", "basis": "eu-gdpr:A6-1-a", "files": 2}
    other = {**stated, "source": "other", "license": "CC-BY-4.0", "basis": "none", "files": 1}
    unknown = {"records": None, "comparisons": None, "quarantined": None}
    assert sources(project) == [{**first, **unknown}, {**other, **unknown}]
    project.run("ingest")
    assert sources(project) == [
        {**first, "records": 5, "comparisons": 2, "quarantined": 1},
        {**other, "records": 1, "comparisons": 0, "quarantined": 1},
    ]


def test_a_source_added_since_the_last_ingest_has_no_records_yet(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())}).run("ingest")
    project.source("t", {"x.jsonl": lines(record())})
    assert [row["records"] for row in sources(project)] == [1, 0]


def test_without_sources_it_says_what_to_do(project: Built) -> None:
    for exists in (False, True):
        if exists:
            project.raw.mkdir(parents=True)
        with pytest.raises(
            PairtrailError, match=r"put your logs into a folder below it, with a source\.yaml, or run `pairtrail demo`"
        ):
            load_sources(project.raw)


def test_a_folder_without_a_sidecar_is_an_error(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())})
    (project.raw / "t").mkdir()
    with pytest.raises(PairtrailError, match=r"t: no source\.yaml; a source must state its adapter, licence, consent"):
        load_sources(project.raw)


@pytest.mark.parametrize("name", ["Crowd", "1st", "a b", "a-b", "ä"])
def test_a_source_s_name_is_plain(name: str, project: Built) -> None:
    path = project.source(name, {"x.jsonl": lines(record())}).raw / name / "source.yaml"
    assert f"folder `{name}`: a source's name is lower-case letters, digits and _" in refusal(path)


STATEMENTS = [name for name in SIDECAR if name not in {"fields", "files"}]


@pytest.mark.parametrize("name", [*STATEMENTS, "fields", "files"])
def test_a_missing_statement_is_an_error_never_a_guess(name: str, project: Built) -> None:
    path = put(project, "")
    with path.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump({key: value for key, value in SIDECAR.items() if key != name}, stream)
    told = refusal(path)
    assert f"missing key `{name}`: it must be stated, never guessed" in told
    assert str(path) in told


@pytest.mark.parametrize("name", ["basis", "purposes", "roles", "statement"])
def test_consent_states_everything_or_none(name: str, project: Built) -> None:
    consent = {key: value for key, value in SIDECAR["consent"].items() if key != name}
    assert f"missing key `consent.{name}`" in refused(project, consent=consent)
    project.source("s", {"x.jsonl": lines(record())}, consent="none")
    assert load_source(project.raw / "s/source.yaml").sidecar.consent is None


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": (
        {"licence": "MIT"},
        "unknown key `licence`; did you mean `license`? (known: synthetic, adapter, license,",
    ),
    "unknown key of consent": (
        {"consent": {**SIDECAR["consent"], "purpose": []}},
        "unknown key `consent.purpose`; did you mean `purposes`? (known: basis, purposes, roles, statement, record)",
    ),
    "unknown key of a group": (
        {"files": [{"glob": "*.jsonl", "formt": "csv"}]},
        "`files.0.formt`; did you mean `format`?",
    ),
    "unknown key of a join": (
        {"join": {"t": {"glob": "x.jsonl", "kee": "id", "key": "id", "on": "id"}}},
        "`join.t.kee`; did you mean `key`?",
    ),
    "unknown role": (
        {"consent": {**SIDECAR["consent"], "roles": ["worker"]}},
        "`consent.roles.0`: Input should be 'prompt_author'",
    ),
    "unknown format": ({"format": "xlsx"}, "`format`: Input should be 'json', 'csv', 'tsv' or 'parquet'"),
    "unknown slice": ({"slices": {"langage": "en"}}, "langage"),
    "a word for a truth": ({"synthetic": "yes"}, "`synthetic`: Input should be a valid boolean"),
    "unknown field": (
        {"fields": {**FIELDS, "anotator": "x"}},
        "unknown field `anotator`; did you mean `annotator`? (known: prompt, response_a,",
    ),
    "field of another planet": ({"fields": {**FIELDS, "zzz": "x"}}, "unknown field `zzz` (known: prompt,"),
    "field not mapped": (
        {"fields": {key: value for key, value in FIELDS.items() if key != "annotator"}},
        "field `annotator` is not mapped: give a path, or {constant: ...}",
    ),
    "unknown constant": (
        {"fields": {**FIELDS, "annotator_kind": {"constant": "person"}}},
        "field `annotator_kind`: `person` is not one of human, model, rule",
    ),
    "unknown target of a map": (
        {"fields": {**FIELDS, "preference": {"path": "preference", "values": {"l": "left", "a": "a"}}}},
        "field `preference`: `left` is not one of a, b, tie, both_bad",
    ),
    "messages for a label": ({"fields": {**FIELDS, "category": {"messages": "q"}}}, "`messages` fits `prompt` alone"),
    "a scale for a label": (
        {"fields": {**FIELDS, "category": {"path": "q", "scale": [0, 1]}}},
        "fits `strength` alone",
    ),
    "a unit for a label": (
        {"fields": {**FIELDS, "category": {"path": "q", "unit": "seconds"}}},
        "`unit` and `format` fit `created_at` alone",
    ),
    "a zone's name": ({"fields": {**FIELDS, "created_at": {"path": "t", "format": "%Y %Z"}}}, "names of zones are not"),
    "a time without a year": ({"fields": {**FIELDS, "created_at": {"path": "t", "format": "%H:%M"}}}, "needs a year"),
    "a map for a text": (
        {"fields": {**FIELDS, "response_a": {"path": "a", "values": {"x": "y"}}}},
        "`values` fits labels, choices and `strength`",
    ),
    "a map that says one key twice": (
        {"fields": {**FIELDS, "preference": {"path": "p", "values": {1: "a", "1": "b"}}}},
        "two keys are written alike",
    ),
    "a scale without end": (
        {"fields": {**FIELDS, "strength": {"path": "s", "scale": [0, float("inf")]}}},
        "strength",
    ),
    "a template's conversion": ({"fields": {**FIELDS, "prompt": {"template": "{prompt!r}"}}}, "template"),
    "a join's key with a side": (
        {"join": {"t": {"glob": "x.jsonl", "key": "t:id", "on": "id"}}},
        "`t:id` must be a path of the record itself",
    ),
    "what an adapter reads by itself": (
        {"adapter": "hh_rlhf"},
        "field `prompt`: adapter hh_rlhf reads it from the record; take it out",
    ),
    "options that an adapter does not have": ({"options": {"cap": 3}}, "adapter records has none"),
    "a fan-out key twice": (
        {"fan_out": [{"key": "k", "fields": {}}, {"key": "k", "fields": {}}]},
        "fan_out key `k` stands twice",
    ),
    "unknown key of provenance": (
        {"writen_by": "editors"},
        "unknown key `writen_by`; did you mean `written_by`?",
    ),
    "another unknown key of provenance": ({"aproved_on": "2026-01-01"}, "did you mean `approved_on`?"),
    "a day that is none": ({"approved_on": "2026-02-30"}, "`approved_on`: a day of the calendar is needed"),
    "a day in words": ({"approved_on": "last May"}, "`approved_on`: a day of the calendar is needed"),
    "a day of a week": ({"approved_on": "2026-W01-1"}, "`approved_on`: a day of the calendar is needed"),
    "a day and a time": ({"approved_on": "2026-01-01T00:00"}, "`approved_on`: a day of the calendar is needed"),
    "a day that is a number": ({"approved_on": 20260101}, "`approved_on`: a day of the calendar is needed"),
    "a day in a list": ({"approved_on": ["2026-01-01"]}, "`approved_on`: a day of the calendar is needed"),
    "other digits": ({"approved_on": "２０２６-01-01"}, "`approved_on`: a day of the calendar is needed"),
    "a blank day": ({"approved_on": None}, "`approved_on` is blank: the day on which their use was approved"),
    "a blank author": ({"written_by": None}, "`written_by` is blank: who wrote the texts; take the key out where"),
    "an author of white space": ({"written_by": " "}, "`written_by`"),
    "blank selection": ({"filtered_by": None}, "`filtered_by` is blank: who selected"),
    "selection of white space": ({"filtered_by": "\t"}, "`filtered_by`"),
    "several authors in a list": ({"written_by": ["x", "y"]}, "`written_by`: Input should be a valid string"),
    "a blank statement": ({"attribution": " "}, "`attribution`"),
    "a purpose of two words": (
        {"consent": {**SIDECAR["consent"], "purposes": ["ai-alignment ai-evaluation"]}},
        "`consent.purposes`: `ai-alignment ai-evaluation` is not a known code; did you mean `ai-evaluation`?",
    ),
    "a purpose that is near a known one": (
        {"consent": {**SIDECAR["consent"], "purposes": ["ai-alignement"]}},
        "`ai-alignement` is not a known code; did you mean `ai-alignment`?",
    ),
    "a basis that nobody knows": (
        {"consent": {**SIDECAR["consent"], "basis": "A6-1-a"}},
        "`consent.basis`: `A6-1-a` is not a known code; did you mean `eu-gdpr:A6-1-a`?",
    ),
    "a licence that is none": ({"license": "ours"}, "`license`: not an SPDX licence expression"),
    "a publisher's record twice": (
        {"fields": {**FIELDS, "consent_refs": [{"role": "publisher", "subject": "annotator", "consent_id": "c"}]}},
        "`consent.record` is the publisher's, but `fields.consent_refs` names one of that role too; keep one",
    ),
    "a glob that is none": ({"files": ["*.jsonl", "**.nothing"]}, "glob `**.nothing` matches no file"),
    "unknown side": ({"fields": {**FIELDS, "prompt": "texts:q"}}, "`texts:q` reads side `texts`, but `join` has none"),
    "unknown kind of value": (
        {"fields": {**FIELDS, "prompt": {"pth": "q"}}},
        "a mapping with one of path, constant, template, messages",
    ),
    "unknown key of a value": (
        {"fields": {**FIELDS, "prompt": {"path": "q", "valuse": {}}}},
        "unknown key `valuse`; did you mean `values`?",
    ),
    "a scale that falls": (
        {"fields": {**FIELDS, "strength": {"path": "s", "scale": [3, 0]}}},
        "must be two numbers, the lower first",
    ),
    "a template that is not closed": ({"fields": {**FIELDS, "prompt": {"template": "{prompt"}}}, "template"),
    "no files": ({"files": []}, "`files` names no file"),
    "a glob that matches nothing": ({"files": ["*.jsonl", "*.csv"]}, "glob `*.csv` matches no file in s/"),
    "a glob that is empty": ({"files": ["*.jsonl", ""]}, "glob ``"),
    "a glob out of the folder": ({"files": ["../s/x.jsonl"]}, "glob `../s/x.jsonl` leaves the source's folder"),
    "a glob out by the middle": ({"files": ["a/../../s/x.jsonl"]}, "leaves the source's folder"),
    "an absolute glob": ({"files": ["/etc/*"]}, "glob `/etc/*` leaves the source's folder"),
    "a side out of the folder": (
        {"join": {"t": {"glob": "../s/x.jsonl", "key": "id", "on": "id"}}},
        "glob `../s/x.jsonl` leaves the source's folder",
    ),
    "an absolute side": ({"join": {"t": {"glob": "/etc/*", "key": "id", "on": "id"}}}, "glob `/etc/*` leaves"),
    "consent of an unknown side": (
        {"fields": {**FIELDS, "consent_refs": [{"role": "annotator", "subject": "texts:who", "consent_id": "c"}]}},
        "`texts:who` reads side `texts`",
    ),
    "consent that is no list": ({"fields": {**FIELDS, "consent_refs": None}}, "consent_refs"),
    "consent that lacks an id": (
        {"fields": {**FIELDS, "consent_refs": [{"role": "annotator", "subject": "w"}]}},
        "missing key `consent_id`",
    ),
    "fan-out without fields": ({"fan_out": [{"key": "k"}]}, "missing key `fan_out.0.fields`"),
    "an unknown field of a fan-out": (
        {"fan_out": [{"key": "k", "fields": {"prefrence": "x"}}]},
        "did you mean `preference`?",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_sidecar_s_fault_is_explained(name: str, project: Built) -> None:
    changes, told = FAULTS[name]
    assert told in refused(project, **changes)


def test_who_wrote_and_who_selected_may_stay_unknown(project: Built) -> None:
    path = project.source("s", {"x.jsonl": lines(record())}).raw / "s" / "source.yaml"
    known = load_source(path).sidecar
    assert (known.approved_on, known.written_by, known.filtered_by) == ("2025-12-01", None, None)
    path.write_text(path.read_text(encoding="utf-8").replace("'2025-12-01'", "2024-02-29"), encoding="utf-8")
    assert load_source(path).sidecar.approved_on == "2024-02-29"


def test_a_join_that_an_adapter_ignores_is_refused(project: Built) -> None:
    files = {"x.jsonl": lines(record()), "t.json": lines(record())}
    join = {"t": {"glob": "t.json", "key": "id", "on": "id"}}
    fields = {"annotator": {"constant": None}, "annotator_kind": {"constant": "human"}}
    project.source("s", files, adapter="hh_rlhf", fields=fields, join=join)
    assert "adapter hh_rlhf reads no side files" in refusal(project.raw / "s" / "source.yaml")


OF_ANYBODY = {"annotator": {"constant": None}, "annotator_kind": {"constant": "human"}}
SORTED: dict[str, dict[str, Any]] = {
    "events": {"options": {"choice": "r-1"}, "fields": {}},
    "langfuse": {"options": {"scores": {"x": {"scale": [0, 1]}}}, "fields": {}},
    "langsmith": {"options": {"scores": {"x": {"scale": [0, 1]}}}, "fields": {}},
    "oasst": {"fields": OF_ANYBODY},
    "ratings": {
        "options": {"within": "group", "response": "a", "attributes": {"x": {"path": "x", "scale": [0, 1]}}},
        "fields": {"prompt": "prompt", **OF_ANYBODY},
    },
    "argilla": {
        "options": {"kind": "ranking", "question": "x", "responses": {"x": "a", "y": "b"}},
        "fields": {"prompt": "prompt"},
    },
    "label_studio": {"options": {"control": "x", "items": {"path": "data.x"}}, "fields": {"prompt": "prompt"}},
}
FIXED: dict[str, dict[str, Any]] = {
    "argilla": {
        "options": {"kind": "label", "question": "x", "responses": {"a": "a", "b": "b"}, "values": {"x": "a"}},
        "fields": {"prompt": "prompt"},
    },
    "label_studio": {
        "options": {"control": "x", "responses": {"a": "data.a", "b": "data.b"}},
        "fields": {"prompt": "prompt"},
    },
    "arena": {"fields": OF_ANYBODY},
    "hh_rlhf": {"fields": OF_ANYBODY},
    "messages": {"fields": OF_ANYBODY},
    "records": {},
    "sharegpt": {"fields": OF_ANYBODY},
}
SAID_OF_ONE = ("decoder_a", "decoder_b", "behaviour_a", "behaviour_b", "chat_template_sha256")


@pytest.mark.parametrize("field", SAID_OF_ONE)
@pytest.mark.parametrize("name", SORTED)
def test_no_path_speaks_of_a_response_that_an_adapter_puts_in_order(name: str, field: str, project: Built) -> None:
    content = SORTED[name]
    told = refused(project, adapter=name, **{**content, "fields": {**content["fields"], field: "how"}})
    assert f"field `{field}`: adapter {name} puts responses in the order of their texts, so no path can say" in told


def test_each_adapter_either_takes_the_responses_as_they_stand_or_is_known_to_sort_them(project: Built) -> None:
    assert {*SORTED, *FIXED} == set(adapter_names())
    constants = {field: {"constant": "comply"} for field in SAID_OF_ONE}
    paths = dict.fromkeys(SAID_OF_ONE, "how")
    for cases, further in ((SORTED, constants), (FIXED, paths), (FIXED, constants)):
        for name, content in cases.items():
            fields = {**content.get("fields", FIELDS), **further}
            project.source("s", {"x.jsonl": lines(record())}, adapter=name, **{**content, "fields": fields})
            assert adapter_for(load_source(project.raw / "s/source.yaml"))


def test_every_fault_of_a_map_is_told_at_once(project: Built) -> None:
    told = refused(project, files=["*.jsonl", "*.csv"], fields={**FIELDS, "anotator": "x", "prompt": "t:q"})
    for fault in ("*.csv", "anotator", "t:q"):
        assert fault in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("adapter: records\nlicense: MIT\nadapter: hh_rlhf\n", 'line 3: found duplicate key "adapter"'),
        ("adapter: [records\n", "line 2: expected"),
        ("adapter: records\n  license: MIT\n", "line 2:"),
        ("- adapter\n", "a mapping is needed"),
        ("", "a mapping is needed"),
        (b"\xff\xfe", "not UTF-8"),
        ("adapter: \x00\n", "source.yaml"),
        ("? [1]\n: 2\n", "source.yaml"),
        ("# of 2026-01-31\napproved_on: 2026-02-30\n", "line 2: 2026-02-30 is no day of the calendar"),
    ],
    ids=["twice", "open", "indent", "list", "empty", "utf-16", "nul", "odd key", "no day"],
)
def test_broken_yaml_is_told_by_line(text: str | bytes, told: str, project: Built) -> None:
    path = put(project, text)
    said = refusal(path)
    assert str(path) in said
    assert told in said


def test_a_file_belongs_to_one_glob(project: Built) -> None:
    assert "s/x.jsonl is matched by more than one" in refused(project, files=["*.jsonl", "x.*"])


def test_the_sidecar_and_what_dvc_and_git_keep_beside_it_are_no_data(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record()), "x.jsonl.dvc": "", ".gitignore": ""}, files=["*"])
    source = load_source(project.raw / "s/source.yaml")
    assert [path.name for group in source.sidecar.files for path in source.files(group)] == ["x.jsonl"]
    assert source.unmatched() == []


def test_globs_reach_below(project: Built) -> None:
    deep = project.source("s", {"x.jsonl": lines(record())}, files=["**/*.jsonl"]).raw / "s" / "2026" / "01"
    deep.mkdir(parents=True)
    (deep / "y.jsonl").write_text(lines(record(prompt="Other?")))
    assert project.run("ingest").comparisons().height == 2


def test_an_unknown_adapter_names_the_known(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())}, adapter="record")
    with pytest.raises(PairtrailError, match=f"unknown adapter `record`.*known: {', '.join(adapter_names())}"):
        project.run("ingest")


def test_names_of_sources_are_sorted(new_project: Callable[[str], Built]) -> None:
    project = new_project("p")
    for name in ("b", "a10", "a9"):
        project.source(name, {"x.jsonl": lines(record())})
    assert [source.name for source in load_sources(project.raw)] == ["a10", "a9", "b"]
