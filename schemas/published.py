"""The published tables: pairs, ties and the votes behind both. Trainers load them without our code."""

import pandera.polars as pa
import polars as pl

from schemas.columns import column, identifier, messages, table, text
from schemas.vocabulary import ANNOTATOR_KINDS, BEHAVIOURS, ORDERS, PREFERENCES, SAFETY, SIDES

PAIR_VOTES = pl.Struct({"chosen": pl.Int64, "rejected": pl.Int64, "tie": pl.Int64, "both_bad": pl.Int64})
TIE_VOTES = pl.Struct({"a": pl.Int64, "b": pl.Int64, "tie": pl.Int64, "both_bad": pl.Int64})
UUID5 = r"^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
FOLDS = ("human", "model", "adjudicated")

_KEY = {
    "pair_id": identifier("Digest of the prompt and the two responses."),
    "policy_version": text("The policy that the verdicts were given under.", nullable=False),
    "rubric_version": text("The rubric that the verdicts were given under.", nullable=False),
    "root_id": identifier("The first user message that the conversation grew from; never on two sides."),
    "prompt_id": identifier("Digest of the normalised prompt."),
    "prompt": messages("The messages before the response."),
}
_LABELS = {
    "category": text("What the prompt is about; null when the votes' labels differ."),
    "language": text("The prompt's language; null when the votes' labels differ."),
    "template_id": text("The template that the prompt was made from; null when the votes' labels differ."),
    "safety": column(pl.String, "benign or unsafe; null when the votes' labels differ.", nullable=True, one_of=SAFETY),
    "license": text("The strictest licence among the votes, as SPDX.", nullable=False),
    "purposes": column(pl.List(pl.String), "The purposes that every vote allows, sorted."),
    "sources": column(pl.List(pl.String), "The sources of the votes, sorted."),
    "comparison_ids": column(pl.List(pl.String), "The comparisons folded into this row, sorted."),
}


def _agreement() -> pa.Column:
    return column(
        pl.Float64,
        "Share of vote pairs that agree (Fleiss 1971, eq. 2); null with fewer than two votes.",
        nullable=True,
        at_least=0.0,
        at_most=1.0,
    )


def _fold() -> pa.Column:
    return column(pl.String, "Whose verdicts decided: human, model (or rule) or adjudicated.", one_of=FOLDS)


def _model(which: str) -> pa.Column:
    return text(f"What generated {which}; null when the votes' labels differ.")


def _behaviour(which: str) -> pa.Column:
    description = f"What {which} does with the request; null when the votes' labels differ."
    return column(pl.String, description, nullable=True, one_of=BEHAVIOURS)


PAIRS = table(
    "pairs",
    "The dataset: one row per pair, policy and rubric on which the votes chose a side.",
    {
        **_KEY,
        "chosen": text("The response that was chosen.", nullable=False),
        "rejected": text("The response that was not.", nullable=False),
        "strength": column(
            pl.Float64,
            "Mean signed strength towards chosen, -1 to 1 (a tie counts 0); null when any vote states none.",
            nullable=True,
            at_least=-1.0,
            at_most=1.0,
        ),
        "p_chosen": column(pl.Float64, "(chosen + half of tie and both_bad) / all votes.", at_least=0.0, at_most=1.0),
        "votes": column(PAIR_VOTES, "How many votes chose each side, or neither."),
        "agreement": _agreement(),
        "fold": _fold(),
        "adjudication_id": text("The adjudication that decided, where one did."),
        "model_chosen": _model("chosen"),
        "model_rejected": _model("rejected"),
        "behaviour_chosen": _behaviour("chosen"),
        "behaviour_rejected": _behaviour("rejected"),
        **_LABELS,
    },
    unique=["pair_id", "policy_version", "rubric_version"],
)

TIES = table(
    "ties",
    "Pairs on which the votes chose no side; a and b in the order of their response ids.",
    {
        **_KEY,
        "response_a": text("The response with the lesser id.", nullable=False),
        "response_b": text("The response with the greater id.", nullable=False),
        "p_a": column(pl.Float64, "(a + half of tie and both_bad) / all votes.", at_least=0.0, at_most=1.0),
        "votes": column(TIE_VOTES, "How many votes chose each side, or neither."),
        "agreement": _agreement(),
        "fold": _fold(),
        "adjudication_id": text("The adjudication that decided, where one did."),
        "model_a": _model("response a"),
        "model_b": _model("response b"),
        "behaviour_a": _behaviour("response a"),
        "behaviour_b": _behaviour("response b"),
        **_LABELS,
    },
    unique=["pair_id", "policy_version", "rubric_version"],
)

_CANARY = {
    "canary": column(
        pl.String,
        "One text in all held-out rows of an epoch: where it turns up, held-out rows have gone astray.",
        matches=UUID5,
    )
}
HELDOUT_PAIRS = table(
    "held-out pairs", f"{PAIRS.description} Held out.", {**PAIRS.columns, **_CANARY}, unique=PAIRS.unique
)
HELDOUT_TIES = table("held-out ties", f"{TIES.description} Held out.", {**TIES.columns, **_CANARY}, unique=TIES.unique)

VOTES = table(
    "votes",
    "The comparisons behind pairs and ties, without text; annotators as numbers of this build, times as dates.",
    {
        "pair_id": identifier("The pair or tie that the comparison belongs to."),
        "policy_version": text("The policy it was judged under.", nullable=False),
        "rubric_version": text("The rubric it was judged under.", nullable=False),
        "comparison_id": identifier("The comparison.", unique=True),
        "table": column(pl.String, "Where its pair was published: pairs or ties.", one_of=("pairs", "ties")),
        "folded": column(pl.Boolean, "False for a model's or rule's verdict on a pair that humans decided."),
        "preference": column(
            pl.String, "The verdict; a and b in the order of their response ids, as in ties.", one_of=PREFERENCES
        ),
        "strength": column(
            pl.Float64, "How strongly, 0 to 1; null when unknown.", nullable=True, at_least=0.0, at_most=1.0
        ),
        "presented_order": column(
            pl.String,
            "Which was shown first, in the same order of a and b; null when unknown.",
            nullable=True,
            one_of=ORDERS,
        ),
        "annotator_number": column(
            pl.Int64, "Who judged: a number that holds in this build only.", nullable=True, at_least=1
        ),
        "annotator_kind": column(pl.String, "human, model or rule.", one_of=ANNOTATOR_KINDS),
        "created_on": column(pl.Date, "The day of the verdict (UTC); null when unknown.", nullable=True),
        "source": text("The source's name.", nullable=False),
    },
)

PUBLISHED = {
    **{f"{side}/pairs.parquet": HELDOUT_PAIRS if side == "heldout" else PAIRS for side in SIDES},
    **{f"{side}/ties.parquet": HELDOUT_TIES if side == "heldout" else TIES for side in SIDES},
    **{f"{side}/votes.parquet": VOTES for side in SIDES},
}
"""Every published file, by its place below data/publish."""
