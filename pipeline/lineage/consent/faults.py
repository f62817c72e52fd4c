"""What is wrong with one record: the others are still looked at, so that all is told at once."""

from pipeline.core.errors import PairtrailError


class UnfitError(PairtrailError):
    """A record cannot be an event of the ledger; the message never repeats what it says."""
