"""What must not get out does not: raw ids nowhere, texts in two places only, quarantined texts nowhere at all."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyarrow import parquet

from pipeline.cli import main
from pipeline.core.digests import keyed_digest_text
from pipeline.core.ingested import shard_name
from pipeline.core.keys import PUBLIC_KEY
from pipeline.stages import STAGES
from schemas.vocabulary import SIDES
from tests.building import SIDECAR, Built, build, event, lines, record

# Each stands for what a person would recognise. Nothing of it is a word of ours.
WORKER, JUDGE, SUBJECT, EVENT = (
    "worker.zoe@example.org",
    "judge.yan@example.org",
    "subject.xia@example.org",
    "event-zq-4711",
)
RAW_IDS = (WORKER, JUDGE, SUBJECT, EVENT)
PROMPT, CHOSEN, REJECTED, TIED = "zqkeptprompt", "zqkeptchosen", "zqkeptrejected", "zqtied"
KEPT = (PROMPT, CHOSEN, REJECTED, TIED)
DROPPED = {
    name: f"zqdropped{name}"
    for name in ("equal", "empty", "roles", "policy", "licence", "consent", "repeated", "purpose")
}
QUARANTINED = {
    name: f"zqquarantined{name}" for name in ("json", "type", "value", "time", "key", "bytes", "depth", "side", "list")
}
RATIONALE, UNMAPPED, MODEL_ONLY = "zqrationale", "zqunmapped", "zqmodelonly"
FIELDS = {
    **SIDECAR["fields"],
    "preference": {"path": "preference", "values": {"a": "a", "b": "b", "tie": "tie"}},
    "annotator": "who.mail",
    "event_id": "event",
    "rationale": "why",
    "created_at": "at",
    "consent_refs": [{"role": "annotator", "subject": "subject", "consent_id": "consent"}],
}


def vote(text: str = "", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A verdict of the worker's, with `text` wherever a record can hold one."""
    sound = record(prompt=f"{text} q?", a=f"{text} yes", b=f"{text} no", why=f"{text} {RATIONALE}", at="2026-01-02")
    ids = {"who": {"mail": WORKER}, "event": f"{EVENT}-{text}", "subject": SUBJECT, "consent": "c-1", "note": UNMAPPED}
    return {**sound, **ids, **changes}


def kept() -> list[dict[str, Any]]:
    texts = [
        vote(prompt=f"{PROMPT} {i}", a=f"{CHOSEN} {i}", b=f"{REJECTED} {i}", event=f"{EVENT}-{i}") for i in range(30)
    ]
    ties = [vote(f"{TIED} {i}", preference="tie") for i in range(20)]
    return [*texts, *ties]


def dropped() -> list[dict[str, Any]]:
    name = DROPPED
    again = vote(name["repeated"])
    return [
        vote(name["equal"], a=name["equal"], b=name["equal"]),
        vote(name["empty"], a=" "),
        vote(name["policy"], policy="p-0"),
        again,
        {**again, "at": "2026-01-01", "event": f"{EVENT}-again"},
    ]


def quarantined() -> bytes:
    name = QUARANTINED
    broken = json.dumps(vote(name["json"]))[:-5]
    deep = json.dumps(vote(name["depth"]))[:-1] + ', "deep": ' + "[" * 99 + "]" * 99 + "}"
    twice = json.dumps(vote(name["key"]))[:-1] + f', "note": "{name["key"]}"}}'
    records = [
        json.dumps(one)
        for one in (
            vote(name["type"], a=[name["type"]]),
            vote(name["value"], preference=name["value"]),
            vote(name["time"], at=name["time"]),
        )
    ]
    texts = [broken, deep, twice, *records, json.dumps([name["list"]])]
    return "".join(f"{one}\n" for one in texts).encode() + f'{{"prompt": "{name["bytes"]}'.encode() + b'\xff"}\n'


