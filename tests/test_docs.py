"""The docs say all that there is, and nothing that there is not."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from inspect import signature
from itertools import takewhile
from json import JSONDecoder
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest
from typer.main import get_command

from pipeline.adapters import adapter_names
from pipeline.cli import app
from pipeline.core.benchmarks.sidecars import Sidecar as Benchmark
from pipeline.core.exporting.judged import OTHERS
from pipeline.core.exporting.published import NO_STRENGTH
from pipeline.core.exporting.responses import REASONS as UNLABELLED
from pipeline.core.exporting.responses import RESPONSES
from pipeline.core.exporting.tasks import Options
from pipeline.core.keys import KEY_FILE, KEY_FILE_VARIABLE, KEY_VARIABLE
from pipeline.core.mapping.candidates import CANDIDATE_REASONS, NO_COMPARISON_REASONS
from pipeline.core.params import parse_yaml, read_yaml
from pipeline.core.publishing.quality import Limits
from pipeline.core.sidecar import specs
from pipeline.core.sidecar.fields import CHOICES, FIELDS
from pipeline.core.sidecar.sidecars import Consent, ConsentRef, FanOut, Format, Group, Join, Sidecar
from pipeline.core.versions import FrontMatter
from pipeline.exporters import exporter_for, exporter_names
from pipeline.stages import STAGES, stage_module
from schemas import vocabulary
from schemas.columns import dtypes
from schemas.contamination import RULES
from schemas.dictionary import TABLES, dictionary
from schemas.ingested import OUTCOMES
from schemas.published import PAIRS
from tests.building import ROOT
from tests.pages import DOCS, FENCED, PAGES, anchors, blocks, documented, section, table_rows

_RAW = ("bytestream", "decoding", "delimited", "parquetrows", "rawfiles", "splitting")
EXPORTERS = DOCS / "exporters.md"
RECORD_READERS = ("mapping/sides", *(f"raw/{name}" for name in _RAW))
CALL = re.compile(r"(?:^|\$\(|&& |; |do )\s*pairtrail (.+)", re.MULTILINE)
MACHINE = re.compile(r"(?<![\w.~:/-])/(?:bin|etc|home|mnt|opt|root|tmp|usr|Users|var|work)/|[A-Z]:\\")
REGISTRY = re.compile(r"py[p]i|python[h]osted|/simple\b|index-url|anaconda\.org|conda-forge|artifactory", re.IGNORECASE)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def names_of(*kinds: Any) -> list[str]:  # noqa: ANN401
    return sorted(field.name for kind in kinds for field in fields(kind))


def commands(group: Any, *path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield " ".join([*path, name]), command
            yield from commands(command, *path, name)
        else:
            yield " ".join([*path, name]), command


COMMANDS = dict(commands(get_command(app)))
each_command = pytest.mark.parametrize("name", COMMANDS)
each_stage = pytest.mark.parametrize("stage", STAGES)


def options_of(name: str) -> list[str]:
    return [option for known in COMMANDS[name].params for option in known.opts if option.startswith("--")]


def unknown_parts(call: str) -> list[str]:
    """What a documented call of `pairtrail` says that the command line does not know."""
    words = list(takewhile(lambda word: word not in {">", "|", ";", "&&"}, shlex.split(call, comments=True)))
    if words[0].isupper() or words[0].startswith("$"):
        return []
    if words[0] == "release" and " ".join(words[:2]) not in COMMANDS:  # short for `release cut`
        words = ["release", "cut", *words[1:]]
    name = next((name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS), None)
    if name is None:
        return words[:2]
    return [word for word in words if word.startswith("--") and word not in [*options_of(name), "--help"]]


def calls(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    inline = re.findall(r"`(pairtrail [^`\n]+)`", FENCED.sub("", text))
    return [call.rstrip(")") for code in [*blocks(page, "sh"), *inline] for call in CALL.findall(code)]


def test_what_the_help_says_is_an_example_that_commands_md_shows() -> None:
    for name, command in COMMANDS.items():
        examples = re.findall(r"^\s*Example: (pairtrail .+)$", command.help, re.MULTILINE)
        assert examples, f"`pairtrail {name} --help` has no line `Example: pairtrail ...`"
        assert not [part for example in examples for part in unknown_parts(example.removeprefix("pairtrail "))]
        assert all(example in section(DOCS / "commands.md", f"pairtrail {name}") for example in examples)


@each_command
def test_each_command_and_option_is_documented(name: str) -> None:
    told = section(DOCS / "commands.md", f"pairtrail {name}")
    assert [option for option in options_of(name) if f"- `{option}`:" not in told] == []


def test_no_command_is_documented_that_is_none() -> None:
    headings = re.findall(r"^## pairtrail (.+)$", (DOCS / "commands.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(COMMANDS)


@each_page
def test_calls_name_known_commands_and_options(page: Path) -> None:
    assert {call: unknown for call in calls(page) if (unknown := unknown_parts(call))} == {}


def test_calls_are_found() -> None:
    assert sum(len(calls(page)) for page in PAGES) > len(COMMANDS)


@each_stage
def test_each_drop_reason_is_documented_in_its_order(stage: str) -> None:
    told = [] if stage == "ingest" else documented(section(DOCS / "stages.md", stage))
    assert told == list(getattr(stage_module(stage), "REASONS", {}))
    assert f"[{stage}](#{stage})" in (DOCS / "stages.md").read_text(encoding="utf-8")


def test_each_candidate_reason_is_documented_in_its_order() -> None:
    assert documented(section(DOCS / "stages.md", "Quarantine: a candidate")) == list(CANDIDATE_REASONS)
    assert documented(section(DOCS / "stages.md", "No comparison")) == list(NO_COMPARISON_REASONS)


def test_each_record_reason_is_documented() -> None:
    """No list of them exists: they are the words with an underscore in the readers' code that no column is called."""
    known = {name for table in TABLES.values() for name in table.columns} | set(signature(JSONDecoder).parameters)
    trees = [ast.parse((ROOT / f"pipeline/core/{name}.py").read_text(encoding="utf-8")) for name in RECORD_READERS]
    words = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    reasons = {word for word in words if isinstance(word, str) and re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", word)} - known
    told = set(documented(section(DOCS / "stages.md", "Quarantine: the record as a whole")))
    assert reasons - set(CANDIDATE_REASONS) <= told <= reasons


def test_each_outcome_is_documented_in_its_order() -> None:
    assert documented(section(DOCS / "accounts.md", "The account of records")) == list(OUTCOMES)


@each_stage
def test_each_parameter_is_documented_and_set(stage: str) -> None:
    known = [field.name for field in fields(stage_module(stage).Params)]
    limits = [field.name for field in fields(Limits)] if stage == "publish" else []
    assert documented(section(DOCS / "parameters.md", stage)) == known + limits
    assert list(read_yaml(ROOT / "params.yaml")[stage]) == known


def test_each_key_of_a_sidecar_is_documented() -> None:
    page = DOCS / "sources.md"
    assert sorted(documented(section(page, "The keys of a sidecar"))) == names_of(Sidecar, Consent, Group)
    assert sorted(documented(section(page, "Joins"))) == names_of(Join)
    assert sorted(documented(section(page, "Fan-out"))) == names_of(FanOut)
    assert sorted(parse_yaml(FENCED.findall(section(page, "Policies and rubrics"))[0][1])) == names_of(FrontMatter)


def test_each_key_of_a_benchmark_and_each_rule_is_documented() -> None:
    page = DOCS / "decontamination.md"
    assert {row[0].strip("`") for row in table_rows(section(page, "Benchmarks"))} == set(names_of(Benchmark))
    assert [row[0].strip("`") for row in table_rows(section(page, "The rules"))] == list(RULES)
    stated = parse_yaml(FENCED.findall(section(page, "Benchmarks"))[0][1])
    example = parse_yaml((ROOT / "tests/real_benchmarks/mt_bench/benchmark.yaml").read_text(encoding="utf-8"))
    assert stated == example


def test_each_code_of_the_consent_ledger_is_documented() -> None:
    page = DOCS / "consent.md"
    assert documented(section(page, "Status")) == list(vocabulary.CONSENT_STATUSES)
    assert documented(section(page, "Legal bases")) == list(vocabulary.LEGAL_BASES)
    assert documented(section(page, "Purposes")) == list(vocabulary.PURPOSES)
    assert documented(section(page, "Licences")) == list(vocabulary.USE_CLASSES)
    told = {row[0].strip("`"): row[2].strip("`") for row in table_rows(section(page, "Status"))}
    assert {told[status] for status in vocabulary.VALID_STATUSES} == {""}
    assert {reason for reason in told.values() if reason} <= set(stage_module("validate").REASONS)


def test_each_kind_of_value_spec_is_documented() -> None:
    told = section(DOCS / "sources.md", "Value specs")
    assert sorted(documented(told, column=1)) == names_of(*get_args(specs.AnySpec))
    for spec in parse_yaml(FENCED.findall(told)[0][1]).values():
        specs.as_spec(spec)


def test_each_field_is_documented_with_what_it_takes() -> None:
    told = section(DOCS / "sources.md", "Fields")
    assert sorted(documented(told)) == sorted([*FIELDS, "consent_refs", *names_of(ConsentRef)])
    takes = {row[0].strip("`"): re.findall(r"`(\w+)`", row[1]) for row in table_rows(told)}
    assert {name: takes[name] for name in CHOICES} == {name: list(known) for name, known in CHOICES.items()}


def test_each_adapter_and_format_is_documented() -> None:
    told = section(DOCS / "sources.md", "Adapters")
    assert documented(told) == ["records", *(name for name in adapter_names() if name != "records")]
    for name in adapter_names():
        page = DOCS / "adapters" / f"{name}.md"
        assert f"(adapters/{name}.md)" in told
        kind = getattr(import_module(f"pipeline.adapters.{name}"), "Options", None)
        assert not kind or documented(section(page, "Options")) == [field.name for field in fields(kind)]
    assert sorted(documented(section(DOCS / "sources.md", "Formats"))) == sorted(get_args(Format))


def test_each_format_and_task_is_documented_with_its_columns() -> None:
    told = [[re.findall(r"`(\w+)`", cell) or cell for cell in row] for row in table_rows(section(EXPORTERS, "Formats"))]
    found = []
    for name in exporter_names():
        exporter = exporter_for(name)
        for task, kind in exporter.TASKS.items():
            published = pl.DataFrame(schema=dtypes(PAIRS) if kind.table == "pairs" else RESPONSES)
            columns = exporter.rows(published, task, Options("train.x", 1.0 if kind.margin else None)).columns
            found.append([[name], [task], kind.table, exporter.KIND, columns, "yes" if kind.margin else "no"])
    assert told == found
    assert documented(section(EXPORTERS, "How each was checked")) == exporter_names()
    assert re.findall(r"^### (\w+)$", section(EXPORTERS, "One example each"), re.MULTILINE)
    assert [name for name in exporter_names() if f"export {name} " not in section(EXPORTERS, name)] == []


def test_each_reason_of_an_export_is_documented_with_its_format() -> None:
    rows = table_rows(section(EXPORTERS, "What is left out"))
    told = {(reason.strip("`"), name) for reason, where, _ in rows for name in re.findall(r"`(\w+)`", where)}
    found = {
        (reason, name)
        for name in exporter_names()
        for task in exporter_for(name).TASKS.values()
        for reason in task.unfit
    }
    assert told == found
    assert {row[0].strip("`") for row in rows} == {*OTHERS, NO_STRENGTH, *UNLABELLED, *(reason for reason, _ in found)}


def test_each_place_of_the_key_is_documented() -> None:
    told = section(DOCS / "keys.md", "Where a build finds it")
    assert all(f"`{place}`" in told for place in (KEY_VARIABLE, KEY_FILE_VARIABLE, KEY_FILE.as_posix()))


def test_each_column_is_documented_as_generated() -> None:
    assert all(column.description for table in TABLES.values() for column in table.columns.values())
    assert (DOCS / "columns.md").read_text(encoding="utf-8") == dictionary(), "run: pairtrail columns > docs/columns.md"


@each_page
def test_no_link_is_dead(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", page.read_text(encoding="utf-8")))
    for link in links:
        assert not link.startswith(("http", "/")), f"{link}: links are relative"
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        assert target.is_file(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


@each_page
def test_no_page_names_a_machine_or_a_registry(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert MACHINE.findall(text) + REGISTRY.findall(text) == []


@each_page
def test_yaml_is_yaml(page: Path) -> None:
    for text in blocks(page, "yaml"):
        assert parse_yaml(text)
