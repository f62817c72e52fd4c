"""Consent: what privacy officers ask, and what they write down."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import AsJson, app, project
from pipeline.core.terminal import as_json_text, print_table

consent_app = typer.Typer(
    help="The consent ledger: how consents stand, who withdrew, what an auditor asks.", no_args_is_help=True
)
app.add_typer(consent_app, name="consent", rich_help_panel="Consent and keys")

Named = Annotated[
    str | None, typer.Argument(metavar="[SUBJECT|SOURCE]", help="A pseudonym, or a source; never a raw id.")
]
Person = Annotated[
    bool, typer.Option("--person", help="Ask for the raw id of a person of SOURCE, unseen; never as an argument.")
]
PersonFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Read that raw id from a file of one line.")]


@consent_app.command("status")
def consent_status(
    named: Named = None, *, person: Person = False, person_file: PersonFile = None, as_json: AsJson = False
) -> None:
    """Tell how consents stand: all, those behind a source, or one person's with their history.

    Example: pairtrail consent status arena --person
    """
    from pipeline.lineage.consent.asking import whom
    from pipeline.lineage.consent.status import status, told

    found = status(project(), whom(project(), named, person=person, person_file=person_file))
    if as_json:
        typer.echo(as_json_text(found))
        return
    if "history" in found:
        typer.echo(told(found))
        return
    typer.echo(f"As of {found['as_of']}; a row that names several consents counts for each")
    print_table(found["consents"]) if found["consents"] else typer.echo("no consent record")


@consent_app.command("withdraw")
def consent_withdraw(  # noqa: PLR0913
    named: Named = None,
    *,
    person: Person = False,
    person_file: PersonFile = None,
    consent_id: Annotated[str | None, typer.Option(help="This consent only; all of the person's by default.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="When it happened; now by default.")] = None,
    how: Annotated[str | None, typer.Option(help="How it was withdrawn, such as: letter.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write down that a person withdraws consent, or objects where the basis is another.

    Example: pairtrail consent withdraw arena --person --how letter
    """
    from pipeline.lineage.consent.asking import whom
    from pipeline.lineage.consent.withdraw import told, withdraw

    asked = whom(project(), named, person=person, person_file=person_file)
    found = withdraw(project(), asked, consent_id=consent_id, at=at, how=how)
    typer.echo(as_json_text(found) if as_json else told(found))


@consent_app.command("import")
def consent_import(
    file: Annotated[Path, typer.Argument(help="CSV or TSV, or JSON-LD after ISO/IEC TS 27560 in DPV.")],
    *,
    source: Annotated[str | None, typer.Option(metavar="NAME", help="The source whose ids the file's are.")] = None,
    into: Annotated[
        str, typer.Option(metavar="NAME", help="The ledger's file to add to, without .jsonl.")
    ] = "imported",
    as_json: AsJson = False,
) -> None:
    """Add the consent records of a file to the ledger: all of them, or none where one has a fault.

    Example: pairtrail consent import consents.csv --source arena
    """
    from pipeline.lineage.consent.importing import import_consents, told

    found = import_consents(project(), file, source, into)
    typer.echo(as_json_text(found.as_dict()) if as_json else told(found))


@consent_app.command("expiring")
def consent_expiring(
    *,
    within: Annotated[str, typer.Option(metavar="DAYS", help="How far to look, such as 30d.")] = "30d",
    begin: Annotated[str | None, typer.Option("--from", metavar="DAY", help="From when; `as_of` by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the consents that stand now and will not in some days, with the rows that name them.

    Example: pairtrail consent expiring --within 30d
    """
    from pipeline.lineage.consent.status import expiring

    found = expiring(project(), within, begin)
    if as_json:
        typer.echo(as_json_text(found))
        return
    typer.echo(f"{len(found['consents']):,} consents stand on {found['from']} and do not on {found['to']}")
    if found["consents"]:
        print_table(found["consents"])


@consent_app.command("report")
def consent_report(
    *,
    out: Annotated[Path | None, typer.Option(help="Write it to a file; on the terminal by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count all rows by legal basis, jurisdiction, purposes, status and split, as Markdown or JSON.

    Example: pairtrail consent report --out consent.md
    """
    from pipeline.core.tables import write_text
    from pipeline.lineage.consent.report import as_markdown, report

    found = report(project())
    text = as_json_text(found) if as_json else as_markdown(found).rstrip("\n")
    if out is None:
        typer.echo(text)
        return
    write_text(text + "\n", out)
    typer.echo(f"{found['comparisons']:,} comparisons reported in {out}")


@consent_app.command("access")
def consent_access(
    named: Named = None,
    *,
    person: Person = False,
    person_file: PersonFile = None,
    out: Annotated[
        Path | None, typer.Option(help="A new file for all of it, texts included; yours alone (0600).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Gather everything held on one person (GDPR, Article 15); without --out only how much that is.

    Example: pairtrail consent access arena --person --out answer.json
    """
    from pipeline.lineage.consent.access import access, counts, told, write_access
    from pipeline.lineage.consent.asking import whom

    found = access(project(), whom(project(), named, person=person, person_file=person_file))
    if out is not None:
        write_access(found, out)
    typer.echo(as_json_text(counts(found)) if as_json else told(found, out))
