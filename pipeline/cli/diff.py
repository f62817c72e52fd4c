"""What changed between two builds, row by row."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import AsJson, app, project
from pipeline.core.terminal import as_json_text, print_table


@app.command(rich_help_panel="What comes out")
def diff(
    before: Annotated[str, typer.Argument(metavar="REV1", help="A commit, branch, tag or release such as 1.2.0.")],
    after: Annotated[str, typer.Argument(metavar="[REV2]", help="The same; HEAD when not given.")] = "HEAD",
    *,
    rows: Annotated[Path | None, typer.Option(metavar="FILE", help="Write each change as a row: new Parquet.")] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown for a pull request.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare two builds by row, from DVC's objects; ends with 1 where a row moved between the splits.

    Example: pairtrail diff 1.0.0
    """
    from pipeline.lineage.diff import telling
    from pipeline.lineage.diff.diff import diff as compared
    from pipeline.lineage.diff.diff import write_changes

    found = compared(project(), before, after)
    if rows:
        write_changes(found, rows)
    if as_json or as_markdown:
        typer.echo(as_json_text(telling.facts(found)) if as_json else telling.markdown(found))
    else:
        for table in (telling.changes_told(found), telling.slices_told(found)):
            if table:
                print_table(table)
                typer.echo()
        typer.echo("\n".join([*telling.not_compared_told(found), telling.headline(found)]))
    if found.moved:
        typer.echo(f"pairtrail: {telling.alarm(found)}", err=True)
        raise typer.Exit(1)
