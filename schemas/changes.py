"""What `pairtrail diff --rows` writes: a row for each change between two builds; no text."""

import polars as pl

from schemas.columns import column, identifier, table, text
from schemas.vocabulary import SIDES

_SLICE = "as the row says after, or before where it is gone"

CHANGES = table(
    "changes",
    "What changed between two builds: a row for each change of a row or of a vote.",
    {
        "kind": text("What changed; docs/diff.md explains each kind.", nullable=False),
        "pair_id": identifier("The pair or tie."),
        "policy_version": text("The policy that its verdicts were given under.", nullable=False),
        "rubric_version": text("The rubric that its verdicts were given under.", nullable=False),
        "comparison_id": identifier("The vote; null where the row itself changed.", nullable=True),
        "reason": text("Why, or how.", nullable=False),
        "side_before": column(pl.String, "Its side before; null where it was not there.", nullable=True, one_of=SIDES),
        "side_after": column(pl.String, "Its side after; null where it is gone.", nullable=True, one_of=SIDES),
        "sources": text(f"The row's sources, joined by ` + `, or the vote's, {_SLICE}.", nullable=False),
        "category": text(f"What the prompt is about, {_SLICE}."),
        "language": text(f"The prompt's language, {_SLICE}."),
    },
)
