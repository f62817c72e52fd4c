"""`check --leaks`: every export of what is held out is found, row by row, and no export of train is."""

import gzip
import json
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest
import zstandard

from pipeline.cli import main
from pipeline.core.canary import canary
from pipeline.core.epochs import stated_epoch
from pipeline.core.errors import PairtrailError
from pipeline.core.sides import division
from pipeline.exporters import exporter_for, exporter_names
from pipeline.lineage.export import Request, export
from pipeline.lineage.leaks import lines as leak_lines
from pipeline.lineage.leaks import reading
from pipeline.lineage.leaks.leaks import Looked, leaks
from pipeline.lineage.leaks.rendered import TEMPLATES
from pipeline.lineage.leaks.shapes import KNOWN, TELLING, shaped
from pipeline.lineage.leaks.telling import as_dict, told
from tests.building import ROOT, Built, build, lines, record

MARK = "zqheldouttext"
STOCK = "I am sorry, but I cannot help with that. " * 8


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311


WORDS = ["".join(seeded(n).choices("abcdefghijklmnopqrstuvwxyz", k=7)) for n in range(900)]
CLOSED = {"openai"}
"""Formats of a closed schema, whose rows have no room for a canary."""
TASKS = [(name, task) for name in exporter_names() for task in exporter_for(name).TASKS]


def wordy(drawn: random.Random, words: int) -> str:
    return " ".join(drawn.choices(WORDS, k=words))


