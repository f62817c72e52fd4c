"""Changing the key: every pseudonym becomes another one, everywhere or nowhere, and nothing else changes."""

import csv
import errno
import hmac
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pipeline.cli import main
from pipeline.core.alone import alone
from pipeline.core.consent.appending import rewritten
from pipeline.core.errors import PairtrailError
from pipeline.core.keys import KEY_FILE, KEY_FILE_VARIABLE, KEY_VARIABLE, PUBLIC_KEY, fingerprint, init_key
from pipeline.core.params import read_yaml
from pipeline.core.project import Project
from pipeline.lineage.rekeying import staging
from pipeline.lineage.rekeying.ledgers import replaced
from pipeline.lineage.rekeying.rotate import Wanted, rotate, with_fingerprint
from tests.building import ROOT, SIDECAR, Built, event, lines, record
from tests.pages import DOCS, blocks

KEPT, NEW_KEY = "pseudonym-{}.key", KEY_FILE.name
CONSENT = {**SIDECAR["consent"], "roles": ["annotator", "prompt_author"]}
REFS = [
    {"role": "annotator", "subject": "annotator", "consent_id": "ca"},
    {"role": "prompt_author", "subject": "writer", "consent_id": "cw"},
]
FIELDS = {**SIDECAR["fields"], "consent_refs": REFS}
ANNOTATORS, WRITERS = ("ann", "bob", "cid"), ("wyn", "xia")


@pytest.fixture(autouse=True)
def _no_key_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.delenv(KEY_FILE_VARIABLE, raising=False)


def named(key: str, namespace: str, raw: str) -> str:
    """A pseudonym as DESIGN says it, without the code that makes it."""
    parts = "".join(f"{len(part.encode())}:{part}," for part in ("annotator", namespace, raw))
    return hmac.new(key.encode(), parts.encode(), sha256).hexdigest()[:32]


def key_of(project: Project) -> str:
    return (project.root / KEY_FILE).read_text(encoding="ascii").strip()


def rows(source: str) -> list[dict[str, Any]]:
    return [
        record(
            prompt=f"{source} asks {i}?",
            annotator=ANNOTATORS[i % 3],
            writer=WRITERS[i % 2],
            ca=f"c-{ANNOTATORS[i % 3]}",
            cw=f"c-{WRITERS[i % 2]}",
            preference=("a", "b", "tie")[i % 3],
        )
        for i in range(24)
    ]


def people(key: str) -> list[tuple[str, str, str]]:
    """Whom the ledger names: namespace, raw id, pseudonym. Sources `s` and `t` share a namespace, `u` has its own."""
    known = [(namespace, raw) for namespace in ("crowd", "u") for raw in (*ANNOTATORS, *WRITERS)]
    return [(namespace, raw, named(key, namespace, raw)) for namespace, raw in known]


def consented(project: Built) -> Built:
    """A project with a key of its own whose rows all stand on consent of people, some withdrawn."""
    _, made = init_key(project.root)
    project.set_params(ingest={"key_fingerprint": made})
    for source in ("s", "t", "u"):
        space = {} if source == "u" else {"namespace": "crowd"}
        files = {"x.jsonl": lines(*rows(source))}
        project.source(source, files, fields=FIELDS, consent=CONSENT, synthetic=False, **space)
    given_ = [event(consent_id=f"c-{raw}", subject=pseudonym) for _, raw, pseudonym in people(key_of(project))]
    gone = {"status": "ConsentWithdrawn", "status_time": "2025-06-01T00:00:00Z"}
    [left] = [pseudonym for namespace, raw, pseudonym in people(key_of(project)) if (namespace, raw) == ("u", "bob")]
    project.consents("given.jsonl", *given_)
    project.consents("withdrawn.jsonl", {"consent_id": "c-bob", "subject": left, **gone})
    return project


def files_of(project: Project) -> dict[str, bytes]:
    return {
        path.relative_to(project.root).as_posix(): path.read_bytes()
        for path in project.root.rglob("*")
        if path.is_file()
    }


