"""What the stages between the texts pass on: a thin row for each comparison received, and the conflicts among them."""

import pandera.polars as pa
import polars as pl

from schemas.columns import column, identifier, table, text
from schemas.vocabulary import CONFLICT_KINDS, SIDES

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

CONFLICTS = table(
    "conflicts",
    "Pairs on which the votes contradict each other: a row for each pair, policy, rubric and kind of conflict.",
    {
        "kind": column(
            pl.String,
            "opposite: votes for both responses. cycle: part of a circle of preference among a prompt's responses.",
            one_of=CONFLICT_KINDS,
        ),
        "cycle": identifier(
            "Digest of prompt, policy, rubric and all responses of the circle (circles that share a response are one); "
            "null for opposite.",
            nullable=True,
        ),
        "prompt_id": identifier("Digest of the normalised prompt."),
        "pair_id": identifier("The pair."),
        "policy_version": text("The policy that the verdicts were given under.", nullable=False),
        "rubric_version": text("The rubric that the verdicts were given under.", nullable=False),
        "response_a_id": identifier("The lesser response id."),
        "response_b_id": identifier("The greater response id."),
        "votes_a": column(pl.Int64, "How many votes chose response a, an annotator's verdicts being one.", at_least=0),
        "votes_b": column(pl.Int64, "How many votes chose response b.", at_least=0),
        "votes_tie": column(pl.Int64, "How many votes chose neither.", at_least=0),
        "votes_both_bad": column(pl.Int64, "How many votes found both bad.", at_least=0),
        "comparison_ids": column(
            pl.List(pl.String), "The comparisons behind these votes, sorted: humans' where any human judged the pair."
        ),
    },
    unique=["pair_id", "policy_version", "rubric_version", "kind"],
)

SPLIT = _decisions(
    "split decisions",
    "On which side each comparison stands, and whether it may be used there.",
    {
        "side": column(
            pl.String, "train, validation or heldout: the keyed hash of root_id, or its strictest pin.", one_of=SIDES
        ),
        "near": identifier(
            "The match key or root_id of the neighbour that withheld it, the least of several; for seen_in_training "
            "that of the released prompt, which may be its own; null for every other reason, and for a kept row.",
            nullable=True,
        ),
    },
)
