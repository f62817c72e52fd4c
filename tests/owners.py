"""Who releases: a clone with real git, DVC and signing keys, in which releases are asked for as a user asks."""

from pathlib import Path
from typing import Any

from tests.building import Built, record
from tests.places import Place


def verdicts(start: int, count: int) -> list[dict[str, Any]]:
    """Verdicts on prompts with no word in common, so that none is near another."""
    return [
        record(
            prompt=" ".join(f"w{i}x{k}" for k in range(12)),
            a=f"Yes {i}.",
            b=f"No {i}.",
            preference=("a", "b", "tie")[i % 3],
        )
        for i in range(start, start + count)
    ]


class Owner(Place):
    """The place of who releases, with the keys of several people beside it."""

    keys: Path
    who = "alice"

    @property
    def project(self) -> Built:
        return Built(self.root)

    def key(self, name: str) -> tuple[str, str]:
        return ("--key", str(self.keys / f"{name}.pem"))

    def released(self, version: str, *more: str) -> str:
        return self.run("pairtrail", "release", version, *self.key(self.who), *more)

    def refused(self, version: str, *more: str) -> str:
        """Ask for a release that is refused; nothing may have changed. Returns what was said."""
        before = self.state()
        done = self.tried("pairtrail", "release", version, *self.key(self.who), *more)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert self.state() == before
        return done.stderr

    def state(self) -> tuple[str, str, str, list[str]]:
        there = sorted(path.relative_to(self.root).as_posix() for path in self.root.glob("releases/**/*"))
        status = self.run("git", "status", "--porcelain", "--ignored=no")
        return self.run("git", "rev-parse", "HEAD"), self.run("git", "tag"), status, there

    def commit(self, message: str) -> str:
        self.run("git", "add", ".")
        self.run("git", "commit", "-qm", message)
        return self.run("git", "rev-parse", "HEAD").strip()

    def rebuilt(self, message: str) -> str:
        self.run("pairtrail", "sync")
        self.dvc("repro", "-q")
        return self.commit(message)


def a_key(place: Place, keys: Path, name: str) -> None:
    """Make a key of somebody: the private half goes away from the clone, as each has a clone of their own."""
    place.run("pairtrail", "release", "key", name)
    keys.mkdir(exist_ok=True)
    (place.root / ".pairtrail/signing.pem").rename(keys / f"{name}.pem")
