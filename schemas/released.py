"""What releases gave away: the prompts of train and validation, which may be held out no more."""

import polars as pl

from schemas.columns import column, identifier, table

RELEASED = table(
    "released prompts",
    "The prompts of one release's train and validation; restricted, as a digest lets anyone test a guess.",
    {
        "match_key": identifier("Digest of the lower-cased user turns."),
        "root_id": identifier("Digest of the first user message."),
        "side": column(pl.String, "Where it was published: train or validation.", one_of=("train", "validation")),
    },
    unique=["match_key"],
)
