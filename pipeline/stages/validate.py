"""Validate: which comparisons meet the contract, under which policy and rubric, and for which purposes all consent."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from pipeline.core.consent.behind import behind
from pipeline.core.consent.purposes import as_bits, from_bits
from pipeline.core.consent.standing import REASONS as CONSENT_REASONS
from pipeline.core.consent.standing import Terms, allowed, date_of, named_by, standing
from pipeline.core.digests import digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.licenses import licenses_in
from pipeline.core.params import STRICT, Day
from pipeline.core.references import References
from pipeline.core.running import Contract, first_drop_reason
from schemas.consents import JURISDICTION
from schemas.decisions import VALIDATE

REASONS = {
    "event_conflict": "one declared event id has two contents; all of them are dropped",
    "empty_prompt": "the prompt has no message, or one without text",
    "roles_not_alternating": "beside system messages, one role speaks twice in a row or the user does not speak last",
    "empty_response": "a response is empty or white space only",
    "equal_responses": "both responses are the same text",
    "unknown_preference": "the record names no verdict",
    "strength_out_of_range": "the strength lies outside 0 to 1 on its declared scale",
    "unknown_policy": "the policy version is not stated, or is no file in data/policy",
    "policy_not_accepted": "params.yaml does not accept the policy version",
    "unknown_rubric": "the rubric version is not stated, or is no file in data/rubric",
    "rubric_not_accepted": "params.yaml does not accept the rubric version",
    "license_not_allowed": CONSENT_REASONS["license_not_allowed"],
    "no_consent": "the source states no basis, the row names nobody, or a needed role has no whole reference",
    **{reason: told for reason, told in CONSENT_REASONS.items() if reason != "license_not_allowed"},
    "no_common_purpose": "the source and the consent records of the row allow no purpose in common",
}

CONTRACT = Contract(
    name="validate",
    after="ingest",
    columns=(
        "comparison_id",
        "prompt",
        "response_a_id",
        "response_b_id",
        "preference",
        "strength",
        "policy_version",
        "rubric_version",
        "license",
        "annotator",
        "annotator_kind",
        "consent_refs",
        "source",
    ),
    references=("statements", "event_conflicts", "versions", "consents", "copied_refs"),
    schema=VALIDATE,
    parted_by=("comparison_id",),
)

_EMPTY = digest_text("response", "")


@dataclass(frozen=True, slots=True)
class Params:
    """The section `validate` of params.yaml."""

    __pydantic_config__ = STRICT
    policies: list[str]
    rubrics: list[str]
    licenses: list[str]
    as_of: Day
    jurisdictions: list[str] | Literal["any"]
    special_category: bool

    def __post_init__(self) -> None:
        """Refuse licences that are not one SPDX id each, and jurisdictions that no record can be of."""
        for name in self.licenses:
            _one_license(name)
        for name in self.jurisdictions if self.jurisdictions != "any" else ():
            if not re.fullmatch(JURISDICTION, name):
                msg = (
                    f"params.yaml: validate: jurisdictions: `{name}` is no code such as DE, US-CA or EU (or write: any)"
                )
                raise PairtrailError(msg)

    @property
    def terms(self) -> Terms:
        """What consents are held against."""
        jurisdictions = None if self.jurisdictions == "any" else tuple(self.jurisdictions)
        return Terms(date_of(self.as_of), tuple(self.licenses), jurisdictions, self.special_category)


def decide(comparisons: pl.LazyFrame, references: References, params: Params) -> pl.LazyFrame:
    """Mark each comparison with the first rule that it breaks, and with the purposes that all behind it allow."""
    licenses = comparisons.select(pl.col("license").unique()).collect()["license"].to_list()
    recorded = references["consents"].select(pl.col("license").drop_nulls().unique()).collect()["license"].to_list()
    consents = standing(references["consents"], params.terms)
    rows = comparisons.select("comparison_id", "license", "annotator", "annotator_kind", "consent_refs")
    named = behind(rows, references["copied_refs"], references["consents"])
    conflicts = references["event_conflicts"].select("comparison_id", conflict=pl.lit(value=True))
    stated = (
        comparisons.join(conflicts, on="comparison_id", how="left")
        .join(references["statements"].rename({"purposes": "stated"}), on="source", how="left")
        .join(_consents_of_rows(named, consents, named_by(licenses, recorded)), on="comparison_id", how="left")
        .with_columns(bits=as_bits(pl.col("stated")).fill_null(0) & pl.col("allowed").fill_null(0))
    )
    existing = references["versions"].collect()
    known = {kind: existing.filter(pl.col("kind") == kind)["version"].to_list() for kind in ("policy", "rubric")}
    rules = _content_rules() | _version_rules(known, params) | _consent_rules(allowed(licenses, params.terms.licenses))
    reason = first_drop_reason({name: rules[name] for name in REASONS})
    purposes = pl.col("bits").map_batches(from_bits, return_dtype=pl.List(pl.String)).alias("purposes")
    return stated.select("comparison_id", reason, purposes, pl.col("consent_events").fill_null([]))


def noted(references: References, params: Params) -> dict[str, Any]:
    """Say of the ledger what the account keeps: how much it holds, when its newest event happened, what contradicts.

    `as_of` stands beside it, as a release is refused where an event is newer.
    """
    told = references["consents"].select(
        consents=pl.len(),
        **{name: pl.col(name).sum() for name in ("events", "contradictions")},
        newest=pl.col("newest").max(),
    )
    found = told.collect().to_dicts()[0]
    newest = found["newest"] and f"{found['newest']:%Y-%m-%dT%H:%M:%S.%fZ}"
    return {"consent_ledger": found | {"newest": newest, "as_of": params.as_of}}


def _one_license(name: str) -> None:
    try:
        alone = licenses_in(name) == [name]
    except PairtrailError:
        alone = False
    if not alone:
        msg = f"params.yaml: validate: licenses: `{name}` is not one SPDX id; where SPDX lists none, LicenseRef-NAME"
        raise PairtrailError(msg)


def _consents_of_rows(refs: pl.LazyFrame, consents: pl.LazyFrame, licensed: pl.Expr) -> pl.LazyFrame:
    """Say of each row with references what all its consents come to.

    That is the first reason why one of them does not stand, the purposes that all allow (as bits; one that does not
    stand allows none), the roles that are covered and those in which one is lacking, whether somebody is named, or by
    half, and the events that this hangs on.
    """
    held = (
        refs.filter(pl.col("role").is_not_null())
        .join(consents, on=["consent_id", "subject"], how="left", suffix="_recorded")
    )  # fmt: skip
    subject, consent = pl.col("subject").is_not_null(), pl.col("consent_id").is_not_null()
    # A person who judged consents themselves: nobody else's record covers the role.
    another = (pl.col("role") == "annotator") & (pl.col("annotator_kind") == "human")
    another &= (pl.col("subject") != pl.col("annotator")).fill_null(value=False)
    reasons = pl.Enum(list(CONSENT_REASONS))
    refused = (
        pl.when(pl.col("event").is_null()).then(pl.lit("consent_unknown", reasons))
        .when(~licensed).then(pl.lit("license_not_allowed", reasons)).otherwise("refused")
    )  # fmt: skip
    return (
        held.with_columns(refused=refused, whole=subject & consent, named=subject | consent, another=another)
        .group_by("comparison_id")
        .agg(
            pl.col("refused").filter("named").min(),
            pl.col("named").any(),
            allowed=pl.when(pl.col("refused").is_null()).then("purposes").filter("named").fill_null(0).bitwise_and(),
            covered=pl.col("role").filter(pl.col("whole") & ~pl.col("another")),
            lacking=pl.col("role").filter(~pl.col("whole")),
            halved=(pl.col("named") & ~pl.col("whole")).any(),
            consent_events=pl.col("event").drop_nulls().unique().sort(),
        )
    )


def _content_rules() -> dict[str, pl.Expr]:
    content = pl.element().struct.field("content").str.strip_chars()
    role = pl.element().struct.field("role")
    spoken = pl.col("prompt").list.eval(role.filter(role != "system"))
    strength = pl.col("strength")
    return {
        "event_conflict": pl.col("conflict"),
        "empty_prompt": (pl.col("prompt").list.len() == 0) | pl.col("prompt").list.eval(content == "").list.any(),
        "roles_not_alternating": spoken.list.eval(pl.element() == pl.element().shift(1)).list.any()
        | spoken.list.last().ne_missing("user"),
        "empty_response": (pl.col("response_a_id") == _EMPTY) | (pl.col("response_b_id") == _EMPTY),
        "equal_responses": pl.col("response_a_id") == pl.col("response_b_id"),
        "unknown_preference": pl.col("preference").is_null(),
        "strength_out_of_range": ~strength.is_between(0, 1),
    }


def _version_rules(known: dict[str, list[str]], params: Params) -> dict[str, pl.Expr]:
    policy, rubric = pl.col("policy_version"), pl.col("rubric_version")
    return {
        "unknown_policy": policy.is_null() | ~policy.is_in(known["policy"]),
        "policy_not_accepted": ~policy.is_in(params.policies),
        "unknown_rubric": rubric.is_null() | ~rubric.is_in(known["rubric"]),
        "rubric_not_accepted": ~rubric.is_in(params.rubrics),
    }


def _consent_rules(licensed: pl.Expr) -> dict[str, pl.Expr]:
    covered = pl.col("covered").list.set_difference(pl.col("lacking"))
    uncovered = pl.col("roles").list.set_difference(covered).list.len() > 0
    unnamed = pl.col("stated").is_null() | (pl.col("stated").list.len() == 0) | ~pl.col("named").fill_null(value=False)
    rules = {reason: pl.col("refused") == reason for reason in CONSENT_REASONS}
    return {
        **rules,
        "license_not_allowed": ~licensed | rules["license_not_allowed"],
        "no_consent": unnamed | uncovered | pl.col("halved"),
        "no_common_purpose": pl.col("bits") == 0,
    }
