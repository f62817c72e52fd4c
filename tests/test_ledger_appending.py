"""The ledger is only added to: whatever the last build read of it must still stand at the beginning of its files."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.core.consent.appending import refuse_rewritten
from pipeline.core.consent.writing import append_events
from pipeline.core.errors import PairtrailError
from pipeline.core.references import read_references
from tests.building import PARAMS, ROOT, Built, build, event, lines, record

FOLDER = "data/ledger/consent"
KEY = PARAMS["ingest"]["key_fingerprint"]


def dep(path: str, content: bytes) -> dict[str, Any]:
    return {"path": path, "hash": "md5", "md5": md5(content, usedforsecurity=False).hexdigest(), "size": len(content)}


def locked(built: Built, key: str | None = KEY) -> Built:
    """Write dvc.lock as a build leaves it that read the ledger as it now is."""
    ledger = sorted((built.ledger / "consent").glob("*.jsonl"))
    deps = [dep("pipeline/stages/validate.py", b"code"), dep("data/ingest/comparisons.dir", b"shards")]
    deps += [dep(f"{FOLDER}/{path.name}", path.read_bytes()) for path in ledger]
    published: dict[str, Any] = {"cmd": "pairtrail publish", "params": {"params.yaml": {"ingest.key_fingerprint": key}}}
    stages = {"validate": {"cmd": "pairtrail validate", "deps": deps}} | ({"publish": published} if key else {})
    with (built.root / "dvc.lock").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump({"schema": "2.0", "stages": stages}, stream)
    return built


@pytest.fixture
def ledger(tmp_path: Path) -> Built:
    """A project whose last build read two files of two events each."""
    built = build(tmp_path / "project")
    for name in ("a", "b"):
        built.consents(f"{name}.jsonl", event(controller=name), event(status="RenewedConsentGiven"))
    return locked(built)


def path(built: Built, name: str = "a.jsonl") -> Path:
    return built.ledger / "consent" / name


def refused(built: Built) -> list[str]:
    with pytest.raises(PairtrailError) as raised:
        refuse_rewritten(built)
    head, *told, advice = str(raised.value).split("\n")
    assert head == "the consent ledger is not what the last build read, and more:"
    assert "`dvc checkout`, `git checkout`" in advice
    return [one.strip() for one in told]


def test_what_the_build_read_may_stand(ledger: Built) -> None:
    refuse_rewritten(ledger)


def test_lines_and_files_may_be_added(ledger: Built) -> None:
    with path(ledger).open("a", encoding="utf-8") as file:
        file.write(lines(event(status="ConsentWithdrawn")))
    ledger.consents("0-first.jsonl", event())
    refuse_rewritten(ledger)


def test_without_a_build_nothing_was_read(ledger: Built) -> None:
    (ledger.root / "dvc.lock").unlink()
    path(ledger).unlink()
    refuse_rewritten(ledger)


@pytest.mark.parametrize("lock", ["", "{}", "stages: {}", "stages: {validate: {cmd: x}}", "stages: {split: {cmd: x}}"])
def test_a_lock_that_tells_of_no_ledger(ledger: Built, lock: str) -> None:
    (ledger.root / "dvc.lock").write_text(lock, encoding="utf-8")
    path(ledger).unlink()
    refuse_rewritten(ledger)


def cut(content: bytes) -> bytes:
    return content.splitlines(keepends=True)[0]


CHANGES: list[tuple[Callable[[bytes], bytes | None], str]] = [
    (cut, "it shrank from {size} to {now} bytes"),
    (lambda _: b"", "it shrank from {size} to 0 bytes"),
    (lambda _: None, "it is gone; {size} bytes of it were read"),
    (lambda content: content.replace(b"2025", b"2024", 1), "its first {size} bytes were changed"),
    (lambda content: b"\n" + content, "its first {size} bytes were changed"),
    (lambda content: b"".join(reversed(content.splitlines(keepends=True))), "its first {size} bytes were changed"),
    (lambda content: cut(content) + content, "its first {size} bytes were changed"),
    (lambda content: content.replace(b"\n", b"\r\n"), "its first {size} bytes were changed"),
]


@pytest.mark.parametrize(("change", "told"), CHANGES)
def test_a_change_is_refused(ledger: Built, change: Callable[[bytes], bytes | None], told: str) -> None:
    before = path(ledger).read_bytes()
    after = change(before)
    path(ledger).unlink() if after is None else path(ledger).write_bytes(after)
    expected = told.format(size=f"{len(before):,}", now=f"{len(after or b''):,}")
    assert refused(ledger) == [f"{FOLDER}/a.jsonl: {expected}"]


@pytest.mark.parametrize(
    "lock",
    [
        "stages: [validate]\n",
        "- stages\n",
        "stages: {validate: {deps: [{path: data/ledger/consent/a.jsonl}]}}\n",
        "stages: {validate: {deps: [data/ledger/consent/a.jsonl]}}\n",
        "stages: {validate: null}\n",
    ],
)
def test_a_lock_that_dvc_did_not_write_is_refused(lock: str, ledger: Built) -> None:
    (ledger.root / "dvc.lock").write_text(lock, encoding="utf-8")
    with pytest.raises(PairtrailError, match="not as DVC writes it"):
        refuse_rewritten(ledger)


def test_a_file_whose_content_dvc_lost_is_told(ledger: Built) -> None:
    path(ledger).unlink()
    path(ledger).symlink_to(ledger.root / "cache-that-is-gone")
    with pytest.raises(PairtrailError, match=r"a\.jsonl: cannot be read"):
        refuse_rewritten(ledger)


def test_a_withdrawal_that_comes_while_validate_runs_is_not_taken_for_read(
    project: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.source("s", {"x.jsonl": lines(record())}).run("ingest", "validate")
    decided = project.decisions("validate").read_bytes()

    def read_then_withdraw(*given: Any) -> Any:  # noqa: ANN401
        known = read_references(*given)
        append_events(project, "withdrawals", [event(status="ConsentWithdrawn", status_time="2026-02-01T00:00:00Z")])
        return known

    monkeypatch.setattr("pipeline.core.running.read_references", read_then_withdraw)
    with pytest.raises(PairtrailError, match="changed while it was in use"):
        project.run("validate")
    assert project.decisions("validate").read_bytes() == decided
    monkeypatch.undo()
    assert project.run("validate").reasons("validate") == {"consent_withdrawn": 1}


def test_all_changed_files_are_told(ledger: Built) -> None:
    path(ledger).unlink()
    path(ledger, "b.jsonl").write_bytes(b"")
    assert [re.sub(":.*", "", one) for one in refused(ledger)] == [f"{FOLDER}/a.jsonl", f"{FOLDER}/b.jsonl"]


def test_a_renamed_file_is_gone(ledger: Built) -> None:
    path(ledger).rename(path(ledger, "c.jsonl"))
    assert refused(ledger)[0].startswith(f"{FOLDER}/a.jsonl: it is gone")


def test_a_large_file_is_compared_whole(ledger: Built) -> None:
    content = lines(*(event(consent_id=f"c-{place}") for place in range(9_000))).encode()
    assert len(content) > 2**20
    path(ledger).write_bytes(content)
    locked(ledger)
    refuse_rewritten(ledger)
    path(ledger).write_bytes(content[:-20] + b"X" + content[-19:])
    assert refused(ledger) == [f"{FOLDER}/a.jsonl: its first {len(content):,} bytes were changed"]


def test_another_key_makes_other_subjects_of_one_length(ledger: Built) -> None:
    """`pairtrail keys rotate` writes every subject anew; what is lost shows by its size."""
    locked(ledger, key="0" * 16)
    path(ledger).write_bytes(path(ledger).read_bytes().replace(b"source:s", b"source:t"))
    refuse_rewritten(ledger)
    path(ledger).write_bytes(cut(path(ledger).read_bytes()))
    assert "it shrank" in refused(ledger)[0]


def test_a_lock_that_tells_no_key_tells_of_no_other(ledger: Built) -> None:
    locked(ledger, key=None)
    path(ledger).write_bytes(path(ledger).read_bytes().replace(b"source:s", b"source:t"))
    assert "were changed" in refused(ledger)[0]


# --- beside DVC itself

CHECK = """
import sys
from pathlib import Path
from pipeline.core.consent.appending import refuse_rewritten
from pipeline.core.project import Project
refuse_rewritten(Project(Path.cwd()))
Path("checked").write_text("done")
"""
STAGES: dict[str, Any] = {
    "ingest": {"cmd": "echo made > made", "params": ["ingest"], "outs": ["made"]},
    "validate": {
        "cmd": f"{sys.executable} check.py",
        "deps": ["made", f"{FOLDER}/a.jsonl"],
        "outs": [{"checked": {"persist": True}}],
    },
    "publish": {
        "cmd": "cp checked published",
        "params": ["ingest.key_fingerprint"],
        "deps": ["checked"],
        "outs": ["published"],
    },
}


def test_dvc_takes_no_earlier_build_for_an_earlier_ledger() -> None:
    """Without this, DVC would not run validate on a ledger that was cut back, and bring back its old decisions."""
    outs = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]["validate"]["outs"]
    persisting = [name for out in outs if isinstance(out, dict) for name, how in out.items() if how.get("persist")]
    assert persisting, "dvc.yaml: validate: write `- data/validate/decisions.parquet: {persist: true}` among its outs"


def dvc(built: Built, *words: str) -> tuple[bool, str]:
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words], cwd=built.root, env=settings, capture_output=True, text=True, check=False
    )
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("tracked_by", ["git", "dvc"])
def test_dvc_itself_keeps_what_was_read(tmp_path: Path, tracked_by: str) -> None:
    """A build, an addition, a change, another key: as `dvc repro` writes its lock while it goes from stage to stage."""
    built = build(tmp_path / "project").consents("a.jsonl", event(), event(status="RenewedConsentGiven"))
    subprocess.run(["git", "init", "--quiet"], cwd=built.root, check=True)
    assert dvc(built, "init", "--quiet")[0]
    (built.root / "check.py").write_text(CHECK, encoding="utf-8")
    with (built.root / "dvc.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump({"stages": STAGES}, stream)

    def rebuilt(content: bytes) -> str:
        path(built).write_bytes(content)
        if tracked_by == "dvc":
            assert dvc(built, "add", "--quiet", f"{FOLDER}/a.jsonl")[0]
        done, said = dvc(built, "repro")
        refusal = re.search(r"a\.jsonl: (it shrank|its first|it is gone)", said)
        assert done == (refusal is None), said
        return refusal[1] if refusal else "built"

    first = path(built).read_bytes()
    added = first + lines(event(status="ConsentWithdrawn")).encode()
    assert [rebuilt(content) for content in (first, added, first, added)] == ["built", "built", "it shrank", "built"]
    rekeyed = added.replace(b"source:s", b"source:t")
    assert rebuilt(rekeyed) == "its first"
    built.set_params(ingest={"key_fingerprint": "0" * 16})
    assert rebuilt(rekeyed) == "built"
    assert rebuilt(added) == "its first"
