"""Validate: which comparisons meet the contract, under which policy and rubric, and for which purposes."""

from dataclasses import dataclass

import polars as pl

from pipeline.core.digests import digest_text
from pipeline.core.params import STRICT
from pipeline.core.references import References
from pipeline.core.running import Contract, first_drop_reason
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
    "license_not_allowed": "params.yaml does not allow the source's licence",
    "no_consent": "the source states no basis or purpose, or a role that needs consent has no reference in the row",
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
        "consent_refs",
        "source",
    ),
    references=("statements", "event_conflicts", "versions"),
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


def decide(comparisons: pl.LazyFrame, references: References, params: Params) -> pl.LazyFrame:
    """Mark each comparison with the first rule that it breaks, and with the purposes that its source allows."""
    conflicts = references["event_conflicts"].select("comparison_id", conflict=pl.lit(value=True))
    stated = comparisons.join(conflicts, on="comparison_id", how="left").join(
        references["statements"], on="source", how="left"
    )
    existing = references["versions"].collect()
    known = {kind: existing.filter(pl.col("kind") == kind)["version"].to_list() for kind in ("policy", "rubric")}
    rules = _content_rules() | _version_rules(known, params) | _consent_rules(params)
    reason = first_drop_reason({name: rules[name] for name in REASONS})
    return stated.select("comparison_id", reason, pl.col("purposes").fill_null([]))


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


def _consent_rules(params: Params) -> dict[str, pl.Expr]:
    ref = pl.element().struct.field
    given = pl.col("consent_refs").list.eval(
        ref("role").filter(ref("subject").is_not_null() & ref("consent_id").is_not_null())
    )
    uncovered = pl.col("roles").list.set_difference(given).list.len() > 0
    unstated = pl.col("purposes").is_null() | (pl.col("purposes").list.len() == 0)
    return {"license_not_allowed": ~pl.col("license").is_in(params.licenses), "no_consent": unstated | uncovered}
