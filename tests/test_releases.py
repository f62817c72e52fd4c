"""Releases with real git, DVC and keys: what is cut, what is refused, who signs, and each way to tamper with one."""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from gto.tag import parse_name
from pyarrow import parquet

from pipeline.core.errors import PairtrailError
from pipeline.core.keys import fingerprint
from pipeline.core.project import Project
from pipeline.lineage.releases.verifying import verify
from tests.building import build, lines
from tests.owners import Owner, a_key, verdicts
from tests.pages import DOCS, blocks
from tests.places import Place, owned, removable

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("git"), reason="needs git")]

KEY = "a key of the tests, long enough for it"
TAG = "preferences@v1.0.0"
CROISSANTS = ["croissant.json describes the files", "croissant.json of the release describes the files"]
PAPERS = {"release.json", "SHA256SUMS", "statement.dsse.json", "notes.md", "croissant.json"}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with removable(tmp_path_factory.mktemp("releases")) as folder:
        yield folder


@pytest.fixture(scope="module")
def built(workshop: Path) -> Owner:
    """A project that is built and committed, and has two signing keys, of which each release needs both."""
    project = build(workshop / "owner" / "clone").recorded().set_params(release={"approvals": 1})
    project.source("s", {"x.jsonl": lines(*verdicts(0, 60))})
    place = Owner(owned(project, workshop).root, workshop / "home")
    place.keys = workshop / "keys"
    for name in ("alice", "bob"):
        a_key(place, place.keys, name)
    place.rebuilt("built")
    return place


@pytest.fixture(scope="module")
def owner(built: Owner) -> Owner:
    """The same, with release 1.0.0, approved, and pushed to the remotes."""
    built.released("1.0.0")
    built.run("pairtrail", "release", "approve", "1.0.0", *built.key("bob"))
    built.dvc("push", "-q")
    return built


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[Callable[[Owner], Owner]]:
    """Copy a place whole, git, DVC's cache and all, so that a test may do to it what it likes."""

    def copy(place: Owner) -> Owner:
        root = tmp_path / "owner" / "clone"
        shutil.copytree(place.root, root, symlinks=True)
        another = Owner(root, tmp_path / "home")
        another.keys = place.keys
        return another

    with removable(tmp_path):
        yield copy


@pytest.fixture
def owned_copy(owner: Owner, copied: Callable[[Owner], Owner]) -> Owner:
    return copied(owner)


def faults(place: Place, copy: Path | None = None, public: list[Path] | None = None) -> dict[str, list[str]]:
    """Verify 1.0.0; return what is wrong, by what was looked at."""
    found = verify(Project(place.root), "1.0.0", copy, public or [])
    return {look.what: look.faults for look in found.looks if look.faults}


def faults_of_files(place: Place, copy: Path) -> dict[str, list[str]]:
    """The same without croissant.json, which describes the files and so says of each changed one that it is another."""
    found = faults(place, copy)
    assert [what for what in found if what.startswith("croissant")] in ([], CROISSANTS)
    return {what: told for what, told in found.items() if what not in CROISSANTS}


def papers(place: Place) -> Path:
    return place.root / "releases/1.0.0"


# What a release is.


def test_a_release_is_a_commit_of_papers_and_a_tag(owner: Owner) -> None:
    facts = json.loads((papers(owner) / "release.json").read_text())
    assert {path.name for path in papers(owner).iterdir()} == PAPERS
    parents = owner.run("git", "rev-list", "--parents", "-n", "1", TAG).split()[1:]
    assert parents == [facts["build_commit"]]
    assert owner.run("git", "cat-file", "-t", f"refs/tags/{TAG}").strip() == "tag"
    changed = owner.run("git", "diff", "--name-only", f"{TAG}^", TAG).split()
    assert changed == ["data/ledger/released/1.0.0.parquet", "dvc.yaml", *sorted(f"releases/1.0.0/{n}" for n in PAPERS)]
    assert owner.run("git", "status", "--porcelain") == ""
    assert (facts["previous"], facts["level"], facts["changes"]) == (None, "major", None)


def test_gto_reads_the_tag(owner: Owner) -> None:
    assert parse_name(TAG)["version"] == "v1.0.0"
    shown = owner.run("gto", "show", "preferences")
    assert "v1.0.0" in shown


