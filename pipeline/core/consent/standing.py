"""Whether a consent stands: its state held against what a build allows, with the first reason where it does not."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import polars as pl

from pipeline.core.consent.purposes import as_bits
from pipeline.core.consent.states import KEY
from pipeline.core.licenses import licenses_in
from schemas.vocabulary import CONSENT_BASES, SPECIAL_BASES

REASONS = {
    "license_not_allowed": "params.yaml does not allow a licence of the source or of a consent record, or the record "
    "names one that the source does not",
    "consent_unknown": "a consent record is not in the ledger, or nobody knows how it stands",
    "consent_not_given": "consent was asked for and not given: requested, deferred or refused",
    "consent_invalidated": "consent was found to be invalid",
    "consent_withdrawn": "the subject withdrew consent",
    "consent_revoked": "somebody else ended consent",
    "processing_objected": "the subject objected (GDPR, Article 21)",
    "consent_expired": "consent, or another basis, does not hold to the end of `as_of`",
    "retention_passed": "the data may not be kept to the end of `as_of`",
    "special_category": "the data are of a special category, and params.yaml or the record's basis does not allow that",
    "jurisdiction_not_allowed": "params.yaml does not allow the record's jurisdiction, or the record states none",
}
"""Why a consent does not stand; the first that applies counts."""

_STATUSES = {
    "consent_not_given": ("ConsentRequested", "ConsentRequestDeferred", "ConsentRefused"),
    "consent_invalidated": ("ConsentInvalidated",),
    "consent_withdrawn": ("ConsentWithdrawn",),
    "consent_revoked": ("ConsentRevoked",),
    "processing_objected": ("eu-gdpr:A21",),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a build allows; `as_of` is the day to whose end a consent must hold."""

    as_of: date
    licenses: tuple[str, ...]
    jurisdictions: tuple[str, ...] | None
    special_category: bool

    @property
    def end(self) -> datetime:
        """The last moment of `as_of`."""
        return datetime.combine(self.as_of, time.max, UTC)


def date_of(day: str) -> date:
    """Read a day, written as 2026-01-31."""
    return date.fromisoformat(day)


def standing(consents: pl.LazyFrame, terms: Terms) -> pl.LazyFrame:
    """Give each consent the first reason why it does not stand (`refused`, null where it does).

    Beside `consent_id` and `subject` there are its purposes as bits (none where it states none), `event` and `license`.
    """
    licenses = consents.select(pl.col("license").drop_nulls().unique()).collect()["license"].to_list()
    rules = _rules(terms, licenses)
    refused = pl.coalesce(
        *(pl.when(rules[reason].fill_null(value=False)).then(pl.lit(reason)) for reason in REASONS),
        pl.lit(None, pl.String),
    )
    return consents.select(
        *KEY,
        refused.cast(pl.Enum(list(REASONS))).alias("refused"),
        as_bits(pl.col("purposes")).fill_null(0),
        "event",
        "license",
    )


def _rules(terms: Terms, licenses: list[str]) -> dict[str, pl.Expr]:
    status, basis = pl.col("status"), pl.col("legal_basis")
    unknown = (status == "ConsentUnknown") | (rests_on_consent() & status.is_null())
    special = pl.lit(value=not terms.special_category) | ~_names_any(basis, SPECIAL_BASES).fill_null(value=False)
    return {
        "license_not_allowed": ~allowed(licenses, terms.licenses),
        "consent_unknown": unknown,
        **{reason: status.is_in(list(statuses)) for reason, statuses in _STATUSES.items()},
        "consent_expired": (status == "ConsentExpired") | (pl.col("valid_until") < terms.end),
        "retention_passed": pl.col("retention_until") < terms.end,
        "special_category": pl.col("special_category") & special,
        "jurisdiction_not_allowed": _outside(terms.jurisdictions),
    }


def rests_on_consent() -> pl.Expr:
    """Say of the column `legal_basis` whether consent is among the bases; it is the one where none is stated."""
    basis = pl.col("legal_basis")
    return basis.is_null() | (basis.list.len() == 0) | _names_any(basis, CONSENT_BASES)


def _names_any(listed: pl.Expr, codes: tuple[str, ...]) -> pl.Expr:
    return listed.list.eval(pl.element().is_in(list(codes))).list.any()


def allowed(expressions: list[str], licenses: tuple[str, ...]) -> pl.Expr:
    """Say of the column `license` whether every licence that it names is allowed; null where it is null."""
    fits = {one: set(licenses_in(one)) <= set(licenses) for one in expressions}
    return pl.col("license").replace_strict(fits, default=None, return_dtype=pl.Boolean)


def named_by(licenses: list[str], recorded: list[str]) -> pl.Expr:
    """Say whether `license`, a row's, names every licence of `license_recorded`, its consent record's; null where none.

    Or a dataset would go out under less than what its publisher asks for.
    """
    pairs = [(row, record) for row in licenses for record in recorded]
    names = {"\n".join(pair): set(licenses_in(pair[1])) <= set(licenses_in(pair[0])) for pair in pairs}
    both = pl.concat_str("license", "license_recorded", separator="\n")
    return both.replace_strict(names, default=None, return_dtype=pl.Boolean)


def _outside(jurisdictions: tuple[str, ...] | None) -> pl.Expr:
    """Say whether a record's jurisdiction is none of those allowed, nor a part of one."""
    if jurisdictions is None:
        return pl.lit(value=False)
    stated = pl.col("jurisdiction")
    country = stated.str.split("-").list.first()
    return ~(stated.is_in(list(jurisdictions)) | country.is_in(list(jurisdictions))).fill_null(value=False)
