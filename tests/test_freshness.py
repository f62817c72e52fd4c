"""Freshness of dvc.lock without data: held against what real DVC says, and where DVC is wrong."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from dvc.exceptions import DvcException
from dvc.repo import Repo
from ruamel.yaml import YAML

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.lineage.checks.freshness import freshness, stale
from pipeline.lineage.releases.records import FORMAT
from pipeline.stages import STAGES

# DVC's own libraries say it of each other.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

RAW = "data/raw/s"
LEDGER = "data/ledger/consent/c.jsonl"
FOLDER = "data/raw/whole"
INPUTS = {
    "requirements.lock": "polars\n",
    "code.py": "print()\n",
    f"{RAW}/source.yaml": "adapter: records\n",
    f"{RAW}/git.jsonl": "in git\n",
    f"{RAW}/dvc.jsonl": "in DVC\n",
    f"{FOLDER}/x.jsonl": "in a folder that DVC tracks\n",
    f"{FOLDER}/deep/y.jsonl": "and below\n",
    "data/policy/p-1.md": "a policy\n",
    "data/rubric/r-1.md": "a rubric\n",
    LEDGER: "an event\n",
    "own.yaml": "colour: red\nsize: {w: 1, h: 2}\n",
    "whole.yaml": "a: 1\n",
    "params.yaml": "".join(
        f"{name}: {{share: 0.1, names: [a, b], on: true}}\n" for name in (*STAGES, "release")
    ).replace("ingest: {", "ingest: {key_fingerprint: 'ab12', "),
}
CHAIN = {"dedupe": "validate", "near": "dedupe", "decontaminate": "near", "split": "decontaminate"}


def put(root: Path, place: str, text: str) -> None:
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_text(text, encoding="utf-8")


def stage(cmd: str, deps: list[str], params: list[Any], outs: list[Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"cmd": cmd, "deps": deps, "params": params, "outs": outs, **more}


def stages() -> dict[str, Any]:
    """Stages of our names, and of shapes that ours and a user's own have: folders, metrics, no cache, other params."""
    read = [f"{RAW}/git.jsonl", f"{RAW}/dvc.jsonl", f"{FOLDER}/x.jsonl", f"{FOLDER}/deep/y.jsonl"]
    table = "data/{0}/t.txt"
    made = {
        "ingest": stage(
            f"mkdir -p data/ingest/comparisons && cat {' '.join(read)} > data/ingest/comparisons/a"
            " && echo 1 > data/ingest/t.txt && echo 1 > data/ingest/counts.json",
            ["code.py", "requirements.lock", f"{RAW}/source.yaml", *read],
            ["ingest"],
            [{"data/ingest/comparisons": {"persist": True}}, "data/ingest/t.txt"],
            metrics=["data/ingest/counts.json"],
        ),
        "validate": stage(
            f"cat data/policy/p-1.md {LEDGER} > data/validate/t.txt",
            ["data/ingest/comparisons", "data/policy/p-1.md", "data/rubric/r-1.md", LEDGER, "requirements.lock"],
            ["validate", "ingest.key_fingerprint"],
            [{"data/validate/t.txt": {"persist": True}}],
        ),
    }
    for name, before in CHAIN.items():
        deps = [table.format(before), "code.py"]
        made[name] = stage(f"cat {deps[0]} > data/{name}/t.txt", deps, [name], [table.format(name)])
    made["publish"] = stage(
        "mkdir -p data/publish/docs && cat data/split/t.txt > data/publish/train/pairs.parquet"
        " && echo page > data/publish/docs/index.html",
        ["data/split/t.txt", "data/ingest/t.txt"],
        ["publish", "split.share"],
        [{"data/publish/train/pairs.parquet": {"remote": "consumers"}}, "data/publish/docs"],
    )
    made["own"] = stage(
        "cat data/publish/train/pairs.parquet > plot.txt",
        ["data/publish/train/pairs.parquet"],
        [{"own.yaml": ["colour", "size.w"]}, {"whole.yaml": None}],
        [{"plot.txt": {"cache": False}}],
        desc="a stage of the user's own",
    )
    return made


def dump(root: Path, name: str, content: Any) -> None:  # noqa: ANN401
    with (root / name).open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(content, stream)


