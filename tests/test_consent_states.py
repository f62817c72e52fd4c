"""How consents stand: the fold, against plain dictionaries that know nothing of columns; and the laws of a fold."""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipeline.core.consent.purposes import as_bits, from_bits
from pipeline.core.consent.states import consents, contradictions
from pipeline.core.digests import digest_text
from schemas.check import check
from schemas.columns import dtypes
from schemas.consents import CONSENTS, EVENTS
from schemas.vocabulary import CONSENT_STATUSES, LEGAL_BASES, PURPOSES

ANN, BOB = "a" * 32, "b" * 32
START = datetime(2025, 1, 1, tzinfo=UTC)
STRICTEST_LAST = [
    "ConsentGiven",
    "RenewedConsentGiven",
    "ConsentRequested",
    "ConsentRequestDeferred",
    "ConsentUnknown",
    "ConsentExpired",
    "ConsentInvalidated",
    "ConsentRefused",
    "ConsentRevoked",
    "eu-gdpr:A21",
    "ConsentWithdrawn",
]
ARTICLE_9 = "eu-gdpr:A9-2-"
Event = dict[str, Any]


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def happened(when: int, **stated: Any) -> Event:  # noqa: ANN401
    """An event of Ann's consent on a day."""
    return {"consent_id": "c", "subject": ANN, "status_time": day(when), **stated}


def told(*events: Event) -> pl.DataFrame:
    """Make the table that reading a ledger gives; a digest here is one of the event's own words."""
    known = dtypes(EVENTS)
    rows = [
        {**dict.fromkeys(known), **one, "event": digest_text(*(f"{key}={one[key]}" for key in sorted(one)))}
        for one in events
    ]
    return pl.DataFrame(rows, schema={**known, "event": pl.String}).unique("event", maintain_order=True)


# --- the oracle


def folded(events: list[Event]) -> dict[tuple[str, str], dict[str, Any]]:
    """Fold events with dictionaries alone."""
    moments: dict[tuple[str, str], dict[datetime, list[Event]]] = defaultdict(lambda: defaultdict(list))
    for one in events:
        moments[one["consent_id"], one["subject"]][one["status_time"]].append(one)
    return {key: stands(of_one) for key, of_one in moments.items()}


def stands(moments: dict[datetime, list[Event]]) -> dict[str, Any]:
    state: dict[str, Any] = {"contradictions": 0, "events": 0}
    for moment in sorted(moments):
        together = moments[moment]
        state["events"] += len(together)
        state["newest"] = moment
        state["contradictions"] += bool(differing(together))
        for key in set(dtypes(EVENTS)) - {"consent_id", "subject", "status_time"}:
            values = [one[key] for one in together if one.get(key) is not None]
            if values:
                state[key] = strictest(key, values)
        by_rank = sorted(together, key=lambda one: (rank(one.get("status")), one["event"]))
        if by_rank[-1].get("status") is not None or "decided" not in state:
            state["decided"] = state.get("decided", False) or by_rank[-1].get("status") is not None
            state["event"] = by_rank[-1]["event"]
        elif not state["decided"]:
            state["event"] = by_rank[-1]["event"]
    del state["decided"]
    return state


def rank(status: str | None) -> int:
    return -1 if status is None else STRICTEST_LAST.index(status)


def strictest(key: str, values: list[Any]) -> Any:  # noqa: ANN401
    rules: dict[str, Callable[[list[Any]], Any]] = {
        "status": lambda stated: max(stated, key=rank),
        "purposes": lambda stated: sorted(set.intersection(*map(set, stated))),
        "recipients": lambda stated: sorted(set().union(*stated)),
        "legal_basis": lambda stated: sorted(
            one for one in set().union(*stated) if ARTICLE_9 not in one or in_all(one, stated)
        ),
        "valid_until": min,
        "retention_until": min,
        "jurisdiction": lambda stated: stated[0] if len(set(stated)) == 1 else "ZZ",
        "license": lambda stated: (
            " AND ".join(f"({one})" for one in sorted(set(stated))) if len(set(stated)) > 1 else stated[0]
        ),
    }
    return rules.get(key, max)(values)


def in_all(basis: str, lists: list[list[str]]) -> bool:
    return all(basis in one for one in lists)


