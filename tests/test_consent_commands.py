"""What privacy officers ask, on a small project whose people are all known; counted again in plain Python."""

import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.cli import main
from pipeline.core.consent.events import read_events
from pipeline.core.digests import keyed_digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.keys import PUBLIC_KEY
from pipeline.lineage.consent.access import access
from pipeline.lineage.consent.asking import Whom, whom
from pipeline.lineage.consent.report import report
from pipeline.lineage.consent.status import expiring, status
from pipeline.lineage.consent.status import told as told_of
from pipeline.lineage.consent.withdraw import withdraw
from tests.building import ROOT, SIDECAR, Built, build, event, lines, record

PEOPLE = ("ann@example.org", "bob@example.org", "cyd@example.org", "eve@example.org")
ANN, BOB, CYD, EVE = (keyed_digest_text(PUBLIC_KEY, "annotator", "votes", name) for name in PEOPLE)
NOBODY = keyed_digest_text(PUBLIC_KEY, "annotator", "votes", "nobody")
RATIONALE = "zqrationale"


def people_project(root: Path) -> Built:
    """Ann's consent stands, Bob's runs out soon, Cyd works under a contract, Eve has no record."""
    project = build(root)
    votes = [
        record(prompt=f"{name} {i}", annotator=name, consent=f"c-{name[:3]}", why=RATIONALE)
        for name in PEOPLE
        for i in range(12)
    ]
    unreadable = json.dumps(record(annotator=PEOPLE[0]))[:-1]
    project.source(
        "votes",
        {"x.jsonl": lines(*votes, record(annotator=PEOPLE[0], preference=["a"])) + unreadable + "\n"},
        consent={**SIDECAR["consent"], "roles": ["annotator"]},
        fields={
            **SIDECAR["fields"],
            "rationale": "why",
            "consent_refs": [{"role": "annotator", "subject": "annotator", "consent_id": "consent"}],
        },
    )
    project.source("whole", {"x.jsonl": lines(*(record(prompt=f"whole {i}") for i in range(5)))})
    project.source("unasked", {"x.jsonl": lines(record(prompt="unasked"))}, consent="none")
    project.consents(
        "people.jsonl",
        event(subject=ANN, consent_id="c-ann", jurisdiction="DE"),
        event(subject=BOB, consent_id="c-bob", valid_until="2026-01-20", jurisdiction="FR", purposes=["ai-alignment"]),
        event(
            subject=CYD, consent_id="c-cyd", status=None, legal_basis=["eu-gdpr:A6-1-b"], retention_until="2027-01-01"
        ),
    )
    return project.run()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return people_project(tmp_path_factory.mktemp("people") / "project")


def person(project: Built, place: int, tmp_path: Path) -> Whom:
    file = tmp_path / f"id-{place}.txt"
    file.write_text(f"{PEOPLE[place]}\n", encoding="utf-8")
    return whom(project, "votes", person_file=file)


def consent_reasons(project: Built) -> dict[str, int]:
    return {reason: count for reason, count in project.reasons("validate").items() if reason.startswith("consent_")}


def test_a_raw_id_becomes_the_annotator_s_pseudonym(built: Built, tmp_path: Path) -> None:
    assert person(built, 0, tmp_path).subject == ANN
    assert ANN in built.comparisons()["annotator"].to_list()


def test_a_raw_id_as_an_argument_is_refused_and_not_repeated(built: Built) -> None:
    with pytest.raises(PairtrailError) as caught:
        whom(built, PEOPLE[0])
    assert PEOPLE[0] not in str(caught.value)
    assert "--person" in str(caught.value)
    assert "unasked, votes, whole" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff"])
def test_a_file_without_one_raw_id_is_refused(content: bytes, built: Built, tmp_path: Path) -> None:
    (tmp_path / "id").write_bytes(content)
    with pytest.raises(PairtrailError):
        whom(built, "votes", person_file=tmp_path / "id")


def test_status_of_all_and_of_a_source(built: Built) -> None:
    def told(asked: Whom) -> dict[tuple[str, str | None], tuple[int, int]]:
        rows = status(built, asked)["consents"]
        return {(row["standing"], row["status"]): (row["consents"], row["rows"]) for row in rows}

    # The record of `votes` as a whole is in the ledger and covers its rows beside the people's: each is one row.
    assert told(Whom()) == {("stands", "ConsentGiven"): (5, 48 + 5), ("stands", None): (1, 12)}
    assert told(Whom(source="whole")) == {("stands", "ConsentGiven"): (1, 5)}


