"""JSON-LD to nodes: prefixes, contexts and @graph are expanded; nothing is ever fetched, nothing dropped unseen."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pipeline.lineage.consent.faults import UnfitError

Node: TypeAlias = dict[str, Any]

DPV = "https://w3id.org/dpv#"
DCT = "http://purl.org/dc/terms/"
GDPR = "https://w3id.org/dpv/legal/eu/gdpr#"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
SKOS = "http://www.w3.org/2004/02/skos/core#"
SCHEMA = "https://schema.org/"
PREFIXES: Mapping[str, str] = {
    "dpv": DPV,
    "dct": DCT,
    "dcterms": DCT,
    "eu-gdpr": GDPR,
    "dpv-27560": "https://w3id.org/dpv/schema/dpv-27560#",
    "loc": "https://w3id.org/dpv/loc#",
    "pd": "https://w3id.org/dpv/pd#",
    "tech": "https://w3id.org/dpv/tech#",
    "rdf": RDF,
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": SKOS,
    "schema": SCHEMA,
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "prov": "http://www.w3.org/ns/prov#",
    "odrl": "http://www.w3.org/ns/odrl/2/",
}
UNEXPLAINED = "keys that no context explains"
_OTHER = "terms of other vocabularies"
_ALONE = "nodes that no record refers to"

_DPV_S_OWN = re.compile(r"https?://(w3id\.org/dpv|w3c\.github\.io/dpv|(dev\.)?dpvcg\.org)([/#.]|$)")
# A name that says what it is; anything else may be a person's id, as a file's keys are its writer's.
_NAME = re.compile(r"[A-Za-z]{2,40}")
_DPV_NAME = re.compile(r"(?:has|is)[A-Z][A-Za-z]{1,40}")


def expand(record: Node, dropped: Counter[str]) -> list[Node]:
    """Expand a decoded JSON-LD record to its nodes: full IRIs as keys, lists of values.

    The prefixes above are known to every record; DPV's own remote context stands for them. Any other remote context is
    an error. Relative ids stay as they are. Keys that come to no IRI are counted in `dropped`.
    """
    from pyld import jsonld  # late: it takes 0.2 s

    remote: list[str] = []

    def load(url: str, _: Any) -> dict[str, Any]:  # noqa: ANN401
        if not _DPV_S_OWN.match(url):
            remote.append(url)
            raise UnfitError(url)
        known = {"@context": {**PREFIXES, "@vocab": DPV, "id": "@id", "type": "@type"}}
        return {"contentType": "application/ld+json", "contextUrl": None, "documentUrl": url, "document": known}

    options = {"documentLoader": load, "expandContext": {"@base": None, **PREFIXES}}
    try:
        nodes = jsonld.expand(record, options, on_property_dropped=lambda _: dropped.update([UNEXPLAINED]))
    except (
        jsonld.JsonLdError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ):
        msg = "not JSON-LD that can be expanded: look at its @context, @id, @type and @value"
        if remote:
            msg = "its @context is a remote one, which is never fetched: write the prefixes into the record instead"
        raise UnfitError(msg) from None
    return list(_apart(nodes))


def _apart(nodes: Iterable[Node]) -> Iterator[Node]:
    """Take nodes out of the graphs that hold them."""
    for node in nodes:
        yield from _apart([*node.get("@graph", []), *node.get("@included", [])])
        rest = {key: value for key, value in node.items() if key not in {"@graph", "@included"}}
        if set(rest) - {"@id"}:
            yield rest


@dataclass(slots=True)
class Graph:
    """The nodes of one document: what is read of them is noted, so that the rest can be told."""

    tops: list[Node]
    not_kept: Counter[str] = field(default_factory=Counter)
    _by_id: dict[str, Node] = field(default_factory=dict)
    _read: set[tuple[int, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Note where each id is described; what several places say of one id is put together, as JSON-LD has it."""
        known: set[str] = set()
        waiting = list(self.tops)
        while waiting:
            node = waiting.pop()
            if "@value" in node:
                continue
            if isinstance(node.get("@id"), str) and len(node) > 1:
                self._describe(node, known)
            waiting += [one for value in node.values() for one in _nodes_in(value)]

    def _describe(self, node: Node, known: set[str]) -> None:
        whole = self._by_id.setdefault(node["@id"], {"@id": node["@id"]})
        for key, value in node.items():
            if not isinstance(value, list):
                whole[key] = value
                continue
            told = {json.dumps([node["@id"], key, one], sort_keys=True): one for one in value}
            whole.setdefault(key, []).extend(one for text, one in told.items() if text not in known)
            known.update(told)

    def whole(self, value: Node) -> Node:
        """Return all that the document says of a node."""
        return self._by_id.get(value.get("@id", ""), value) if "@value" not in value else value

    def named(self, text: str) -> Node | None:
        """Return the node whose id a plain text gives, as consent records often name parties."""
        return self._by_id.get(text)

    def values(self, node: Node, *terms: str) -> list[Node]:
        """Return the values of properties, references resolved, and note them as read."""
        found = []
        for term in terms:
            self._read.add((id(node), term))
            found += [self.whole(one) for value in node.get(term, []) for one in value.get("@list", [value])]
        return found

    def unread(self, records: Iterable[Node]) -> Counter[str]:
        """Count what was not read of records and of what they refer to, by the term's short name."""
        left: Counter[str] = Counter()
        waiting = [(self.whole(record), "") for record in records]
        seen: set[int] = set()
        while waiting:
            node, path = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            for term, value in node.items():
                if term == "@reverse" or (not term.startswith("@") and (id(node), term) not in self._read):
                    left[path + short(term)] += 1
                elif not term.startswith("@"):
                    waiting += [(self.whole(one), f"{short(term)}/") for one in _nodes_in(value)]
        left[_ALONE] += sum(id(self.whole(top)) not in seen for top in self.tops)
        return +left


def _nodes_in(value: Any) -> list[Node]:  # noqa: ANN401
    """Return the nodes and values that a property has, those of its lists included."""
    values = value if isinstance(value, list) else [value]
    return [inner for one in values if isinstance(one, dict) for inner in one.get("@list", [one])]


def short(iri: str) -> str:
    """Name a term by its known prefix; one that is not plainly a term's name is not repeated."""
    for prefix, namespace in PREFIXES.items():
        local = iri.removeprefix(namespace)
        if local != iri and (_DPV_NAME if prefix == "dpv" else _NAME).fullmatch(local):
            return f"{prefix}:{local}"
    return _OTHER
