"""Trace over releases: in which releases a row or record was, and its story as a release's own build tells it."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipeline.core.errors import PairtrailError
from pipeline.core.params import read_yaml
from pipeline.core.project import Project
from pipeline.lineage.releases.naming import as_version
from pipeline.lineage.releases.records import Release, releases
from pipeline.lineage.revisions import Revision, objects, revision, viewing
from pipeline.lineage.trace import place_asked, told, trace
from schemas.vocabulary import SIDES

_DECISIONS = tuple(f"data/{stage}/decisions.parquet" for stage in ("validate", "dedupe", "split"))
_SHOWN = ["comparison_id", "pair_id", "policy_version", "rubric_version", "table", "folded"]
_OTHER_KEY = "it was built with another pseudonym key, under which comparisons have other ids"


def trace_at(project: Project, wanted: str, version: str, *, reveal: bool = False) -> dict[str, Any]:
    """Tell the story of an id or FILE:RECORD as the build of a release has it.

    The consents are those of today's ledger, which only grows. Raises PairtrailError where the release is unknown, its
    objects cannot be fetched, or nothing in it has that id or place.
    """
    place_asked(wanted)
    then = revision(project, str(as_version(version)))
    votes = [f"data/publish/{side}/votes.parquet" for side in SIDES]
    with viewing(then, ["data/ingest", *_DECISIONS, *votes]) as view:
        if project.ledger.exists():
            view.ledger.symlink_to(project.ledger)
        return {**trace(view, wanted, reveal=reveal), "release": str(as_version(version))}


def trace_over(project: Project, wanted: str, *, reveal: bool = False) -> dict[str, Any]:
    """Tell today's story of an id or FILE:RECORD, and in which releases it was; today's build may have it no more.

    Raises PairtrailError where neither today's build has it nor any release, all of which could be read.
    """
    kind = "record" if place_asked(wanted) else "id"
    try:
        story = trace(project, wanted, reveal=reveal)
    except PairtrailError as error:
        story = {"asked": wanted, "kind": kind, "comparisons": [], "gone": str(error)}
    found = [_in_release(project, release, story) for release in releases(project)]
    if "gone" in story and not any(one["places"] or one["unknown"] for one in found):
        msg = f"{story['gone']} (and no release has it)"
        raise PairtrailError(msg)
    return {**story, "releases": found}


def _in_release(project: Project, release: Release, story: dict[str, Any]) -> dict[str, Any]:
    """Say where a release has what was asked for; what cannot be read of it is unknown, and not absent."""
    key = read_yaml(project.params).get("ingest", {}).get("key_fingerprint")
    unknown: list[str] = []
    places: list[dict[str, Any]] = []
    try:
        then = revision(project, str(release.version))
        places = _Look(then, release.facts.get("key_fingerprint") == key, unknown).places(story)
    except PairtrailError as error:
        unknown.append(str(error))
    return {"version": str(release.version), "withdrawn": release.withdrawn, "places": places, "unknown": unknown}


@dataclass(frozen=True, slots=True)
class _Look:
    """A look into the tables of one release; each is fetched by itself, so that one that is away hides no other."""

    then: Revision
    same_key: bool
    unknown: list[str] = field(default_factory=list)

    def scan(self, place: str) -> pl.LazyFrame | None:
        """Scan a table of the release; None, and why is told, where it cannot be fetched."""
        try:
            found = objects(self.then, [place])
        except PairtrailError as error:
            self.unknown.append(f"{place}: {error}")
            return None
        if place not in found:
            self.unknown.append(f"{place}: {self.then.name}: its dvc.lock does not name it")
            return None
        return pl.scan_parquet(found[place], glob=False)

    def places(self, story: dict[str, Any]) -> list[dict[str, Any]]:
        """Return each vote of the release that is among what was asked for, with its side."""
        wanted = self._of_record(story) if place_asked(story["asked"]) else self._of_id(story)
        found: list[dict[str, Any]] = []
        for side in SIDES:
            votes = self.scan(f"data/publish/{side}/votes.parquet") if wanted is not None else None
            if votes is not None and wanted is not None:
                rows = votes.filter(wanted).select(*_SHOWN).collect(engine="streaming")
                found += [{"side": side, **row} for row in rows.sort(_SHOWN).to_dicts()]
        return found

    def _of_id(self, story: dict[str, Any]) -> pl.Expr | None:
        """Say which votes have an id; a prompt's stands with the pairs and ties, not with the votes."""
        asked, kind = story["asked"], story["kind"]
        if not self.same_key and kind in {"comparison", "id"}:
            self.unknown.append(_OTHER_KEY)
        if not self.same_key and kind == "comparison":
            return None
        pairs = [asked, *(self._of_prompt(asked) if kind in {"prompt", "id"} else [])]
        return pl.any_horizontal(pl.col("comparison_id") == asked, pl.col("pair_id").is_in(pairs))

    def _of_prompt(self, asked: str) -> list[str]:
        found = []
        for side in SIDES:
            for table in ("pairs", "ties"):
                rows = self.scan(f"data/publish/{side}/{table}.parquet")
                if rows is not None:
                    found += rows.filter(pl.col("prompt_id") == asked).select("pair_id").collect()["pair_id"].to_list()
        return found

    def _of_record(self, story: dict[str, Any]) -> pl.Expr | None:
        """Say which votes a record gave: by today's comparison ids, or as the release itself found it.

        A record that today's build knows is found in the release by its digest, as files are cut anew; one that it does
        not know, or that another key digested, by its place.
        """
        ids = [one["comparison_id"] for one in story["comparisons"]]
        if not (ids and self.same_key):
            occurrences = self.scan("data/ingest/occurrences.parquet")
            if occurrences is None:
                return None
            file, row = place_asked(story["asked"]) or ("", 0)
            here = (pl.col("source_file") == file) & (pl.col("source_row") == row)
            if "record" in story and self.same_key:
                here = pl.col("record_digest") == story["record"]["record_digest"]
            ids = occurrences.filter(here).select("comparison_id").collect()["comparison_id"].to_list()
        return pl.col("comparison_id").is_in(ids)


def told_over(story: dict[str, Any]) -> str:
    """Tell a story, and the releases after it, in lines that a person reads."""
    lines = [f"as release {story['release']} has it:"] if "release" in story else []
    lines.append(told(story))
    if "gone" in story:
        lines.append(f"  not in today's build: {story['gone']}")
    for release in story.get("releases", []):
        name = f"  release  {release['version']}{' (withdrawn)' if release['withdrawn'] else ''}:"
        lines += [f"{name} {_told_place(place)}" for place in release["places"]]
        lines += [f"{name} unknown: {why}" for why in release["unknown"]]
        if not (release["places"] or release["unknown"]):
            lines.append(f"{name} not in it")
    return "\n".join(lines)


def _told_place(place: dict[str, Any]) -> str:
    folded = "folded" if place["folded"] else "not folded: human_judged"
    where = f"{place['side']}/{place['table']}.parquet, pair {place['pair_id']}"
    return f"{where}, comparison {place['comparison_id']} ({folded})"