class Run(NamedTuple):
    project: Built
    told: str


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Build a project full of what must not get out, by the commands that people give; keep what they said."""
    project = build(tmp_path_factory.mktemp("leaks") / "project").set_params(validate={"licenses": ["CC0-1.0"]})
    rows = [{"policy": "p-1", **one} for one in (*kept(), *dropped())]
    judge = {
        "glob": "judge.jsonl",
        "fields": {"annotator_kind": {"constant": "model"}, "annotator": {"constant": JUDGE}},
    }
    policy = {"path": "policy"}
    project.source(
        "crowd",
        {
            "votes.jsonl": lines(*rows).encode() + quarantined(),
            "judge.jsonl": lines({**kept()[0], "policy": "p-1", "why": MODEL_ONLY, "event": f"{EVENT}-j"}),
        },
        files=["votes.jsonl", judge],
        fields=FIELDS,
        policy_version=policy,
    )
    turns = [{"role": "user", "content": DROPPED["roles"]}] * 2
    project.source(
        "talk",
        {"x.jsonl": lines(vote(DROPPED["roles"], turns=turns))},
        fields={**FIELDS, "prompt": {"messages": "turns"}},
    )
    project.source("paid", {"x.jsonl": lines(vote(DROPPED["licence"]))}, fields=FIELDS, license="CC-BY-4.0")
    project.source("unasked", {"x.jsonl": lines(vote(DROPPED["consent"]))}, fields=FIELDS, consent="none")
    narrow = {**SIDECAR["consent"], "purposes": ["ai-synthetic"]}
    project.source("narrow", {"x.jsonl": lines(vote(DROPPED["purpose"]))}, fields=FIELDS, consent=narrow)
    sides = {
        "x.jsonl": lines(vote(QUARANTINED["side"], ref="t-9")),
        "t.jsonl": lines({"id": "t-1", "q": QUARANTINED["side"]}),
    }
    join = {"texts": {"glob": "t.jsonl", "key": "id", "on": "ref"}}
    project.source("joined", sides, files=["x.jsonl"], join=join, fields={**FIELDS, "prompt": "texts:q"})
    for name in ("crowd", "talk", "paid", "unasked", "narrow", "joined"):
        subject = keyed_digest_text(PUBLIC_KEY, "annotator", name, SUBJECT)
        purposes = ["ai-alignment", "ai-evaluation", "ai-synthetic"]
        project.consents(f"people-{name}.jsonl", event(subject=subject, consent_id="c-1", purposes=purposes))
        project.consents(f"{name}.jsonl", event(subject=f"source:{name}", purposes=purposes))
    return Run(project.recorded().near(), told_by(project, tmp_path_factory))


def told_by(project: Built, tmp_path_factory: pytest.TempPathFactory) -> str:
    said = tmp_path_factory.mktemp("said") / "out"
    with said.open("w+", encoding="utf-8") as stream, pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        places = ["crowd/votes.jsonl:1", *(f"crowd/votes.jsonl:{row}" for row in range(51, 64)), "joined/x.jsonl:1"]
        asked = [["trace", place, *json_too] for place in places for json_too in ([], ["--json"])]
        for args in ([[stage] for stage in STAGES], [["sources"], ["check", "params.yaml"]], asked):
            for one in args:
                patch.setattr(sys, "argv", ["pairtrail", *one])
                with pytest.raises(SystemExit) as ended:
                    main()
                assert not ended.value.code, one
        stream.seek(0)
        return stream.read()


def texts_in(value: Any) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, dict):
        for name, one in value.items():
            yield str(name)
            yield from texts_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts_in(one)
    elif value is not None:
        yield str(value)


def content(path: Path) -> str:
    """Return all that a file holds, as one text: of Parquet every cell and the footer."""
    if path.suffix != ".parquet":
        return path.read_bytes().decode("utf-8")
    table = parquet.read_table(path, partitioning=None)
    footer = [one.decode("utf-8", "replace") for pair in (table.schema.metadata or {}).items() for one in pair]
    return "\n".join([*texts_in(table.to_pylist()), *footer])


@pytest.fixture(scope="module")
def written(run: Run) -> dict[str, str]:
    """What every file that the stages wrote holds, by its place below data/."""
    inputs = ("raw", "ledger", "policy", "rubric")
    root = run.project.root / "data"
    files = [path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] not in inputs]
    return {path.relative_to(root).as_posix(): content(path) for path in sorted(files)}


def holders(written: dict[str, str], marker: str) -> set[str]:
    return {place for place, text in written.items() if marker in text}


def published(*tables: str) -> set[str]:
    return {f"publish/{side}/{table}.parquet" for side in SIDES for table in tables}


def test_the_planting_took(run: Run, written: dict[str, str]) -> None:
    """Or the rest would show nothing."""
    project = run.project
    assert len(project.reasons("validate")) == 6
    assert project.reasons("dedupe") == {"repeated": 1}
    assert project.reasons("split") == {"purpose_not_covered": 1}
    assert sum(project.reasons("ingest").values()) == len(QUARANTINED)
    assert len(project.reasons("ingest")) >= 8
    assert project.account("publish")["dropped_by"] == {"human_judged": 1}
    assert {place.split("/")[0] for place in written} == {*STAGES, "near"}
    assert {"publish/docs/index.html", "publish/manifest.json", "publish/README.md"} <= set(written)
    assert not project.spill.exists() or not any(project.spill.iterdir())


@pytest.mark.parametrize("name", RAW_IDS)
def test_a_raw_id_is_nowhere(name: str, written: dict[str, str], run: Run) -> None:
    """Neither whole nor by the part that nobody else has."""
    for part in (name, name.partition("@")[0]):
        assert holders(written, part) == set()
        assert part not in run.told


def test_kept_texts_stand_in_two_places(written: dict[str, str]) -> None:
    shards = {f"ingest/comparisons/{shard_name(f'crowd/{name}.jsonl')}" for name in ("votes", "judge")}
    for marker in (PROMPT, CHOSEN, REJECTED):
        assert holders(written, marker) == shards | published("pairs")
    assert holders(written, TIED) == {f"ingest/comparisons/{shard_name('crowd/votes.jsonl')}"} | published("ties")


@pytest.mark.parametrize("name", DROPPED)
def test_a_dropped_text_never_leaves_ingest(name: str, written: dict[str, str]) -> None:
    found = holders(written, DROPPED[name])
    if name == "repeated":  # its twin was kept
        assert len(found & published("pairs")) == 1
        found -= published("pairs")
    assert len(found) == 1
    assert found.pop().startswith("ingest/comparisons/")


@pytest.mark.parametrize("marker", [*QUARANTINED.values(), UNMAPPED])
def test_a_quarantined_or_unmapped_text_is_nowhere(marker: str, written: dict[str, str]) -> None:
    assert holders(written, marker) == set()


def test_an_annotator_s_own_words_never_leave_ingest(written: dict[str, str]) -> None:
    for marker in (RATIONALE, MODEL_ONLY):
        assert holders(written, marker)
        assert all(place.startswith("ingest/comparisons/") for place in holders(written, marker))


def test_nothing_that_was_said_holds_a_text(run: Run) -> None:
    planted = [*KEPT, *DROPPED.values(), *QUARANTINED.values(), RATIONALE, UNMAPPED, MODEL_ONLY]
    assert [marker for marker in planted if marker in run.told] == []
    assert run.told.count("\n") > 100


def test_held_out_texts_are_on_no_other_side(written: dict[str, str]) -> None:
    told = {side: set(re.findall(f"{PROMPT} \\d+", written[f"publish/{side}/pairs.parquet"])) for side in SIDES}
    assert all(told.values())
    assert not told["heldout"] & (told["train"] | told["validation"])


def test_pseudonyms_and_times_stay_in_ingest(run: Run, written: dict[str, str]) -> None:
    """Votes are published with numbers of this build and days, so that no release can be joined with another."""
    rows = run.project.comparisons()
    pseudonyms = [
        *rows["annotator"].drop_nulls().unique(),
        *(ref["subject"] for refs in rows["consent_refs"] for ref in refs),
    ]
    assert len(set(pseudonyms)) > 2
    for pseudonym in {*pseudonyms, "c-1"}:
        assert all(place.startswith("ingest/comparisons/") for place in holders(written, pseudonym))


def test_event_digests_and_record_digests_stay_in_ingest(run: Run, written: dict[str, str]) -> None:
    found = run.project.table("ingest/occurrences")
    for column in ("event", "record_digest"):
        for digest in found[column].drop_nulls().unique().head(20):
            assert all(place.startswith("ingest/") for place in holders(written, digest))


def test_an_error_holds_no_text(new_project: Callable[[str], Built]) -> None:
    """A build that fails says what and how many, never what it saw."""
    from pipeline.core.errors import PairtrailError

    project = new_project("failing").source(
        "s", {"x.jsonl": lines(*(vote(PROMPT, prompt=f"{i} {PROMPT}") for i in range(9)))}, fields=FIELDS
    )
    gate = {"most_quarantined": 0.0, "most_dropped": 0.0, "most_withheld": 0.0, "fewest_train_pairs": 10_000}
    project.set_params(publish={"gate": gate})
    with pytest.raises(PairtrailError, match="the release gate failed") as caught:
        project.run()
    assert PROMPT not in str(caught.value)
    assert not project.stage("publish").exists()
    assert not [path for path in (project.root / "data").iterdir() if path.name.startswith(".")]
