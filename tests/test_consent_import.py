"""Consent records of others become events of the ledger: the same from every form, all of a file or none of it."""

import gzip
import http.server
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.consent.events import read_events
from pipeline.core.consent.states import consents
from pipeline.core.digests import keyed_digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.keys import PUBLIC_KEY
from pipeline.core.project import Project
from pipeline.lineage.consent.dpvrecords import RecordReading, is_record
from pipeline.lineage.consent.durations import earliest, until
from pipeline.lineage.consent.faults import UnfitError
from pipeline.lineage.consent.importing import Imported, import_consents, told
from pipeline.lineage.consent.jsonld import PREFIXES, Graph, expand
from schemas.columns import dtypes
from schemas.consents import EVENTS
from schemas.vocabulary import CONSENT_STATUSES, LEGAL_BASES, PURPOSES
from tests.building import Built, event, lines, record
from tests.hostile import spoiled
from tests.pages import DOCS, blocks, documented, section

PAGE = DOCS / "consent-import.md"
WHO = "zq-Ann@example.org"
THEN = "2026-01-31T09:30:00Z"
PSEUDONYM = "0123456789abcdef" * 2


def dpv(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A sound record in the shape of DPV's guide; a key's `_` stands for the colon behind its prefix."""
    sound = {
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": "dpv-27560:record",
        "dct:identifier": "c-1",
        "dpv:hasDataSubject": {"@id": WHO, "skos:broader": "dpv:Consumer"},
        "dpv:hasPurpose": "ai-alignment",
        "dpv:hasConsentStatus": {"@type": "dpv:ConsentGiven", "dpv:isIndicatedAtTime": THEN},
    }
    named = {re.sub("^(dpv|dct)_", r"\1:", key): value for key, value in changes.items()}
    return {key: value for key, value in {**sound, **named}.items() if value is not None}


def status(code: str = "ConsentGiven", at: str = THEN, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"@type": f"dpv:{code}", "dpv:isIndicatedAtTime": at} | {f"dpv:{key}": more[key] for key in more}


@pytest.fixture
def crowd(project: Built) -> Built:
    return project.source("crowd", {"x.jsonl": lines(record(annotator=WHO))})


def put(project: Project, content: Any, name: str = "in.jsonld") -> Path:  # noqa: ANN401
    file = project.root / name
    raw = content if isinstance(content, str | bytes) else json.dumps(content)
    file.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return file


def take(project: Project, content: Any, name: str = "in.jsonld", source: str | None = "crowd") -> Imported:  # noqa: ANN401
    return import_consents(project, put(project, content, name), source)


def written(project: Project) -> list[dict[str, Any]]:
    file = project.ledger / "consent/imported.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def one(project: Project, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """The only event of a record."""
    take(project, dpv(**changes))
    [found] = written(project)
    return found


def refused(project: Project, content: Any, name: str = "in.jsonld", source: str | None = "crowd") -> str:  # noqa: ANN401
    """Why a file was refused; it said nothing of what stands in it, and the ledger is as it was."""
    before = written(project)
    with pytest.raises(PairtrailError) as caught:
        take(project, content, name, source)
    assert "zq" not in str(caught.value)
    assert written(project) == before
    return str(caught.value)


def digests(project: Project) -> list[str]:
    events = read_events(project.ledger)
    return events.filter(pl.col("subject") != "source:crowd")["event"].to_list()


def test_a_table_a_record_and_lines_of_the_ledger_give_the_same_events(crowd: Built) -> None:
    """Those of the page."""
    [table], [json_ld] = blocks(PAGE, "csv"), blocks(PAGE, "json")
    first = take(crowd, table, "consents.csv", source=None)
    found = digests(crowd)
    assert (first.events, first.new, first.known, first.consents, first.subjects) == (2, 2, 0, 1, 1)
    again = take(crowd, json_ld, "consents.jsonld")
    assert (again.events, again.new, again.known) == (2, 0, 2)
    assert again.not_kept == {"dpv:hasRight": 1}
    who = keyed_digest_text(PUBLIC_KEY, "annotator", "crowd", "Ann@example.org")
    both = {
        "consent_id": "c-1", "subject": who, "purposes": ["ai-evaluation", "ai-alignment"], "jurisdiction": "DE",
        "controller": "Example Ltd", "recipients": ["Example Ltd", "Example Labs"],
        "conforms_to": "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr",
    }  # fmt: skip
    given = {"status": "ConsentGiven", "status_time": THEN, "valid_until": "2026-07-31T11:30:00+02:00",
             "legal_basis": ["ExpressedConsent", "eu-gdpr:A6-1-a"]}  # fmt: skip
    ended = {"status": "ConsentWithdrawn", "status_time": "2026-03-02T17:00:00Z", "legal_basis": ["eu-gdpr:A6-1-a"]}
    (crowd.ledger / "consent/imported.jsonl").unlink()
    crowd.consents("mine.jsonl", both | ended, both | given)
    assert digests(crowd) == found


def test_the_same_file_again_adds_nothing(crowd: Built) -> None:
    for name, content in (("in.jsonld", json.dumps(dpv())), ("in.csv", blocks(PAGE, "csv")[0])):
        assert take(crowd, content, name).new > 0
        before = (crowd.ledger / "consent/imported.jsonl").read_bytes()
        assert take(crowd, content, name).new == 0
        assert (crowd.ledger / "consent/imported.jsonl").read_bytes() == before


def test_a_subject_is_the_annotator_that_ingest_names(crowd: Built) -> None:
    take(crowd, dpv())
    [who] = crowd.run("ingest").comparisons()["annotator"].unique()
    take(crowd, f"consent_id,subject,status_time\nc-2,{WHO},{THEN}\n", "in.csv")
    assert {row["subject"] for row in written(crowd)} == {who}


def test_ids_are_of_their_source_or_of_the_namespace_that_it_shares(crowd: Built) -> None:
    crowd.source("twin", {"x.jsonl": lines(record())}, namespace="crowd")
    crowd.source("other", {"x.jsonl": lines(record())})
    rows = "".join(f"{source},{WHO},c-{source},{THEN}\n" for source in ("crowd", "twin", "other", ""))
    take(crowd, f"source,subject,consent_id,status_time\n{rows}", "in.csv", source="other")
    who = {row["consent_id"]: row["subject"] for row in written(crowd)}
    assert who["c-crowd"] == who["c-twin"] != who["c-other"] == who["c-"]
    assert who["c-crowd"] == keyed_digest_text(PUBLIC_KEY, "annotator", "crowd", WHO)


def test_nothing_that_is_written_or_said_holds_a_raw_id(crowd: Built) -> None:
    held = dpv(dpv_hasEntity={WHO: {"dpv:hasName": WHO}}, **{WHO: WHO, f"dpv:{WHO}": 1, "dpv:zqann": 2, "x:y": 3})
    found = take(crowd, held)
    assert found.not_kept == {
        "dpv:hasDataSubject/skos:broader": 1,
        "keys that no context explains": 2,
        "terms of other vocabularies": 3,
    }
    told_all = told(found) + json.dumps(found.as_dict()) + json.dumps(written(crowd))
    assert "zq" not in told_all.replace("zq/", "")
    assert "1 events of 1 consents and 1 subjects: 1 added" in told_all
    assert "keep it out of git" in told_all


def test_a_record_about_a_whole_source(crowd: Built) -> None:
    rows = f"consent_id,subject,source,pseudonym,status_time\na,,crowd,,{THEN}\nb,,,source:crowd,{THEN}\n"
    take(crowd, rows, "in.csv", source=None)
    take(crowd, dpv(dpv_hasDataSubject="source:crowd"))
    take(crowd, f"consent_id,pseudonym,status_time\nd,{PSEUDONYM},{THEN}\n", "in.csv", source=None)
    assert [row["subject"] for row in written(crowd)] == [*["source:crowd"] * 3, PSEUDONYM]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("c,,,,", "record 1: whom is it about?"),
        (f"c,{WHO},,,", "name the source whose ids these are"),
        (f"c,{WHO},zq-nowhere,,", "record 1: no such source; known: crowd"),
        ("c,,zq-nowhere,,", "record 1: no such source; known: crowd"),
        (f"c,{WHO},crowd,{PSEUDONYM},", "both `subject` and `pseudonym`"),
        ("c,,,zq-no-pseudonym,", "record 1: `subject`: a pseudonym of 32"),
        ("c,,crowd,,zq-maybe", "`special_category`: true or false"),
        (",,crowd,,", "missing key `consent_id`"),
        (f"c,,crowd,,true,{THEN}", "record 1: wrong_column_count"),
    ],
)
def test_a_row_that_does_not_say_whose_it_is_is_refused(crowd: Built, cells: str, message: str) -> None:
    head = "consent_id,subject,source,pseudonym,special_category,status_time"
    row = f"{cells},{THEN}" if cells.count(",") == 4 else f"{cells},"
    assert message in refused(crowd, f"{head}\n{row}\n", "in.csv", source=None)


def test_tsv_and_compressed_tables_and_what_cells_may_hold(crowd: Built) -> None:
    head = "consent_id\tpseudonym\tstatus_time\tpurposes\trecipients\tspecial_category\tcontroller\n"
    row = f' c \t{PSEUDONYM}\t{THEN}\t ai-other ;ai-evaluation; \tA, B; "C"\tTRUE\t"a\nb"\n'
    take(crowd, gzip.compress((head + row.replace('"C"', "C")).encode()), "in.tsv.gz", source=None)
    assert written(crowd) == [
        {
            "consent_id": "c", "subject": PSEUDONYM, "status_time": THEN, "purposes": ["ai-other", "ai-evaluation"],
            "special_category": True, "controller": "a\nb", "recipients": ["A, B", "C"],
        }
    ]  # fmt: skip


def test_the_forms_of_json_give_the_same_events(crowd: Built) -> None:
    """One record, an array, an @graph, lines, full IRIs, an own context, an own vocabulary, DPV's remote context."""
    take(crowd, dpv())
    [expanded] = expand(dpv(), Counter())
    short = json.loads(json.dumps(dpv()).replace("dpv:", "v:").replace("dct:", "t:").replace("skos:", "s:"))
    mine = {"v": PREFIXES["dpv"], "t": PREFIXES["dct"], "s": PREFIXES["skos"]}
    bare = json.loads(re.sub(r'"dpv:(\w+)":', r'"\1":', json.dumps(dpv()).replace("@type", "type")))
    typed = {"@vocab": PREFIXES["dpv"], "type": "@type", "hasPurpose": {"@type": "@vocab"}}
    short["v:hasPurpose"] = {"@id": "https://example.org/use#ai-alignment"}
    forms: list[Any] = [
        [dpv()],
        {"@graph": [dpv()]},
        lines(dpv(), dpv()),
        [expanded],
        {**short, "@context": mine},
        {**bare, "@context": typed},
        {**bare, "@context": ["https://w3id.org/dpv/2.3/context.jsonld", {"x": "y:z"}]},
        json.dumps(dpv(), indent=1),
        b"\xef\xbb\xbf" + json.dumps([dpv()]).encode(),
    ]
    for form in forms:
        assert take(crowd, form, "in.json").new == 0, form
    assert len(written(crowd)) == 1


def test_nodes_of_one_document_refer_to_each_other(crowd: Built) -> None:
    """Across an @graph, and across an array, in which records are often written out flat."""
    flat = dpv(
        dpv_hasDataController={"@id": "_:b1"},
        dpv_hasProcess={"@id": "_:p"},
        dpv_hasConsentStatus={"@id": "_:s"},
    )
    nodes = [
        flat,
        {"@id": "_:b1", "dpv:hasName": "Example Ltd"},
        {"@id": "_:s", "@type": "dpv:ConsentGiven"},
        {"@id": "_:s", "dpv:isIndicatedAtTime": THEN},
        {"@id": "_:p", "@type": "dpv:Process", "dpv:hasPurpose": "ai-other", "dpv:hasProcess": {"@id": "_:p"}},
        {"@id": "_:alone", "dpv:hasName": "zq"},
    ]
    found = take(crowd, nodes)
    [row] = written(crowd)
    assert (row["controller"], row["purposes"]) == ("Example Ltd", ["ai-alignment", "ai-other"])
    assert found.not_kept["nodes that no record refers to"] == 1
    assert take(crowd, {"@graph": nodes}).new == 0
    assert "no dpv:ConsentRecord in it" in refused(crowd, lines(dpv(), nodes[1]))


def test_what_many_records_say_of_one_node_is_held_once() -> None:
    """Else a node that all of them describe would be read as often as there are records, for each of them."""
    party = {"@id": "x:ltd", "dpv:hasName": ["Example Ltd", "Example"]}
    graph = Graph([node for _ in range(3) for node in expand(dpv(dpv_hasDataController=party), Counter())])
    assert len(graph.values({"a": [{"@id": "x:ltd"}]}, "a")[0][f"{PREFIXES['dpv']}hasName"]) == 2


@pytest.mark.parametrize("code", CONSENT_STATUSES)
@pytest.mark.parametrize("form", ["{p}:{c}", "{n}{c}", "{c}"])
def test_each_status_is_known_as_text_and_as_iri(crowd: Built, code: str, form: str) -> None:
    prefix, _, name = code.rpartition(":")
    text = form.format(p=prefix or "dpv", n=PREFIXES[prefix or "dpv"], c=name)
    if prefix and ":" not in text:
        assert "`status`: a code that is not known" in refused(
            crowd, dpv(dpv_hasConsentStatus=text, dpv_isIndicatedAtTime=THEN)
        )
        return
    values: list[Any] = [text, {"@id": text}, {"@type": ["dpv:ConsentStatus", text]}]
    for value in values:
        assert take(crowd, dpv(dpv_hasConsentStatus=value, dpv_isIndicatedAtTime=THEN)).consents == 1
    assert [row["status"] for row in written(crowd)] == [code]


@pytest.mark.parametrize("code", [*PURPOSES, *LEGAL_BASES])
def test_each_purpose_and_basis_is_known_as_text_iri_type_and_broader_kind(crowd: Built, code: str) -> None:
    term, key = ("dpv_hasPurpose", "purposes") if code in PURPOSES else ("dpv_hasLegalBasis", "legal_basis")
    full = code if ":" in code else f"dpv:{code}"
    general = "dpv:Purpose" if code in PURPOSES else "dpv:LegalBasis"
    values: list[Any] = [
        code, {"@id": full}, {"@type": [general, full]}, {"@id": "x:y", "@type": general, "skos:broader": full},
        {"@type": general, "skos:broader": [{"@id": full}], "skos:prefLabel": "zq"},
    ]  # fmt: skip
    for value in values:
        take(crowd, dpv(**{term: value}))
    assert [row[key] for row in written(crowd)] == [[code]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dpv_hasPurpose": "ai-alignmint"}, "`purposes`: a code that is not known; nearest known: ai-alignment"),
        ({"dpv_hasPurpose": ["ai-other", "dpv:Marketing"]}, "`purposes`: a code that is not known"),
        ({"dpv_hasPurpose": {"@id": "https://zq.example/AcademicResearch"}}, "`purposes`: a code that is not known"),
        (
            {"dpv_hasLegalBasis": "eu-gdpr:A6-1-z"},
            "`legal_basis`: a code that is not known; nearest known: eu-gdpr:A6-1",
        ),
        ({"dpv_hasLegalBasis": {"skos:prefLabel": "zq"}}, "a dpv:LegalBasis without a code"),
        (
            {"dpv_hasConsentStatus": status("ConsentGivn")},
            "`status`: a code that is not known; nearest known: ConsentGiven",
        ),
        (
            {"dpv_hasConsentStatus": {"@id": "https://zq.example/ConsentGiven"}, "dpv_isIndicatedAtTime": THEN},
            "`status`",
        ),
        ({"dpv_hasConsentStatus": {"@type": ["dpv:ConsentGiven", "dpv:ConsentRefused"]}}, "a status needs one code"),
        ({"dpv_hasConsentStatus": "dpv:ConsentGiven"}, "a status needs one time"),
        ({"dpv_hasConsentStatus": status(at="2026-01-31")}, "`status_time`: a time with its offset"),
        ({"dpv_hasConsentStatus": status(at="2026-01-31T09:30:00")}, "`status_time`: a time with its offset"),
        ({"dpv_hasConsentStatus": status(at=[THEN, "2026-01-31T09:30:01Z"])}, "a status needs one time"),  # type: ignore[arg-type]
        ({"dpv_hasConsentStatus": None, "dpv_hasPurpose": None}, "no dpv:hasConsentStatus"),
        ({"dpv_hasConsentStatus": []}, "no dpv:hasConsentStatus"),
        ({"dpv_hasJurisdiction": ["loc:DE", "loc:FR"]}, "2 different values for `jurisdiction`"),
        ({"dpv_hasJurisdiction": "loc:Germany"}, "`jurisdiction`: a country"),
        ({"dct_identifier": ["c-1", "c-2"]}, "2 different values for `consent_id`"),
        ({"dct_identifier": None}, "missing key `consent_id`"),
        ({"dct_identifier": None, "@id": "_:b0"}, "missing key `consent_id`"),
        ({"dct_conformsTo": "dpv-27560:record-eu"}, "`conforms_to`: a code that is not known; nearest known"),
        ({"dct_license": "zq"}, "`license`: an SPDX expression"),
        ({"dct_language": "zq zq"}, "`language`: a language tag"),
        ({"dpv_hasNotice": ["zq"]}, "`notice_uri`: an absolute URI"),
        ({"dpv_hasDataSubject": None}, "0 identifiers of data subjects"),
        ({"dpv_hasDataSubject": ["zq-a", "zq-b"]}, "2 identifiers of data subjects"),
        ({"dpv_hasDataSubject": {"skos:broader": "dpv:Consumer"}}, "a text or an IRI is needed"),
        ({"dpv_hasDataSubject": True}, "a text or an IRI is needed"),
        ({"dpv_hasDataSubject": 1.5}, "a text or an IRI is needed"),
        ({"dpv_hasDataSubject": "source:zq"}, "no such source; known: crowd"),
        ({"@type": "dpv:ConsentReceipt"}, "a consent receipt"),
        ({"@type": "dpv:Process", "dpv_hasConsentStatus": None}, "no dpv:ConsentRecord in it"),
    ],
)
def test_a_record_with_a_fault_is_refused_by_its_place(crowd: Built, changes: dict[str, Any], message: str) -> None:
    assert f"in.jsonld: record 1: {message}" in refused(crowd, dpv(**changes))
    told_all = refused(crowd, lines(dpv(), dpv(**changes), dpv(dct_identifier="c-9", dpv_hasPurpose="zqzq")))
    assert f"in.jsonld: record 2: {message}" in told_all


