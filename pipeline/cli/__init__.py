"""`pairtrail`: parse, call one function, print. Heavy imports wait until a command needs them.

The modules imported here register their commands; `--help` lists them in this order.
"""

from pipeline.cli import stages, sources, rows, heldout, contamination, consent, keys  # noqa: I001  # in the order of use
from pipeline.cli.app import app, main

__all__ = ["app", "consent", "contamination", "heldout", "keys", "main", "rows", "sources", "stages"]
