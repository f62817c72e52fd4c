"""Who judged, how many votes rows have, and on what consent they rest."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.accounts import most_first
from pipeline.core.publishing.card.markdown import plain, section, stated, table
from pipeline.core.publishing.statement import WHOLE_SOURCE
from schemas.vocabulary import ANNOTATOR_KINDS, CONSENT_ROLES, SIDES

_TABLES = ("pairs", "ties")
_WHOSE = """\
So many verdicts name the consent record of a person in a role, or that of the whole source. A role that has
0 is covered by no record."""


def annotators(manifest: Mapping[str, Any]) -> list[str]:
    """Show how many annotators of each kind gave how many verdicts, and of which source."""
    told = "All published verdicts of all sides. Who annotators are is known as far as the sources state it below."
    kinds = [
        [kind, facts["annotators"], facts["verdicts"], facts["unnamed"]]
        for kind in ANNOTATOR_KINDS
        if (facts := manifest["annotators"].get(kind))
    ]
    heads = ["annotators", "how many", "verdicts", "verdicts that name nobody"]
    by_source = [
        [plain(name), *(counts.get(kind, 0) for kind in ANNOTATOR_KINDS)]
        for name, counts in sorted(manifest["verdicts"].items())
    ]
    return section("Annotators", told, table(heads, kinds), table(["verdicts of source", *ANNOTATOR_KINDS], by_source))


def votes(manifest: Mapping[str, Any]) -> list[str]:
    """Show how many votes rows have, who decided, and of how many the strength is unknown."""
    told = "One annotator's verdicts on a pair are one vote. " + (
        "Where people judged, their verdicts alone decide."
        if manifest["fold"]["humans_decide"]
        else "All verdicts decide."
    )
    shown = [(side, name, manifest["folded"][side][name]) for side in SIDES for name in _TABLES]
    numbers = sorted(shown[0][2]["by_votes"])
    rows = [
        [
            side,
            name,
            facts["rows"],
            *(facts["by_votes"][number] for number in numbers),
            facts["by_fold"].get("human", 0),
            facts["by_fold"].get("model", 0),
            facts.get("strength_unknown", "-"),
        ]
        for side, name, facts in shown
    ]
    counted = [f"{number} vote{'' if number == '1' else 's'}" for number in numbers]
    heads = ["side", "table", "rows", *counted, "decided by people", "by models or rules", "strength unknown"]
    return section("Votes", told, table(heads, rows))


def consent(manifest: Mapping[str, Any]) -> list[str]:
    """Show what rests on which legal basis and purposes, whose records are named, and what sources state."""
    as_of = manifest["accounts"]["validate"]["consent_ledger"]["as_of"]
    told = (
        f"Each verdict's consents had to stand to the end of {as_of}; what did not was dropped. A row's `purposes`\n"
        "are those that all behind it allow. Bases are those that the sources state: a row of several may have several."
    )
    found = manifest["consent"]
    tables = {
        name: table([name, "verdicts", *_TABLES], _rested(found, key))
        for name, key in (("legal basis", "by_basis"), ("purposes", "by_purposes"))
    }
    by_role = [[role.replace("_", " "), found["verdicts"]["by_role"][role]] for role in (*CONSENT_ROLES, WHOLE_SOURCE)]
    statements = [
        [plain(name), ", ".join(facts["roles"]).replace("_", " ") or "none", stated(facts["consent_statement"])]
        for name, facts in sorted(manifest["sources"].items())
        if name in manifest["verdicts"]
    ]
    heads = ["source", "roles that must consent", "what it states"]
    return section(
        "Consent", told, *tables.values(), _WHOSE, table(["role", "verdicts"], by_role), table(heads, statements)
    )


def _rested(found: Mapping[str, Any], key: str) -> list[list[Any]]:
    kinds = ("verdicts", *_TABLES)
    names = dict.fromkeys(name for kind in kinds for name in most_first(found[kind][key]))
    return [[plain(name, None), *(found[kind][key].get(name, 0) for kind in kinds)] for name in names]
