"""The command line itself: what all commands share, and how a fault is told."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project, find_project

app = typer.Typer(
    help="Preference pairs with a paper trail: feedback logs in, versioned preference datasets out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def main() -> None:
    """Run the command line; a fault of the user's is told in one block, with exit code 1."""
    try:
        app()
    except PairtrailError as error:
        sys.stderr.write(f"pairtrail: {error}\n")
        sys.exit(1)


def project() -> Project:
    """Return the project that the command was given in."""
    return find_project(Path.cwd())
