"""Rows of any training set's shape, by their columns: what each asks, what it answers.

A row may be read in several ways (a prompt as it stands, and the conversation that `chosen` holds), and each counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from pipeline.lineage.leaks.cells import asked_in, messages_in, texts_in
from pipeline.lineage.leaks.rendered import unrendered
from schemas.columns import MESSAGES

# A text or messages.
_PROMPTS = ("prompt", "question", "query", "input")
# Messages, or a conversation that a template rendered; a text of any other kind is none.
_CONVERSATIONS = ("messages", "conversations", "conversation", "context", "text")
_ALPACA = ("instruction", "history")
# The first of each pair was chosen where one was.
_PAIRS = (("chosen", "rejected"), ("preferred_output", "non_preferred_output"), ("response_a", "response_b"))
_ANSWERS = ("completion", "response", "output", "answer")
_RANKED = "completions"
_IDS = ("pair_id", "id")
_PAIR_ID = "^[0-9a-f]{32}$"
_PARTS = ("chosen", "rejected")
KNOWN = [*_PROMPTS, *_CONVERSATIONS, *_ALPACA, *(name for pair in _PAIRS for name in pair), *_ANSWERS, _RANKED, *_IDS]
TELLING = set(KNOWN) - {"id", "history"}
"""The columns one of which a file must have; the others say nothing by themselves."""

READINGS: dict[str, pl.DataType | type[pl.DataType]] = {"place": pl.UInt32, "prompt": MESSAGES, "whole": pl.Boolean}
IDS: dict[str, pl.DataType | type[pl.DataType]] = {"place": pl.UInt32, "pair_id": pl.String, "settles": pl.Boolean}
ANSWERS: dict[str, pl.DataType | type[pl.DataType]] = {"place": pl.UInt32, "part": pl.String, "response": pl.String}


@dataclass(frozen=True, slots=True)
class Shaped:
    """The rows of a batch, by their place in it.

    `readings`: `prompt`, and whether it is a text that was taken as one message of the user (`whole`). `answers`: each
    response and its `part`: chosen, rejected, or other. `ids`: pair ids that rows carry.
    """

    readings: pl.DataFrame
    answers: pl.DataFrame
    ids: pl.DataFrame


def shaped(given: pl.DataFrame) -> Shaped:
    """Read the columns of a batch."""
    columns = given.select(column.name for column in given if column.null_count() < given.height)
    cut = {name: _talk(columns[name]) for name in (*_PROMPTS, *_CONVERSATIONS) if name in columns.columns}
    talks = {name: talk for name, (talk, _) in cut.items()}
    replies = [(part, column, messages_in(column)) for part, column in _responses(columns)]
    readings = [pl.DataFrame(schema=READINGS), *_prompts(columns, talks), *_alpaca(columns)]
    readings += [_further(further) for _, further in cut.values()]
    readings += [_reading(talk).filter(_asks()) for _, _, talk in replies]
    answers = [pl.DataFrame(schema=ANSWERS), *(_last_answer(talk) for talk in talks.values())]
    silent = _without(pl.concat(readings), given.height)
    for part, column, talk in replies:
        transcript, further = unrendered(texts_in(column).set(~silent, None))
        readings += [_reading(transcript), _further(further)]
        answers.append(_answer(part, texts_in(column), pl.select(pl.coalesce(talk, transcript)).to_series()))
    return Shaped(pl.concat(readings), pl.concat(answers), _ids(columns))


def _talk(column: pl.Series) -> tuple[pl.Series, pl.DataFrame]:
    """Return a column's messages, those that a known template rendered too; and further readings of the latter."""
    cut, further = unrendered(texts_in(column))
    return pl.select(pl.coalesce(messages_in(column), cut)).to_series(), further


def _responses(columns: pl.DataFrame) -> Iterator[tuple[str, pl.Series]]:
    """Yield each column of responses and its part; of ranked ones the first and the last."""
    for parts in _PAIRS:
        yield from ((part, columns[name]) for part, name in zip(_PARTS, parts, strict=True) if name in columns.columns)
    yield from (("other", columns[name]) for name in _ANSWERS if name in columns.columns)
    if _RANKED in columns.columns and columns.schema[_RANKED] == pl.List(pl.Struct):
        field = pl.element().struct.field
        ranked = pl.col(_RANKED).list.eval(pl.element().sort_by(field("rank"))).list
        for part, one in zip(_PARTS, (ranked.first(), ranked.last()), strict=True):
            yield part, columns.select(one.struct.field("completion")).to_series()