def test_the_papers_tell_the_files_as_they_are(owner: Owner) -> None:
    """Counted and digested anew, by other means than the release's own."""
    facts = json.loads((papers(owner) / "release.json").read_text())
    published = owner.root / "data/publish"
    there = {path.relative_to(published).as_posix() for path in published.rglob("*") if path.is_file()}
    given = {place for place in there if not place.startswith("docs/") and place != "counts.json"}
    assert set(facts["files"]) == given
    for place, stated in facts["files"].items():
        raw = (published / place).read_bytes()
        assert (stated["bytes"], stated["sha256"]) == (len(raw), sha256(raw).hexdigest())
        rows = parquet.read_table(published / place).num_rows if place.endswith(".parquet") else None
        assert stated["rows"] == rows
    assert facts["ledgers"].keys() == {"consent/s.jsonl", "epochs.jsonl"}
    for place, stated in facts["ledgers"].items():
        raw = (owner.root / "data/ledger" / place).read_bytes()
        assert (stated["size"], stated["sha256"]) == (len(raw), sha256(raw).hexdigest())


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="needs sha256sum")
def test_sha256sum_checks_the_files(owner: Owner) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", str(papers(owner) / "SHA256SUMS")],
        cwd=owner.root / "data/publish",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.count(": OK") == len(json.loads((papers(owner) / "release.json").read_text())["files"])


@pytest.mark.parametrize("tampered", [False, True])
def test_what_releasing_md_shows_verifies_without_our_code(owned_copy: Owner, tampered: bool) -> None:  # noqa: FBT001
    shutil.copy(owned_copy.root / "releases/keys/alice.pem", owned_copy.root)
    if tampered:
        path = papers(owned_copy) / "SHA256SUMS"
        path.write_text(path.read_text().replace("0", "1", 1))
    (example,) = blocks(DOCS / "releasing.md", "python")
    done = owned_copy.tried(sys.executable, "-I", "-c", example)
    assert bool(done.returncode) == tampered, done.stderr
    assert ("AssertionError" in done.stderr) == tampered


