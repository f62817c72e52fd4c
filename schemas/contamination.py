"""What decontaminate finds: prompts that hold a benchmark's text, by each rule that says so."""

import polars as pl

from schemas.columns import column, identifier, table, text

RULES = ("match", "ngram", "near")

CONTAMINATION = table(
    "contamination",
    "Prompts that hold a text of a benchmark: one row for each prompt, text and rule that found it. Never published.",
    {
        "contamination_id": identifier("Digest of benchmark, item, turn, rule and match_key.", unique=True),
        "match_key": identifier("The prompt: digest of its lower-cased user turns."),
        "root_id": identifier("The root of that prompt."),
        "benchmark": text("The benchmark's name.", nullable=False),
        "item": text("The item's id, or FILE:RECORD where the sidecar names none.", nullable=False),
        "turn": column(
            pl.Int64,
            "Which turn of the item, from 1; null for all turns of an item together.",
            nullable=True,
            at_least=1,
        ),
        "rule": column(pl.String, "match, ngram or near.", one_of=RULES),
        "coverage": column(
            pl.Float64,
            "Share of the text's words that stand in the prompt, in runs; null unless the rule is ngram.",
            nullable=True,
            at_least=0.0,
            at_most=1.0,
        ),
        "similarity": column(
            pl.Float64,
            "Jaccard similarity of the text to the prompt or its root, the greater one; null unless the rule is near.",
            nullable=True,
            at_least=0.0,
            at_most=1.0,
        ),
        "position": column(
            pl.Int64,
            "At which word of the user turns, from 0, the text's first run begins; 0 for match, null for near.",
            nullable=True,
            at_least=0,
        ),
    },
)
