"""Releases: cut, approve, verify, list, show and withdraw."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pipeline.cli.app import AsJson, app, project
from pipeline.core.terminal import as_json_text, print_table

_CUT = "cut"
Version = Annotated[str, typer.Argument(metavar="VERSION", help="MAJOR.MINOR.PATCH, such as 1.2.0.")]
Key = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The signing key; else the environment's or .pairtrail/signing.pem.")
]


class _Group(TyperGroup):
    """`pairtrail release 1.2.0` is short for `pairtrail release cut 1.2.0`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
        """Put the command's name before what is none."""
        named = next((word for word in args if not word.startswith("-")), None)
        if named and named not in self.commands:
            args = [_CUT, *args]
        return super().parse_args(ctx, args)


release_app = typer.Typer(
    cls=_Group,
    help="Releases: published, versioned, signed datasets. `release VERSION` cuts one.",
    no_args_is_help=True,
)
app.add_typer(release_app, name="release", rich_help_panel="Releases")


@release_app.command(_CUT)
def release_cut(
    version: Version,
    *,
    key: Key = None,
    notes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Markdown to begin the release notes with.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Release the build that is checked out: verify, sign, commit and tag it; or say why not, and change nothing.

    Example: pairtrail release 1.2.0
    """
    from pipeline.core.params import read_text
    from pipeline.lineage.releases.cutting import Asked, cut
    from pipeline.lineage.releases.telling import cut_told

    facts = cut(project(), Asked(version, key, read_text(notes) if notes else None))
    typer.echo(as_json_text(facts) if as_json else cut_told(facts))


@release_app.command("approve")
def release_approve(version: Version, *, key: Key = None) -> None:
    """Verify a release and add your own signature to it.

    Example: pairtrail release approve 1.2.0
    """
    from pipeline.lineage.releases.approving import approve

    typer.echo(f"{approve(project(), version, key)} approves {version}; push the commit")


@release_app.command("verify")
def release_verify(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A version, or the folder releases/VERSION.")],
    *,
    copy: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The files that you were given; else those that DVC holds.")
    ] = None,
    public_key: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Who must have signed; else those in releases/keys.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify signatures, digests, rows, footers, tag and commits of a release; exit code 1 where one is wrong.

    Example: pairtrail release verify 1.2.0 --public-key alice.pem
    """
    from pipeline.lineage.releases.telling import verified_facts, verified_told
    from pipeline.lineage.releases.verifying import is_release, verify, verify_copy

    keys = public_key or []
    found = verify_copy(Path(version), copy, keys) if is_release(version) else verify(project(), version, copy, keys)
    typer.echo(as_json_text(verified_facts(found)) if as_json else verified_told(found))
    raise typer.Exit(0 if found.sound else 1)


@release_app.command("list")
def release_list(*, as_json: AsJson = False) -> None:
    """List the releases, the newest first.

    Example: pairtrail release list
    """
    from pipeline.lineage.releases.telling import release_rows

    rows = release_rows(project())
    if as_json or not rows:
        typer.echo(as_json_text(rows) if as_json else "no release yet; `pairtrail release 1.0.0` makes the first")
    else:
        print_table(rows)


@release_app.command("show")
def release_show(version: Version, *, as_json: AsJson = False) -> None:
    """Show what a release holds, what it was built from, and who signed it.

    Example: pairtrail release show 1.2.0
    """
    from pipeline.lineage.releases.records import release_of
    from pipeline.lineage.releases.telling import shown, shown_told

    here = project()
    facts = shown(here, release_of(here, version))
    typer.echo(as_json_text(facts) if as_json else shown_told(facts))


@release_app.command("withdraw")
def release_withdraw(
    version: Version,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why nobody should use it any more; it stands in git.")],
    key: Key = None,
) -> None:
    """Say, signed, that a release must not be used any more; what was given away is not deleted anywhere.

    Example: pairtrail release withdraw 1.2.0 --reason "one source had no consent"
    """
    from pipeline.lineage.releases.approving import withdraw

    tag = withdraw(project(), version, reason, key)
    typer.echo(f"{version} is withdrawn; push the commit and its tag: git push origin HEAD '{tag}'")


@release_app.command("key")
def release_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is; the name stands in git.")],
) -> None:
    """Make a signing key outside git, readable by you alone, and its public half in releases/keys.

    Example: pairtrail release key alice
    """
    from pipeline.lineage.releases.signing import KEY_FILE, init_key

    public = init_key(project(), name)
    typer.echo(f"{KEY_FILE} written (mode 0600); keep it to yourself, and a copy in a safe place.")
    typer.echo(f"Commit its public half, releases/keys/{public.name}: with it others verify what you sign.")
