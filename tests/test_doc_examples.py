"""The examples of the docs run, and give what the docs say."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML

from pipeline.core.consent.appending import refuse_rewritten
from pipeline.core.errors import PairtrailError
from pipeline.core.keys import KEY_VARIABLE, fingerprint
from pipeline.core.params import read_yaml
from pipeline.core.project import Project
from pipeline.core.publishing.folding import THIN, deciding, fold, oriented
from pipeline.core.sidecar.sources import load_source
from pipeline.lineage.checks.sources import source_faults
from pipeline.stages import STAGES
from schemas.ingested import OUTCOMES
from tests.building import ROOT, Built
from tests.pages import DOCS, REAL_README, blocks, section, table_rows

EXAMPLES = re.split(r"^### ", section(DOCS / "sources.md", "Five examples"), flags=re.MULTILINE)[1:] + [
    f"{page.stem}: {part}"
    for page in sorted((DOCS / "adapters").glob("*.md"))
    for part in re.split(r"^##+ ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if "/source.yaml: gives " in part
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.splitlines()[0])
def test_each_worked_example_gives_its_comparisons(
    example: str, project: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "k" * 32)
    path, count = laid_out(example, project)
    assert source_faults(path) == []
    all_of_them = {"candidates": count, "kept": count, "copies": 0, "quarantined": 0}
    assert project.run("ingest").account("ingest")["comparisons"] == all_of_them


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.splitlines()[0])
def test_decoders_and_the_chat_template_can_be_stated_of_each_and_change_no_id(
    example: str, project: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "k" * 32)
    path, _ = laid_out(example, project)
    before = project.run("ingest").comparisons()
    stated = {"decoder_a": "temperature=1", "decoder_b": "temperature=0", "chat_template_sha256": "0" * 64}
    content = read_yaml(path)
    content["fields"] |= {name: {"constant": value} for name, value in stated.items()}
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(content, file)
    assert source_faults(path) == []
    after = project.run("ingest").comparisons()
    assert after.equals(before.with_columns(**{name: pl.lit(value) for name, value in stated.items()}))


def laid_out(example: str, project: Built) -> tuple[Path, int]:
    """Write an example's raw files and sidecar into a project; return the sidecar, and the number that it tells."""
    project.set_params(ingest={"key_fingerprint": fingerprint("k" * 32)})
    [(sidecar, name, count)] = re.findall(
        r"```yaml\n(# data/raw/(\w+)/source.yaml: gives (\d+) comparisons?\n.*?)```", example, re.DOTALL
    )
    folder = project.raw / name
    folder.mkdir(parents=True)
    (folder / "source.yaml").write_text(sidecar, encoding="utf-8")
    for file, content in re.findall(r"^`([\w.]+)`[^\n]*:\n\n```\w+\n(.*?)```", example, re.MULTILINE | re.DOTALL):
        if file.endswith(".parquet"):
            pl.read_ndjson(BytesIO(content.encode())).write_parquet(folder / file)
        else:
            (folder / file).write_text(content, encoding="utf-8")
    return folder / "source.yaml", int(count)


def test_the_readme_shows_a_whole_sidecar(tmp_path: Path) -> None:
    [sidecar] = [text for text in blocks(ROOT / "README.md", "yaml") if text.startswith("synthetic:")]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/votes.jsonl").write_text("{}\n", encoding="utf-8")
    (tmp_path / "mine/source.yaml").write_text(sidecar, encoding="utf-8")
    assert load_source(tmp_path / "mine/source.yaml").sidecar.adapter == "records"


