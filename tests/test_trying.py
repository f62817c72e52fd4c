"""`check` runs a source's adapter over the first records, and tells how many comparisons come out, or why none does."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.core.errors import PairtrailError
from pipeline.core.mapping import grouping
from pipeline.core.mapping.candidates import Batch, RawFile
from pipeline.core.mapping.grouping import read_groups
from pipeline.core.mapping.verdicts import NoVerdict, Seen, Verdict, fills
from pipeline.core.raw.rawfiles import Limits, RawBatch, read_batches
from pipeline.core.sidecar.sources import load_source
from pipeline.lineage import trying
from pipeline.lineage.checking import check
from pipeline.lineage.checks.sources import source_faults
from pipeline.lineage.trying import Tried, tried
from tests.building import SIDECAR, Built, lines, record

FIELDS = SIDECAR["fields"]
MARKER = "the text of a person"


def put(project: Built, *records: dict[str, Any], **changes: Any) -> Path:  # noqa: ANN401
    return project.source("s", {"x.jsonl": lines(*records)}, **changes).raw / "s/source.yaml"


def refused(project: Built, path: Path) -> str:
    with pytest.raises(PairtrailError) as caught:
        check(project, [path])
    assert MARKER not in str(caught.value)
    return str(caught.value)


def test_where_nothing_comes_out_the_reasons_are_counted(project: Built) -> None:
    """Every path is there, so that the map alone looks sound."""
    wrong = [record(prompt=7, a=MARKER)] * 3 + [record(a=None)] * 2
    told = refused(project, put(project, *wrong))
    assert told.endswith(
        "s/source.yaml: *.jsonl: 0 comparisons from 5 records: wrong_type 3, missing_field 2; "
        "mend `fields` or `options`, or take another `adapter`"
    )


def test_one_comparison_is_enough_and_the_rest_is_told(project: Built) -> None:
    path = put(project, record(), *[record(prompt=7, a=number) for number in range(4)])
    assert check(project, [path]) == [f"{path}: 1 comparisons from 5 records: wrong_type 4"]


def test_a_record_counts_once_for_each_reason(project: Built) -> None:
    entries = [{"key": str(number), "fields": {}} for number in range(3)]
    path = put(project, record(), record(prompt=7), fan_out=entries)
    assert check(project, [path]) == [f"{path}: 3 comparisons from 2 records: wrong_type 1"]


def test_many_reasons_are_told_by_the_first_four() -> None:
    reasons = dict(zip(("d", "c", "b", "a", "e"), (1, 1, 2, 9, 1), strict=True))
    told = Tried(records=20, comparisons=1_000, reasons=Counter(reasons)).told()
    assert told == "1,000 comparisons from 20 records: a 9, b 2, c 1, d 1, 1 reasons more"


def test_only_the_first_records_are_read(project: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(project, *[record(prompt=f"Question {number}") for number in range(15_001)])
    read = 0

    def counting(*args: Any) -> Iterator[RawBatch]:  # noqa: ANN401
        nonlocal read
        for batch in read_batches(*args):
            read += len(batch.rows)
            yield batch

    monkeypatch.setattr(trying, "read_batches", counting)
    assert check(project, [path]) == [f"{path}: 5,000 comparisons from the first 5,000 records"]
    assert read == 10_000  # one batch more tells that the file goes on


def test_large_records_are_fewer(project: Built) -> None:
    large = "x" * 2**20
    path = put(project, *[record(prompt=f"{number}{large}") for number in range(70)])
    [told] = check(project, [path])
    assert told.endswith("64 comparisons from the first 64 records")


def test_of_many_files_the_first_are_read(project: Built) -> None:
    files: dict[str, str | bytes] = {f"{number:02}.jsonl": lines(record(prompt=f"{number}")) for number in range(21)}
    project.source("s", files)
    [told] = check(project, [project.raw / "s/source.yaml"])
    assert told.endswith(": 20 comparisons from the first 20 records")


def test_each_group_of_files_is_tried(project: Built) -> None:
    bad = lines(record(prompt=7))
    project.source("s", {"x.jsonl": lines(record()), "y.jsonl": bad}, files=["x.jsonl", "y.jsonl"])
    faults = source_faults(project.raw / "s/source.yaml")
    assert len(faults) == 1
    assert "s/source.yaml: y.jsonl: 0 comparisons from 1 records: wrong_type 1;" in faults[0]


def test_side_records_are_found_far_down(project: Built) -> None:
    sides = lines(*({"id": number, "question": f"Why {number}?"} for number in range(12_000)))
    join = {"texts": {"glob": "texts.jsonl", "key": "id", "on": "text_id"}}
    project.source(
        "s",
        {"x.jsonl": lines({**record(), "text_id": 11_999}, {**record(), "text_id": 12_000}), "texts.jsonl": sides},
        files=["x.jsonl"],
        join=join,
        fields={**FIELDS, "prompt": "texts:question"},
    )
    [told] = check(project, [project.raw / "s/source.yaml"])
    assert told.endswith(": 1 comparisons from 2 records: no_side_record 1")


def test_nothing_is_written(project: Built) -> None:
    path = put(project, *[record(prompt=f"{number}") for number in range(50)])
    before = {one: one.stat().st_mtime_ns for one in project.root.rglob("*")}
    check(project, [path])
    assert {one: one.stat().st_mtime_ns for one in project.root.rglob("*")} == before


# -- records that give comparisons only together -----------------------------------------------------------------------

GIVEN = fills("prompt", "response_a", "response_b", "preference")


def key_of(seen: Seen) -> tuple[str | None, ...] | NoVerdict:
    return NoVerdict("nothing_said") if "q" not in seen.content else (str(seen.content["q"]),)


def pair(members: list[Seen]) -> list[Verdict]:
    a, *rest = members
    prompt = [{"role": "user", "content": str(a.content["q"])}]
    return [
        Verdict(
            {"prompt": prompt, "response_a": a.content["r"], "response_b": b.content["r"], "preference": "a"}, of=(a, b)
        )
        for b in rest
    ]


def read(file: RawFile) -> Iterator[Batch]:
    return read_groups(file, key_of, pair, GIVEN, lambda _: "no_partner")


GROUPING: Any = SimpleNamespace(NEEDS=(), FILLS=tuple(GIVEN), USES=(), read=read)


def tried_groups(project: Built, *records: dict[str, Any]) -> Tried:
    fields = {"annotator": {"constant": None}, "annotator_kind": {"constant": "human"}}
    source = load_source(put(project, *records, fields=fields))
    return tried(source, GROUPING, source.sidecar.files[0])


def answers(count: int, of: int) -> list[dict[str, Any]]:
    """Records of which every `of`-th answers the same question."""
    return [{"q": number % of, "r": f"answer {number}"} for number in range(count)]


def test_groups_are_complete_within_what_is_looked_at(project: Built) -> None:
    found = tried_groups(project, *answers(10, of=5))
    assert (found.comparisons, found.records, found.fault()) == (5, 10, None)


def test_a_partner_further_down_is_no_fault(project: Built) -> None:
    found = tried_groups(project, *answers(12_000, of=6_000))
    assert found.told() == "0 comparisons from the first 5,000 records: no_partner 5,000"
    assert found.fault() is None


def test_a_partner_nowhere_is_one(project: Built) -> None:
    found = tried_groups(project, *answers(10, of=10))
    assert str(found.fault()).startswith("0 comparisons from 10 records: no_partner 10; mend")


def test_a_fault_that_no_record_mends_is_one_wherever_it_stands(project: Built) -> None:
    found = tried_groups(project, *({"q": number // 2, "r": number} for number in range(12_000)))
    assert str(found.fault()).startswith("0 comparisons from the first 5,000 records: wrong_type 5,000; mend")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at 20 records of a file, so that more than that is far down."""
    monkeypatch.setattr(trying, "LOOK", Limits(batch_records=20))


