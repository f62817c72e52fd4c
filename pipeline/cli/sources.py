"""What goes in: sources, what dvc.yaml depends on, and the sample."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.app import AsJson, app, project
from pipeline.core.terminal import as_json_text, print_table

sources_app = typer.Typer(invoke_without_command=True)
app.add_typer(sources_app, name="sources", rich_help_panel="What goes in")


@sources_app.callback()
def sources(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the sources with their adapters, licences and counts; or start a new one.

    Example: pairtrail sources --json
    """
    if context.invoked_subcommand:
        return
    from pipeline.lineage.sources import sources as described

    rows = described(project())
    typer.echo(as_json_text(rows)) if as_json else print_table(rows)


@sources_app.command("new")
def sources_new(
    file: Annotated[Path, typer.Argument(help="A raw file; where it lies outside data/raw, it is copied there.")],
    *,
    name: Annotated[str | None, typer.Option(help="The source's name; the file's by default.")] = None,
) -> None:
    """Look at a raw file and begin its source.yaml: guesses to confirm, blanks to fill in.

    Example: pairtrail sources new ~/votes.jsonl --name mine
    """
    from pipeline.lineage.newsource import new_source, next_steps

    typer.echo(next_steps(project(), new_source(project(), file, name)))


@app.command(rich_help_panel="What goes in")
def sync() -> None:
    """Write into dvc.yaml what each stage depends on: its code, the lock, each raw file by name.

    Example: pairtrail sync
    """
    from pipeline.lineage.syncing import sync as write

    changes = write(project())
    for stage, (added, removed) in changes.items():
        typer.echo(f"{stage}: {len(added)} dependencies added, {len(removed)} removed")
    typer.echo("dvc.yaml is in sync")


@app.command(rich_help_panel="What goes in")
def demo(
    *,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    comparisons: Annotated[int, typer.Option(min=500, help="About how many verdicts to make.")] = 2_000,
    words: Annotated[int, typer.Option(min=4, help="About how long a response is.")] = 12,
    out: Annotated[Path, typer.Option(help="Where raw/, policy/, rubric/, ledger/, truth.json go.")] = Path("demo"),
) -> None:
    """Make synthetic feedback logs and consents of every awkward kind, and the truth that a correct pipeline finds.

    Example: pairtrail demo --seed 7 --comparisons 5000 --out demo
    """
    from pipeline.demo import write_sample

    truth = write_sample(out, seed=seed, comparisons=comparisons, words=words)
    counts: Any = truth["comparisons"]
    typer.echo(f"demo: {counts['candidates']:,} verdicts in {out}/raw; what a correct pipeline finds: {out}/truth.json")
