"""Limits in time: a moment, a day, or a duration (ISO 8601) that is counted from a moment."""

import re
from calendar import monthrange
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta

_DURATION = re.compile(
    r"P(?=\w)(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?"
    r"(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?",
    re.ASCII,
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MONTHS = 12


def until(limit: str, start: str) -> str:
    """Turn a duration into the moment at which it ends, counted from `start`; leave what is none as it is.

    Years and months come first and keep the day of the month, or take the month's last day where it is shorter: as XML
    Schema adds durations.
    """
    counted = _DURATION.fullmatch(limit)
    try:
        begin = datetime.fromisoformat(start)
        if not counted or begin.tzinfo is None:
            return limit
        years, months, weeks, days, hours, minutes, seconds = (int(one or 0) for one in counted.groups())
        rest = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        return (_later(begin, years * _MONTHS + months) + rest).isoformat()
    except (ValueError, OverflowError):
        return limit


def _later(begin: datetime, months: int) -> datetime:
    years, month = divmod(begin.month - 1 + months, _MONTHS)
    year = begin.year + years
    last = monthrange(year, month + 1)[1]
    return begin.replace(year=year, month=month + 1, day=min(begin.day, last))


def earliest(limits: Iterable[str]) -> str | None:
    """Return the earliest of several limits, a day counted to its end; one that cannot be read comes first."""
    return min(limits, key=_instant, default=None)


def _instant(limit: str) -> datetime:
    unread = datetime.min.replace(tzinfo=UTC)
    try:
        read = datetime.fromisoformat(limit)
    except ValueError:
        return unread
    if _DAY.fullmatch(limit):
        return datetime.combine(read, time.max, UTC)
    return read if read.tzinfo else unread