def test_processes_inherit_and_are_put_together(crowd: Built) -> None:
    inner = {"dpv:hasPurpose": "ai-other", "dpv:hasLegalBasis": "dpv:Consent", "dpv:hasRecipient": "B"}
    outer = {"dpv:hasPurpose": "ai-evaluation", "dpv:hasRecipient": ["A"], "dpv:hasProcess": [inner],
             "dpv:hasJurisdiction": "loc:US-CA"}  # fmt: skip
    found = one(crowd, dpv_hasProcess=[outer, {"dpv:hasRecipient": []}])
    assert found["purposes"] == ["ai-alignment", "ai-evaluation", "ai-other"]
    assert (found["recipients"], found["legal_basis"], found["jurisdiction"]) == (["A", "B"], ["Consent"], "US-CA")


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (status(), status("ConsentRefused"), "its processes stand differently"),
        (status(), status(at="2026-02-01T00:00:00Z"), "its processes stand differently"),
        (status(), None, "a process without one"),
        (status(), status(), None),
    ],
)
def test_processes_that_state_how_they_stand_must_stand_alike(
    crowd: Built, first: dict[str, Any], second: dict[str, Any] | None, message: str | None
) -> None:
    processes = [{"dpv:hasConsentStatus": [first]}, {"dpv:hasConsentStatus": second} if second else {"dct:title": "x"}]
    held = dpv(dpv_hasConsentStatus=None, dpv_hasProcess=processes)
    if message is None:
        assert take(crowd, held).new == 1
    else:
        assert message in refused(crowd, held)
    if second and message:
        assert message in refused(crowd, dpv(dpv_hasConsentStatus=first, dpv_hasProcess=[processes[1]]))


