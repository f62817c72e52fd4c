"""Labelled responses: what the votes of pairs and ties say about one response to one prompt.

A vote for a response counts for it. A vote for the other one counts against it, and so does `both_bad`; `tie` says
nothing. Votes are those that folding counted: one per annotator and pair. All pairs and ties of a side in which a
response stands under one policy and rubric are added up, so a response gives one row, with one label: desirable when
more votes are for it than against it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from pipeline.core.digests import digest
from pipeline.core.exporting.judged import OTHERS, Judged, first_that_holds
from pipeline.core.mapping.identify import response_id
from pipeline.core.tables import batches_of
from schemas.columns import MESSAGES

RESPONSES = {
    "pair_id": pl.String(),
    "policy_version": pl.String(),
    "rubric_version": pl.String(),
    "prompt": MESSAGES,
    "response": pl.String(),
    "desirable": pl.Boolean(),
    "votes_for": pl.Int64(),
    "votes_against": pl.Int64(),
}
"""A labelled response; `pair_id` and the texts are those of the first pair or tie that it stands in."""

REASONS = ("no_verdict", "as_many_against")
"""Why a response has no label: its votes are ties only, or as many are against it as for it."""

_SIDES = {"pairs": (("chosen", "chosen"), ("rejected", "rejected")), "ties": (("response_a", "a"), ("response_b", "b"))}
_OTHER = pl.Enum(OTHERS)
_JUDGED = ("prompt_id", "policy_version", "rubric_version")
_READ = ("pair_id", *_JUDGED, "prompt", "votes")


def labels(tables: Mapping[str, Path], judged: Judged) -> pl.DataFrame:
    """Add up the votes of each response in the tables `pairs` and `ties`; no text.

    One row per response: `said_id` (prompt, response, policy and rubric), `place` (the number of the first row that it
    stands in, pairs before ties), `votes_for`, `votes_against`, `other` (why it is not wanted, else null), and
    `reason`, null where the response is wanted and has a label. These thin columns stand in memory at once.
    """
    numbers = dict.fromkeys(("place", "votes_for", "votes_against"), pl.Int64())
    thin = {"said_id": pl.String(), **numbers, "other": _OTHER}
    other = first_that_holds(judged.others()).cast(_OTHER)
    # Each batch by itself first: a column as it was read would keep the whole batch, texts and all, in memory.
    said = [_added(_said(rows, table).with_columns(other=other)) for table, rows in _read(tables)]
    added = _added(pl.concat([pl.DataFrame(schema=thin), *said]))
    pro, contra = pl.col("votes_for"), pl.col("votes_against")
    reason = pl.when(pro + contra == 0).then(pl.lit(REASONS[0])).when(pro == contra).then(pl.lit(REASONS[1]))
    return added.with_columns(reason=pl.coalesce(pl.col("other").cast(pl.String), reason))


def _added(said: pl.DataFrame) -> pl.DataFrame:
    votes = pl.col("votes_for", "votes_against")
    return said.group_by("said_id").agg(pl.col("place").min(), votes.sum(), pl.col("other").first())


def labelled(tables: Mapping[str, Path], labels: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield each response of `labels` once, with the texts of its first row, in the order of these rows.

    Within a batch they stand in the order of their `said_id`, which sets the two responses of a pair apart: TRL's KTO
    takes its reference point from each row's prompt with the response of the row before.
    """
    wanted = labels.select("said_id", "place", "votes_for", "votes_against").sort("place", "said_id")
    for table, rows in _read(tables):
        first, after = (wanted["place"].search_sorted(place) for place in (rows["place"][0], rows["place"][-1] + 1))
        here = wanted.slice(first, after - first)
        found = _said(rows, table).drop("votes_for", "votes_against").join(here, on=["said_id", "place"])
        yield (
            found.sort("said_id")
            .with_columns(desirable=pl.col("votes_for") > pl.col("votes_against"))
            .select(*RESPONSES)
        )


def _read(tables: Mapping[str, Path]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield batches of rows, each row with its `place` in what is read."""
    place = 0
    for table, path in tables.items():
        texts = [column for column, _ in _SIDES[table]]
        for rows in batches_of(path, [*_READ, *texts]):
            yield table, rows.with_columns(place=pl.int_range(place, place + rows.height, dtype=pl.Int64))
            place += rows.height


def _said(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """Make two rows of each pair or tie: what it says about each of its responses."""
    sides = _SIDES[table]
    votes = pl.col("votes").struct.field
    return pl.concat(
        rows.select(
            *("place", "pair_id", "policy_version", "rubric_version", "prompt"),
            response=pl.col(column),
            said_id=digest(*map(pl.col, _JUDGED), response_id(pl.col(column))),
            votes_for=votes(mine),
            votes_against=votes(other) + votes("both_bad"),
        )
        for (column, mine), (_, other) in zip(sides, sides[::-1], strict=True)
    )
