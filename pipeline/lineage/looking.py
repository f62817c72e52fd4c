"""Looking at an unknown raw file: which format its first records can be read in."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import PairtrailError
from pipeline.core.raw.rawfiles import Limits, RawBatch, read_batches
from pipeline.core.sidecar.sidecars import Format

# One batch is what is looked at, so that neither many nor large records take long.
LOOK = Limits(batch_records=5_000)
_BY_SUFFIX: dict[str, Format] = {
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
TABLES = ("csv", "tsv")
# In any script, but no sentence, number or address.
_COLUMN = re.compile(r"[^\W\d][\w()/-]*( [\w()/-]+){0,3}")
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Looked:
    """The first records of a file, and how many of those looked at could be read."""

    format: Format
    records: list[dict[str, Any]]
    seen: int

    @property
    def text_alone(self) -> frozenset[str | None]:
        """Say, as the field map asks, whether the format knows nothing but text."""
        return frozenset({None} if self.format in TABLES else ())


def look(path: Path) -> Looked:
    """Read the first records in the format that fits; raises PairtrailError where none does."""
    declared = next(
        (_BY_SUFFIX[suffix.lower()] for suffix in reversed(path.suffixes) if suffix.lower() in _BY_SUFFIX), None
    )
    formats: list[Format] = ["json", "parquet", "csv", "tsv"]
    tried: list[tuple[int, bool, Looked]] = []
    reasons: Counter[str] = Counter()
    for one in formats:
        batch = next(read_batches(path, one, _no_digest, LOOK))
        records = [value for value in batch.values if value is not None]
        if records and _fits(one, batch, records):
            tried.append((len(records), one == declared, Looked(one, records, len(batch.rows))))
        elif one == (declared or "json"):
            reasons.update(reason for reason in batch.reasons if reason)
    if not tried:
        told = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
        told = f" ({told})" if told else ""
        msg = f"{path.name}: no record can be read as {', '.join(formats)}{told}; is it a feedback log?"
        raise PairtrailError(msg)
    found = max(tried, key=lambda one: one[:2])[2]
    if found.format in TABLES and headless(found.records):
        msg = f"{path.name}: the first row does not look like a header; write one above it that names the columns"
        raise PairtrailError(msg)
    return found


def _no_digest(raws: list[bytes]) -> list[str]:
    return [""] * len(raws)


def _fits(one: Format, batch: RawBatch, records: list[dict[str, Any]]) -> bool:
    """Say whether records make sense: any text is a table of one column."""
    return one not in TABLES or (len(records[0]) > 1 and 2 * len(records) >= len(batch.rows))


def headless(records: list[dict[str, Any]]) -> bool:
    """Find a header that is a row: its cells are numbers, texts or addresses, or stand in their own columns again."""
    rows = [record for record in records if any(value != name for name, value in record.items())]
    names = list(records[0])
    again = any(name and any(record.get(name) == name for record in rows) for name in names)
    return again or 2 * sum(map(_is_name, names)) <= len(names)


def _is_name(name: str) -> bool:
    return len(name) <= _LONGEST and bool(_COLUMN.fullmatch(name))
