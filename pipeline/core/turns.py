"""The messages of prompts one by one, with their texts normalised: what ids and near neighbours both stand on."""

import polars as pl

from pipeline.core.digests import normalise


def messages_of(prompts: pl.Series) -> pl.DataFrame:
    """Return each message of each prompt: `place` (of the prompt), `role`, `content`, `normal` and `matched`.

    `normal` is the content after NFKC and white-space folding, `matched` the same in lower case.
    """
    indexed = pl.DataFrame({"prompt": prompts}).with_row_index("place")
    messages = indexed.filter(pl.col("prompt").list.len() > 0).explode("prompt")
    role, content = (pl.col("prompt").struct.field(name) for name in ("role", "content"))
    long = messages.select("place", role, content)
    normal = normalise(long["content"])
    return long.with_columns(normal=normal, matched=normal.str.to_lowercase())


def spoken() -> pl.Expr:
    """Mark the user's messages; where no message of a prompt is the user's, all stand in for them."""
    is_user = pl.col("role") == "user"
    return is_user | ~is_user.any().over("place")


def user_turns(prompts: pl.Series) -> pl.DataFrame:
    """Return the user's messages of each prompt, or all where none is the user's."""
    return messages_of(prompts).filter(spoken())
