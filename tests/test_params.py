"""Params: YAML to frozen dataclasses, where every fault is named and nothing is guessed."""

from dataclasses import FrozenInstanceError, dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.core.errors import PairtrailError
from pipeline.core.params import STRICT, build, parse_yaml, read_yaml, section
from pipeline.core.sides import Division, division
from pipeline.lineage.checking import check
from pipeline.lineage.leaks.leaks import leaks
from pipeline.stages import STAGES, stage_module
from tests.building import PARAMS, ROOT, Built, lines, record


@dataclass(frozen=True, slots=True)
class Inner:
    __pydantic_config__ = STRICT
    depth: int


@dataclass(frozen=True, slots=True)
class Outer:
    __pydantic_config__ = STRICT
    name: str
    share: float
    inner: Inner
    many: list[Inner] = field(default_factory=list)


SOUND: dict[str, Any] = {"name": "n", "share": 0.5, "inner": {"depth": 1}}


def refusal(content: Any) -> str:  # noqa: ANN401
    with pytest.raises(PairtrailError) as caught:
        build(Outer, content, "here")
    return str(caught.value)


def test_what_is_sound_is_built_and_cannot_be_changed() -> None:
    built: Any = build(Outer, {**SOUND, "share": 1, "many": [{"depth": 2}]}, "here")
    assert built == Outer("n", 1.0, Inner(1), [Inner(2)])
    with pytest.raises(FrozenInstanceError):
        built.name = "m"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({**SOUND, "nome": 1}, "unknown key `nome`; did you mean `name`? (known: name, share, inner, many)"),
        ({**SOUND, "zzz": 1}, "unknown key `zzz` (known: name, share, inner, many)"),
        ({"name": "n", "share": 0.5}, "missing key `inner`: it must be stated, never guessed"),
        ({**SOUND, "inner": {"dept": 1, "depth": 1}}, "unknown key `inner.dept`; did you mean `depth`? (known: depth)"),
        ({**SOUND, "inner": {}}, "missing key `inner.depth`"),
        (
            {**SOUND, "many": [{"depth": 1}, {"dept": 2}]},
            "unknown key `many.1.dept`; did you mean `depth`? (known: depth)",
        ),
        ({**SOUND, "name": 1}, "`name`: Input should be a valid string"),
        ({**SOUND, "share": "0.5"}, "`share`: Input should be a valid number"),
        ({**SOUND, "share": True}, "`share`: Input should be a valid number"),
        ({**SOUND, "inner": {"depth": 1.5}}, "`inner.depth`: Input should be a valid integer"),
        ({**SOUND, "inner": None}, "`inner`"),
        (None, "here"),
        ([1], "here"),
    ],
)
def test_a_fault_is_named_with_its_place_and_what_is_known(content: Any, told: str) -> None:  # noqa: ANN401
    assert told in refusal(content)


def test_every_fault_is_told_at_once_below_its_place() -> None:
    first, *rest = refusal({"nome": "n", "inner": {"depth": "x"}}).splitlines()
    assert first == "here:"
    assert len(rest) == 4
    assert all(line.startswith("  ") for line in rest)


def test_a_value_is_never_repeated() -> None:
    assert "SECRET" not in refusal({**SOUND, "share": "SECRET", "inner": {"depth": "SECRET"}})


