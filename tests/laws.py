"""The five laws, and comparisons to try them on: small alphabets, so that everything collides. Split has three more."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import polars as pl
from hypothesis import strategies as st

from pipeline.core.digests import digest_text
from pipeline.core.running import decided, prepared
from pipeline.stages import dedupe, split, validate
from schemas import consents
from schemas.columns import dtypes
from schemas.comparisons import COMPARISONS
from tests.leak_laws import CATEGORIES, LEAK_LAWS, MATCHES, SOURCES, Leaks, frames, leaks, with_fewer

RESPONSES = [digest_text("response", text) for text in ("", "one", "two")]
PURPOSES = [["ai-alignment"], ["ai-alignment", "ai-evaluation"], ["ai-evaluation"], []]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

PROMPTS = [
    [],
    [{"role": "user", "content": "hi"}],
    [{"role": "user", "content": " "}],
    [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
    [{"role": "user", "content": "hi"}, {"role": "user", "content": "ho"}],
    [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}],
]

REFS = [
    [{"role": "publisher", "subject": "source:free", "consent_id": "whole"}],
    [],
    *([{"role": "annotator", "subject": who, "consent_id": "c"}] for who in ("ann", "bob", "eve", "nobody", None)),
    [
        {"role": role, "subject": who, "consent_id": "c"}
        for role, who in (("annotator", "ann"), ("prompt_author", "dan"))
    ],
    [{"role": "annotator", "subject": None, "consent_id": None}],
]
_CONSENTS: list[tuple[str, str, str, list[str], str | None]] = [
    ("source:free", "whole", "ConsentGiven", PURPOSES[1], None),
    ("ann", "c", "ConsentGiven", PURPOSES[1], "2027-01-01T00:00:00Z"),
    ("bob", "c", "ConsentWithdrawn", PURPOSES[1], None),
    ("dan", "c", "RenewedConsentGiven", PURPOSES[2], None),
    ("eve", "c", "ConsentGiven", PURPOSES[0], "2025-01-01T00:00:00Z"),
]

PARAMS: dict[ModuleType, Any] = {
    validate: validate.Params(["p-1"], ["r-1"], ["MIT"], "2026-01-01", "any", special_category=False),
    dedupe: dedupe.Params(),
    split: split.Params("salt", 1, 0.3, 0.3, "ai-alignment", "ai-evaluation"),
}


@dataclass(frozen=True)
class Case:
    """What a stage is given."""

    comparisons: pl.DataFrame
    references: dict[str, pl.DataFrame]


Decide = Callable[[ModuleType, pl.DataFrame, dict[str, pl.DataFrame]], pl.DataFrame]


def decide(stage: ModuleType, comparisons: pl.DataFrame, references: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Run a stage's pure function on collected frames."""
    lazy = {name: frame.lazy() for name, frame in references.items()}
    ready = prepared(stage, lazy, PARAMS[stage])
    return decided(stage, comparisons.select(stage.CONTRACT.columns).lazy(), ready, PARAMS[stage])


rows = st.fixed_dictionaries(
    {
        "prompt": st.sampled_from(PROMPTS),
        "match_key": st.sampled_from(list(MATCHES)),
        "category": st.sampled_from(CATEGORIES),
        "response_a_id": st.sampled_from(RESPONSES),
        "response_b_id": st.sampled_from(RESPONSES),
        "preference": st.sampled_from(["a", "b", "tie", "both_bad", None]),
        "strength": st.sampled_from([None, 0.0, 0.5, 1.0, 1.5, -1.0]),
        "presented_order": st.sampled_from(["ab", "ba", None]),
        "annotator": st.sampled_from(["ann", "bob", None]),
        "annotator_kind": st.sampled_from(["human", "human", "model"]),
        "policy_version": st.sampled_from(["p-1", "p-1", "p-0", "p-9", None]),
        "rubric_version": st.sampled_from(["r-1", "r-1", "r-0", "r-9", None]),
        "license": st.sampled_from(["MIT", "MIT", "GPL-3.0-only"]),
        "source": st.sampled_from(SOURCES),
        "consent_refs": st.sampled_from(REFS),
        "created_at": st.sampled_from([None, NOON, NOON + timedelta(hours=1), NOON + timedelta(hours=2)]),
        "purposes": st.sampled_from(PURPOSES),
        "conflict": st.sampled_from([False, False, False, True]),
        "copied": st.sampled_from([[], [], *REFS]),
    }
)


@st.composite
def cases(draw: st.DrawFn, smallest: int = 0) -> Case:
    """Draw comparisons with ids of their own, and the references that belong to them."""
    drawn = draw(st.lists(rows, min_size=smallest, max_size=14))
    return case(drawn, draw(leaks))


