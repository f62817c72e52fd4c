"""What must not get out does not, with real DVC and git around: outputs, locks, caches, keys' folder, all that is said.

A project of people with e-mail addresses and phone numbers is built, given a new key, and built again; commands fail in
between. Then every file that there is, and every word that was printed, is searched.
"""

import csv
import hmac
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import md5, sha1, sha256, sha512
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyarrow import BufferReader, parquet
from ruamel.yaml import YAML

from pipeline.core.ingested import shard_name
from pipeline.core.keys import KEY_FILE, fingerprint
from schemas.vocabulary import SIDES
from tests.building import PARAMS, ROOT, SIDECAR, Built, build, event, lines, record
from tests.places import COPIED, Place

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not shutil.which("git"), reason="needs git")]

# Nothing of these is a word of ours, and each stands for what somebody would recognise.
WORKER, WRITER, JUDGE = "worker.zoe@example.org", "+49 30 9018 4711", "judge.yan@example.org"
STRANGER, UNKNOWN = "stranger.wil@example.org", "unknown.vic@example.org"
EVENT = "event-zq-4711"
RAW_IDS = (WORKER, WRITER, JUDGE, STRANGER, UNKNOWN, EVENT)
PERSONAL = ("zq.told@example.org", "+43 1 515 8150")
KEPT = ("zqkeptprompt", "zqkeptchosen", "zqkeptrejected")
TIED, RATIONALE, UNMAPPED = "zqtied", "zqrationale", "zqunmapped"
DROPPED = {name: f"zqdropped{name}" for name in ("equal", "empty", "policy", "withdrawn", "unconsented", "repeated")}
QUARANTINED = {name: f"zqquarantined{name}" for name in ("json", "type", "value", "time", "key", "bytes", "depth")}
REFS = [
    {"role": "annotator", "subject": "who.mail", "consent_id": "ca"},
    {"role": "prompt_author", "subject": "phone", "consent_id": "cw"},
]
FIELDS = {
    **SIDECAR["fields"],
    "preference": {"path": "preference", "values": {"a": "a", "b": "b", "tie": "tie"}},
    "annotator": "who.mail",
    "event_id": "event",
    "rationale": "why",
    "created_at": "at",
    "policy_version": {"path": "policy"},
    "consent_refs": REFS,
}
CONSENT = {**SIDECAR["consent"], "roles": ["annotator", "prompt_author"]}


def personal(marker: str) -> str:
    """A text as people write: with an address and a number in it, marked so that it can be told from others."""
    return f"{marker} {marker}.{PERSONAL[0]} {PERSONAL[1]}-{marker}"


