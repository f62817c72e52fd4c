"""What the data statement counts while publish folds: who judged, on what consent, how many votes a row has.

Annotators are counted by kind, and verdicts by kind and source: no number here is of one annotator's verdicts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import polars as pl

from pipeline.core.accounts import most_first, must_add_up
from pipeline.core.sidecar.sidecars import Source
from schemas.vocabulary import ANNOTATOR_KINDS, CONSENT_ROLES, SIDES

CONSENTED_BY = "consented"
"""The column with one bit for each of `CONSENT_ROLES`, in their order, and one for the record of a whole source."""

WHOLE_SOURCE = "whole_source"
MOST_VOTES = 5
"""Rows with this many votes or more are counted together."""

NONE = "none"
_TABLES = ("pairs", "ties")
_WHOLE = 1 << len(CONSENT_ROLES)
_RowCounts: TypeAlias = Mapping[tuple[str, str], int]


def consented() -> pl.Expr:
    """Return `CONSENTED_BY` of each comparison: whose consent records it names, a person's by the person's role."""
    part = pl.element().struct.field
    places = {role: 1 << place for place, role in enumerate(CONSENT_ROLES)}
    bit = (
        pl.when(part("subject").is_null() | part("consent_id").is_null()).then(0)
        .when(part("subject").str.starts_with("source:")).then(_WHOLE)
        .otherwise(part("role").replace_strict(places, default=0, return_dtype=pl.Int32))
    )  # fmt: skip
    # The sum of different powers of two sets each bit once.
    named = pl.col("consent_refs").list.eval(bit).list.unique().list.sum()
    return named.fill_null(0).cast(pl.UInt8).alias(CONSENTED_BY)


class Statement:
    """Counts of verdicts and rows, gathered a part at a time; all are sums, so parts and orders change nothing."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._annotators = pl.DataFrame(schema={"annotator": pl.String, "annotator_kind": _KIND})
        # Verdicts: by source and kind, those of nobody named by kind, by purposes, by whose consents they name.
        self._judged: Counter[tuple[str, str]] = Counter()
        self._unnamed: Counter[str] = Counter()
        self._allowed: Counter[str] = Counter()
        self._named: Counter[int] = Counter()
        # Rows: by table and sources, and by table and purposes; of each side and table by votes, fold and strength.
        self._sources: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._purposes: Counter[tuple[str, str]] = Counter()
        self._folded: Counter[tuple[str, str, int, str, bool]] = Counter()
        # Rows of train and validation.
        self._licenses: Counter[str] = Counter()
        self._languages: Counter[str | None] = Counter()

    @property
    def annotators(self) -> pl.DataFrame:
        """Whoever judged, once each, in no order."""
        return self._annotators.select("annotator").unique()

    def add(self, verdicts: pl.DataFrame, folded: pl.DataFrame) -> None:
        """Count the verdicts of a part, and the rows that they became."""
        known = verdicts.select("annotator", pl.col("annotator_kind").cast(_KIND)).drop_nulls("annotator")
        self._annotators = pl.concat([self._annotators, known.unique()]).unique()
        for source, kind, unnamed, purposes, bits, count in verdicts.group_by(_BY_VERDICT).len().iter_rows():
            self._judged[source, kind] += count
            self._unnamed[kind] += count if unnamed else 0
            self._allowed[_joined(purposes)] += count
            self._named[bits] += count
        for *folds, licensed, sources, purposes, count in folded.group_by(_BY_ROW).len().iter_rows():
            side, table, votes, fold, unknown = folds
            self._folded[side, table, votes, fold, unknown] += count
            self._sources[table, tuple(sources)] += count
            self._purposes[table, _joined(purposes)] += count
            self._licenses[licensed] += count if side != "heldout" else 0
        loaded = folded.filter(pl.col("side") != "heldout")
        self._languages.update(dict(loaded.group_by("language").len().iter_rows()))

    def facts(self, sources: Iterable[Source], verdicts: int, rows: _RowCounts) -> dict[str, Any]:
        """Return what the manifest says; `verdicts`, and `rows` by side and table, are what the counts must come to."""
        bases = {one.name: one.sidecar.consent.basis if one.sidecar.consent else NONE for one in sources}
        loaded = sum(count for (side, _), count in rows.items() if side != "heldout")
        must_add_up("licences", loaded, {"rows": self._licenses.total()})
        must_add_up("languages", loaded, {"rows": self._languages.total()})
        named = {name: count for name, count in self._languages.items() if name is not None}
        return {
            "annotators": self._of_annotators(verdicts),
            "verdicts": self._of_sources(),
            "consent": self._of_consent(bases, verdicts, rows),
            "folded": {side: {table: self._of_rows(side, table, rows) for table in _TABLES} for side in SIDES},
            "licenses": most_first(+self._licenses),
            "languages": {"stated": most_first(named), "unstated": self._languages[None]},
        }

    def _of_annotators(self, verdicts: int) -> dict[str, dict[str, int]]:
        people = dict(self._annotators.group_by("annotator_kind").len().iter_rows())
        judged = _summed((kind, count) for (_, kind), count in self._judged.items())
        must_add_up("verdicts by annotator kind", verdicts, judged)
        return {
            kind: {"annotators": people.get(kind, 0), "verdicts": judged[kind], "unnamed": self._unnamed[kind]}
            for kind in ANNOTATOR_KINDS
            if kind in judged
        }

    def _of_sources(self) -> dict[str, dict[str, int]]:
        return {
            source: {kind: self._judged[source, kind] for kind in ANNOTATOR_KINDS if (source, kind) in self._judged}
            for source in sorted({source for source, _ in self._judged})
        }

    def _of_consent(self, bases: Mapping[str, str], verdicts: int, rows: _RowCounts) -> dict[str, Any]:
        """Count what rests on which basis, that of the sources behind it, and on which purposes, which all allow."""
        by_basis = _summed((bases[source], count) for (source, _), count in self._judged.items())
        named = _summed((_whose(bits), count) for bits, count in self._named.items())
        for name, counted in {"basis": by_basis, "purposes": self._allowed, "whose consent": named}.items():
            must_add_up(f"verdicts by {name}", verdicts, counted)
        roles = {role: self._with(1 << place) for place, role in enumerate((*CONSENT_ROLES, WHOLE_SOURCE))}
        told = {"by_basis": most_first(by_basis), "by_purposes": most_first(self._allowed)}
        return {
            "verdicts": {**told, "by_role": roles, "named": most_first(named)},
            **{table: self._of_table(table, bases, rows) for table in _TABLES},
        }

    def _with(self, bit: int) -> int:
        return sum(count for bits, count in self._named.items() if bits & bit)

    def _of_table(self, table: str, bases: Mapping[str, str], rows: _RowCounts) -> dict[str, dict[str, int]]:
        found = ((names, count) for (of, names), count in self._sources.items() if of == table)
        by_basis = _summed((" + ".join(sorted({bases[name] for name in names})), count) for names, count in found)
        by_purposes = _summed((allowed, count) for (of, allowed), count in self._purposes.items() if of == table)
        whole = sum(count for (_, of), count in rows.items() if of == table)
        must_add_up(f"{table} by basis", whole, by_basis)
        must_add_up(f"{table} by purposes", whole, by_purposes)
        return {"by_basis": most_first(by_basis), "by_purposes": most_first(by_purposes)}

    def _of_rows(self, side: str, table: str, rows: _RowCounts) -> dict[str, Any]:
        """Count a file's rows by their votes, by whose verdicts decided, and the pairs whose strength is unknown."""
        own = {key[2:]: count for key, count in self._folded.items() if key[:2] == (side, table)}
        votes = _summed((votes, count) for (votes, _, _), count in own.items())
        must_add_up(f"{side} {table} by votes", rows.get((side, table), 0), {str(key): n for key, n in votes.items()})
        return {
            "rows": votes.total(),
            "by_votes": {_of_votes(number): votes[number] for number in range(1, MOST_VOTES + 1)},
            "by_fold": most_first(_summed((fold, count) for (_, fold, _), count in own.items())),
            # Ties have no strength.
            **({"strength_unknown": sum(own[key] for key in own if key[-1])} if table == "pairs" else {}),
        }


def _of_votes(number: int) -> str:
    return f"{number} or more" if number == MOST_VOTES else str(number)


def _whose(bits: int) -> str:
    """Say whose consent records a verdict itself names."""
    whole, people = bool(bits & _WHOLE), bool(bits & ~_WHOLE)
    return "people and whole source" if whole and people else WHOLE_SOURCE if whole else "people" if people else NONE


def _joined(purposes: Iterable[str]) -> str:
    return ", ".join(purposes) or NONE


def _summed(counts: Iterable[tuple[Any, int]]) -> Counter[Any]:
    total: Counter[Any] = Counter()
    for name, count in counts:
        total[name] += count
    return total


_KIND = pl.Enum(ANNOTATOR_KINDS)
_BY_VERDICT = ["source", "annotator_kind", pl.col("annotator").is_null(), "purposes", CONSENTED_BY]
_VOTES, _UNKNOWN = pl.col("n").clip(upper_bound=MOST_VOTES), pl.col("strength").is_null()
_BY_ROW = ["side", "table", _VOTES, "fold", _UNKNOWN, "license", "sources", "purposes"]