def load(root: Path, name: str) -> Any:  # noqa: ANN401
    return YAML(typ="safe").load((root / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project of small stages that real DVC built, with files in git, files in DVC, and a folder in DVC."""
    root = tmp_path_factory.mktemp("fresh") / "project"
    for place, text in INPUTS.items():
        put(root, place, text)
    for name in (*STAGES, "publish/train", "publish/docs"):
        (root / "data" / name).mkdir(parents=True)
    dump(root, "dvc.yaml", {"stages": stages()})
    with chdir(root), Repo.init(str(root), no_scm=True) as repo:
        repo.add([f"{RAW}/dvc.jsonl", LEDGER, FOLDER])
        repo.reproduce()
    yield root
    for path in root.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "copy")


def dvc_says(root: Path) -> tuple[set[str], bool]:
    """The stages that `dvc status` names, and whether `dvc repro --dry` would run any."""
    with chdir(root), Repo(str(root)) as repo:
        named = {name for name in repo.status() if not name.endswith(".dvc")}
        try:
            return named, bool(repo.reproduce(dry=True))
        except DvcException:  # it would run one, and what that reads is gone
            return named, True


def named(faults: list[str]) -> set[str]:
    return {found for fault in faults for found in re.findall(r"^dvc\.\w+: stage (\w+):", fault)}


def added(root: Path, place: str, text: str) -> None:
    put(root, place, text)
    with chdir(root), Repo(str(root)) as repo:
        repo.add([place])


def edit(root: Path, place: str, old: str, new: str) -> None:
    text = (root / place).read_text(encoding="utf-8")
    assert old in text
    (root / place).write_text(text.replace(old, new, 1), encoding="utf-8")


def relock(root: Path, name: str, kind: str, place: str, **changes: Any) -> None:  # noqa: ANN401
    lock = load(root, "dvc.lock")
    [entry] = [one for one in lock["stages"][name][kind] if one["path"] == place]
    entry |= changes
    dump(root, "dvc.lock", lock)


def restage(root: Path, name: str, **changes: Any) -> None:  # noqa: ANN401
    content = load(root, "dvc.yaml")
    content["stages"][name] |= changes
    dump(root, "dvc.yaml", content)


OTHER = md5(b"another", usedforsecurity=False).hexdigest()
SAME_SIZE = "in GIT\n"
EDITS: dict[str, tuple[Callable[[Path], object], set[str], str]] = {
    "nothing": (lambda _: None, set(), ""),
    "a policy's text": (lambda root: put(root, "data/policy/p-1.md", "a Policy\n"), {"validate"}, "p-1.md"),
    "a rubric": (lambda root: put(root, "data/rubric/r-1.md", "a rubric, longer\n"), {"validate"}, "r-1.md"),
    "a sidecar": (lambda root: put(root, f"{RAW}/source.yaml", "adapter: arena\n"), {"ingest"}, "source.yaml"),
    "code": (lambda root: put(root, "code.py", "input()\n"), {"ingest", *CHAIN}, "code.py"),
    "the libraries": (lambda root: put(root, "requirements.lock", "x\n"), {"ingest", "validate"}, "requirements.lock"),
    "a raw file in git": (lambda root: put(root, f"{RAW}/git.jsonl", SAME_SIZE), {"ingest"}, "git.jsonl"),
    "a raw file that is gone": (lambda root: (root / f"{RAW}/git.jsonl").unlink(), {"ingest"}, "git.jsonl"),
    "a raw file in DVC, added again": (lambda root: added(root, f"{RAW}/dvc.jsonl", "more\n"), {"ingest"}, "dvc.jsonl"),
    "a raw file in DVC, edited": (lambda root: put(root, f"{RAW}/dvc.jsonl", "in Dvc\n"), {"ingest"}, "dvc.jsonl"),
    "a ledger in DVC, added again": (lambda root: added(root, LEDGER, "an event\nmore\n"), {"validate"}, "c.jsonl"),
    "a folder's file, edited": (lambda root: put(root, f"{FOLDER}/x.jsonl", "other\n"), {"ingest"}, "x.jsonl"),
    "a folder's file, gone": (lambda root: (root / f"{FOLDER}/deep/y.jsonl").unlink(), {"ingest"}, "y.jsonl"),
    "a number": (lambda root: edit(root, "params.yaml", "near: {share: 0.1", "near: {share: 0.2"), {"near"}, "near"),
    "a boolean": (lambda root: edit(root, "params.yaml", "on: true", "on: false"), {"ingest"}, "ingest"),
    "a list": (
        lambda root: edit(root, "params.yaml", "publish: {share: 0.1, names: [a,", "publish: {share: 0.1, names: [c,"),
        {"publish"},
        "publish",
    ),
    "a key that two stages read": (
        lambda root: edit(root, "params.yaml", "'ab12'", "'cd34'"),
        {"ingest", "validate"},
        "ingest.key_fingerprint",
    ),
    "one key of a section": (
        lambda root: edit(root, "params.yaml", "split: {share: 0.1", "split: {share: 1"),
        {"split", "publish"},
        "split.share",
    ),
    "a section that is gone": (lambda root: edit(root, "params.yaml", "dedupe: {", "deduped: {"), {"dedupe"}, "dedupe"),
    "a value written otherwise": (lambda root: edit(root, "params.yaml", "0.1", "1.0e-1"), set(), ""),
    "another file's parameter": (lambda root: edit(root, "own.yaml", "red", "blue"), {"own"}, "own.yaml: colour"),
    "another file's key that nobody reads": (lambda root: edit(root, "own.yaml", "h: 2", "h: 3"), set(), ""),
    "a whole file of parameters": (lambda root: put(root, "whole.yaml", "a: 1\nb: 2\n"), {"own"}, "whole.yaml: b"),
    "a whole file, gone": (lambda root: (root / "whole.yaml").unlink(), {"own"}, "whole.yaml"),
    "a command": (lambda root: restage(root, "near", cmd="true"), {"near"}, "cmd"),
    "a new dependency": (lambda root: restage(root, "split", deps=["data/decontaminate/t.txt", "code.py", "own.yaml"]),
                         {"split"}, "own.yaml"),
    "a new output": (
        lambda root: restage(root, "near", outs=["data/near/t.txt", "data/near/u.txt"]), {"near"}, "u.txt"),
    "a new parameter": (lambda root: restage(root, "split", params=["split", "near.share"]), {"split"}, "near.share"),
    "always changed": (lambda root: restage(root, "own", always_changed=True), {"own"}, "always_changed"),
    "a dependency in the lock": (
        lambda root: relock(root, "validate", "deps", "data/policy/p-1.md", md5=OTHER), {"validate"}, "p-1.md"),
    "an output in the lock": (lambda root: relock(root, "split", "outs", "data/split/t.txt", md5=OTHER),
                              {"split"}, "data/split/t.txt"),
    "a last output in the lock": (
        lambda root: relock(root, "publish", "outs", "data/publish/docs", md5=f"{OTHER}.dir"), {"publish"}, "docs"),
    "an output without a cache": (lambda root: put(root, "plot.txt", "drawn\n"), {"own"}, "plot.txt"),
    "an output without a cache, gone": (lambda root: (root / "plot.txt").unlink(), {"own"}, "plot.txt"),
    "an output, cut": (
        lambda root: replaced(root, "data/validate/t.txt", ""), {"validate", "dedupe"}, "validate/t.txt"),
}  # fmt: skip


# Where the lock contradicts itself, its reader is named too; of what comes after an edited output nobody knows yet.
OURS = {"an output in the lock": {"split", "publish"}, "an output, cut": {"validate"}}


def replaced(root: Path, place: str, text: str) -> None:
    """Write a file anew, as the old one may be a read-only link into the cache."""
    (root / place).unlink()
    put(root, place, text)


@pytest.mark.parametrize("name", EDITS)
def test_dvc_and_we_agree(name: str, root: Path) -> None:
    change, expected, told = EDITS[name]
    change(root)
    found = stale(Project(root))
    says, runs = dvc_says(root)
    assert says == expected
    assert named(found) == OURS.get(name, expected)
    assert bool(found) == bool(expected) == runs
    assert told in "\n".join(found)


def test_a_frozen_stage_of_a_user_s_own_is_left_alone_and_one_of_ours_is_not(root: Path) -> None:
    restage(root, "own", frozen=True)
    edit(root, "own.yaml", "red", "blue")
    assert stale(Project(root)) == []
    assert dvc_says(root) == (set(), False)
    restage(root, "near", frozen=True)
    put(root, "code.py", "input()\n")
    found = [fault for fault in stale(Project(root)) if "stage near" in fault]
    assert "near" not in dvc_says(root)[0]
    assert ["frozen" in found[0], "code.py" in found[1]] == [True, True]


def bare(root: Path) -> None:
    """Leave what a clone has: no data that DVC tracks, and no cache."""
    for place in (f"{RAW}/dvc.jsonl", LEDGER):
        (root / place).unlink()
    for folder in (FOLDER, *(f"data/{name}" for name in STAGES), ".dvc/cache"):
        for path in (root / folder).rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.rmtree(root / folder)


def own_only(root: Path) -> None:
    """Have no folder that DVC tracks: of its files nothing can be told without its listing."""
    (root / f"{FOLDER}.dvc").unlink()
    content, lock = load(root, "dvc.yaml"), load(root, "dvc.lock")
    for one in (content, lock):
        deps = one["stages"]["ingest"]["deps"]
        one["stages"]["ingest"]["deps"] = [dep for dep in deps if FOLDER not in str(dep)]
    dump(root, "dvc.yaml", content)
    dump(root, "dvc.lock", lock)


def test_a_clone_without_data_is_fresh_and_dvc_status_cannot_say_so(root: Path) -> None:
    own_only(root)
    bare(root)
    assert freshness(Project(root)).faults == []
    assert freshness(Project(root)).told == []
    assert dvc_says_status(root) >= {"ingest", "validate", "publish"}


def dvc_says_status(root: Path) -> set[str]:
    with chdir(root), Repo(str(root)) as repo:
        return set(repo.status())


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in EDITS
        if not re.search("folder's|DVC, edited|cut|last output|without a cache|a raw file in DVC|a ledger in DVC", name)
    ],
)
def test_a_clone_without_data_shows_the_same(name: str, root: Path) -> None:
    own_only(root)
    bare(root)
    change, expected, told = EDITS[name]
    change(root)
    found = stale(Project(root))
    # Whether an edited digest of an output is right, only its readers can say here.
    assert named(found) == ({"publish"} if name == "an output in the lock" else expected)
    assert told in "\n".join(found)


@pytest.mark.parametrize(("place", "reader"), [(f"{RAW}/dvc.jsonl", "ingest"), (LEDGER, "validate")])
def test_a_dvc_file_that_changed_is_seen_without_data(place: str, reader: str, root: Path) -> None:
    own_only(root)
    added(root, place, "other\n")
    bare(root)
    [fault] = stale(Project(root))
    assert fault == f"dvc.lock: stage {reader}: {place}: changed since the build; run `dvc repro`"


def dry(root: Path) -> list[str]:
    """What `dvc repro --dry --allow-missing` would run."""
    with chdir(root), Repo(str(root)) as repo:
        return [one.addressing for one in repo.reproduce(dry=True, allow_missing=True)]


def test_dvc_calls_a_changed_folder_up_to_date_where_it_was_not_pulled(root: Path) -> None:
    """The case: a stage depends on files of a folder that DVC tracks as a whole. DVC skips what is not there."""
    put(root, f"{FOLDER}/x.jsonl", "another content\n")
    readd(root)
    assert "ingest" in dry(root)
    cache = (root / ".dvc/cache").rename(root / "cache-elsewhere")
    shutil.rmtree(root / FOLDER)
    for name in STAGES:
        shutil.rmtree(root / "data" / name)
    assert dry(root) == []
    [fault] = stale(Project(root))
    assert fault.startswith(f"dvc.lock: stage ingest: {FOLDER}/x.jsonl, {FOLDER}/deep/y.jsonl (2): cannot be told")
    cache.rename(root / ".dvc/cache")
    assert dry(root) == []
    [fault] = stale(Project(root))
    assert fault == f"dvc.lock: stage ingest: {FOLDER}/x.jsonl: changed since the build; run `dvc repro`"


def readd(root: Path) -> None:
    with chdir(root), Repo(str(root)) as repo:
        repo.add([FOLDER])


def test_dvc_calls_a_stage_up_to_date_that_lost_a_dependency(root: Path) -> None:
    """A raw file that was removed stays in the dataset, and DVC does not see it."""
    content = load(root, "dvc.yaml")
    content["stages"]["ingest"]["deps"].remove(f"{RAW}/git.jsonl")
    dump(root, "dvc.yaml", content)
    (root / f"{RAW}/git.jsonl").unlink()
    assert dvc_says(root) == (set(), False)
    [fault] = stale(Project(root))
    assert fault.startswith(
        f"dvc.lock: stage ingest: {RAW}/git.jsonl: a dependency of the build that dvc.yaml does not"
    )
    assert fault.endswith("run `dvc repro --force ingest`")


def test_a_lost_output_or_parameter_and_a_stage_too_much_are_told(root: Path) -> None:
    restage(root, "publish", outs=["data/publish/train/pairs.parquet"], params=["publish"])
    restage(root, "own", params=[{"own.yaml": ["colour", "size.w"]}])
    lock = load(root, "dvc.lock")
    lock["stages"]["gone"] = lock["stages"]["own"]
    dump(root, "dvc.lock", lock)
    found = "\n".join(stale(Project(root)))
    for told in (
        "stage publish: data/publish/docs: an output of the build that dvc.yaml does not name",
        "stage publish: params.yaml: split.share: a parameter of the build",
        "stage own: whole.yaml: a file of parameters of the build",
        "stage gone: dvc.yaml has no such stage",
    ):
        assert told in found
    assert named(stale(Project(root))) == {"publish", "own", "gone"}


def test_a_stage_of_ours_that_is_gone_is_told(root: Path) -> None:
    content = load(root, "dvc.yaml")
    del content["stages"]["decontaminate"]
    dump(root, "dvc.yaml", content)
    assert "dvc.yaml: stage decontaminate: not there" in "\n".join(stale(Project(root)))


def test_a_stage_that_was_never_built_is_told_and_so_is_no_lock(root: Path) -> None:
    lock = load(root, "dvc.lock")
    del lock["stages"]["split"]
    dump(root, "dvc.lock", lock)
    found = stale(Project(root))
    assert "dvc.lock: stage split: not built yet, or not understood; run `dvc repro`" in found
    (root / "dvc.lock").unlink()
    assert stale(Project(root)) == ["dvc.lock: not there, so nothing was built; run `dvc repro`, and commit it"]


NOT_UNDERSTOOD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a template": (lambda root: restage(root, "own", cmd="echo ${own.colour}"), "a template"),
    "a working folder": (lambda root: restage(root, "own", wdir="data"), "wdir"),
    "a loop": (lambda root: restage(root, "own", foreach=["a"], do={"cmd": "true"}), "do, foreach"),
    "a flag": (lambda root: restage(root, "own", outs=[{"plot.txt": {"checkpoint": True}}]), "checkpoint"),
    "an address": (lambda root: restage(root, "own", deps=["s3://bucket/x"]), "s3://bucket/x"),
    "a place elsewhere": (lambda root: restage(root, "own", deps=["../x"]), "../x"),
    "no command": (lambda root: restage(root, "own", cmd=None), "no `cmd`"),
    "deps that are a text": (lambda root: restage(root, "own", deps="x"), "`deps` is no list"),
    "python as parameters": (lambda root: restage(root, "own", params=[{"own.py": ["A"]}]), "parameters in own.py"),
    "variables": (lambda root: dump(root, "dvc.yaml", {"vars": ["own.yaml"], **load(root, "dvc.yaml")}),
                  "dvc.yaml: vars"),
    "no stages": (lambda root: put(root, "dvc.yaml", "stages: 7\n"), "dvc.yaml: no stages"),
    "a lock of lists": (lambda root: put(root, "dvc.lock", "[[[]]]\n"), "dvc.lock: no stages"),
    "a lock without digests": (lambda root: put(root, "dvc.lock", "stages: {own: {deps: [{path: own.yaml}]}}\n"),
                               "`own.yaml` has no md5 and size"),
    "a digest of DVC 2": (lambda root: relock(root, "own", "deps", "data/publish/train/pairs.parquet", hash=None),
                          "has no md5 and size of DVC 3"),
    "a digest that is a number": (lambda root: relock(root, "own", "outs", "plot.txt", md5=7), "has no md5"),
    "a .dvc file of nothing": (lambda root: put(root, f"{LEDGER}.dvc", "outs: []\n"), "does not say what it tracks"),
    "a .dvc file of lists": (lambda root: put(root, f"{LEDGER}.dvc", "- [1]\n"), "does not say what it tracks"),
    "a part of an output": (lambda root: restage(root, "validate", deps=["data/ingest/comparisons/a"]), "read by"),
    "an empty lock": (lambda root: put(root, "dvc.lock", ""), "dvc.lock: no stages"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_UNDERSTOOD)
def test_what_is_not_understood_is_never_fresh(name: str, root: Path) -> None:
    change, told = NOT_UNDERSTOOD[name]
    change(root)
    assert told in "\n".join(stale(Project(root)))


def test_a_part_of_an_output_and_a_plain_folder_are_never_fresh(root: Path) -> None:
    for place, md5s, told in (
        ("data/ingest/comparisons/a", OTHER, "a part of a folder that a stage writes"),
        ("data/publish", f"{OTHER}.dir", "a part of a folder that a stage writes, or around one"),
        ("data/policy", f"{OTHER}.dir", "a folder that no stage writes"),
        ("nowhere.txt", OTHER, "not there, and DVC does not track it"),
    ):
        content, lock = load(root, "dvc.yaml"), load(root, "dvc.lock")
        content["stages"]["own"]["deps"].append(place)
        lock["stages"]["own"]["deps"].append({"path": place, "hash": "md5", "md5": md5s, "size": 1})
        dump(root, "dvc.yaml", content)
        dump(root, "dvc.lock", lock)
        assert any(place in fault and told in fault for fault in stale(Project(root)))


def test_a_large_file_is_compared_by_size_and_that_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.lineage.checks.standing.MOST_READ", 1)
    put(root, f"{RAW}/git.jsonl", SAME_SIZE)
    found = freshness(Project(root))
    assert found.faults == []
    assert re.fullmatch(r"\d+ large files compared by size only", found.told[-1])
    put(root, f"{RAW}/git.jsonl", "another size\n")
    assert "git.jsonl" in stale(Project(root))[0]


def test_a_cache_elsewhere_is_found(root: Path) -> None:
    (root / ".dvc/cache").rename(root / "shared")
    assert {"ingest", "publish"} <= named(stale(Project(root)))
    put(root, ".dvc/config.local", "[cache]\n    dir = ../shared\n")
    assert stale(Project(root)) == []
    assert dvc_says(root) == (set(), False)


def released(root: Path, version: str, **changes: Any) -> None:  # noqa: ANN401
    """Stand where `pairtrail release` leaves a project: the ledger has a file that dvc.lock does not know."""
    outs = {one["path"]: one["md5"] for one in load(root, "dvc.lock")["stages"]["publish"]["outs"]}
    files = {"train/pairs.parquet": {"rows": 1, "bytes": 1, "md5": outs["data/publish/train/pairs.parquet"]}}
    stated = dict.fromkeys(("name", "schema", "ledgers", "signed_by", "approvals_needed"))
    facts = {"format": FORMAT, "version": version, "build_commit": "0" * 40, "files": files, **stated, **changes}
    put(root, f"releases/{version}/release.json", json.dumps(facts))
    put(root, f"data/ledger/released/{version}.parquet", "prompts\n")
    content = load(root, "dvc.yaml")
    for name in ("near", "split"):
        content["stages"][name]["deps"].append(f"data/ledger/released/{version}.parquet")
    dump(root, "dvc.yaml", content)


def test_right_after_a_release_the_lock_is_fresh_and_that_is_told(root: Path) -> None:
    released(root, "1.0.0")
    released(root, "1.0.1")
    found = freshness(Project(root))
    assert found.faults == []
    assert found.told == ["near and split will read releases 1.0.0, 1.0.1 at the next build"]
    assert dvc_says(root)[0] == {"near", "split"}


@pytest.mark.parametrize("files", [{}, {"train/pairs.parquet": {"md5": OTHER}}])
def test_a_release_of_another_build_is_not_that_state(files: Any, root: Path) -> None:  # noqa: ANN401
    released(root, "1.0.0", files=files)
    assert named(stale(Project(root))) == {"near", "split"}


@pytest.mark.parametrize("files", [{"train/pairs.parquet": 7}, None, 3])
def test_a_release_that_nobody_wrote_is_told(files: Any, root: Path) -> None:  # noqa: ANN401
    released(root, "1.0.0", files=files)
    with pytest.raises(PairtrailError, match="not as `pairtrail release` wrote it"):
        stale(Project(root))


def test_no_other_file_of_the_ledger_and_no_other_stage_is_in_that_state(root: Path) -> None:
    released(root, "1.0.0")
    (root / "data/ledger/released/1.0.0.parquet").unlink()
    assert named(stale(Project(root))) == {"near", "split"}
    released(root, "1.0.1")
    content = load(root, "dvc.yaml")
    content["stages"]["own"]["deps"].append("data/ledger/released/1.0.1.parquet")
    content["stages"]["split"]["deps"].append("data/ledger/released/mine.parquet")
    dump(root, "dvc.yaml", content)
    put(root, "data/ledger/released/mine.parquet", "x\n")
    found = "\n".join(stale(Project(root)))
    assert "stage own: data/ledger/released/1.0.1.parquet: not read by the build yet" in found
    assert "stage split: data/ledger/released/mine.parquet: not read by the build yet" in found
