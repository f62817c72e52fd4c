"""The fields that a sidecar can map, and what each may hold."""

from schemas.vocabulary import ANNOTATOR_KINDS, BEHAVIOURS, ORDERS, PREFERENCES, SAFETY

TEXTS = ("response_a", "response_b", "rationale")
LABELS = (
    "annotator",
    "model_a",
    "model_b",
    "decoder_a",
    "decoder_b",
    "chat_template_sha256",
    "category",
    "language",
    "template_id",
    "event_id",
    "policy_version",
    "rubric_version",
)
CHOICES = {
    "preference": PREFERENCES,
    "presented_order": ORDERS,
    "annotator_kind": ANNOTATOR_KINDS,
    "behaviour_a": BEHAVIOURS,
    "behaviour_b": BEHAVIOURS,
    "safety": SAFETY,
}
NUMBERS = ("confidence", "duration_s")
FIELDS = ("prompt", *TEXTS, *LABELS, *CHOICES, *NUMBERS, "strength", "created_at")

# What a record must hold to be written as a comparison at all.
NEEDED = ("prompt", "response_a", "response_b", "annotator_kind")
