"""Near neighbours: which prompts, and which roots, are near each other; no text."""

import polars as pl

from schemas.columns import column, identifier, table

KINDS = ("prompt", "root")

NEAR = table(
    "near",
    "Prompts of different roots whose user turns are near each other, and roots that are. Each two once.",
    {
        "kind": column(pl.String, "prompt for two match keys, root for two roots.", one_of=KINDS),
        "a": identifier("The lesser key of the two: match_key, or root_id."),
        "b": identifier("The greater key of the two."),
        "root_a": identifier("The root of a."),
        "root_b": identifier("The root of b."),
        "similarity": column(
            pl.Float64, "Jaccard similarity of their shingles, with six decimals.", at_least=0.0, at_most=1.0
        ),
    },
    unique=["kind", "a", "b"],
)