def test_a_source_s_status_counts_its_own_rows(tmp_path: Path) -> None:
    fields = {
        **SIDECAR["fields"],
        "consent_refs": [{"role": "annotator", "subject": "annotator", "consent_id": "consent"}],
    }
    project = build(tmp_path / "project")
    for name, rows in (("one", 3), ("two", 5)):
        votes = lines(*(record(prompt=f"{place}", consent="c-ann") for place in range(rows)))
        project.source(name, {"x.jsonl": votes}, fields=fields, namespace="people")
    project.run("ingest").everybody_agrees()
    assert [(row["consents"], row["rows"]) for row in status(project, Whom(source="one"))["consents"]] == [(2, 3)]
    assert [(row["consents"], row["rows"]) for row in status(project, Whom())["consents"]] == [(3, 8)]


def test_status_of_a_person_with_their_history(built: Built, tmp_path: Path) -> None:
    found = status(built, person(built, 1, tmp_path))
    assert [(row["consent_id"], row["standing"], row["rows"]) for row in found["consents"]] == [("c-bob", "stands", 12)]
    assert [event["status"] for event in found["history"]] == ["ConsentGiven"]
    unrecorded = status(built, person(built, 3, tmp_path))
    assert unrecorded["consents"] == unrecorded["history"] == []
    assert found["contradictions"] == []
    with pytest.raises(PairtrailError, match="neither the ledger nor a row"):
        status(built, Whom(subject=NOBODY))
    with pytest.raises(PairtrailError, match="after the year 9999"):
        expiring(built, "99999d", "9999-01-01")


def test_what_contradicts_is_told_by_moment_and_key(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())})
    project.consents("a.jsonl", event(subject=ANN, valid_until="2027-01-01"))
    project.consents("b.jsonl", event(subject=ANN, valid_until="2026-07-01", status="ConsentWithdrawn"))
    found = status(project, Whom(subject=ANN))
    [moment] = found["contradictions"]
    assert (moment["status_time"], sorted(moment["keys"])) == ("2025-01-01T00:00:00Z", ["status", "valid_until"])
    [consent] = found["consents"]
    assert (consent["status"], consent["valid_until"]) == ("ConsentWithdrawn", "2026-07-01")
    assert "has two of status, valid_until; the strictest counts" in told_of(found)


def test_what_ends_within_some_days(built: Built) -> None:
    def ending(within: str, begin: str | None = None) -> list[tuple[str, str, int]]:
        rows = expiring(built, within, begin)["consents"]
        return [(row["consent_id"], row["standing"], row["rows"]) for row in rows]

    assert ending("19d") == []
    assert ending("20d") == [("c-bob", "consent_expired", 12)]
    assert ending("400d", "2026-01-21") == [("c-cyd", "retention_passed", 12)]
    for wrong in ("30", "0d", "-1d", "d", "1e3d"):
        with pytest.raises(PairtrailError, match="30d"):
            expiring(built, wrong, None)
    with pytest.raises(PairtrailError, match="2026-01-31"):
        expiring(built, "30d", "tomorrow")


