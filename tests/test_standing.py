"""Whether a consent stands: each reason by one example and its boundary, their order, and licences."""

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from pipeline.core.consent.purposes import from_bits
from pipeline.core.consent.standing import REASONS, Terms, allowed, standing
from pipeline.core.digests import digest_text
from schemas.columns import dtypes
from schemas.consents import CONSENTS
from schemas.vocabulary import CONSENT_STATUSES, SPECIAL_BASES

DAY = date(2026, 6, 30)
END = datetime(2026, 7, 1, tzinfo=UTC) - timedelta(microseconds=1)
TERMS = {
    "as_of": DAY,
    "licenses": ("MIT", "CC-BY-4.0", "GPL-2.0-only WITH Classpath-exception-2.0", "LicenseRef-ours"),
    "jurisdictions": ("DE", "US-CA"),
    "special_category": True,
}
SOUND = {
    "status": "ConsentGiven",
    "purposes": ["ai-alignment"],
    "legal_basis": ["eu-gdpr:A6-1-a"],
    "jurisdiction": "DE",
}


def refused(terms: dict[str, Any] | None = None, /, **changes: Any) -> str | None:  # noqa: ANN401
    """Hold one consent, sound but for the changes, against the terms."""
    (row,) = held([{**SOUND, **changes}], **(terms or {}))
    reason: str | None = row["refused"]
    return reason


