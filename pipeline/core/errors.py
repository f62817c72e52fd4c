"""The project's one exception."""

from collections.abc import Callable


class PairtrailError(Exception):
    """Something the user can mend; its text says what, where, how many, what is known, and what to do next."""


def raised(look: Callable[[], object]) -> list[str]:
    """Return what a look at something finds wrong: the text of the exception, where there is one."""
    try:
        look()
    except PairtrailError as error:
        return [str(error)]
    return []
