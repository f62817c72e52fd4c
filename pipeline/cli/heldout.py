"""What keeps a held-out set held out: epochs, and what releases gave away."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import app, project

_PANEL = "Releases"
epoch_app = typer.Typer(help="Epochs: under which salt and shares the split was ever made.", no_args_is_help=True)
app.add_typer(epoch_app, name="epoch", rich_help_panel=_PANEL)
released_app = typer.Typer(help="Released prompts, which cannot be held out any more.", no_args_is_help=True)
app.add_typer(released_app, name="released", rich_help_panel=_PANEL)


@epoch_app.command("record")
def epoch_record(
    *, reason: Annotated[str, typer.Option(metavar="TEXT", help="Why the split is to be this one; it stands in git.")]
) -> None:
    """Record the epoch, salt and shares of params.yaml, so that a build may use them.

    Example: pairtrail epoch record --reason "the first split"
    """
    from pipeline.lineage.epochs import record_epoch

    typer.echo(record_epoch(project(), reason))


@released_app.command("add")
def released_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the release is called, such as v1.0.0.")],
    *,
    published: Annotated[
        Path | None, typer.Option("--from", metavar="FOLDER", help="What was published; else data/publish.")
    ] = None,
) -> None:
    """Remember the prompts of the published train and validation: later builds hold none of them out.

    Example: pairtrail released add v1.0.0 --from published-v1.0.0
    """
    from pipeline.lineage.released import remember

    path, prompts = remember(project(), name, published)
    typer.echo(f"{prompts:,} prompts of {name} remembered in data/ledger/released/{path.name}; track it with `dvc add`")
