"""The dataset card: front matter that follows from facts, and a page that nothing in the data can break."""

import copy
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from pipeline.core.publishing.card import card
from pipeline.core.publishing.card.markdown import plain, section, table
from pipeline.core.publishing.croissant import croissant
from pipeline.core.publishing.labels import hub_license, language_code, size_category
from pipeline.core.publishing.limits import limits, misuses, uses
from tests.building import Built, build
from tests.published_again import everything, manifest_of, rows_of

PAGE = MarkdownIt("commonmark", {"html": True}).enable("table")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return everything(build(tmp_path_factory.mktemp("card") / "project"))


@pytest.fixture(scope="module")
def manifest(built: Built) -> dict[str, Any]:
    return manifest_of(built)


def parts(text: str) -> tuple[dict[str, Any], str]:
    """Split a card into its front matter, read as the Hub reads it (YAML 1.1), and its page."""
    _, front, page = text.split("---\n", 2)
    old = YAML(typ="safe", pure=True)
    old.version = (1, 1)
    told: dict[str, Any] = old.load(front)
    assert YAML(typ="safe").load(front) == told
    return told, page


def test_the_front_matter_follows_from_the_published_rows(built: Built, manifest: dict[str, Any]) -> None:
    text = (built.stage("publish") / "README.md").read_text(encoding="utf-8")
    assert text == card(manifest)
    told, _ = parts(text)
    rows = [row for name in ("pairs", "ties") for row in rows_of(built, name, "train", "validation")]
    stated = {row["language"] for row in rows} - {None}
    assert stated == {"en", "de-CH", "no", "Klingon"}
    assert {row["license"] for row in rows} == {"CC0-1.0", "CC-BY-4.0"}
    assert {name: value for name, value in told.items() if name != "configs"} == {
        "pretty_name": "Preference pairs",
        "license": "other",
        "license_name": "cc-by-4.0-and-cc0-1.0",
        "language": ["de", "en", "no"],
        "task_categories": ["text-generation"],
        "tags": ["preference", "rlhf", "dpo", "human-feedback", "synthetic"],
        "size_categories": ["n<1K"],
    }
    assert [one["config_name"] for one in told["configs"]] == ["pairs", "ties", "votes"]
    assert "heldout" not in str(told)


@pytest.mark.parametrize(
    ("expressions", "told"),
    [
        ([], {}),
        (["CC0-1.0"], {"license": "cc0-1.0"}),
        (["Apache-2.0"], {"license": "apache-2.0"}),
        (["GPL-3.0-or-later"], {"license": "gpl-3.0"}),
        (["ODbL-1.0"], {"license": "odbl"}),
        (["0BSD"], {"license": "other", "license_name": "0bsd"}),
        (["MIT", "CC-BY-4.0"], {"license": "other", "license_name": "cc-by-4.0-and-mit"}),
        (["MIT OR Apache-2.0"], {"license": "other", "license_name": "mit-or-apache-2.0"}),
        (["LicenseRef-Our-Own"], {"license": "other", "license_name": "licenseref-our-own"}),
    ],
)
def test_the_hub_s_name_of_a_licence(expressions: list[str], told: dict[str, str]) -> None:
    assert hub_license(expressions) == told


@pytest.mark.parametrize(
    ("stated", "code"),
    [
        *((one, one) for one in ("en", "ja", "no", "yue")),
        *(("de-CH", "de"), ("PT-br", "pt"), ("zh_Hans_CN", "zh"), (" fr ", "fr")),
        *((one, None) for one in ("English", "xx", "und", "mul", "", "e", "en us", "en\n---\nlicense: mit", "<b>")),
    ],
)
def test_the_code_of_a_language(stated: str, code: str | None) -> None:
    assert language_code(stated) == code