def event(kind: str, number: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    common = {"version": 1, "event": kind, "id": f"{kind}{number}", "time": "2026-01-01T10:00:00Z"}
    return {**common, "turn": f"t{number}", "user": "u", "session": "s", "consent": "c", **changes}


def shown(number: int) -> dict[str, Any]:
    responses = [{"id": f"{number}.{side}", "text": f"text {side}", "model": "m"} for side in "ab"]
    return event("shown", number, prompt=[{"role": "user", "content": f"Why {number}?"}], responses=responses)


def choice(number: int) -> dict[str, Any]:
    return event("choice", number, shown=f"shown{number}", choice="a")


EVENTS: dict[str, Any] = {"adapter": "events", "fields": {}, "options": {"choice": "r-1"}}


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("first", "then", "reason"), [(shown, choice, "not_judged"), (choice, shown, "no_shown_event")]
)
def test_the_other_half_of_an_event_may_stand_far_down(
    project: Built, first: Callable[[int], Any], then: Callable[[int], Any], reason: str
) -> None:
    path = put(project, *map(first, range(30)), *map(then, range(30)), **EVENTS)
    assert check(project, [path]) == [f"{path}: 0 comparisons from the first 20 records: {reason} 20"]
    short = put(project, *map(first, range(10)), **EVENTS)
    assert f"{reason} 10; mend" in refused(project, short)


@pytest.mark.usefixtures("few")
def test_a_few_broken_records_among_those_change_nothing(project: Built) -> None:
    broken = [event("choice", number, turn=7) for number in range(5)]
    path = put(project, *broken, *map(shown, range(30)), **EVENTS)
    assert check(project, [path])[0].endswith("the first 20 records: not_judged 15, wrong_type 5")
    path = put(project, *broken * 3, *map(shown, range(30)), **EVENTS)
    assert "wrong_type 15, not_judged 5; mend" in refused(project, path)


@pytest.mark.usefixtures("few")
def test_kinds_that_the_options_do_not_name_may_come_first(project: Built) -> None:
    path = put(project, *(event("thumbs", number) for number in range(30)), shown(1), choice(1), **EVENTS)
    assert check(project, [path])[0].endswith(": 0 comparisons from the first 20 records: not_a_comparison 20")


@pytest.mark.usefixtures("few")
def test_what_a_group_lacks_may_come_with_a_later_record(project: Built) -> None:
    lacking = [{"q": number // 2, "r": None, "n": number} for number in range(60)]
    assert tried_groups(project, *lacking).told().endswith("first 20 records: missing_field 20")
    assert tried_groups(project, *lacking).fault() is None
    assert tried_groups(project, *lacking[:10]).fault()


@pytest.mark.usefixtures("few")
def test_what_each_record_lacks_by_itself_is_a_fault(project: Built) -> None:
    path = put(project, *[record(a=None)] * 30, record())
    assert "the first 20 records: missing_field 20; mend" in refused(project, path)


def test_events_that_say_nothing_may_be_followed_by_one_that_does(project: Built) -> None:
    assert tried_groups(project, *[{"e": number} for number in range(12_000)]).fault() is None
    assert tried_groups(project, *[{"e": number} for number in range(9)]).fault()


def test_what_is_put_aside_is_gone_afterwards(project: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(grouping, "parts_for", lambda _: 16)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = set(tmp_path.iterdir())
    assert tried_groups(project, *answers(10, of=5)).comparisons == 5
    assert {path for path in tmp_path.iterdir() if path.name.startswith("pairtrail-")} == set()
    assert set(tmp_path.iterdir()) - before <= {project.root}
