"""croissant.json: held against the files by our own check, and read by the reference implementation."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from pipeline.core.publishing.croissant import CONFORMS_TO, croissant
from pipeline.lineage.releases.croissant import croissant_faults
from schemas.columns import dtypes
from schemas.published import PAIRS, TIES, VOTES
from tests.building import Built, build
from tests.published_again import as_polars, everything, manifest_of

TABLES = {"pairs": PAIRS, "ties": TIES, "votes": VOTES}
PLACES = [f"{side}/{table}.parquet" for table in TABLES for side in ("train", "validation")]
SETS = {f"{table}_{side}": (side, table) for table in TABLES for side in ("train", "validation")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return everything(build(tmp_path_factory.mktemp("croissant") / "project"))


@pytest.fixture(scope="module")
def folder(built: Built) -> Path:
    return built.stage("publish")


@pytest.fixture
def document(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    return told


def test_it_describes_the_six_files_that_consumers_get(folder: Path, document: dict[str, Any]) -> None:
    assert [file["contentUrl"] for file in document["distribution"]] == PLACES
    assert croissant_faults(document, folder) == []
    without_prose = json.dumps({key: value for key, value in document.items() if not key.startswith("rai:")})
    assert without_prose.count("heldout") == 1  # the description says that it exists, and is not in here
    assert document["conformsTo"] == CONFORMS_TO


def test_a_release_adds_its_version_and_day(built: Built, document: dict[str, Any]) -> None:
    manifest = manifest_of(built)
    assert croissant(manifest) == document
    told = croissant(manifest, "1.2.0", "2026-07-01")
    assert told == document | {"version": "1.2.0", "datePublished": "2026-07-01"}


def test_who_made_it_under_which_licences_in_which_languages(document: dict[str, Any]) -> None:
    assert document["license"] == [f"https://spdx.org/licenses/{name}.html" for name in ("CC-BY-4.0", "CC0-1.0")]
    assert document["creator"] == [{"@type": "sc:Organization", "name": "the tests"}]
    assert document["creditText"] == "the tests"
    assert document["inLanguage"] == ["de", "en", "no"]
    assert "unused" not in document["rai:dataCollection"]


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("MIT", "https://spdx.org/licenses/MIT.html"),
        *((one, {"@type": "sc:CreativeWork", "name": one}) for one in ("MIT OR Apache-2.0", "LicenseRef-ours")),
    ],
)
def test_a_licence_that_spdx_does_not_list_is_named(built: Built, expression: str, told: object) -> None:
    assert croissant({**manifest_of(built), "licenses": {expression: 1}})["license"] == [told]


def test_the_responsible_ai_fields_are_of_the_vocabulary_and_counted(built: Built, document: dict[str, Any]) -> None:
    """Names as the Croissant RAI specification 1.0 lists them."""
    known = {
        *("dataCollection", "dataCollectionMissingData", "dataPreprocessingProtocol", "dataAnnotationProtocol"),
        *("dataAnnotationAnalysis", "annotationsPerItem", "annotatorDemographics", "machineAnnotationTools"),
        *("dataLimitations", "dataUseCases", "personalSensitiveInformation", "dataReleaseMaintenancePlan"),
    }
    assert {key.removeprefix("rai:") for key in document if key.startswith("rai:")} == known
    told = manifest_of(built)
    models = told["annotators"]["model"]["verdicts"]
    assert document["rai:machineAnnotationTools"] == [
        f"{models:,} verdicts are of the kind model; what gave them is not named."
    ]
    assert f"SHA-256 {told['rubrics']['r-1']['sha256']}" in document["rai:dataAnnotationProtocol"]
    assert f"no_consent {told['accounts']['validate']['dropped_by']['no_consent']}" in str(
        document["rai:dataPreprocessingProtocol"]
    )


def loaded(path: Path) -> Any:  # noqa: ANN401
    import mlcroissant

    return mlcroissant.Dataset(str(path))


def test_the_reference_implementation_has_no_fault_to_find(folder: Path, tmp_path: Path, built: Built) -> None:
    """Without a release there is no version and no date; nobody says how to cite it."""
    issues = loaded(folder / "croissant.json").metadata.ctx.issues
    lacking = {
        "https://schema.org/version",
        "https://schema.org/datePublished",
        "http://mlcommons.org/croissant/citeAs",
    }
    assert issues.errors == set()
    assert {warning.split('"')[1] for warning in issues.warnings} == lacking
    released = tmp_path / "croissant.json"
    released.write_text(json.dumps(croissant(manifest_of(built), "1.2.0", "2026-07-01")), encoding="utf-8")
    issues = loaded(released).metadata.ctx.issues
    assert issues.errors == set()
    assert {warning.split('"')[1] for warning in issues.warnings} == {"http://mlcommons.org/croissant/citeAs"}


def test_the_context_is_the_reference_implementation_s(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    from mlcroissant._src.core.context import Context, CroissantVersion
    from mlcroissant._src.core.rdf import make_context

    document = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    own, theirs = document["@context"], make_context(Context(conforms_to=CroissantVersion.V_1_1))
    assert {key: own[key] for key in theirs} == theirs
    # Beside it: terms of the specification's appendix 1 that the implementation lacks.
    assert own.keys() - theirs.keys() == {"annotation", "excludes", "readLines", "sdVersion", "unArchive", "value"}
    with caplog.at_level("WARNING", logger="absl"):
        loaded(folder / "croissant.json")
    assert "not standard" not in caplog.text


def test_what_the_reference_implementation_keeps_of_the_responsible_ai_fields(folder: Path) -> None:
    metadata = loaded(folder / "croissant.json").metadata
    document = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    assert metadata.data_collection == document["rai:dataCollection"]
    assert sorted(metadata.data_limitations) == sorted(document["rai:dataLimitations"])
    assert metadata.data_release_maintenance_plan == document["rai:dataReleaseMaintenancePlan"]
    assert sorted(metadata.in_language) == document["inLanguage"]


@pytest.mark.parametrize("name", SETS)
def test_the_reference_implementation_reads_the_rows_that_polars_reads(name: str, folder: Path) -> None:
    side, table = SETS[name]
    rows = [as_polars(row) for row in loaded(folder / "croissant.json").records(name)]
    assert {row.pop("split") for row in rows} == {side}
    wanted = pl.read_parquet(folder / side / f"{table}.parquet").to_dicts()
    assert len(wanted) > 3
    assert rows == wanted


def changes(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield documents with one lie each, and what must be said of it."""

    def copied() -> tuple[dict[str, Any], Any, Any]:
        told = copy.deepcopy(document)
        return told, told["distribution"][0], told["recordSet"][1]

    for key, value in {"sha256": "0" * 64, "contentSize": "1 B", "@id": "x", "encodingFormat": "text/csv"}.items():
        told, file, _ = copied()
        file[key] = value
        yield f"{key} in croissant.json is not the file's", told
    told, file, _ = copied()
    file["contentUrl"] = "heldout/pairs.parquet"
    yield "describes a file that consumers are not given: heldout/pairs.parquet", told
    told, file, _ = copied()
    file["contentUrl"] = "../../../etc/passwd"
    yield "train/pairs.parquet: described 0 times", told
    told, file, _ = copied()
    told["distribution"].append(file)
    yield "described 2 times", told
    told, _, rows = copied()
    told["recordSet"].append({**rows, "@id": "pairs_heldout"})
    yield "describes a record set that consumers are not given: pairs_heldout", told
    told, _, rows = copied()
    del rows["field"][3]
    yield "has no field for its column rubric_version sc:Text", told
    told, _, rows = copied()
    rows["field"].append({**rows["field"][3], "@id": "pairs_train/extra"})
    yield "has a field that is no column of it: extra sc:Text (read from elsewhere)", told
    told, _, rows = copied()
    rows["field"][1]["dataType"] = "cr:Int64"
    yield "has a field that is no column of it: pair_id cr:Int64", told
    told, _, rows = copied()
    prompt = next(field for field in rows["field"] if field["@id"] == "pairs_train/prompt")
    prompt["isArray"] = False
    yield "has no field for its column prompt[]/content sc:Text", told
    told, _, rows = copied()
    rows["field"][1]["source"]["extract"]["column"] = "root_id"
    yield "pair_id sc:Text (read from elsewhere)", told
    told, _, rows = copied()
    rows["field"][1]["source"]["fileObject"]["@id"] = "validation/pairs.parquet"
    yield "pair_id sc:Text (read from elsewhere)", told
    yield "@context is not that of Croissant 1.1", document | {"@context": {**document["@context"], "x": "rai:x"}}
    yield "conformsTo is not that of Croissant 1.1", document | {"conformsTo": CONFORMS_TO[:1]}