def test_a_history_gives_an_event_for_each_status(crowd: Built) -> None:
    history = [
        status("ConsentRequested", "2026-01-30T00:00:00Z", hasIndicationMethod="dialogue"),
        status(hasDuration="P1M", hasNotice={"@id": "https://example.org/n2", "dct:hasVersion": "2"}),
        status("RenewedConsentGiven", "2026-02-20T00:00:00+01:00", hasDuration={"rdf:value": "2026-12-31"}),
        status("ConsentWithdrawn", "2026-03-01T00:00:00Z"),
    ]
    notice = {"@id": "https://example.org/n1", "dct:language": "EN", "@type": "dpv:ConsentNotice"}
    store = [{"@type": "dpv:StorageDuration", "dpv:hasDuration": text} for text in ("P2Y", "2030-01-01", "P6M")]
    assert take(crowd, dpv(dpv_hasConsentStatus=history, dpv_hasNotice=notice, dpv_hasStorageCondition=store)).new == 4
    rows = written(crowd)
    assert [row["status"] for row in rows] == [kind["@type"].removeprefix("dpv:") for kind in history]
    assert [row.get("valid_until") for row in rows] == [None, "2026-02-28T09:30:00+00:00", "2026-12-31", None]
    assert {row["retention_until"] for row in rows} == {"2026-07-30T00:00:00+00:00"}
    assert [row["notice_uri"][-2:] for row in rows] == ["n1", "n2", "n1", "n1"]
    assert [row.get("notice_version") for row in rows] == [None, "2", None, None]
    assert [row.get("collection_method") for row in rows] == ["dialogue", None, None, None]
    assert {(row["language"], row["conforms_to"]) for row in rows} == {("EN", f"{PREFIXES['dpv-27560']}record")}
    [state] = consents(read_events(crowd.ledger)).filter(consent_id="c-1").to_dicts()
    assert (state["status"], state["events"], state["contradictions"]) == ("ConsentWithdrawn", 4, 0)


