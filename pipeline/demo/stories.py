"""What the consent ledger tells of people and sources: the events of each consent, and what they must come to.

Every outcome is stated by hand beside its events, as the documentation of the consent gate has it; nothing is folded.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Event = Mapping[str, object]

AS_OF = "2026-06-30"
"""The day that params.yaml names: whatever is valid through it has not expired."""

BOTH = ("ai-alignment", "ai-evaluation")
_TRAINING, _EVALUATION = ("ai-alignment",), ("ai-evaluation",)
_MOMENT = "2025-06-02T09:00:00Z"
_SAME_MOMENT = "2025-06-02T11:00:00+02:00"
_DAY_BEFORE = "2026-06-29"


@dataclass(frozen=True, slots=True)
class Story:
    """The events of one consent, and what they come to.

    That is why rows under it are dropped, or what they may be used for, and how many moments contradict themselves.
    """

    events: tuple[Event, ...]
    refused: str | None = None
    purposes: tuple[str, ...] = BOTH
    contradictions: int = 0

    @property
    def stands(self) -> bool:
        """Say whether rows under it may be used for everything."""
        return self.refused is None and self.purposes == BOTH


UNTOLD = Story((), "consent_unknown", ())
"""What is not in the ledger."""


def given(**changes: object) -> Event:
    """Write the event that most consents begin with."""
    begun = {"status_time": _MOMENT, "status": "ConsentGiven", "legal_basis": ["eu-gdpr:A6-1-a"]}
    return {**begun, "purposes": list(BOTH), "valid_until": "2028-12-31", "retention_until": "2030-12-31", **changes}


def contract(**changes: object) -> Event:
    """Write the event of a contract, which nobody consents to: it has no status."""
    begun = {"status_time": "2025-05-12T07:30:00Z", "legal_basis": ["eu-gdpr:A6-1-b"], "purposes": list(BOTH)}
    return {**begun, "valid_until": "2027-12-31", "retention_until": "2032-12-31", **changes}


def then(time: str, status: str | None = None, **changes: object) -> Event:
    """Write a later event, which states nothing but what it changes."""
    return {"status_time": time, **({} if status is None else {"status": status}), **changes}


GIVEN, SIGNED = Story((given(),)), Story((contract(),))
_WITHDRAWN = Story((given(), then("2026-03-02T18:20:00Z", "ConsentWithdrawn")), "consent_withdrawn")
_OBJECTED = Story(
    (given(legal_basis=["eu-gdpr:A6-1-f"]), then("2026-04-20T12:00:00Z", "eu-gdpr:A21")), "processing_objected"
)
_FOR_EVALUATION = Story((given(purposes=["ai-evaluation"]),), purposes=_EVALUATION)
_FOR_TRAINING = Story((given(purposes=["ai-alignment", "ai-synthetic"]),), purposes=_TRAINING)

VOTERS: tuple[Story, ...] = (
    *[GIVEN] * 18,
    Story((given(valid_until=AS_OF),)),
    Story((
        given(valid_until="2026-01-31"),
        then("2026-02-01T00:00:00Z", "ConsentExpired"),
        then("2026-02-03T08:15:00Z", "RenewedConsentGiven", valid_until="2028-01-31"),
    )),
    Story((given(), then("2025-11-02T21:05:00Z", "ConsentWithdrawn"), then("2026-01-15T10:00:00Z", "ConsentGiven"))),
    Story((given(), then(_SAME_MOMENT, recipients=["Arena team (invented)"], special_category=False))),
    Story((given(), then(_SAME_MOMENT, "ConsentRefused"), then("2025-06-09T09:00:00Z", "ConsentGiven")),
          contradictions=1),
    Story((then("2025-05-28T09:00:00Z", "ConsentRequested"), given())),
    # From here on, rows are dropped or withheld.
    _WITHDRAWN,
    Story((given(), then("2026-08-20T06:40:00Z", "ConsentWithdrawn")), "consent_withdrawn"),
    Story((given(), then(_SAME_MOMENT, "ConsentWithdrawn")), "consent_withdrawn", contradictions=1),
    Story((given(), then("2026-05-04T10:00:00Z", "eu-gdpr:A21"), then("2026-05-04T10:00:00Z", "ConsentWithdrawn")),
          "consent_withdrawn", contradictions=1),
    Story((given(valid_until=_DAY_BEFORE),), "consent_expired"),
    Story((given(), then("2026-01-01T00:00:00Z", "ConsentExpired")), "consent_expired"),
    Story((given(), then(_SAME_MOMENT, valid_until="2026-03-31")), "consent_expired", contradictions=1),
    Story((given(retention_until="2026-05-31"),), "retention_passed"),
    Story((given(status="ConsentRequested"),), "consent_not_given"),
    Story((given(status="ConsentRequestDeferred"),), "consent_not_given"),
    Story((given(status="ConsentRefused"),), "consent_not_given"),
    Story((given(), then("2026-02-11T16:00:00Z", "ConsentInvalidated")), "consent_invalidated"),
    Story((given(), then("2026-02-12T16:00:00Z", "ConsentRevoked")), "consent_revoked"),
    Story((given(), then("2025-12-24T16:00:00Z", "ConsentUnknown")), "consent_unknown"),
    _OBJECTED,
    Story((given(special_category=True),), "special_category"),
    Story((given(special_category=True, legal_basis=["eu-gdpr:A9-2-a"]),), "special_category"),
    Story((given(license="CC-BY-NC-4.0"),), "license_not_allowed"),
    Story((given(license="CC0-1.0 OR CC-BY-NC-4.0"),), "license_not_allowed"),
    Story((given(purposes=["non-ai-quality", "non-ai-staging"]),), "no_common_purpose", ()),
    _FOR_EVALUATION,
    Story((given(), then("2026-03-09T09:00:00Z", purposes=["ai-evaluation", "dpv:ScientificResearch"])),
          purposes=_EVALUATION),
    Story((given(), then(_SAME_MOMENT, purposes=["ai-evaluation"])), purposes=_EVALUATION, contradictions=1),
    # Last, as is the asker below: the two share no purpose.
    _FOR_TRAINING,
)  # fmt: skip
"""Those who vote in the arena: consent."""

ASKERS: tuple[Story, ...] = (
    *[GIVEN] * 40,
    Story((given(valid_until=f"{AS_OF}T23:59:59.999999Z"),)),
    _WITHDRAWN,
    _OBJECTED,
    _FOR_EVALUATION,
)
"""Those whose prompts are voted on in the arena: consent."""

GRADERS: tuple[Story, ...] = (
    *[SIGNED] * 9,
    Story((contract(valid_until=AS_OF),)),
    Story((contract(valid_until="2025-12-31"), then("2025-12-10T08:00:00Z", valid_until="2026-12-31"))),
    Story((contract(legal_basis=["eu-gdpr:A6-1-f"]),)),
    # From here on, rows are dropped or withheld.
    Story((contract(), then("2026-04-14T08:30:00Z", "eu-gdpr:A21")), "processing_objected"),
    Story((contract(legal_basis=["eu-gdpr:A6-1-f"]), then("2026-09-01T08:30:00Z", "eu-gdpr:A21")),
          "processing_objected"),
    Story((contract(valid_until=_DAY_BEFORE),), "consent_expired"),
    Story((contract(retention_until=_DAY_BEFORE),), "retention_passed"),
    Story((contract(), then("2026-01-20T08:30:00Z", "ConsentInvalidated")), "consent_invalidated"),
    Story((contract(), then("2026-01-21T08:30:00Z", "ConsentRevoked")), "consent_revoked"),
    # It rests on consent, and nobody noted how that stands.
    Story((contract(legal_basis=["eu-gdpr:A6-1-a"]),), "consent_unknown"),
    Story((contract(special_category=True),), "special_category"),
    Story((contract(license="LicenseRef-agency-internal"),), "license_not_allowed"),
    # It states no purpose, so it allows none.
    Story((contract(purposes=[]),), "no_common_purpose", ()),
    Story((contract(purposes=["ai-evaluation"]),), purposes=_EVALUATION),
)  # fmt: skip
"""Those whom the agency pays: contracts."""

WHOLE_SOURCES: Mapping[str, Story] = {
    "helpdesk": Story((contract(legal_basis=["eu-gdpr:A6-1-f"], purposes=[*BOTH, "non-ai-quality"]),)),
    "judge": Story(
        (contract(legal_basis=["eu-gdpr:A6-1-f"], purposes=["ai-evaluation"], license="CC0-1.0"),),
        purposes=_EVALUATION,
    ),
    "legacy": Story(
        (
            given(purposes=["ai-alignment", "ai-pre-training"], valid_until="2025-12-31"),
            then("2025-12-01T10:00:00Z", "RenewedConsentGiven", valid_until="2027-12-31"),
        ),
        purposes=_TRAINING,
    ),
    "noncommercial": GIVEN,
}
"""The records that sidecars name, `consent-NAME`."""
