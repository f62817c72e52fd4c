"""What each value of an event must be: known codes, forms, times; and how to tell what is wrong without repeating it."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import polars as pl

from pipeline.core.errors import PairtrailError
from pipeline.core.licenses import licenses_in
from schemas.columns import INSTANT
from schemas.consents import ABSOLUTE_URI, JURISDICTION, LANGUAGE, SHA256, SUBJECT
from schemas.vocabulary import CONSENT_PROFILES, CONSENT_STATUSES, LEGAL_BASES, PURPOSES

TIMES = ("status_time", "valid_until", "retention_until")
_CLOCKS = ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M%:z")
_LAST_MOMENT = pl.duration(hours=23, minutes=59, seconds=59, microseconds=999_999)


@dataclass(frozen=True, slots=True)
class Rule:
    """A value's form or its known codes, and how to say what it must be."""

    needs: str
    form: str | None = None
    codes: tuple[str, ...] | None = None

    def broken(self, column: str, *, several: bool) -> pl.Expr:
        """Say which values of a column break the rule; null breaks none."""
        held = self._held(pl.element() if several else pl.col(column)).fill_null(value=False)
        unfit = ~pl.col(column).list.eval(held).list.all() if several else pl.col(column).is_not_null() & ~held
        return unfit.alias(column)

    def _held(self, value: pl.Expr) -> pl.Expr:
        return value.is_in(list(self.codes)) if self.codes else value.str.contains(self.form or r"\S")

    def told(self, column: str, value: str) -> str:
        """Say what is wrong; the value itself is not repeated, as it may be anything."""
        near = get_close_matches(value, self.codes or (), n=1)
        hint = f"; nearest known: {near[0]}" if near else f"; known: {', '.join(self.codes)}" if self.codes else ""
        return f"`{column}`: {self.needs}{hint}"


_CODE = "a code that is not known"
RULES: Mapping[str, Rule] = {
    "consent_id": Rule("it must not be blank"),
    "subject": Rule("a pseudonym of 32 hexadecimal digits, or source:NAME, is needed", SUBJECT),
    "status": Rule(_CODE, codes=CONSENT_STATUSES),
    "purposes": Rule(_CODE, codes=PURPOSES),
    "legal_basis": Rule(_CODE, codes=LEGAL_BASES),
    "jurisdiction": Rule("a country (ISO 3166: DE, US-CA) or EU is needed", JURISDICTION),
    "conforms_to": Rule(_CODE, codes=CONSENT_PROFILES),
    "notice_uri": Rule("an absolute URI is needed", ABSOLUTE_URI),
    "language": Rule("a language tag (BCP 47: de, en-GB) is needed", LANGUAGE),
    "evidence_sha256": Rule("64 hexadecimal digits are needed", SHA256),
}


def as_instant(column: str) -> pl.Expr:
    """Read ISO 8601 texts as instants; those of `*_until` may be dates, which count to their end (UTC).

    What is none, or names no offset from UTC, is null.
    """
    text = pl.col(column).str.replace(r"[zZ]$", "+00:00")
    read = [text.str.to_datetime(clock, time_unit="us", strict=False, time_zone="UTC") for clock in _CLOCKS]
    if column != "status_time":
        day = pl.col(column).str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us"))
        read.append((day + _LAST_MOMENT).dt.replace_time_zone("UTC"))
    return pl.coalesce(*read).cast(INSTANT).alias(column)


def time_needed(column: str) -> str:
    """Say what a time must be."""
    either = "" if column == "status_time" else "a date, or "
    return f"`{column}`: {either}a time with its offset (2026-01-31T09:30:00Z) is needed"


def is_license(expression: str) -> bool:
    """Say whether a text is an SPDX expression."""
    try:
        licenses_in(expression)
    except PairtrailError:
        return False
    return True