def conversations() -> Iterator[dict[str, Any]]:
    """Prompts that are nobody's neighbours: one turn, several, with a system message; long and short responses."""
    for place in range(150):
        drawn = seeded(place)
        turns = [{"role": "user", "content": f"{MARK} {wordy(drawn, 40)}?"}]
        if place % 3 == 1:
            turns += [
                {"role": "assistant", "content": wordy(drawn, 5)},
                {"role": "user", "content": f"And\t{wordy(drawn, 20)} Ünï?"},
            ]
        if place % 5 == 2:
            turns = [{"role": "system", "content": "Be brief."}, *turns]
        said = {"a": f"{MARK} {wordy(drawn, 60)}", "b": f"{MARK} {wordy(drawn, 4)}"}
        if place % 4 == 3:
            said["b"] = STOCK
        yield record(prompt=turns, **said, preference="tie" if place % 10 == 9 else "ab"[place % 2])


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A project with a heldout side of some 30 prompts."""
    project = build(tmp_path_factory.mktemp("leaks") / "project")
    stated = project.params.read_text(encoding="utf-8")
    if "near:" not in stated:
        project.params.write_text(f"{stated}near: {{threshold: 0.7}}\n", encoding="utf-8")
    fields = {"prompt": {"messages": "prompt"}, "response_a": "a", "response_b": "b"}
    fields |= {"preference": "preference", "annotator": "annotator", "annotator_kind": {"constant": "human"}}
    return project.source("s", {"x.jsonl": lines(*conversations())}, fields=fields).run()


@pytest.fixture(scope="module")
def pairs(held: Built) -> list[dict[str, Any]]:
    """The published heldout pairs."""
    return held.table("publish/heldout/pairs").to_dicts()


def found(project: Built, *paths: Path) -> Looked:
    every = leaks(project, list(paths))
    assert not every.faults, every.faults
    return every.files[-1]


def written(folder: Path, *rows: Any, name: str = "train.jsonl") -> Path:  # noqa: ANN401
    path = folder / name
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows), encoding="utf-8")
    return path


def exports(project: Built, format_: str, task: str, split: str, out: Path) -> Path:
    reason = "the tests" if split == "heldout" else None
    receipt = export(project, Request(format=format_, split=split, out=out, task=task, heldout=reason))
    return out / str(receipt["file"])


def unmarked(path: Path, folder: Path) -> Path:
    """Write a file anew without its canary, so that its texts must be recognised."""
    folder.mkdir(parents=True, exist_ok=True)
    bare = folder / path.name
    if path.suffix == ".parquet":
        pl.read_parquet(path).drop("canary").write_parquet(bare)
        return bare
    content = path.read_text(encoding="utf-8")
    listed = content.startswith("[")
    rows = json.loads(content) if listed else [json.loads(line) for line in content.splitlines()]
    assert all(row.pop("canary") for row in rows)
    bare.write_text(json.dumps(rows) if listed else lines(*rows), encoding="utf-8")
    return bare


@pytest.mark.parametrize(("format_", "task"), TASKS)
def test_an_export_of_heldout_leaks_with_every_row(format_: str, task: str, held: Built, tmp_path: Path) -> None:
    path = exports(held, format_, task, "heldout", tmp_path / "out")
    if format_ not in CLOSED:
        marked = found(held, path)
        assert marked.kinds == {"canary": marked.rows}
        path = unmarked(path, tmp_path / "bare")
    looked = found(held, path)
    table = exporter_for(format_).TASKS[task].table
    assert looked.rows > 10
    assert looked.kinds == {"pair" if table == "pairs" else "prompt": looked.rows}
    assert looked.found["row"].to_list() == list(range(1, looked.rows + 1))
    assert len(looked.unread) == 0


@pytest.mark.parametrize(("format_", "task"), TASKS)
def test_an_export_of_train_or_validation_is_clean(format_: str, task: str, held: Built, tmp_path: Path) -> None:
    for split in ("train", "validation"):
        looked = found(held, exports(held, format_, task, split, tmp_path / split))
        assert looked.rows > 10
        assert (looked.kinds, len(looked.unread)) == ({}, 0)


@pytest.mark.parametrize(("table", "kind"), [("pairs", "pair"), ("ties", "pair"), ("votes", "id")])
def test_our_own_files_leak_where_they_are_heldout_s(table: str, kind: str, held: Built, tmp_path: Path) -> None:
    publish = held.stage("publish")
    path = publish / f"heldout/{table}.parquet"
    if table != "votes":
        assert found(held, path).kinds == {"canary": pl.read_parquet(path).height}
        path = unmarked(path, tmp_path)
    looked = found(held, path)
    assert looked.kinds == {kind: looked.rows}
    clean = found(held, publish / f"train/{table}.parquet")
    assert (clean.kinds, len(clean.unread)) == ({}, 0)
    assert clean.by_id == (clean.rows if table == "votes" else 0)


def asked(pair: dict[str, Any]) -> str:
    return "\n".join(turn["content"] for turn in pair["prompt"] if turn["role"] == "user")


def alone(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """A held-out pair of one turn."""
    return next(one for one in pairs if len(one["prompt"]) == 1)


def several(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """A held-out pair of several turns."""
    return next(one for one in pairs if sum(turn["role"] == "user" for turn in one["prompt"]) > 1)


def sharegpt(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    return [{"from": names[turn["role"]], "value": turn["content"]} for turn in turns]


def parts(turns: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in turns]


MADE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "prompt as text": lambda pair: {"prompt": pair["prompt"][-1]["content"], "chosen": pair["chosen"]},
    "messages": lambda pair: {"messages": [*pair["prompt"], {"role": "assistant", "content": "fine"}]},
    "conversations": lambda pair: {"conversations": sharegpt(pair["prompt"])},
    "input.messages": lambda pair: {"input": {"messages": pair["prompt"], "tools": []}},
    "prompt inside chosen": lambda pair: {"chosen": [*pair["prompt"], {"role": "assistant", "content": "fine"}]},
    "question": lambda pair: {"question": pair["prompt"][-1]["content"], "answer": "fine"},
    "instruction": lambda pair: {"instruction": pair["prompt"][-1]["content"], "output": "fine"},
    "instruction and input": lambda pair: dict(
        zip(("instruction", "input"), pair["prompt"][-1]["content"].split(" ", 1), strict=True)
    ),
    "parts": lambda pair: {"messages": parts(pair["prompt"])},
    "parts beside texts": lambda pair: {"messages": [{"role": "system", "content": "x"}, *parts(pair["prompt"])]},
    "messages as JSON": lambda pair: {"messages": json.dumps(pair["prompt"])},
    "another system message": lambda pair: {"prompt": [{"role": "system", "content": "other"}, *pair["prompt"]]},
    "another case and space": lambda pair: {"prompt": f"  {pair['prompt'][-1]['content'].upper()}\n"},
    "transcript": lambda pair: {"chosen": f"\n\nHuman: {pair['prompt'][-1]['content']}\n\nAssistant: fine"},
}


@pytest.mark.parametrize(
    ("shape", "kind"),
    # No column of Parquet holds both.
    [
        (shape, kind)
        for shape in MADE
        for kind in ("jsonl", "parquet")
        if (shape, kind) != ("parts beside texts", "parquet")
    ],
)
def test_a_file_made_by_hand_leaks(
    shape: str, kind: str, held: Built, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = written(tmp_path, MADE[shape](alone(pairs)))
    if kind == "parquet":
        rows = pl.read_ndjson(path)
        path = tmp_path / "train.parquet"
        rows.write_parquet(path)
    looked = found(held, path)
    assert looked.kinds == {"prompt": 1}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_prompt_that_a_known_template_rendered_is_taken_apart(
    template: str, held: Built, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    turns = {
        "ChatML": "<|im_start|>{role}\n{content}<|im_end|>\n",
        "Llama 3": "<|start_header_id|>{role}<|end_header_id|>\n\n{content}<|eot_id|>",
        "Gemma": "<start_of_turn>{role}\n{content}<end_of_turn>\n",
        "Zephyr and Phi": "<|{role}|>\n{content}</s>\n",
        "Llama 2 and Mistral": "[INST] {content} [/INST]",
        "transcript": "\n\nHuman: {content}",
        "Alpaca": "### Instruction:\n{content}\n\n### Response:\nfine\n\n",
        "Vicuna": "USER: {content} ASSISTANT: fine</s>",
        "speakers on lines": "User: {content}\nAssistant: fine\n",
        "questions and answers": "Q: {content}\nA: fine\n",
    }
    said = several(pairs)["prompt"]
    if "{role}" not in turns[template]:
        said = [turn for turn in said if turn["role"] == "user"]
    text = "".join(turns[template].format(**turn) for turn in said)
    looked = found(held, written(tmp_path, {"prompt": text}, {"text": text}))
    assert looked.kinds == {"prompt": 2}
    assert looked.whole == 0


RENDERED: dict[str, Callable[[str], dict[str, Any]]] = {
    "Alpaca with its preamble": lambda text: {
        "prompt": f"Below is an instruction.\n\n### Instruction:\n{text}\n\n### Response:\n"
    },
    "Alpaca, instruction and input": lambda text: {
        "text": "### Instruction:\n{}\n\n### Input:\n{}\n\n### Response:\nx".format(*text.split(" ", 1))
    },
    "Alpaca, the input alone": lambda text: {
        "text": f"### Instruction:\nDo it.\n\n### Input:\n{text}\n\n### Response:\nx"
    },
    "Alpaca, the instruction alone": lambda text: {
        "prompt": f"### Instruction:\n{text}\n\n### Input:\nabout this\n\n### Response:\n"
    },
    "the column input alone": lambda text: {"instruction": "Do it.", "input": text, "output": "x"},
    "the column instruction alone": lambda text: {"instruction": text, "input": "about this", "output": "x"},
    "Vicuna with its preamble": lambda text: {
        "prompt": f"A chat between a user and an assistant. USER: {text} ASSISTANT:"
    },
    "one line feed": lambda text: {"prompt": f"Human: {text}\nAssistant:"},
    "a system line": lambda text: {"text": f"System: be brief\nUser: {text}\nAssistant: x"},
    "in chosen": lambda text: {"chosen": f"Q: {text}\nA: x", "rejected": f"Q: {text}\nA: y"},
    "two line feeds, then one": lambda text: {"text": f"Human: {text}\nAssistant: x\n\nHuman: more\nAssistant: y"},
}


@pytest.mark.parametrize("way", RENDERED)
def test_a_prompt_in_a_template_of_words_is_found(
    way: str, held: Built, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    looked = found(held, written(tmp_path, RENDERED[way](alone(pairs)["prompt"][-1]["content"]), {"prompt": "clean"}))
    assert looked.found.select("row", "kind").rows() == [(1, "root" if "then" in way else "prompt")]
    assert len(looked.unread) == 0


def test_chosen_and_rejected_exchanged_is_told_as_such(
    held: Built, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    rows = [{"prompt": one["prompt"], "chosen": one["rejected"], "rejected": one["chosen"]} for one in pairs]
    looked = found(held, written(tmp_path, *rows))
    assert looked.kinds == {"swapped": len(pairs)}
    assert sorted(looked.found["id"]) == sorted(one["pair_id"] for one in pairs)


def test_a_later_turn_of_a_held_out_conversation_is_told_by_its_root(
    held: Built, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    turns = [*alone(pairs)["prompt"], {"role": "assistant", "content": "x"}, {"role": "user", "content": "go on"}]
    looked = found(held, written(tmp_path, {"messages": turns}))
    assert looked.kinds == {"root": 1}
    assert looked.found["id"].to_list() == [alone(pairs)["root_id"]]


def test_one_changed_word_is_near_and_many_are_not(held: Built, pairs: list[dict[str, Any]], tmp_path: Path) -> None:
    words = asked(alone(pairs)).split(" ")
    one = [*words[:20], "changed", *words[21:]]
    half = [word if place % 2 else "other" for place, word in enumerate(words)]
    looked = found(held, written(tmp_path, {"prompt": " ".join(one)}, {"prompt": " ".join(half)}))
    assert looked.kinds == {"near": 1}
    assert looked.found["row"].to_list() == [1]
    # 41 words: 39 runs of three, of which one changed word changes three: 36 of 42.
    assert looked.found["similarity"].to_list() == [round(36 / 42, 6)]


def test_the_opening_of_a_conversation_may_be_near(held: Built, pairs: list[dict[str, Any]], tmp_path: Path) -> None:
    opening = f"well {several(pairs)['prompt'][-3]['content']}"
    more = [{"role": "assistant", "content": "x"}, {"role": "user", "content": wordy(seeded(-1), 80)}]
    looked = found(held, written(tmp_path, {"messages": [{"role": "user", "content": opening}, *more]}))
    assert looked.kinds == {"near": 1}
    assert looked.found.select("of", "id").rows() == [("root_id", several(pairs)["root_id"])]


def test_a_long_response_is_a_leak_and_a_short_or_a_shared_one_is_not(
    held: Built, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    one = next(one for one in pairs if STOCK not in (one["chosen"], one["rejected"]))
    long, short = sorted((one["chosen"], one["rejected"]), key=len, reverse=True)
    said = (long, short, f" {long}\n", long[:-1], STOCK)
    rows = [{"prompt": "another prompt", "completion": text} for text in said]
    looked = found(held, written(tmp_path, *rows))
    assert looked.kinds == {"response": 2}
    assert looked.found["row"].to_list() == [1, 3]


def test_both_responses_of_a_held_out_pair_leak_under_any_prompt(
    held: Built, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    one = pairs[0]
    said = [(one["chosen"], one["rejected"]), (one["rejected"], one["chosen"]), (one["chosen"][9:], "y")]
    rows = [{"prompt": "another", "chosen": first, "rejected": second} for first, second in said]
    table = held.comparisons().join(held.table("split/decisions").filter(side="train"), on="comparison_id")
    known = table.row(0, named=True)
    rows.append({"prompt": "another", "chosen": known["response_a"], "rejected": known["response_b"]})
    looked = found(held, written(tmp_path, *rows, {"Prompt": "unread", **rows[0], "prompt": None}))
    assert looked.found.select("row", "kind", "id").rows() == [(row, "responses", one["pair_id"]) for row in (1, 2, 5)]


def test_two_responses_that_another_side_holds_too_are_no_leak(new_project: Any, tmp_path: Path) -> None:  # noqa: ANN401
    project = new_project("stock")
    stated = project.params.read_text(encoding="utf-8")
    if "near:" not in stated:
        project.params.write_text(f"{stated}near: {{threshold: 0.7}}\n", encoding="utf-8")
    records = [record(prompt=f"{n} {wordy(seeded(n), 30)}", response_a="yes", response_b="no") for n in range(60)]
    project.source("s", {"x.jsonl": lines(*records)}).run()
    looked = found(project, written(tmp_path, {"prompt": "another", "chosen": "yes", "rejected": "no"}))
    assert looked.kinds == {}


def test_a_canary_is_found_wherever_it_stands(held: Built, tmp_path: Path) -> None:
    epoch = stated_epoch(division(held), "-")
    mark = canary(epoch.salt_sha256, epoch.epoch)
    rows = [{"prompt": "clean"}, {"prompt": f"see {mark}"}, {"prompt": "x", "meta": {"deep": [mark]}}]
    looked = found(held, written(tmp_path, *rows))
    assert looked.kinds == {"canary": 2}
    columns: dict[str, list[Any]] = {
        "text": ["a", mark],
        "nested": [[{"x": "a"}], [{"x": mark}]],
        "category": ["a", mark],
    }
    for name, column in columns.items():
        path = tmp_path / f"{name}.parquet"
        rest = pl.Series("c", column)
        made = pl.DataFrame({"prompt": ["one", "two"], "c": rest.cast(pl.Categorical) if name == "category" else rest})
        made.write_parquet(path)
        assert found(held, path).found.select("row", "kind").rows() == [(2, "canary")]


def test_the_canary_of_a_past_epoch_is_found_too(held: Built, tmp_path: Path) -> None:
    path = held.epochs
    before = path.read_text(encoding="utf-8")
    old = {**json.loads(before.splitlines()[0]), "epoch": 0, "salt_sha256": "ab" * 32}
    path.write_text(before + json.dumps(old) + "\n", encoding="utf-8")
    try:
        looked = found(held, written(tmp_path, {"prompt": "x", "c": canary("ab" * 32, 0)}))
    finally:
        path.write_text(before, encoding="utf-8")
    assert looked.kinds == {"canary": 1}


def test_few_planted_among_many_are_found_whatever_the_order(
    held: Built, pairs: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH_BYTES", 200_000)
    drawn = seeded(1)
    rows = [{"prompt": wordy(drawn, 30), "chosen": "x", "rejected": "y", "n": n} for n in range(10_000)]
    planted = {17: "prompt", 5_000: "near", 9_999: "pair"}
    one = alone(pairs)
    rows[17]["prompt"] = asked(one)
    rows[5_000]["prompt"] = f"{asked(one)} indeed"
    rows[9_999] |= {"prompt": asked(one), "chosen": one["chosen"], "rejected": one["rejected"]}
    looked = found(held, written(tmp_path, *rows))
    assert dict(looked.found.select("row", "kind").rows()) == {row + 1: kind for row, kind in planted.items()}
    drawn.shuffle(rows)
    again = found(held, written(tmp_path, *rows))
    by_n = {rows[row - 1]["n"]: rest for row, *rest in again.found.select("row", "kind", "id", "similarity").rows()}
    assert by_n == {row - 1: rest for row, *rest in looked.found.select("row", "kind", "id", "similarity").rows()}


def test_withheld_rows_count_and_those_seen_in_training_do_not(held: Built, new_project: Any, tmp_path: Path) -> None:  # noqa: ANN401
    project = new_project("copy")
    shutil.copytree(held.root, project.root, dirs_exist_ok=True)
    decisions = project.decisions("split")
    table = pl.read_parquet(decisions)
    rows = project.comparisons().join(table.filter(side="heldout"), on="comparison_id").sort("comparison_id")
    for table_ in ("pairs", "ties"):
        path = project.stage("publish") / f"heldout/{table_}.parquet"
        pl.read_parquet(path).clear().write_parquet(path)
    path = written(tmp_path, *({"prompt": prompt} for prompt in rows["prompt"].head(2).to_list()))
    for reason, kinds in (("purpose_not_covered", {"prompt": 2}), ("seen_in_training", {"prompt": 1})):
        first = pl.col("comparison_id") == rows["comparison_id"][0]
        table.with_columns(drop_reason=pl.when(first).then(pl.lit(reason))).write_parquet(decisions)
        every = leaks(project, [path])
        assert every.files[0].kinds == kinds
        assert every.held.spent == (reason == "seen_in_training")


@pytest.mark.parametrize("way", ["released", "near"])
def test_what_was_seen_does_not_count_whatever_reason_split_gave_first(
    way: str,
    held: Built,
    new_project: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    project = new_project("copy")
    shutil.copytree(held.root, project.root, dirs_exist_ok=True)
    decisions = project.decisions("split")
    table = pl.read_parquet(decisions)
    table.with_columns(drop_reason=pl.lit("purpose_not_covered")).write_parquet(decisions)
    rows = (
        project.comparisons().join(table.filter(side="heldout"), on="comparison_id").unique("root_id").sort("root_id")
    )
    for table_ in ("pairs", "ties"):
        path = project.stage("publish") / f"heldout/{table_}.parquet"
        pl.read_parquet(path).clear().write_parquet(path)
    path = written(tmp_path, *({"prompt": prompt} for prompt in rows["prompt"].head(2).to_list()))
    assert found(project, path).found["row"].to_list() == [1, 2]
    key, root = rows.select("match_key", "root_id").row(0)
    away = (key, root)
    if way == "near":
        away = ("0" * 32, "1" * 32)
        project.near(("prompt", key, away[0], root, away[1]))
    project.gave_away("r1", (*away, "train"))
    every = leaks(project, [path])
    assert every.files[0].found["row"].to_list() == [2]
    assert (
        every.held.spent
        == table.join(project.comparisons().filter(match_key=key), on="comparison_id", how="semi").height
    )


HIDDEN: dict[str, Callable[[str], dict[str, Any]]] = {
    "capitals": lambda text: {"Prompt": text},
    "nested": lambda text: {"data": {"prompt": text}},
    "elsewhere": lambda text: {"prompt": None, "user": text},
    "an id that names no pair": lambda text: {"id": "0" * 32, "Prompt": text},
}


@pytest.mark.parametrize("shape", HIDDEN)
def test_a_row_that_was_not_compared_is_never_clean(
    shape: str, held: Built, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    row = HIDDEN[shape](asked(alone(pairs)))
    path = written(tmp_path, {"prompt": "a sound one"}, row)
    every = leaks(held, [path])
    assert (every.code(), every.clean, every.files[0].unread.to_list()) == (1, False, [2])
    assert every.files[0].not_read == sorted(row.keys() - {"prompt", "id"})
    assert "no leak among 1 of 2 rows; nobody knows about the others, so it is not clean" in told(every)
    allowed = leaks(held, [path], allow_unread=True)
    assert (allowed.code(), allowed.clean) == (0, True)
    assert "--allow-unread" not in told(allowed)


@pytest.mark.parametrize("many", [200, 2_000])
def test_messages_under_another_key_later_on_are_read(
    many: int, held: Built, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    clean = [{"prompt": {"messages": [{"role": "user", "content": f"clean {n}"}]}} for n in range(many)]
    late = {"prompt": {"conversations": sharegpt(alone(pairs)["prompt"])}}
    assert found(held, written(tmp_path, *clean, late)).found.select("row", "kind").rows() == [(many + 1, "prompt")]


@pytest.mark.parametrize(
    "record_",
    ['{"prompt": "clean", "prompt": "zq"}', '{"prompt": [{"role": "user", "content": "a", "content": "zq"}]}'],
)
def test_a_key_that_is_there_twice_is_refused(record_: str, held: Built, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"prompt": "clean"}\n' * 2_000 + f"{record_}\n", encoding="utf-8")
    with pytest.raises(PairtrailError, match="record 2,001: a key is there twice"):
        leaks(held, [path])


def test_columns_of_texts_that_were_not_read_are_told(held: Built, tmp_path: Path) -> None:
    rows = [{"prompt": "clean", "n": 1}, {"prompt": "clean", "n": 2, "user_prompt": "x", "turns": ["y"]}]
    path = written(tmp_path, *rows)
    as_table = tmp_path / "x.parquet"
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(as_table)
    every = leaks(held, [path, as_table])
    assert [looked.not_read for looked in every.files] == [["turns", "user_prompt"]] * 2
    assert told(every).count("not read: turns, user_prompt") == 2
    assert as_dict(every)["files"][0]["not_read"] == ["turns", "user_prompt"]
    assert every.code() == 0


ODD = [{}, {"a": 1}, [1, 2], [{"role": 3}], [{"content": "x"}], [{"role": "user", "content": None}], "\x00[]"]


@pytest.mark.parametrize("text", ["", "  \n", None, [], [[]], [None], *ODD])
def test_a_row_without_a_prompt_is_told_and_never_passes_for_clean(text: Any, held: Built, tmp_path: Path) -> None:  # noqa: ANN401
    path = written(
        tmp_path, {"prompt": text}, {"prompt": "a sound one"}, {"prompt": [{"role": "user", "content": "x"}]}
    )
    looked = found(held, path)
    assert (looked.unread.to_list(), looked.kinds) == ([1], {})
    assert "1 rows were not compared, as no prompt can be read: 1" in told(leaks(held, [path]))


@pytest.mark.parametrize("value", [5, True, 1e300])
def test_a_value_of_another_type_is_compared_as_its_text(value: Any, held: Built, tmp_path: Path) -> None:  # noqa: ANN401
    path = written(tmp_path, {"prompt": value}, {"prompt": "a sound one"})
    looked = found(held, path)
    assert (len(looked.unread), looked.kinds, looked.whole) == (0, {}, 2)
    both = written(tmp_path, {"prompt": "x", "messages": [{"role": "user", "content": "y"}]}, {"prompt": "x"})
    assert found(held, both).whole == 1


HARD = {
    "emoji": "🦄🎉 🤷‍♀️ 👩‍👩‍👧 🏳️‍🌈 🧩🧩",
    "Arabic": "ما هي أفضل طريقة لتعلم البرمجة في المنزل بدون معلم؟",
    "Hebrew": "מהי הדרך הטובה ביותר ללמוד תכנות בבית ללא מורה?",
    "Chinese": "请问在家里没有老师的情况下学习编程的最好方法是什么呢",
    "Japanese": "先生なしで家でプログラミングを学ぶ一番良い方法は何ですか",
    "Thai": "วิธีที่ดีที่สุดในการเรียนรู้การเขียนโปรแกรมที่บ้านโดยไม่มีครูคืออะไร",
    "long": "word " * 200_000,
    "one word": "x" * 1_000_000,
}


@pytest.mark.parametrize("name", HARD)
def test_texts_of_any_kind_are_compared(name: str, tmp_path: Path) -> None:
    project = build(tmp_path / "project")
    project.set_params(ingest={"record_bytes": 10_000_000})
    if "near:" not in (stated := project.params.read_text(encoding="utf-8")):
        project.params.write_text(f"{stated}near: {{threshold: 0.7}}\n", encoding="utf-8")
    others = [record(prompt=f"{n} {wordy(seeded(n), 9)}") for n in range(40)]
    salted = division(project)
    shown = next(text for n in range(200) if on_heldout(text := f"{HARD[name]} {n}", salted))
    project.source("s", {"x.jsonl": lines(record(prompt=shown), *others)}).run()
    looked = found(
        project, written(tmp_path, {"prompt": shown}, {"prompt": f"{shown} !"}, {"prompt": "something else"})
    )
    assert looked.found.select("row", "kind").rows() == [(1, "prompt"), (2, "near")]


def on_heldout(text: str, by: Any) -> bool:  # noqa: ANN401
    from pipeline.core.mapping.identify import prompt_ids
    from pipeline.core.mapping.messages import user_messages
    from pipeline.core.sides import side

    roots = prompt_ids(user_messages(pl.Series([text])))
    return bool(roots.select(side(pl.col("root_id"), by)).item() == "heldout")


BROKEN = {
    "broken line": (b'{"prompt": "x"}\n\n{"prompt": "zq\n', "record 3: broken JSON"),
    "not an object": (b'{"prompt": "x"}\n["zq"]\n', "record 2: not an object"),
    "not UTF-8": (b'{"prompt": "\xff zq"}\n', "record 1: not UTF-8"),
    "deep": (b'{"prompt": ' + b"[" * 200_000 + b"]" * 200_000 + b"}\n", "record 1: nested too deeply"),
    "broken array": (b'[{"prompt": "x"}, {"prompt": "zq]', "record 2: broken_json"),
    "empty": (b"", "there is no row in it"),
    "blank": (b"\n \n", "there is no row in it"),
    "cut Parquet": (b"PAR1zq", "cannot be read as Parquet"),
    "cut gzip": (gzip.compress(b'{"prompt": "zq"}\n' * 999)[:-8], "end too early"),
    "cut gzip line": (gzip.compress(b'{"prompt": "zq"}\n' * 999)[:-20], "broken JSON"),
    "no shape": (
        b'{"zq_speech": "x", "n": 1}\n',
        "no column that tells a prompt or a response (columns: n, zq_speech;",
    ),
    "no prompt": (b'{"prompt": null}\n{"prompt": ""}\n', "no prompt can be read from any row"),
    "answers alone": (b'{"response": "zq"}\n', "no prompt can be read from any row"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_file_that_says_nothing_is_an_error(fault: str, held: Built, tmp_path: Path) -> None:
    content, expected = BROKEN[fault]
    path = tmp_path / "train.data"
    path.write_bytes(content)
    with pytest.raises(PairtrailError) as raised:
        leaks(held, [path])
    assert expected in str(raised.value)
    assert "zq" not in str(raised.value).replace("zq_speech", "")


def test_the_known_columns_are_listed_where_none_is_there(held: Built, tmp_path: Path) -> None:
    with pytest.raises(PairtrailError) as raised:
        leaks(held, [written(tmp_path, {"speech": "x"})])
    assert all(name in str(raised.value) for name in TELLING)


def test_a_record_that_is_too_long_is_named(held: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leak_lines, "MOST_BYTES", 2**20)
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"prompt": "x"}\n' + b'{"prompt": "' + b"y" * 5_000_000)
    with pytest.raises(PairtrailError, match="record 2 is longer than 1 MiB"):
        leaks(held, [path])


def test_a_cut_parquet_is_an_error(held: Built, tmp_path: Path) -> None:
    whole = (held.stage("publish") / "heldout/pairs.parquet").read_bytes()
    for end in (len(whole) - 4, len(whole) // 2, 5):
        path = tmp_path / "x.parquet"
        path.write_bytes(whole[:end])
        with pytest.raises(PairtrailError, match="cannot be read"):
            leaks(held, [path])


def test_arrays_and_compressed_files_are_read(held: Built, pairs: list[dict[str, Any]], tmp_path: Path) -> None:
    rows = [{"prompt": "clean", "n": float("nan")}, {"prompt": one["prompt"]} if (one := pairs[0]) else {}]
    as_lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    contents = {
        "a.json": json.dumps(rows, indent=2).encode(),
        "b.jsonl.gz": gzip.compress(as_lines),
        "c.jsonl.zst": zstandard.compress(as_lines),
        "d.jsonl": b"\xef\xbb\xbf" + as_lines.replace(b"\n", b"\r\n"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        looked = found(held, tmp_path / name)
        assert (looked.rows, looked.found.select("row", "kind").rows()) == (2, [(2, "prompt")]), name


def test_types_that_change_from_row_to_row_hide_nothing(
    held: Built, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    one = alone(pairs)
    text, turns = asked(one), one["prompt"]
    forms: list[Any] = [
        text,
        turns,
        turns[0],
        parts(turns),
        sharegpt(turns),
        [text],
        {"messages": turns},
        json.dumps(turns),
    ]
    clean = {"prompt": [{"role": "user", "content": "clean"}]}
    rows = [*({**clean, "n": n} for n in range(2_000)), *({"prompt": form} for form in forms), {"question": text}]
    looked = found(held, written(tmp_path, *rows))
    assert looked.found["row"].to_list() == list(range(2_001, 2_001 + len(forms) + 1))


def test_keys_and_columns_that_come_late_hide_nothing(held: Built, pairs: list[dict[str, Any]], tmp_path: Path) -> None:
    turns = alone(pairs)["prompt"]
    clean = [{"messages": [{"role": "user", "content": f"clean {n}"}], "note": None} for n in range(2_000)]
    late = [{"messages": sharegpt(turns)}, {"conversation": turns}, {"question": asked(alone(pairs))}]
    tabbed = {"messages": [{"role": "user", "content": 'a \\ \t " b'}, *parts(turns)]}
    looked = found(held, written(tmp_path, *clean, *late, tabbed))
    assert looked.found.select("row", "kind").rows() == [
        *((row, "prompt") for row in (2_001, 2_002, 2_003)),
        (2_004, "near"),
    ]
    assert found(held, written(tmp_path, *clean, {"messages": parts(turns)})).found["row"].to_list() == [2_001]


def test_a_text_is_read_to_the_character_whatever_stands_beside_it(tmp_path: Path) -> None:
    text = 'a \\ back \t "quoted" [x] {y} \u2028'
    rows: list[dict[str, Any]] = [{"messages": [{"role": "user", "content": "clean"}]}] * 1_500
    rows += [{"messages": parts([{"role": "user", "content": text}])}, {"prompt": [text]}, {"prompt": text}]
    read = [
        shaped(batch.columns).readings
        for batch in reading.read_rows(written(tmp_path, *rows), KNOWN, [], reading.Met())
    ]
    contents = pl.concat(read)["prompt"].list.first().struct.field("content")
    assert contents.filter(contents != "clean").to_list() == [text] * 3


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], held: Built) -> Callable[..., Said]:
    def said(*args: object) -> Said:
        monkeypatch.chdir(held.root)
        monkeypatch.setattr(sys, "argv", ["pairtrail", "check", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(int(ended.value.code or 0), *capfd.readouterr())

    return said


def test_the_command_ends_with_1_for_a_leak_and_0_for_none(
    run: Callable[..., Said], held: Built, pairs: list[dict[str, Any]], tmp_path: Path
) -> None:
    leaking = unmarked(held.stage("publish") / "heldout/pairs.parquet", tmp_path)
    said = run("--leaks", leaking)
    assert (said.code, said.err) == (1, "")
    assert f"{len(pairs)} of {len(pairs)} rows leak" in said.out
    assert "... and" in said.out
    clean = run("--leaks", held.stage("publish") / "train/pairs.parquet")
    assert (clean.code, clean.err) == (0, "")
    assert "no leak" in clean.out
    both = run("--leaks", held.stage("publish") / "train/pairs.parquet", leaking, "--json")
    content = json.loads(both.out)
    assert (both.code, content["clean"]) == (1, False)
    assert [one["leaked"] for one in content["files"]] == [0, len(pairs)]
    assert sorted(one["id"] for one in content["files"][1]["found"]) == sorted(one["pair_id"] for one in pairs)


def test_a_fault_of_one_file_hides_no_leak_of_another(run: Callable[..., Said], held: Built, tmp_path: Path) -> None:
    said = run("--leaks", tmp_path / "away.jsonl", held.stage("publish") / "heldout/pairs.parquet")
    assert said.code == 1
    assert "rows leak" in said.out
    assert "away.jsonl: no such file" in said.err
    said = run("--leaks", tmp_path)
    assert (said.code, said.out) == (1, "")
    assert "name files, not folders" in said.err
    assert "--leaks looks through the files that you name" in run("--leaks").err


def test_no_text_is_told(held: Built, pairs: list[dict[str, Any]], tmp_path: Path) -> None:
    words = asked(alone(pairs)).split(" ")
    near = " ".join([*words[:20], "changed", *words[21:]])
    rows = [{"prompt": one["prompt"], "chosen": one["rejected"], "rejected": one["chosen"]} for one in pairs]
    path = written(tmp_path, *rows, {"prompt": near}, {"prompt": None}, {"messages": [{"role": "x", "content": MARK}]})
    every = leaks(held, [path, held.stage("publish") / "heldout/pairs.parquet"])
    assert MARK not in told(every) + json.dumps(as_dict(every), default=str)
    assert every.files[0].kinds["near"] == 1


@pytest.mark.parametrize(
    "away", ["split/decisions.parquet", "ingest/comparisons", "near/near.parquet", "publish/heldout/pairs.parquet"]
)
def test_what_was_not_pulled_is_named(away: str, held: Built, tmp_path: Path) -> None:
    path, aside = held.root / "data" / away, tmp_path / "aside"
    path.rename(aside)
    try:
        with pytest.raises(PairtrailError, match=f"data/{away} does not exist.*`dvc pull data/{away}`.*`pairtrail "):
            leaks(held, [tmp_path / "x"])
    finally:
        aside.rename(path)


def test_the_docs_name_each_kind_and_template() -> None:
    from pipeline.lineage.leaks.comparing import KINDS

    page = (ROOT / "docs/leaks.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"| `{kind}` |" not in page] == []
    assert [name for name in (*TEMPLATES, *TELLING) if name not in page] == []
