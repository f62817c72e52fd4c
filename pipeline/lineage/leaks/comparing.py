"""Rows of a batch beside what is held out: each row once, under the first kind of leak that it is."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.core.mapping.identify import response_id
from pipeline.core.near.shingles import shingled
from pipeline.core.near.texts import matched_texts
from pipeline.lineage.leaks.heldout import LEAST_CHARACTERS, Heldout
from pipeline.lineage.leaks.reading import Batch
from pipeline.lineage.leaks.shapes import Shaped, shaped

KINDS = {
    "canary": "a canary of the heldout side stands in it",
    "pair": "the prompt and both responses of a held-out pair",
    "swapped": "the same, with chosen and rejected exchanged",
    "prompt": "the prompt of a held-out row",
    "root": "the conversation opens as a held-out one does",
    "id": "it carries the id of a held-out pair",
    "responses": "both responses of a held-out pair, under whatever prompt, and of no other side",
    "near": "the prompt, or its opening, is a near neighbour of a held-out one",
    "response": "a long response of a held-out row, and of no other side",
}
FOUND = pl.Schema(
    [
        ("place", pl.UInt32()),
        ("kind", pl.Enum(list(KINDS))),
        ("of", pl.String()),
        ("id", pl.String()),
        ("similarity", pl.Float64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of a batch: its leaks, and the rows that could not be compared, or only in part.

    `found`: `row`, `kind`, the held-out `id` and what it is an id `of`, `similarity` of near ones. `unread`: numbers of
    rows without a prompt that can be read. `by_id`: how many of these have a pair's id at least. `whole`: how many
    have their prompt as a text that no known template rendered.
    """

    rows: int
    found: pl.DataFrame
    unread: pl.Series
    by_id: int
    whole: int


def compare(batch: Batch, held: Heldout) -> Compared:
    """Compare a batch with what is held out."""
    rows = shaped(batch.columns)
    texts = matched_texts(rows.readings["prompt"])
    every = pl.concat([rows.readings.select("place", "whole"), texts], how="horizontal")
    told = every.filter(pl.col("turns").str.strip_chars() != "")
    whole = told.group_by("place").agg(pl.col("whole").all())["whole"].sum()
    readings = told.select("place", "turns", "root").unique(["place", "turns"])
    found = _first([_canary(batch), *_exact(readings, rows, held), _near(readings, held), _response(rows, held)])
    clean = pl.DataFrame({"row": batch.rows}).with_row_index("place").join(found, on="place", how="anti")
    unread = clean.join(readings, on="place", how="anti")
    settled = rows.ids.filter("settles")
    by_id = unread.join(settled, on="place", how="semi").height
    numbered = found.with_columns(row=batch.rows.gather(found["place"])).drop("place")
    return Compared(len(batch.rows), numbered, unread.join(settled, on="place", how="anti")["row"], by_id, int(whole))


def _first(leaks: list[pl.DataFrame]) -> pl.DataFrame:
    """Keep the first kind of each row, and of that the nearest; what is left is decided by the id alone."""
    every = pl.concat([pl.DataFrame(schema=FOUND), *(leak.select(*FOUND).cast(FOUND) for leak in leaks)])
    ranked = every.sort("place", "kind", "similarity", "id", descending=[False, False, True, False], nulls_last=True)
    return ranked.unique("place", keep="first", maintain_order=True)


def _leak(kind: str, of: str | None, named: str | None, similarity: str | None = None) -> list[pl.Expr]:
    return [
        pl.lit(kind).alias("kind"),
        pl.lit(of, pl.String).alias("of"),
        (pl.lit(None, pl.String) if named is None else pl.col(named)).alias("id"),
        (pl.lit(None, pl.Float64) if similarity is None else pl.col(similarity)).alias("similarity"),
    ]


def _canary(batch: Batch) -> pl.DataFrame:
    marked = batch.canary.alias("canary").to_frame().with_row_index("place").filter("canary")
    return marked.select("place", *_leak("canary", None, None))


def _exact(readings: pl.DataFrame, rows: Shaped, held: Heldout) -> list[pl.DataFrame]:
    """Find the rows whose prompt, opening or id is held out, and whether they are a held-out pair."""
    prompts = readings.join(held.prompts, on="turns")
    roots = readings.join(held.roots, on="root")
    named = rows.ids.join(held.pair_ids, on="pair_id", how="semi")
    both = _both(rows)
    pairs = prompts.join(both, on="place").join(held.pairs, on=["match_key", "low", "high"])
    swapped = pl.col("chosen_ids").list.contains(pl.col("rejected")) & ~pl.col("chosen_ids").list.contains(
        pl.col("chosen")
    )
    return [
        pairs.filter(~swapped).select("place", *_leak("pair", "pair_id", "pair_id")),
        pairs.filter(swapped).select("place", *_leak("swapped", "pair_id", "pair_id")),
        both.join(held.answered, on=["low", "high"]).select("place", *_leak("responses", "pair_id", "pair_id")),
        named.select("place", *_leak("id", "pair_id", "pair_id")),
        prompts.select("place", *_leak("prompt", "match_key", "match_key")),
        roots.select("place", *_leak("root", "root_id", "root_id")),
    ]


def _both(rows: Shaped) -> pl.DataFrame:
    """Return the ids of the two responses of each row that has both: `chosen`, `rejected`; `low`, `high` in order."""
    sides = rows.answers.filter(pl.col("part") != "other").with_columns(response_id=response_id(pl.col("response")))
    chosen, rejected = (
        sides.filter(part=part).select("place", **{part: "response_id"}) for part in ("chosen", "rejected")
    )
    both = chosen.join(rejected, on="place")
    return both.with_columns(low=pl.min_horizontal("chosen", "rejected"), high=pl.max_horizontal("chosen", "rejected"))


def _near(readings: pl.DataFrame, held: Heldout) -> pl.DataFrame:
    """Find near neighbours of what no exact comparison found; each text is looked for once."""
    rest = readings.join(held.prompts, on="turns", how="anti").join(held.roots, on="root", how="anti")
    texts = pl.concat([rest["turns"], rest["root"]]).unique().alias("text").sort()
    sets = shingled(texts, held.near_prompts.threshold)
    found = []
    for column, index, keys, of in (
        ("turns", held.near_prompts, held.prompts["match_key"], "match_key"),
        ("root", held.near_roots, held.roots["root_id"], "root_id"),
    ):
        wanted = texts.is_in(rest[column].implode()).to_numpy()
        hits = index.near(sets.of(np.flatnonzero(wanted[sets.texts])), most=1)
        named = hits.with_columns(texts.gather(hits["left"]), key=keys.gather(hits["right"]))
        joined = rest.join(named, left_on=column, right_on="text")
        found.append(joined.select("place", *_leak("near", of, "key", "similarity")))
    return pl.concat(found)


def _response(rows: Shaped, held: Heldout) -> pl.DataFrame:
    long = rows.answers.filter(pl.col("response").str.len_chars() >= LEAST_CHARACTERS)
    named = long.select("place", response_id=response_id(pl.col("response")))
    return named.join(held.responses, on="response_id").select("place", *_leak("response", "pair_id", "pair_id"))
