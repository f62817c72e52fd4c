"""`pairtrail`: parse, call one function, print. Heavy imports wait until a command needs them.

The modules imported here register their commands; `--help` lists them in this order.
"""

from pipeline.cli import stages, sources, rows, consent, keys  # noqa: I001  # in the order in which they are used
from pipeline.cli.app import app, main

__all__ = ["app", "consent", "keys", "main", "rows", "sources", "stages"]
