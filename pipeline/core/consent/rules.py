"""What each value of an event must be: known codes, forms, times; and what is wrong with one, without repeating it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from pipeline.core.consent.lines import KEYS, REQUIRED, TEXTS, nearest
from pipeline.core.errors import PairtrailError
from pipeline.core.licenses import licenses_in
from schemas.columns import INSTANT, dtypes
from schemas.consents import ABSOLUTE_URI, EVENTS, JURISDICTION, LANGUAGE, SHA256, SUBJECT
from schemas.vocabulary import CONSENT_PROFILES, CONSENT_STATUSES, LEGAL_BASES, PURPOSES

TIMES = [name for name, dtype in dtypes(EVENTS).items() if dtype == INSTANT]
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_MINUTE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}"
_OFFSET = r"([zZ]|[+-][0-9]{2}:[0-9]{2})$"
_CLOCKS = {
    rf"{_MINUTE}:[0-5][0-9](\.[0-9]{{1,9}})?{_OFFSET}": "%Y-%m-%dT%H:%M:%S%.f%:z",
    rf"{_MINUTE}{_OFFSET}": "%Y-%m-%dT%H:%M%:z",
}
_YEARS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_LAST_MOMENT = pl.duration(hours=23, minutes=59, seconds=59, microseconds=999_999)


@dataclass(frozen=True, slots=True)
class Rule:
    """A value's form or its known codes, and how to say what it must be."""

    needs: str
    form: str = r"\S"
    codes: tuple[str, ...] = ()

    def unfit(self, column: str) -> pl.Expr:
        """Say which values of a column break the rule; null breaks none."""
        if KEYS[column] == TEXTS:
            return ~pl.col(column).list.eval(self._held(pl.element())).list.all()
        return ~self._held(pl.col(column))

    def _held(self, value: pl.Expr) -> pl.Expr:
        return value.is_in(list(self.codes)) if self.codes else value.str.contains(self.form)

    def told(self, value: str | list[str]) -> str:
        """Say what is wrong with a value that breaks the rule, without repeating it, as it may be anything."""
        if not self.codes:
            return self.needs
        stated = [value] if isinstance(value, str) else value
        return f"{self.needs}; {nearest(next(one for one in stated if one not in self.codes), self.codes)}"


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


def read_times(written: pl.DataFrame) -> pl.DataFrame:
    """Read ISO 8601 texts as instants; those of `*_until` may be dates, which count to their end (UTC).

    What is none, or names no offset from UTC, or lies outside the years 1 to 9999, is null.
    """
    return written.with_columns(_instant(column) for column in TIMES)


def _instant(column: str) -> pl.Expr:
    text = pl.col(column)
    offset = text.str.replace(r"[zZ]$", "+00:00")
    read = [
        pl.when(text.str.contains(form))
        .then(offset)
        .str.to_datetime(clock, time_unit="us", strict=False, time_zone="UTC")
        for form, clock in _CLOCKS.items()
    ]
    if column != "status_time":
        day = pl.when(text.str.contains(_DAY)).then(text).str.to_date("%Y-%m-%d", strict=False)
        read.append((day.cast(pl.Datetime("us")) + _LAST_MOMENT).dt.replace_time_zone("UTC"))
    found = pl.coalesce(*read)
    return pl.when(found.is_between(*_YEARS)).then(found).cast(INSTANT).alias(column)


def broken(written: pl.DataFrame, typed: pl.DataFrame, most: int) -> Iterator[tuple[int, str]]:
    """Yield the rows that break a rule with what is wrong, at most `most` for each rule; `typed` has the times read."""
    for column in REQUIRED:
        yield from ((row, f"missing key `{column}`") for row in _rows(written[column].is_null(), most))
    for column in TIMES:
        unread = written[column].is_not_null() & typed[column].is_null()
        either = "" if column == "status_time" else "a date, or "
        told = f"`{column}`: {either}a time with its offset (2026-01-31T09:30:00Z) is needed"
        yield from ((row, told) for row in _rows(unread, most))
    unfit = written.select(rule.unfit(column) for column, rule in RULES.items())
    for column, rule in RULES.items():
        yield from ((row, f"`{column}`: {rule.told(written[column][row])}") for row in _rows(unfit[column], most))
    unlicensed = [one for one in written["license"].unique().drop_nulls() if not _is_license(one)]
    told = "`license`: an SPDX expression is needed; LicenseRef-NAME where SPDX lists none"
    yield from ((row, told) for row in _rows(written["license"].is_in(unlicensed), most))


def _rows(unfit: pl.Series, most: int) -> list[int]:
    return unfit.arg_true().head(most).to_list()


def _is_license(expression: str) -> bool:
    try:
        licenses_in(expression)
    except PairtrailError:
        return False
    return True
