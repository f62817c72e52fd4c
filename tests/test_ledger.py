"""Reading the consent ledger: sound lines as they are written, and no malformed one without a word."""

import gzip
import json
import re
import time
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipeline.core.consent.events import ledger_files, read_events
from pipeline.core.consent.rules import RULES
from pipeline.core.errors import PairtrailError
from schemas.check import check
from schemas.columns import dtypes
from schemas.consents import EVENTS
from schemas.vocabulary import CONSENT_PROFILES, CONSENT_STATUSES, LEGAL_BASES, PURPOSES
from tests.building import event

PERSON = "0123456789abcdef" * 2
# What no error may repeat; it stands in every malformed line.
MARKED = "zq-marked"
LISTS = {"purposes", "legal_basis", "recipients"}
UNTIL = {"valid_until", "retention_until"}


def ledger(folder: Path, **files: bytes) -> Path:
    """Write files of a ledger, whatever stood there before."""
    consent = folder / "consent"
    consent.mkdir(exist_ok=True)
    for old in consent.iterdir():
        old.unlink()
    for name, content in files.items():
        (consent / f"{name}.jsonl").write_bytes(content)
    return folder


def line(**changes: Any) -> bytes:  # noqa: ANN401
    return json.dumps(event(**changes)).encode()


def faults(folder: Path, **files: bytes) -> list[str]:
    """Return what the error tells, a line each; fail where there is none."""
    with pytest.raises(PairtrailError) as raised:
        read_events(ledger(folder, **files))
    assert MARKED not in str(raised.value)
    head, *told = str(raised.value).split("\n")
    assert re.fullmatch(r"the consent ledger has [0-9,]+( or more)? faults; nothing of it was used:", head)
    return [one.strip() for one in told]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledger")


# --- sound lines, against the standard library


def instant(text: str) -> datetime:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return datetime.combine(datetime.fromisoformat(text), clock.max, UTC)
    return datetime.fromisoformat(text).astimezone(UTC)


def plainly(stated: dict[str, Any]) -> dict[str, Any]:
    """Say what an event comes to: times as instants, lists in order and without repeats, the rest as it is."""
    read = dict.fromkeys(dtypes(EVENTS)) | stated
    for key, value in stated.items():
        if value is not None and key in {"status_time", *UNTIL}:
            read[key] = instant(value)
        elif value is not None and key in LISTS:
            read[key] = sorted(set(value))
    return read


odd = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.sampled_from(
    ['a "quoted" text', 'x","status":"ConsentGiven', ": :", '":', "\\", "\\u0041", "\U0001f600", "a\tb\nc", "null", "é"]
)
times = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.isoformat()
)
days = st.dates(datetime(1971, 1, 1).date(), datetime(2100, 1, 1).date()).map(str)  # noqa: DTZ001
optional = {
    "status": st.sampled_from(CONSENT_STATUSES),
    "purposes": st.lists(st.sampled_from(PURPOSES), max_size=3),
    "legal_basis": st.lists(st.sampled_from(LEGAL_BASES), max_size=3),
    "jurisdiction": st.sampled_from(["DE", "US-CA", "EU"]),
    "valid_until": times | days,
    "retention_until": times | days,
    "special_category": st.booleans(),
    "license": st.sampled_from(["MIT", "mit AND (Apache-2.0 OR LicenseRef-x)"]),
    "conforms_to": st.sampled_from(CONSENT_PROFILES),
    "withdrawal_method": odd,
    "notice_uri": st.sampled_from(["https://example.org/notice?v=1", "urn:x:y"]),
    "notice_version": odd,
    "language": st.sampled_from(["de", "en-GB"]),
    "evidence_sha256": st.sampled_from(["ab" * 32]),
    "collection_method": odd,
    "controller": odd,
    "recipients": st.lists(odd, max_size=3),
}
stated_events = st.fixed_dictionaries(
    {
        "consent_id": odd.filter(lambda text: re.search(r"\S", text) is not None),
        "subject": st.sampled_from([PERSON, "source:s"]),
        "status_time": times,
    },
    optional={name: kind | st.none() for name, kind in optional.items()},
)