def test_the_report_counts_every_row_once_as_plain_python_does(built: Built) -> None:
    found = report(built)
    told = Counter(
        {
            tuple(row[name] for name in ("basis", "jurisdiction", "purposes", "status", "split", "outcome")): row[
                "rows"
            ]
            for row in found["rows"]
        }
    )
    sides = dict(built.table("split/decisions").select("comparison_id", "side").iter_rows())
    dropped = {
        row["comparison_id"]: row["drop_reason"]
        for stage in ("validate", "split")
        for row in built.table(f"{stage}/decisions").filter(pl.col("drop_reason").is_not_null()).to_dicts()
    }
    stated = {
        ANN: ("eu-gdpr:A6-1-a", "DE", "ai-alignment, ai-evaluation", "ConsentGiven"),
        BOB: ("eu-gdpr:A6-1-a", "FR", "ai-alignment", "ConsentGiven"),
        CYD: ("eu-gdpr:A6-1-a + eu-gdpr:A6-1-b", "-", "ai-alignment, ai-evaluation", "ConsentGiven + no status"),
        EVE: ("eu-gdpr:A6-1-a", "-", "-", "ConsentGiven + not in the ledger"),
        "unasked": ("-", "-", "-", "no reference"),
        None: ("eu-gdpr:A6-1-a", "-", "ai-alignment, ai-evaluation", "ConsentGiven"),
    }
    expected: Counter[tuple[str, ...]] = Counter()
    for row in built.comparisons().to_dicts():
        who = {"votes": row["annotator"], "unasked": "unasked"}.get(row["source"])
        fate = (sides.get(row["comparison_id"], "-"), dropped.get(row["comparison_id"], "kept"))
        expected[*stated[who], *fate] += 1
    assert told == expected
    assert found["comparisons"] == expected.total() == 54
    assert {cell[-1] for cell in told} >= {"kept", "no_consent", "consent_unknown", "purpose_not_covered"}
    assert found["licenses"] == [
        {"source": "unasked", "license": "CC0-1.0", "rows": 1, "use": "All"},
        {"source": "votes", "license": "CC0-1.0", "rows": 48, "use": "All"},
        {"source": "whole", "license": "CC0-1.0", "rows": 5, "use": "All"},
    ]


def test_access_gathers_all_of_one_person_and_nothing_of_another(built: Built, tmp_path: Path) -> None:
    found = access(built, person(built, 0, tmp_path))
    assert [row["consent_id"] for row in found["events"]] == ["c-ann"]
    assert len(found["comparisons"]) == 12
    assert all(row["published"] and row["rationale"] == RATIONALE for row in found["comparisons"])
    assert {(row["comparison"]["annotator"], row["comparison"]["presented_order"]) for row in found["comparisons"]} == {
        (ANN, None)
    }
    assert [row["comparison"]["comparison_id"] for row in found["comparisons"]] == [
        row["comparison_id"] for row in found["comparisons"]
    ]
    refs = [ref for row in found["comparisons"] for ref in row["comparison"]["consent_refs"]]
    assert refs == [{"role": "annotator", "subject": ANN, "consent_id": "c-ann"}] * 12
    assert {row["prompt"][0]["content"].split()[0] for row in found["comparisons"]} == {PEOPLE[0]}
    # Beside the twelve: a record that was quarantined as a candidate, and one that is not even JSON.
    assert [row["source_row"] for row in found["raw_records"]] == [*range(1, 13), 49, 50]
    assert not any(other in json.dumps(found, default=str) for other in (*PEOPLE[1:], BOB, CYD, EVE))
    own = {event["event"] for event in found["events"]}
    assert all([one["event"] for one in row["consents"]] == list(own) for row in found["comparisons"])
    assert all(row["decisions"]["validate"]["consent_events"] == list(own) for row in found["comparisons"])
    by_pseudonym = access(built, Whom(subject=ANN))
    assert by_pseudonym["raw_records"] is None
    assert len(by_pseudonym["comparisons"]) == 12
    with pytest.raises(PairtrailError, match="one person"):
        access(built, Whom())


def test_access_gives_no_record_that_holds_an_id_s_characters_alone(tmp_path: Path) -> None:
    project = build(tmp_path / "project")
    within = json.dumps({"worker": "5"})
    theirs = [record(annotator=5), record(meta=within), record(meta=json.dumps({"worker": "52"}))]
    others = [record(annotator="15"), record(a="I am 5 years old."), record(annotator="50")]
    cut = lines(record(annotator="5"), record(annotator="15")).replace("}\n", "\n")
    project.source("votes", {"x.jsonl": lines(*theirs, *others) + cut})
    (tmp_path / "id").write_text("5\n", encoding="utf-8")
    found = access(project, whom(project, "votes", person_file=tmp_path / "id"))
    assert [(one["source_row"], one["quarantined"]) for one in found["raw_records"]] == [
        (1, None),
        (2, None),
        (7, "broken_json"),
    ]