def test_what_the_readme_removes_leaves_no_memory_of_the_samples_ledger(tmp_path: Path) -> None:
    for name in ("dvc.lock", "params.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    project = Project(tmp_path)
    with pytest.raises(PairtrailError, match="it is gone"):
        refuse_rewritten(project)
    [removed] = re.findall(r"git rm -r --quiet (.+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    for name in removed.split():
        (tmp_path / name).unlink(missing_ok=True)
    refuse_rewritten(project)


def as_value(cell: str) -> Any:  # noqa: ANN401
    return None if cell == "-" else float(cell) if re.fullmatch(r"[\d.]+", cell) else cell


def test_folding_is_worked_out_as_the_code_folds() -> None:
    rows = [[as_value(cell) for cell in row] for row in table_rows(section(DOCS / "folding.md", "A worked example"))]
    given = ["comparison_id", "pair_id", "annotator", "annotator_kind", "preference", "strength"]
    told = [row for row in rows if len(row) != len(given)]
    verdicts = pl.DataFrame([row for row in rows if len(row) == len(given)], schema=given, orient="row", strict=False)
    rest = {name: pl.lit(None, pl.String) for name in THIN if name not in given}
    same = {name: pl.lit(name) for name in ("policy_version", "rubric_version", "response_a_id", "response_b_id")}
    stated = {"side": pl.lit("train"), "license": pl.lit("MIT"), "purposes": pl.concat_list(pl.lit("ai-alignment"))}
    turned = oriented(verdicts.with_columns(**{**rest, **same, **stated}))
    folded = turned.filter(deciding(turned, humans_decide=True))
    every, decided = (fold(folded, majority=majority, licenses=["MIT"]) for majority in ("all", "decided"))
    b_chosen = pl.col("chosen") == "b"
    found = every.select(
        *("pair_id", "n_a", "n_b", "n_tie", "n_bad", "chosen"),
        p=pl.when(b_chosen).then(1 - pl.col("p_a")).otherwise("p_a").round(6),
        strength=pl.when(b_chosen).then(-pl.col("strength")).otherwise("strength").round(6),
        agreement=pl.col("agreement").round(6),
        decided=decided["chosen"],
    )
    assert told == [list(row) for row in found.rows()]


def account_lines(account: dict[str, Any], stages: dict[str, Any]) -> Iterator[str]:
    """The rows that the worked example of the accounts must hold."""
    for source, outcomes in account["records_by_source"].items():
        told = [outcomes.get(name, 0) for name in OUTCOMES]
        yield " | ".join([source, *(f"{count:,}" for count in (sum(outcomes.values()), *told))])
    compared = account["comparisons"]
    unkept = {"copies": compared["copies"], **account["quarantined_by"]}
    yield fate_line("ingest", compared["candidates"], compared["kept"], unkept)
    for stage, found in stages.items():
        yield fate_line(stage, found["in"], found["kept"], found["dropped_by"])


def fate_line(stage: str, whole: int, kept: int, reasons: dict[str, int]) -> str:
    told = ", ".join(f"{name} {count:,}" for name, count in sorted(reasons.items(), key=lambda item: -item[1]))
    return f"{stage} | {whole:,} | {kept:,} | {sum(reasons.values()):,} | {told}".rstrip()


@pytest.mark.slow
@pytest.mark.real
def test_the_documented_build_gives_the_documented_accounts(real: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "tests/real_sources", clone / "tests/real_sources")
    shutil.copy(ROOT / "params.yaml", clone)
    for kind in ("policy", "rubric"):
        shutil.copytree(ROOT / "pipeline/demo/static" / kind, clone / "data" / kind)
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/data").symlink_to(real)
    program = tmp_path / "bin/pairtrail"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom pipeline.cli import main\nmain()\n", encoding="utf-8")
    program.chmod(0o755)
    found = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    [block] = blocks(REAL_README, "sh")
    subprocess.run(["bash", "-eu", "-c", block], cwd=clone, env=found, check=True)
    built = Built(tmp_path / "pairtrail-real")
    accounts = {stage: built.account(stage) for stage in STAGES if stage not in {"near", "decontaminate"}}
    text = section(DOCS / "accounts.md", "A worked example")
    assert [line for line in account_lines(accounts.pop("ingest"), accounts) if f"| {line} |" not in text] == []