@st.composite
def written(draw: st.DrawFn, events: st.SearchStrategy[dict[str, Any]]) -> tuple[dict[str, Any], bytes]:
    """Write an event in one of the ways in which JSON can be written."""
    stated = draw(events)
    keys = draw(st.permutations(list(stated)))
    how: Any = {
        "ensure_ascii": draw(st.booleans()),
        "separators": draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")])),
    }
    ends = draw(st.sampled_from([b"\n", b"\r\n", b" \n", b"\n\n", b"\n \t\r\n"]))
    return stated, json.dumps({key: stated[key] for key in keys}, **how).encode() + ends


@given(st.lists(written(stated_events), min_size=1, max_size=6))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_events_are_read_as_they_are_written(folder: Path, given_lines: list[tuple[dict[str, Any], bytes]]) -> None:
    read = read_events(ledger(folder, x=b"".join(one for _, one in given_lines)))
    check(read.drop("event"), EVENTS)
    expected = {json.dumps(plainly(stated), default=str, sort_keys=True) for stated, _ in given_lines}
    rows = read.drop("event").to_dicts()
    assert {json.dumps(row, default=str, sort_keys=True) for row in rows} == expected
    assert len(rows) == len(expected) == read["event"].n_unique()


@given(st.lists(stated_events, min_size=1, max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_files_lines_and_copies_do_not_matter(folder: Path, stated: list[dict[str, Any]], random: Any) -> None:  # noqa: ANN401
    straight = read_events(ledger(folder, x=b"\n".join(json.dumps(one).encode() for one in stated)))
    again = [*stated, *random.choices(stated, k=3)]
    random.shuffle(again)
    for one in again:
        for key in LISTS & set(one):
            one[key] = one[key] and random.sample(one[key], len(one[key])) + one[key][:1]
    cut = random.randrange(1, len(again))
    files = {"b": again[:cut], "a": again[cut:]}
    texts = {name: "".join(json.dumps(one) + "\n" for one in part).encode() for name, part in files.items()}
    assert_frame_equal(read_events(ledger(folder, **texts)), straight)


def test_the_digest_of_an_event_is_pinned(folder: Path) -> None:
    """Digests stand in decisions: an event keeps its own for good. Computed by hand from `length:text,` frames."""
    read = read_events(ledger(folder, x=line(recipients=["b", "a", "b"], special_category=False)))
    assert read["event"].to_list() == [hand_digest()]


def hand_digest() -> str:
    micros = "1735689600000000"
    stated = [
        "consent event",
        "whole",
        "source:s",
        micros,
        "ConsentGiven",
        "ai-alignment,ai-evaluation",
        "eu-gdpr:A6-1-a",
    ]
    parts: list[str | None] = [*stated, None, None, None, "false", *[None] * 9, "1:a,1:b,"]
    framed = "".join("~," if part is None else f"{len(part)}:{part}," for part in parts)
    return sha256(framed.encode()).hexdigest()[:32]


def test_an_empty_list_says_none_and_a_missing_one_says_nothing(folder: Path) -> None:
    read = read_events(ledger(folder, x=line(purposes=[]) + b"\n" + line(purposes=None)))
    assert sorted(map(str, read["purposes"].to_list())) == ["None", "[]"]
    assert read["event"].n_unique() == 2


def test_no_ledger_and_no_file_are_no_event(tmp_path: Path) -> None:
    assert read_events(tmp_path / "nowhere").is_empty()
    assert read_events(ledger(tmp_path)).schema == {**dtypes(EVENTS), "event": pl.String}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-06-01T12:00:00Z", "2025-06-01T12:00:00+00:00"),
        ("2025-06-01T12:00z", "2025-06-01T12:00:00+00:00"),
        ("2025-06-01T12:00:00.123456789+02:00", "2025-06-01T10:00:00.123456+00:00"),
        ("2025-06-01T12:00-05:30", "2025-06-01T17:30:00+00:00"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00"),
    ],
)
def test_times(folder: Path, text: str, moment: str) -> None:
    read = read_events(ledger(folder, x=line(status_time=text, valid_until=text)))
    assert read.select("status_time", "valid_until").row(0) == (datetime.fromisoformat(moment),) * 2


def test_a_date_counts_to_its_end(folder: Path) -> None:
    read = read_events(ledger(folder, x=line(valid_until="2024-02-29", retention_until="9999-12-31")))
    assert read["valid_until"].item() == datetime(2024, 3, 1, tzinfo=UTC) - timedelta(microseconds=1)
    assert read["retention_until"].item() == datetime.max.replace(tzinfo=UTC)


# --- malformed lines


def stating(**changes: Any) -> bytes:  # noqa: ANN401
    return line(controller=MARKED, **changes)


def lacking(key: str) -> bytes:
    return json.dumps({name: value for name, value in event(controller=MARKED).items() if name != key}).encode()


SOUND = line()
TIME = "a time with its offset (2026-01-31T09:30:00Z) is needed"
MALFORMED: dict[str, tuple[bytes, str]] = {
    "cut short": (stating()[:-5], "not one JSON object"),
    "single quotes": (stating().replace(b'"', b"'"), "not one JSON object"),
    "a trailing comma": (stating()[:-1] + b",}", "not one JSON object"),
    "a comment": (stating() + b" // " + MARKED.encode(), "not one JSON object"),
    "two objects with a comma": (stating() + b"," + SOUND, "not one JSON object"),
    "two objects": (stating() + SOUND, "not one JSON object"),
    "two objects with a space": (stating() + b" " + SOUND, "not one JSON object"),
    "old line ends": (stating() + b"\r" + SOUND, "not one JSON object"),
    "a byte order mark": (b"\xef\xbb\xbf" + stating(), "not one JSON object"),
    "a vertical tab around it": (b"\v" + stating(), "not one JSON object"),
    "a no-break space around it": ("\u00a0".encode() + stating(), "not one JSON object"),
    "a no-break space inside it": (stating().replace(b": ", ":\u00a0".encode()), "not one JSON object"),
    "a line feed in a text": (stating().replace(b"zq-marked", b"zq-marked\x01"), "not one JSON object"),
    "an array of events": (b"[" + stating() + b"]", "not a JSON object"),
    "an opening bracket": (b"[" + stating() + b",", "not one JSON object"),
    "a text": (b'"zq-marked"', "not a JSON object"),
    "null": (b"null", "not a JSON object"),
    "true": (b"true", "not a JSON object"),
    "a number": (b"5", "not a JSON object"),
    "NaN": (b"NaN", "a number that is not finite"),
    "a huge number": (
        b'{"consent_id": ' + b"9" * 5000 + b', "controller": "zq-marked"}',
        "a number that is not finite",
    ),
    "not UTF-8": (stating().replace(b"marked", b"\xff\xfe"), "not UTF-8"),
    "cut UTF-8": (stating()[:-2] + "é".encode()[:1], "not UTF-8"),
    "UTF-16": ("﻿{}".encode("utf-16-le"), "not UTF-8"),
    "a raw NUL": (stating().replace(b"zq-", b"zq-\0"), "a NUL character"),
    "an escaped NUL": (stating(notice_version="a\0"), "a NUL character"),
    "half a surrogate pair": (stating(notice_version="\ud800"), "half of a surrogate pair"),
    "the other half": (stating(notice_version="\udc00 x"), "half of a surrogate pair"),
    "an unknown escape": (stating().replace(b"zq-", b"\\x41"), "not one JSON object"),
    "a short escape": (stating().replace(b"zq-", b"\\u41"), "not one JSON object"),
    "too many levels": (b"[" * 10_000 + b"]" * 10_000, "nested deeper"),
    "an object for a text": (stating(notice_version={"zq-marked": 1}), "`notice_version`: a text is needed"),
    "a key that stands twice": (stating()[:-1] + b', "consent_id": "zq-marked"}', "a key stands twice"),
    "an optional key that stands twice": (
        stating(valid_until="2030-01-01")[:-1] + b',"valid_until": "2031-01-01"}',
        "a key stands twice",
    ),
    "twice, the second time null": (stating()[:-1] + b', "status": null}', "a key stands twice"),
    "twice, the first time null": (b'{"status": null, ' + stating()[1:], "a key stands twice"),
    "twice, once with an escape": (stating()[:-1] + b',"st\\u0061tus":"ConsentGiven"}', "a key stands twice"),
    "twice, once with a space": (stating()[:-1] + b',"status" :"ConsentGiven"}', "a key stands twice"),
    "an unknown key": (stating(valid_untill="zq-marked"), "an unknown key; nearest known: valid_until"),
    "a key of any kind": (stating(**{"zq-marked@example.org": 1}), "an unknown key; known: consent_id, subject,"),
    "an empty key": (stating(**{"": "zq-marked"}), "an unknown key; known: consent_id, subject,"),
    "an unknown status": (
        stating(status="consentgiven"),
        "`status`: a code that is not known; nearest known: ConsentGiven",
    ),
    "a status of nobody": (
        stating(status="zq-marked"),
        "`status`: a code that is not known; known: ConsentGiven, Rene",
    ),
    "a status with a space": (
        stating(status="ConsentGiven "),
        "`status`: a code that is not known; nearest known: Con",
    ),
    "an empty status": (stating(status=""), "`status`: a code that is not known; known: "),
    "an unknown purpose": (
        stating(purposes=["ai-alignment", "ai-aligment", MARKED]),
        "`purposes`: a code that is not known; nearest known: ai-alignment",
    ),
    "an empty purpose": (stating(purposes=["ai-alignment", ""]), "`purposes`: a code that is not known; known: ai-al"),
    "an unknown basis": (
        stating(legal_basis=["eu-gdpr:A6-1-g"]),
        "`legal_basis`: a code that is not known; nearest known: eu-gdpr:A6-1-",
    ),
    "an unknown profile": (stating(conforms_to=MARKED), "`conforms_to`: a code that is not known; known: https:"),
    **{f"no {key}": (lacking(key), f"missing key `{key}`") for key in ("consent_id", "subject", "status_time")},
    "null for an id": (stating(consent_id=None), "`consent_id`: a text is needed"),
    "null for a subject": (stating(subject=None), "`subject`: a text is needed"),
    "null for a time": (stating(status_time=None), "`status_time`: a text is needed"),
    "null for a purpose": (stating(purposes=[None]), "`purposes`: a list of texts is needed"),
    "a number for an id": (stating(consent_id=5), "`consent_id`: a text is needed"),
    "true for a text": (stating(notice_version=True), "`notice_version`: a text is needed"),
    "a list for a text": (stating(status=["ConsentGiven"]), "`status`: a text is needed"),
    "a text for a list": (stating(purposes="ai-alignment"), "`purposes`: a list of texts is needed"),
    "an object for a list": (stating(purposes={"ai-alignment": 1}), "`purposes`: a list of texts is needed"),
    "a number in a list": (stating(recipients=["x", 5]), "`recipients`: a list of texts is needed"),
    "a list in a list": (stating(recipients=[["zq-marked"]]), "`recipients`: a list of texts is needed"),
    "a text for a truth": (stating(special_category="true"), "`special_category`: true or false is needed"),
    "a number for a truth": (stating(special_category=1), "`special_category`: true or false is needed"),
    "a number for a time": (stating(status_time=1735689600), "`status_time`: a text is needed"),
    "a blank id": (stating(consent_id=" \t"), "`consent_id`: it must not be blank"),
    "an empty id": (stating(consent_id=""), "`consent_id`: it must not be blank"),
    "a raw subject": (stating(subject="zq-marked@example.org"), "`subject`: a pseudonym of 32 hexadecimal digits"),
    "a subject in capitals": (stating(subject=PERSON.upper()), "`subject`: a pseudonym of 32 hexadecimal digits"),
    "a subject with a line feed": (stating(subject=PERSON + "\n"), "`subject`: a pseudonym of 32 hexadecimal digits"),
    "a source of no such name": (stating(subject="source:A b"), "`subject`: a pseudonym of 32 hexadecimal digits"),
    "a date for a time": (stating(status_time="2025-01-01"), f"`status_time`: {TIME}"),
    "a day that does not exist": (stating(status_time="2025-02-30T00:00:00Z"), f"`status_time`: {TIME}"),
    "no offset": (stating(status_time="2025-01-01T00:00:00"), f"`status_time`: {TIME}"),
    "a zone's name": (stating(status_time="2025-01-01T00:00:00 CET"), f"`status_time`: {TIME}"),
    "an offset that does not exist": (stating(status_time="2025-01-01T00:00:00+25:00"), f"`status_time`: {TIME}"),
    "an hour that does not exist": (stating(status_time="2025-01-01T24:00:00Z"), f"`status_time`: {TIME}"),
    "a second that is none": (stating(status_time="2025-01-01T23:59:60Z"), f"`status_time`: {TIME}"),
    "a year beyond": (stating(status_time="99999-01-01T00:00:00Z"), f"`status_time`: {TIME}"),
    "a signed year": (stating(status_time="+2025-01-01T00:00:00Z"), f"`status_time`: {TIME}"),
    "the year 0": (stating(status_time="0000-01-01T00:00:00Z"), f"`status_time`: {TIME}"),
    "the year 0 in UTC": (stating(status_time="0001-01-01T00:00:00+10:00"), f"`status_time`: {TIME}"),
    "the year 10000 in UTC": (stating(status_time="9999-12-31T23:00:00-10:00"), f"`status_time`: {TIME}"),
    "short months": (stating(status_time="2025-1-2T00:00:00Z"), f"`status_time`: {TIME}"),
    "Arabic digits": (stating(status_time="٢٠٢٥-01-01T00:00:00Z"), f"`status_time`: {TIME}"),
    "a space before a time": (stating(status_time=" 2025-01-01T00:00:00Z"), f"`status_time`: {TIME}"),
    "an empty time": (stating(status_time=""), f"`status_time`: {TIME}"),
    "a limit that does not exist": (stating(valid_until="2025-02-30"), f"`valid_until`: a date, or {TIME}"),
    "a limit in words": (stating(retention_until="zq-marked"), f"`retention_until`: a date, or {TIME}"),
    "a limit without an offset": (stating(valid_until="2025-02-01T00:00:00"), f"`valid_until`: a date, or {TIME}"),
    "a limit's short month": (stating(valid_until="2025-2-1"), f"`valid_until`: a date, or {TIME}"),
    "a country in words": (stating(jurisdiction="Germany"), "`jurisdiction`: a country (ISO 3166: DE, US-CA) or EU"),
    "a country in small letters": (stating(jurisdiction="de"), "`jurisdiction`: a country (ISO 3166: DE, US-CA) or EU"),
    "a language in words": (stating(language="zq marked"), "`language`: a language tag"),
    "a relative address": (stating(notice_uri="/zq-marked"), "`notice_uri`: an absolute URI is needed"),
    "an address with a space": (stating(notice_uri="https://x/zq marked"), "`notice_uri`: an absolute URI is needed"),
    "a short digest": (stating(evidence_sha256="ab" * 31), "`evidence_sha256`: 64 hexadecimal digits are needed"),
    "an unknown licence": (stating(license="zq-marked"), "`license`: an SPDX expression is needed; LicenseRef-NAME"),
    "an empty licence": (stating(license=""), "`license`: an SPDX expression is needed; LicenseRef-NAME"),
    "a licence's open bracket": (stating(license="(" * 5000 + "MIT"), "`license`: an SPDX expression is needed"),
    "a long line": (stating(notice_version="x" * 2**16), "longer than 65,536 bytes"),
}


@pytest.mark.parametrize(("malformed", "told"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_line_is_told_by_file_and_line(folder: Path, malformed: bytes, told: str) -> None:
    (fault,) = faults(folder, sound=SOUND, x=b"\n".join([SOUND, malformed, SOUND]))
    assert fault.startswith(f"x.jsonl: line 2: {told}")


def test_every_key_with_a_rule_has_a_malformed_line() -> None:
    told = " ".join(told for _, told in MALFORMED.values())
    assert [key for key in (*RULES, "status_time", "valid_until", "license") if f"`{key}`" not in told] == []


def test_all_malformed_lines_are_told_at_once(folder: Path) -> None:
    every = [malformed for malformed, _ in MALFORMED.values()]
    lines = [one for malformed in every for one in (SOUND, malformed)]
    told = faults(folder, x=b"\n".join(lines))
    assert told[-1] == f"and {len(every) - 20} more"
    assert [one.split(": ")[1] for one in told[:20]] == [f"line {2 * place}" for place in range(1, 21)]
    with pytest.raises(PairtrailError, match=f"has {len(every)} faults"):
        read_events(folder)


def test_one_line_may_have_several_faults(folder: Path) -> None:
    told = faults(folder, x=stating(purposes=["ai"], status=MARKED, valid_until="soon", jurisdiction="x"))
    assert len(told) == 4
    told = faults(folder, x=b'{"consent_id": 5, "purpose": "zq-marked", "special_category": 0}')
    assert [one.removeprefix("x.jsonl: line 1: ") for one in told] == [
        "`consent_id`: a text is needed",
        "`special_category`: true or false is needed",
        "an unknown key; nearest known: purposes",
        "missing key `status_time`",
        "missing key `subject`",
    ]


def test_faults_of_several_files_are_told_at_once(folder: Path) -> None:
    told = faults(folder, b=b"\n\n" + stating(status=MARKED), a=b"{", c=SOUND)
    assert [one.split(": ")[:2] for one in told] == [["a.jsonl", "line 1"], ["b.jsonl", "line 3"]]


def test_lines_that_are_objects_only_together(folder: Path) -> None:
    """Two lines that are one object, and a line that is two: as many objects as lines, and no event."""
    first, second = stating(recipients=["x", "y"]).split(b'"x", ')
    told = faults(folder, x=b"\n".join([first + b'"x"', second, SOUND + b"," + SOUND]))
    assert [one.split(": ")[1] for one in told] == ["line 1", "line 2", "line 3"]


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_ledger_is_not_compressed(folder: Path, compress: Any) -> None:  # noqa: ANN401
    (fault,) = faults(folder, x=compress(SOUND))
    assert fault.startswith("x.jsonl: line 1: compressed")


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\t\n"])
def test_a_file_without_events_is_a_fault(folder: Path, content: bytes) -> None:
    (fault,) = faults(folder, x=content, y=SOUND)
    assert fault.startswith("x.jsonl: line 1: the file holds no event")


def timed(folder: Path, content: bytes) -> tuple[list[str], float]:
    started = time.process_time()
    return faults(folder, x=content), time.process_time() - started


@pytest.mark.parametrize(
    "malformed", [b"{", stating(status="zq"), stating(zq=1), b"[" * 99 + b"]" * 99, stating()[:-2]]
)
def test_a_million_malformed_lines_end_soon(folder: Path, malformed: bytes) -> None:
    """So many are not all looked at; processor seconds, as other work may run beside this."""
    told, seconds = timed(folder, (malformed + b"\n") * 200_000)
    assert len(told) == 21
    assert told[-1].endswith(" more")
    assert seconds < 10


@pytest.mark.parametrize(
    "malformed",
    [
        stating(notice_version="x" * 10**7),
        b"[" * 10**7,
        b'{"a":' * 10**6,
        b'{"license": "' + b"(" * 10**7,
        b"\\" * 10**7,
        b'"' * 10**7,
    ],
    ids=["text", "brackets", "objects", "licence", "backslashes", "quotes"],
)
@pytest.mark.parametrize("ends", [b"", b"\n"])
def test_a_line_of_ten_megabytes_ends_soon(folder: Path, malformed: bytes, ends: bytes) -> None:
    told, seconds = timed(folder, SOUND + b"\n" + malformed + ends)
    assert told == ["x.jsonl: line 2: longer than 65,536 bytes"]
    assert seconds < 10


def test_lines_stand_where_they_are_across_pieces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.core.consent.events._PIECE", 700)
    lines = [line(consent_id=f"c-{place}") for place in range(40)]
    assert read_events(ledger(folder, x=b"\n".join(lines))).height == 40
    lines[30] = b"{"
    assert [one.split(": ")[1] for one in faults(folder, x=b"\n".join(lines))] == ["line 31"]


# --- any bytes at all: what is read is what the standard library reads, or nothing


def strictly(content: bytes) -> dict[str, Any]:
    """Read an event by the standard library, and hold it against the rules; ValueError where it breaks one."""

    def once(members: list[tuple[str, Any]]) -> dict[str, Any]:
        need(len(dict(members)) == len(members))
        return dict(members)

    stated = json.loads(content.decode(), object_pairs_hook=once)
    need(isinstance(stated, dict) and {"consent_id", "subject", "status_time"} <= set(stated) <= set(dtypes(EVENTS)))
    for key, value in stated.items():
        if value is None:
            need(key not in {"consent_id", "subject", "status_time"})
            continue
        texts = value if key in LISTS else [] if key == "special_category" else [value]
        need(isinstance(value, bool) if key == "special_category" else isinstance(texts, list))
        need(all(isinstance(one, str) and "\0" not in one and one.encode() is not None for one in texts))
        need(all(one in CODES[key] for one in texts) if key in CODES else True)
        need(re.fullmatch(FORMS[key], value) is not None if key in FORMS else True)
    return plainly(stated)


def need(sound: bool) -> None:  # noqa: FBT001
    if not sound:
        raise ValueError


CODES = {"status": CONSENT_STATUSES, "purposes": PURPOSES, "legal_basis": LEGAL_BASES}
_DAY, _CLOCK = (
    "[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?([zZ]|[+-][0-9]{2}:[0-9]{2})",
)
FORMS = {
    "consent_id": r"(?s).*\S.*",
    "subject": "[0-9a-f]{32}|source:[a-z][a-z0-9_]*",
    "status_time": _DAY + _CLOCK,
    "valid_until": f"{_DAY}({_CLOCK})?",
}
BASE = {
    "consent_id": 'c":"1',
    "subject": PERSON,
    "status_time": "2025-01-01T00:00:00.5+01:00",
    "status": "ConsentGiven",
    "purposes": ["ai-other", "ai-alignment"],
    "special_category": False,
    "valid_until": "2026-01-01",
    "controller": "M\u00fcller \\ \U0001f600",
    "recipients": ["a", ":"],
}


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """Write an event, then put some bytes of it where they do not belong."""
    _, content = draw(written(st.just(BASE)))
    for _ in range(draw(st.integers(0, 2))):
        start, end, place = (draw(st.integers(0, len(content))) for _ in range(3))
        length = draw(st.sampled_from([0, 1, 1, 2, 6, 20]))
        grafted = draw(st.sampled_from([content[start : start + length], *GRAFTS]))
        content = content[:place] + grafted + content[place + (0 if end % 2 else length) :]
    return content.replace(b"\n", b"")


GRAFTS = [
    b"",
    b'"',
    b"\\",
    b",",
    b":",
    b"}",
    b"{",
    b"[]",
    b"null",
    b"true",
    b"1",
    b'"status":null,',
    b" ",
    b"\xc3",
    b"\\u0000",
]
GRAFTS += [b'"status":"ConsentGiven",', b'"purposes":[],', b"\\ud83d", b"\\u00e9", b"\t", b"\x0c", b'\\"', b"e"]


@given(mangled())
@example(json.dumps(BASE).encode())
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_line_is_read_as_the_standard_library_reads_it_or_not_at_all(folder: Path, content: bytes) -> None:
    expected: list[dict[str, Any]] | None
    try:
        expected = [strictly(content)] if content.strip(b" \t\r") else []
    except (ValueError, RecursionError):
        expected = None
    files = ledger(folder, x=SOUND + b"\n" + content)
    if expected is None:
        with pytest.raises(PairtrailError, match=r"x\.jsonl: line 2: "):
            read_events(files)
    else:
        read = read_events(files).drop("event").to_dicts()
        assert [row for row in read if row["consent_id"] != "whole"] == expected


# --- the files


def test_only_files_of_events_lie_in_the_folder(tmp_path: Path) -> None:
    ledger(tmp_path, a=SOUND)
    (tmp_path / "consent" / ".gitignore").write_text("/a.jsonl\n", encoding="utf-8")
    (tmp_path / "consent" / "a.jsonl.dvc").write_text("outs: []\n", encoding="utf-8")
    assert [path.name for path in ledger_files(tmp_path)] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("b.json", "b.json: not a file of events; call it NAME.jsonl"),
        ("b.jsonl.gz", "b.jsonl.gz: not a file of events"),
        ("B.JSONL", "B.JSONL: not a file of events"),
        ("b.jsonl.dvc", "b.jsonl.dvc: not pulled; run `dvc pull`"),
    ],
)
def test_a_file_that_would_not_be_read_is_a_fault(tmp_path: Path, name: str, told: str) -> None:
    """What is passed over might hold a withdrawal."""
    ledger(tmp_path, a=SOUND)
    (tmp_path / "consent" / name).write_bytes(SOUND)
    with pytest.raises(PairtrailError, match=re.escape(told)):
        read_events(tmp_path)


def test_a_folder_in_the_folder_is_a_fault(tmp_path: Path) -> None:
    ledger(tmp_path, a=SOUND)
    (tmp_path / "consent" / "older").mkdir()
    with pytest.raises(PairtrailError, match="older: not a file of events"):
        read_events(tmp_path)


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    ledger(tmp_path, a=SOUND)
    assert read_events(tmp_path).height == 1
    (tmp_path / "consent" / "b.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(PairtrailError, match=r"b\.jsonl: cannot be read \(No such file"):
        read_events(tmp_path)