def test_the_statement_is_in_toto_and_slsa_and_signed_as_dsse_says(owner: Owner) -> None:
    """Verified with the cryptography library alone, by the text of DSSE's protocol."""
    envelope = json.loads((papers(owner) / "statement.dsse.json").read_text())
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"]
    encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
    signatures = [base64.b64decode(one["sig"]) for one in envelope["signatures"]]
    for name, signature in zip(("alice", "bob"), signatures, strict=True):
        public: Any = load_pem_public_key((owner.root / f"releases/keys/{name}.pem").read_bytes())
        public.verify(signature, encoded)
    statement = json.loads(payload)
    assert kind == "application/vnd.in-toto+json"
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    definition = statement["predicate"]["buildDefinition"]
    assert definition.keys() == {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"}
    assert statement["predicate"]["runDetails"]["builder"]["id"]
    inputs = {one["name"]: one["digest"] for one in definition["resolvedDependencies"]}
    assert inputs.pop("build commit") == {"gitCommit": owner.run("git", "rev-parse", f"{TAG}^").strip()}
    read = ("data/raw/s/x.jsonl", "data/raw/s/source.yaml", "data/policy/p-1.md", "data/rubric/r-1.md", "dvc.lock")
    assert inputs.keys() >= {*read, "data/ledger/consent/s.jsonl", "params.yaml", "requirements.lock"}
    for place in read:
        held = subprocess.run(
            ["git", "show", f"{TAG}^:{place}"], cwd=owner.root, capture_output=True, check=True
        ).stdout
        assert inputs[place] == {"sha256": sha256(held).hexdigest()}


def test_the_salt_is_not_given_away(owner: Owner) -> None:
    envelope = json.loads((papers(owner) / "statement.dsse.json").read_text())
    stages = json.loads(base64.b64decode(envelope["payload"]))["predicate"]["buildDefinition"]["externalParameters"][
        "stages"
    ]
    assert stages["split"]["params"]["split"]["heldout"] == 0.2
    for place in papers(owner).iterdir():
        text = place.read_text()
        assert '"salt"' not in text
    assert "salt" not in json.dumps(stages)


def test_the_released_prompts_are_remembered(owner: Owner) -> None:
    remembered = parquet.read_table(owner.root / "data/ledger/released/1.0.0.parquet").num_rows
    files = json.loads((papers(owner) / "release.json").read_text())["files"]
    tables = [f"{side}/{table}.parquet" for side in ("train", "validation") for table in ("pairs", "ties")]
    assert remembered == sum(files[table]["rows"] for table in tables) > 0
    stages = (owner.root / "dvc.yaml").read_text()
    assert stages.count("data/ledger/released/1.0.0.parquet") == 2


# Who signs.


def unapproved(place: Owner) -> Owner:
    """Go to where 1.0.0 is released, and nobody has approved it."""
    if TAG not in place.run("git", "tag"):
        place.released("1.0.0")
    place.run("git", "reset", "-q", "--hard", TAG)
    return place


def test_a_release_passes_once_it_is_approved(built: Owner, copied: Callable[[Owner], Owner]) -> None:
    place = unapproved(copied(built))
    assert faults(place) == {
        "approvals": ["1 approvals are needed, trusted keys gave 0: `pairtrail release approve VERSION`"]
    }
    done = place.tried("pairtrail", "release", "approve", "1.0.0", *place.key("alice"))
    assert "somebody else approves" in done.stderr
    assert "bob approves 1.0.0" in place.run("pairtrail", "release", "approve", "1.0.0", *place.key("bob"))
    assert faults(place) == {}
    done = place.tried("pairtrail", "release", "approve", "1.0.0", *place.key("bob"))
    assert "bob approved 1.0.0 already" in done.stderr
    assert place.run("git", "status", "--porcelain") == ""
    assert place.tried("pairtrail", "release", "verify", "1.0.0").returncode == 0


def test_keys_that_are_named_are_the_only_ones_trusted(owner: Owner, tmp_path: Path) -> None:
    keys = owner.root / "releases/keys"
    assert faults(owner, public=[keys / "alice.pem", keys / "bob.pem"]) == {}
    assert list(faults(owner, public=[keys / "alice.pem"])) == ["approvals"]
    (told,) = faults(owner, public=[keys / "bob.pem"])["signatures"]
    assert "none of the trusted ones (signed by: bob)" in told
    a_key(owner, tmp_path, "carol")
    carol = (keys / "carol.pem").rename(tmp_path / "public-carol.pem")
    assert faults(owner, public=[keys / "alice.pem", keys / "bob.pem", carol]) == {
        "signatures": ["public-carol, whose key you named, did not sign"]
    }
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no key")
    with pytest.raises(PairtrailError, match="no Ed25519 public key"):
        faults(owner, public=[wrong])


def test_a_key_that_others_may_read_or_nobody_knows_signs_nothing(owned_copy: Owner, tmp_path: Path) -> None:
    loose = tmp_path / "loose.pem"
    shutil.copy(owned_copy.keys / "alice.pem", loose)
    loose.chmod(0o644)
    assert "others may read" in owned_copy.tried("pairtrail", "release", "2.0.0", "--key", str(loose)).stderr
    (owned_copy.root / "releases/keys/alice.pem").unlink()
    owned_copy.commit("alice left")
    assert "public half is not in releases/keys" in owned_copy.refused("2.0.0")
    assert "no signing key" in owned_copy.tried("pairtrail", "release", "2.0.0").stderr


def test_an_approver_refuses_what_is_not_as_it_was_released(built: Owner, copied: Callable[[Owner], Owner]) -> None:
    place = unapproved(copied(built))
    flipped(cached(place, "train/pairs.parquet"), 200)
    done = place.tried("pairtrail", "release", "approve", "1.0.0", *place.key("bob"))
    assert done.returncode == 1
    assert "nothing was approved" in done.stderr
    assert "train/pairs.parquet" in done.stderr
    assert len(json.loads((papers(place) / "statement.dsse.json").read_text())["signatures"]) == 1


# What is refused.


def test_a_tree_that_is_not_committed_is_refused(owned_copy: Owner) -> None:
    (owned_copy.root / "stray.txt").write_text("x")
    assert "1 files are not as committed (stray.txt)" in owned_copy.refused("2.0.0")


def test_a_version_is_above_the_last_and_plain(owned_copy: Owner) -> None:
    assert "is released already" in owned_copy.refused("1.0.0")
    assert "not above the last release, 1.0.0" in owned_copy.refused("0.9.0")
    assert "no version" in owned_copy.refused("1.1")
    assert "write MAJOR.MINOR.PATCH" in owned_copy.refused("2.0.0-rc.1")
    owned_copy.run("git", "checkout", "-q", "--detach")
    assert "no branch is checked out" in owned_copy.refused("2.0.0")


def test_a_build_of_another_tree_is_refused(owned_copy: Owner) -> None:
    policy = owned_copy.root / "data/policy/p-1.md"
    policy.write_text(policy.read_text() + "And be kind.\n")
    owned_copy.commit("a policy is edited")
    told = owned_copy.refused("2.0.0")
    assert "data/policy/p-1.md" in told


def test_a_last_release_whose_tag_was_not_fetched_is_refused(owned_copy: Owner) -> None:
    """Git does not fetch all tags by itself, and nobody would have seen what moved."""
    owned_copy.run("git", "tag", "-d", TAG)
    assert "no such tag: fetch it" in owned_copy.refused("2.0.0")


@pytest.mark.parametrize("place", ["data/raw/s/x.jsonl", "data/ledger/consent/s.jsonl"])
def test_an_input_that_was_not_pulled_is_refused(owned_copy: Owner, place: str) -> None:
    owned_copy.run("git", "rm", "-q", "--cached", place)
    owned_copy.dvc("add", "-q", place)
    owned_copy.commit("kept by DVC")
    (owned_copy.root / place).unlink()
    told = owned_copy.refused("2.0.0")
    assert f"{place}: not here, so nobody can sign for it; `dvc pull` the inputs" in told


def test_consent_newer_than_as_of_is_refused(built: Owner, copied: Callable[[Owner], Owner]) -> None:
    place = copied(built)
    place.run("git", "reset", "-q", "--hard", "HEAD")
    with (place.root / "data/ledger/consent/s.jsonl").open("a") as ledger:
        ledger.write(
            lines(
                {
                    **json.loads((place.root / "data/ledger/consent/s.jsonl").read_text().split("\n")[0]),
                    "status_time": "2026-03-04T00:00:00Z",
                }
            )
        )
    place.rebuilt("a newer event")
    told = place.refused("3.0.0")
    assert "as_of is 2026-01-01, but the newest event of the consent ledger is of 2026-03-04" in told


# Real people's data.


def test_of_real_people_the_released_prompts_go_to_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIRTRAIL_KEY", KEY)
    project = build(tmp_path / "owner" / "clone").recorded().set_params(ingest={"key_fingerprint": fingerprint(KEY)})
    project.source("s", {"x.jsonl": lines(*verdicts(0, 30))}, synthetic=False)
    with removable(tmp_path):
        place = Owner(owned(project, tmp_path).root, tmp_path / "home")
        place.keys = tmp_path / "keys"
        a_key(place, place.keys, "alice")
        place.dvc("add", "-q", "data/raw/s/x.jsonl", "data/ledger/consent/s.jsonl")
        place.rebuilt("built")
        assert "1.0.0 is released" in place.released("1.0.0")
        changed = place.run("git", "diff", "--name-only", f"{TAG}^", TAG).split()
        ledger = "data/ledger/released"
        assert {one for one in changed if one.startswith("data/")} == {
            f"{ledger}/.gitignore",
            f"{ledger}/1.0.0.parquet.dvc",
        }
        assert place.run("git", "status", "--porcelain") == ""
        assert faults(place) == {}
        place.run("pairtrail", "check")


# Withdrawing.


def test_a_withdrawn_release_fails_and_gto_drops_it(owned_copy: Owner) -> None:
    done = owned_copy.tried("pairtrail", "release", "withdraw", "1.0.0", "--reason", " ", *owned_copy.key("bob"))
    assert "needs a reason" in done.stderr
    told = owned_copy.run(
        "pairtrail", "release", "withdraw", "1.0.0", "--reason", "a source had no consent", *owned_copy.key("bob")
    )
    assert f"{TAG}!" in told
    assert faults(owned_copy) == {"withdrawal": ["withdrawn by bob: a source had no consent"]}
    assert owned_copy.tried("pairtrail", "release", "verify", "1.0.0").returncode == 1
    assert "withdrawn" in owned_copy.run("pairtrail", "release", "list")
    assert "WITHDRAWN" in owned_copy.run("pairtrail", "release", "show", "1.0.0")
    assert parse_name(f"{TAG}!")["action"].value == "deregister"
    assert "these are the files of 1.0.0, which was withdrawn" in owned_copy.refused("1.0.1")
    (papers(owned_copy) / "withdrawn.dsse.json").unlink()
    assert "it was withdrawn, and withdrawn.dsse.json is gone" in faults(owned_copy)[f"tag {TAG}"][0]


# Tampering, one test each: what was changed is named.


def flipped(path: Path, place: int) -> None:
    """Change one bit of a file, whatever its mode; what it is a link to stays as it is."""
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.parent.chmod(0o755)
    path.unlink()
    path.write_bytes(raw)


def cached(place: Place, name: str) -> Path:
    """Find the object of a published file in DVC's cache."""
    md5: str = json.loads((papers(place) / "release.json").read_text())["files"][name]["md5"]
    return place.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


@pytest.fixture
def bare(owner: Owner, tmp_path: Path) -> Path:
    """A bare copy of what consumers are given."""
    copy = tmp_path / "given"
    shutil.copytree(owner.root / "data/publish", copy, ignore=shutil.ignore_patterns("heldout", "docs", "counts.json"))
    return copy


def test_a_bare_copy_verifies_without_heldout(owner: Owner, bare: Path) -> None:
    found = verify(Project(owner.root), "1.0.0", bare, [])
    assert [look for look in found.looks if look.faults] == []
    assert found.away == [f"heldout/{table}.parquet" for table in ("pairs", "ties", "votes")]


def test_one_byte_of_a_file(owner: Owner, bare: Path) -> None:
    flipped(bare / "train/pairs.parquet", 300)
    found = faults_of_files(owner, bare)
    assert list(found) == ["train/pairs.parquet"]
    assert "not the bytes that were released (SHA-256)" in found["train/pairs.parquet"][0]


def test_one_byte_of_a_footer(owner: Owner, bare: Path) -> None:
    path = bare / "validation/votes.parquet"
    flipped(path, path.read_bytes().rindex(b"code_digest") + 16)
    found = faults_of_files(owner, bare)
    assert list(found) == ["validation/votes.parquet"]
    assert found["validation/votes.parquet"][-1] == "its footer does not say what the manifest says"


def test_a_file_written_anew_with_other_rows(owner: Owner, bare: Path) -> None:
    path = bare / "train/ties.parquet"
    table = parquet.read_table(path)
    parquet.write_table(table.slice(0, table.num_rows - 1), path)
    (told,) = faults_of_files(owner, bare).values()
    assert any("rows, where" in one for one in told)
    assert "its rows are not those that were released" in told


def test_one_byte_of_the_manifest(owner: Owner, bare: Path) -> None:
    path = bare / "manifest.json"
    flipped(path, path.read_bytes().index(b'"in": ') + 6)
    found = faults(owner, bare)
    assert found["manifest.json"] == ["not the bytes that were released (SHA-256)"]


def test_a_file_that_is_gone_or_new(owner: Owner, bare: Path) -> None:
    (bare / "train/votes.parquet").rename(bare / "train/more.parquet")
    assert faults(owner, bare)["which files there are"] == [
        "train/votes.parquet: it is not there",
        "train/more.parquet: nothing of this release",
    ]


def test_one_byte_of_dvcs_object(owned_copy: Owner) -> None:
    flipped(cached(owned_copy, "heldout/pairs.parquet"), 99)
    assert list(faults(owned_copy)) == ["heldout/pairs.parquet"]


def test_one_byte_of_a_signature(owned_copy: Owner) -> None:
    path = papers(owned_copy) / "statement.dsse.json"
    envelope = json.loads(path.read_text())
    raw = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    raw[7] ^= 1
    envelope["signatures"][0]["sig"] = base64.b64encode(raw).decode()
    path.write_text(json.dumps(envelope))
    (told,) = faults(owned_copy)["signatures"]
    assert "is not right: the statement or the signature was changed" in told


def test_a_statement_that_says_something_else(owned_copy: Owner) -> None:
    path = papers(owned_copy) / "statement.dsse.json"
    envelope = json.loads(path.read_text())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    subject = next(one for one in statement["subject"] if one["name"] == "data/publish/manifest.json")
    subject["digest"]["sha256"] = "0" * 64
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    path.write_text(json.dumps(envelope))
    found = faults(owned_copy)
    assert (len(found["signatures"]), len(found["approvals"])) == (2, 1)
    assert found["release commit"][0] == "releases/1.0.0/statement.dsse.json: not as the release commit holds it"
    assert len(found["statement"]) == 1


@pytest.mark.parametrize("name", ["release.json", "SHA256SUMS", "notes.md", "croissant.json"])
def test_a_paper_that_is_changed(owned_copy: Owner, name: str) -> None:
    path = papers(owned_copy) / name
    text = path.read_text()
    path.write_text(text.replace("0", "1", 1) if name == "SHA256SUMS" else text + " ")
    found = faults(owned_copy)
    assert found["statement"] == [f"{name}: not the file that was signed for"]
    assert found["release commit"] == [f"releases/1.0.0/{name}: not as the release commit holds it"]


def test_a_release_that_names_other_files(owned_copy: Owner) -> None:
    path = papers(owned_copy) / "release.json"
    facts = json.loads(path.read_text())
    facts["files"]["train/pairs.parquet"]["sha256"] = "f" * 64
    path.write_text(json.dumps(facts))
    found = faults(owned_copy)
    assert "data/publish/train/pairs.parquet: release.json names another file than was signed for" in found["statement"]
    assert {"release.json, SHA256SUMS", "release commit", "accounts", "train/pairs.parquet"} <= found.keys()


def test_a_paper_that_nobody_signed_for(owned_copy: Owner) -> None:
    (papers(owned_copy) / "more.md").write_text("trust me")
    assert faults(owned_copy)["statement"] == ["more.md: nobody signed for it"]


def test_a_tag_that_is_moved(owned_copy: Owner) -> None:
    owned_copy.run("git", "tag", "-f", "-a", TAG, "-m", "moved", "HEAD")
    assert faults(owned_copy)[f"tag {TAG}"] == [
        "it does not stand on the commit right after the build commit: it was moved"
    ]


def test_a_tag_on_another_commit_after_the_build(owned_copy: Owner) -> None:
    """A release commit of somebody else's making, with one file more."""
    owned_copy.run("git", "checkout", "-q", TAG)
    (owned_copy.root / "params.yaml").write_text((owned_copy.root / "params.yaml").read_text() + "# mine\n")
    owned_copy.run("git", "commit", "-qa", "--amend", "-m", "mine")
    owned_copy.run("git", "tag", "-f", "-a", TAG, "-m", "moved")
    assert "(M params.yaml)" in faults(owned_copy)["release commit"][0]


def test_a_tag_that_is_light_or_gone(owned_copy: Owner) -> None:
    at = owned_copy.run("git", "rev-parse", f"{TAG}^{{commit}}").strip()
    owned_copy.run("git", "tag", "-d", TAG)
    assert "no such tag" in faults(owned_copy)[f"tag {TAG}"][0]
    owned_copy.run("git", "tag", TAG, at)
    assert "not an annotated tag" in faults(owned_copy)[f"tag {TAG}"][0]


def test_a_key_that_took_another_ones_place(owned_copy: Owner) -> None:
    shutil.copy(owned_copy.root / "releases/keys/bob.pem", owned_copy.root / "releases/keys/alice.pem")
    assert "none of the trusted ones" in faults(owned_copy)["signatures"][0]


def test_a_release_signed_anew_by_who_is_not_trusted(owned_copy: Owner) -> None:
    """Somebody changes a file and all papers, and signs them with a key of their own."""
    a_key(owned_copy, owned_copy.root / "aside", "mallory")
    (owned_copy.root / "releases/keys/mallory.pem").unlink()
    from pipeline.lineage.releases.signing import load_signer, sign

    path = papers(owned_copy) / "statement.dsse.json"
    statement = json.loads(base64.b64decode(json.loads(path.read_text())["payload"]))
    signer = load_signer(Project(owned_copy.root), owned_copy.root / "aside/mallory.pem")
    path.write_text(json.dumps(sign(statement, signer)))
    assert {"signatures", "approvals"} <= faults(owned_copy).keys()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"payload": 1}',
        b"\xff",
        b'{"payload": "e30=", "payloadType": "x", "signatures": []}',
        b"[" * 9999,
    ],
    ids=range(7),
)
def test_an_envelope_that_is_none(owned_copy: Owner, raw: bytes) -> None:
    (papers(owned_copy) / "statement.dsse.json").write_bytes(raw)
    assert next(iter(faults(owned_copy))) == "signatures"


