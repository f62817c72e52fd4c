"""Import: consent records that others keep, as events of the ledger; all of a file's or none.

Raw ids end here: what is written, and what is told, holds pseudonyms alone.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core.consent.events import MOST_FOUND, refuse
from pipeline.core.consent.writing import append_events
from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.core.raw.bytestream import open_stream
from pipeline.core.raw.rawfiles import Declared, Limits, read_batches
from pipeline.core.raw.splitting import BEGINNING, SPACE
from pipeline.lineage.consent.depending import depend_on_ledger
from pipeline.lineage.consent.dpvrecords import RecordReading, is_record
from pipeline.lineage.consent.faults import UnfitError
from pipeline.lineage.consent.jsonld import Graph, Node, expand
from pipeline.lineage.consent.rows import event_of_row, unknown_columns
from pipeline.lineage.consent.subjects import Subjects

INTO = "imported"
_LIMITS = Limits(record_bytes=16 * 2**20, depth=32)
_FORMATS: dict[str, Declared] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".jsonld": "json",
}
_COMPRESSED = (".gz", ".zst")
_BOM = b"\xef\xbb\xbf"

Placed = tuple[str, dict[str, Any]]
"""A record or an event, and where it was found."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import found, by count."""

    file: str
    into: str
    events: int
    new: int
    known: int
    consents: int
    subjects: int
    not_kept: dict[str, int]
    """What the records state and the ledger has no key for."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


def import_consents(project: Project, file: Path, source: str | None = None, into: str = INTO) -> Imported:
    """Add what a file states to data/ledger/consent/INTO.jsonl: CSV, TSV, or JSON-LD after ISO/IEC TS 27560 in DPV.

    `source` names the source whose ids the file's subjects are. Raises PairtrailError that names each record with a
    fault, and then nothing is written; no id and no text of a record is ever in it.
    """
    reading = _Reading(file, Subjects(project, source))
    if source is not None:
        reading.subjects.of_source(source)
    events = list(reading.events())
    refuse(file.name, reading.faults)
    places = [place for place, _ in events]
    stated = [event for _, event in events]
    new = append_events(project, into, stated, places.__getitem__)
    depend_on_ledger(project)
    return Imported(
        file=file.name,
        into=f"data/ledger/consent/{into}.jsonl",
        events=len(stated),
        new=new,
        known=len(stated) - new,
        consents=len({(event["consent_id"], event["subject"]) for event in stated}),
        subjects=len({event["subject"] for event in stated}),
        not_kept=dict(sorted(reading.not_kept.items())),
    )


def told(found: Imported) -> str:
    """Say what was imported, what was left out, and what to do next."""
    of = f"{found.consents:,} consents and {found.subjects:,} subjects"
    lines = [f"{found.events:,} events of {of}: {found.new:,} added to {found.into}, {found.known:,} known already"]
    if found.not_kept:
        lines.append("Stated and not kept, as the ledger has no key for it:")
        lines += [f"  {count:,} x {name}" for name, count in found.not_kept.items()]
    lines.append(f"{found.file} may hold raw ids: keep it out of git, and delete it once nobody needs it.")
    if found.new:
        lines.append(f"next: `dvc add {found.into}` (a real ledger is never in git), `pairtrail sync`, `dvc repro`")
    return "\n".join(lines)


@dataclass(slots=True)
class _Reading:
    """A file's events, each with its place, and what is wrong or left over."""

    file: Path
    subjects: Subjects
    faults: list[str] = field(default_factory=list)
    not_kept: Counter[str] = field(default_factory=Counter)

    def events(self) -> Iterator[Placed]:
        """Yield the events, until too many records have faults."""
        declared = _format(self.file)
        found = self._of_graphs() if declared == "json" else self._of_rows(declared)
        for event in found:
            yield event
            if len(self.faults) >= MOST_FOUND:
                return

    def _of_rows(self, declared: Declared) -> Iterator[Placed]:
        for at, (place, row) in enumerate(self._records(declared)):
            if at == 0 and (unknown := unknown_columns(list(row))):
                self.faults += [f"{self.file.name}: {fault}" for fault in unknown]
                return
            try:
                yield place, event_of_row(row, self.subjects)
            except UnfitError as error:
                self.faults.append(f"{place}: {error}")

    def _of_graphs(self) -> Iterator[Placed]:
        for place, document, sound in self._documents():
            graph = Graph([node for _, node in document])
            records: dict[int, Node] = {}
            for where, node in document:
                yield from self._of_node(graph, where, graph.whole(node), records)
            if sound and not records:
                self.faults.append(f"{place}: no dpv:ConsentRecord in it")
            self.not_kept += graph.not_kept + graph.unread(records.values())

    def _documents(self) -> Iterator[tuple[str, list[Placed], bool]]:
        """Yield the nodes of each document (an array, or any other record), and whether all could be expanded."""
        parts = ((place, *self._expanded(place, record)) for place, record in self._records("json"))
        if not _is_array(self.file):
            yield from parts
        elif whole := list(parts):
            yield self.file.name, [one for _, nodes, _ in whole for one in nodes], all(sound for *_, sound in whole)

    def _of_node(self, graph: Graph, place: str, node: Node, records: dict[int, Node]) -> Iterator[Placed]:
        try:
            if id(node) not in records and is_record(node):
                records[id(node)] = node
                reading = RecordReading(graph, node)
                subject = self.subjects.as_told(reading.subject())
                yield from [(place, {**event, "subject": subject}) for event in reading.events()]
        except UnfitError as error:
            self.faults.append(f"{place}: {error}")

    def _expanded(self, place: str, record: dict[str, Any]) -> tuple[list[Placed], bool]:
        try:
            return [(place, node) for node in expand(record, self.not_kept)], True
        except UnfitError as error:
            self.faults.append(f"{place}: {error}")
            return [], False

    def _records(self, declared: Declared) -> Iterator[Placed]:
        """Yield the records that can be decoded; the reasons of the others: docs/stages.md."""
        for batch in read_batches(self.file, declared, lambda raws: [""] * len(raws), _LIMITS):
            for row, value, reason in zip(batch.rows, batch.values, batch.reasons, strict=True):
                place = f"{self.file.name}: record {row}"
                if value is None:
                    self.faults.append(f"{place}: {reason}")
                else:
                    yield place, value
            if len(self.faults) >= MOST_FOUND:
                return


def _format(file: Path) -> Declared:
    suffixes = [suffix for suffix in file.suffixes if suffix not in _COMPRESSED]
    if not suffixes or suffixes[-1] not in _FORMATS:
        msg = f"{file.name}: its ending says no known format; known: {', '.join(_FORMATS)}, also compressed"
        raise PairtrailError(msg)
    return _FORMATS[suffixes[-1]]


def _is_array(file: Path) -> bool:
    try:
        with file.open("rb", buffering=0) as raw:
            return open_stream(raw).peek(BEGINNING).removeprefix(_BOM).lstrip(SPACE).startswith(b"[")
    except OSError as error:
        msg = f"{file.name}: cannot be read ({error.strerror})"
        raise PairtrailError(msg) from error
