"""The texts by which prompts are compared: what the user says, and how it began; nothing that the system says."""

import polars as pl

from pipeline.core.turns import user_turns


def matched_texts(prompts: pl.Series) -> pl.DataFrame:
    """Return `turns` (all user turns, a line each, normalised as for `match_key`) and `root` (the first) of prompts.

    Where no message is the user's, all messages stand in for the user turns; a prompt without messages is empty.
    """
    spoken = user_turns(prompts).group_by("place", maintain_order=True)
    said = spoken.agg(turns=pl.col("matched").str.join("\n"), root=pl.col("matched").first())
    places = pl.DataFrame({"place": range(len(prompts))}, schema={"place": pl.UInt32})
    found = places.join(said, on="place", how="left", maintain_order="left")
    return found.select(pl.col("turns", "root").fill_null(""))
