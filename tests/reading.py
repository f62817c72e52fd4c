"""A reader of releases, in a clone with an empty cache: verifies, compares, traces and pulls each as it is pushed."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tests.places import Place

SIDES = ("train", "validation", "heldout")
TABLES = ("pairs", "ties")


@dataclass
class Visit:
    """What a reader found of one release."""

    published: Path
    facts: dict[str, Any]
    verified: dict[str, Any]
    compared: dict[str, Any] | None
    traced: dict[str, Any]

    def rows(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield the side, the table and the content of each published row."""
        for side in SIDES:
            for table in TABLES:
                found = pl.read_parquet(self.published / side / f"{table}.parquet")
                yield from ((side, table, row) for row in found.to_dicts())


def visit(workshop: Path, version: str, before: str | None, prompt: str) -> Visit:
    """Look at a release from a clone made for it alone, with nothing in its cache; then pull all of it."""
    place = Place(workshop / "reader" / version, workshop / "reader" / "home")
    place.root.mkdir(parents=True)
    place.run("git", "clone", "-q", str(workshop / "hub.git"), ".")
    assert not (place.root / ".dvc/cache").exists()
    verified = json.loads(place.tried("pairtrail", "release", "verify", version, "--json").stdout)
    compared = json.loads(place.run("pairtrail", "diff", before, version, "--json")) if before else None
    facts = json.loads((place.root / f"releases/{version}/release.json").read_text())
    place.run("git", "checkout", "-q", f"preferences@v{version}")
    place.dvc("pull", "-q")
    copy = workshop / "seen" / version
    shutil.copytree(place.root / "data/publish", copy)
    found = Visit(copy, facts, verified, compared, {})
    pair = next(row["pair_id"] for _, _, row in found.rows() if row["prompt"][0]["content"] == prompt)
    found.traced = json.loads(place.run("pairtrail", "trace", pair, "--json"))
    return found
