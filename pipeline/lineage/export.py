"""Export: the published rows of one side as a trainer reads them, with a receipt that says what became of each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.core.accounts import must_add_up
from pipeline.core.errors import PairtrailError
from pipeline.core.exporting.judged import Judged
from pipeline.core.exporting.place import RECEIPT, RECEIPT_FORMAT, place_for, whole_export
from pipeline.core.exporting.published import CANARY, Reading, published_tables
from pipeline.core.exporting.rows import write_rows
from pipeline.core.exporting.tasks import Options, Task, named_split
from pipeline.core.project import Project
from pipeline.core.publishing.content import file_digest
from pipeline.core.tables import write_json, write_text
from pipeline.exporters import Exporter, exporter_for
from schemas.vocabulary import SIDES

PAIR_IDS = "pair_ids.txt"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: a format and its task, one side, the folder to write."""

    format: str
    split: str
    out: Path
    task: str | None = None
    margin_scale: float = 1.0
    require_strength: bool = False
    heldout: str | None = None
    rubric: str | None = None
    policy: str | None = None


def export(project: Project, request: Request) -> dict[str, Any]:
    """Write an export whole beside its place, rename it, and return its receipt. Raises PairtrailError."""
    exporter = exporter_for(request.format)
    name = _task(exporter, request)
    _check_side(request)
    _check_margin(request, exporter.TASKS[name], name)
    tables = published_tables(project, request.split)
    try:
        with whole_export(place_for(project, request.out)) as built:
            receipt = _written(exporter, name, request, tables, built)
            receipt["manifest_sha256"] = file_digest(project.stage("publish") / "manifest.json")
            write_json(receipt, built / RECEIPT)
    except OSError as error:
        msg = f"{request.out}: nothing was written: {error.strerror or error}"
        raise PairtrailError(msg) from error
    return receipt


def _task(exporter: Exporter, request: Request) -> str:
    name = next(iter(exporter.TASKS)) if request.task is None else request.task
    if name not in exporter.TASKS:
        msg = f"{request.format} has no task `{name}` (known: {', '.join(exporter.TASKS)})"
        raise PairtrailError(msg)
    return name


def _check_side(request: Request) -> None:
    if request.split not in SIDES:
        msg = f"unknown split `{request.split}` (known: {', '.join(SIDES)})"
        raise PairtrailError(msg)
    if request.split != "heldout" and request.heldout is not None:
        msg = f"--heldout is the reason for exporting heldout, and --split is {request.split}; leave it out"
        raise PairtrailError(msg)
    if request.split == "heldout" and not (request.heldout or "").strip():
        msg = (
            "heldout is for neither training nor tuning, ever; if something else needs it, say what: "
            "--heldout REASON, which is printed and kept in the receipt"
        )
        raise PairtrailError(msg)
    if not (request.heldout or "").isprintable():
        msg = "--heldout must be one line of characters that can be printed: it is printed, and kept in the receipt"
        raise PairtrailError(msg)


def _check_margin(request: Request, task: Task, name: str) -> None:
    if not (isfinite(request.margin_scale) and request.margin_scale > 0):
        msg = f"--margin-scale {request.margin_scale} must be a finite number above 0"
        raise PairtrailError(msg)
    given = {"--margin-scale": request.margin_scale != 1.0, "--require-strength": request.require_strength}
    if not task.margin and any(given.values()):
        asked = " and ".join(option for option, is_given in given.items() if is_given)
        msg = f"rows of {request.format} for {name} carry no margin, so nothing would come of {asked}; leave it out"
        raise PairtrailError(msg)


