"""The pseudonym key."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import app, project
from pipeline.core.project import find_project

keys_app = typer.Typer(help="The pseudonym key: make one, or change it.", no_args_is_help=True)
app.add_typer(keys_app, name="keys", rich_help_panel="Consent and keys")


@keys_app.command("init")
def keys_init() -> None:
    """Make the pseudonym key outside git, readable by you alone, and print the fingerprint to set.

    Example: pairtrail keys init
    """
    from pipeline.core.keys import KEY_FILE, init_key

    _, fingerprint = init_key(project().root)
    typer.echo(f"{KEY_FILE} written (mode 0600); keep a copy in a safe place: without it nothing can be rebuilt.")
    typer.echo(f"Now set in params.yaml, section ingest:\n  key_fingerprint: '{fingerprint}'")


@keys_app.command("rotate")
def keys_rotate(
    *,
    ids: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A CSV file of raw ids that stand in no raw file: source, id.")
    ] = None,
    leave_unmatched: Annotated[
        bool, typer.Option("--leave-unmatched", help="Rename subjects whose raw id nobody has; no log will find them.")
    ] = False,
    keep_map: Annotated[
        bool, typer.Option("--keep-map", help="Keep old and new pseudonyms, encrypted, with a key of their own.")
    ] = False,
) -> None:
    """Change the pseudonym key, and with it every pseudonym in the ledgers; finish a change that was cut off.

    Example: pairtrail keys rotate
    """
    from pipeline.lineage.rekeying.rotate import Wanted, rotate

    typer.echo(rotate(find_project(Path.cwd(), rotating=True), Wanted(ids, leave_unmatched, keep_map)))
