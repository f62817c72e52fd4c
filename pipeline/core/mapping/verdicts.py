"""Verdicts: what an adapter finds in records, as raw values that are then judged like any mapped value.

An adapter is mostly one function: from a record as it was seen to its verdicts, or to the reason why it names none.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from pipeline.core.mapping.candidates import CANDIDATES, NO_COMPARISON_REASONS, RECORDS, Batch, Found, RawFile, assemble
from pipeline.core.mapping.fieldmap import Joined, columns_for
from pipeline.core.mapping.sides import SideRecord, parts_column, read_sides, unjoined
from pipeline.core.mapping.statements import consent_column, consents_together, own_statements
from pipeline.core.raw.rawfiles import RawBatch
from pipeline.core.sidecar.specs import AnySpec, FromPath, Messages

# The join under which a verdict's values are read; no sidecar can name one so.
_GIVEN = ""
TEXT_BYTES = 64 * 2**20
_STRENGTH = ("strength_raw", "strength_scale")


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A decoded record, where it stands, and the side record that each join found for it (None where none)."""

    row: int
    digest: str
    content: dict[str, Any]
    sides: Mapping[str, SideRecord | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One comparison: raw values by field, of any type; what is not given is null.

    `key` tells a record's comparisons apart and is part of their ids. `fault` is the reason to quarantine it. `of`
    names the records that it draws on, the first of which is the verdict's own; empty where there is but one.
    """

    values: Mapping[str, Any]
    key: str | None = None
    fault: str | None = None
    of: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class NoVerdict:
    """A sound record that gives no comparison, and one of NO_COMPARISON_REASONS."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fills:
    """The fields that an adapter gives, each with its value spec; `stated` are the sidecar's words, not the record's.

    What the sidecar states is no part of a comparison's id, so that editing it renames nothing.
    """

    specs: Mapping[str, AnySpec]
    stated: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[str]:
        """Name the fields."""
        return iter(self.specs)


def fills(*names: str, stated: Sequence[str] = (), **special: Mapping[str, Any]) -> Fills:
    """Declare the fields that an adapter gives; `special` are keys of a value spec, such as `unit` of a time."""
    specs: dict[str, AnySpec] = {}
    for name in (*names, *special):
        path = f"{_GIVEN}:{name}"
        specs[name] = Messages(path) if name == "prompt" else FromPath(path, **special.get(name, {}))
    return Fills(specs, frozenset(stated))


def read_verdicts(file: RawFile, find: Callable[[Seen], list[Verdict] | NoVerdict], given: Fills) -> Iterator[Batch]:
    """Yield a file's batches, where each record by itself gives its verdicts (one at least) or says why it has none."""
    for raw in file.batches():
        found = [(seen, find(seen)) for seen in seen_in(file, raw)]
        placed = [(seen, verdict) for seen, those in found if isinstance(those, list) for verdict in those]
        silent = {seen.row: those.reason for seen, those in found if isinstance(those, NoVerdict)}
        yield Batch(outcomes(raw, silent), pl.DataFrame(schema=CANDIDATES))
        for some in bounded(placed):
            yield Batch(pl.DataFrame(schema=RECORDS), candidates_of(file, some, given))


def bounded(placed: Iterable[tuple[Seen, Verdict]]) -> Iterator[list[tuple[Seen, Verdict]]]:
    """Cut verdicts where their texts would take too much memory: each of a record's verdicts repeats its prompt."""
    held: list[tuple[Seen, Verdict]] = []
    size, last, record = 0, -1, 0
    for seen, verdict in placed:
        if seen.row != last:
            last, record = seen.row, text_size(seen.content)
        held.append((seen, verdict))
        size += record + text_size(verdict.values)
        if size >= TEXT_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def text_size(value: Any) -> int:  # noqa: ANN401
    """Return about how many bytes the texts of a value take."""
    if type(value) is str:
        return len(value)
    if type(value) is list:
        return sum(map(text_size, value))
    return sum(map(text_size, value.values())) if type(value) is dict else 8


def gathered(found: Iterable[list[Verdict] | NoVerdict]) -> list[Verdict] | NoVerdict:
    """Put together what the judgements of one record give: verdicts, else the first reason in the documented order."""
    verdicts: list[Verdict] = []
    reasons = set()
    for those in found:
        if isinstance(those, NoVerdict):
            reasons.add(those.reason)
        else:
            verdicts += those
    reason = next((reason for reason in NO_COMPARISON_REASONS if reason in reasons), "not_judged")
    return verdicts or NoVerdict(reason)


def seen_in(file: RawFile, raw: RawBatch) -> Iterator[Seen]:
    """Yield the records that could be decoded, joined to their side records."""
    rows, digests, records = raw.decoded()
    found = read_sides(file.source, file.reading).found(records) if file.source.sidecar.join else {}
    for place, (row, digest, record) in enumerate(zip(rows, digests, records, strict=True)):
        yield Seen(row, digest, record, {name: column[place] for name, column in found.items()})


def outcomes(raw: RawBatch, silent: Mapping[int, str]) -> pl.DataFrame:
    """Account for a batch of records: quarantined as a whole, silent for a reason, or decided by their verdicts."""
    unread = [None if reason is None else "quarantined" for reason in raw.reasons]
    stated = ["no_comparison" if row in silent else outcome for row, outcome in zip(raw.rows, unread, strict=True)]
    reasons = [silent.get(row, reason) for row, reason in zip(raw.rows, raw.reasons, strict=True)]
    return pl.DataFrame([raw.rows, raw.digests, stated, reasons], schema=RECORDS)


def candidates_of(file: RawFile, placed: Sequence[tuple[Seen, Verdict]], given: Fills) -> pl.DataFrame:
    """Build candidates from verdicts: the sidecar's map over their records, and the adapter's values over it."""
    if not placed:
        return pl.DataFrame(schema=CANDIDATES)
    verdicts = [verdict for _, verdict in placed]
    joined = _joined(file, placed)
    specs = {**dict(file.variants())[None], **_judged(given)}
    columns, found = columns_for(specs, joined)
    columns |= _strength_as_stated(verdicts, given)
    columns["consent_refs"], ref_faults = _consents(file, placed, joined)
    columns["sides"] = _drawn_on(file.name, placed)
    absent = unjoined([[seen.sides.get(name) for seen, _ in placed] for name in file.source.used_sides(specs)])
    own = {name: spec for name, spec in specs.items() if name not in given.stated}
    columns["own"] = own_statements(own, columns, len(placed))
    rows, digests = [seen.row for seen, _ in placed], [seen.digest for seen, _ in placed]
    keys = [verdict.key for verdict in verdicts]
    return assemble(rows, digests, keys, columns, [*_faults(verdicts), *found, *ref_faults, *absent])


def _consents(file: RawFile, placed: Sequence[tuple[Seen, Verdict]], joined: Joined) -> tuple[pl.Series, Found]:
    """Return who consented to each verdict, as all the records that it draws on state it."""
    refs = file.source.consent_refs
    drawn = [(place, one) for place, (seen, verdict) in enumerate(placed) for one in verdict.of or (seen,)]
    if not refs or len(drawn) == len(placed):
        return consent_column(refs, joined)
    each = _joined(file, [(seen, placed[place][1]) for place, seen in drawn])
    return consents_together(*consent_column(refs, each), [place for place, _ in drawn])


def _joined(file: RawFile, placed: Sequence[tuple[Seen, Verdict]]) -> Joined:
    sides: dict[str, list[dict[str, Any] | None]] = {
        name: [None if (side := seen.sides.get(name)) is None else side.content for seen, _ in placed]
        for name in file.source.sidecar.join
    }
    sides[_GIVEN] = [dict(verdict.values) for _, verdict in placed]
    return Joined([seen.content for seen, _ in placed], sides, file.source.text_alone(file.group))


def _judged(given: Fills) -> dict[str, AnySpec]:
    return {name: spec for name, spec in given.specs.items() if name not in _STRENGTH}


def _strength_as_stated(verdicts: list[Verdict], given: Fills) -> dict[str, pl.Series]:
    """Keep what the source says of strength and its scale, where the adapter's number is made of it."""
    return {
        name: pl.Series(name, [verdict.values.get(name) for verdict in verdicts], dtype=pl.String)
        for name in _STRENGTH
        if name in given.specs
    }


def _drawn_on(name: str, placed: Sequence[tuple[Seen, Verdict]]) -> pl.Series:
    """Return, per verdict, where the records stand that it draws on beside its own: in this file, and joined ones."""
    drawn = []
    for seen, verdict in placed:
        others = [other for other in verdict.of if other.row != seen.row]
        sides = [side for one in (seen, *others) for side in one.sides.values() if side is not None]
        here = {(name, other.row, other.digest) for other in others}
        drawn.append(sorted({(side.file, side.row, side.digest) for side in sides} | here))
    return parts_column(drawn)


def _faults(verdicts: list[Verdict]) -> Found:
    named = sorted({verdict.fault for verdict in verdicts if verdict.fault is not None})
    return [(name, pl.Series([verdict.fault == name for verdict in verdicts], dtype=pl.Boolean)) for name in named]
