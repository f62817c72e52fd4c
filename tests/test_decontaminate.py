"""Decontaminate: a prompt that is a benchmark's text, holds it, or is near it is found."""

import json
import re
import unicodedata
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core import receiving
from pipeline.core.decontaminating import coverage, prompts
from pipeline.core.decontaminating.coverage import CoverageIndex
from pipeline.core.digests import digest_text
from pipeline.core.errors import PairtrailError
from pipeline.stages import decontaminate
from schemas.contamination import RULES
from tests.building import ROOT, SIDECAR, Built, lines, record
from tests.real_building import SOURCES, real_project
from tests.test_benchmarks import put

BENCHMARKS = ROOT / "tests" / "real_benchmarks"
MESSAGES = {**SIDECAR["fields"], "prompt": {"messages": "chat"}}


def chat(*turns: str, system: str | None = None) -> dict[str, Any]:
    """A record whose prompt has these user turns, with answers between them."""
    said = [] if system is None else [{"role": "system", "content": system}]
    for turn in turns:
        said += [{"role": "user", "content": turn}, {"role": "assistant", "content": "Well."}]
    return record(chat=said[:-1])


def found(project: Built, *chats: dict[str, Any], **sections: Any) -> pl.DataFrame:  # noqa: ANN401
    project.source("s", {"x.jsonl": lines(*chats)}, fields=MESSAGES)
    if sections:
        project.set_params(decontaminate=sections)
    return project.run("ingest", "decontaminate").table("decontaminate/contamination")


def told(rows: pl.DataFrame) -> set[tuple[Any, ...]]:
    return set(rows.select("item", "turn", "rule", "coverage", "similarity", "position").iter_rows())


# --- by hand

SKY = "Tell me why the sky is blue today"  # eight words
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"  # fifteen


def test_the_whole_prompt_is_a_benchmark_text(project: Built) -> None:
    put(project, "b", {"x.jsonl": lines({"q": SKY})})
    rows = found(project, chat("  TELL me why\tthe sky is blue today "), chat("How do magnets work?"))
    assert told(rows) == {
        ("x.jsonl:1", 1, "match", None, None, 0),
        ("x.jsonl:1", 1, "ngram", 1.0, None, 0),
        ("x.jsonl:1", 1, "near", None, 1.0, None),
    }
    key = digest_text("match", "nfkc-fold-1", "33:tell me why the sky is blue today,")
    assert rows["match_key"].unique().to_list() == [key]
    assert set(rows["contamination_id"]) == {
        digest_text("contamination", "b", "x.jsonl:1", "1", rule, key) for rule in RULES
    }


def test_the_root_of_a_conversation_is_a_benchmark_text(project: Built) -> None:
    put(project, "b", {"x.jsonl": lines({"q": SKY})})
    rows = found(project, chat(SKY, "And at night? It looks rather black to me, with many small white dots."))
    assert told(rows) == {
        ("x.jsonl:1", 1, "match", None, None, 0),
        ("x.jsonl:1", 1, "ngram", 1.0, None, 0),
        ("x.jsonl:1", 1, "near", None, 1.0, None),
    }


def test_a_later_turn_holds_a_text_and_says_where(project: Built) -> None:
    put(project, "b", {"x.jsonl": lines({"q": SKY})})
    rows = found(project, chat("Hello to you all!", f"Please: {SKY}, or tomorrow, as briefly as you can, in rhymes."))
    # Hello to you all | Please: the text begins with the sixth word.
    assert told(rows) == {("x.jsonl:1", 1, "ngram", 1.0, None, 5)}


