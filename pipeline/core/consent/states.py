"""How each consent stands: its events folded, the latest statement of each thing, the strictest of one moment.

After ISO/IEC TS 27560, which keeps a consent's history as events; the order of files and lines does not matter.
"""

from datetime import datetime

import polars as pl

from pipeline.core.consent.purposes import as_bits, from_bits
from schemas.columns import dtypes
from schemas.consents import CONSENTS, EVENTS
from schemas.vocabulary import CONSENT_STATUSES, LEGAL_BASES, PURPOSES, SPECIAL_BASES

KEY = ["consent_id", "subject"]
_MOMENT = [*KEY, "status_time"]
_STATED = [name for name in dtypes(EVENTS) if name not in _MOMENT]
_CODED = {"purposes": PURPOSES, "legal_basis": LEGAL_BASES}
_SPECIAL = sum(1 << LEGAL_BASES.index(basis) for basis in SPECIAL_BASES)
# Two jurisdictions stated for one moment: the code that ISO 3166 leaves to users, which no list of allowed ones names.
_NOBODY_S = "ZZ"


def consents(events: pl.DataFrame, at: datetime | None = None) -> pl.DataFrame:
    """Fold events to one row per consent; `at` leaves out what happened after it.

    Takes the table `consent events` with its digests, gives the table `consents`.
    """
    known = events if at is None else events.filter(pl.col("status_time") <= at)
    moments = _moments(_coded(known)).sort(_MOMENT)
    decided = pl.col("event").filter(pl.col("status").is_not_null()).last()
    folded = moments.group_by(KEY, maintain_order=True).agg(
        *(pl.col(name).drop_nulls().last() for name in _STATED),
        event=pl.coalesce(decided, pl.col("event").last()),
        events=pl.col("events").sum().cast(pl.Int64),
        contradictions=pl.col("contradicted").sum().cast(pl.Int64),
        newest=pl.col("status_time").last(),
    )
    named = [
        pl.when(folded[name].is_not_null()).then(from_bits(folded[name], known)).alias(name)
        for name, known in _CODED.items()
    ]
    return folded.with_columns(*named, pl.col("status").cast(pl.String)).select(*dtypes(CONSENTS))


def contradictions(events: pl.DataFrame) -> pl.DataFrame:
    """List the moments of which a consent has two events that state different things, with the `keys` that differ."""
    shared = _coded(events.filter(pl.struct(_MOMENT).is_duplicated()))
    differing = shared.group_by(_MOMENT).agg(_differs(name) for name in _STATED)
    named = [pl.when(pl.col(name)).then(pl.lit(name)) for name in _STATED]
    keys = differing.select(*_MOMENT, keys=pl.concat_list(named).list.drop_nulls())
    return keys.filter(pl.col("keys").list.len() > 0).sort(_MOMENT)


def _coded(events: pl.DataFrame) -> pl.DataFrame:
    """Put numbers in place of codes, so that the strictest is an extreme, or a bitwise `and`."""
    return events.with_columns(
        *(as_bits(pl.col(name), known) for name, known in _CODED.items()),
        pl.col("status").cast(pl.Enum(CONSENT_STATUSES)),
    )


def _moments(events: pl.DataFrame) -> pl.DataFrame:
    """Make one event of those of a consent that have one time: the strictest of each thing that they state."""
    shared = pl.struct(_MOMENT).is_duplicated()
    alone = events.filter(~shared).with_columns(events=pl.lit(1, pl.UInt32), contradicted=pl.lit(value=False))
    together = events.filter(shared)
    if together.is_empty():
        return alone
    contradicted = pl.any_horizontal(_differs(name) for name in _STATED)
    merged = together.group_by(_MOMENT).agg(*_strictest(), events=pl.len(), contradicted=contradicted)
    return pl.concat([alone, merged.select(alone.columns)])


def _differs(name: str) -> pl.Expr:
    return pl.col(name).drop_nulls().n_unique() > 1


def _strictest() -> list[pl.Expr]:
    """Give what counts of several events of one moment: what allows least; where none does, the greatest text.

    A basis of Article 9 of the GDPR lifts a bar, so it counts only where all that state a basis state it.
    """
    basis = pl.col("legal_basis")
    any_s, all_s = (pl.when(basis.count() > 0).then(bits) for bits in (basis.bitwise_or(), basis.bitwise_and()))
    both = ("(" + pl.col("license").drop_nulls().unique().sort() + ")").str.join(" AND ")
    recipients = pl.col("recipients").drop_nulls()
    plain = ["conforms_to", "withdrawal_method", "notice_uri", "notice_version", "language", "evidence_sha256"]
    return [
        pl.col("status").max(),
        pl.when(pl.col("purposes").count() > 0).then(pl.col("purposes").bitwise_and()).alias("purposes"),
        ((any_s & ~pl.lit(_SPECIAL)) | (all_s & _SPECIAL)).alias("legal_basis"),
        _greatest("jurisdiction", where_they_differ=pl.lit(_NOBODY_S)),
        _greatest("license", where_they_differ=both),
        pl.col("valid_until", "retention_until").min(),
        pl.col("special_category").max(),
        pl.when(recipients.len() > 0).then(recipients.explode().unique().sort().implode()).alias("recipients"),
        pl.col(*plain, "collection_method", "controller").max(),
        pl.col("event").sort_by(pl.col("status"), "event", nulls_last=False).last(),
    ]


def _greatest(name: str, where_they_differ: pl.Expr) -> pl.Expr:
    return pl.when(_differs(name)).then(where_they_differ).otherwise(pl.col(name).max()).alias(name)
