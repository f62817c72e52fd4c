"""A year of releases, played by its people with git, DVC and `pairtrail` as processes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.building import build, put_version
from tests.by_hand import root
from tests.owners import Owner, a_key
from tests.places import Place, owned
from tests.planted import BUILDS, PINNED, PLANTED, PREVIOUS, WITHDRAWN_AT, prompt, raw
from tests.reading import Visit, visit


@dataclass
class Year:
    """Its places, what refusals said, and what readers found of each release."""

    workshop: Path
    alice: Owner
    bob: Owner
    said: dict[str, str] = field(default_factory=dict)
    visits: dict[str, Visit] = field(default_factory=dict)

    @property
    def hub(self) -> Path:
        return self.workshop / "hub.git"


def play(workshop: Path) -> Year:
    """Play it. Alice begins; from the consents that are withdrawn on, bob releases from a clone of his own.

    While they work, a reader looks at each release from another clone; and alice tries what must be refused.
    """
    year = Year(workshop, *_people(workshop))
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as attempts:
        looked = {}

        def given(place: Owner, approver: str, version: str) -> None:
            _given(place, approver, version)
            looked[version] = reader.submit(visit, year.workshop, version, PREVIOUS[version], PLANTED)

        _spring(year, given)
        _withdrawals(year, given)
        year.alice.run("git", "fetch", "-q", "--tags")
        year.alice.run("git", "pull", "-q", "--ff-only", "origin", "main")
        tried = attempts.submit(_moves, year)
        _autumn(year, given)
        tried.result()
        year.visits = {version: found.result() for version, found in looked.items()}
    return year


def _people(workshop: Path) -> tuple[Owner, Owner]:
    """Make alice's project of the first files, with both people's keys, a hub of git, and bob's place to be."""
    project = build(workshop / "alice" / "clone").recorded()
    (project.rubric / "r-2.md").unlink()
    fields = {"rubric_version": {"path": "rubric"}, "policy_version": {"path": "policy"}}
    project.source("s", {}, **fields)
    alice = Owner(owned(project, workshop).root, workshop / "alice" / "home")
    bob = Owner(workshop / "bob" / "clone", workshop / "bob" / "home")
    alice.keys = bob.keys = workshop / "keys"
    bob.who = "bob"
    for name in ("alice", "bob"):
        a_key(alice, alice.keys, name)
    alice.run("git", "init", "-q", "--bare", "-b", "main", str(workshop / "hub.git"))
    alice.run("git", "remote", "add", "origin", str(workshop / "hub.git"))
    return alice, bob


def _built(place: Owner, version: str, **stated: Any) -> None:  # noqa: ANN401
    """Bring the raw files and params of a build into the project, rebuild it and commit."""
    planned = BUILDS[version]
    for name, verdicts in planned.files.items():
        (place.project.raw / "s" / name).write_text(raw(verdicts), encoding="utf-8")
    validate = {"as_of": planned.as_of, "rubrics": list(planned.rubrics), "policies": list(planned.policies), **stated}
    place.project.set_params(release={"approvals": 1}, validate=validate)
    place.rebuilt(f"for {version}")


def _given(place: Owner, approver: str, version: str) -> None:
    """Release, have it approved, and give it away."""
    place.released(version)
    place.run("pairtrail", "release", "approve", version, *place.key(approver))
    place.dvc("push", "-q")
    place.run("git", "push", "-q", "--follow-tags", "origin", "main")


_Given = Callable[[Owner, str, str], None]


def _spring(year: Year, given: _Given) -> None:
    """Release a first time; with additions; and with a new rubric, whose verdicts were there before its text."""
    _built(year.alice, "1.0.0")
    given(year.alice, "bob", "1.0.0")
    _built(year.alice, "1.1.0")
    year.said["additions as a patch"] = year.alice.refused("1.0.1")
    given(year.alice, "bob", "1.1.0")
    put_version(year.alice.root, "rubric", "r-2")
    _built(year.alice, "1.2.0")
    given(year.alice, "bob", "1.2.0")


def _withdrawals(year: Year, given: _Given) -> None:
    """Dan withdraws. Bob first looks at consents as of a day before that, then declares too small a version."""
    clone(year.hub, year.bob)
    year.bob.dvc("pull", "-q")
    raw_id = year.workshop / "dan.txt"
    raw_id.write_text("dan\n")
    whom = ("s", "--person-file", str(raw_id))
    year.bob.run("pairtrail", "consent", "withdraw", *whom, "--at", WITHDRAWN_AT, "--how", "letter")
    _built(year.bob, "2.0.0", as_of=BUILDS["1.2.0"].as_of)
    year.said["consent looked at too early"] = year.bob.refused("2.0.0")
    _built(year.bob, "2.0.0")
    year.said["withdrawals as additions"] = year.bob.refused("1.3.0")
    given(year.bob, "alice", "2.0.0")


def _autumn(year: Year, given: _Given) -> None:
    """Old files come again, one of them under a name before its own; then a new policy, and the old rubric ends."""
    _built(year.bob, "2.0.1")
    given(year.bob, "alice", "2.0.1")
    put_version(year.bob.root, "policy", "p-2")
    _built(year.bob, "3.0.0")
    year.said["a rubric's end as additions"] = year.bob.refused("2.1.0")
    given(year.bob, "alice", "3.0.0")


def _moves(year: Year) -> None:
    """Alice tries to move prompts: by another salt, and by pins; then she takes that back."""
    alice = year.alice
    alice.dvc("pull", "-q")
    params = alice.root / "params.yaml"
    params.write_text(params.read_text().replace("salt: salt", "salt: another"))
    year.said["another salt, built"] = alice.tried("dvc", "repro", "-q").stderr
    alice.commit("another salt")
    year.said["another salt, released"] = alice.refused("3.0.0")
    alice.run("git", "reset", "-q", "--hard", "origin/main")
    alice.dvc("checkout", "-q", "--force")
    alice.project.pinned(*({"root": root(prompt(number)), "side": to} for to, number in PINNED.items()))
    alice.rebuilt("pins")
    year.said["pins"] = alice.refused("3.0.0")
    year.said["pins, compared"] = alice.tried("pairtrail", "diff", "2.0.0", "HEAD", "--json").stdout


def clone(hub: Path, place: Place) -> None:
    """Clone the hub to a place: git's files alone, with an empty cache of DVC."""
    place.root.parent.mkdir(parents=True, exist_ok=True)
    place.root.mkdir()
    place.run("git", "clone", "-q", str(hub), ".")
