"""What the stages between the texts pass on: one thin row for each comparison that a stage received."""

import pandera.polars as pa
import polars as pl

from schemas.columns import column, identifier, table, text
from schemas.vocabulary import SIDES

_ID = identifier("The comparison decided on; one row for each that the stage received.", unique=True)
_DROP_REASON = text("Why the stage dropped it; null = kept.")


def _decisions(name: str, description: str, found: dict[str, pa.Column]) -> pa.DataFrameSchema:
    return table(name, description, {"comparison_id": _ID, "drop_reason": _DROP_REASON, **found})


VALIDATE = _decisions(
    "validate decisions",
    "Which comparisons meet the contract, and for which purposes all behind them consent to their use.",
    {
        "purposes": column(
            pl.List(pl.String), "The purposes that its source and all its consents allow, sorted; empty when none."
        ),
        "consent_events": column(
            pl.List(pl.String), "Digests of the consent events that this hangs on, sorted; empty when none is known."
        ),
    },
)

DEDUPE = _decisions(
    "dedupe decisions",
    "Which comparisons say again, or took back, what the same annotator said of the same pair.",
    {"stays": identifier("The comparison that stays in its place; null for a kept row.", nullable=True)},
)

SPLIT = _decisions(
    "split decisions",
    "On which side each comparison stands, and whether its purposes cover that side.",
    {"side": column(pl.String, "train, validation or heldout, by the keyed hash of root_id.", one_of=SIDES)},
)
