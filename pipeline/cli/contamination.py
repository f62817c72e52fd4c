"""Contamination: what decontaminate found, and what a person reviewed and allows."""

from typing import Annotated

import typer

from pipeline.cli.app import AsJson, app, project
from pipeline.core.terminal import as_json_text, print_table

contamination_app = typer.Typer(
    help="Prompts that hold a benchmark's text: list them, look at one, allow what was reviewed.", no_args_is_help=True
)
app.add_typer(contamination_app, name="contamination", rich_help_panel="What comes out")


@contamination_app.command("list")
def contamination_list(
    *,
    benchmark: Annotated[str | None, typer.Option(metavar="NAME", help="Of this benchmark only.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count what was found by benchmark and rule, and list the ids.

    Example: pairtrail contamination list --benchmark mt_bench
    """
    from pipeline.lineage.contamination import contaminations, told_list

    found = contaminations(project(), benchmark)
    if as_json:
        typer.echo(as_json_text(found))
        return
    if not found["benchmarks"]:
        typer.echo("There is no benchmark in data/benchmarks: no prompt was compared with anything.")
    if found["rows"]:
        print_table(told_list(found))
        typer.echo()
        print_table(found["rows"])
    exceptions = found["exceptions"]
    typer.echo(
        f"{found['prompts']:,} prompts hold a text of a benchmark; {exceptions['standing']:,} rows are allowed, "
        f"{exceptions['in_vain']:,} exceptions name nothing that is still found"
    )


@contamination_app.command("show")
def contamination_show(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="A contamination id, as `list` prints it.")],
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print both texts too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell where the two texts stand: the benchmark's record, and the comparisons and sources with the prompt.

    Example: pairtrail contamination show ID --reveal
    """
    from pipeline.lineage.contamination import contamination_of, told

    found = contamination_of(project(), wanted, reveal=reveal)
    typer.echo(as_json_text(found) if as_json else told(found))


@contamination_app.command("allow")
def contamination_allow(
    wanted: Annotated[list[str], typer.Argument(metavar="ID...", help="Contamination ids that were reviewed.")],
    *,
    by: Annotated[str, typer.Option(metavar="NAME", help="Who reviewed them.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why the prompt may be trained on all the same.")],
    as_json: AsJson = False,
) -> None:
    """Write into the ledger that what was found is no leak, so that split withholds nothing for it.

    Example: pairtrail contamination allow ID --by "evaluation team" --reason "a common question"
    """
    from pipeline.lineage.contamination import allow, told_allowed

    found = allow(project(), wanted, by, reason)
    if as_json:
        typer.echo(as_json_text(found))
        return
    typer.echo(told_allowed(found))
    typer.echo("Run `pairtrail split` and `pairtrail publish` again, or `dvc repro`.")