@pytest.mark.parametrize(
    ("raw_id", "others", "theirs"),
    [
        ("w1", [{"worker": "w10"}, {"worker": "aw1"}, {"worker": "w-1"}], [{"worker": "w1"}, {"note": "so said w1."}]),
        ("ann@x.org", [{"by": "joann@x.org"}, {"by": "mary-ann@x.org"}, {"by": "ann@x.org.uk"}], [{"by": "ann@x.org"}]),
        ("7", [{"ask": "What is 7 + 3?", "worker": 17}], [{"worker": 7}, {"worker": "7"}, {"by": {"7": "left"}}]),
        ('"ü\\', [{"by": "ü"}], [{"by": '"ü\\'}]),
    ],
)
def test_access_takes_nobody_elses_records_for_the_persons(
    raw_id: str, others: list[dict[str, Any]], theirs: list[dict[str, Any]], tmp_path: Path
) -> None:
    project = people_project(tmp_path / "project")
    broken = f'{{"worker": "{raw_id}"' + "\n" + f'{{"worker": "x{raw_id}"' + "\n"
    (project.raw / "votes/x.jsonl").write_text(lines(*others, *theirs) + broken, encoding="utf-8")
    (tmp_path / "id.txt").write_text(raw_id + "\n", encoding="utf-8")
    found = access(project, whom(project, "votes", person_file=tmp_path / "id.txt"))["raw_records"]
    assert [one["record"] for one in found] == [*theirs, None]
    assert found[-1]["source_row"] == len(others) + len(theirs) + 1


def test_withdrawal_withholds_the_rows_and_moves_none(tmp_path: Path) -> None:
    project = people_project(tmp_path / "project")
    before = project.table("split/decisions")
    found = withdraw(project, person(project, 0, tmp_path), consent_id=None, at="2030-01-01T00:00:00Z", how="letter")
    assert found["consents"] == [
        {"consent_id": "c-ann", "status": "ConsentGiven", "will_be": "ConsentWithdrawn", "rows": 12},
        {"consent_id": "whole", "status": None, "will_be": "ConsentWithdrawn", "rows": 12},
    ]
    again = withdraw(project, person(project, 0, tmp_path), consent_id=None, at="2030-01-01T00:00:00Z", how="letter")
    assert (found["new"], again["new"]) == (2, 0)
    project.run("validate", "dedupe", "split", "publish")
    assert consent_reasons(project) == {"consent_withdrawn": 12, "consent_unknown": 12}
    kept = before.join(project.table("split/decisions"), on="comparison_id", suffix="_now")
    assert kept.height == before.height - 12
    assert kept["side"].equals(kept["side_now"])


def test_who_is_bound_by_contract_objects(tmp_path: Path) -> None:
    project = people_project(tmp_path / "project")
    withdraw(project, Whom(subject=CYD), consent_id="c-cyd", at=None, how=None)
    assert project.run("validate").reasons("validate")["processing_objected"] == 12
    for wrong, told in (
        ({"consent_id": "c-ann", "at": None}, "no consent of that id"),
        ({"consent_id": None, "at": "soon"}, "--at"),
    ):
        with pytest.raises(PairtrailError, match=told):
            withdraw(project, Whom(subject=CYD), how=None, **wrong)
    with pytest.raises(PairtrailError, match="neither the ledger nor a row"):
        withdraw(project, Whom(subject=NOBODY), consent_id=None, at=None, how=None)
    assert len((project.ledger / "consent" / "withdrawals.jsonl").read_text().splitlines()) == 1


def test_a_withdrawal_that_would_have_no_effect_is_not_written(tmp_path: Path) -> None:
    project = people_project(tmp_path / "project")
    later = "2199-01-01T00:00:00Z"
    project.consents("later.jsonl", event(subject=BOB, consent_id="c-bob", status_time=later))
    with pytest.raises(PairtrailError, match="1 of these consents were given at a later time"):
        withdraw(project, Whom(subject=ANN), consent_id=None, at="2020-01-01T00:00:00Z", how=None)
    with pytest.raises(PairtrailError, match="2199-01-01T00:00:00Z the newest"):
        withdraw(project, Whom(subject=BOB), consent_id=None, at=None, how=None)
    assert not (project.ledger / "consent" / "withdrawals.jsonl").exists()
    assert withdraw(project, Whom(subject=BOB), consent_id=None, at=later, how=None)["new"] == 2
    assert project.run("validate").reasons("validate")["consent_withdrawn"] == 12