def test_every_lie_is_told(document: dict[str, Any], folder: Path) -> None:
    count = 0
    for wanted, told in changes(document):
        faults = croissant_faults(told, folder)
        assert any(wanted in fault for fault in faults), (wanted, faults)
        count += 1
    assert count == 16


def test_a_file_that_changed_or_is_gone_is_told(document: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    for place in PLACES:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes((folder / place).read_bytes())
    assert croissant_faults(document, tmp_path) == []
    votes = parquet.read_table(tmp_path / "train/votes.parquet", partitioning=None)
    parquet.write_table(votes.append_column("extra", [[None] * votes.num_rows]), tmp_path / "train/votes.parquet")
    (tmp_path / "train/ties.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "validation/pairs.parquet").unlink()
    faults = croissant_faults(document, tmp_path)
    assert "validation/pairs.parquet: croissant.json describes it, but it is not there" in faults
    assert "train/ties.parquet: not a Parquet file" in faults
    assert any(
        fault.startswith("train/votes.parquet: croissant.json has no field for its column extra") for fault in faults
    )
    assert any(fault.startswith("train/votes.parquet: sha256 in croissant.json is not the file's") for fault in faults)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(junk, st.sampled_from(["distribution", "recordSet", "@context", "field", "source", "subField", "@id"]))
def test_nothing_that_json_can_hold_ends_in_a_traceback(folder: Path, value: Any, key: str) -> None:  # noqa: ANN401
    document = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    assert croissant_faults(value, folder)
    for node in (document, document["recordSet"][1], document["recordSet"][1]["field"][5], document["distribution"][0]):
        if key in node:
            node[key] = value
            break
    assert isinstance(croissant_faults(document, folder), list)


def test_every_published_type_has_a_name_in_croissant(document: dict[str, Any]) -> None:
    fields = {field["@id"].rpartition("/")[2] for field in document["recordSet"][1]["field"]} - {"split"}
    assert fields == set(dtypes(PAIRS))
    keys = {one["@id"]: [key["@id"] for key in one["key"]] for one in document["recordSet"][1:]}
    assert keys["votes_train"] == ["votes_train/comparison_id"]
    assert keys["pairs_train"] == [f"pairs_train/{name}" for name in ("pair_id", "policy_version", "rubric_version")]