def test_everything_else_that_a_record_states(crowd: Built) -> None:
    control = [{"@type": ["dpv:ProvideConsent", "dpv:WithdrawConsent"], "dpv:isExercisedAt": "https://example.org/w"}]
    kinds = ["pd:Email", {"@type": "dpv:SpecialCategoryPersonalData", "skos:broader": "pd:Religion"}]
    found = one(
        crowd, dpv_hasConsentControl=[*control, {"@type": "dpv:ObtainConsent"}], dpv_hasPersonalData=kinds,
        dct_license={"@id": "https://spdx.org/licenses/CC-BY-4.0.html"}, dpv_hasDataController=["B Ltd", "A Ltd"],
        dct_language="de",
    )  # fmt: skip
    assert found["withdrawal_method"] == "https://example.org/w"
    assert (found["special_category"], found["license"], found["controller"]) == (True, "CC-BY-4.0", "A Ltd; B Ltd")
    assert found["language"] == "de"


def test_what_has_no_key_is_counted_and_named(crowd: Built) -> None:
    untimed = {"@type": "dpv:UntilEventDuration", "rdf:value": "zq account closed"}
    endless = {"@type": "dpv:EndlessDuration"}
    found = take(
        crowd,
        dpv(
            dpv_hasRight=[{"@type": "eu-gdpr:A7-3"}],
            dpv_hasProcessing=["dpv:Collect"],
            dpv_hasPersonalData=["pd:Email", "pd:Name"],
            dpv_hasConsentControl=[{"@type": "dpv:ObtainConsent"}],
            dpv_hasStorageCondition=[{"@type": "dpv:StorageLocation", "dpv:hasLocation": "loc:IE"}],
            dpv_hasNotice=[{"@type": "dpv:RightExerciseNotice"}, {"@id": "https://example.org/n", "dct:date": THEN}],
            dpv_hasPurpose={"@id": "x:p", "@type": ["dpv:Purpose", "dpv:Marketing"], "skos:broader": "ai-other"},
            dpv_hasConsentStatus=status(hasDuration=[untimed, endless], isIndicatedBy="dpv:DataSubject"),
            **{"@reverse": {"dpv:hasPart": {"@id": "x:y"}}},
        ),
    )  # fmt: skip
    assert found.not_kept == {
        "dpv:hasConsentControl": 1,
        "dpv:hasConsentStatus/dpv:isIndicatedBy": 1,
        "dpv:hasDataSubject/skos:broader": 1,
        "dpv:hasNotice": 1,
        "dpv:hasNotice/dct:date": 1,
        "dpv:hasPersonalData": 2,
        "dpv:hasProcessing": 1,
        "dpv:hasRight": 1,
        "dpv:hasStorageCondition/dpv:hasLocation": 1,
        "durations without a date: until an event, or for a number of uses": 1,
        "further kinds of a dpv:Purpose": 1,
        "terms of other vocabularies": 1,
    }
    assert found.as_dict()["not_kept"] == found.not_kept
    assert "  2 x dpv:hasPersonalData\n" in told(found)


