"""What the values of a DPV record come to: texts, codes, parties, limits. A value is never repeated in an error."""

import re
from collections.abc import Callable, Iterable

from pipeline.lineage.consent.faults import UnfitError
from pipeline.lineage.consent.jsonld import DCT, DPV, GDPR, PREFIXES, SCHEMA, SKOS, Graph, Node
from schemas.vocabulary import PURPOSES

IDENTIFIERS = (f"{DPV}hasIdentifier", f"{DCT}identifier")
_NAMES = (f"{DPV}hasName", f"{DPV}hasLegalName", f"{SCHEMA}name", f"{PREFIXES['foaf']}name")
_LAST = re.compile(r"[#/:]")


def text_of(value: Node) -> str:
    """Return a value's text, a whole number's too, or the id of a node that has one."""
    found = value.get("@value", value.get("@id"))
    if type(found) is int:
        return str(found)
    if not isinstance(found, str) or found.startswith("_:"):
        msg = "a text or an IRI is needed where something else stands"
        raise UnfitError(msg)
    return found


def texts(graph: Graph, node: Node, *terms: str) -> list[str]:
    """Return the texts that a node has for terms."""
    return [text_of(value) for value in graph.values(node, *terms)]


def only(key: str, found: Iterable[str]) -> str | None:
    """Return the one text that there is, if any."""
    distinct = sorted(set(found))
    if len(distinct) > 1:
        msg = f"{len(distinct)} different values for `{key}`, of which the ledger keeps one"
        raise UnfitError(msg)
    return distinct[0] if distinct else None


def joined(found: Iterable[str]) -> str | None:
    """Join texts into one, in an order of their own."""
    return "; ".join(sorted(set(found))) or None


def kinds(graph: Graph, value: Node) -> list[str]:
    """Return what a value may be a code by: its text or id, its types, and what it is narrower than."""
    own = value.get("@value", value.get("@id"))
    named = [own] if isinstance(own, str) else []
    return [*named, *value.get("@type", []), *texts(graph, value, f"{SKOS}broader")]


def codes(
    graph: Graph, values: Iterable[Node], as_code: Callable[[str], str], known: tuple[str, ...], general: str
) -> list[str]:
    """Return the codes of values: those of each that are known, else the last that it names, for the ledger to refuse.

    `general` is the class of DPV that says no more than what kind of thing a value is.
    """
    found: list[str] = []
    for value in values:
        said = [as_code(one) for one in kinds(graph, value) if one != f"{DPV}{general}"]
        fits = [one for one in said if one in known]
        if not said:
            msg = f"a dpv:{general} without a code"
            raise UnfitError(msg)
        found += fits or said[-1:]
        beside = said[1:] if "@id" in value else said
        graph.not_kept[f"further kinds of a dpv:{general}"] += len({*beside} - {*fits}) if fits else 0
    return sorted(set(found))


def iri(text: str) -> str:
    """Write out a known prefix, as records often leave codes in plain texts."""
    prefix, colon, rest = text.partition(":")
    return f"{PREFIXES[prefix]}{rest}" if colon and prefix in PREFIXES else text


def dpv_code(text: str) -> str:
    """Name a status or a legal basis as the ledger does: DPV's own by its name, the GDPR's as `eu-gdpr:NAME`."""
    full = iri(text)
    return f"eu-gdpr:{full.removeprefix(GDPR)}" if full.startswith(GDPR) else full.removeprefix(DPV)


def purpose_code(text: str) -> str:
    """Name a purpose as the ledger does.

    The Data & Trust Alliance's codes have no IRIs: one counts as a text, and at the end of an IRI of any prefix.
    """
    full = iri(text)
    last = last_of(full)
    own = f"dpv:{last}"
    if last in PURPOSES:
        return last
    return own if full.startswith(DPV) or (full == last and own in PURPOSES) else full


def last_of(text: str) -> str:
    """Return the last part of an IRI: the code of a place, a language or a licence."""
    return _LAST.split(text)[-1]


def license_of(text: str) -> str:
    """Return an SPDX expression, of which the IRI of a single licence is one too."""
    host = re.match(r"https?://spdx\.org/licenses/", text)
    return text[host.end() :].removesuffix(".html") if host else text


def party(graph: Graph, value: Node) -> str:
    """Name a party: by its name, else its identifier, else its IRI; a plain text may be the id of a described one."""
    own = value.get("@value", value.get("@id"))
    node = (graph.named(own) if isinstance(own, str) else None) or value
    for terms in (_NAMES, IDENTIFIERS):
        if found := texts(graph, node, *terms):
            return min(found)
    return text_of(value)
