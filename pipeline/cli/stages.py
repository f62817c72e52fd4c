"""The stages, one command each."""

import typer

from pipeline.cli.app import app, project


def _run(stage: str) -> None:
    from pipeline.stages import stage_module

    module = stage_module(stage)
    if hasattr(module, "run"):
        typer.echo(module.run(project()))
        return
    from pipeline.core.running import run_stage

    typer.echo(run_stage(module, project()))


@app.command(rich_help_panel="Stages")
def ingest() -> None:
    """Read every source below data/raw into comparisons.

    Example: pairtrail ingest
    """
    _run("ingest")


@app.command(rich_help_panel="Stages")
def validate() -> None:
    """Mark comparisons that break the contract or lack policy, rubric, licence or consent.

    Example: pairtrail validate
    """
    _run("validate")


@app.command(rich_help_panel="Stages")
def dedupe() -> None:
    """Mark verdicts that an annotator gave again or took back.

    Example: pairtrail dedupe
    """
    _run("dedupe")


@app.command(rich_help_panel="Stages")
def near() -> None:
    """Find the prompts that are near each other, so that none stand on two sides.

    Example: pairtrail near
    """
    _run("near")


@app.command(rich_help_panel="Stages")
def decontaminate() -> None:
    """Find the prompts that hold a text of a benchmark.

    Example: pairtrail decontaminate
    """
    _run("decontaminate")


@app.command(rich_help_panel="Stages")
def split() -> None:
    """Give each comparison its side: train, validation or heldout.

    Example: pairtrail split
    """
    _run("split")


@app.command(rich_help_panel="Stages")
def publish() -> None:
    """Fold votes into pairs and ties, and write the dataset with manifest and release gate.

    Example: pairtrail publish
    """
    _run("publish")