def refusal(project: Project, wanted: Wanted | None = None) -> str:
    """Rotate in vain; nothing may have changed."""
    before = files_of(project)
    with pytest.raises(PairtrailError) as caught:
        rotate(project, wanted or Wanted())
    assert files_of(project) == before
    assert not project.rotation.exists()
    told = str(caught.value)
    assert not [raw for raw in (*ANNOTATORS, *WRITERS) if re.search(rf"\b{raw}\b", told)]
    return told


def check_rekeyed(project: Built, before: dict[str, bytes], old: str) -> None:
    """Hold a rotated project against what it was, by pseudonyms computed here."""
    new, after = key_of(project), files_of(project)
    assert new != old
    changed = {name for name in before if after.get(name) != before[name]}
    ledgers = {f"data/ledger/consent/{name}.jsonl" for name in ("given", "withdrawn")}
    assert changed == ledgers | {"params.yaml", KEY_FILE.as_posix()}
    assert set(after) - set(before) == {f".pairtrail/{KEPT.format(fingerprint(old))}"}
    for name in ledgers:
        expected = before[name]
        for namespace, raw, pseudonym in people(old):
            expected = expected.replace(pseudonym.encode(), named(new, namespace, raw).encode())
        assert after[name] == expected
    assert (project.root / ".pairtrail" / KEPT.format(fingerprint(old))).read_text(encoding="ascii").strip() == old
    assert read_yaml(project.params)["ingest"]["key_fingerprint"] == fingerprint(new)
    for path in (project.root / ".pairtrail").glob("*.key"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_subjects_key_and_fingerprint_change_and_nothing_else(project: Built) -> None:
    consented(project)
    old, before = key_of(project), files_of(project)
    told = rotate(project, Wanted())
    check_rekeyed(project, before, old)
    assert "10 people have new pseudonyms, 10 of them in 2 ledger files" in told
    assert key_of(project) not in told
    assert old not in told


def told_of(project: Built) -> tuple[Any, ...]:
    pairs = [
        (side, table, sorted(project.table(f"publish/{side}/{table}")["pair_id"]))
        for side in ("train", "validation", "heldout")
        for table in ("pairs", "ties")
    ]
    prompts = project.comparisons().select("prompt_id", "root_id", "pair_id", "preference").sort("pair_id").rows()
    return pairs, prompts, {stage: project.reasons(stage) for stage in ("validate", "dedupe", "split")}


def test_a_build_after_it_gives_the_same_pairs_on_the_same_sides_under_other_ids(project: Built) -> None:
    consented(project).run()
    told, ids = told_of(project), project.comparisons()
    assert told[2]["validate"] == {"consent_withdrawn": 8}
    rotate(project, Wanted())
    project.run()
    assert told_of(project) == told
    for column in ("comparison_id", "annotator"):
        assert not set(ids[column]) & set(project.comparisons()[column])
    digests = [set(project.table("ingest/occurrences")["record_digest"])]
    rotate(project, Wanted())
    project.run()
    assert told_of(project) == told
    assert not digests[0] & set(project.table("ingest/occurrences")["record_digest"])


def test_the_kept_key_builds_an_older_release(project: Built) -> None:
    consented(project).run("ingest")
    ids, old = set(project.comparisons()["comparison_id"]), fingerprint(key_of(project))
    rotate(project, Wanted())
    project.run("ingest").set_params(ingest={"key_fingerprint": old}).run("ingest")
    assert set(project.comparisons()["comparison_id"]) == ids


def test_a_line_keeps_everything_but_its_subject(project: Built) -> None:
    consented(project)
    old = named(key_of(project), "u", "ann")
    other = project.ledger / "suppression"
    other.mkdir()
    odd = [
        f'  {{"why" : "{old}", "subject"\t:  "{old}" , "n": 1e3}}  \r\n',
        f'{{"subject":"{old}","in":{{"subject":"{old}"}},"all":[{{"subject": "{old}"}}, "subject"]}}\n\n',
        f'{{"text": "a \\"subject\\": \\"{old}\\" and {{\\"subject\\": ü", "my\\"subject": "{old}"}}\n',
        '{"subject": "source:s"}',
    ]
    (other / "x.jsonl").write_bytes("".join(odd).encode())
    (other / "x.jsonl").chmod(0o640)
    rotate(project, Wanted())
    new = named(key_of(project), "u", "ann")
    expected = [odd[0].replace(f'"{old}" ,', f'"{new}" ,'), odd[1].replace(old, new), *odd[2:]]
    assert (other / "x.jsonl").read_bytes() == "".join(expected).encode()
    assert (other / "x.jsonl").stat().st_mode & 0o777 == 0o640


TEXTS = st.text() | st.sampled_from(["subject", '"subject": "', "a" * 32, "source:s", "\\", '\\"subject\\":', "{"])
LINES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS | st.just("subject"), inner),
)


