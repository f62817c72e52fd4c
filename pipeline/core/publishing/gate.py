"""The release gate: Great Expectations judges aggregate tables, and its Data Docs tell what was checked.

Only counts, rates and shares come here, never a row with text: Data Docs show cell values, and Great Expectations
needs gigabytes for a column of prompts. It takes seconds to import, so nothing here does before it must.
"""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pipeline.core.errors import PairtrailError

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.render.components import RenderedSectionContent

Cell: TypeAlias = str | int | float | None
Row: TypeAlias = dict[str, Cell]
_Finding: TypeAlias = Any  # an ExpectationValidationResult, which types as optional what is always there

_KEY = re.compile(r".{0,200}")
_WORDS = {  # what is seen where it holds, and what is the matter with a row where it does not
    "expect_column_values_to_be_between": ("no values", "outside"),
    "expect_column_values_to_be_in_type_list": ("numbers", "not a number"),
    "expect_column_values_to_not_be_null": ("no nulls", "null"),
    "expect_column_values_to_be_unique": ("all different", "not unique"),
}
# Stands in for Great Expectations' own page, which fetches styles, scripts and a logo and shows the time of day.
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Release gate: {{ page_title }}</title>
<style>
:root { color-scheme: light dark; --faint: light-dark(#5d6b7a, #9aa7b5); --band: light-dark(#f0f3f6, #222a33) }
body { max-width: 72rem; margin: 0 auto; padding: 2rem 1.5rem; font: 15px/1.5 system-ui, sans-serif }
h1, p { margin: .2rem 0 } h2 { margin: 2.2rem 0 .5rem; font-size: 1.15rem } p, th { color: var(--faint) }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
th, td { padding: .45rem .7rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--band) }
th { background: var(--band); font-size: .8rem } a { color: light-dark(#0b57a4, #7ab8ff) }
.passed, .failed { border: 1px solid; border-radius: 1rem; padding: .1rem .6rem; font-size: .8rem; white-space: nowrap }
.passed { color: light-dark(#176b3a, #7ddba1) } .failed { color: light-dark(#b01c1c, #ff9d9d) }
.badge { background: var(--band); border-radius: .25rem; padding: 0 .3rem; font: .9em ui-monospace, monospace }</style>
<p><a href="index.html">Release gate</a></p><h1>{{ page_title }}</h1>
<p><b class="{{ word }}">{{ word }}</b> {{ summary }}</p>
{% for section in sections %}{% set section_loop = loop %}{% include "section.j2" %}{% endfor %}
<footer><p>Checked and rendered by Great Expectations {{ ge_version }}, from aggregates only.</p></footer>
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold of one column of one aggregate table; a null breaks `not_null` and nothing else."""

    table: str
    column: str
    minimum: float | None = None
    maximum: float | None = None
    unique: bool = False
    not_null: bool = True
    why: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a rule held, and what was seen: numbers and the keys of aggregates."""

    rule: Rule
    passed: bool
    observed: str


def run_gate(tables: Mapping[str, list[Row]], rules: Sequence[Rule], docs: Path) -> list[Verdict]:
    """Judge the tables and write Data Docs (`index.html`, a page per table) as the folder `docs`; a verdict per rule.

    A rule that fails does not raise: the caller decides what that means. The pages hold no clock, run id, path or
    address that a browser would fetch, so equal tables give equal bytes on any machine.
    """
    _refuse_unfit(tables, rules)
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    verdicts: dict[Rule, Verdict] = {}
    checks, pages = [], {}
    for name, table in tables.items():
        asked = [rule for rule in rules if rule.table == name]
        columns = _columns(table, asked)
        rows = _even(table, columns)
        findings = _judge(context, name, _frame(rows, columns), asked)
        for finding in findings:  # the rest would be told in the machine's locale, with tracebacks full of paths
            finding.result, finding.exception_info = {"observed_value": _observed(finding, rows)}, {}
        verdicts |= {rule: _verdict(rule, number, findings, columns) for number, rule in enumerate(asked)}
        checks.append(_checks(name, findings))
        values = _section("The values", columns, [[_shown(row[column]) for column in columns] for row in rows])
        pages[f"{name}.html"] = _page(name, [verdicts[rule] for rule in asked], [checks[-1], values])
    _write_whole(docs, pages | {"index.html": _page("All tables", [verdicts[rule] for rule in rules], checks)})
    return [verdicts[rule] for rule in rules]


def _refuse_unfit(tables: Mapping[str, list[Row]], rules: Sequence[Rule]) -> None:
    """Stop before a rule about nothing passes in silence, or a text that is no key reaches a page."""
    for name, rows in tables.items():
        for column in _columns(rows, []):
            cells = [row.get(column) for row in rows]
            texts = sum(isinstance(cell, str) and not _KEY.fullmatch(cell) for cell in cells)
            if texts:
                msg = f"the release gate takes aggregates only, but in its table {name} the column {column} holds "
                raise PairtrailError(msg + f"{texts:,} values of several lines or more than 200 characters")
    unknown = sorted({rule.table for rule in rules} - set(tables))
    if unknown:
        msg = f"the release gate has rules for tables that it was not given: {', '.join(unknown)}; given are: "
        raise PairtrailError(msg + (", ".join(tables) or "none"))


def _columns(rows: list[Row], rules: list[Rule]) -> list[str]:
    """Name the columns in order; a table without rows has those that its rules speak of."""
    return list(dict.fromkeys([column for row in rows for column in row] or [rule.column for rule in rules]))


def _even(rows: list[Row], columns: list[str]) -> list[Row]:
    """Give every row every column; a NaN, the one value that differs from itself, is a null."""
    return [{column: cell if (cell := row.get(column)) == cell else None for column in columns} for row in rows]


def _frame(rows: list[Row], columns: list[str]) -> "pd.DataFrame":
    """Build the frame column by column, so that a count beside a null stays a whole number."""
    import pandas as pd

    frame = {}
    for column in columns:
        kinds = {type(row[column]) for row in rows} - {type(None)}
        dtype = "Int64" if kinds <= {int} else "float64" if kinds <= {int, float} else "object"
        frame[column] = pd.Series([row[column] for row in rows], dtype=dtype)
    return pd.DataFrame(frame)


def _judge(context: "EphemeralDataContext", name: str, frame: "pd.DataFrame", rules: list[Rule]) -> list[_Finding]:
    import great_expectations as gx

    batch = context.data_sources.add_pandas(name).add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)
    suite = gx.ExpectationSuite(name, expectations=list(_expectations(rules, frame)))
    return list(batch.get_batch({"dataframe": frame}).validate(suite, result_format="COMPLETE").results)


def _expectations(rules: list[Rule], frame: "pd.DataFrame") -> "Iterator[Expectation]":
    """Say the rules in Great Expectations' terms; `meta` says which rule asks, and why."""
    import great_expectations as gx

    expect: Any = gx.expectations  # it exports no name to type checkers
    spoken_of = list(dict.fromkeys(rule.column for rule in rules)) or list(frame.columns)
    yield expect.ExpectTableColumnsToMatchSet(column_set=spoken_of, exact_match=False)
    for number, rule in enumerate(rules):
        if rule.column not in frame.columns:  # which the first expectation tells
            continue
        about = {"column": rule.column, "meta": {"rule": number, "why": rule.why}}
        limited = (rule.minimum, rule.maximum) != (None, None)
        if limited and frame[rule.column].dtype == "object":  # comparing strings gives a traceback, not a result
            yield expect.ExpectColumnValuesToBeInTypeList(type_list=["int", "float"], **about)
        elif limited:
            yield expect.ExpectColumnValuesToBeBetween(min_value=rule.minimum, max_value=rule.maximum, **about)
        if rule.not_null:
            yield expect.ExpectColumnValuesToNotBeNull(**about)
        if rule.unique:
            yield expect.ExpectColumnValuesToBeUnique(**about)


def _observed(finding: _Finding, rows: list[Row]) -> str:
    """Say what was seen in numbers, and by the keys of the first few rows where it broke."""
    column, kind = finding.expectation_config.kwargs.get("column"), finding.expectation_config.type
    if column is None:
        return f"the table has {', '.join(finding.result['observed_value'])}" if rows else "no rows"
    held, broke = _WORDS[kind]
    known: list[Any] = [row[column] for row in rows if row[column] is not None]
    seen = [f"min {_shown(min(known))}, max {_shown(max(known))}"] if kind.endswith("_between") and known else []
    if not finding.success:
        at = finding.result["unexpected_index_list"]
        places = [_place(rows[index], column, index) for index in at[:3]] + ["..."] * bool(at[3:])
        seen.append(f"{len(at):,} of {len(rows):,} rows {broke}: {', '.join(places)}")
    return "; ".join(seen) or (held if rows else "no rows")


def _place(row: Row, column: str, index: int) -> str:
    keys = " ".join(f"{key}={cell}" for key, cell in row.items() if isinstance(cell, str) and key != column)
    return ("" if row[column] is None else f"{row[column]} at ") + (keys or f"row {index + 1:,}")


def _shown(cell: Cell) -> str:
    return f"{cell:.6g}" if isinstance(cell, float) else f"{cell:,}" if isinstance(cell, int) else cell or "null"


def _verdict(rule: Rule, number: int, findings: list[_Finding], columns: list[str]) -> Verdict:
    lost = [] if rule.column in columns else ["no such column"]
    mine = [finding for finding in findings if finding.expectation_config.meta.get("rule") == number]
    observed = dict.fromkeys(lost + [finding.result["observed_value"] for finding in mine or findings[:1]])
    return Verdict(rule, not lost and all(finding.success is True for finding in mine), "; ".join(observed))


def _checks(name: str, findings: list[_Finding]) -> "RenderedSectionContent":
    """Tell what was checked in the words of Great Expectations, with ours for the result."""
    from great_expectations.render.components import RenderedStringTemplateContent
    from great_expectations.render.renderer.content_block import validation_results_table_content_block as block

    told: Any = block.ValidationResultsTableContentBlockRenderer.render(findings, include_column_name=True)
    table = []
    for row, finding in zip(told.table, findings, strict=True):
        word = "passed" if finding.success is True else "failed"
        mark = RenderedStringTemplateContent({"template": word, "tag": "b", "styling": {"classes": [word]}})
        why = finding.expectation_config.meta.get("why", "The rules speak of them.")
        table.append([mark, row[1], finding.result["observed_value"], why])
    return _section(f'<a href="{name}.html">{name}</a>', ["Result", "What must hold", "Observed", "Why"], table)


def _section(heading: str, columns: list[str], table: list[list[Any]]) -> "RenderedSectionContent":
    """Make a section of one table; Great Expectations escapes no string in a cell, so it is done here."""
    from great_expectations.render import components as gx

    head = gx.RenderedStringTemplateContent({"template": heading, "tag": "h2"})
    safe = [[escape(cell) if isinstance(cell, str) else cell for cell in row] for row in [columns, *table]]
    return gx.RenderedSectionContent([gx.RenderedTableContent(safe[1:], header=head, header_row=safe[0])])


def _page(title: str, verdicts: list[Verdict], sections: "list[RenderedSectionContent]") -> str:
    from great_expectations.render.components import RenderedDocumentContent
    from great_expectations.render.view.view import DefaultJinjaPageView

    held = sum(verdict.passed for verdict in verdicts)
    content = deepcopy(RenderedDocumentContent(sections, page_title=title).to_json_dict())  # rendering changes it
    summary, word = f"{held:,} of {len(verdicts):,} rules hold", "passed" if held == len(verdicts) else "failed"
    page = DefaultJinjaPageView().env.from_string(_PAGE).render(content, summary=summary, word=word)
    return "".join(f"{line.strip()}\n" for line in page.splitlines() if line.strip())


def _write_whole(docs: Path, pages: dict[str, str]) -> None:
    fresh = docs.with_name(f".{docs.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, page in pages.items():
        (fresh / name).write_bytes(page.encode())
    shutil.rmtree(docs, ignore_errors=True)
    fresh.rename(docs)
