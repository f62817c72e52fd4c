"""The three rules by which a prompt holds a benchmark's text: equal, covered word for word, or near."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from pipeline.core.benchmarks.items import Item, texts_of
from pipeline.core.decontaminating.coverage import CoverageIndex
from pipeline.core.digests import digest
from pipeline.core.mapping.identify import prompt_ids
from pipeline.core.near.index import NearIndex
from pipeline.core.near.texts import matched_texts
from schemas.columns import dtypes
from schemas.contamination import CONTAMINATION

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Against:
    """The texts of all benchmarks, ready to be compared with prompts."""

    texts: pl.DataFrame
    """`text` (their number), `benchmark`, `item`, `turn`, `match_key`, `root_id`; `short`: not looked for by runs."""
    covered: CoverageIndex
    near: NearIndex


def against(benchmarks: Mapping[str, list[Item]], *, near: float, fewest_words: int) -> Against:
    """Make the benchmarks' items, by benchmark, ready: near at a similarity, covered from so many words on."""
    texts = pl.concat(
        texts_of(of).with_columns(benchmark=pl.lit(name)) for name, of in benchmarks.items()
    ).with_row_index("text")
    ids = prompt_ids(texts["prompt"]).select("match_key", "root_id")
    said = matched_texts(texts["prompt"])["turns"]
    covered = CoverageIndex(said, fewest_words)
    known = pl.concat([texts.drop("prompt"), ids], how="horizontal").with_columns(short=covered.short)
    return Against(known, covered, NearIndex(said, near))


def contamination(prompts: pl.DataFrame, known: Against, coverage: float) -> pl.DataFrame:
    """Return the rows of the table `contamination` for prompts (`match_key`, `root_id`, `prompt`), in no order."""
    said = matched_texts(prompts["prompt"])
    keys = prompts.select("match_key", "root_id").with_row_index("place")
    texts = known.texts.select("text", "benchmark", "item", "turn")
    hits = [_equal(keys, known.texts), _covered(said, known, coverage), _near(said, known)]
    rows = pl.concat(hits, how="diagonal").join(keys, on="place").join(texts, on="text")
    # A digest's part is a text; a turn that is null is framed as such.
    parts = [pl.col("benchmark"), pl.col("item"), pl.col("turn").cast(pl.String), pl.col("rule"), pl.col("match_key")]
    return rows.with_columns(contamination_id=digest(pl.lit("contamination"), *parts)).select(*dtypes(CONTAMINATION))


def _equal(keys: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Find prompts that are a text, and those whose root is one (a turn; all turns together are nobody's root)."""
    whole = keys.join(texts.select("text", "match_key"), on="match_key")
    begun = keys.join(texts.filter(pl.col("turn").is_not_null()).select("text", "root_id"), on="root_id")
    found = pl.concat([whole.select("place", "text"), begun.select("place", "text")]).unique()
    return found.with_columns(rule=pl.lit("match"), position=pl.lit(0, pl.Int64))


def _covered(said: pl.DataFrame, known: Against, coverage: float) -> pl.DataFrame:
    """Find texts of which enough stands in the user turns."""
    found = known.covered.covered(said["turns"], coverage).rename({"left": "place", "right": "text"})
    return found.with_columns(pl.col("coverage").round(_DIGITS), rule=pl.lit("ngram"))


def _near(said: pl.DataFrame, known: Against) -> pl.DataFrame:
    """Find texts near the user turns, or near the root where that is another text."""
    longer = said.with_row_index("place").filter(pl.col("turns") != pl.col("root"))
    most = known.texts.height
    turns = known.near.near(said["turns"], most)
    roots = known.near.near(longer["root"], most).with_columns(
        left=pl.lit(longer["place"]).gather(pl.col("left")),
    )
    found = pl.concat([turns, roots]).group_by("left", "right").agg(pl.col("similarity").max())
    named = found.rename({"left": "place", "right": "text"})
    return named.with_columns(pl.col("similarity").round(_DIGITS), rule=pl.lit("near"))