def vote(marker: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    text = personal(marker)
    sound = record(prompt=f"{text} q?", a=f"{text} yes", b=f"{text} no", why=f"{RATIONALE} {text}", at="2026-01-02")
    people = {"who": {"mail": WORKER}, "phone": WRITER, "ca": "c-worker", "cw": "c-writer"}
    return {**sound, **people, "event": f"{EVENT}-{marker}", "policy": "p-1", "note": UNMAPPED, **changes}


def kept() -> list[dict[str, Any]]:
    prompt, chosen, rejected = map(personal, KEPT)
    # Words of their own, or they would be near each other, and those beside a held-out one withheld.
    own = [" ".join(f"w{i}x{k}" for k in range(40)) for i in range(30)]
    texts = [
        vote(f"{i}", prompt=f"{prompt} {words}", a=f"{chosen} {i}", b=f"{rejected} {i}", why=RATIONALE)
        for i, words in enumerate(own)
    ]
    return [*texts, *(vote(f"{TIED}{i}", preference="tie") for i in range(20))]


def dropped() -> list[dict[str, Any]]:
    name, again = DROPPED, vote(DROPPED["repeated"])
    return [
        vote(name["equal"], a=name["equal"], b=name["equal"]),
        vote(name["empty"], a=" "),
        vote(name["policy"], policy="p-0"),
        vote(name["withdrawn"], who={"mail": JUDGE}, ca="c-judge"),
        vote(name["unconsented"], phone=UNKNOWN, cw="c-unknown"),
        again,
        {**again, "at": "2026-01-01", "event": f"{EVENT}-again"},
    ]


def quarantined() -> bytes:
    name = {kind: personal(marker) for kind, marker in QUARANTINED.items()}
    broken = json.dumps(vote(name["json"]))[:-5]
    deep = json.dumps(vote(name["depth"]))[:-1] + ', "deep": ' + "[" * 99 + "]" * 99 + "}"
    twice = json.dumps(vote(name["key"]))[:-1] + f', "note": "{name["key"]}"}}'
    odd = (
        vote(name["type"], a=[name["type"]]),
        vote(name["value"], preference=name["value"]),
        vote(name["time"], at=name["time"]),
    )
    texts = "".join(f"{one}\n" for one in (broken, deep, twice, *map(json.dumps, odd)))
    return texts.encode() + f'{{"prompt": "{name["bytes"]}'.encode() + b'\xff"}\n'


def named(key: str, raw: str) -> str:
    parts = "".join(f"{len(part.encode())}:{part}," for part in ("annotator", "crowd", raw))
    return hmac.new(key.encode(), parts.encode(), sha256).hexdigest()[:32]


class Told:
    """Commands run in a place, with all that they said."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.said: list[str] = []

    def __call__(self, *command: str, fails: bool = False) -> str:
        done = self.place.tried(*command)
        said = done.stdout + done.stderr
        self.said.append(f"$ {' '.join(command)}\n{said}")
        assert bool(done.returncode) == fails, said
        return said

    def dvc(self, *args: str, fails: bool = False) -> str:
        return self(sys.executable, "-m", "dvc", *args, fails=fails)


class Run(NamedTuple):
    project: Built
    home: Path
    said: list[str]
    keys: tuple[str, str]
    places: dict[str, set[str]]
    """By MD5 of what DVC stored: what it was, old versions too."""
    rekeyed: dict[str, Any]


def stored(root: Path) -> Iterator[tuple[str, str]]:
    """Yield digest and place of all that DVC's lock and `.dvc` files name, the files of folders too."""
    lock = YAML(typ="safe").load((root / "dvc.lock").read_text(encoding="utf-8"))
    outs = [out for stage in lock["stages"].values() for out in stage["outs"]]
    for path in (root / "data").rglob("*.dvc"):
        [out] = YAML(typ="safe").load(path.read_text(encoding="utf-8"))["outs"]
        outs.append({**out, "path": path.with_suffix("").relative_to(root).as_posix()})
    for out in outs:
        yield out["md5"], out["path"]
        if out["md5"].endswith(".dir"):
            listed = json.loads((root / ".dvc/cache/files/md5" / out["md5"][:2] / out["md5"][2:]).read_text())
            yield from ((one["md5"], f"{out['path']}/{one['relpath']}") for one in listed)


def planted(root: Path) -> Built:
    project = build(root).recorded()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    (root / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", root / ".dvc")
    content = lines(*kept(), *dropped()).encode() + quarantined()
    return project.source("crowd", {"votes.jsonl": content}, fields=FIELDS, consent=CONSENT, synthetic=False)


def agreed(project: Built, key: str) -> None:
    people = {"worker": WORKER, "writer": WRITER, "judge": JUDGE, "stranger": STRANGER}
    given = [event(consent_id=f"c-{who}", subject=named(key, raw)) for who, raw in people.items()]
    gone = {"status": "ConsentWithdrawn", "status_time": "2025-06-01T00:00:00Z"}
    project.consents("people.jsonl", *given, event(consent_id="c-judge", subject=named(key, JUDGE), **gone))


def failing(run: Told, project: Built, fixed: dict[str, Any]) -> None:
    """Have commands fail for what people do wrong: nothing may be told by the way."""
    path = project.ledger / "consent/people.jsonl"
    sound = path.read_bytes()
    path.write_bytes(sound + lines(event(subject=WORKER, status=WRITER)).encode())
    for command in (["pairtrail", "check"], ["pairtrail", "validate"], ["pairtrail", "keys", "rotate"]):
        assert "line 6" in run(*command, fails=True)
    path.write_bytes(sound)
    for wanted in ("crowd/votes.jsonl:9999", "0" * 32, "no-id"):
        run("pairtrail", "trace", wanted, fails=True)
    run("pairtrail", "export", "trl", "--split", "heldout", "--out", "exports/x", fails=True)
    gate = {**PARAMS["publish"]["gate"], "fewest_train_pairs": 10_000}
    project.set_params(**{**fixed, "publish": {"gate": gate}})
    assert "the release gate failed" in run.dvc("repro", fails=True)
    project.set_params(**fixed)
    sidecar = project.raw / "crowd/source.yaml"
    whole = sidecar.read_text(encoding="utf-8")
    sidecar.write_text(whole.replace("path: policy", "path: who.mail"), encoding="utf-8")
    run("pairtrail", "ingest")
    run("pairtrail", "validate")
    sidecar.write_text(whole.replace("adapter: records", "adapter: oasst"), encoding="utf-8")
    run("pairtrail", "ingest", fails=True)
    sidecar.write_text(whole, encoding="utf-8")


def asking(run: Told) -> None:
    for row in (1, 40, *range(51, 65)):
        for as_json in ([], ["--json"]):
            run("pairtrail", "trace", f"crowd/votes.jsonl:{row}", *as_json)
    for command in (["sources", "--json"], ["check"], ["sync"]):
        run("pairtrail", *command)
    run("pairtrail", "export", "trl", "--split", "train", "--out", "exports/trl")
    run.dvc("metrics", "show")
    run.dvc("status")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Plant, build, fail, ask, change the key, build and ask again."""
    workshop = tmp_path_factory.mktemp("leaks-in-dvc")
    project = planted(workshop / "clone")
    told = Told(Place(project.root, workshop / "home"))
    told("git", "init", "-q")
    for remote in ("restricted", "consumers"):
        told.dvc("remote", "modify", remote, "url", str(workshop / remote))
    told("pairtrail", "keys", "init")
    old = (project.root / KEY_FILE).read_text().strip()
    fixed: dict[str, Any] = {"ingest": {"key_fingerprint": fingerprint(old)}, "validate": {"licenses": ["CC0-1.0"]}}
    project.set_params(**fixed)
    agreed(project, old)
    ledgers = sorted(path.relative_to(project.root).as_posix() for path in (project.ledger / "consent").iterdir())
    told.dvc("add", "data/raw/crowd/votes.jsonl", *ledgers)
    told("pairtrail", "sync")
    places: dict[str, set[str]] = {}
    built(told, project, places)
    failing(told, project, fixed)
    built(told, project, places)
    before = {name: (project.root / name).read_bytes() for name in ledgers}
    rotated(told, workshop)
    new = (project.root / KEY_FILE).read_text().strip()
    told.dvc("add", *ledgers)
    built(told, project, places)
    after = {name: (project.root / name).read_bytes() for name in ledgers}
    told.dvc("push")
    yield Run(project, workshop, told.said, (old, new), places, {"before": before, "after": after})
    for path in workshop.rglob("*"):  # DVC's cache is read-only
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)


def built(told: Told, project: Built, places: dict[str, set[str]]) -> None:
    told.dvc("repro")
    asking(told)
    told("git", "add", ".")
    told("git", "commit", "-qm", "built", "--allow-empty")
    assert "didn't change" in told.dvc("repro")
    for digest, place in stored(project.root):
        places.setdefault(digest, set()).add(place)


def rotated(told: Told, workshop: Path) -> None:
    """Rotate as people do: refused for a stranger, refused for a list that is broken, then with a sound one."""
    assert "1 of 4 subjects" in told("pairtrail", "keys", "rotate", fails=True)
    ids = workshop / "ids.csv"
    for rows, fails in ([(STRANGER, ""), ("crowd", WORKER)], True), ([("crowd", STRANGER)], False):
        with ids.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("source", "id"), *rows])
        told("pairtrail", "keys", "rotate", "--keep-map", "--ids", str(ids), fails=fails)
    ids.unlink()


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


def content(raw: bytes) -> str:
    """Return all that a file's bytes hold, as one text: of Parquet every cell and the footer beside the bytes."""
    texts = [raw.decode("latin-1"), raw.decode("utf-8", "replace")]
    if raw.startswith(b"PAR1"):
        table = parquet.read_table(BufferReader(raw))
        texts += texts_in(table.to_pylist())
        texts += [one.decode("utf-8", "replace") for pair in (table.schema.metadata or {}).items() for one in pair]
    return "\n".join(texts)


CODE = {"pipeline", "schemas"}
INPUTS = "data/raw/crowd/votes.jsonl"


@pytest.fixture(scope="module")
def written(run: Run) -> dict[str, str]:
    """What every file holds, by its place; what DVC or a remote stored, by the place that it was stored for."""
    found: dict[str, str] = {}
    for path in sorted(run.home.rglob("*")):
        name = path.relative_to(run.home).as_posix()
        if path.is_symlink() or not path.is_file() or set(path.relative_to(run.home).parts[1:2]) & CODE:
            continue
        digest = path.parent.name + path.name
        known = sorted(run.places.get(digest, ())) if "/files/md5/" in name else []
        place = f"stored:{known[0]}" if known else name.removeprefix("clone/")
        found[place] = found.get(place, "") + content(path.read_bytes())
    command = ("git", "cat-file", "--batch-all-objects", "--batch")
    done = subprocess.run(command, cwd=run.project.root, capture_output=True, check=True)
    found["git"] = done.stdout.decode("latin-1")
    return found


def holders(written: dict[str, str], marker: str) -> set[str]:
    """Return where a marker stands, raw files and what DVC stored of them aside: there it belongs."""
    places = {place.removeprefix("stored:") for place, text in written.items() if marker in text}
    return places - {INPUTS}


SHARD = f"data/ingest/comparisons/{shard_name('crowd/votes.jsonl')}"
EXPORT = "exports/trl/train.parquet"


def published(table: str) -> set[str]:
    return {f"data/publish/{side}/{table}.parquet" for side in SIDES}


def test_the_planting_took(run: Run, written: dict[str, str]) -> None:
    """Or the rest would show nothing."""
    reasons = run.project.reasons("validate")
    assert reasons == {
        "equal_responses": 1,
        "empty_response": 1,
        "policy_not_accepted": 1,
        "consent_withdrawn": 1,
        "consent_unknown": 1,
    }
    assert run.project.reasons("dedupe") == {"repeated": 1}
    assert sum(run.project.reasons("ingest").values()) == len(QUARANTINED)
    for raw in (WORKER, WRITER, JUDGE, UNKNOWN, EVENT):
        assert raw in written[INPUTS]
        assert raw in written[f"stored:{INPUTS}"]
    assert {f"stored:{SHARD}", "stored:data/publish/docs/index.html", "stored:data/ingest/counts.json"} <= set(written)
    for kind in (
        ".dvc/cache/runs/",
        "restricted/",
        "consumers/",
        "home/",
        ".pairtrail/",
        "exports/",
        "data/publish/docs/",
    ):
        assert any(place.startswith(kind) for place in written) or kind in {"restricted/", "consumers/"}, kind
    assert [place for place in written if "/files/md5/" in place] == []


def forms(raw: str) -> list[str]:
    """What a raw id may be recognised by: itself, a part that nobody else has, its digits, its plain digests."""
    digits = "".join(one for one in raw if one.isdigit())
    parts = {raw, raw.partition("@")[0], raw.replace("@", "%40"), json.dumps(raw)[1:-1]}
    parts |= {digits} if len(digits) > 6 else set()
    return [*parts, *(make(raw.encode()).hexdigest() for make in (md5, sha1, sha256, sha512))]


@pytest.mark.parametrize("raw", RAW_IDS)
def test_a_raw_id_stands_in_raw_files_alone(raw: str, written: dict[str, str], run: Run) -> None:
    for form in forms(raw):
        assert holders(written, form) == set()
        assert not [said for said in run.said if form in said]


@pytest.mark.parametrize("marker", KEPT)
def test_kept_texts_stand_in_ingest_in_published_pairs_and_in_exports(marker: str, written: dict[str, str]) -> None:
    assert holders(written, marker) == {SHARD, EXPORT} | published("pairs")


def test_ties_stand_in_ingest_and_among_published_ties(written: dict[str, str]) -> None:
    assert holders(written, TIED) == {SHARD} | published("ties")


@pytest.mark.parametrize("name", DROPPED)
def test_a_dropped_text_never_leaves_ingest(name: str, written: dict[str, str]) -> None:
    found = holders(written, DROPPED[name])
    if name == "repeated":  # its twin was kept
        found -= published("pairs") | {EXPORT}
    assert found == {SHARD}


@pytest.mark.parametrize("marker", [*QUARANTINED.values(), UNMAPPED])
def test_a_quarantined_or_unmapped_text_is_nowhere(marker: str, written: dict[str, str]) -> None:
    assert holders(written, marker) == set()


def test_an_annotator_s_own_words_never_leave_ingest(written: dict[str, str]) -> None:
    assert holders(written, RATIONALE) == {SHARD}


def test_addresses_and_numbers_inside_texts_stand_where_texts_may(written: dict[str, str]) -> None:
    for marker in PERSONAL:
        assert holders(written, marker) == {SHARD, EXPORT} | published("pairs") | published("ties")


def test_nothing_that_was_said_holds_a_text(run: Run) -> None:
    markers = [*KEPT, TIED, *DROPPED.values(), *QUARANTINED.values(), RATIONALE, UNMAPPED, *PERSONAL]
    assert [said.splitlines()[0] for said in run.said for marker in markers if marker in said] == []
    assert len(run.said) > 100
    assert sum(len(said.splitlines()) for said in run.said) > 500


def test_a_key_stands_in_its_file_alone(run: Run, written: dict[str, str]) -> None:
    old, new = run.keys
    kept_key = f".pairtrail/pseudonym-{fingerprint(old)}.key"
    assert holders(written, old) == {kept_key}
    assert holders(written, new) == {KEY_FILE.as_posix()}
    [map_key] = [text for place, text in written.items() if place.endswith(".map.key")]
    assert len([place for place in written if map_key.splitlines()[0] in written[place]]) == 1
    assert not [said for said in run.said for key in (*run.keys, map_key.splitlines()[0]) if key in said]


def test_pseudonyms_stand_in_ingest_and_the_ledger_alone(run: Run, written: dict[str, str]) -> None:
    allowed = {SHARD, "data/ledger/consent/people.jsonl"}
    for raw in (WORKER, WRITER, JUDGE, STRANGER):
        for key in run.keys:
            assert holders(written, named(key, raw)) <= allowed
        assert not [said for said in run.said for key in run.keys if named(key, raw) in said]
        assert holders(written, named(run.keys[1], raw))


def test_after_a_rotation_old_pseudonyms_are_nowhere_but_in_what_dvc_stored_before(
    run: Run, written: dict[str, str]
) -> None:
    for raw in (WORKER, WRITER, JUDGE, STRANGER):
        found = {place for place, text in written.items() if named(run.keys[0], raw) in text}
        assert found
        assert all(place.startswith("stored:") for place in found)


def test_consent_ids_and_digests_of_records_stay_behind_the_restricted_remote(
    run: Run, written: dict[str, str]
) -> None:
    digests = run.project.table("ingest/occurrences")["record_digest"].head(20).to_list()
    for marker in ("c-worker", "c-writer", *digests):
        assert all(place.startswith(("data/ingest/", "data/ledger/")) for place in holders(written, marker))


def test_the_rekeyed_ledger_was_read_as_one_and_a_rewritten_one_is_not(run: Run) -> None:
    """DVC has noted the new key of ingest before validate reads the ledger; still no line may be lost or changed."""
    before, after = run.rekeyed["before"], run.rekeyed["after"]
    changed = [name for name in before if before[name] != after[name]]
    assert changed == ["data/ledger/consent/people.jsonl"]
    assert all(len(before[name]) == len(after[name]) for name in before)
    assert run.project.account("validate")["consent_ledger"]["events"] == sum(
        text.count(b"\n") for text in after.values()
    )
    path = run.project.root / changed[0]
    place = Place(run.project.root, run.home / "home")
    assert "ok" in place.run("pairtrail", "check")
    path.write_bytes(after[changed[0]].replace(b"ConsentWithdrawn", b"ConsentRequested"))
    done = place.tried(sys.executable, "-m", "dvc", "repro")
    assert done.returncode
    assert f"{changed[0]}: its first {len(after[changed[0]]):,} bytes were changed" in done.stderr + done.stdout
    path.write_bytes(after[changed[0]])
