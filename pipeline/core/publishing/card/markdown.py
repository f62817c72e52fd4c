"""Markdown that nothing in the data can break: tables, and values that a record or a sidecar stated."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

Cell: TypeAlias = str | int
LONGEST = 60
"""Characters of a value that a record stated; the manifest has it whole."""
LONGEST_STATED = 300
"""Characters of a sentence that a sidecar stated; the manifest has it whole."""

_MARKUP = frozenset("&<>|[]()*_`~#!\\$")


def plain(value: str, longest: int | None = LONGEST) -> str:
    """Write a value so that it breaks neither the table nor the page, and is not too long (`None`: at any length)."""
    line = " ".join(value.split())
    cut = line if longest is None or len(line) <= longest else f"{line[:longest]}..."
    seen = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in cut)
    return "".join(f"&#{ord(sign)};" if sign in _MARKUP else sign for sign in seen) or "(empty)"


def stated(value: str | None) -> str:
    """Write what somebody stated of a source, a policy or a rubric, or that nobody did."""
    return "not stated" if value is None else plain(value, LONGEST_STATED)


def percent(share: float) -> str:
    """Write a share with one decimal; nothing but 0 is shown as none, and nothing but 1 as all."""
    return f"{100 * share:.0f}" if share in {0, 1} else f"{min(max(100 * share, 0.1), 99.9):.1f}"


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> list[str]:
    """Write a table, columns of whole numbers to the right; cells are Markdown, so values go through `plain` first."""
    body = [list(row) for row in rows]
    numbers = [bool(body) and all(isinstance(row[place], int) for row in body) for place in range(len(heads))]
    rule = ["---:" if number else "---" for number in numbers]
    return [_line(line) for line in (heads, rule, *body)]


def _line(cells: Sequence[Cell]) -> str:
    return f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else cell for cell in cells)} |"


def section(title: str, *parts: Sequence[str] | str) -> list[str]:
    """Write a section: a text is a paragraph, a list its lines; an empty part is left out."""
    blocks = [[part] if isinstance(part, str) else list(part) for part in parts if part]
    return [f"## {title}\n", *(line for block in blocks for line in (*block, ""))]


def bullets(sentences: Iterable[str]) -> list[str]:
    """Write sentences as a list."""
    return [f"- {sentence}" for sentence in sentences]