@pytest.mark.parametrize("raw", ["[]", "{}", "no", '{"format": "pairtrail-release-1"}'])
def test_facts_that_are_none(owned_copy: Owner, raw: str) -> None:
    (papers(owned_copy) / "release.json").write_text(raw)
    with pytest.raises(PairtrailError, match=r"releases/1\.0\.0/release\.json: not as `pairtrail release` wrote it"):
        faults(owned_copy)


def test_facts_that_name_files_elsewhere(owned_copy: Owner) -> None:
    path = papers(owned_copy) / "release.json"
    facts = json.loads(path.read_text())
    facts["files"]["../../secret"] = facts["files"]["README.md"]
    path.write_text(json.dumps(facts))
    with pytest.raises(PairtrailError, match="not as `pairtrail release` wrote it"):
        faults(owned_copy)


def amended(place: Owner, *commands: tuple[str, ...]) -> dict[str, list[str]]:
    """Change the release commit by some commands, move the tag to it, and verify."""
    place.run("git", "checkout", "-q", TAG)
    for command in commands:
        place.run(*command)
    place.run("git", "commit", "-qa", "--amend", "--no-edit")
    place.run("git", "tag", "-f", "-a", TAG, "-m", "moved")
    place.run("git", "checkout", "-q", "main", "--", "releases/1.0.0/statement.dsse.json")
    return faults(place)


