"""What verifying finds: one look for each thing that is looked at."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pyarrow import ArrowException

from pipeline.core.errors import PairtrailError


@dataclass(frozen=True, slots=True)
class Look:
    """One thing that was looked at: what it is, what is wrong with it, and what is worth telling."""

    what: str
    faults: list[str] = field(default_factory=list)
    told: str = ""
    waits: bool = False
    """Whether this is no fault of the release, but something that people have still to do."""


@dataclass(frozen=True, slots=True)
class Verified:
    """All that was looked at of one release, and the files that were not at hand."""

    version: str
    looks: list[Look]
    away: list[str]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not any(look.faults for look in self.looks)


def look(what: str, faults: Callable[[], Iterable[str]], told: str = "") -> Look:
    """Look at one thing. What cannot be read at all is wrong, too."""
    try:
        return Look(what, list(faults()), told)
    except PairtrailError as error:
        return Look(what, [str(error)])
    except (ArrowException, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError):
        return Look(what, ["not as `pairtrail release` writes it"])