def test_all_turns_together_are_a_text_too(project: Built) -> None:
    put(project, "b", {"x.jsonl": lines({"q": [SKY, "Now say it in rhymes, please do"]})})
    rows = found(project, chat(SKY, "Now say it in rhymes, please do"))
    assert {(turn, rule) for _, turn, rule, *_ in told(rows)} == {
        (1, "match"), (1, "ngram"), (1, "near"), (2, "ngram"), (None, "match"), (None, "ngram"), (None, "near"),
    }  # fmt: skip
    assert told(rows.filter(turn=2)) == {("x.jsonl:1", 2, "ngram", 1.0, None, 8)}
    assert (
        rows.filter(pl.col("turn").is_null())["contamination_id"]
        .is_in([digest_text("contamination", "b", "x.jsonl:1", None, rule, rows["match_key"][0]) for rule in RULES])
        .all()
    )


def test_coverage_counts_words_in_runs_of_thirteen(project: Built) -> None:
    put(project, "b", {"x.jsonl": lines({"q": LONG})})
    # Words 1 to 13 of 15 stand there; with the middle one gone, no run of 13 does.
    rows = found(project, chat(f"a b {LONG.removesuffix(' fourteen fifteen')} z z z z z z z z"))
    assert told(rows) == {("x.jsonl:1", 1, "ngram", round(13 / 15, 6), None, 2)}
    assert found(project, chat(f"{LONG.replace('eight', 'acht')} z z z z z z z z z")).is_empty()


def test_near_is_the_jaccard_similarity_of_runs_of_two_words(project: Built) -> None:
    put(project, "b", {"x.jsonl": lines({"q": SKY})})
    # Seven runs of two words each, six of them shared: 6 / 8.
    rows = found(project, chat("Tell me why the sky is blue now"))
    assert told(rows) == {("x.jsonl:1", 1, "near", None, 0.75, None)}
    assert found(project, chat("Tell me why the sky is blue now"), near=0.76).is_empty()


def test_a_short_text_is_left_to_the_other_rules_and_counted(project: Built) -> None:
    put(project, "b", {"x.jsonl": lines({"q": "Why is the sky blue?"}, {"q": SKY})})
    longer = chat("Why is the sky blue? I have been told that it has to do with air.")
    assert found(project, longer).is_empty()
    assert project.account("decontaminate")["benchmarks"]["b"]["short_texts"] == 1
    assert told(found(project, longer, fewest_words=5)) == {("x.jsonl:1", 1, "ngram", 1.0, None, 0)}
    assert {row[2] for row in told(found(project, chat("why is the sky blue?"), fewest_words=6))} == {"match", "near"}


def test_neither_a_system_message_nor_an_answer_counts(project: Built) -> None:
    put(project, "b", {"x.jsonl": lines({"q": SKY})})
    answered = record(chat=[*chat("Hi there")["chat"], {"role": "assistant", "content": SKY}, *chat("Thanks")["chat"]])
    assert found(project, chat("How do magnets work?", system=SKY), answered).is_empty()


def test_two_benchmarks_and_an_account_that_adds_up(project: Built) -> None:
    put(project, "b", {"x.jsonl": lines({"q": SKY, "id": "sky"}, {"q": LONG, "id": 2})}, item="id")
    put(project, "c", {"x.jsonl": lines({"q": SKY})}, license="CC0-1.0", synthetic=True)
    rows = found(project, chat(SKY), chat(SKY, system="Be brief."), chat(LONG), chat("How do magnets work?"))
    assert rows.select("contamination_id").equals(rows.select(pl.col("contamination_id").sort()))
    account = project.account("decontaminate")
    assert {name: account[name] for name in ("in", "matched", "clear")} == {"in": 3, "matched": 2, "clear": 1}
    assert {name: one["prompts"] for name, one in account["benchmarks"].items()} == {
        "b": {"any": 2, "match": 2, "ngram": 2, "near": 2},
        "c": {"any": 1, "match": 1, "ngram": 1, "near": 1},
    }
    assert account["benchmarks"]["b"]["license"] == "MIT"
    assert account["benchmarks"]["c"]["synthetic"]


