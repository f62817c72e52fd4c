"""Whether what is published leaks: no root, and no prompt by its match key, on two sides; no canary outside heldout.

`publish` and its gate see to it at each build. This looks at the files themselves, as far as they are here.
"""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import polars as pl
import pyarrow as arrow

from pipeline.core.canary import canary
from pipeline.core.epochs import recorded_epochs, stated_epoch
from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.identify import prompt_ids
from pipeline.core.project import Project
from pipeline.core.sides import division
from pipeline.core.tables import batches_of
from schemas.vocabulary import SIDES

MOST_TEXT = 32 * 2**20
"""Up to this size of all tables, texts are read; beyond it roots alone, of which equal match keys are always one."""

_TABLES = {"pairs": ("chosen", "rejected"), "ties": ("response_a", "response_b")}
_HELDOUT = "heldout"
_PLACE = "data/publish"


def published_checked(project: Project) -> tuple[list[str], str] | None:
    """Return which leaks are in data/publish, and what was looked at; None where nothing is here."""
    folder = project.stage("publish")
    files = {(side, table): folder / side / f"{table}.parquet" for side in SIDES for table in _TABLES}
    here = {key: path for key, path in files.items() if path.is_file()}
    if not here:
        return None
    texts = sum(path.stat().st_size for path in here.values()) <= MOST_TEXT
    canaries = _canaries(project) if texts else []
    sides = sorted({side for side, _ in here})
    keys: dict[str, list[pl.DataFrame]] = {side: [] for side in sides}
    faults: list[str] = []
    for (side, table), path in here.items():
        try:
            for rows in _read(path, table, texts=texts):
                keys[side].append(rows.select(_keys(rows)))
                faults += _strays(rows, side, table, canaries)
        except (arrow.ArrowException, OSError, pl.exceptions.PolarsError):
            faults.append(f"{_PLACE}/{side}/{table}.parquet: cannot be read; run `dvc checkout`, or `dvc repro`")
    faults += _shared({side: pl.concat(parts).unique() for side, parts in keys.items() if parts})
    return list(dict.fromkeys(faults)), _told(files, here, texts=texts)


def _told(files: dict[tuple[str, str], Path], here: dict[tuple[str, str], Path], *, texts: bool) -> str:
    away = [f"{side}/{table}" for side, table in files if (side, table) not in here]
    what = "roots, match keys and canaries" if texts else "roots; too large to read texts at each check"
    return f"{len(here):,} tables, {what}" + (f"; not here: {', '.join(away)}" if away else "")


def _canaries(project: Project) -> list[str]:
    """Return the canaries of all epochs; none where the ledger cannot be read, which its own check tells."""
    try:
        every = [*recorded_epochs(project).values(), stated_epoch(division(project), "-")]
    except PairtrailError:
        return []
    return sorted({canary(one.salt_sha256, one.epoch, one.normalisation) for one in every})


def _read(path: Path, table: str, *, texts: bool) -> Iterator[pl.DataFrame]:
    columns = ["root_id", *(["prompt", *_TABLES[table]] if texts else [])]
    for rows in batches_of(path, columns):
        yield rows.with_columns(match_key=prompt_ids(rows["prompt"])["match_key"]) if texts else rows


def _keys(rows: pl.DataFrame) -> list[str]:
    return [name for name in ("root_id", "match_key") if name in rows.columns]


def _strays(rows: pl.DataFrame, side: str, table: str, canaries: list[str]) -> Iterator[str]:
    if side == _HELDOUT or not canaries:
        return
    said = [pl.col(name) for name in _TABLES[table]]
    said.append(pl.col("prompt").list.eval(pl.element().struct.field("content")).list.join(" "))
    held = rows.select(pl.concat_str(said, separator=" ").str.contains_any(canaries).sum()).item()
    if held:
        yield f"{_PLACE}/{side}/{table}.parquet: {held:,} rows hold a canary of heldout; {_CURE}"


_CURE = "give nothing of it away: find out by `pairtrail trace` how they came there, mend that, and build again"


def _shared(keys: dict[str, pl.DataFrame]) -> Iterator[str]:
    for one, other in combinations([side for side in SIDES if side in keys], 2):
        for name in _keys(keys[one]):
            both = keys[one].select(name).unique().join(keys[other].select(name).unique(), on=name, how="semi").height
            if both:
                what = "roots" if name == "root_id" else "match keys of prompts"
                yield f"{_PLACE}: {one} and {other} share {both:,} {what}; {_CURE}"
