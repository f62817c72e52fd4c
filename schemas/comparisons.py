"""The comparison: one annotator's verdict on two responses to one prompt under one rubric."""

import polars as pl

from schemas.columns import CONSENT_REFS, INSTANT, column, identifier, messages, table, text
from schemas.vocabulary import ANNOTATOR_KINDS, BEHAVIOURS, ORDERS, PREFERENCES, SAFETY

COMPARISONS = table(
    "comparisons",
    "One row per verdict, as ingested; the only place besides the published pairs where text stands.",
    {
        "comparison_id": identifier(
            "Keyed digest of the verdict as shown; constants of the sidecar are no part of it.", unique=True
        ),
        "pair_id": identifier("Digest of the prompt and the two responses, whichever was shown first."),
        "prompt_id": identifier("Digest of the prompt after NFKC and white-space folding."),
        "root_id": identifier("Digest of the first user message; the unit that is split, never divided."),
        "match_key": identifier("Digest of the lower-cased user turns; for sides and contamination only."),
        "response_a_id": identifier("Digest of response a's exact text after an outer strip."),
        "response_b_id": identifier("Digest of response b's exact text after an outer strip."),
        "prompt": messages("The messages before the response."),
        "response_a": text("The first candidate as the source presents them.", nullable=False),
        "response_b": text("The second candidate as the source presents them.", nullable=False),
        "preference": column(
            pl.String,
            "The verdict: a, b, tie or both_bad; null when the record names none.",
            nullable=True,
            one_of=PREFERENCES,
        ),
        "strength": column(pl.Float64, "How strongly, 0 to 1; null when unknown, never 0 for unknown.", nullable=True),
        "strength_raw": text("The strength as the record states it."),
        "strength_scale": text("The scale that the sidecar declares for the raw strength."),
        "confidence": column(pl.Float64, "How sure the annotator says they are, as stated.", nullable=True),
        "rationale": text("The annotator's own words; counts as text and never leaves ingest."),
        "presented_order": column(
            pl.String, "Which response was shown first: ab or ba; null when unknown.", nullable=True, one_of=ORDERS
        ),
        "annotator": identifier("Who judged, as a keyed pseudonym; null when nobody is named.", nullable=True),
        "annotator_kind": column(pl.String, "human, model or rule.", one_of=ANNOTATOR_KINDS),
        "model_a": text("What generated response a."),
        "model_b": text("What generated response b."),
        "decoder_a": text("How response a was sampled, as stated."),
        "decoder_b": text("How response b was sampled, as stated."),
        "chat_template_sha256": text("Digest of the chat template that the responses were made with, as stated."),
        "behaviour_a": column(
            pl.String,
            "What response a does with the request: comply, partial or refuse.",
            nullable=True,
            one_of=BEHAVIOURS,
        ),
        "behaviour_b": column(
            pl.String,
            "What response b does with the request: comply, partial or refuse.",
            nullable=True,
            one_of=BEHAVIOURS,
        ),
        "policy_version": text("The written behaviour policy that says what is desired."),
        "rubric_version": text("The written instruction that the annotator judged by."),
        "category": text("A slice: what the prompt is about, as stated."),
        "language": text("A slice: the prompt's language, as stated (BCP 47)."),
        "template_id": text("A slice: the template that the prompt was made from, as stated."),
        "safety": column(pl.String, "A slice: benign or unsafe, as labelled.", nullable=True, one_of=SAFETY),
        "created_at": column(INSTANT, "When the verdict was given, in UTC; null when unknown.", nullable=True),
        "duration_s": column(pl.Float64, "How long the annotator took, in seconds.", nullable=True, at_least=0.0),
        "consent_refs": column(CONSENT_REFS, "Who consented to this row, in which role, by which consent record."),
        "source": text("The folder under data/raw that the record came from.", nullable=False),
        "license": text("The source's licence, as SPDX.", nullable=False),
    },
)