LEDGER = "data/ledger/released/1.0.0.parquet"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("sed", "-i", "s/cmd: pairtrail split/cmd: curl/", "dvc.yaml"), "dvc.yaml: the release commit holds another"),
        (("git", "rm", "-q", LEDGER), f"{LEDGER}: not in the release commit"),
        (("git", "mv", "data/rubric/r-1.md", "data/ledger/released/x.md"), "D data/rubric/r-1.md"),
        (("git", "rm", "-q", "pipeline/stages/split.py"), "D pipeline/stages/split.py"),
    ],
    ids=["a command", "what is remembered", "a rename", "code"],
)
def test_a_release_commit_that_does_more(owned_copy: Owner, command: tuple[str, ...], told: str) -> None:
    assert told in "\n".join(amended(owned_copy, command)["release commit"])


def test_replaced_objects_are_not_believed(owned_copy: Owner) -> None:
    good = owned_copy.run("git", "rev-parse", f"{TAG}^{{commit}}").strip()
    found = amended(owned_copy, ("sed", "-i", "s/cmd: pairtrail split/cmd: curl/", "dvc.yaml"))
    evil = owned_copy.run("git", "rev-parse", "HEAD").strip()
    owned_copy.run("git", "replace", evil, good)
    assert found
    assert faults(owned_copy) == found