def test_yaml_is_1_2_so_that_words_stay_words() -> None:
    assert parse_yaml("a: no\nb: on\nc: 012\nd: true") == {"a": "no", "b": "on", "c": 12, "d": True}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"a: 1\nb: 2\na: 3\n", r'line 3: found duplicate key "a"'),
        (b"a: 1\nb: [2\n", "line 3: expected ',' or ']'"),
        (b"a: 1\n\tb: 2\n", "line 2: found character"),
        (b"a: 'open\n", "line 2: found unexpected end of stream"),
        (b"a: \xff\n", "not UTF-8"),
        (b"a: 1\nb: \x07\n", "a character that YAML does not allow"),
    ],
    ids=["twice", "open list", "tab", "open text", "bytes", "bell"],
)
def test_broken_yaml_is_told_by_file_and_line(text: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(text)
    with pytest.raises(PairtrailError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert told in str(caught.value)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefgh")
)


@pytest.mark.parametrize(
    "text", ["a: 2026-99-99", "a: " + "[" * 3000, "a: &a [*a]", BOMB], ids=["no such day", "deep", "endless", "bomb"]
)
def test_hostile_yaml_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "source.yaml"
    path.write_text(text)
    with pytest.raises(PairtrailError, match=r"source\.yaml: "):
        read_yaml(path)


def test_limits_that_leave_nothing_are_refused(project: Built) -> None:
    project.set_params(ingest={"record_bytes": 0}, publish={"largest_root_share": float("nan")})
    with pytest.raises(PairtrailError) as caught:
        check(project, [project.params])
    assert "record_bytes must be at least" in str(caught.value)
    assert "largest_root_share nan" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PairtrailError, match=r"params\.yaml: no such file"):
        read_yaml(tmp_path / "params.yaml")


@pytest.mark.parametrize("text", ["", "a", "[1]", "other: {}", "split: 3"])
def test_a_missing_section_says_what_it_holds(text: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(PairtrailError, match="no section `split`; it holds salt, epoch, heldout, validation"):
        section(stage_module("split").Params, "split", path)


@pytest.mark.parametrize("text", ["", "a", "[1]", "other: {}", "split: 3", "split: [1]", "near: [1]", "near: {}"])
def test_who_reads_a_section_of_another_stage_refuses_it_as_the_stage_would(text: str, project: Built) -> None:
    project.params.write_text(text, encoding="utf-8")
    with pytest.raises(PairtrailError, match="no section `split`; it holds salt, epoch, heldout, validation"):
        division(project)
    told = r"near:\n  missing key `threshold`" if text == "near: {}" else "no section `near`; it holds threshold, bands"
    with pytest.raises(PairtrailError, match=told):
        leaks(project, [project.params])


def test_a_part_of_a_section_leaves_other_keys_to_their_reader(project: Built) -> None:
    project.set_params(split={"train_purpose": ["wrong"], "unknown": 1})
    assert division(project) == Division("salt", 1, 0.2, 0.2)
    project.set_params(split={"heldout": "much"})
    with pytest.raises(PairtrailError, match=r"params\.yaml: split:\n  `heldout`: "):
        division(project)
    stated = project.params.read_text(encoding="utf-8").replace("epoch: 1", "epcoh: 1")
    project.params.write_text(stated.replace("much", "0.2"), encoding="utf-8")
    with pytest.raises(PairtrailError, match="missing key `epoch`"):
        division(project)


def test_a_threshold_of_one_is_no_fault_and_more_is(project: Built) -> None:
    project.set_params(near={"threshold": 1})
    with pytest.raises(PairtrailError, match=r"decisions\.parquet does not exist"):
        leaks(project, [project.params])
    project.set_params(near={"threshold": 1.5})
    with pytest.raises(PairtrailError, match="a threshold above 0 and at most 1"):
        leaks(project, [project.params])


@pytest.mark.parametrize("stage", STAGES)
def test_each_section_of_the_project_is_its_stage_s_dataclass(stage: str) -> None:
    params = section(stage_module(stage).Params, stage, ROOT / "params.yaml")
    stated = read_yaml(ROOT / "params.yaml")[stage]
    assert {one.name for one in fields(params)} == set(stated)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if PARAMS[stage]])
def test_a_stage_does_not_run_on_a_misspelt_or_missing_parameter(stage: str, project: Built) -> None:
    known = next(iter(PARAMS[stage]))
    project.set_params(**{stage: {f"{known}x": 1}})
    with pytest.raises(
        PairtrailError, match=rf"params\.yaml: {stage}:\n  unknown key `{known}x`; did you mean `{known}`"
    ):
        project.run(stage)
    with project.params.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(
            {**PARAMS, stage: {key: PARAMS[stage][key] for key in PARAMS[stage] if key != known}}, stream
        )
    with pytest.raises(PairtrailError, match=f"missing key `{known}`"):
        project.run(stage)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.0, 0.1), (0.1, 1.0), (-0.1, 0.2), (float("nan"), 0.1)])
