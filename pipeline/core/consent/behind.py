"""Whom a row needs: everybody whom it, or another delivery of it, names; and its annotator's own word on the source."""

import polars as pl

from pipeline.core.consent.states import KEY

REF = ["role", "subject", "consent_id"]
_WHOLE = "source:"


def behind(rows: pl.LazyFrame, copied: pl.LazyFrame, consents: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row for each reference of `rows`, with their columns but `consent_refs`; nulls where there is none.

    `rows` has comparison_id, annotator and consent_refs; `copied` is who else is named by other deliveries. Where the
    record of a whole source covers a row, its annotator may have said something of that record themselves: a
    withdrawal, say. Where `consents` has that, it counts as theirs.
    """
    stated = rows.explode("consent_refs", empty_as_null=True).unnest("consent_refs")
    kept = [name for name in rows.collect_schema().names() if name != "consent_refs"]
    others = rows.select(kept).join(copied, on="comparison_id", how="inner")
    named = pl.concat([stated, others.select(*kept, *REF)])
    covered = named.filter(pl.col("subject").str.starts_with(_WHOLE) & pl.col("annotator").is_not_null())
    own = covered.with_columns(role=pl.lit("annotator"), subject=pl.col("annotator"))
    return pl.concat([named, own.join(consents.select(KEY), on=KEY, how="semi")]).unique()
