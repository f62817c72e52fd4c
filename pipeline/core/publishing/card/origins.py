"""Where rows come from: sources, who had a hand in them, licences, languages, provenance, policies and rubrics."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.accounts import most_first
from pipeline.core.publishing.card.markdown import Cell, percent, plain, section, stated, table
from pipeline.core.publishing.coverage import FIELDS, KEYS
from pipeline.core.publishing.labels import language_code

_MOST = 50


def sources(manifest: Mapping[str, Any]) -> list[str]:
    """Show what each source states of its licence and consent; credits are whole, as licences ask for them."""
    rows = [
        [
            plain(name),
            plain(facts["license"]),
            facts["license_use"],
            plain(facts["basis"] or "none"),
            plain(", ".join(facts["purposes"]) or "none", None),
            plain(facts["attribution"], None),
        ]
        for name, facts in sorted(manifest["sources"].items())
    ]
    return section("Sources", table(["source", "licence", "use", "basis", "purposes", "credit"], rows))


def hands(manifest: Mapping[str, Any]) -> list[str]:
    """Show who had a hand in each source, as its sidecar states."""
    rows = [[plain(name), *(stated(facts[key]) for key in KEYS)] for name, facts in sorted(manifest["sources"].items())]
    heads = ["source", "collected by", "written by", "selected by", "approved by", "approved on"]
    return section("Who collected, wrote, selected and approved", table(heads, rows))


def licenses(manifest: Mapping[str, Any]) -> list[str]:
    """Show how many rows of train and validation are under which licence."""
    told = "Pairs and ties of train and validation, by the strictest licence among their votes (the column `license`)."
    rows: list[list[Cell]] = [[plain(name), count] for name, count in most_first(manifest["licenses"]).items()]
    return section("Licences", told, table(["licence", "rows"], rows))


def languages(manifest: Mapping[str, Any]) -> list[str]:
    """Show how many rows of train and validation are in which language, as stated."""
    found = most_first(manifest["languages"]["stated"])
    shown, rest = list(found.items())[:_MOST], len(found) - _MOST
    rows: list[list[Cell]] = [[plain(name), language_code(name) or "no code", count] for name, count in shown]
    rows += [["not stated, or not by all votes alike", "", manifest["languages"]["unstated"]]]
    more = f"{rest:,} languages more; `manifest.json` has all of them." if rest > 0 else ""
    told = "Pairs and ties of train and validation, as sources state their language, and its ISO 639 code."
    return section("Languages", told, table(["language", "code", "rows"], rows), more)


def provenance(manifest: Mapping[str, Any]) -> list[str]:
    """Show the coverage of each source that has published verdicts."""
    shown = {name: facts for name, facts in sorted(manifest["coverage"].items()) if facts["rows"]}
    fields = (*FIELDS, *KEYS)
    rows = [[plain(name), facts["rows"], *(percent(facts[field]) for field in fields)] for name, facts in shown.items()]
    told = "How many of each source's verdicts state where they come from, in percent; what is not stated is not known."
    return section("Provenance", told, table(["source", "verdicts", *(f"`{field}`" for field in fields)], rows))


def versions(manifest: Mapping[str, Any]) -> list[str]:
    """Show the policies and rubrics that rows were judged under."""
    rows = [
        [
            kind,
            plain(name),
            plain(facts["title"], None),
            *(stated(facts[key]) for key in ("written_by", "approved_by", "approved_on")),
            f"`{facts['sha256'][:16]}`",
        ]
        for kind, found in (("policy", manifest["policies"]), ("rubric", manifest["rubrics"]))
        for name, facts in sorted(found.items())
    ]
    heads = ["kind", "version", "title", "written by", "approved by", "approved on", "SHA-256"]
    return section("Policies and rubrics", table(heads, rows))