@pytest.mark.parametrize("name", ["train/more.jsonl", "loader.py", "train/x.PARQUET"])
def test_a_copy_that_holds_more(owner: Owner, bare: Path, name: str) -> None:
    (bare / name).write_text("x")
    assert faults(owner, bare) == {"which files there are": [f"{name}: nothing of this release"]}


def test_a_withdrawal_that_is_taken_back(owned_copy: Owner) -> None:
    owned_copy.run("pairtrail", "release", "withdraw", "1.0.0", "--reason", "no", *owned_copy.key("bob"))
    owned_copy.run("git", "rm", "-q", "releases/1.0.0/withdrawn.dsse.json")
    owned_copy.run("git", "commit", "-qm", "it is fine")
    owned_copy.run("git", "tag", "-d", f"{TAG}!")
    assert faults(owned_copy)[f"tag {TAG}"] == ["it was withdrawn, and withdrawn.dsse.json is gone"]


def test_an_approver_is_not_blinded_by_a_name(built: Owner, copied: Callable[[Owner], Owner]) -> None:
    place = unapproved(copied(built))
    (place.root / "approvals are needed").write_text("x")
    place.run("git", "add", ".")
    place.run("git", "commit", "-qa", "--amend", "--no-edit")
    place.run("git", "tag", "-f", "-a", TAG, "-m", "moved")
    done = place.tried("pairtrail", "release", "approve", "1.0.0", *place.key("bob"))
    assert "nothing was approved" in done.stderr