def differing(together: list[Event]) -> list[str]:
    """Name the keys of which two events of one moment state different things."""
    stated = defaultdict(set)
    for one in together:
        for key, value in one.items():
            if value is not None and key not in {"event", "status_time"}:
                stated[key].add(tuple(value) if isinstance(value, list) else value)
    return sorted(key for key, values in stated.items() if len(values) > 1)


def rows_of(states: pl.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    """Return each consent's row without what it does not state."""
    return {
        (row.pop("consent_id"), row.pop("subject")): {key: value for key, value in row.items() if value is not None}
        for row in states.to_dicts()
    }


# --- events that collide: few consents, few moments, few values


def sorted_lists(values: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), unique=True, max_size=3).map(sorted)


limits = st.sampled_from([day(400), day(500), day(600)])
texts = st.sampled_from(["x", "y", ""])
optional = {
    "status": st.sampled_from(CONSENT_STATUSES),
    "purposes": sorted_lists(PURPOSES[:4]),
    "legal_basis": sorted_lists(("eu-gdpr:A6-1-a", "eu-gdpr:A6-1-f", "eu-gdpr:A9-2-a", "eu-gdpr:A9-2-j", "Contract")),
    "jurisdiction": st.sampled_from(["DE", "FR"]),
    "valid_until": limits,
    "retention_until": limits,
    "special_category": st.booleans(),
    "license": st.sampled_from(["MIT", "CC-BY-4.0 OR MIT"]),
    "controller": texts,
    "notice_version": texts,
    "recipients": sorted_lists(("r", "s", "t")),
}
events = st.fixed_dictionaries(
    {
        "consent_id": st.sampled_from(["c", "c", "d"]),
        "subject": st.sampled_from([ANN, ANN, BOB]),
        "status_time": st.sampled_from([day(0), day(0), day(1), day(2)]),
    },
    optional=optional,
)
histories = st.lists(events, max_size=9)


@given(histories)
@settings(max_examples=250)
def test_the_fold_is_that_of_dictionaries(history: list[Event]) -> None:
    ledger = told(*history)
    states = check(consents(ledger), CONSENTS)
    kept = [{key: value for key, value in row.items() if value is not None} for row in ledger.to_dicts()]
    assert rows_of(states) == folded(kept)


@given(histories, st.randoms(use_true_random=False))
@settings(max_examples=80)
def test_order_does_not_matter(history: list[Event], random: Any) -> None:  # noqa: ANN401
    straight = consents(told(*history))
    shuffled = random.sample(history, len(history))
    assert_frame_equal(consents(told(*shuffled)), straight)
    assert_frame_equal(contradictions(told(*shuffled)), contradictions(told(*history)))


@given(histories, st.integers(-1, 3))
@settings(max_examples=80)
def test_at_a_moment_only_what_happened_up_to_it_counts(history: list[Event], when: int) -> None:
    earlier = [one for one in history if one["status_time"] <= day(when)]
    assert_frame_equal(consents(told(*history), at=day(when)), consents(told(*earlier)))


@given(histories)
@settings(max_examples=80)
def test_a_later_withdrawal_withdraws_and_changes_nothing_else(history: list[Event]) -> None:
    before = consents(told(*history))
    keys = before.select("consent_id", "subject").rows()
    withdrawn = [happened(9, consent_id=c, subject=s, status="ConsentWithdrawn") for c, s in keys]
    after = consents(told(*history, *withdrawn))
    assert set(after["status"]) <= {"ConsentWithdrawn"}
    assert after["events"].to_list() == [count + 1 for count in before["events"]]
    changed = ["status", "event", "events", "newest"]
    assert_frame_equal(after.drop(changed), before.drop(changed))


@given(histories)
@settings(max_examples=80)
def test_contradictions_are_listed_as_they_are_counted(history: list[Event]) -> None:
    ledger = told(*history)
    listed = contradictions(ledger)
    counted = {(row["consent_id"], row["subject"]): row["contradictions"] for row in consents(ledger).to_dicts()}
    moments = defaultdict(list)
    for one in {row["event"]: row for row in ledger.to_dicts()}.values():
        moments[one["consent_id"], one["subject"], one["status_time"]].append(one)
    expected = {moment: differing(together) for moment, together in moments.items() if differing(together)}
    assert {row[:3]: sorted(row[3]) for row in listed.rows()} == expected
    assert {key: number for key, number in counted.items() if number} == {
        key: sum(moment[:2] == key for moment in expected) for key in {moment[:2] for moment in expected}
    }


