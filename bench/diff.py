"""Measure what comparing two published datasets by row costs, and see that every planted change is found.

    python -m bench.diff                      # 1,000,000 pairs against 1,000,000
    python -m bench.diff --pairs 100000 --runs 1

Two published folders with decisions are made up: prompts and responses of about 1 KB a row, one to three votes on each,
the three sides, a seventh of ties. The new one has changes planted, a known number of each kind. `compare` runs in a
process of its own, several times; the floor reads the same tables with Polars and compares nothing.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pyarrow import parquet

from bench.measuring import measured
from bench.run import HEAD, ROOT, row
from pipeline.core.project import Project
from pipeline.core.rowgroups import RowGroups
from pipeline.core.tables import ROW_GROUP, arrow_schema
from pipeline.lineage.diff.builds import DECISIONS, TABLES, place_of
from pipeline.lineage.diff.compare import compare
from schemas.columns import dtypes
from schemas.decisions import DEDUPE, SPLIT, VALIDATE
from schemas.published import PUBLISHED
from schemas.vocabulary import SIDES

EVERY = 1_000
"""One pair of so many is changed in each of the planted ways."""
PLANTED = {
    "removed": 1, "added": 2, "relabelled": 3, "moved_table": 4, "text_edited": 5, "strength_changed": 6,
    "purposes_changed": 7, "license_changed": 8, "labels_changed": 9, "votes_added": 10, "consent_changed": 11,
}  # fmt: skip
_CORPUS = 8_000_000
_PER_SIDE = 100  # of 1,000 pairs, on heldout and on validation
_LENGTHS = {"prompt": 300, "chosen": 350, "rejected": 350}
_SCHEMAS = dict(zip(DECISIONS, (VALIDATE, DEDUPE, SPLIT), strict=True))


class Maker:
    """Pairs in key order, a row group at a time, as both builds publish them."""

    def __init__(self, pairs: int) -> None:
        """Draw ids, sorted, and the long text that all texts are cut from."""
        drawn = np.random.default_rng(7)
        raw = np.sort(drawn.integers(0, 2**63, pairs, dtype=np.uint64) * np.uint64(2) + np.uint64(1))
        self.ids = np.unique(raw)
        letters = np.frombuffer(b"etaoinshrdlcumwfgypbvk    ", dtype=np.uint8)
        self.corpus = letters[drawn.integers(0, len(letters), _CORPUS)]

    def batch(self, start: int) -> pl.DataFrame:
        """Make pairs with all that both builds say of them, and the number of each."""
        ids = self.ids[start : start + ROW_GROUP]
        drawn = np.random.default_rng([11, start])
        texts = {name: self._texts(drawn, len(ids), length) for name, length in _LENGTHS.items()}
        number = pl.Series("number", np.arange(start, start + len(ids)))
        place = pl.Series("place", (ids >> np.uint64(8)) % np.uint64(1000)).cast(pl.Int64)
        votes = pl.Series("n", drawn.choice([1, 1, 1, 2, 3], len(ids)))
        named = pl.DataFrame({"id": ids, **texts}).with_columns(number, place, votes)
        hexadecimal = [f"{one:016x}" for one in ids.tolist()]
        return named.with_columns(
            pair_id=pl.Series(hexadecimal) + pl.Series(hexadecimal),
            side=pl.when(pl.col("place") < _PER_SIDE).then(pl.lit("heldout"))
            .when(pl.col("place") < 2 * _PER_SIDE).then(pl.lit("validation")).otherwise(pl.lit("train")),
            kind=pl.col("number") % EVERY,
            table=pl.when(pl.col("number") % 7 == 0).then(pl.lit("ties")).otherwise(pl.lit("pairs")),
        )  # fmt: skip

    def _texts(self, drawn: np.random.Generator, count: int, length: int) -> pl.Series:
        starts = drawn.integers(0, _CORPUS - length, count)
        cut = self.corpus[starts[:, None] + np.arange(length)]
        whole = cut.tobytes().decode()
        return pl.Series([whole[place : place + length] for place in range(0, len(whole), length)])


def changed(rows: pl.DataFrame) -> pl.DataFrame:
    """Plant the changes of the new build; ties are changed in no way but those that all rows are."""
    kind, pairs = pl.col("kind"), pl.col("table") == "pairs"
    swapped = pairs & (kind == PLANTED["relabelled"])
    return rows.filter(kind != PLANTED["removed"]).with_columns(
        chosen=pl.when(swapped).then("rejected").when(kind == PLANTED["text_edited"])
        .then(pl.col("chosen") + " ").otherwise("chosen"),
        rejected=pl.when(swapped).then("chosen").otherwise("rejected"),
        table=pl.when(pairs & (kind == PLANTED["moved_table"])).then(pl.lit("ties")).otherwise("table"),
        strength=pl.when(kind == PLANTED["strength_changed"]).then(0.25).otherwise(0.5),
        purposes=pl.when(kind == PLANTED["purposes_changed"]).then(pl.lit(["ai-alignment"])).otherwise("purposes"),
        license=pl.when(kind == PLANTED["license_changed"]).then(pl.lit("CC-BY-4.0")).otherwise("license"),
        category=pl.when(kind == PLANTED["labels_changed"]).then(pl.lit("maths")).otherwise("category"),
        n=pl.when(kind == PLANTED["votes_added"]).then(pl.col("n") + 1).otherwise("n"),
        event=pl.when(kind == PLANTED["consent_changed"]).then(pl.lit("event-2")).otherwise("event"),
    )  # fmt: skip


def stated(rows: pl.DataFrame) -> pl.DataFrame:
    """Add what the old build says of each pair."""
    return rows.filter(pl.col("kind") != PLANTED["added"]).with_columns(**_CONSTANT)


_CONSTANT = {
    "strength": pl.lit(0.5),
    "purposes": pl.lit(["ai-alignment", "ai-evaluation"]),
    "license": pl.lit("CC0-1.0"),
    "category": pl.concat_str(pl.lit("category-"), pl.col("number") % 12),
    "event": pl.lit("event-1"),
}


def published(rows: pl.DataFrame, table: str, columns: Mapping[str, Any]) -> pl.DataFrame:
    """Shape rows as pairs or ties."""
    first, second = ("chosen", "rejected") if table == "pairs" else ("a", "b")
    names = [first, second, "tie", "both_bad"]
    votes = [(pl.col("n") if name == first else pl.lit(0)).cast(pl.Int64).alias(name) for name in names]
    message = pl.struct(role=pl.lit("user"), content=pl.col("prompt"))
    constant = {
        "policy_version": pl.lit("assistant-1"), "rubric_version": pl.lit("pairwise-1"), "fold": pl.lit("human"),
        "root_id": pl.col("pair_id"), "prompt_id": pl.col("pair_id"), "prompt": pl.concat_list(message),
        "response_a": pl.min_horizontal("chosen", "rejected"), "response_b": pl.max_horizontal("chosen", "rejected"),
        f"p_{first}": pl.lit(1.0), "language": pl.lit("en"), "sources": pl.lit(["crowd"]),
        "votes": pl.struct(votes),
        f"model_{first}": pl.lit("model-a"), f"model_{second}": pl.lit("model-a"),
        "comparison_ids": _comparisons(),
        "canary": pl.lit("00000000-0000-5000-8000-000000000000"),
    }  # fmt: skip
    told = rows.with_columns(**constant)
    return told.select(
        (pl.col(name) if name in told.columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in columns.items()
    )


def _comparisons() -> pl.Expr:
    ids = [pl.concat_str(pl.lit(f"{vote}"), pl.col("pair_id").str.slice(1)) for vote in range(4)]
    return pl.concat_list(ids).list.head(pl.col("n"))


def cast(rows: pl.DataFrame) -> pl.DataFrame:
    """Shape the votes behind rows."""
    return (
        rows.with_columns(comparison_id=_comparisons()).select("pair_id", "table", "comparison_id", "event")
        .explode("comparison_id").with_columns(
            policy_version=pl.lit("assistant-1"), rubric_version=pl.lit("pairwise-1"), folded=pl.lit(value=True),
            preference=pl.lit("a"), strength=pl.lit(0.5), presented_order=pl.lit(None, pl.String),
            annotator_number=pl.lit(1, pl.Int64), annotator_kind=pl.lit("human"), source=pl.lit("crowd"),
            created_on=pl.lit(None, pl.Date),
        )
    )  # fmt: skip


def write_build(maker: Maker, folder: Path, *, new: bool) -> None:
    """Write one build: published tables, decisions and a manifest."""
    writers = {}
    for place, schema in PUBLISHED.items():
        path = folder / "data/publish" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        target = arrow_schema(schema, {})
        file = parquet.ParquetWriter(path, target, compression="zstd", write_page_index=True)
        writers[place] = (file, RowGroups(target, ROW_GROUP))
    verdicts = []
    for start in range(0, len(maker.ids), ROW_GROUP):
        rows = maker.batch(start)
        rows = changed(rows.with_columns(**_CONSTANT)) if new else stated(rows)
        for (side,), here in rows.partition_by("side", as_dict=True).items():
            shaped = {table: here.filter(table=table) for table in ("pairs", "ties")}
            for table in TABLES:
                place = f"{side}/{table}.parquet"
                file, groups = writers[place]
                columns = dtypes(PUBLISHED[place])
                told = cast(here).select(*columns) if table == "votes" else published(shaped[table], table, columns)
                for group in groups.add(told):
                    file.write_table(group, row_group_size=ROW_GROUP)
        verdicts.append(cast(rows).select("comparison_id", "event"))
    for file, groups in writers.values():
        for group in groups.rest():
            file.write_table(group, row_group_size=ROW_GROUP)
        file.close()
    write_decisions(folder, pl.concat(verdicts).sort("comparison_id"))
    facts = {"split": {"epoch": 1}, "policies": {}, "rubrics": {}}
    (folder / "data/publish/manifest.json").write_text(json.dumps(facts), encoding="utf-8")


def write_decisions(folder: Path, verdicts: pl.DataFrame) -> None:
    """Write what the stages decided: all verdicts were kept."""
    said = verdicts.with_columns(
        drop_reason=pl.lit(None, pl.String), purposes=pl.lit(["ai-alignment"]), consent_events=pl.concat_list("event"),
        stays=pl.lit(None, pl.String), side=pl.lit("train"), near=pl.lit(None, pl.String),
    )  # fmt: skip
    for place, schema in _SCHEMAS.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        said.select(*dtypes(schema)).write_parquet(path, row_group_size=ROW_GROUP)


def expected(folder: Path) -> dict[str, int]:
    """Read how many changes of each kind were planted."""
    return {name: int(count) for name, count in json.loads((folder / "planted.json").read_text()).items()}


def plant(maker: Maker, folder: Path) -> None:
    """Write down how many changes of each kind were planted."""
    found = dict.fromkeys(PLANTED, 0)
    for start in range(0, len(maker.ids), ROW_GROUP):
        rows = maker.batch(start).select("kind", "table", "n", "number")
        for name, kind in PLANTED.items():
            here = rows.filter(kind=kind)
            pairs_only = name in {"relabelled", "moved_table", "strength_changed"}
            here = here.filter(table="pairs") if pairs_only else here
            found[name] += int(here["n"].sum()) if name == "consent_changed" else here.height
    (folder / "planted.json").write_text(json.dumps(found), encoding="utf-8")


def run_compare(folder: Path) -> None:
    """Compare, and hold what was found against what was planted."""
    found = compare(Project(folder / "old"), Project(folder / "new")).counts()["kinds"]
    wrong = {
        name: (count, found[name]["count"]) for name, count in expected(folder).items() if found[name]["count"] != count
    }
    sys.exit(f"planted and found differ: {wrong}") if wrong else sys.stdout.write("all planted changes found\n")


def run_floor(folder: Path) -> None:
    """Read the published tables of both builds, a batch at a time, and do nothing with them."""
    rows = 0
    for build in ("old", "new"):
        for side in SIDES:
            for table in TABLES:
                with parquet.ParquetFile(folder / build / place_of(side, table)) as file:
                    rows += sum(batch.num_rows for batch in file.iter_batches(batch_size=ROW_GROUP))
    sys.stdout.write(f"{rows} rows\n")


def main() -> None:
    """Write both builds once, and measure each step in a process of its own; the best of several runs counts."""
    parser = argparse.ArgumentParser(description="What a row-level diff costs.")
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the files here, and use those that are here already")
    parser.add_argument("--step", choices=["compare", "floor"], help="do this, and measure nothing")
    given = parser.parse_args()
    if given.step:
        {"compare": run_compare, "floor": run_floor}[given.step](given.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        if not (folder / "planted.json").exists():
            maker = Maker(given.pairs)
            for build in ("old", "new"):
                write_build(maker, folder / build, new=build == "new")
            plant(maker, folder)
        size = sum(path.stat().st_size for path in folder.glob("*/data/publish/*/*.parquet"))
        print(f"## {given.pairs:,} pairs against {given.pairs:,}, {size / 1e6:,.0f} MB\n\n{HEAD.format('step')}")
        steps = {}
        for step in ("floor", "compare"):
            command = [sys.executable, "-m", "bench.diff", "--step", step, "--folder", str(folder)]
            steps[step] = min((measured(command, ROOT) for _ in range(given.runs)), key=lambda one: one.seconds)
            print(row(step, steps[step], steps["floor"].seconds), flush=True)
        print(f"\n{steps['compare'].said}")


if __name__ == "__main__":
    main()
