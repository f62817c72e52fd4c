"""What ingest writes beside the comparisons: where each was found, and what became of each record."""

import polars as pl

from schemas.columns import column, identifier, table, text

OUTCOMES = ("gave_comparisons", "only_copies", "quarantined", "no_comparison", "reference")

OCCURRENCES = table(
    "occurrences",
    "Where each comparison was found: one row per delivery and per record that it draws on. Never leaves ingest.",
    {
        "comparison_id": identifier("The comparison that was found here."),
        "delivery": column(pl.Int64, "0 for the delivery that the stages read, 1 and up for its copies.", at_least=0),
        "canonical": column(pl.Boolean, "True for delivery 0."),
        "part": column(
            pl.String, "verdict, or side for a record that the verdict was joined to.", one_of=("verdict", "side")
        ),
        "source": text("The source's name.", nullable=False),
        "source_file": text("The raw file, relative to data/raw.", nullable=False),
        "source_row": column(pl.Int64, "The record's number in that file, from 1.", at_least=1),
        "record_digest": identifier("Keyed digest of the record's raw bytes."),
        "event": identifier(
            "Keyed digest of the declared event id; null where the sidecar declares none.", nullable=True
        ),
    },
)

RECORDS = table(
    "records",
    "What became of every record of every raw file: the account of records, row by row.",
    {
        "source": text("The source's name.", nullable=False),
        "source_file": text("The raw file, relative to data/raw.", nullable=False),
        "source_row": column(pl.Int64, "The record's number in that file, from 1.", at_least=1),
        "record_digest": identifier("Keyed digest of the record's raw bytes."),
        "outcome": column(pl.String, "The first that applies of the five outcomes.", one_of=OUTCOMES),
        "reason": text("Why, for quarantined and no_comparison."),
    },
    unique=["source_file", "source_row"],
)

QUARANTINE = table(
    "quarantine",
    "Records, or single candidates of a record, that cannot be written as a comparison; without their text.",
    {
        "source": text("The source's name.", nullable=False),
        "source_file": text("The raw file, relative to data/raw.", nullable=False),
        "source_row": column(pl.Int64, "The record's number in that file, from 1.", at_least=1),
        "fan_out": text("Which of the record's comparisons; null when it is the whole record."),
        "reason": text("Why it cannot be written.", nullable=False),
        "record_digest": identifier("Keyed digest of the record's raw bytes."),
    },
)