@pytest.mark.parametrize("folder", [False, True])
def test_a_project_without_benchmarks_still_builds(folder: bool, project: Built) -> None:  # noqa: FBT001
    if folder:
        project.benchmarks.mkdir(parents=True)
    project.source("s", {"x.jsonl": lines(record(), record(prompt="How?"))}).run("ingest")
    assert decontaminate.run(project) == (
        "decontaminate: no benchmark in data/benchmarks, so none of 2 prompts was compared"
    )
    assert project.table("decontaminate/contamination").is_empty()
    assert project.account("decontaminate")["clear"] == 2


def test_what_the_manifest_says_it_was_checked_against(project: Built) -> None:
    put(project, "b", {"x.jsonl": lines({"q": SKY})})
    project.source("s", {"x.jsonl": lines(record(prompt=SKY), record(prompt="How?"))}).run()
    manifest = json.loads((project.stage("publish") / "manifest.json").read_text("utf-8"))
    assert manifest["benchmarks"] == project.account("decontaminate")["benchmarks"]
    assert manifest["benchmarks"]["b"]["prompts"]["match"] == 1
    assert "benchmarks" not in manifest["accounts"]["decontaminate"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [({"near": 0.0}, "near 0.0"), ({"near": 1.1}, "near 1.1"), ({"coverage": 0.0}, "coverage 0.0"),
     ({"coverage": float("nan")}, "coverage"), ({"fewest_words": 0}, "fewest_words is 0")],
)  # fmt: skip
def test_limits_that_everything_or_nothing_meets_are_refused(
    changes: dict[str, Any], fault: str, project: Built
) -> None:
    project.source("s", {"x.jsonl": lines(record())}).run("ingest")
    project.set_params(decontaminate=changes)
    with pytest.raises(PairtrailError, match=fault):
        project.run("decontaminate")


def test_a_benchmark_that_cannot_be_read_stops_the_build_and_leaves_the_last_one(project: Built) -> None:
    put(project, "b", {"x.jsonl": lines({"q": SKY})})
    assert not found(project, chat(SKY)).is_empty()
    put(project, "b", {"y.jsonl": "nonsense"})
    with pytest.raises(PairtrailError, match="1 records give no item"):
        project.run("decontaminate")
    assert not project.table("decontaminate/contamination").is_empty()


# --- laws

WORDS = st.sampled_from(["a", "b", "c"])
SAID = st.lists(WORDS, max_size=40).map(" ".join)


def covered_by_plain_python(text: str, prompt: str) -> tuple[float, int] | None:
    """Coverage and position, by sets of tuples; the words of these tests are ASCII."""
    words, said = re.findall(r"\w+", text), re.findall(r"\w+", prompt)
    n = min(13, len(words))
    if not n:
        return None
    there = {tuple(said[at : at + n]) for at in range(len(said) - n + 1)}
    starts = [at for at in range(len(words) - n + 1) if tuple(words[at : at + n]) in there]
    runs = {tuple(words[at : at + n]) for at in starts}
    places = [at for at in range(len(said) - n + 1) if tuple(said[at : at + n]) in runs]
    held = {at + step for at in starts for step in range(n)}
    return (len(held) / len(words), min(places)) if places else None


@given(
    st.lists(SAID, min_size=1, max_size=5), st.lists(SAID, max_size=5),
    st.sampled_from([0.01, 0.5, 0.8, 1.0]), st.sampled_from([1, 2, 6, 20]), st.sampled_from([1, 4_000_000]),
)  # fmt: skip
def test_coverage_is_what_plain_python_counts(
    texts: list[str], said: list[str], least: float, fewest: int, most: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coverage, "_MOST", most)
        rows = CoverageIndex(pl.Series(texts, dtype=pl.String), fewest).covered(pl.Series(said, dtype=pl.String), least)
    expected = {
        (left, right, *held)
        for left, prompt in enumerate(said)
        for right, text in enumerate(texts)
        if len(text.split()) >= fewest and (held := covered_by_plain_python(text, prompt)) and held[0] >= least
    }
    assert set(rows.iter_rows()) == expected
    assert rows.height == len(expected)


