"""What a record states beside its fields: what is its own and not the sidecar's, and who consented."""

import polars as pl

from pipeline.core.digests import framed
from pipeline.core.mapping.candidates import RECORDS, Found
from pipeline.core.mapping.fieldmap import Joined, column_for
from pipeline.core.raw.rawfiles import RawBatch
from pipeline.core.sidecar.sidecars import ConsentRef
from pipeline.core.sidecar.specs import AnySpec
from schemas.columns import CONSENT_REFS

# What beside texts, verdict and annotator makes a comparison another one, and the field that it is mapped by.
_OWN = {
    name: name
    for name in (
        "presented_order",
        "annotator_kind",
        "model_a",
        "model_b",
        "policy_version",
        "rubric_version",
        "created_at",
    )
}
_OWN["strength_raw"] = "strength"


def own_statements(specs: dict[str, AnySpec], columns: dict[str, pl.Series], height: int) -> pl.Series:
    """Return as one text per row what the record itself says, not the sidecar, beside texts, verdict and annotator.

    It is part of the comparison's id; constants are not, so that editing a sidecar renames nothing.
    """
    stated = [name for name, field in _OWN.items() if field in specs and specs[field].paths()]
    frame = pl.DataFrame({"place": range(height), **{name: columns[name] for name in stated}})
    texts = [pl.col(name).to_physical().cast(pl.String) for name in stated]
    named = [framed(pl.lit(name), text) for name, text in zip(stated, texts, strict=True)]
    return frame.select(pl.concat_str([pl.repeat("", height), *named]).alias("own")).to_series()


def consent_column(refs: list[ConsentRef], joined: Joined) -> tuple[pl.Series, Found]:
    """Return each record's consent references; a subject or id that is not stated is null.

    They are put in order, and reduced where a role is stated twice, as those of a verdict on several records are: what
    a row says must not hang on what else is in the batch.
    """
    refs = sorted(refs, key=lambda ref: ref.role)
    column, found = _as_stated(refs, joined)
    if len({ref.role for ref in refs}) == len(refs):
        return column, found
    return consents_together(column, found, list(range(len(column))))


def _as_stated(refs: list[ConsentRef], joined: Joined) -> tuple[pl.Series, Found]:
    height = len(joined.records)
    found: Found = []
    built: list[pl.Expr] = []
    for ref in refs:
        subject, subject_faults = column_for("annotator", ref.subject, joined)
        consent_id, id_faults = column_for("annotator", ref.consent_id, joined)
        found += subject_faults + id_faults
        members = [
            pl.lit(ref.role).alias("role"),
            pl.lit(subject).alias("subject"),
            pl.lit(consent_id).alias("consent_id"),
        ]
        built.append(pl.struct(members))
    if not built:
        return pl.select(pl.repeat(pl.lit([], dtype=CONSENT_REFS), height).alias("consent_refs")).to_series(), found
    return pl.select(pl.concat_list(built).cast(CONSENT_REFS).alias("consent_refs")).to_series(), found


def consents_together(refs: pl.Series, found: Found, places: list[int]) -> tuple[pl.Series, Found]:
    """Gather the consent references of the records that each verdict draws on; `places` are verdicts, ascending.

    Everybody behind a row must have consented, so incomplete references are kept beside the others: where one record
    lacks a reference in a role, what the others state in it does not stand in for that.
    """
    single = pl.DataFrame({"place": places, "consent_refs": refs}).explode("consent_refs")
    kept = single.unique().sort("place", "consent_refs")
    together = kept.group_by("place", maintain_order=True).agg("consent_refs")
    marks = [
        (
            reason,
            pl.DataFrame({"place": places, "mark": mark}).group_by("place", maintain_order=True).agg(pl.any("mark")),
        )
        for reason, mark in found
    ]
    return together["consent_refs"].cast(CONSENT_REFS), [(reason, frame["mark"]) for reason, frame in marks]


def record_outcomes(raw: RawBatch) -> pl.DataFrame:
    """Return the records of a batch; those that could not be decoded are quarantined as a whole."""
    outcomes = [None if reason is None else "quarantined" for reason in raw.reasons]
    return pl.DataFrame([raw.rows, raw.digests, outcomes, raw.reasons], schema=RECORDS)
