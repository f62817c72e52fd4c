"""Expressions over published rows that several formats share."""

import polars as pl

from pipeline.core.exporting.tasks import Options

_ROLE = pl.element().struct.field("role")
_CONTENT = pl.element().struct.field("content")
_CHATML_MARKER = r"<\|im_(start|end)\|>"


def reply(column: str) -> pl.Expr:
    """Turn a response into what it is in a conversation: a list of one assistant message."""
    return pl.concat_list(pl.struct(role=pl.lit("assistant"), content=pl.col(column)))


def margin(options: Options) -> dict[str, pl.Expr]:
    """Return the column `margin` = margin_scale x strength, or no column where an export has none."""
    return {} if options.margin_scale is None else {"margin": options.margin_scale * pl.col("strength")}


def has_role(*roles: str) -> pl.Expr:
    """Say whether a prompt holds a message of any of these roles."""
    return pl.col("prompt").list.eval(_ROLE.is_in(roles)).list.any()


def holds_chatml_marker(*responses: str) -> pl.Expr:
    """Say whether a prompt or a response holds a marker of ChatML: written in ChatML, it could forge a message."""
    in_prompt = pl.col("prompt").list.eval(_CONTENT.str.contains(_CHATML_MARKER)).list.any()
    return pl.any_horizontal(in_prompt, pl.col(*responses).str.contains(_CHATML_MARKER))
