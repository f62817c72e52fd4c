"""Measure what finding near neighbours costs, beside datatrove's MinHash, and that none is missed between two sides.

    python -m bench.near                                            # 20,000 and 200,000 texts of 1.5 KB, and 1,000,000
    python -m bench.near --texts 20000 200000 --datatrove PYTHON    # PYTHON has `datatrove[io,processing]` and `spacy`

Each run is a process of its own, start-up and reading included. Same shingles (runs of three words), bands (64) and
rows (4) for both, two workers each. datatrove's run ends with the pairs that share a bucket; ours with all pairs
verified. `sides` is the exact join between train, validation and heldout (80, 10 and 10 of 100), on top of that, and
`brute` the scalar products of all texts of the two sides, by SciPy, which must find the same pairs.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from bench.measuring import Measured, measured
from bench.run import ROOT
from pipeline.core.near.across import across
from pipeline.core.near.cutting import cut
from pipeline.core.near.minhash import Bands
from pipeline.core.near.neighbours import near_pairs

BY = Bands(0.7, 64, 4)
WORDS, VOCABULARY, BATCH = 240, 50_000, 10_000
RUNS = 3
RIVAL = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader

texts, out = sys.argv[1:]
config = MinhashConfig(n_grams=3, num_buckets=64, hashes_per_bucket=4)
signatures = [JsonlReader(texts), MinhashDedupSignature(out + "/signatures", config=config, language="eng")]
buckets = [MinhashDedupBuckets(out + "/signatures", out + "/buckets", config=config)]
LocalPipelineExecutor(signatures, tasks=2, workers=2, logging_dir=out + "/first").run()
LocalPipelineExecutor(buckets, tasks=64, workers=2, logging_dir=out + "/second").run()
"""


