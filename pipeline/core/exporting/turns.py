"""A prompt taken apart, for formats that keep the system message apart and want the turns to alternate."""

import polars as pl

_ROLE = pl.element().struct.field("role")
_CONTENT = pl.element().struct.field("content")


def opens_with_system() -> pl.Expr:
    """Say whether a prompt's first message is a system message."""
    return (pl.col("prompt").list.first().struct.field("role") == "system").fill_null(value=False)


def system() -> pl.Expr:
    """Return the content of the system message that opens a prompt, else an empty text: loaders treat both alike."""
    return (
        pl.when(opens_with_system()).then(pl.col("prompt").list.first().struct.field("content")).otherwise(pl.lit(""))
    )


def turns() -> pl.Expr:
    """Return a prompt's messages after the system message that opens it, if one does."""
    return pl.col("prompt").list.slice(opens_with_system().cast(pl.Int64))


def in_turn(*asking: str) -> pl.Expr:
    """Say whether the turns are an `asking` role's and the assistant's by turns, the first and the last one asking."""
    asked = turns().list.eval(_ROLE.gather_every(2).is_in(asking)).list.all()
    answered = turns().list.eval(_ROLE.gather_every(2, 1) == "assistant").list.all()
    return asked & answered & (turns().list.len() % 2 == 1)


def asked_last() -> pl.Expr:
    """Return the content of a prompt's last message."""
    return pl.col("prompt").list.last().struct.field("content")


def history() -> pl.Expr:
    """Return what was said before the last message as a list of [asked, answered]; for prompts that are `in_turn`."""
    asked, answered = _CONTENT.gather_every(2), _CONTENT.gather_every(2, 1)
    return turns().list.head(turns().list.len() - 1).list.eval(pl.concat_list(asked, answered))
