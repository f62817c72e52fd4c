"""Consent records after ISO/IEC TS 27560 in W3C DPV 2.3: what they state, as events of the ledger.

A record says what was consented to, in itself and in its processes, and how consent stood when: a status is an event.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

from pipeline.lineage.consent.dpvvalues import (
    IDENTIFIERS,
    codes,
    dpv_code,
    iri,
    joined,
    kinds,
    last_of,
    license_of,
    only,
    party,
    purpose_code,
    text_of,
    texts,
)
from pipeline.lineage.consent.durations import earliest, until
from pipeline.lineage.consent.faults import UnfitError
from pipeline.lineage.consent.jsonld import DCT, DPV, PREFIXES, RDF, SCHEMA, Graph, Node
from schemas.vocabulary import CONSENT_STATUSES, LEGAL_BASES, PURPOSES

Event: TypeAlias = dict[str, Any]

_STATUS, _PROCESS = f"{DPV}hasConsentStatus", f"{DPV}hasProcess"
_TIME = f"{DPV}isIndicatedAtTime"
_RECIPIENTS = tuple(f"{DPV}{name}" for name in ("hasRecipient", "hasRecipientThirdParty", "hasThirdParty"))
_VERSIONS = (f"{DCT}hasVersion", f"{SCHEMA}version", f"{PREFIXES['owl']}versionInfo")
_UNDATED = {f"{DPV}{kind}Duration" for kind in ("UntilEvent", "FixedOccurrences", "FixedOccurences", "Endless")}
_NO_KEY = "durations without a date: until an event, or for a number of uses"


def is_record(node: Node) -> bool:
    """Say whether a node is a consent record; a receipt, which only repeats one, is an error."""
    if f"{DPV}ConsentReceipt" in node.get("@type", []):
        msg = "a consent receipt, which only repeats a record: import the record itself"
        raise UnfitError(msg)
    return f"{DPV}ConsentRecord" in node.get("@type", []) or _STATUS in node


class RecordReading:
    """One record of a document, with its processes: they inherit from it, and the ledger keeps all as one consent."""

    def __init__(self, graph: Graph, record: Node) -> None:
        """Find the processes of a record; a process that holds itself is looked at once."""
        self.graph, self.record = graph, record
        self._chains = list(self._innermost((record,)))
        self._scopes = list({id(node): node for chain in self._chains for node in chain}.values())
        graph.values(record, f"{DPV}hasEntity")  # parties are described there, and named elsewhere

    def _innermost(self, chain: tuple[Node, ...]) -> Iterator[tuple[Node, ...]]:
        """Yield each innermost process with all that it stands in, the record first."""
        inner = [one for one in self.graph.values(chain[-1], _PROCESS) if all(one is not outer for outer in chain)]
        for process in inner:
            yield from self._innermost((*chain, process))
        if not inner:
            yield chain

    def _gather(self, *terms: str) -> list[Node]:
        return [value for scope in self._scopes for value in self.graph.values(scope, *terms)]

    def _states(self, *terms: str) -> bool:
        return any(term in scope for scope in self._scopes for term in terms)

    def subject(self) -> str:
        """Return whom the record is about, as it says: an identifier, else an IRI."""
        told = self._gather(f"{DPV}hasDataSubject")
        found = {identifier for one in told for identifier in texts(self.graph, one, *IDENTIFIERS) or [text_of(one)]}
        if len(found) != 1:
            msg = f"{len(found)} identifiers of data subjects (dpv:hasDataSubject), where one is needed"
            raise UnfitError(msg)
        return found.pop()

    def events(self) -> list[Event]:
        """Return an event for each status, without its subject; all state what the record states."""
        shared = self._shared()
        statuses = self._history()
        first = earliest(self._time(one) for one in statuses) or ""
        shared["retention_until"] = earliest(until(limit, first) for limit in self._kept_for())
        events = [shared | self._moment(one, shared["legal_basis"]) for one in statuses]
        return [{key: value for key, value in event.items() if value is not None} for event in events]

    def _history(self) -> list[Node]:
        """Return the statuses of the record; where processes state them, all must stand alike."""
        told = [[scope for scope in chain if scope.get(_STATUS)] for chain in self._chains]
        if not all(told):
            msg = "no dpv:hasConsentStatus, or a process without one: nobody can tell how consent stands"
            raise UnfitError(msg)
        histories = [self.graph.values(scope, _STATUS) for chain in told for scope in chain]
        if len({frozenset((self._status(one), self._time(one)) for one in history) for history in histories}) > 1:
            msg = "its processes stand differently, and the ledger keeps one state: write a record for each of them"
            raise UnfitError(msg)
        return histories[0]

    def _status(self, value: Node) -> str:
        said = [dpv_code(one) for one in kinds(self.graph, value) if one != f"{DPV}ConsentStatus"]
        known = {one for one in said if one in CONSENT_STATUSES}
        if len(known) > 1 or not said:
            msg = "a status needs one code, and has none or several"
            raise UnfitError(msg)
        return known.pop() if known else said[-1]

    def _time(self, status: Node) -> str:
        """Return when a status was indicated; a bare one takes the record's time."""
        found = texts(self.graph, status, _TIME, f"{DCT}date") or [text_of(one) for one in self._gather(_TIME)]
        if len(set(found)) != 1:
            msg = "a status needs one time (dpv:isIndicatedAtTime), and has none or several"
            raise UnfitError(msg)
        return found[0]

    def _moment(self, status: Node, bases: list[str] | None) -> Event:
        """Return what one status states of its own."""
        time = self._time(status)
        kind = [code for code in map(dpv_code, status.get("@type", [])) if code in LEGAL_BASES]
        limits = [*self._limits(status), *texts(self.graph, status, f"{DCT}valid")]
        own = {
            "status": self._status(status),
            "status_time": time,
            "legal_basis": sorted({*(bases or []), *kind}) or None,
            "valid_until": earliest(until(limit, time) for limit in limits),
            "collection_method": joined(texts(self.graph, status, f"{DPV}hasIndicationMethod")),
        }
        notice = self._notice(self.graph.values(status, f"{DPV}hasNotice"))
        return own | {key: value for key, value in notice.items() if value is not None}

    def _shared(self) -> Event:
        """Return what the record states for all of its events; what it does not state is null."""
        bases = codes(self.graph, self._gather(f"{DPV}hasLegalBasis"), dpv_code, LEGAL_BASES, "LegalBasis")
        purposes = codes(self.graph, self._gather(f"{DPV}hasPurpose"), purpose_code, PURPOSES, "Purpose")
        recipients = sorted({party(self.graph, one) for one in self._gather(*_RECIPIENTS)})
        jurisdictions = (last_of(text_of(one)) for one in self._gather(f"{DPV}hasJurisdiction"))
        languages = (last_of(one) for one in texts(self.graph, self.record, f"{DCT}language"))
        notice = self._notice(self._gather(f"{DPV}hasNotice"))
        return notice | {
            "consent_id": only("consent_id", texts(self.graph, self.record, *IDENTIFIERS) or self._iri()),
            "purposes": purposes if self._states(f"{DPV}hasPurpose") else None,
            "legal_basis": bases or None,
            "jurisdiction": only("jurisdiction", jurisdictions),
            "special_category": self._special() or None,
            "license": only("license", (license_of(text_of(one)) for one in self._gather(f"{DCT}license"))),
            "conforms_to": only("conforms_to", map(iri, texts(self.graph, self.record, f"{DCT}conformsTo"))),
            "withdrawal_method": joined(self._withdrawal()),
            "language": notice["language"] or only("language", languages),
            "controller": joined(party(self.graph, one) for one in self._gather(f"{DPV}hasDataController")),
            "recipients": recipients if self._states(*_RECIPIENTS) else None,
        }

    def _iri(self) -> list[str]:
        return [own for own in [self.record.get("@id", "_:")] if not own.startswith("_:")]

    def _notice(self, notices: list[Node]) -> Event:
        """Return where a consent notice stands, its version and its language; other notices are not read."""
        mine = [one for one in notices if f"{DPV}RightExerciseNotice" not in one.get("@type", [])]
        for other in notices:
            if other not in mine:
                self._leave("dpv:hasNotice", other)
        places = [texts(self.graph, one, f"{DPV}hasLocation", f"{SCHEMA}url") or [text_of(one)] for one in mine]
        versions = (text for one in mine for text in texts(self.graph, one, *_VERSIONS))
        languages = (last_of(text) for one in mine for text in texts(self.graph, one, f"{DCT}language"))
        return {
            "notice_uri": only("notice_uri", (place for found in places for place in found)),
            "notice_version": only("notice_version", versions),
            "language": only("language", languages),
        }

    def _special(self) -> bool:
        """Say whether any of the data is stated to be of a special category."""
        kept = [kinds(self.graph, one) for one in self._gather(f"{DPV}hasPersonalData")]
        self.graph.not_kept["dpv:hasPersonalData"] += len(kept)
        return any(f"{DPV}SpecialCategoryPersonalData" in map(iri, one) for one in kept)

    def _withdrawal(self) -> Iterator[str]:
        for control in self._gather(f"{DPV}hasConsentControl"):
            if f"{DPV}WithdrawConsent" in control.get("@type", []):
                yield from texts(self.graph, control, f"{DPV}isExercisedAt")
            else:
                self._leave("dpv:hasConsentControl", control)

    def _leave(self, term: str, node: Node) -> None:
        """Note a node of another kind; what it states itself is found unread."""
        self.graph.not_kept[term] += all(key.startswith("@") for key in node)

    def _kept_for(self) -> Iterator[str]:
        for condition in self._gather(f"{DPV}hasStorageCondition"):
            if f"{DPV}StorageDuration" in condition.get("@type", []):
                yield from self._limits(condition)
            else:
                self._leave("dpv:hasStorageCondition", condition)

    def _limits(self, node: Node) -> Iterator[str]:
        """Yield the durations or dates of a node; those that hang on an event or a count are told as not kept."""
        for value in self.graph.values(node, f"{DPV}hasDuration"):
            if _UNDATED & set(value.get("@type", [])):
                self.graph.not_kept[_NO_KEY] += f"{DPV}EndlessDuration" not in value["@type"]
                self.graph.values(value, f"{RDF}value")
            elif f"{RDF}value" in value:
                yield from texts(self.graph, value, f"{RDF}value")
            else:
                yield text_of(value)