def _prompts(columns: pl.DataFrame, talks: dict[str, pl.Series]) -> Iterator[pl.DataFrame]:
    for name, talk in talks.items():
        if name == "input" and "instruction" in columns.columns:
            continue
        yield _reading(talk)
        if name in _PROMPTS:
            yield _whole(texts_in(columns[name]), talk.is_null())


def _alpaca(columns: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Read `instruction`, with the `input` that it is about below it, after what was asked before."""
    if "instruction" not in columns.columns:
        return
    asked, about = (
        texts_in(columns[name]) if name in columns.columns else _nothing(columns.height)
        for name in ("instruction", "input")
    )
    last = pl.concat_str(pl.lit(asked), pl.lit("\n"), pl.lit(about.fill_null("")))
    before = asked_in(columns["history"]) if "history" in columns.columns else _nothing(columns.height)
    earlier = pl.lit(before).fill_null([]) if "history" in columns.columns else pl.lit([], pl.List(pl.String))
    said = pl.when(pl.lit(asked).is_not_null()).then(pl.concat_list(earlier, last))
    yield _reading(messages_in(pl.select(said).to_series()))
    given = pl.lit(asked).is_not_null() & (pl.lit(about).str.strip_chars() != "")
    for one in (asked, about):
        yield _whole(
            pl.select(pl.when(given).then(pl.lit(one))).to_series(),
            pl.repeat(value=False, n=len(one), dtype=pl.Boolean, eager=True),
        )
        talk, further = unrendered(one)
        yield from (_reading(talk), _further(further))


def _nothing(height: int) -> pl.Series:
    return pl.repeat(None, height, dtype=pl.String, eager=True)


def _reading(talk: pl.Series) -> pl.DataFrame:
    """Return the rows whose messages these are."""
    rows = talk.alias("prompt").to_frame().with_row_index("place").filter(pl.col("prompt").list.len() > 0)
    return rows.with_columns(whole=pl.lit(value=False))


def _further(cut: pl.DataFrame) -> pl.DataFrame:
    return cut.select("place", prompt="said", whole=pl.lit(value=False))


def _whole(texts: pl.Series, unread: pl.Series) -> pl.DataFrame:
    """Take texts as one message of the user each; `whole` where they could not be read in another way."""
    message = pl.concat_list(pl.struct(role=pl.lit("user"), content=pl.col("text")))
    given = pl.DataFrame({"text": texts, "whole": unread}).with_row_index("place").filter(pl.col("text").is_not_null())
    return given.select("place", prompt=message.cast(MESSAGES), whole="whole")


def _asks() -> pl.Expr:
    return pl.col("prompt").list.eval(pl.element().struct.field("role") == "user").list.any()


def _without(readings: pl.DataFrame, height: int) -> pl.Series:
    return ~pl.int_range(height, dtype=pl.UInt32, eager=True).is_in(readings["place"].implode())


def _last_answer(talk: pl.Series) -> pl.DataFrame:
    """Return what the assistant said last, where that ends the conversation."""
    last = pl.col("talk").list.last().struct.field
    rows = talk.alias("talk").to_frame().with_row_index("place").filter(last("role") == "assistant")
    return rows.select("place", part=pl.lit("other"), response=last("content"))


def _answer(part: str, texts: pl.Series, talk: pl.Series) -> pl.DataFrame:
    last = pl.col("talk").list.last().struct.field("content")
    rows = pl.DataFrame({"text": texts, "talk": talk}).with_row_index("place")
    said = rows.select("place", part=pl.lit(part), response=pl.coalesce(last, "text"))
    return said.filter(pl.col("response").is_not_null())


def _ids(columns: pl.DataFrame) -> pl.DataFrame:
    """Return the ids that rows carry: `place`, `pair_id`, and whether it `settles` which pair a row is of.

    Anything may stand in `id`: it says so only where it is a held-out one.
    """
    named = [
        texts_in(columns[name])
        .alias("pair_id")
        .to_frame()
        .with_row_index("place")
        .drop_nulls()
        .with_columns(settles=pl.lit(name == "pair_id") & pl.col("pair_id").str.contains(_PAIR_ID))
        for name in _IDS
        if name in columns
    ]
    return pl.concat([pl.DataFrame(schema=IDS), *named])
