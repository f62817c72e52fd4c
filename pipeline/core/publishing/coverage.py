"""Coverage: how many of each source's published verdicts state where they come from, field by field."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from pipeline.core.publishing.quality import share
from pipeline.core.sidecar.sidecars import Source

STATED_BY = "stated"
"""The column with one bit for each of `FIELDS`, in their order: set where the verdict states the field."""

FIELDS = (
    *("annotator", "annotator_kind", "consent_refs"),
    *("model_a", "model_b", "decoder_a", "decoder_b", "chat_template_sha256"),
    *("policy_version", "rubric_version", "created_at", "presented_order", "language", "strength"),
)
"""The fields of a comparison that say where it comes from."""

KEYS = ("collected_by", "written_by", "filtered_by", "approved_by", "approved_on")
"""The keys of a sidecar that say where all its records come from."""


def stated() -> pl.Expr:
    """Return `STATED_BY` of each comparison; one number a row is all that is carried to where rows are counted."""
    bits = [states(field).cast(pl.UInt32) * (1 << place) for place, field in enumerate(FIELDS)]
    return pl.sum_horizontal(bits).cast(pl.UInt32).alias(STATED_BY)


def states(field: str) -> pl.Expr:
    """Say of each comparison whether it states a field: consent, where one reference names a subject and a record."""
    if field != "consent_refs":
        return pl.col(field).is_not_null()
    part = pl.element().struct.field
    whole = part("subject").is_not_null() & part("consent_id").is_not_null()
    return pl.col(field).list.eval(whole).list.any().fill_null(value=False)


def coverage(sources: Iterable[Source], counted: Mapping[tuple[str, int], int]) -> dict[str, dict[str, Any]]:
    """Return each source's published verdicts and the share of them that states each field.

    `counted` holds the number of verdicts by source and by what they state. A source without a published verdict has
    shares of 0.
    """
    return {source.name: _of_source(source, _own(source.name, counted)) for source in sources}


def _own(name: str, counted: Mapping[tuple[str, int], int]) -> Counter[int]:
    return Counter({bits: rows for (source, bits), rows in counted.items() if source == name})


def _of_source(source: Source, counted: Counter[int]) -> dict[str, Any]:
    rows = counted.total()
    fields = {
        field: sum(some for bits, some in counted.items() if bits >> place & 1) for place, field in enumerate(FIELDS)
    }
    keys = {key: rows if getattr(source.sidecar, key) is not None else 0 for key in KEYS}
    return {"rows": rows, **{name: share(some, rows) for name, some in {**fields, **keys}.items()}}
