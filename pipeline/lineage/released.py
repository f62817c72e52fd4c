"""Remembering a release: the prompts of its train and validation, so that no later build takes them for held out."""

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as arrow

from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.identify import prompt_ids
from pipeline.core.project import Project
from pipeline.core.released import FACTS, read_released, released_files
from pipeline.core.tables import batches_of, write_table
from pipeline.lineage.consent.depending import depend_on_ledger
from schemas.check import TableError, check
from schemas.columns import dtypes, messages, table
from schemas.released import RELEASED

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_SIDES = ("train", "validation")
_NAMES = ("pairs", "ties")
_KEYS = list(RELEASED.columns)
_PROMPTS = table("published prompts", "What is read of a release.", {"prompt": messages("The prompt.")})


def remember(project: Project, name: str, published: Path | None = None) -> tuple[Path, int]:
    """Write the prompts of the published train and validation to data/ledger/released/NAME.parquet.

    `published` is the folder that was given away, with train/ and validation/; data/publish of the project where none
    is named. Returns the file, and how many prompts it holds. A file of that name that says the same may stand; one
    that says otherwise is another release, and never overwritten.
    """
    if not _NAME.fullmatch(name):
        msg = f"`{name}` cannot name a release: letters, digits and . _ + - only, 64 at most, a letter or digit first"
        raise PairtrailError(msg)
    path = project.released / f"{name}.parquet"
    held = path in released_files(project)
    prompts = published_prompts(published or project.stage("publish"))
    if not held:
        write_table(prompts, path, RELEASED, ["match_key"], FACTS)
        depend_on_ledger(project)
    elif not read_released(path).equals(prompts):
        msg = f"data/ledger/released/{path.name} holds other prompts: that is another release; name this one otherwise"
        raise PairtrailError(msg)
    return path, prompts.height


def published_prompts(folder: Path) -> pl.DataFrame:
    """Return each prompt of a published train and validation once, by match key, from the texts themselves.

    So a release of any age can be remembered: nothing else of its build is asked.
    """
    tables = [(side, folder / side / f"{name}.parquet") for side in _SIDES for name in _NAMES]
    if away := [path.relative_to(folder).as_posix() for _, path in tables if not path.is_file()]:
        msg = (
            f"{folder}: no {', '.join(away)}: nobody could say what was given away. Run `pairtrail publish` first, or "
            "name the folder of the release by --from (check it out with DVC)"
        )
        raise PairtrailError(msg)
    found = pl.concat([pl.DataFrame(schema=dtypes(RELEASED)), *(_keys(path, side) for side, path in tables)])
    prompts = found.unique().sort(_KEYS)
    if twice := prompts.height - prompts["match_key"].n_unique():
        msg = f"{folder}: {twice:,} prompts stand in train and in validation: that is no release that publish wrote"
        raise PairtrailError(msg)
    return prompts


def _keys(path: Path, side: str) -> pl.DataFrame:
    """Return the keys of a table's prompts, each once; a batch's texts are let go once they are read."""
    parts = [prompt_ids(prompts).select("match_key", "root_id").unique() for prompts in _prompts(path)]
    empty = pl.DataFrame(schema={name: dtypes(RELEASED)[name] for name in ("match_key", "root_id")})
    return pl.concat([empty, *parts]).unique().with_columns(side=pl.lit(side))


def _prompts(path: Path) -> Iterator[pl.Series]:
    """Yield a published table's prompts. Raises PairtrailError where it holds none that can be read."""
    try:
        for rows in batches_of(path, ["prompt"]):
            check(rows, _PROMPTS)
            yield rows["prompt"]
    except (arrow.ArrowException, OSError, TableError) as error:
        told = str(error) if isinstance(error, TableError) else "not a Parquet file that can be read whole"
        msg = f"{path}: {told}; a release is what `pairtrail publish` wrote"
        raise PairtrailError(msg) from None