@pytest.mark.parametrize(
    ("rows", "category"),
    [
        *((0, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (9_999, "1K<n<10K"), (10_000, "10K<n<100K")),
        *(
            (999_999, "100K<n<1M"),
            (10**6, "1M<n<10M"),
            (10**9, "1B<n<10B"),
            (10**12 - 1, "100B<n<1T"),
            (10**12, "n>1T"),
        ),
    ],
)
def test_the_class_of_a_size(rows: int, category: str) -> None:
    assert size_category(rows) == category


def shape(text: str) -> list[str]:
    """Name the page's elements in order, with the number of cells in each table's rows; texts are left out."""
    tokens = PAGE.parse(text)
    assert not [token for token in tokens if token.type == "html_block"]
    inline = [child for token in tokens for child in token.children or []]
    assert {child.type for child in inline} <= {"text", "code_inline", "softbreak", "text_special"}
    return [token.type for token in tokens if token.type != "inline"]


AWKWARD = [
    "a | b\n\n## Known limits\n\n- none",
    "---\nlicense: mit\n---\n",
    "<script>alert(1)</script> <!-- ",
    "[x](javascript:x) ![y](z) **bold** _it_ `code",
    "'\"\\ {{ }} %YAML ",
    "x" * 10_000,
    "\u202e\x00\u2028\x85 \ufeff",
    "| | | |",
    "&lt;b&gt; &#60;",
    "   ",
]


def hostile(manifest: dict[str, Any], value: str) -> dict[str, Any]:
    """Put a value into every place of a manifest that a record, a sidecar, a policy or a folder's name fills."""
    changed = copy.deepcopy(manifest)
    stated = ("attribution", "collected_by", "written_by", "filtered_by", "approved_by", "consent_statement", "basis")
    for facts in changed["sources"].values():
        facts.update(dict.fromkeys(stated, value))
    for kind in ("policies", "rubrics"):
        for facts in changed[kind].values():
            facts.update(title=value, written_by=value, approved_by=value)
        changed[kind] = {value: next(iter(changed[kind].values()))}
    for named in (changed["sources"], changed["verdicts"], changed["coverage"]):
        named[value] = named.pop("s")
    basis = changed["consent"]["verdicts"]["by_basis"]
    basis[value] = basis.pop("Contract")
    changed["languages"]["stated"][value] = changed["languages"]["stated"].pop("en")
    values = changed["slices"]["language"]["values"]
    values[value] = values.pop("en")
    return changed


@given(st.one_of(st.sampled_from(AWKWARD), st.text(max_size=40), st.text(alphabet="|\n-#<>`*[]()!&~_ \\", max_size=20)))
@settings(max_examples=80)
def test_no_value_changes_the_shape_of_the_page(manifest: dict[str, Any], value: str) -> None:
    front, page = parts(card(hostile(manifest, value)))
    sound, usual = parts(card(hostile(manifest, "usual")))
    assert shape(page) == shape(usual)
    assert {name: front[name] for name in front if name != "language"} == {
        name: sound[name] for name in sound if name != "language"
    }


@given(st.text(max_size=80))
def test_a_value_is_one_cell_that_reads_as_it_was(value: str) -> None:
    rendered = PAGE.render("\n".join(table(["head"], [[plain(value, None)]])))
    [cell] = re.findall(r"<td>(.*?)</td>", rendered, re.DOTALL)
    import html

    line = " ".join(value.split())
    seen = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)
    assert html.unescape(cell) == (seen or "(empty)")


def test_credits_are_whole_and_long_statements_are_cut(manifest: dict[str, Any]) -> None:
    changed = hostile(manifest, "credit " * 200)
    text = card(changed)
    assert text.count(("credit " * 200).strip()) >= len(changed["sources"])
    assert f"{('credit ' * 200)[:300]}..." in text


def test_the_statement_names_what_was_not_checked(manifest: dict[str, Any]) -> None:
    told = " ".join(limits(manifest))
    pairs = [manifest["folded"][side]["pairs"] for side in ("train", "validation")]
    single, whole = sum(one["by_votes"]["1"] for one in pairs), sum(one["rows"] for one in pairs)
    assert f"{single:,} of the {whole:,} pairs of train and validation rest on one vote." in told
    assert f"The strength of {sum(one['strength_unknown'] for one in pairs):,} of these pairs is unknown" in told
    assert "not searched for names" in told
    assert "no benchmark" in told
    assert "as third party or publisher." in told
    assert (
        f"{manifest['consent']['verdicts']['named']['whole_source']:,} verdicts rest on the record of a whole" in told
    )
    assert f"{manifest['annotators']['human']['unnamed']:,} verdicts name no annotator." in told
    assert f"Of {manifest['languages']['unstated']:,} rows" in told
    assert told.startswith("Everything is made up")
    real = {**manifest, "synthetic": False, "benchmarks": {"b": {}}}
    assert "made up" not in " ".join(limits(real))
    assert "compared with 1 benchmarks" in " ".join(limits(real))
    text = card(manifest)
    assert all(f"- {one}" in text for one in [*limits(manifest), *uses(manifest), *misuses(manifest)])


def test_what_a_licence_bars_is_said_of_the_sources_that_are_used(manifest: dict[str, Any]) -> None:
    def told(**classes: str) -> str:
        changed = copy.deepcopy(manifest)
        for name, use in classes.items():
            changed["sources"][name]["license_use"] = use
        return " ".join(misuses(changed))

    assert "Commercial use" in told(s="NC")
    assert "research and teaching" in told(s="Acad")
    assert "what some of them allow is not known" in told(s="Unspecified")
    assert told(unused="NC") == told()


def test_a_section_without_rows_is_a_head_and_its_table() -> None:
    assert section("Empty", "", table(["a", "b"], [])) == ["## Empty\n", "| a | b |", "| --- | --- |", ""]


def turned(content: Any) -> Any:  # noqa: ANN401
    """Turn the order of all keys around."""
    if isinstance(content, dict):
        return {key: turned(content[key]) for key in reversed(content)}
    return [turned(one) for one in content] if isinstance(content, list) else content


def test_the_order_of_the_manifest_s_keys_changes_nothing(manifest: dict[str, Any]) -> None:
    """publish writes the card from the manifest in memory; a release reads it from the file, sorted."""
    assert card(turned(manifest)) == card(manifest)
    assert croissant(turned(manifest)) == croissant(manifest)


def test_an_empty_dataset_has_a_card(project: Built) -> None:
    from tests.building import SIDECAR, lines, record

    consent = {**SIDECAR["consent"], "purposes": ["ai-other"]}
    project.source("s", {"x.jsonl": lines(record())}, consent=consent).run()
    told, page = parts((project.stage("publish") / "README.md").read_text(encoding="utf-8"))
    assert told.keys() == {"pretty_name", "task_categories", "tags", "size_categories"}
    assert "human-feedback" not in told["tags"]
    assert "## Known limits" in page
