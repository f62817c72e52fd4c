"""The pseudonym key."""

import typer

from pipeline.cli.app import app, project

keys_app = typer.Typer(help="The pseudonym key: make one, or change it.", no_args_is_help=True)
app.add_typer(keys_app, name="keys", rich_help_panel="Consent and keys")


@keys_app.command("init")
def keys_init() -> None:
    """Make the pseudonym key outside git, readable by you alone, and name it in params.yaml.

    Example: pairtrail keys init
    """
    from pipeline.core.keys import KEY_FILE, init_key

    _, fingerprint = init_key(project().root)
    typer.echo(f"{KEY_FILE} written (mode 0600); keep a copy in a safe place: without it nothing can be rebuilt.")
    typer.echo(f"Now set in params.yaml, section ingest:\n  key_fingerprint: '{fingerprint}'")
