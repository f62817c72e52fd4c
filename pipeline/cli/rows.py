"""What comes out: the story of a row, a trainer's rows, and what the columns mean."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import AsJson, app, project
from pipeline.core.terminal import as_json_text


@app.command(rich_help_panel="What comes out")
def trace(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="A comparison, pair or prompt id, or FILE:RECORD.")],
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print the texts too.")] = False,
    releases: Annotated[bool, typer.Option("--releases", help="Tell in which releases it was, too.")] = False,
    release: Annotated[
        str | None, typer.Option("--release", metavar="VERSION", help="As the build of this release has it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell the story of a row: where it was found, what each stage decided, where it was published.

    Example: pairtrail trace crowd/votes.csv:12
    """
    if releases or release:
        from pipeline.lineage.tracing import told_over, trace_at, trace_over

        where = project()
        story = trace_at(where, wanted, release, reveal=reveal) if release else trace_over(where, wanted, reveal=reveal)
        typer.echo(as_json_text(story) if as_json else told_over(story))
        return
    from pipeline.lineage.trace import told
    from pipeline.lineage.trace import trace as story_of

    story = story_of(project(), wanted, reveal=reveal)
    typer.echo(as_json_text(story) if as_json else told(story))


@app.command(rich_help_panel="What comes out")
def export(  # noqa: PLR0913
    kind: Annotated[str, typer.Argument(metavar="FORMAT", help="Whose rows: trl, openai and so on.")],
    *,
    split: Annotated[str, typer.Option(help="Which side: train, validation or heldout.")],
    out: Annotated[Path, typer.Option(help="A new folder, or an earlier export, which is replaced.")],
    task: Annotated[str | None, typer.Option(help="What the rows are for; the format's first when not given.")] = None,
    margin_scale: Annotated[float, typer.Option(help="margin = this number x strength.")] = 1.0,
    require_strength: Annotated[
        bool, typer.Option("--require-strength", help="Leave out pairs without a strength, so that there is a margin.")
    ] = False,
    heldout: Annotated[str | None, typer.Option(metavar="REASON", help="Why heldout is exported.")] = None,
    rubric: Annotated[str | None, typer.Option(metavar="VERSION", help="Only what was judged under it.")] = None,
    policy: Annotated[str | None, typer.Option(metavar="VERSION", help="Only what was judged under it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the published rows of one side as a trainer reads them, with a receipt.

    Example: pairtrail export trl --split train --task dpo --out exports/trl
    """
    from pipeline.lineage.export import Request, told
    from pipeline.lineage.export import export as write

    request = Request(kind, split, out, task, margin_scale, require_strength, heldout, rubric, policy)
    receipt = write(project(), request)
    typer.echo(as_json_text(receipt) if as_json else told(receipt))


@app.command(rich_help_panel="What comes out")
def columns() -> None:
    """Print the column dictionary that docs/columns.md holds.

    Example: pairtrail columns > docs/columns.md
    """
    from schemas.dictionary import dictionary

    typer.echo(dictionary(), nl=False)
