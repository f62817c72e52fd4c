"""Consent: the events of the ledger, which are only ever added to, and what they come to for each consent."""

from typing import Any

import pandera.polars as pa
import polars as pl

from schemas.columns import INSTANT, column, identifier, table, text
from schemas.vocabulary import (
    CONSENT_PROFILES,
    CONSENT_STATUSES,
    LEGAL_BASES,
    PURPOSES,
)

SUBJECT = r"^([0-9a-f]{32}|source:[a-z][a-z0-9_]*)$"
JURISDICTION = r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$"
LANGUAGE = r"^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{1,8})*$"
SHA256 = r"^[0-9a-f]{64}$"
ABSOLUTE_URI = r"^[a-zA-Z][a-zA-Z0-9+.-]*:\S+$"

_TEXTS = pl.List(pl.String)


def _several(known: tuple[str, ...] | None, description: str) -> pa.Column:
    checks = [] if known is None else [pa.Check(_all_in(known), name="known_codes", statistics={"codes": known})]
    return pa.Column(_TEXTS, checks=checks, nullable=True, description=description)


def _all_in(known: tuple[str, ...]) -> Any:  # noqa: ANN401
    def check(checked: pa.PolarsData) -> pl.LazyFrame:
        fits = pl.element().is_in(list(known)).fill_null(value=False)
        return checked.lazyframe.select(pl.col(checked.key).list.eval(fits).list.all().fill_null(value=True))

    return check


_KEY = {
    "consent_id": text("The id of the consent record, as its keeper gave it.", nullable=False),
    "subject": column(
        pl.String,
        "Whose it is: the pseudonym that the annotator column has, or `source:NAME` for a record about a whole source.",
        matches=SUBJECT,
    ),
}
_STATED = {
    "status": column(
        pl.String, "How consent stands (DPV), or that the subject objected.", nullable=True, one_of=CONSENT_STATUSES
    ),
    "purposes": _several(PURPOSES, "What the data may be used for; none when never stated."),
    "legal_basis": _several(LEGAL_BASES, "On which legal grounds; consent when never stated."),
    "jurisdiction": column(
        pl.String,
        "Whose law applies: a country or part of one (ISO 3166), or EU.",
        nullable=True,
        matches=JURISDICTION,
    ),
    "valid_until": column(INSTANT, "Until when it holds; a date counts to its end.", nullable=True),
    "retention_until": column(INSTANT, "Until when the data may be kept; a date counts to its end.", nullable=True),
    "special_category": column(
        pl.Boolean, "Whether the data reveal what Article 9 of the GDPR protects.", nullable=True
    ),
    "license": text("The licence that the record states, as an SPDX expression."),
    "conforms_to": column(
        pl.String, "The DPV profile of ISO/IEC TS 27560 that it follows.", nullable=True, one_of=CONSENT_PROFILES
    ),
    "withdrawal_method": text("How consent can be, or was, withdrawn."),
    "notice_uri": column(
        pl.String, "Where the notice stands that the subject was shown.", nullable=True, matches=ABSOLUTE_URI
    ),
    "notice_version": text("Which version of that notice."),
    "language": column(pl.String, "The language of the notice (BCP 47).", nullable=True, matches=LANGUAGE),
    "evidence_sha256": column(
        pl.String, "SHA-256 of the evidence: a signed form, a log entry, a licence.", nullable=True, matches=SHA256
    ),
    "collection_method": text("How consent was collected."),
    "controller": text("Who decides on the use: the data controller."),
    "recipients": _several(None, "Who receives the data."),
}

EVENTS = table(
    "consent events",
    "The consent ledger: one event per line of JSON. What an event does not state stays as it was.",
    {**_KEY, "status_time": column(INSTANT, "When it happened: ISO 8601 with its offset from UTC."), **_STATED},
)

CONSENTS = table(
    "consents",
    "How each consent stands once all its events are folded; computed anew at each use, kept nowhere.",
    {
        **_KEY,
        **_STATED,
        "event": identifier("Digest of the event that gave the present status; of the latest where none states one."),
        "events": column(pl.Int64, "How many events it has, copies aside.", at_least=1),
        "contradictions": column(
            pl.Int64, "How many of its moments have two events that state different things.", at_least=0
        ),
        "newest": column(INSTANT, "When its latest event happened."),
    },
    unique=["consent_id", "subject"],
)
