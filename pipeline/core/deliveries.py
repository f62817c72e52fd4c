"""Deliveries: which of a comparison's places is read, and what became of each record."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pipeline.core.accounts import tally
from pipeline.core.digests import framed
from pipeline.core.ingested import copies_elsewhere
from pipeline.core.tables import write_sorted
from schemas.columns import dtypes
from schemas.ingested import OCCURRENCES, RECORDS

OCCURRENCES_BY = ["comparison_id", "delivery", "part", "source_file", "source_row"]
_PLACE = ["source_file", "source_row"]


@dataclass(slots=True)
class Delivered:
    """What all deliveries together say, counted part by part."""

    verdicts: int = 0
    comparisons: int = 0
    unread: int = 0
    """Rows of shards that are not read, because another shard's is."""
    kept_by_source: Counter[str] = field(default_factory=Counter)
    places: list[pl.DataFrame] = field(default_factory=list)
    """The records that comparisons draw on; `gave` where one of these is read from there."""

    def count(self, part: pl.DataFrame) -> None:
        """Take in the occurrences of one part of the comparisons."""
        verdicts = part.filter(pl.col("part") == "verdict")
        self.verdicts += verdicts.height
        self.comparisons += verdicts["comparison_id"].n_unique()
        self.unread += copies_elsewhere(part).height
        self.kept_by_source.update(tally(verdicts.filter("canonical"), "source"))
        self.places.append(part.group_by(_PLACE).agg(gave=pl.col("canonical").any()))


def write_occurrences(parts: Iterable[pl.DataFrame], path: Path) -> Delivered:
    """Write where each comparison was found; `parts` are verdicts cut by the leading digits of the comparison's id."""
    found = Delivered()

    def counted() -> Iterator[pl.DataFrame]:
        for verdicts in parts:
            occurrences = occurrences_of(verdicts)
            found.count(occurrences)
            yield occurrences.sort(OCCURRENCES_BY)

    write_sorted(counted(), path, OCCURRENCES)
    return found


def occurrences_of(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Give each comparison's deliveries their numbers, the first of which is canonical, and name what they draw on.

    It is not the least (file, row): copies may differ outside the verdict (a category, say), and which one is read
    must not hang on file names or row order.
    """
    place = pl.element().struct.field
    drawn = pl.col("sides").list.eval(framed(place("file"), place("row").cast(pl.String), place("digest")))
    # One record may deliver a comparison more than once, beside other records: these tell the deliveries apart.
    listed = verdicts.with_columns(drawn=drawn.list.sort().list.join(""))
    ordered = listed.sort("comparison_id", "record_digest", "source_file", "source_row", "drawn")
    delivery = pl.int_range(pl.len(), dtype=pl.Int64).over("comparison_id")
    numbered = ordered.with_columns(delivery=delivery, part=pl.lit("verdict")).with_columns(
        canonical=pl.col("delivery") == 0
    )
    columns = list(dtypes(OCCURRENCES))
    side = pl.col("sides").struct.field
    drawn_on = numbered.filter(pl.col("sides").list.len() > 0).explode("sides")
    named = drawn_on.with_columns(
        part=pl.lit("side"), source_file=side("file"), source_row=side("row"), record_digest=side("digest")
    )
    return pl.concat([numbered.select(columns), named.select(columns)])


def outcomes_of(records: pl.DataFrame, delivered: Delivered, quarantine: pl.DataFrame) -> pl.DataFrame:
    """Give each record its outcome: what its reader says, else what became of the candidates that draw on it."""
    given = pl.concat(delivered.places).group_by(_PLACE).agg(pl.col("gave").any())
    faults = (
        _with_partners(quarantine).sort("fan_out", "reason", nulls_last=False)
        .group_by(_PLACE, maintain_order=True).agg(fault=pl.col("reason").first())
    )  # fmt: skip
    joined = records.join(given, on=_PLACE, how="left").join(faults, on=_PLACE, how="left")
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
    columns = [*_PLACE, "fan_out", "reason"]
    side = pl.col("sides").struct.field
    drawn_on = quarantine.filter(pl.col("sides").list.len() > 0).explode("sides")
    named = drawn_on.with_columns(source_file=side("file"), source_row=side("row"))
    return pl.concat([quarantine.select(columns), named.select(columns)])
