"""How each consent stands: its events folded, the latest statement of each thing, and the strictest where two are equal.

After ISO/IEC TS 27560, which keeps a consent's history as events; the order of files and lines does not matter.
"""

from datetime import datetime

import polars as pl

from pipeline.core.consent.purposes import as_bits, from_bits
from schemas.columns import dtypes
from schemas.consents import CONSENTS
from schemas.vocabulary import CONSENT_STATUSES

KEY = ["consent_id", "subject"]
_MOMENT = [*KEY, "status_time"]
# Two jurisdictions stated for one moment: the code that ISO 3166 leaves to users, which no list of allowed ones names.
_NOBODY_S = "ZZ"


def consents(events: pl.DataFrame, at: datetime | None = None) -> pl.DataFrame:
    """Fold events to one row per consent; `at` leaves out what happened after it.

    Takes the table `consent events` with its digests, gives the table `consents`.
    """
    known = events if at is None else events.filter(pl.col("status_time") <= at)
    coded = known.with_columns(
        as_bits(pl.col("purposes")),
        pl.col("status").cast(pl.Enum(CONSENT_STATUSES)),
        pl.col("legal_basis", "recipients").list.sort(),
    )
    moments = _moments(coded).sort(_MOMENT)
    stated = [name for name in dtypes(CONSENTS) if name in coded.columns and name not in {*KEY, "event"}]
    decided = pl.col("event").filter(pl.col("status").is_not_null()).last()
    folded = moments.group_by(KEY, maintain_order=True).agg(
        *(pl.col(name).drop_nulls().last() for name in stated),
        event=pl.coalesce(decided, pl.col("event").last()),
        events=pl.col("events").sum().cast(pl.Int64),
        contradictions=pl.col("contradicted").sum().cast(pl.Int64),
        newest=pl.col("status_time").last(),
    )
    purposes = from_bits(folded["purposes"])
    shown = pl.when(pl.col("purposes").is_not_null()).then(purposes).alias("purposes")
    return folded.with_columns(shown, pl.col("status").cast(pl.String)).select(*dtypes(CONSENTS))


def _moments(events: pl.DataFrame) -> pl.DataFrame:
    """Make one event of those of a consent that have one time: the strictest of each thing that they state."""
    shared = pl.struct(_MOMENT).is_duplicated()
    alone = events.filter(~shared).with_columns(events=pl.lit(1, pl.UInt32), contradicted=pl.lit(value=False))
    together = events.filter(shared)
    if together.is_empty():
        return alone
    merged = together.group_by(_MOMENT).agg(*_strictest(), events=pl.len(), contradicted=_contradicted(together))
    return pl.concat([alone, merged.select(alone.columns)])


def _strictest() -> list[pl.Expr]:
    several = pl.col("jurisdiction").n_unique() - pl.col("jurisdiction").null_count().clip(0, 1) > 1
    both = pl.col("license").drop_nulls().unique().sort()
    plain = ["conforms_to", "withdrawal_method", "notice_uri", "notice_version", "language", "evidence_sha256"]
    return [
        pl.col("status").max(),
        pl.when(pl.col("purposes").count() > 0).then(pl.col("purposes").drop_nulls().bitwise_and()).alias("purposes"),
        *(_all_of(name) for name in ("legal_basis", "recipients")),
        pl.when(several).then(pl.lit(_NOBODY_S)).otherwise(pl.col("jurisdiction").max()).alias("jurisdiction"),
        pl.col("valid_until", "retention_until").min(),
        pl.col("special_category").max(),
        pl.when(both.len() > 0).then(("(" + both + ")").str.join(" AND ")).alias("license"),
        pl.col(*plain, "collection_method", "controller").max(),
        pl.col("event").sort_by(pl.col("status"), "event", nulls_last=False).last(),
    ]


def _all_of(name: str) -> pl.Expr:
    listed = pl.col(name).drop_nulls()
    return pl.when(listed.len() > 0).then(listed.explode().unique().sort().implode()).alias(name)


def _contradicted(events: pl.DataFrame) -> pl.Expr:
    stated = [name for name in events.columns if name not in {*_MOMENT, "event"}]
    return pl.any_horizontal(pl.col(name).drop_nulls().n_unique() > 1 for name in stated)