def case(drawn: list[dict[str, Any]], given: Leaks | None = None) -> Case:
    schema = {name: dtype for name, dtype in dtypes(COMPARISONS).items() if name in _COLUMNS}
    for place, row in enumerate(drawn):
        row["comparison_id"] = digest_text("comparison", str(place))
        row["root_id"] = MATCHES[row["match_key"]]
        row["prompt_id"] = digest_text("prompt")
        row["pair_id"] = digest_text(*sorted([row["response_a_id"], row["response_b_id"]]))
    frame = pl.DataFrame([{name: row[name] for name in schema} for row in drawn], schema=schema)
    purposes = pl.DataFrame(
        [(row["comparison_id"], row["purposes"]) for row in drawn],
        schema={"comparison_id": pl.String, "purposes": pl.List(pl.String)},
        orient="row",
    )
    conflicts = [row["comparison_id"] for row in drawn if row["conflict"]]
    copied = [{"comparison_id": row["comparison_id"], **ref} for row in drawn for ref in row["copied"]]
    return Case(
        frame,
        {
            "purposes": purposes,
            "event_conflicts": pl.DataFrame({"comparison_id": conflicts}, schema={"comparison_id": pl.String}),
            "statements": _STATEMENTS,
            "consents": CONSENTS,
            "copied_refs": pl.DataFrame(
                copied, schema=dict.fromkeys(["comparison_id", "role", "subject", "consent_id"], pl.String)
            ),
            "versions": _VERSIONS,
            **frames(given or Leaks(), frame),
        },
    )


_COLUMNS = {"comparison_id", "pair_id", "match_key"} | {name for stage in PARAMS for name in stage.CONTRACT.columns}
_STATEMENTS = pl.DataFrame(
    [("free", PURPOSES[1], []), ("bound", PURPOSES[1], ["annotator"]), ("silent", [], [])],
    schema={"source": pl.String, "purposes": pl.List(pl.String), "roles": pl.List(pl.String)},
    orient="row",
)
CONSENTS = pl.DataFrame(
    [
        {
            "subject": subject,
            "consent_id": consent,
            "status": status,
            "purposes": purposes,
            "valid_until": limit and datetime.fromisoformat(limit),
            "event": digest_text("event", subject),
        }
        for subject, consent, status, purposes, limit in _CONSENTS
    ],
    schema=dtypes(consents.CONSENTS),
)
_VERSIONS = pl.DataFrame(
    [("policy", "p-1"), ("policy", "p-0"), ("rubric", "r-1"), ("rubric", "r-0")],
    schema=["kind", "version"],
    orient="row",
)


def nothing_is_lost(run: Decide, stage: ModuleType, given: Case) -> None:
    """Law 1: the ids that come out are those that went in, each once, each kept or marked with a known reason."""
    decisions = run(stage, given.comparisons, given.references)
    assert sorted(decisions["comparison_id"]) == sorted(given.comparisons["comparison_id"])
    assert set(decisions["drop_reason"].drop_nulls()) <= set(stage.REASONS)


def twice_is_once(run: Decide, stage: ModuleType, given: Case) -> None:
    """Law 2: a second pass over the kept rows drops nothing more."""
    decisions = run(stage, given.comparisons, given.references)
    kept = decisions.filter(pl.col("drop_reason").is_null())
    again = run(stage, given.comparisons.join(kept, on="comparison_id", how="semi"), given.references)
    assert again["drop_reason"].null_count() == again.height


def order_does_not_matter(run: Decide, stage: ModuleType, given: Case) -> None:
    """Law 3: shuffled rows give the same decisions."""
    straight = run(stage, given.comparisons, given.references)
    for seed in range(3):
        shuffled = given.comparisons.sample(fraction=1, shuffle=True, seed=seed)
        assert run(stage, shuffled, given.references).equals(straight)
    assert run(stage, given.comparisons.reverse(), given.references).equals(straight)


def parts_do_not_touch(run: Decide, stage: ModuleType, given: Case) -> None:
    """Law 4: divided by the stage's key, each part alone gives what all give together."""
    whole = run(stage, given.comparisons, given.references)
    parts = given.comparisons.partition_by(stage.CONTRACT.parted_by)
    apart = [run(stage, part, given.references) for part in parts]
    assert pl.concat([whole.clear(), *apart]).sort("comparison_id").equals(whole)


def sides_do_not_change(run: Decide, stage: ModuleType, given: Case) -> None:
    """Law 5: whatever other rows come or go, a root stays on its side; more rows may only withhold."""
    whole = run(stage, given.comparisons, given.references)
    if "side" not in whole.columns:
        return
    roots = given.comparisons.select("comparison_id", "root_id")
    sides = whole.join(roots, on="comparison_id").select("root_id", "side").unique()
    assert sides["root_id"].is_unique().all()
    for height in range(given.comparisons.height):
        present = given.comparisons.head(height)
        fewer = run(stage, present, with_fewer(given.references, present))
        both = fewer.join(whole, on="comparison_id", how="left", suffix="_of_all")
        assert both["side"].to_list() == both["side_of_all"].to_list()
        assert both.filter(pl.col("drop_reason").is_not_null())["drop_reason_of_all"].null_count() == 0


LAWS = (nothing_is_lost, twice_is_once, order_does_not_matter, parts_do_not_touch, sides_do_not_change, *LEAK_LAWS)