@given(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=30), SAID, SAID)
def test_a_planted_text_is_found_where_it_was_planted(text: list[str], before: str, after: str) -> None:
    planted = " ".join(["x", *text])
    rows = CoverageIndex(pl.Series([planted]), 1).covered(pl.Series([f"{before} {planted} {after}"]), 1.0)
    [(_, _, share, position)] = rows.iter_rows()
    assert share == 1.0
    assert position == len(before.split())


def many(count: int) -> list[dict[str, Any]]:
    return [chat(f"{'Please ' * (i % 3)}{SKY} {i % 7}", *(["And then?"] * (i % 2))) for i in range(count)]


def test_order_and_cuts_change_no_byte(project: Built, new_project: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    benchmark = lines({"q": [SKY, "Say it in other words for my child"]}, {"q": f"{SKY} 3"}, {"q": LONG})
    chats = [*many(60), chat(LONG), chat("Well, well")]

    def built(place: Built, files: dict[str, list[dict[str, Any]]]) -> tuple[bytes, bytes]:
        put(place, "b", {"x.jsonl": benchmark})
        place.source("s", {name: lines(*rows) for name, rows in files.items()}, fields=MESSAGES)
        place.run("ingest", "decontaminate")
        return (place.stage("decontaminate") / "contamination.parquet").read_bytes(), place.counts(
            "decontaminate"
        ).read_bytes()

    whole = built(project, {"x.jsonl": chats})
    assert project.table("decontaminate/contamination").height > 50
    assert built(new_project("cut"), {"x.jsonl": chats[20:], "a.jsonl": chats[::-1][:50]}) == whole
    monkeypatch.setattr(receiving, "parts_for", lambda _: 16)
    monkeypatch.setattr(receiving, "_BATCH", 7)
    for most in (1, 500, 2**30):
        monkeypatch.setattr(decontaminate, "prompts_at", partial(prompts.prompts_at, most=most))
        assert built(new_project(f"most-{most}"), {"x.jsonl": chats[::-1]}) == whole


# --- bad input

HUGE = " ".join(f"word{i}" for i in range(120_000))
STRANGE = {
    "arabic": "لماذا تبدو السماء زرقاء في النهار يا صديقي العزيز",
    "hebrew": "מדוע השמיים כחולים ביום ולא בלילה אמור לי בבקשה",
    "emoji": "😀🎉🔥🎈😀🎁🚀🌍🌈",
    "chinese": "请告诉我天空为什么是蓝色的",
    "japanese": "空はどうして青いのか教えてください",
    "thai": "ทำไมท้องฟ้าถึงเป็นสีฟ้าในตอนกลางวัน",
    "combined": "e\u0301tude no\u0308tig re\u0301sume\u0301 a\u030angstrom nai\u0308ve cafe\u0301 fac\u0327ade",
    "huge": HUGE,
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_text_of_any_script_and_size_is_found(name: str, project: Built) -> None:
    text = STRANGE[name]
    put(project, "b", {"x.jsonl": lines({"q": text})})
    project.set_params(ingest={"record_bytes": 2**24})
    spoken = unicodedata.normalize("NFD", text)
    rows = found(project, chat(spoken), chat("", " "), chat("😀"), chat("", "Well", ""), record(chat=[]))
    assert {row[2] for row in told(rows)} == set(RULES)
    assert rows["match_key"].n_unique() == 1
    assert project.account("decontaminate")["matched"] == 1


@pytest.mark.parametrize("name", [name for name in STRANGE if name != "emoji"])
def test_it_is_found_inside_a_longer_prompt(name: str, project: Built) -> None:
    """A text without any word stands in for itself alone: inside of others its signs are no words."""
    text = STRANGE[name]
    put(project, "b", {"x.jsonl": lines({"q": text})})
    project.set_params(ingest={"record_bytes": 2**24})
    rows = found(project, chat("Say", f"hello {text} " + "and so on " * 40)).filter(rule="ngram")
    assert [row[3:] for row in told(rows)] == [(1.0, None, 2)]


# --- real logs


def real_decontaminated(real: Path, root: Path, *names: str) -> Built:
    project = real_project(real, root, *names)
    for sidecar in sorted(BENCHMARKS.glob("*/benchmark.yaml")):
        folder = project.benchmarks / sidecar.parent.name
        folder.mkdir(parents=True)
        (folder / sidecar.name).write_text(sidecar.read_text("utf-8"), encoding="utf-8")
        for file in sorted((real / "benchmarks" / folder.name).iterdir()):
            (folder / file.name).symlink_to(file)
    return project.run("ingest", "decontaminate")


def folded(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip().lower()


def benchmark_turns(real: Path) -> dict[str, set[str]]:
    """Every turn of every benchmark, read by plain Python."""
    said: dict[str, set[str]] = defaultdict(set)
    for path in sorted((real / "benchmarks").rglob("*.json*")):
        text = path.read_text("utf-8")
        records = (
            json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.strip().split("\n")]
        )
        for one in records:
            turns = one.get("turns") or [one.get("prompt") or one["input"]]
            said[path.parent.name].update(folded(turn) for turn in turns)
    return said


@pytest.mark.real
def test_the_known_overlaps_of_auto_j_are_found_exactly(real: Path, tmp_path: Path) -> None:
    """The published counts are of distinct prompts, as are ours: of records there are more."""
    project = real_decontaminated(real, tmp_path, "autoj")
    of = project.account("decontaminate")["benchmarks"]
    assert {name: one["prompts"]["match"] for name, one in of.items()} == {
        "mt_bench": 47, "arena_hard": 2, "llmbar": 2, "vicuna_bench": 5,
    }  # fmt: skip
    text = (real / "autoj" / "autoj_pairwise.json").read_text("utf-8")
    asked = [folded(json.loads(line)["prompt"]) for line in text.strip().split("\n")]
    said = benchmark_turns(real)
    assert {name: len(set(asked) & turns) for name, turns in said.items()} == {
        name: one["prompts"]["match"] for name, one in of.items()
    }
    assert project.account("decontaminate")["in"] == len(set(asked))
    keys = {digest_text("match", "nfkc-fold-1", f"{len(one.encode())}:{one},") for one in set(asked) & said["mt_bench"]}
    rows = project.table("decontaminate/contamination").filter(benchmark="mt_bench", rule="match")
    assert set(rows["match_key"]) == keys


@pytest.mark.real
@pytest.mark.slow
def test_all_real_logs_against_all_real_benchmarks(real: Path, tmp_path: Path) -> None:
    """What stands beside the exact ones was judged by hand: each is a benchmark's text, edited or with another task."""
    names = [sidecar.parent.name for sidecar in sorted(SOURCES.glob("*/source.yaml"))]
    project = real_decontaminated(real, tmp_path, *names)
    of = project.account("decontaminate")["benchmarks"]
    assert {name: tuple(one["prompts"].values()) for name, one in of.items()} == {
        "arena_hard": (2, 2, 2, 2), "llmbar": (4, 2, 4, 4), "mt_bench": (47, 47, 47, 47), "vicuna_bench": (5, 5, 5, 5),
    }  # fmt: skip
    rows = project.table("decontaminate/contamination")
    others = rows.join(rows.filter(rule="match"), on=["match_key", "benchmark"], how="anti")
    assert set(others["item"]) == {"Natural.json:19", "Adversarial_Manual.json:40"}


def test_of_real_benchmarks_nothing_but_their_sidecars_is_here() -> None:
    assert {path.name for path in BENCHMARKS.rglob("*") if path.is_file()} == {"benchmark.yaml"}
