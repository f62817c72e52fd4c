"""Published rows as an export reads them: checked against the manifest, in bounded batches, and counted."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
from pyarrow import parquet

from pipeline.core.accounts import tally
from pipeline.core.errors import PairtrailError
from pipeline.core.exporting.judged import Judged, first_that_holds
from pipeline.core.exporting.responses import RESPONSES, labelled, labels
from pipeline.core.exporting.tasks import Task
from pipeline.core.project import Project
from pipeline.core.publishing.content import file_digest
from pipeline.core.tables import batches_of, scan_table
from schemas.columns import dtypes
from schemas.published import PAIRS

NO_STRENGTH = "no_strength"
CANARY = "canary"


def published_tables(project: Project, split: str) -> dict[str, Path]:
    """Return a side's pairs and ties, after comparing both with what the manifest says about them."""
    folder = project.stage("publish")
    described = _described(project.needs(folder / "manifest.json", "publish"))
    tables = {}
    for table in ("pairs", "ties"):
        path = project.needs(folder / split / f"{table}.parquet", "publish")
        if file_digest(path) != described.get(f"{split}/{table}.parquet"):
            msg = f"{split}/{table}.parquet is not the file that manifest.json describes; publish again, or fetch both"
            raise PairtrailError(msg)
        tables[table] = path
    return tables


def _described(manifest: Path) -> dict[str, str]:
    """Return the SHA-256 that a manifest states for each file."""
    try:
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        return {name: stated["sha256"] for name, stated in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        msg = "publish/manifest.json is not as `pairtrail publish` writes it; publish again, or fetch it again"
        raise PairtrailError(msg) from None


class Reading:
    """The rows of a task, batch by batch, each once: handed on, or left out under the first reason that holds.

    `total` is how many pairs, or responses for a task from votes, there are. `left_out` counts those left out by
    reason, and `negative` the handed-on pairs whose strength is below 0; both are whole when `batches` has ended.
    """

    def __init__(self, tables: Mapping[str, Path], task: Task, judged: Judged, *, require_strength: bool) -> None:
        """Count what there is to read. Raises PairtrailError when nothing was judged as is wanted."""
        judged.check(tables)
        needed = {NO_STRENGTH: pl.col("strength").is_null()} if require_strength else {}
        self._tables, self._judged = tables, judged
        self._reasons = {**judged.others(), **needed, **task.unfit}
        self._labels = labels(tables, judged) if task.table == "votes" else None
        self.total = _height(tables["pairs"]) if self._labels is None else self._labels.height
        self.left_out = Counter() if self._labels is None else Counter(tally(self._labels, "reason"))
        self.negative = 0
        self.canary = _canary(tables)
        self.nothing = pl.DataFrame(schema=dtypes(PAIRS) if self._labels is None else RESPONSES)

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield what is handed on, in a fixed order."""
        if self._labels is not None:
            wanted = self._labels.filter(pl.col("reason").is_null())
            yield from map(self._fit, labelled(self._tables, wanted))
            return
        for rows in map(self._fit, batches_of(self._tables["pairs"])):
            self.negative += int((rows["strength"] < 0).sum())
            yield rows

    def judged_under(self) -> dict[str, dict[str, int]]:
        """Count the published rows that were wanted by policy, rubric and licence."""
        paths = self._tables.values() if self._labels is not None else [self._tables["pairs"]]
        read = [scan_table(path).filter(self._judged.wanted()) for path in paths]
        named = {"policies": "policy_version", "rubrics": "rubric_version", "licenses": "license"}
        return {what: _counts([rows.select(column) for rows in read]) for what, column in named.items()}

    def lacking(self) -> int:
        """Count the wanted pairs that state no strength."""
        wanted = scan_table(self._tables["pairs"]).filter(self._judged.wanted())
        return int(wanted.select(pl.col("strength").is_null().sum()).collect().item())

    def _fit(self, rows: pl.DataFrame) -> pl.DataFrame:
        if not self._reasons:
            return rows
        marked = rows.with_columns(left_out=first_that_holds(self._reasons))
        self.left_out.update(tally(marked, "left_out"))
        return marked.filter(pl.col("left_out").is_null()).drop("left_out")


def _canary(tables: Mapping[str, Path]) -> str | None:
    """Return the one text that all rows of a held-out side bear; None for a side without such a column."""
    scans = [scan_table(path) for path in tables.values()]
    marked = [scan.select(CANARY).head(1).collect() for scan in scans if CANARY in scan.collect_schema()]
    return next((str(text) for mark in marked for text in mark[CANARY]), None)


def _counts(columns: list[pl.LazyFrame]) -> dict[str, int]:
    counted = pl.concat(columns).group_by(pl.all()).len("rows").sort(pl.all()).collect()
    return dict(zip(*counted.get_columns(), strict=True))


def _height(path: Path) -> int:
    return int(parquet.read_metadata(path).num_rows)
