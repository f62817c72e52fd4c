"""The checks: everything that is cheap, single files, or training files."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import AsJson, app, project
from pipeline.core.errors import PairtrailError
from pipeline.core.terminal import as_json_text


@app.command(rich_help_panel="What goes in")
def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files to check; everything when none is given.")] = None,
    *,
    leaks: Annotated[
        bool, typer.Option("--leaks", help="Look through training files (Parquet, JSON) for held-out rows instead.")
    ] = False,
    allow_unread: Annotated[
        bool, typer.Option("--allow-unread", help="With --leaks: let rows pass of which no prompt can be read.")
    ] = False,
    allow_stale: Annotated[
        bool, typer.Option("--allow-stale", help="Let a dvc.lock pass that is behind, as before a `dvc repro`.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check all that is cheap, for CI; or the files given; or whether training files hold held-out rows.

    Ends with 0 where all is sound, with 1 where something is not.

    Example: pairtrail check

    Example: pairtrail check data/raw/arena/source.yaml

    Example: pairtrail check --leaks exports/trl/train.parquet
    """
    if leaks:
        _look_through(paths or [], allow_unread=allow_unread, as_json=as_json)
    if allow_unread:
        msg = "--allow-unread goes with --leaks; without it, check looks at no training file"
        raise PairtrailError(msg)
    _look_at(paths or [], allow_stale=allow_stale, as_json=as_json)


def _look_through(files: list[Path], *, allow_unread: bool, as_json: bool) -> None:
    from pipeline.lineage.leaks.leaks import leaks
    from pipeline.lineage.leaks.telling import as_dict, told

    found = leaks(project(), files, allow_unread=allow_unread)
    typer.echo(as_json_text(as_dict(found)) if as_json else told(found))
    raise typer.Exit(found.code())


def _look_at(paths: list[Path], *, allow_stale: bool, as_json: bool) -> None:
    from pipeline.lineage.checking import checks, refuse

    looked = checks(project(), paths, allow_stale=allow_stale)
    if as_json:
        faults = sum(len(one.faults) for one in looked)
        typer.echo(as_json_text({"checks": [one.as_dict() for one in looked], "faults": faults}))
        raise typer.Exit(int(faults > 0))
    refuse(looked)
    for one in looked:
        typer.echo(f"{'ok' if one.looked else '--'}  {one.line}")
