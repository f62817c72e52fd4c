"""The texts of all ingested prompts, each once, with the keys that they stand for."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from pipeline.core.ingested import PLACE, scan_comparisons
from pipeline.core.near.texts import matched_texts
from pipeline.core.project import Project
from pipeline.core.receiving import rows_at

# So much text is cut into shingles at once.
_BATCH_BYTES = 16 * 2**20
KEYS = {"match_key": pl.String, "root_id": pl.String, "is_root": pl.Boolean}


@dataclass
class Prompts:
    """Texts in batches, and afterwards the keys of each: text number i is row i of `keys`.

    A text stands for a prompt (`match_key`), for a root (`is_root`) or for both: most conversations have one user turn.
    """

    project: Project

    def __post_init__(self) -> None:
        """Begin with no text read."""
        self._keys = [pl.DataFrame(schema=KEYS)]
        self._roots = pl.DataFrame(schema={"root_id": pl.String})

    @property
    def keys(self) -> pl.DataFrame:
        """Return what the texts that were read stand for.

        A root that was read before the prompt of that one turn came stands for nothing: the prompt stands for both.
        """
        keys = pl.concat(self._keys)
        prompted = keys.filter(pl.col("is_root") & pl.col("match_key").is_not_null())["root_id"]
        twice = pl.col("match_key").is_null() & pl.col("root_id").is_in(prompted.implode())
        return keys.with_columns(is_root=pl.col("is_root") & ~twice)

    def texts(self) -> Iterator[pl.Series]:
        """Yield the texts, some megabytes at a time."""
        wanted = unique_prompts(self.project)
        for rows in rows_at(self.project, wanted[PLACE], ["match_key", "root_id", "prompt"]):
            for batch in bounded(rows.with_columns(matched_texts(rows["prompt"])).drop("prompt")):
                keyed = pl.concat([self._prompts(batch), self._more_roots(batch)])
                self._keys.append(keyed.select(list(KEYS)))
                yield keyed["text"]

    def _prompts(self, batch: pl.DataFrame) -> pl.DataFrame:
        prompts = batch.select("match_key", "root_id", is_root=pl.col("turns") == pl.col("root"), text="turns")
        self._roots = pl.concat([self._roots, prompts.filter("is_root").select("root_id")])
        return prompts

    def _more_roots(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Return the roots of longer conversations that no text stands for yet."""
        roots = batch.join(self._roots, on="root_id", how="anti").unique("root_id", keep="first", maintain_order=True)
        self._roots = pl.concat([self._roots, roots.select("root_id")])
        none = pl.lit(None, pl.String)
        return roots.select(none.alias("match_key"), "root_id", pl.lit(value=True).alias("is_root"), text="root")


def unique_prompts(project: Project) -> pl.DataFrame:
    """Return one place (among all ingested rows) of each prompt that users see as one, in the order of places."""
    rows = scan_comparisons(project).select("match_key", PLACE)
    first = rows.group_by("match_key").agg(pl.col(PLACE).min())
    return first.sort(PLACE).collect(engine="streaming")


def bounded(texts: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut rows so that the user turns of no batch are more than some megabytes; a longer one is a batch by itself."""
    ends = texts["turns"].str.len_bytes().cast(pl.Int64).cum_sum()
    start = before = 0
    while start < texts.height:
        stop = max(int(ends.search_sorted(before + _BATCH_BYTES, side="right")), start + 1)
        yield texts[start:stop]
        start, before = stop, int(ends[stop - 1])
