"""Released prompts: what train and validation of any release held, which nobody can hold out any more."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as arrow
from pyarrow import parquet

from pipeline.core.digests import NORMALISATION
from pipeline.core.errors import PairtrailError
from pipeline.core.ledgers import ledger_files
from pipeline.core.neighbours import both_ways, scan_near
from pipeline.core.pins import pinned_roots
from pipeline.core.project import Project
from pipeline.core.sides import division, sided
from pipeline.core.tables import batches_of, scan_table
from schemas.check import TableError, check
from schemas.columns import dtypes
from schemas.released import RELEASED

FACTS = {"normalisation": NORMALISATION}
"""What the file of a release says beside its rows: keys of another normalisation would match nothing, in silence."""


def released_files(project: Project) -> list[Path]:
    """Return the file of each release, sorted by name."""
    return ledger_files(project.released, ".parquet")


def scan_released(project: Project) -> pl.LazyFrame:
    """Scan the released prompts of all releases, each file held against its schema first."""
    files = released_files(project)
    for path in files:
        refuse_unsound(path)
    return pl.scan_parquet(files, glob=False) if files else pl.LazyFrame(schema=dtypes(RELEASED))


def read_released(path: Path) -> pl.DataFrame:
    """Read the prompts of one release, sorted by match key."""
    refuse_unsound(path)
    return scan_table(path).collect().sort(list(RELEASED.columns))


def refuse_unsound(path: Path) -> None:
    """Raise PairtrailError where a file is not what `pairtrail released add` writes, or of another normalisation."""
    with _told(path):
        for rows in batches_of(path):
            check(rows, RELEASED)
    stated = (_footer(path).metadata or {}).get(b"normalisation", b"").decode(errors="replace")
    if stated != NORMALISATION:
        msg = (
            f"data/ledger/released/{path.name}: its keys are of the normalisation `{stated}`, not `{NORMALISATION}`, "
            "and would match nothing; remove it, and write it anew: `pairtrail released add NAME --from FOLDER`"
        )
        raise PairtrailError(msg)


def _footer(path: Path) -> Any:  # noqa: ANN401
    with _told(path):
        return parquet.read_metadata(path)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (arrow.ArrowException, OSError, TableError) as error:
        told = str(error) if isinstance(error, TableError) else "not a Parquet file that can be read whole"
        msg = f"data/ledger/released/{path.name}: {told}; such files are written by `pairtrail released add NAME`"
        raise PairtrailError(msg) from None


def releases(project: Project) -> pl.LazyFrame:
    """Read how many prompts each release gave away."""
    rows = [(path.stem, _footer(path).num_rows) for path in released_files(project)]
    return pl.LazyFrame(rows, schema={"release": pl.String, "prompts": pl.Int64}, orient="row")


def released(project: Project) -> pl.LazyFrame:
    """Read the keys of released prompts that matter here, as (key, side): match keys and roots.

    Those matter that now would be held out, or that are near one which would. No other changes a decision, and of most
    builds that leaves few, whatever was ever released.
    """
    by, pinned = division(project), pinned_roots(project)
    rows = scan_released(project)
    keys = pl.concat([rows.select("root_id", "side", key=kind) for kind in ("match_key", "root_id")])
    heldout = pl.col("stands") == "heldout"
    own = sided(keys, "root_id", by, pinned, "stands").filter(heldout).select("key", "side")
    pairs = sided(both_ways(scan_near(project)), "root", by, pinned, "stands").filter(heldout)
    near = keys.join(pairs.select(key="near_key").unique(), on="key", how="semi").select("key", "side")
    return pl.concat([own, near]).unique().collect(engine="streaming").lazy()