def write(folder: Path, number: int) -> None:
    """Write texts of frequent and rare words into two files; a tenth are copies of the text before, edited a little."""
    drawn = np.random.default_rng(1)
    lengths = drawn.integers(2, 11, size=VOCABULARY)
    letters = np.array(list("etaoinshrdlucmfwypvbgkqjxz"))
    vocabulary = np.array(["".join(drawn.choice(letters, size=length)) for length in lengths])
    shares = 1 / np.arange(3, VOCABULARY + 3) ** 1.07
    steps = np.cumsum(shares / shares.sum())
    folder.mkdir()
    for file in range(2):
        with (folder / f"{file}.jsonl").open("w", encoding="ascii") as stream:
            for start in range(0, number // 2, BATCH):
                for said in vocabulary[_numbers(drawn, steps, min(BATCH, number // 2 - start))]:
                    stream.write(json.dumps({"text": " ".join(said), "id": "x"}) + "\n")


def _numbers(drawn: np.random.Generator, steps: np.ndarray, number: int) -> np.ndarray:
    said = np.searchsorted(steps, drawn.random((number, WORDS))).clip(0, VOCABULARY - 1)
    copies = np.arange(1, number, 10)
    said[copies] = said[copies - 1]
    edited = drawn.random((len(copies), WORDS)) < drawn.uniform(0.005, 0.12, size=(len(copies), 1))
    others = np.searchsorted(steps, drawn.random((len(copies), WORDS))).clip(0, VOCABULARY - 1)
    said[copies] = np.where(edited, others, said[copies])
    return said


def batches(folder: Path) -> Iterator[pl.Series]:
    """Read the texts, a batch at a time."""
    for path in sorted(folder.glob("*.jsonl")):
        for frame in pl.scan_ndjson(path).select("text").collect_batches(chunk_size=BATCH, engine="streaming"):
            yield frame["text"]


def pairs(folder: Path, *, sides: bool) -> None:
    """Find all near pairs of the texts; with `sides` also those on two sides, by the exact join."""
    with tempfile.TemporaryDirectory() as spill:
        sets, keys = cut(batches(folder), BY, Path(spill) / "shingles.bin")
        found = near_pairs(sets, keys, np.arange(len(sets)), BY)
        told = f"{found.height:,} pairs"
        if sides:
            apart = across(sets, sided(len(keys)), BY.threshold)
            told += f"; {apart.height:,} on two sides"
        print(told)


def sided(number: int) -> pl.DataFrame:
    """Put texts on sides by their numbers."""
    names = pl.Series(["heldout", "validation", *["train"] * 8])
    numbers = pl.Series(range(number), dtype=pl.Int64)
    rows = pl.DataFrame(
        {"match_key": numbers.cast(pl.String), "side": names.gather((numbers * 7919 + numbers // 10) % 10)}
    )
    no, yes = pl.lit(value=False), pl.lit(value=True)
    kinds = ("match_key", "root_id")
    marks = {f"released_{kind}": no for kind in kinds} | {f"stands_{kind}": yes for kind in kinds}
    return rows.with_columns(root_id="match_key", is_root=no, **marks)


def brute(folder: Path) -> None:
    """Compare every text that is held out with every other, by scalar products, and hold the exact join against it."""
    with tempfile.TemporaryDirectory() as spill:
        sets, keys = cut(batches(folder), BY, Path(spill) / "shingles.bin")
        found = across(sets, sided(len(keys)), BY.threshold)
        side = sided(len(keys))["side"].to_numpy()
    expected = set(products(folder, side == "heldout"))
    mine = {tuple(sorted(pair)) for pair in found.select("left", "right").iter_rows() if "heldout" in side[list(pair)]}
    missed, wrong = len(expected - mine), len(mine - expected)
    print(f"{len(expected):,} pairs; missed {missed:,}, wrong {wrong:,}")


def products(folder: Path, heldout: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield pairs of a held-out text and one that is not whose sets of three words are near: by matrix products."""
    numbers: dict[tuple[str, ...], int] = {}
    columns: list[np.ndarray] = []
    for texts in batches(folder):
        for text in texts:
            said = text.split()
            runs = {tuple(said[i : i + 3]) for i in range(len(said) - 2)}
            columns.append(np.array([numbers.setdefault(run, len(numbers)) for run in runs], dtype=np.int32))
    sizes = np.array([len(one) for one in columns])
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    held = csr_array((np.ones(bounds[-1], np.int16), np.concatenate(columns), bounds), shape=(len(sizes), len(numbers)))
    mine, others = np.flatnonzero(heldout), np.flatnonzero(~heldout)
    turned = held[mine].T.tocsr()
    for start in range(0, len(others), 2_000):
        part = others[start : start + 2_000]
        shared = (held[part] @ turned).tocoo()
        left, right = part[shared.row], mine[shared.col]
        near = shared.data / (sizes[left] + sizes[right] - shared.data) >= BY.threshold - 1e-9
        for one, other in zip(left[near].tolist(), right[near].tolist(), strict=True):
            yield min(one, other), max(one, other)


def row(texts: int, name: str, runs: list[Measured], beside: list[Measured]) -> str:
    """Return a line of the table: the medians, and the median of the ratios of runs that followed each other."""
    seconds, peak = np.median([run.seconds for run in runs]), max(run.peak_mib for run in runs)
    ratios = [other.seconds / run.seconds for run, other in zip(runs, beside, strict=False)]
    told = f"{np.median(ratios):.1f}" if ratios else ""
    return f"| {texts:,} | {name} | {seconds:.1f} | {peak:,.0f} | {told} | {runs[0].said} |"


def main() -> None:
    """Write texts, run each step over them in processes of their own, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--texts", type=int, nargs="+", default=[20_000, 200_000, 1_000_000])
    parser.add_argument("--datatrove", metavar="PYTHON", help="an interpreter that has datatrove and spacy")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--brute", action="store_true", help="hold the exact join against scalar products (slow)")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        steps = {"pairs": lambda at: pairs(at, sides=False), "sides": lambda at: pairs(at, sides=True), "brute": brute}
        steps[asked.step[0]](Path(asked.step[1]))
        return
    print("| texts | what | seconds | peak MiB | times as fast | found |\n|---:|---|---:|---:|---:|---|")
    for number in asked.texts:
        with tempfile.TemporaryDirectory() as folder:
            _compare(Path(folder), number, asked)


def _compare(folder: Path, number: int, asked: argparse.Namespace) -> None:
    write(folder / "texts", number)
    own = [sys.executable, "-m", "bench.near", "--step"]
    found: dict[str, list[Measured]] = {"datatrove": [], "pairs": [], "sides": []}
    for run in range(asked.runs):
        if asked.datatrove:
            out = folder / f"out{run}"
            rival = [asked.datatrove, "-c", RIVAL, str(folder / "texts"), str(out)]
            found["datatrove"].append(measured(rival, folder))
        for step in ("pairs", "sides"):
            found[step].append(measured([*own, step, str(folder / "texts")], ROOT))
    for name, runs in found.items():
        if runs:
            print(row(number, name, runs, [] if name == "datatrove" else found["datatrove"]), flush=True)
    if asked.brute:
        print(row(number, "brute", [measured([*own, "brute", str(folder / "texts")], ROOT)], []), flush=True)


if __name__ == "__main__":
    main()