# --- examples


def state(*events: Event) -> dict[str, Any]:
    (row,) = rows_of(consents(told(*events))).values()
    return row


def test_the_statuses_stand_in_the_order_of_strictness() -> None:
    assert list(CONSENT_STATUSES) == STRICTEST_LAST


@pytest.mark.parametrize("place", range(1, len(STRICTEST_LAST)))
def test_of_two_statuses_of_one_moment_the_stricter_counts(place: int) -> None:
    milder, stricter = STRICTEST_LAST[place - 1], STRICTEST_LAST[place]
    both = told(happened(1, status=milder), happened(1, status=stricter))
    (row,) = consents(both).to_dicts()
    assert (row["status"], row["contradictions"], row["events"]) == (stricter, 1, 2)
    assert row["event"] == both.filter(pl.col("status") == stricter)["event"].item()


def test_the_latest_statement_of_each_key_counts() -> None:
    row = state(
        happened(1, status="ConsentGiven", purposes=["ai-other"], jurisdiction="DE"),
        happened(3, status="ConsentWithdrawn"),
        happened(2, purposes=["ai-alignment", "ai-other"]),
        happened(4, status="RenewedConsentGiven", controller="new"),
    )
    assert (row["status"], row["purposes"]) == ("RenewedConsentGiven", ["ai-alignment", "ai-other"])
    assert (row["jurisdiction"], row["controller"], row["contradictions"]) == ("DE", "new", 0)


def test_an_event_without_a_status_does_not_decide() -> None:
    given_, later = happened(1, status="ConsentGiven"), happened(2, controller="x")
    row = state(given_, later)
    assert row["event"] == told(given_)["event"].item()
    assert row["newest"] == day(2)


def test_what_two_events_of_one_moment_add_to_each_other_is_no_contradiction() -> None:
    row = state(happened(1, status="ConsentGiven"), happened(1, purposes=["ai-other"], special_category=True))
    assert row["contradictions"] == 0
    assert (row["status"], row["purposes"], row["special_category"]) == ("ConsentGiven", ["ai-other"], True)


def test_two_jurisdictions_of_one_moment_are_none_that_anybody_allows() -> None:
    assert state(happened(1, jurisdiction="DE"), happened(1, jurisdiction="FR"))["jurisdiction"] == "ZZ"
    assert state(happened(1, jurisdiction="DE"), happened(2, jurisdiction="FR"))["jurisdiction"] == "FR"


def test_a_basis_of_article_9_counts_where_all_state_it() -> None:
    one, other = ["eu-gdpr:A6-1-a", "eu-gdpr:A9-2-a"], ["eu-gdpr:A6-1-f"]
    assert state(happened(1, legal_basis=one), happened(1, legal_basis=other))["legal_basis"] == [one[0], *other]
    assert state(happened(1, legal_basis=one), happened(1, controller="x"))["legal_basis"] == one


def test_purposes_that_contradict_wholly_allow_nothing() -> None:
    row = state(happened(1, purposes=["ai-other"]), happened(1, purposes=["ai-alignment"]))
    assert row["purposes"] == []
    assert "purposes" not in state(happened(1, status="ConsentGiven"))


def test_no_events_are_no_consents() -> None:
    assert check(consents(told()), CONSENTS).is_empty()
    assert contradictions(told()).is_empty()


def test_two_people_share_no_consent() -> None:
    """One id under two subjects is two consents: nobody withdraws another's."""
    mine, theirs = happened(1, status="ConsentGiven"), happened(2, subject=BOB, status="ConsentWithdrawn")
    assert consents(told(mine, theirs))["status"].to_list() == ["ConsentGiven", "ConsentWithdrawn"]


@given(st.lists(st.none() | st.lists(st.sampled_from(LEGAL_BASES)), max_size=6))
def test_bits_come_back_as_codes(lists: list[list[str] | None]) -> None:
    codes = pl.DataFrame({"codes": lists}, schema={"codes": pl.List(pl.String)})
    bits = codes.select(as_bits(pl.col("codes"), LEGAL_BASES)).to_series()
    assert [one is None for one in bits] == [one is None for one in lists]
    assert from_bits(bits, LEGAL_BASES).to_list() == [sorted(set(one or [])) for one in lists]


def test_bits_fit_into_a_number() -> None:
    assert max(len(LEGAL_BASES), len(PURPOSES)) < 63
