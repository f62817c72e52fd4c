"""The `pairtrail` command line: parse, call one function, print; no logic.

The modules imported here register their commands; `--help` lists them in this order.
"""

from pipeline.cli import stages, checks, sources, rows, diff, releases, heldout, contamination, consent, keys  # noqa: I001  # in the order of use
from pipeline.cli.app import app, main

__all__ = ["app", "checks", "consent", "contamination", "diff", "heldout", "keys"]
__all__ += ["main", "releases", "rows", "sources", "stages"]
