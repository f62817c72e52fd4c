"""What goes in: sources, checks, what dvc.yaml depends on, and the sample."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.app import AsJson, app, project
from pipeline.core.errors import PairtrailError
from pipeline.core.terminal import as_json_text, print_table

sources_app = typer.Typer(invoke_without_command=True)
app.add_typer(sources_app, name="sources", rich_help_panel="What goes in")


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
    as_json: Annotated[bool, typer.Option("--json", help="With --leaks: print JSON for scripts.")] = False,
) -> None:
    """Check sidecars, params.yaml, policies, rubrics and dvc.yaml; or whether training files hold held-out rows.

    Example: pairtrail check data/raw/arena/source.yaml

    Example: pairtrail check --leaks exports/trl/train.parquet
    """
    if leaks:
        from pipeline.lineage.leaks.leaks import leaks as look_through
        from pipeline.lineage.leaks.telling import as_dict, told

        found = look_through(project(), paths or [], allow_unread=allow_unread)
        typer.echo(as_json_text(as_dict(found)) if as_json else told(found))
        raise typer.Exit(found.code())
    if as_json or allow_unread:
        msg = f"{'--json' if as_json else '--allow-unread'} goes with --leaks; "
        msg += "without it, check prints a line for each thing that is sound"
        raise PairtrailError(msg)
    from pipeline.lineage.checking import check as check_all

    for name in check_all(project(), paths or []):
        typer.echo(f"ok  {name}")


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