def test_a_split_that_leaves_nothing_to_train_on_is_refused(shares: tuple[float, float], project: Built) -> None:
    project.set_params(split={"heldout": shares[0], "validation": shares[1]})
    with pytest.raises(PairtrailError, match="train needs a share too"):
        check(project, [project.params])


def test_check_finds_what_the_last_stage_would_stumble_over(project: Built) -> None:
    """Hours later, that is: publish comes last."""
    project.set_params(publish={"gate": {"most_quarantined": 0.5, "most_droped": 0.5, "fewest_train_pairs": 0}})
    with pytest.raises(PairtrailError, match="most_droped"):
        check(project, [project.params])
    project.set_params(publish={"licenses_strictest_last": ["MIT", "CC0-1.0", "MIT"]})
    with pytest.raises(PairtrailError, match="MIT"):
        check(project, [project.params])


def test_check_tells_the_faults_of_all_sections(project: Built) -> None:
    project.set_params(ingest={"record_bites": 1}, split={"epok": 1})
    with pytest.raises(PairtrailError) as caught:
        check(project, [project.params])
    assert "record_bites" in str(caught.value)
    assert "epok" in str(caught.value)


def test_check_names_a_section_that_no_stage_has(project: Built) -> None:
    project.set_params()
    with project.params.open("a", encoding="utf-8") as stream:
        stream.write("splitt: {heldout: 0.1}\n")
    with pytest.raises(PairtrailError, match="splitt"):
        check(project, [project.params])


def test_a_bare_day_is_refused_as_dvc_cannot_read_it(project: Built) -> None:
    text = project.params.read_text(encoding="utf-8")
    project.params.write_text(text.replace("as_of: '2026-01-01'", "as_of: 2026-01-01"), encoding="utf-8")
    assert "as_of: 2026-01-01" in project.params.read_text(encoding="utf-8")
    with pytest.raises(PairtrailError, match="validate: as_of: write the day in quotes"):
        project.source("s", {"x.jsonl": lines(record())}).run("ingest", "validate")


@pytest.mark.parametrize("day", ["2026-02-30", "soon", "2026-1-1", "20260101", ""])
def test_as_of_is_a_day_of_the_calendar(day: str, project: Built) -> None:
    project.set_params(validate={"as_of": day}).source("s", {"x.jsonl": lines(record())})
    with pytest.raises(PairtrailError, match="as_of"):
        project.run("ingest", "validate")


@pytest.mark.parametrize("name", ["CC-BY-4.0 AND MIT", "ours", "", "LicenseRef-"])
def test_an_allowed_licence_is_one_spdx_id(name: str, project: Built) -> None:
    project.set_params(validate={"licenses": [name]}).source("s", {"x.jsonl": lines(record())})
    with pytest.raises(PairtrailError, match="is not one SPDX id"):
        project.run("ingest", "validate")


def test_a_purpose_that_a_side_needs_is_a_known_one(project: Built) -> None:
    project.set_params(split={"train_purpose": "training"}).source("s", {"x.jsonl": lines(record())})
    with pytest.raises(PairtrailError, match="train_purpose is not a known purpose"):
        project.run("ingest", "validate", "dedupe", "split")


@pytest.mark.parametrize("name", ["de", "Germany", "", "DE-", "any"])
def test_an_allowed_jurisdiction_is_a_code(name: str, project: Built) -> None:
    project.set_params(validate={"jurisdictions": [name]}).source("s", {"x.jsonl": lines(record())})
    with pytest.raises(PairtrailError, match="jurisdictions: "):
        project.run("ingest", "validate")
