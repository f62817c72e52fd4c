"""The project's one exception."""


class PairtrailError(Exception):
    """Something the user can mend; its text says what, where, how many, what is known, and what to do next."""
