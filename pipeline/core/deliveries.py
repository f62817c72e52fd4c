"""Deliveries: which of a comparison's places is read, and what became of each record."""

import polars as pl

from schemas.columns import dtypes
from schemas.ingested import OCCURRENCES, RECORDS


def delivered(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Give each comparison's deliveries their numbers, by record digest; the first is canonical.

    It is not the least (file, row): copies may differ outside the verdict (a category, say), and which one is read
    must not hang on file names or row order.
    """
    ordered = verdicts.sort("comparison_id", "record_digest", "source_file", "source_row")
    delivery = pl.int_range(pl.len(), dtype=pl.Int64).over("comparison_id")
    return ordered.with_columns(delivery=delivery, part=pl.lit("verdict")).with_columns(
        canonical=pl.col("delivery") == 0
    )


def side_parts_of(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Return the records that verdicts draw on beside their own, one row each."""
    sides = verdicts.filter(pl.col("sides").list.len() > 0).explode("sides")
    side = pl.col("sides").struct.field
    named = sides.with_columns(
        part=pl.lit("side"), source_file=side("file"), source_row=side("row"), record_digest=side("digest")
    )
    return named.select(*dtypes(OCCURRENCES))


def outcomes_of(records: pl.DataFrame, occurrences: pl.DataFrame, quarantine: pl.DataFrame) -> pl.DataFrame:
    """Give each record its outcome: what its reader says, else what became of the candidates that draw on it."""
    place = ["source_file", "source_row"]
    given = occurrences.group_by(place).agg(gave=pl.col("canonical").any())
    faults = (
        _with_partners(quarantine).sort("fan_out", "reason", nulls_last=False)
        .group_by(place, maintain_order=True).agg(fault=pl.col("reason").first())
    )  # fmt: skip
    joined = records.join(given, on=place, how="left").join(faults, on=place, how="left")
    decided = (
        pl.when("gave").then(pl.lit("gave_comparisons"))
        .when(pl.col("gave").is_not_null()).then(pl.lit("only_copies"))
        .when(pl.col("fault").is_not_null()).then(pl.lit("quarantined"))
    )  # fmt: skip
    outcome = pl.coalesce("outcome", decided)
    reason = pl.coalesce("reason", pl.when(outcome == "quarantined").then("fault"))
    return joined.with_columns(outcome=outcome, reason=reason).select(*dtypes(RECORDS))


def _with_partners(quarantine: pl.DataFrame) -> pl.DataFrame:
    """Name beside each quarantined candidate's record the other records that it draws on."""
    columns = ["source_file", "source_row", "fan_out", "reason"]
    side = pl.col("sides").struct.field
    drawn_on = quarantine.filter(pl.col("sides").list.len() > 0).explode("sides")
    named = drawn_on.with_columns(source_file=side("file"), source_row=side("row"))
    return pl.concat([quarantine.select(columns), named.select(columns)])