# A last release that cannot be relied on.


@pytest.fixture(scope="module")
def fewer(owner: Owner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    """After 1.0.0 ten records went, and the project was built and committed: a MAJOR change."""
    with removable(tmp_path_factory.mktemp("fewer")) as folder:
        place = Owner(shutil.copytree(owner.root, folder / "owner" / "clone", symlinks=True), folder / "home")
        place.keys = owner.keys
        (place.root / "data/raw/s/x.jsonl").write_text(lines(*verdicts(10, 50)))
        place.rebuilt("fewer")
        yield place


def test_a_version_that_says_too_little_is_refused_whatever_names_say(
    fewer: Owner, copied: Callable[[Owner], Owner]
) -> None:
    place = copied(fewer)
    told = place.refused("1.0.1")
    assert "1.0.1 declares a PATCH change of 1.0.0, but it is a MAJOR one: removed" in told
    assert "Release 2.0.0" in told
    place.run("git", "branch", "1.0.0")
    place.run("git", "branch", "v1.0.0")
    assert place.refused("1.0.1") == told
    at = place.run("git", "rev-parse", f"{TAG}^{{}}").strip()
    place.run("git", "tag", "-f", "-a", TAG, "-m", "moved", "HEAD")
    assert "is not what it says" in place.refused("1.0.1")
    place.run("git", "tag", "-d", TAG)
    assert "no such tag" in place.refused("2.0.0")
    place.run("git", "tag", "-a", TAG, "-m", "back", at)
    place.run("git", "rm", "-rq", "releases/1.0.0")
    place.commit("forget it")
    assert "knows it, and it is gone; take it back" in place.tried("pairtrail", "check").stderr
    assert "and it is gone" in place.refused("0.0.1")


def test_what_only_the_tree_holds_is_not_released(fewer: Owner, copied: Callable[[Owner], Owner]) -> None:
    place = copied(fewer)
    draft = place.root / "releases/2.0.0/draft.md"
    draft.parent.mkdir()
    draft.write_text("mine")
    assert "not as committed" in place.refused("2.0.0")
    assert draft.read_text() == "mine"
    shutil.rmtree(draft.parent)
    code = place.root / "pipeline/stages/split.py"
    code.write_text(code.read_text() + "\n# not in git\n")
    place.run("git", "update-index", "--assume-unchanged", "pipeline/stages/split.py")
    place.dvc("repro", "-q")
    place.run("git", "commit", "-qam", "built with it")
    assert "git is told not to look at pipeline/stages/split.py" in place.refused("2.0.0")
    place.run("git", "update-index", "--no-assume-unchanged", "pipeline/stages/split.py")
    place.run("git", "checkout", "-q", "--", "pipeline/stages/split.py")
    assert "pipeline/stages/split.py" in place.refused("2.0.0")


def test_an_object_of_dvcs_that_is_not_what_the_lock_names_is_refused(
    fewer: Owner, copied: Callable[[Owner], Owner]
) -> None:
    place = copied(fewer)
    stated = (place.root / "dvc.lock").read_text().split("data/publish/README.md\n", 1)[1].split("md5: ")[1][:32]
    path = place.root / ".dvc/cache/files/md5" / stated[:2] / stated[2:]
    flipped(path, 10)
    assert "README.md: DVC's cache holds another file than dvc.lock names" in place.refused("2.0.0")


def test_a_hook_that_changes_the_papers_undoes_the_release(fewer: Owner, copied: Callable[[Owner], Owner]) -> None:
    place = copied(fewer)
    hook = place.root / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho x >> releases/2.0.0/notes.md && git add releases\n")
    hook.chmod(0o755)
    assert "the commit is not what was signed for" in place.refused("2.0.0")
    hook.unlink()
    place.released("2.0.0")


def test_papers_that_nobody_signed_are_not_tagged(fewer: Owner, copied: Callable[[Owner], Owner]) -> None:
    place = copied(fewer)
    at = place.run("git", "rev-parse", "HEAD").strip()
    shutil.copytree(papers(place), place.root / "releases/2.0.0")
    facts = place.root / "releases/2.0.0/release.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "version": "2.0.0", "build_commit": at}))
    place.commit("Release preferences 2.0.0")
    assert "the commit is not what was signed for" in place.refused("2.0.0")


# Cut off.


@pytest.mark.parametrize(
    "mark", ["releases/.1.0.0.part", "releases/1.0.0/statement.dsse.json", "data/ledger/released/1.0.0.parquet"]
)
def test_a_release_that_is_killed_is_made_whole_by_the_next(
    built: Owner, copied: Callable[[Owner], Owner], mark: str
) -> None:
    place = copied(built)
    place.run("git", "reset", "-q", "--hard", f"{TAG}^" if TAG in place.run("git", "tag") else "HEAD")
    place.tried("git", "tag", "-d", TAG)
    with place.started("pairtrail", "release", "1.0.0", *place.key("alice")) as process:
        while not (place.root / mark).exists() and process.poll() is None:
            pass
        process.kill()
    assert process.returncode != 0
    place.released("1.0.0")
    place.run("pairtrail", "release", "approve", "1.0.0", *place.key("bob"))
    assert faults(place) == {}


def test_a_release_whose_tag_failed_is_tagged_by_the_next(built: Owner, copied: Callable[[Owner], Owner]) -> None:
    place = copied(built)
    place.run("git", "reset", "-q", "--hard", f"{TAG}^" if TAG in place.run("git", "tag") else "HEAD")
    place.tried("git", "tag", "-d", TAG)
    hook = place.root / ".git/hooks/reference-transaction"
    hook.write_text('#!/bin/sh\nif [ "$1" = prepared ]; then ! grep -q refs/tags/; fi\n')
    hook.chmod(0o755)
    done = place.tried("pairtrail", "release", "1.0.0", *place.key("alice"))
    assert done.returncode == 1, done.stdout
    hook.unlink()
    assert TAG in place.released("1.0.0")
    place.run("pairtrail", "release", "approve", "1.0.0", *place.key("bob"))
    assert faults(place) == {}
