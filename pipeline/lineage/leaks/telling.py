"""What the leak check says, to people and to scripts."""

from typing import Any

import polars as pl

from pipeline.lineage.leaks.comparing import KINDS
from pipeline.lineage.leaks.leaks import Leaks, Looked

_EXAMPLES = 20


def as_dict(leaks: Leaks) -> dict[str, Any]:
    """Tell everything, for scripts."""
    return {
        "clean": leaks.clean,
        "held_out": {
            "prompts": leaks.held.prompts.height,
            "pairs": leaks.held.pairs.height,
            "seen_in_training": leaks.held.spent,
            "canaries": leaks.held.canaries,
            "threshold": leaks.threshold,
        },
        "files": [_file(looked) for looked in leaks.files],
        "faults": leaks.faults,
    }


def _file(looked: Looked) -> dict[str, Any]:
    return {
        "file": looked.file,
        "rows": looked.rows,
        "leaked": looked.found.height,
        "kinds": looked.kinds,
        "unread": {"rows": len(looked.unread), "numbers": looked.unread.to_list()},
        "by_id_alone": looked.by_id,
        "as_whole_text": looked.whole,
        "not_read": looked.not_read,
        "found": looked.found.to_dicts(),
    }


def told(leaks: Leaks) -> str:
    """Tell counts and the first rows, for people."""
    held = leaks.held
    lines = [
        f"held out: {held.prompts.height:,} prompts, {held.pairs.height:,} pairs; near from {leaks.threshold:g} on"
        + (f"; {held.spent:,} comparisons seen in training do not count" if held.spent else "")
    ]
    for looked in leaks.files:
        lines += _lines(looked, allow_unread=leaks.allow_unread)
    return "\n".join(lines)


def _verdict(looked: Looked, *, allow_unread: bool) -> str:
    if looked.found.height:
        return f"{looked.found.height:,} of {looked.rows:,} rows leak"
    compared = looked.rows - len(looked.unread)
    if compared == looked.rows:
        return f"{looked.rows:,} rows, no leak"
    told = f"no leak among {compared:,} of {looked.rows:,} rows; nobody knows about the others"
    return told + ("" if allow_unread else ", so it is not clean (--allow-unread lets them pass)")


def _lines(looked: Looked, *, allow_unread: bool) -> list[str]:
    lines = [f"{looked.file}: {_verdict(looked, allow_unread=allow_unread)}"]
    lines += [f"  {kind} {count:,}: {KINDS[kind]}" for kind, count in looked.kinds.items()]
    lines += [f"  {line}" for line in _examples(looked.found)]
    if len(looked.unread):
        numbers = ", ".join(f"{row}" for row in looked.unread.head(_EXAMPLES))
        more = ", ..." if len(looked.unread) > _EXAMPLES else ""
        lines.append(f"  {len(looked.unread):,} rows were not compared, as no prompt can be read: {numbers}{more}")
    if looked.not_read:
        more = ", ..." if len(looked.not_read) > _EXAMPLES else ""
        lines.append(f"  not read: {', '.join(looked.not_read[:_EXAMPLES])}{more}")
    if looked.by_id:
        lines.append(f"  {looked.by_id:,} rows without a prompt were compared by their pair's id alone")
    if looked.whole:
        lines.append(f"  {looked.whole:,} prompts are a text and were compared as one message of the user")
    return lines


def _examples(found: pl.DataFrame) -> list[str]:
    shown = found.head(_EXAMPLES).to_dicts()
    lines = [
        f"row {one['row']} {one['kind']}"
        + (f" {one['of']} {one['id']}" if one["id"] else "")
        + (f" similarity {one['similarity']:g}" if one["similarity"] is not None else "")
        for one in shown
    ]
    return lines + (
        [f"... and {found.height - _EXAMPLES:,} more; --json lists all"] if found.height > _EXAMPLES else []
    )