def test_who_states_no_basis_at_all_withdraws(tmp_path: Path) -> None:
    project = people_project(tmp_path / "project")
    later = event(subject=ANN, consent_id="c-ann", legal_basis=[], status_time="2025-06-01T00:00:00Z")
    project.consents("later.jsonl", later)
    assert withdraw(project, Whom(subject=ANN), consent_id=None, at=None, how=None)["consents"][0]["will_be"] == (
        "ConsentWithdrawn"
    )


def test_a_person_without_a_record_can_withdraw_too(tmp_path: Path) -> None:
    project = people_project(tmp_path / "project")
    found = withdraw(project, Whom(subject=EVE), consent_id=None, at=None, how=None)
    assert [(row["consent_id"], row["will_be"], row["rows"]) for row in found["consents"]] == [
        ("c-eve", "ConsentWithdrawn", 12),
        ("whole", "ConsentWithdrawn", 12),
    ]
    assert consent_reasons(project.run("validate")) == {"consent_withdrawn": 12}


def test_who_is_covered_by_the_record_of_a_whole_source_can_withdraw_too(tmp_path: Path) -> None:
    """Nobody has a record of their own there; the word of one person counts for the rows of that person alone."""
    project = build(tmp_path / "project")
    votes = [record(prompt=f"{who} {n}", annotator=who) for who in ("dee", "fay") for n in range(10)]
    project.source("s", {"x.jsonl": lines(*votes)}).run()
    before = project.table("split/decisions")
    file = tmp_path / "id"
    file.write_text("dee\n", encoding="utf-8")
    dee = whom(project, "s", person_file=file)
    found = withdraw(project, dee, consent_id=None, at="2026-02-01T00:00:00Z", how=None)
    assert found["consents"] == [{"consent_id": "whole", "status": None, "will_be": "ConsentWithdrawn", "rows": 10}]
    assert project.run("validate", "dedupe", "split", "publish").reasons("validate") == {"consent_withdrawn": 10}
    kept = before.join(project.table("split/decisions"), on="comparison_id", suffix="_now")
    assert (kept.height, kept["side"].equals(kept["side_now"])) == (10, True)
    assert [(row["consent_id"], row["rows"]) for row in status(project, dee)["consents"]] == [("whole", 10)]
    told = {(row["status"], row["outcome"]): row["rows"] for row in report(project)["rows"] if row["split"] == "-"}
    assert told == {("ConsentGiven + ConsentWithdrawn", "consent_withdrawn"): 10}
    project.consents("s.jsonl", event(legal_basis=["eu-gdpr:A6-1-f"]))
    [again] = withdraw(project, dee, consent_id="whole", at="2026-03-01T00:00:00Z", how=None)["consents"]
    assert again["will_be"] == "eu-gdpr:A21"
    assert project.run("validate").reasons("validate") == {"processing_objected": 10}


Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Say:
    def said(project: Built, *args: str) -> tuple[int, str]:
        monkeypatch.chdir(project.root)
        monkeypatch.setattr(sys, "argv", ["pairtrail", "consent", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out + err

    return said


def test_the_commands_print_no_raw_id_and_no_text(built: Built, say: Say, tmp_path: Path) -> None:
    file = tmp_path / "id.txt"
    file.write_text(PEOPLE[0], encoding="utf-8")
    out = tmp_path / "answer.json"
    asked: list[list[str]] = [
        ["status"],
        ["status", "whole"],
        ["status", "votes", "--person-file", str(file)],
        ["expiring", "--within", "400d"],
        ["report"],
        ["access", "votes", "--person-file", str(file), "--out", str(out)],
        ["access", ANN],
    ]
    for args in asked:
        for more in ([], ["--json"]) if "--out" not in args else ([],):
            code, told = say(built, *args, *more)
            assert code == 0, told
            assert not any(name in told for name in (*PEOPLE, RATIONALE, *(name[:3] + "@" for name in PEOPLE)))
            if more:
                json.loads(told)
    answer: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    assert len(answer["comparisons"]) == 12
    assert out.stat().st_mode & 0o777 == 0o600
    code, told = say(built, "access", ANN, "--out", str(out))
    assert (code, "nothing was written" in told) == (1, True)
    code, told = say(built, "status", PEOPLE[0])
    assert code == 1
    assert PEOPLE[0] not in told


def test_the_report_is_a_markdown_table(built: Built, say: Say, tmp_path: Path) -> None:
    code, told = say(built, "report", "--out", str(tmp_path / "consent.md"))
    assert code == 0, told
    text = (tmp_path / "consent.md").read_text(encoding="utf-8")
    assert "| basis | jurisdiction | purposes | status | split | outcome | rows |" in text
    tables = re.findall(r"^## (.+)\n(?:.*\n)*?\| --.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert [head for head, _ in tables] == ["What became of them", "Legal bases", "Licences", "Each cell"]
    for _, rows in tables:
        *cells, total = [int(line.split("|")[-2]) for line in rows.splitlines()]
        assert sum(cells) == total == 54
    assert "Build again" not in told + text
    assert "newest event" not in text


def test_the_report_tells_when_ledger_build_and_date_are_not_of_one_day(tmp_path: Path, say: Say) -> None:
    project = people_project(tmp_path / "project")
    withdraw(project, person(project, 0, tmp_path), consent_id=None, at="2030-01-01T00:00:00Z", how=None)
    code, told = say(project, "report")
    assert code == 0, told
    now = read_events(project.ledger).height
    assert f"The build read {now - 2} events of the ledger, which now has {now}:" in told
    assert "newest event is of 2030-01-01" in told
    project.run("validate", "dedupe", "split", "publish")
    assert "Build again" not in say(project, "report")[1]
    project.set_params(validate={"as_of": "2030-01-01"})
    told = say(project, "report")[1]
    assert (
        "Consent had to hold to the end of 2026-01-01.\nparams.yaml now says `as_of` 2030-01-01. Build again." in told
    )


def test_the_report_calls_no_vote_kept_that_publish_passed_over(tmp_path: Path) -> None:
    project = build(tmp_path / "project")
    by_model = {"annotator": "m", "kind": "model"}
    project.source(
        "votes",
        {"x.jsonl": lines(record(annotator="a", kind="human"), record(**by_model), record(prompt="other", **by_model))},
        fields={**SIDECAR["fields"], "annotator_kind": "kind"},
    )
    told: Counter[str] = Counter()
    for row in report(project.run())["rows"]:
        told[row["outcome"]] += row["rows"]
    assert told == {"kept": 2, "human_judged": 1}


def test_what_a_command_writes_is_what_the_next_build_depends_on(tmp_path: Path) -> None:
    """Or `dvc repro` would call the old build up to date, and the withdrawal would have no effect."""
    project = people_project(tmp_path / "project")
    shutil.copy(ROOT / "dvc.yaml", project.root)
    withdraw(project, Whom(subject=ANN), consent_id=None, at=None, how=None)
    assert "      - data/ledger/consent/withdrawals.jsonl\n" in (project.root / "dvc.yaml").read_text(encoding="utf-8")


def test_access_of_who_asked_holds_nothing_that_the_annotator_said(tmp_path: Path) -> None:
    project = build(tmp_path / "project")
    refs = [
        {"role": "prompt_author", "subject": "asker", "consent_id": "a"},
        {"role": "annotator", "subject": "annotator", "consent_id": "b"},
    ]
    fields = {**SIDECAR["fields"], "rationale": "why", "consent_refs": refs}
    project.source("s", {"x.jsonl": lines(record(asker="kim", a="k", b="c", why=RATIONALE))}, fields=fields)
    project.run("ingest").everybody_agrees().run()
    kim, ann = (keyed_digest_text(PUBLIC_KEY, "annotator", "s", name) for name in ("kim", "ann"))
    [story] = access(project, Whom(subject=kim))["comparisons"]
    assert (story["rationale"], story["comparison"]["rationale"], story["comparison"]["annotator"]) == (
        None,
        None,
        None,
    )
    assert [ref["subject"] for ref in story["comparison"]["consent_refs"]] == [kim]
    [story] = access(project, Whom(subject=ann))["comparisons"]
    assert (story["rationale"], story["comparison"]["annotator"]) == (RATIONALE, ann)
    assert [ref["subject"] for ref in story["comparison"]["consent_refs"]] == [ann]
