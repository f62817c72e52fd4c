"""What commands print: JSON for scripts, tables for people."""

import json
import sys
from typing import Any


def as_json_text(content: Any) -> str:  # noqa: ANN401
    """Write what a command found as JSON, keys in order."""
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, default=str)


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows with the same keys as a table, numbers to the right, as wide as the terminal where there is one."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, value in rows[0].items():
        table.add_column(name, justify="right" if type(value) is int else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _cell(value: Any) -> str:  # noqa: ANN401
    return "-" if value is None else f"{value:,}" if type(value) is int else str(value)