@pytest.mark.parametrize(
    ("limit", "start", "end"),
    [
        ("P6M", "2026-08-31T10:00:00Z", "2027-02-28T10:00:00+00:00"),
        ("P1Y", "2024-02-29T00:00:00+02:00", "2025-02-28T00:00:00+02:00"),
        ("P1Y2M3W4DT5H6M7S", "2026-01-01T00:00:00Z", "2027-03-26T05:06:07+00:00"),
        ("P12M", "2026-12-31T00:00:00Z", "2027-12-31T00:00:00+00:00"),
        ("PT24H", "2026-12-31T00:00:00Z", "2027-01-01T00:00:00+00:00"),
        ("2026-12-31", "2026-01-01T00:00:00Z", "2026-12-31"),
        *((odd, "2026-01-01T00:00:00Z", odd) for odd in ("P", "PT", "P1", "P1.5Y", "-P1Y", "P9999Y", "P1H", "zq", "")),
        ("P6M", "2026-01-01", "P6M"),
        ("P6M", "zq", "P6M"),
    ],
)
def test_a_duration_is_counted_by_the_calendar(limit: str, start: str, end: str) -> None:
    assert until(limit, start) == end


def test_the_earliest_limit_is_found_whatever_its_form() -> None:
    limits = ["2026-07-01", "2026-07-01T23:30:00-01:00", "2026-07-02T01:00:00+02:00", "2026-07-02T00:00:00Z"]
    assert earliest(limits) == "2026-07-02T01:00:00+02:00"
    assert earliest(["2026-07-01", "2026-07-02T00:00:00Z"]) == "2026-07-01"
    assert earliest([*limits, "zq"]) == "zq"
    assert earliest([]) is None


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine, and what it was asked for."""
    seen: list[str] = []

    class Notes(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"@context": {}}')

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Notes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/zq.jsonld", seen
        server.shutdown()


@pytest.mark.parametrize(
    "context",
    [
        "URL",
        ["URL"],
        [{"x": "y:z"}, "URL"],
        {"@import": "URL"},
        {"q": {"@id": "dpv:q", "@context": "URL"}},
        {"Q": {"@id": "dpv:ConsentRecord", "@context": "URL"}},
        "relative/zq.jsonld",
        "file:///etc/hostname",
    ],
)
def test_a_remote_context_is_never_fetched(crowd: Built, asked: tuple[str, list[str]], context: Any) -> None:  # noqa: ANN401
    url, seen = asked
    text = json.dumps({"@context": context, **dpv(q={"x": 1}), "@type": ["dpv:ConsentRecord", "Q"]}).replace("URL", url)
    assert re.search("a remote one, which is never fetched|look at its @context", refused(crowd, text))
    assert seen == []
    nested = json.loads(text)
    held = dpv(dpv_hasNotice={"@context": nested["@context"], "q": {"x": 1}, "@type": "Q"})
    assert "@context" in refused(crowd, held)
    assert seen == []


DEEP = 40_000
HOSTILE: dict[str, list[bytes]] = {
    "in.csv": [
        b"",
        b"consent_id,subject\n",
        b"zq,zq\n1,2\n",
        b"consent_id,consent_id\na,b\n",
        b"consent_id\0\na\n",
        b"\xff\xfe\n1\n",
        b'consent_id,subject\na,"zq\nb,c\n',
        b"consent_id,subject\nzq\xff,a\n",
        b"consent_id,subject\nzq\0,a\n",
        b"PAR1\0\0zq",
        b"consent_id,pseudonym,status_time\n" + b"zq" * 10_000_000,
        b"consent_id,source,status_time\nc,crowd," + b"9" * 500_000,
        b"consent_id,source,status_time,purposes\nc,crowd,2026-01-01T00:00:00Z," + b"zq;" * 30_000,
        b'{"consent_id": "zq"}\n',
    ],
    "in.jsonld": [
        b"",
        b"[]",
        b"{}",
        b"zq",
        b"null",
        b'[1, "zq"]',
        b'{"zq": ',
        b'{"zq": 1, "zq": 2}',
        b'{"zq": NaN}',
        b'{"zq": 1e999}',
        b"[" * DEEP,
        b'{"dpv:hasProcess":' * DEEP,
        b'{"a":' * 30 + b"{}" + b"}" * 30,
        b'{"zq": "\\ud800"}',
        b'{"zq": "\\u0000"}',
        b'{"@context": {"zq": "zq"}}',
        b'{"@context": {"a": "b:c", "b": "a:c"}, "a": 1}',
        b'{"@context": 5}',
        b'{"@id": 5, "dpv:x": 1}',
        b'{"@graph": 5}',
        b'{"@type": {}}',
        b'{"@value": "zq"}',
        b'{"@list": ["zq"]}',
        b'{"@reverse": {"zq:a": 5}}',
        b'{"@included": "zq"}',
        b'{"@context": {' + b",".join(b'"t%d": "t%d:x"' % (i, i + 1) for i in range(3000)) + b'}, "t0": 1}',
        b'{"@context": {"zq": {"@id": "dpv:zq", "@container": "@zq"}}}',
        b'{"@context": {"@vocab": 5}}',
        b'{"@context": {"zq": 5}}',
        b'{"@context": {"@version": 1.0, "a": {"@id": "dpv:a", "@nest": "b"}}}',
        b'{"@context": {"@base": 5}}',
        b"\xff",
        json.dumps(dpv(dpv_hasDataSubject="zq" * 10_000_000)).encode(),
        json.dumps(dpv(dct_identifier="zq" * 40_000)).encode(),
    ],
}


@pytest.mark.parametrize(("name", "content"), [(name, content) for name in HOSTILE for content in HOSTILE[name]])
def test_a_hostile_file_is_refused_in_words(crowd: Built, name: str, content: bytes) -> None:
    assert name in refused(crowd, content, name)


def test_a_file_that_is_not_there_or_of_no_known_kind_is_refused(crowd: Built) -> None:
    for name in ("none.csv", "none.json"):
        with pytest.raises(PairtrailError, match="cannot be read"):
            import_consents(crowd, crowd.root / name, "crowd")
    assert "its ending says no known format" in refused(crowd, "x", "in.xlsx")
    assert "no such source; known: crowd" in refused(crowd, dpv(), source="zq")


def test_many_faults_are_told_by_count(crowd: Built) -> None:
    said = refused(crowd, lines(*(dpv(dpv_hasPurpose="zq") for _ in range(30))))
    assert said.startswith("what was to be written to the consent ledger has 30 faults; nothing of it was used:")
    assert said.endswith("and 10 more")
    assert "in.csv has 1,000 or more faults" in refused(crowd, "consent_id,subject\n" + ",\n" * 1200, "in.csv")


SOUND = [
    dpv(
        dpv_hasProcess=[{"@type": "dpv:Process", "dpv:hasPurpose": ["ai-other"], "dpv:hasRecipient": [{"@id": "x:a"}]}],
        dpv_hasLegalBasis={"@type": "dpv:LegalBasis", "skos:broader": ["dpv:Consent"]},
        dpv_hasConsentStatus=[
            status(hasDuration={"@type": "dpv:TemporalDuration", "rdf:value": "P1M"}),
            status("ConsentRefused"),
        ],
        dpv_hasStorageCondition=[{"@type": "dpv:StorageDuration", "dpv:hasDuration": "P1Y"}],
        dpv_hasNotice={"@id": "https://example.org/n", "dct:language": "en"},
        dpv_hasConsentControl={"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": "letter"},
        **{"@context": {"x": "https://example.org/"}, "@graph": [], "@id": "x:r", "@included": [{"@id": "x:a"}]},
    )
]  # fmt: skip


@settings(max_examples=300)
@given(spoiled(SOUND))
def test_whatever_a_record_holds_it_is_read_or_refused_in_words(spoilt: dict[str, Any]) -> None:
    dropped: Counter[str] = Counter()
    try:
        graph = Graph(expand(deepcopy(spoilt), dropped))
        for node in graph.tops:
            if is_record(graph.whole(node)):
                reading = RecordReading(graph, graph.whole(node))
                assert isinstance(reading.subject(), str)
                assert all(isinstance(found, dict) for found in reading.events())
        graph.unread(graph.tops)
    except UnfitError:
        pass


CODES = {"status": CONSENT_STATUSES, "purposes": PURPOSES[:4], "legal_basis": LEGAL_BASES[:3]}
EVENT = st.fixed_dictionaries(
    {
        "consent_id": st.sampled_from(["c-1", "c-2"]),
        "pseudonym": st.sampled_from([PSEUDONYM, PSEUDONYM[::-1]]),
        "status_time": st.sampled_from([f"2026-01-0{day}T00:00:00Z" for day in (1, 2, 3)]),
        "status": st.sampled_from(["", *CONSENT_STATUSES]),
        "purposes": st.lists(st.sampled_from(PURPOSES[:4]), max_size=3).map(";".join),
        "legal_basis": st.lists(st.sampled_from(LEGAL_BASES[:3]), max_size=2).map(";".join),
        "jurisdiction": st.sampled_from(["", "DE", "FR"]),
        "valid_until": st.sampled_from(["", "2026-05-01", "2026-04-30T12:00:00Z"]),
        "special_category": st.sampled_from(["", "true", "false"]),
        "license": st.sampled_from(["", "MIT", "CC-BY-4.0"]),
    }
)


@settings(max_examples=60)
@given(
    st.lists(EVENT, min_size=1, max_size=10).flatmap(
        lambda rows: st.tuples(st.just(rows), st.permutations(rows), st.data())
    )
)
def test_events_in_any_order_and_any_files_come_to_the_same_states(drawn: Any) -> None:  # noqa: ANN401
    rows, shuffled, data = drawn
    cuts = sorted(data.draw(st.lists(st.integers(1, len(rows)), max_size=4)))
    parts = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    states = []
    for files in ([rows], parts):
        with TemporaryDirectory() as folder:
            project = Project(Path(folder))
            for number, part in enumerate(files):
                text = "".join(",".join(row[key] for key in rows[0]) + "\n" for row in part)
                if part:
                    file = put(project, f"{','.join(rows[0])}\n{text}", f"in{number}.csv")
                    import_consents(project, file, into=f"part-{number % 2}")
            states.append(consents(read_events(project.ledger)))
    assert states[0].equals(states[1])


def test_the_page_names_each_key_of_the_ledger(crowd: Built) -> None:
    assert sorted(documented(section(PAGE, "JSON-LD"))) == sorted(dtypes(EVENTS))
    assert documented(section(PAGE, "CSV and TSV")) == ["subject", "pseudonym", "source"]
    named = re.findall(r"`([\w-]+)`", section(PAGE, "JSON-LD").split("so a record needs")[0])
    assert {"dpv", "odrl"} <= set(named) <= set(PREFIXES)
    assert set(PREFIXES) - set(named) == {"dcterms"}
    assert crowd.consents("mine.jsonl", event()).ledger.exists()
