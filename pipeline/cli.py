"""`pairtrail`: parse, call one function, print. Heavy imports wait until a command needs them."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project, find_project
from pipeline.core.terminal import as_json_text, print_table

app = typer.Typer(
    help="Preference pairs with a paper trail: feedback logs in, versioned preference datasets out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
sources_app = typer.Typer(invoke_without_command=True)
app.add_typer(sources_app, name="sources")
keys_app = typer.Typer(help="The pseudonym key: make one.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def main() -> None:
    """Run the command line; a fault of the user's is told in one block, with exit code 1."""
    try:
        app()
    except PairtrailError as error:
        sys.stderr.write(f"pairtrail: {error}\n")
        sys.exit(1)


def _project() -> Project:
    return find_project(Path.cwd())


def _run(stage: str) -> None:
    from pipeline.stages import stage_module

    module = stage_module(stage)
    if hasattr(module, "run"):
        typer.echo(module.run(_project()))
        return
    from pipeline.core.running import run_stage

    typer.echo(run_stage(module, _project()))


@app.command()
def ingest() -> None:
    """Read every source below data/raw into comparisons.

    Example: pairtrail ingest
    """
    _run("ingest")


@app.command()
def validate() -> None:
    """Mark comparisons that break the contract or lack policy, rubric, licence or consent.

    Example: pairtrail validate
    """
    _run("validate")


@app.command()
def dedupe() -> None:
    """Mark verdicts that an annotator gave again or took back.

    Example: pairtrail dedupe
    """
    _run("dedupe")


@app.command()
def split() -> None:
    """Give each comparison its side: train, validation or heldout.

    Example: pairtrail split
    """
    _run("split")


@app.command()
def publish() -> None:
    """Fold votes into pairs and ties, and write the dataset with manifest and release gate.

    Example: pairtrail publish
    """
    _run("publish")


@app.command()
def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files to check; everything when none is given.")] = None,
) -> None:
    """Check sidecars, params.yaml, policies, rubrics and dvc.yaml; explain what is wrong.

    Example: pairtrail check data/raw/arena/source.yaml
    """
    from pipeline.lineage.checking import check as check_all

    for name in check_all(_project(), paths or []):
        typer.echo(f"ok  {name}")


@sources_app.callback()
def sources(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the sources with their adapters, licences and counts; or start a new one.

    Example: pairtrail sources --json
    """
    if context.invoked_subcommand:
        return
    from pipeline.lineage.sources import sources as described

    rows = described(_project())
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

    typer.echo(next_steps(_project(), new_source(_project(), file, name)))


@app.command()
def sync() -> None:
    """Write into dvc.yaml what each stage depends on: its code, the lock, each raw file by name.

    Example: pairtrail sync
    """
    from pipeline.lineage.syncing import sync as write

    changes = write(_project())
    for stage, (added, removed) in changes.items():
        typer.echo(f"{stage}: {len(added)} dependencies added, {len(removed)} removed")
    typer.echo("dvc.yaml is in sync")


@app.command()
def trace(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="A comparison, pair or prompt id, or FILE:RECORD.")],
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print the texts too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell the story of a row: where it was found, what each stage decided, where it was published.

    Example: pairtrail trace crowd/votes.csv:12
    """
    from pipeline.lineage.trace import told
    from pipeline.lineage.trace import trace as story_of

    story = story_of(_project(), wanted, reveal=reveal)
    typer.echo(as_json_text(story) if as_json else told(story))


@app.command()
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
    receipt = write(_project(), request)
    typer.echo(as_json_text(receipt) if as_json else told(receipt))


@app.command()
def demo(
    *,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    comparisons: Annotated[int, typer.Option(min=500, help="About how many verdicts to make.")] = 2_000,
    words: Annotated[int, typer.Option(min=4, help="About how long a response is.")] = 12,
    out: Annotated[Path, typer.Option(help="Where raw/, policy/, rubric/, ledger/ and truth.json are written.")] = Path(
        "demo"
    ),
) -> None:
    """Make synthetic feedback logs and consents of every awkward kind, and the truth that a correct pipeline finds.

    Example: pairtrail demo --seed 7 --comparisons 5000 --out demo
    """
    from pipeline.demo import write_sample

    truth = write_sample(out, seed=seed, comparisons=comparisons, words=words)
    counts: Any = truth["comparisons"]
    typer.echo(f"demo: {counts['candidates']:,} verdicts in {out}/raw; what a correct pipeline finds: {out}/truth.json")


@app.command()
def columns() -> None:
    """Print the column dictionary that docs/columns.md holds.

    Example: pairtrail columns > docs/columns.md
    """
    from schemas.dictionary import dictionary

    typer.echo(dictionary(), nl=False)


@keys_app.command("init")
def keys_init() -> None:
    """Make the pseudonym key outside git, readable by you alone, and name it in params.yaml.

    Example: pairtrail keys init
    """
    from pipeline.core.keys import KEY_FILE, init_key

    _, fingerprint = init_key(_project().root)
    typer.echo(f"{KEY_FILE} written (mode 0600); keep a copy in a safe place: without it nothing can be rebuilt.")
    typer.echo(f"Now set in params.yaml, section ingest:\n  key_fingerprint: '{fingerprint}'")
