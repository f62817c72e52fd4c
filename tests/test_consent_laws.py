"""Law 5 with consent in play: whatever the ledger says, it withholds rows and never moves them to another side."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.consent.states import consents
from pipeline.core.digests import digest_text
from pipeline.stages import dedupe, split, validate
from schemas.columns import dtypes
from schemas.consents import EVENTS
from schemas.vocabulary import CONSENT_STATUSES
from tests.laws import Case, Decide, case, cases, decide
from tests.test_laws import sound_rows

SUBJECTS = [("source:free", "whole"), *((who, "c") for who in ("ann", "bob", "dan", "eve"))]
START = datetime(2025, 1, 1, tzinfo=UTC)

event = st.fixed_dictionaries(
    {
        "who": st.sampled_from(SUBJECTS),
        "status_time": st.sampled_from([START + timedelta(days=number) for number in range(3)]),
        "status": st.sampled_from(["ConsentGiven"] * 5 + list(CONSENT_STATUSES)),
        "purposes": st.sampled_from([None, ["ai-alignment", "ai-evaluation"], ["ai-alignment"], []]),
        "valid_until": st.sampled_from([None, None, START, START + timedelta(days=900)]),
        "special_category": st.sampled_from([None, None, True]),
    }
)
given_by_all = [
    {"who": who, "status_time": START, "status": "ConsentGiven", "purposes": ["ai-alignment", "ai-evaluation"]}
    for who in SUBJECTS
]


def ledger(events: list[dict[str, Any]]) -> pl.DataFrame:
    known = {**dtypes(EVENTS), "event": pl.String}
    rows = []
    for one in events:
        subject, consent_id = one["who"]
        stated = {"subject": subject, "consent_id": consent_id, **{key: one[key] for key in one if key != "who"}}
        rows.append({**dict.fromkeys(known), **stated, "event": digest_text(repr(sorted(stated.items())))})
    return consents(pl.DataFrame(rows, schema=known).unique("event", maintain_order=True))


def built(given_case: Case, states: pl.DataFrame, run: Decide = decide) -> pl.DataFrame:
    """Run the deciding stages one after the other; return what split says of each row that it received."""
    references = {**given_case.references, "consents": states}
    validated = run(validate, given_case.comparisons, references)
    passed = validated.filter(pl.col("drop_reason").is_null())
    received = given_case.comparisons.join(passed, on="comparison_id", how="semi")
    deduped = run(dedupe, received, references).filter(pl.col("drop_reason").is_null())
    received = received.join(deduped, on="comparison_id", how="semi")
    return run(split, received, {**references, "purposes": passed.select("comparison_id", "purposes")})


def moved(one: pl.DataFrame, other: pl.DataFrame) -> list[str]:
    both = one.join(other, on="comparison_id", suffix="_of_other")
    return both.filter(pl.col("side") != pl.col("side_of_other"))["comparison_id"].to_list()


@given(cases(smallest=4), st.lists(event, max_size=8), st.lists(event, max_size=8))
@settings(max_examples=80)
def test_two_ledgers_give_one_side_to_every_row_that_both_let_through(
    given_case: Case, some: list[dict[str, Any]], others: list[dict[str, Any]]
) -> None:
    assert moved(built(given_case, ledger(given_by_all + some)), built(given_case, ledger(given_by_all + others))) == []


@given(st.lists(event, max_size=8))
@settings(max_examples=40)
def test_a_withdrawal_withholds_rows_and_brings_none_back(some: list[dict[str, Any]]) -> None:
    """Of rows that differ by annotator alone; where a repeat is dropped, the row that it repeats may come back."""
    given_case = case([{**row, "consent_refs": refs} for row in drawn() for refs in named()])
    later = [{"who": ("ann", "c"), "status_time": START + timedelta(days=9), "status": "ConsentWithdrawn"}]
    kept, fewer = (
        decide(validate, given_case.comparisons, {**given_case.references, "consents": ledger(events)})
        for events in (given_by_all + some, given_by_all + some + later)
    )
    passed, still = ({*one.filter(pl.col("drop_reason").is_null())["comparison_id"]} for one in (kept, fewer))
    assert still <= passed
    of_ann = {row["comparison_id"] for row in given_case.comparisons.to_dicts() if names(row, "ann")}
    assert still == passed - of_ann


def drawn() -> list[dict[str, Any]]:
    rows = sound_rows().comparisons.to_dicts()
    return [{**row, "purposes": ["ai-alignment"], "conflict": False, "copied": []} for row in rows]


def named() -> list[list[dict[str, str]]]:
    whole = {"role": "publisher", "subject": "source:free", "consent_id": "whole"}
    return [[whole, {"role": "annotator", "subject": who, "consent_id": "c"}] for who in ("ann", "bob")]


def names(row: dict[str, Any], who: str) -> bool:
    return any(ref["subject"] == who for ref in row["consent_refs"])


def test_the_law_catches_a_split_that_weighs_what_consent_left() -> None:
    """A planted bug: sides that hang on how many rows came through."""

    def weighs(stage: Any, comparisons: pl.DataFrame, references: dict[str, pl.DataFrame]) -> pl.DataFrame:  # noqa: ANN401
        decisions = decide(stage, comparisons, references)
        many = references["purposes"].height > 15
        return decisions.with_columns(side=pl.lit("heldout" if many else "train")) if stage is split else decisions

    given_case = case([{**row, "consent_refs": refs} for row in drawn() for refs in named()])
    later = [{"who": ("ann", "c"), "status_time": START + timedelta(days=9), "status": "ConsentWithdrawn"}]
    before, after = ledger(given_by_all), ledger(given_by_all + later)
    assert moved(built(given_case, before), built(given_case, after)) == []
    assert moved(built(given_case, before, weighs), built(given_case, after, weighs)) != []
