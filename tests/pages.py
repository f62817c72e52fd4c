"""The pages of the docs, as tests read them."""

import re
from pathlib import Path
from textwrap import dedent

from tests.building import ROOT

DOCS = ROOT / "docs"
REAL_README = ROOT / "tests/real_sources/README.md"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md")), REAL_README]

FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


def section(page: Path, heading: str) -> str:
    """What stands below a heading, up to the next of its rank or a higher one."""
    text = page.read_text(encoding="utf-8")
    code = [block.span() for block in FENCED.finditer(text)]
    heads = [head for head in HEADING.finditer(text) if not any(a < head.start() < b for a, b in code)]
    here = next(head for head in heads if head[2] == heading)
    after = (head.start() for head in heads if head.start() > here.start() and len(head[1]) <= len(here[1]))
    return text[here.end() : next(after, len(text))]


def table_rows(text: str) -> list[list[str]]:
    """The cells of all tables in a text, heads left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = {place - 1 for place, line in enumerate(lines) if set(line) <= set("|-: ")}
    body = [line for place, line in enumerate(lines) if not heads & {place, place - 1}]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body]


def documented(text: str, column: int = 0) -> list[str]:
    """The names in a column of all tables in a text."""
    return [name for row in table_rows(text) for name in re.findall(r"`([^`]+)`", row[column])]


def blocks(page: Path, language: str) -> list[str]:
    return [dedent(text) for kind, text in FENCED.findall(page.read_text(encoding="utf-8")) if kind == language]


def anchors(page: Path) -> set[str]:
    headings = (head for _, head in HEADING.findall(FENCED.sub("", page.read_text(encoding="utf-8"))))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}