def _written(
    exporter: Exporter, name: str, request: Request, tables: Mapping[str, Path], built: Path
) -> dict[str, Any]:
    task = exporter.TASKS[name]
    reading = Reading(tables, task, Judged(request.rubric, request.policy), require_strength=request.require_strength)
    lacking = reading.lacking()
    has_margin = task.margin and (request.require_strength or not lacking)
    options = Options(f"{request.split}.{exporter.KIND}", request.margin_scale if has_margin else None)
    bare = exporter.rows(reading.nothing, name, options)
    has_room = bool({"pair_id", "id"} & set(bare.columns))
    mark = {CANARY: pl.lit(reading.canary)} if has_room and reading.canary else {}
    types = bare.with_columns(**mark).schema
    batches = reading.batches() if has_room else _noting(reading.batches(), built / PAIR_IDS)
    shaped = (exporter.rows(batch, name, options).with_columns(**mark) for batch in batches)
    rows = write_rows(shaped, built / options.file, types)
    must_add_up(f"exported {task.table}", reading.total, {"rows": rows, **reading.left_out})
    if not rows:
        raise _nothing(request, name, reading)
    _write_beside(exporter, name, request, options, built)
    return {
        "receipt": RECEIPT_FORMAT,
        "format": request.format,
        "task": name,
        "split": request.split,
        "heldout_reason": request.heldout,
        "rubric": request.rubric,
        "policy": request.policy,
        "read": {"from": task.table, "rows": reading.total},
        "rows": rows,
        "left_out": dict(sorted(reading.left_out.items())),
        "file": options.file,
        "columns": list(types),
        CANARY: reading.canary,
        "margin_scale": options.margin_scale,
        "margin_omitted": {"no_strength": lacking} if task.margin and not has_margin else None,
        "negative_margins": reading.negative if has_margin else None,
        "judged_under": reading.judged_under(),
        "files": {path.name: file_digest(path) for path in sorted(built.iterdir())},
    }


def _write_beside(exporter: Exporter, name: str, request: Request, options: Options, built: Path) -> None:
    """Write what stands beside the rows: the README that names their split, and what else the trainer needs."""
    beside: Mapping[str, str] = exporter.beside(name, options) if hasattr(exporter, "beside") else {}
    for file, text in {"README.md": named_split(request.split, options.file), **beside}.items():
        write_text(text, built / file)


def _nothing(request: Request, task: str, reading: Reading) -> PairtrailError:
    """Say why no row is left to write."""
    counts = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reading.left_out.items())) or "it is empty"
    return PairtrailError(f"{request.split} has nothing to export for {request.format} {task}: {counts}")


def _noting(batches: Iterable[pl.DataFrame], path: Path) -> Iterator[pl.DataFrame]:
    """Write down the pair of each row, for a format whose rows cannot name it: a line for each, in their order."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for batch in batches:
            stream.writelines(f"{pair_id}\n" for pair_id in batch["pair_id"])
            yield batch


def told(receipt: Mapping[str, Any]) -> str:
    """Tell a receipt in lines that a person reads: what was written, and everything that was not."""
    one = {"pairs": "pairs", "votes": "responses"}[receipt["read"]["from"]]
    rows = f"{receipt['rows']:,} of {receipt['read']['rows']:,} {one} of {receipt['split']}"
    lines = [f"{receipt['format']} {receipt['task']}: {rows} in {receipt['file']}"]
    lines += [f"  only {what} {receipt[what]}" for what in ("rubric", "policy") if receipt[what] is not None]
    lines += [f"  left out: {reason} {count:,}" for reason, count in receipt["left_out"].items()]
    if receipt["margin_omitted"]:
        lines.append(
            f"  no margin column: {receipt['margin_omitted']['no_strength']:,} pairs state no strength; "
            "--require-strength leaves them out instead"
        )
    if receipt["negative_margins"]:
        lines.append(f"  negative margins: {receipt['negative_margins']:,} (the fewer votes are the stronger ones)")
    for what in ("policies", "rubrics"):
        if len(found := receipt["judged_under"][what]) > 1:
            lines.append(f"  several {what}, each with its own rows: {', '.join(found)}; one pair may stand twice")
    if receipt["split"] == "heldout" and CANARY not in receipt["columns"]:
        why = f"{receipt['format']} has no room for one" if receipt[CANARY] else "the published files have none"
        lines.append(f"  no canary: {why}, so nothing in these rows says that they are held out")
    if receipt["heldout_reason"]:
        lines.append(f"  heldout, because: {receipt['heldout_reason']}")
    return "\n".join(lines)