def mapped(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [mapped(one) for one in value]
    if isinstance(value, dict):
        return {name: "b" * 32 if (name, one) == ("subject", "a" * 32) else mapped(one) for name, one in value.items()}
    return value


@given(content=st.dictionaries(TEXTS | st.just("subject"), LINES), spaced=st.booleans(), plain=st.booleans())
def test_a_replaced_line_is_the_same_json_but_for_its_subjects(
    content: dict[str, Any],
    spaced: bool,  # noqa: FBT001
    plain: bool,  # noqa: FBT001
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / "law.jsonl"
    text = json.dumps(content, separators=(" ,\t", " : ") if spaced else (",", ":"), ensure_ascii=plain)
    path.write_bytes(text.encode("utf-8", "surrogatepass") + b"\n")
    line = b"".join(replaced(path, {"a" * 32: "b" * 32}))
    assert len(line) == path.stat().st_size
    assert json.loads(line.decode("utf-8", "surrogatepass")) == mapped(content)


@pytest.mark.parametrize(
    "line",
    [
        '{"\\u0073ubject": "%s"}',
        '{"subject": "\\u0061%.31s"}',
        '{"subject": "%s"',
        "not json %s",
        '["' + "[" * 100_000 + '%s"',
    ],
)
def test_a_subject_that_cannot_be_replaced_in_place_stops_it(line: str, project: Built) -> None:
    consented(project)
    (project.ledger / "later").mkdir()
    (project.ledger / "later/x.jsonl").write_text('{"n": 1}\n' + line % ("a" * 32), encoding="utf-8")
    told = refusal(project)
    assert "data/ledger/later/x.jsonl: line 2" in told
    assert "a" * 31 not in told


def test_a_malformed_consent_ledger_stops_it(project: Built) -> None:
    consented(project).consents("later.jsonl", event(subject="c" * 31))
    assert "the consent ledger has 1 faults" in refusal(project)


# Whom no raw file knows.


def with_strangers(project: Built) -> Built:
    key = key_of(consented(project))
    return project.consents(
        "strangers.jsonl",
        *(
            event(consent_id=f"c-{raw}", subject=named(key, namespace, raw))
            for namespace, raw in (("crowd", "dan"), ("gone", "eve"))
        ),
    )


def listed(project: Project, *entries: tuple[str, str], head: tuple[str, str] = ("source", "id")) -> Path:
    path = project.root.parent / "ids.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([head, *entries])
    return path


def test_subjects_of_no_raw_file_stop_it_and_it_says_how_many(project: Built) -> None:
    told = refusal(with_strangers(project))
    assert "2 of 12 subjects of the ledgers stand in no raw file" in told
    for word in ("--ids FILE", "source and id", "--leave-unmatched", "dvc pull", "consent_unknown"):
        assert word in told


def test_a_list_of_raw_ids_names_them(project: Built) -> None:
    """By source, whose namespace counts, or, where the source is gone, by the namespace that it had."""
    with_strangers(project)
    assert "1 of 12" in refusal(project, Wanted(listed(project, ("s", "dan"))))
    told = rotate(project, Wanted(listed(project, ("t", "dan"), ("gone", "eve"), ("s", "ann"), ("s", "nobody"))))
    found = [
        json.loads(line)["subject"] for line in (project.ledger / "consent/strangers.jsonl").read_text().splitlines()
    ]
    assert found == [named(key_of(project), "crowd", "dan"), named(key_of(project), "gone", "eve")]
    assert "1 ids of ids.csv are no subject of a ledger" in told
    assert "stand in no raw file" not in told


@pytest.mark.parametrize(
    ("head", "entry", "expected"),
    [
        (("source", "id"), ("s", " "), "row 2 after the header"),
        (("source", "id"), ("", "dan"), "row 2 after the header"),
        (("source", "worker"), ("s", "dan"), "row 1 after the header"),
    ],
)
def test_a_list_that_lacks_something_is_refused_by_row(
    head: tuple[str, str], entry: tuple[str, str], expected: str, project: Built
) -> None:
    told = refusal(with_strangers(project), Wanted(listed(project, ("s", "dan"), entry, head=head)))
    assert expected in told
    assert "dan" not in told


def test_a_list_that_is_none_is_refused(project: Built) -> None:
    with_strangers(project)
    assert "no such file" in refusal(project, Wanted(project.root / "nowhere.csv"))
    empty = project.root.parent / "empty.csv"
    empty.touch()
    assert "empty_file" in refusal(project, Wanted(empty))


def test_unmatched_ones_may_be_left_and_are_found_by_no_log(project: Built) -> None:
    with_strangers(project)
    path = project.ledger / "consent/strangers.jsonl"
    old = [json.loads(line)["subject"] for line in path.read_text().splitlines()]
    told = rotate(project, Wanted(leave_unmatched=True))
    new = [json.loads(line)["subject"] for line in path.read_text().splitlines()]
    key = key_of(project)
    expected = [hmac.new(key.encode(), f"12:pseudonym of,32:{one},".encode(), sha256).hexdigest()[:32] for one in old]
    assert new == expected
    assert not set(new) & {named(key, space, raw) for space in ("crowd", "gone", "s") for raw in ("dan", "eve")}
    assert "2 subjects stand in no raw file" in told
    came = record(annotator="dan", ca="c-dan", writer="wyn", cw="c-wyn", prompt="Late?")
    (project.raw / "s/late.jsonl").write_text(lines(came), encoding="utf-8")
    assert project.run("ingest", "validate").reasons("validate") == {"consent_withdrawn": 8, "consent_unknown": 1}


def test_a_tracked_file_that_is_not_here_stops_it(project: Built) -> None:
    consented(project)
    (project.ledger / "consent/2024.jsonl.dvc").write_text("outs: []\n")
    told = refusal(project)
    assert "2024.jsonl.dvc: not pulled; run `dvc pull`" in told
    (project.ledger / "consent/2024.jsonl.dvc").unlink()
    (project.raw / "s/late.jsonl.dvc").write_text("outs: []\n")
    told = refusal(project)
    assert "1 files that DVC tracks are not here, data/raw/s/late.jsonl the first" in told
    assert "dvc pull" in told


# Where keys come from.


def test_a_key_from_the_environment_hides_the_new_one_from_no_build(
    project: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    consented(project)
    old = key_of(project)
    (project.root / KEY_FILE).unlink()
    elsewhere = project.root.parent / "elsewhere.key"
    elsewhere.write_text(old)
    elsewhere.chmod(0o600)
    for variable, value, what in ((KEY_VARIABLE, old, "content"), (KEY_FILE_VARIABLE, str(elsewhere), "path")):
        monkeypatch.setenv(variable, value)
        told = rotate(project, Wanted())
        assert f"{variable} is set and does not give the new key: unset it, or set it to its {what}" in told
        assert key_of(project) not in told
        project.run("ingest", "validate")
        assert project.reasons("validate") == {"consent_withdrawn": 8}


def test_whatever_key_stands_in_the_file_is_kept(project: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    consented(project)
    old, other = key_of(project), "another-key-of-more-than-thirty-two-characters"
    monkeypatch.setenv(KEY_VARIABLE, old)
    (project.root / KEY_FILE).write_text(other)
    rotate(project, Wanted())
    kept = {path.name: path.read_text().strip() for path in (project.root / ".pairtrail").glob("pseudonym-*.key")}
    assert kept == {KEPT.format(fingerprint(key)): key for key in (old, other)}


def test_the_sample_gets_a_key_of_its_own(project: Built) -> None:
    project.source("s", {"x.jsonl": lines(record())})
    told = rotate(project, Wanted())
    assert fingerprint(key_of(project)) == read_yaml(project.params)["ingest"]["key_fingerprint"]
    assert fingerprint(PUBLIC_KEY) in told
    assert [path.name for path in (project.root / ".pairtrail").iterdir()] == [KEY_FILE.name]
    assert project.run("ingest").comparisons().height == 1


@pytest.mark.parametrize("written", ["{}", "'{}'", '"{}"', "{} # mine", '"{}"   # key_fingerprint: {}'])
def test_the_fingerprint_is_changed_in_place(written: str) -> None:
    old, new = "913cf30ff011dfd9", "1234567890e12345"
    head, tail = f"# {old} é\r\nother: {{key_fingerprint: '{old}'}}\ningest:\n", "\n  record_bytes: 7 # a comment\n"
    text = f"{head}  key_fingerprint: {written.replace('{}', old)}{tail}"
    edited = with_fingerprint(text, old, new)
    comment = written.partition("}")[2].lstrip("'\"").replace("{}", old)
    assert edited == f"{head}  key_fingerprint: '{new}'{comment}{tail}"
    assert YAML(typ="safe", pure=True).load(edited)["ingest"]["key_fingerprint"] == new


@pytest.mark.parametrize("written", ["&mine {}", "!!str {}", ">-\n    {}"])
def test_a_fingerprint_that_is_not_plainly_written_is_refused(written: str) -> None:
    with pytest.raises(PairtrailError, match="write it plainly"):
        with_fingerprint(
            f"ingest:\n  key_fingerprint: {written.format('913cf30ff011dfd9')}\n", "913cf30ff011dfd9", "0" * 16
        )


# Cut off, and two at once.

ROTATE = """
import os, signal, sys
from pathlib import Path
from pipeline.core.project import Project
from pipeline.lineage.rekeying.rotate import Wanted, rotate
left = int(sys.argv[2])
def counted(real):
    def call(*args, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **named)
    return call
os.fsync = counted(os.fsync)
Path.replace, Path.unlink = counted(Path.replace), counted(Path.unlink)
print(rotate(Project(Path(sys.argv[1])), Wanted(keep_map=True)))
"""


def rotated(project: Project, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ROTATE, str(project.root), str(kill_at)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def refused_by_commands(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(project.root / "data")
    for command in (["ingest"], ["validate"], ["sources"], ["check"], ["keys", "init"]):
        monkeypatch.setattr(sys, "argv", ["pairtrail", *command])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        assert "Run `pairtrail keys rotate` again, which finishes it" in capsys.readouterr().err


@pytest.mark.slow
def test_killed_at_any_point_it_changed_nothing_or_can_be_finished(
    new_project: Callable[[str], Built], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed before each write to disk, each rename and each removal, one after the other."""
    states, point, killed = [], 0, True
    while killed:
        point += 1
        project = consented(new_project(f"killed-{point}"))
        old, before = key_of(project), files_of(project)
        done = rotated(project, point)
        killed = done.returncode == -signal.SIGKILL
        assert killed or done.returncode == 0, done.stderr
        unfinished = project.rotation_ready.exists()
        states.append(unfinished)
        if unfinished:
            refused_by_commands(project, monkeypatch, capsys)
        elif killed and key_of(project) == old:
            after = {name: content for name, content in files_of(project).items() if ".pairtrail/rotation/" not in name}
            assert {name: after[name] for name in before} == before
        if killed and (unfinished or key_of(project) == old):
            told = rotate(project, Wanted(keep_map=True))
            assert told.startswith("finished the rotation that was cut off") == unfinished
        assert not project.rotation_ready.exists()
        for path in (project.root / ".pairtrail").glob("rotation-*"):
            path.unlink()
        for path in project.root.rglob(".*.lock"):  # what a killed run held; it holds nobody up
            path.unlink()
        for path in project.rotation.iterdir() if project.rotation.exists() else ():
            path.unlink()
        check_rekeyed(project, before, old)
    assert states.count(True) > 8
    assert not states[0]
    assert not states[-1]
    assert project.run("ingest", "validate").reasons("validate") == {"consent_withdrawn": 8}


def test_what_was_added_to_a_ledger_meanwhile_is_not_lost(project: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    consented(project)
    old, before = key_of(project), files_of(project)

    def cut_off(_: Project) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.lineage.rekeying.rotate.finish", cut_off)
    with pytest.raises(KeyboardInterrupt):
        rotate(project, Wanted())
    monkeypatch.undo()
    path = project.ledger / "consent/withdrawn.jsonl"
    late = lines(event(consent_id="c-ann", subject=named(old, "u", "ann"), status="ConsentWithdrawn"))
    path.write_text(path.read_text() + late)
    with pytest.raises(PairtrailError, match=r"changed since the rotation was prepared: data/ledger/consent/withdrawn"):
        rotate(project, Wanted())
    assert {name: files_of(project)[name] for name in before if "withdrawn" not in name} == {
        name: content for name, content in before.items() if "withdrawn" not in name
    }
    path.write_bytes(before["data/ledger/consent/withdrawn.jsonl"])
    assert rotate(project, Wanted()).startswith("finished")
    check_rekeyed(project, before, old)


def test_two_at_once_are_refused_and_so_is_a_build_beside_it(project: Built) -> None:
    consented(project)
    for place in (project.rotation, project.stage("publish"), project.ledger / "consent"):
        with alone(place):
            before = files_of(project)
            with pytest.raises(PairtrailError, match=f"another run is at work on {place.name}"):
                rotate(project, Wanted())
            assert files_of(project) == before


def test_a_ledger_on_another_disk_is_copied_into_place(project: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    consented(project)
    old, before, real = key_of(project), files_of(project), Path.replace

    def across(self: Path, target: Path) -> Path:
        if self.parent != target.parent and self.suffix != ".part":
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(self))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", across)
    rotate(project, Wanted())
    check_rekeyed(project, before, old)


def test_a_disk_that_fails_is_told_in_one_line(project: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    consented(project)
    old, before = key_of(project), files_of(project)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(handle))

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device; nothing was changed" in refusal(project)
    monkeypatch.undo()

    def denied(*_: Any) -> None:  # noqa: ANN401
        raise OSError(errno.EACCES, "Permission denied", "params.yaml")

    monkeypatch.setattr(staging, "_put", denied)
    with pytest.raises(PairtrailError, match="Permission denied; run `pairtrail keys rotate` again, which finishes it"):
        rotate(project, Wanted())
    monkeypatch.undo()
    rotate(project, Wanted())
    check_rekeyed(project, before, old)


# The map, and what the last build read.


def test_a_map_is_kept_only_if_asked_and_never_in_plain_text(project: Built) -> None:
    with_strangers(project)
    old = key_of(project)
    told = rotate(project, Wanted(leave_unmatched=True, keep_map=True))
    new = key_of(project)
    name = f"rotation-{fingerprint(old)}-{fingerprint(new)}.map"
    assert f".pairtrail/{name}: old and new pseudonyms of 12 people, encrypted" in told
    assert "Keep the two apart" in told
    for path in (project.root / ".pairtrail").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert named(old, "u", "ann").encode() not in path.read_bytes()
    read = dict(csv.reader(opened(project.root / ".pairtrail", name).split()))
    assert read.pop("old") == "new"
    assert len(read) == 12
    for namespace, raw, pseudonym in people(old):
        assert read[pseudonym] == named(new, namespace, raw)


def opened(folder: Path, name: str) -> str:
    """Read a map as docs/keys.md says."""
    [shown] = blocks(DOCS / "keys.md", "python")
    code = re.sub(r"rotation-OLD-NEW\.map", name, shown)
    assert len(code.strip().splitlines()) < 8
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_map_is_kept_unasked(project: Built) -> None:
    rotate(consented(project), Wanted())
    assert not list((project.root / ".pairtrail").glob("*map*"))


def locked(project: Project, **stages: str) -> None:
    """Write of dvc.lock what the check of the ledger reads: stages with the key that each was built under."""
    deps = [
        {
            "path": path.relative_to(project.root).as_posix(),
            "md5": md5(path.read_bytes(), usedforsecurity=False).hexdigest(),
            "size": path.stat().st_size,
        }
        for path in sorted((project.ledger / "consent").glob("*.jsonl"))
    ]
    held = {
        stage: {"deps": deps, "params": {"params.yaml": {"ingest.key_fingerprint": key} if key else {}}}
        for stage, key in stages.items()
    }
    with (project.root / "dvc.lock").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump({"stages": held}, stream)


def test_a_rekeyed_ledger_is_no_rewritten_one_until_it_shrinks(project: Built) -> None:
    consented(project)
    old = fingerprint(key_of(project))
    locked(project, validate=old)
    rotate(project, Wanted())
    assert list(rewritten(project)) == []
    path = project.ledger / "consent/withdrawn.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert "shrank" in next(rewritten(project))
    path.write_bytes(whole.replace(b"Withdrawn", b"Requested"))
    locked(project, validate=fingerprint(key_of(project)))
    path.write_bytes(whole)
    assert "were changed" in next(rewritten(project))


def test_who_read_the_ledger_tells_under_which_key_and_not_ingest(project: Built) -> None:
    """While a build goes on, DVC has noted the new key of ingest already, and that of the last stage not yet."""
    consented(project)
    locked(project)
    assert list(rewritten(project)) == []
    old = fingerprint(key_of(project))
    rotate(project, Wanted())
    new = fingerprint(key_of(project))
    path = project.ledger / "consent/withdrawn.jsonl"
    found = {}
    for name, stages in {
        "building": {"ingest": new, "validate": old, "publish": old},
        "first": {"ingest": new, "validate": old},
        "unnamed": {"ingest": new, "validate": "", "publish": old},
        "cut off": {"ingest": new, "validate": new, "publish": old},
        "built": {"ingest": new, "validate": new, "publish": new},
    }.items():
        locked(project, **stages)
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b"Withdrawn", b"Requested"))
        found[name] = len(list(rewritten(project)))
        path.write_bytes(whole)
    assert found == {"building": 0, "first": 0, "unnamed": 0, "cut off": 1, "built": 1}


def test_a_ledger_that_lost_a_line_is_not_rekeyed(project: Built) -> None:
    consented(project)
    locked(project, validate=fingerprint(key_of(project)))
    (project.ledger / "consent/withdrawn.jsonl").unlink()
    assert "the consent ledger is not what the last build read" in refusal(project)


def test_dvc_yaml_has_the_reading_stage_know_the_key() -> None:
    """Or nobody could tell a ledger that was rekeyed from one that was rewritten."""
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    assert "ingest.key_fingerprint" in stages["validate"]["params"]


def test_many_people_are_held_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.lineage.rekeying import pseudonyms

    monkeypatch.setattr(pseudonyms, "_HELD_ROWS", 10)
    frames = (pl.DataFrame({"old": [str(i % 7), str(i % 50)], "new": [f"n{i % 7}", f"n{i % 50}"]}) for i in range(500))
    found = pseudonyms._distinct(frames)  # noqa: SLF001
    assert sorted(found["old"], key=int) == [str(i) for i in range(50)]
    assert all(new == f"n{old}" for old, new in found.rows())
