"""Measure what the leak check costs, against simply reading the file.

    python -m bench.leaks                                   # 1,000,000 rows against 20,000 held-out prompts
    python -m bench.leaks --rows 100000 --heldout 2000

One file of rows as TRL reads them for DPO (prompts of about 1.5 KB), as JSON lines and as Parquet; 1 row of 10,000 is
planted near a held-out prompt. Each step is a process of its own. The floor reads the same file in batches of the same
size and does nothing with it.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from pyarrow import parquet

from bench.measuring import measured
from bench.run import HEAD, ROOT, row
from pipeline.core.digests import digest_text
from pipeline.core.mapping.identify import pair_id, prompt_ids, response_id
from pipeline.lineage.leaks.reading import Met, read_rows
from pipeline.lineage.leaks.shapes import KNOWN
from schemas.columns import MESSAGES, dtypes
from schemas.comparisons import COMPARISONS
from schemas.published import PAIRS, TIES

PLANTED = 10_000
PARAMS = "split: {salt: bench, epoch: 1, heldout: 0.1, validation: 0.1}\nnear: {threshold: 0.7}\n"
_PART = 20_000
_PROMPT, _RESPONSE = 240, 80


class Writer:
    """Makes up texts: 20,000 words, the frequent ones far more often, as people write."""

    def __init__(self, seed: int) -> None:
        """Draw by a seed."""
        self.drawn = random.Random(seed)  # noqa: S311
        letters = random.Random(1)  # noqa: S311
        self.words = ["".join(letters.choices("aeinorstlucdm", k=letters.randint(2, 9))) for _ in range(20_000)]
        total, self.weights = 0.0, []
        for place in range(len(self.words)):
            total += 1 / (place + 10)
            self.weights.append(total)

    def text(self, words: int) -> str:
        """Make up a text of so many words."""
        return " ".join(self.drawn.choices(self.words, cum_weights=self.weights, k=words))


def heldout_prompts(number: int) -> list[str]:
    """Make up the held-out prompts; the same ones each time."""
    writer = Writer(2)
    return [writer.text(_PROMPT) for _ in range(number)]


def write_project(folder: Path, prompts: list[str]) -> None:
    """Write what the check reads of a built project: ingested comparisons, decisions of split, published pairs."""
    writer = Writer(3)
    texts = {f"response_{side}": [writer.text(_RESPONSE) for _ in prompts] for side in "ab"}
    asked = pl.Series("prompt", [[{"role": "user", "content": text}] for text in prompts], dtype=MESSAGES)
    held = pl.DataFrame(texts).with_columns(asked, *prompt_ids(asked).drop("exact_prompt")).with_row_index("place")
    ids = {f"{side}_id": response_id(pl.col(side)) for side in texts}
    held = held.with_columns(**ids, comparison_id=pl.format("{}", "place").str.pad_start(32, "0"))
    held = held.with_columns(pair_id=pair_id(pl.col("prompt_id"), pl.col("response_a_id"), pl.col("response_b_id")))
    pairs = held.with_columns(chosen="response_a", rejected="response_b")
    places = held.select(
        "comparison_id", source_file=pl.lit("s/x"), canonical=pl.lit(value=True), part=pl.lit("verdict")
    )
    decided = held.select("comparison_id", drop_reason=pl.lit(None, pl.String), side=pl.lit("heldout"))
    whole = dtypes(COMPARISONS)
    for place, frame in {
        "ingest/comparisons/s-0": held.select(
            pl.col(name) if name in held.columns else pl.lit(None, whole[name]).alias(name) for name in whole
        ),
        "ingest/occurrences": places,
        "split/decisions": decided,
        "publish/heldout/pairs": pairs.select(name for name in dtypes(PAIRS) if name in pairs.columns),
        "publish/heldout/ties": pl.DataFrame(schema=dtypes(TIES)),
    }.items():
        path = folder / "data" / f"{place}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path)
    (folder / "params.yaml").write_text(PARAMS, encoding="utf-8")


def rows(number: int, prompts: list[str]) -> Iterator[pl.DataFrame]:
    """Make up rows as TRL reads them; one word of a held-out prompt is changed in each that is planted."""
    writer = Writer(4)
    said = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
    types = pl.Schema([("prompt", said), ("chosen", said), ("rejected", said), ("pair_id", pl.String())])
    for start in range(0, number, _PART):
        asked = []
        for place in range(start, min(start + _PART, number)):
            near = prompts[place % len(prompts)].split()
            near[100] = "planted"
            asked.append(" ".join(near) if place % PLANTED == 0 else writer.text(_PROMPT))
        yield pl.DataFrame(
            {
                "prompt": [[{"role": "user", "content": text}] for text in asked],
                **{
                    side: [[{"role": "assistant", "content": writer.text(_RESPONSE)}] for _ in asked]
                    for side in ("chosen", "rejected")
                },
                "pair_id": [digest_text(text) for text in asked],
            },
            schema=types,
        )


def write(folder: Path, number: int, held: int) -> None:
    """Write the project, and the rows as both kinds of file."""
    prompts = heldout_prompts(held)
    write_project(folder, prompts)
    with (folder / "train.jsonl").open("wb") as lines:
        writer = None
        for frame in rows(number, prompts):
            frame.write_ndjson(lines)
            table = frame.to_arrow()
            writer = writer or parquet.ParquetWriter(folder / "train.parquet", table.schema, compression="zstd")
            writer.write_table(table, row_group_size=_PART)
        if writer:
            writer.close()


def main() -> None:
    """Write the files once, and measure each step in a process of its own."""
    parser = argparse.ArgumentParser(description="What the leak check costs.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--heldout", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="keep the files here, and use those that are here already")
    parser.add_argument("--floor", type=Path, help="read one file and do nothing with it")
    given = parser.parse_args()
    if given.floor:
        sys.stdout.write(f"{sum(len(batch.rows) for batch in read_rows(given.floor, KNOWN, [], Met()))} rows\n")
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        if not (folder / "params.yaml").exists():
            write(folder, given.rows, given.heldout)
        print(f"## {given.rows:,} rows, {given.heldout:,} held-out prompts\n")
        for file in ("train.jsonl", "train.parquet"):
            compare(folder, folder / file)


def compare(folder: Path, file: Path) -> None:
    """Time reading a file and checking it."""
    print(f"{file.name}, {file.stat().st_size / 1e6:,.0f} MB\n\n{HEAD.format('step')}")
    floor = measured([sys.executable, "-m", "bench.leaks", "--floor", str(file)], ROOT)
    print(row("floor: reading it", floor, floor.seconds))
    command = [str(Path(sys.executable).with_name("pairtrail")), "check", "--leaks", str(file)]
    found = measured(["sh", "-c", '"$@" || true', "sh", *command], folder)
    print(row("check --leaks", found, floor.seconds), f"\n\n{found.said}\n", flush=True)


if __name__ == "__main__":
    main()