def held(consents: list[dict[str, Any]], **terms: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    known = dtypes(CONSENTS)
    rows = [
        {
            **dict.fromkeys(known),
            "consent_id": f"c-{place}",
            "subject": "source:s",
            "event": digest_text(str(place)),
            **one,
        }
        for place, one in enumerate(consents)
    ]
    frame = pl.DataFrame(rows, schema=known).lazy()
    return standing(frame, Terms(**{**TERMS, **terms})).collect().to_dicts()


# One consent for each reason: what breaks that rule alone.
ALONE: dict[str, dict[str, Any]] = {
    "license_not_allowed": {"license": "CC-BY-NC-4.0"},
    "consent_unknown": {"status": "ConsentUnknown"},
    "consent_not_given": {"status": "ConsentRefused"},
    "consent_invalidated": {"status": "ConsentInvalidated"},
    "consent_withdrawn": {"status": "ConsentWithdrawn"},
    "consent_revoked": {"status": "ConsentRevoked"},
    "processing_objected": {"status": "eu-gdpr:A21"},
    "consent_expired": {"valid_until": END - timedelta(microseconds=1)},
    "retention_passed": {"retention_until": END - timedelta(microseconds=1)},
    "special_category": {"special_category": True},
    "jurisdiction_not_allowed": {"jurisdiction": "FR"},
}


def test_a_sound_consent_stands() -> None:
    assert refused() is None


@pytest.mark.parametrize("reason", ALONE)
def test_each_reason(reason: str) -> None:
    assert refused(**ALONE[reason]) == reason


def test_every_reason_is_tried_in_its_order() -> None:
    assert list(ALONE) == list(REASONS)


@pytest.mark.parametrize(("first", "second"), list(pairwise(ALONE)))
def test_of_two_reasons_the_first_counts(first: str, second: str) -> None:
    """All that can stand together; two statuses cannot."""
    assert refused(**{**ALONE[second], **ALONE[first]}) == first


def test_of_all_reasons_the_first_counts() -> None:
    every: dict[str, Any] = {}
    for reason, changes in reversed(ALONE.items()):
        every = {**every, **changes}
        assert refused(**every) == reason


EXPECTED = {
    "ConsentGiven": None,
    "RenewedConsentGiven": None,
    "ConsentRequested": "consent_not_given",
    "ConsentRequestDeferred": "consent_not_given",
    "ConsentRefused": "consent_not_given",
    "ConsentUnknown": "consent_unknown",
    "ConsentExpired": "consent_expired",
    "ConsentInvalidated": "consent_invalidated",
    "ConsentRevoked": "consent_revoked",
    "ConsentWithdrawn": "consent_withdrawn",
    "eu-gdpr:A21": "processing_objected",
}


@pytest.mark.parametrize("basis", [["eu-gdpr:A6-1-a"], ["eu-gdpr:A6-1-f"], [], None])
@pytest.mark.parametrize("status", CONSENT_STATUSES)
def test_statuses_count_on_any_basis(status: str, basis: list[str] | None) -> None:
    assert refused(status=status, legal_basis=basis) == EXPECTED[status]


@pytest.mark.parametrize(
    "basis", ["eu-gdpr:A6-1-b", "eu-gdpr:A6-1-f", "eu-gdpr:A9-2-j", "Contract", "LegitimateInterest"]
)
def test_a_basis_other_than_consent_needs_no_status(basis: str) -> None:
    assert refused(status=None, legal_basis=[basis]) is None
    assert refused(status=None, legal_basis=[basis], valid_until=END - timedelta(days=1)) == "consent_expired"


@pytest.mark.parametrize(
    "basis",
    [
        None,
        [],
        ["eu-gdpr:A6-1-a"],
        ["eu-gdpr:A9-2-a"],
        ["Consent"],
        ["ExpressedConsent"],
        ["ExplicitlyExpressedConsent"],
        ["eu-gdpr:A6-1-f", "eu-gdpr:A6-1-a"],
    ],
)
def test_a_consent_that_nobody_says_was_given_is_unknown(basis: list[str] | None) -> None:
    assert refused(status=None, legal_basis=basis) == "consent_unknown"


@pytest.mark.parametrize(
    ("limit", "holds"),
    [
        (END, True),
        (END + timedelta(microseconds=1), True),
        (END - timedelta(microseconds=1), False),
        (END - timedelta(days=1), False),
        (END + timedelta(days=1), True),
        (datetime(2026, 6, 30, 12, tzinfo=UTC), False),
        (datetime(2026, 7, 1, 1, tzinfo=timezone(timedelta(hours=2))), False),
        (datetime(2026, 6, 30, 23, tzinfo=timezone(timedelta(hours=-2))), True),
        (datetime(2020, 1, 1, tzinfo=UTC), False),
        (None, True),
    ],
)
def test_limits_must_hold_to_the_end_of_the_day(limit: datetime | None, holds: bool) -> None:  # noqa: FBT001
    """A date that an event states is its last moment, so one that is `as_of` holds, and the day before does not."""
    assert refused(valid_until=limit) == (None if holds else "consent_expired")
    assert refused(retention_until=limit) == (None if holds else "retention_passed")


@pytest.mark.parametrize(
    ("stated", "stands"),
    [
        *((allowed_one, True) for allowed_one in ("DE", "DE-BE", "US-CA")),
        *((other, False) for other in ("US", "US-NY", "FR", "EU", "ZZ", None)),
    ],
)
def test_jurisdictions(stated: str | None, stands: bool) -> None:  # noqa: FBT001
    """A part of an allowed country is allowed; a country of an allowed part is not, nor what is not stated."""
    assert refused(jurisdiction=stated) == (None if stands else "jurisdiction_not_allowed")
    assert refused({"jurisdictions": None}, jurisdiction=stated) is None
    assert refused({"jurisdictions": ()}, jurisdiction=stated) == "jurisdiction_not_allowed"


@pytest.mark.parametrize("basis", SPECIAL_BASES)
def test_a_special_category_needs_a_basis_of_article_9(basis: str) -> None:
    assert refused(special_category=True, legal_basis=[basis]) is None
    assert refused(special_category=True, legal_basis=["eu-gdpr:A6-1-a", basis]) is None
    assert refused({"special_category": False}, special_category=True, legal_basis=[basis]) == "special_category"


@pytest.mark.parametrize("basis", [None, [], ["eu-gdpr:A6-1-a"], ["ExplicitlyExpressedConsent"]])
def test_a_special_category_without_one_is_refused(basis: list[str] | None) -> None:
    assert refused(special_category=True, legal_basis=basis) == "special_category"


@pytest.mark.parametrize("special", [False, None])
@pytest.mark.parametrize("allowed_at_all", [True, False])
def test_what_is_not_of_a_special_category_stands(special: bool | None, allowed_at_all: bool) -> None:  # noqa: FBT001
    assert refused({"special_category": allowed_at_all}, special_category=special) is None


@pytest.mark.parametrize(
    ("expression", "stands"),
    [
        ("MIT", True),
        ("mit", True),
        ("MIT AND CC-BY-4.0", True),
        ("MIT OR CC-BY-4.0", True),
        ("MIT AND CC-BY-NC-4.0", False),
        ("MIT OR CC-BY-NC-4.0", False),
        ("(MIT) AND (CC-BY-4.0 OR MIT)", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("GPL-2.0-only", False),
        ("LicenseRef-ours", True),
        ("LicenseRef-Ours", False),
        ("LicenseRef-ours-OR-theirs", False),
        (None, True),
    ],
)
def test_licences(expression: str | None, stands: bool) -> None:  # noqa: FBT001
    """All that an expression names must be allowed, those to choose from too."""
    assert refused(license=expression) == (None if stands else "license_not_allowed")


def test_no_licence_is_allowed_where_none_is_listed() -> None:
    assert refused({"licenses": ()}, license="MIT") == "license_not_allowed"
    assert refused({"licenses": ()}) is None


def test_a_licence_of_nobody_is_null() -> None:
    held_against = pl.DataFrame({"license": [None]}, schema={"license": pl.String}).select(allowed([], ("MIT",)))
    assert held_against.to_series().to_list() == [None]


def test_consents_keep_their_purposes_and_events() -> None:
    stated: list[list[str] | None] = [["ai-other", "ai-alignment"], [], None]
    rows = held([{**SOUND, "purposes": one} for one in stated])
    assert from_bits(pl.Series([row["purposes"] for row in rows])).to_list() == [["ai-alignment", "ai-other"], [], []]
    assert [row["purposes"] for row in rows][1:] == [0, 0]
    assert [row["event"] for row in rows] == [digest_text(str(place)) for place in range(3)]


def test_each_consent_stands_for_itself() -> None:
    rows = held([{**SOUND, **changes} for changes in ALONE.values()])
    assert [row["refused"] for row in rows] == list(ALONE)
    assert held([]) == []
