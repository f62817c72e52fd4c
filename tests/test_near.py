"""Near neighbours: what plain Python finds over all pairs, and nothing else; at no cost for what is popular."""

import json
import random
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import PairtrailError
from pipeline.core.near import index as index_module
from pipeline.core.near import shingles as shingles_module
from pipeline.core.near.cutting import cut
from pipeline.core.near.index import NearIndex
from pipeline.core.near.minhash import Bands
from pipeline.core.near.neighbours import MOST, near_pairs
from pipeline.core.near.shingles import shingled
from pipeline.core.near.texts import matched_texts
from pipeline.core.near.words import grams, words_of
from pipeline.core.params import build as build_params
from pipeline.stages.near import Params
from schemas.columns import MESSAGES
from tests import brute
from tests.building import SIDECAR, Built, lines, record
from tests.near_sides import expected_reasons, met_reasons, prompts_of

ALL = 10**6
BEFORE = ("ingest", "validate", "dedupe")
WORDS = ["a", "b", "c", "the", "naïve", "東", "京", "ไ", "ท", "שלום", "مرحبا", "ñ", "x1", "_", "한국"]


@st.composite
def alike(draw: st.DrawFn) -> list[str]:
    """Texts of few words, each with some that differ from it in a word or two."""
    texts = []
    for _ in range(draw(st.integers(1, 6))):
        said = draw(st.lists(st.sampled_from(WORDS), max_size=34))
        texts.append(" ".join(said))
        for _ in range(draw(st.integers(0, 3))):
            changed = list(said)
            for place in draw(st.lists(st.integers(0, max(len(said) - 1, 0)), max_size=2)):
                changed[place : place + 1] = draw(st.lists(st.sampled_from(WORDS), max_size=2))
            texts.append(" ".join(changed))
    return texts


def joined(left: list[str], right: list[str], threshold: float, most: int = ALL) -> dict[tuple[int, int], float]:
    found = NearIndex(pl.Series(right, dtype=pl.String), threshold).near(pl.Series(left, dtype=pl.String), most)
    return {(i, j): similarity for i, j, similarity in found.iter_rows()}


@settings(max_examples=150, deadline=None)
@given(alike(), alike(), st.sampled_from([0.5, 0.6, 0.7, 0.8, 0.9, 1.0]))
def test_the_join_finds_what_all_pairs_hold(left: list[str], right: list[str], threshold: float) -> None:
    right = right + left[::2]
    assert joined(left, right, threshold) == brute.near(left, right, threshold)


def paired(texts: list[str], by: Bands, tmp_path: Any) -> dict[tuple[int, int], float]:  # noqa: ANN401
    half = len(texts) // 2
    batches = [pl.Series(part, dtype=pl.String) for part in (texts[:half], texts[half:]) if part]
    sets, keys = cut(batches, by, tmp_path / "shingles.bin")
    found = near_pairs(sets, keys, np.arange(len(sets)), by)
    return {(i, j): similarity for i, j, similarity in found.iter_rows()}


@pytest.mark.parametrize(("threshold", "bands", "rows"), [(0.5, 49, 2), (0.7, 64, 4), (0.8, 33, 4), (0.95, 64, 8)])
def test_minhash_finds_what_all_pairs_hold(tmp_path: Any, threshold: float, bands: int, rows: int) -> None:  # noqa: ANN401
    generator = random.Random(7)  # noqa: S311
    vocabulary = [f"w{i}" for i in range(60)]
    texts = []
    for _ in range(120):
        said = generator.choices(vocabulary, k=generator.choice([1, 3, 4, 8, 19, 20, 21, 25, 28, 40]))
        for _ in range(4):
            texts.append(" ".join(said))
            said = list(said)
            said[generator.randrange(len(said))] = generator.choice(vocabulary)
    expected = {pair: found for pair, found in brute.near(texts, texts, threshold).items() if pair[0] < pair[1]}
    assert len(expected) > 20
    assert paired(texts, Bands(threshold, bands, rows), tmp_path) == expected


def test_planted_neighbours_are_found_at_every_similarity(tmp_path: Any) -> None:  # noqa: ANN401
    """Two texts of 202 words that share all but the last k: by runs of three, s = (200 - k) / (200 + k)."""
    texts, expected = [], {}
    for number, similarity in enumerate([0.5, 0.6, 0.69, 0.7, 0.71, 0.8, 0.9, 0.95] * 5):
        other = round(200 * (1 - similarity) / (1 + similarity))
        start = [f"t{number}w{i}" for i in range(202 - other)]
        texts += [" ".join(start + [f"{name}{number}x{i}" for i in range(other)]) for name in "ab"]
        if (found := (200 - other) / (200 + other)) >= 0.7:
            expected[2 * number, 2 * number + 1] = round(found, 6)
    assert paired(texts, Bands(0.7, 64, 4), tmp_path) == expected
    assert joined(texts[::2], texts[1::2], 0.7) == {(i // 2, j // 2): found for (i, j), found in expected.items()}


def test_bands_that_miss_are_refused() -> None:
    for bands, rows, needed in ((16, 8, 233), (32, 4, 51), (50, 4, 51)):
        with pytest.raises(PairtrailError, match=rf"{bands} bands of {rows} rows miss .* {needed} bands are needed"):
            build_params(Params, {"threshold": 0.7, "bands": bands, "rows": rows}, "params.yaml: near")
    assert Bands(0.7, 64, 4).missed() == pytest.approx((1 - 0.7**4) ** 64)
    assert Bands(0.7, 51, 4).missed() < 1e-6
    for threshold, bands in ((0, 64), (1.1, 64), (0.7, 0)):
        with pytest.raises(PairtrailError, match="are needed"):
            Bands(threshold, bands, 4)


def test_no_more_than_most_are_listed_and_as_many_where_there_are_more() -> None:
    template = [f"w{i}" for i in range(40)]
    right = [" ".join([*template, f"end{i}"]) for i in range(200)]
    left = [" ".join([*template, "mine"]), right[3], "something else entirely"]
    every = brute.near(left, right, 0.7)
    for most in (1, 7, 32, ALL):
        found = joined(left, right, 0.7, most)
        assert found.items() <= every.items()
        for place in range(3):
            assert sum(i == place for i, _ in found) == min(most, sum(i == place for i, _ in every))
    assert joined(left, right, 0.7, 1)[1, 3] == 1.0  # the nearest of those that were compared


@pytest.mark.parametrize("own", [1, 6, 8])
def test_a_popular_template_costs_no_square(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, own: int) -> None:  # noqa: ANN401
    """With one own word the texts are near each other; with eight (s = .58) they are not, but for a little."""
    compared = []

    def counted(*args: Any) -> Any:  # noqa: ANN401
        compared.append(len(args[2]))
        return similarities(*args)

    similarities = shingles_module.similarities
    monkeypatch.setattr(index_module, "similarities", counted)
    monkeypatch.setattr("pipeline.core.near.neighbours.similarities", counted)
    count, template = 4_000, [f"w{i}" for i in range(24)]
    texts = [" ".join([*template, *(f"own{i}x{k}" for k in range(own))]) for i in range(count)]
    found = paired(texts, Bands(0.7, 64, 4), tmp_path)
    assert sum(compared) < 700 * count  # of 8,000 * count
    near = brute.near(texts[:1], texts[1:3], 0.7)
    assert bool(found) == bool(near)
    if near:
        beside = {place for pair in found for place in pair}
        assert len(beside) == count
        assert len(found) <= MOST * count


def test_a_neighbour_that_shares_many_rare_runs_counts_once() -> None:
    """Neighbours that are met again with each run that they share once took the places of those that come later."""
    start = [f"w{i}" for i in range(300)]
    alike = [" ".join([*start[:-1], f"end{i}"]) for i in range(12)]
    other = " ".join([*(f"v{i}" for i in range(44)), *start[44:-1], "v"])
    left = [" ".join(start)]
    every = brute.near(left, [*alike, other], 0.7)
    assert len(every) == 13
    for most in (13, 32):
        assert joined(left, [*alike, other], 0.7, most) == every


@pytest.mark.parametrize("words", [1, 2, 3, 4, 15, 19])
def test_a_short_prompt_that_repeats_itself_is_near_itself(words: int, tmp_path: Any) -> None:  # noqa: ANN401
    text = " ".join(f"w{i}" for i in range(words))
    texts = [text, " ".join([text] * 2), " ".join([text] * 30)]
    expected = {pair: found for pair, found in brute.near(texts, texts, 0.7).items() if pair[0] < pair[1]}
    assert paired(texts, Bands(0.7, 64, 4), tmp_path) == expected
    assert len(expected) >= (words != 2)


def test_characters_of_no_width_part_no_words_and_are_none() -> None:
    assert (
        words_of(pl.Series(["a\u200db", "\ufeffab\u00ad", "ab"])).hashes.tolist()
        == words_of(pl.Series(["ab", "ab", "ab"])).hashes.tolist()
    )
    assert joined(["👨\u200d👩\u200d👧"], ["👩\u200d🚀🎉", "❤\ufe0f", "👨👩👧"], 0.7) == {(0, 2): 1.0}


def test_a_prompt_given_a_million_times_is_one_text(project: Built) -> None:
    many = lines(*(record(annotator=f"ann{i}") for i in range(300)), record(prompt="why IS the  sky blue?"))
    project.source("s", {"x.jsonl": many}).run(*BEFORE, "near")
    assert project.account("near")["prompts"] == 1


def test_words_are_runs_of_letters_and_digits_or_single_characters_of_scripts_without_spaces() -> None:
    texts = ["don't stop_it 42!", "日本語とabc", "สวัสดี", "🙂 🙂🙃", "...", "", "   ", "مرحبا يا عالم", "नमस्ते दुनिया"]
    assert words_of(pl.Series(texts)).lengths.tolist() == [4, 5, 6, 3, 3, 0, 0, 3, 2]
    for text in texts:
        assert len(brute.words(text)) == words_of(pl.Series([text])).lengths[0]


def test_hashes_are_the_same_on_every_machine() -> None:
    """XXH3-64 of "a" and "b" as its authors' program prints them, and this project's own runs, pinned."""
    words = words_of(pl.Series(["a b", "a"]))
    assert [f"{one:016x}" for one in words.hashes.tolist()] == [
        "e6c632b61e964e1f",
        "575a0b1c44d8843f",
        "e6c632b61e964e1f",
    ]
    runs = grams(words, 2)
    assert runs.lengths.tolist() == [1, 0]
    assert f"{runs.hashes.tolist()[0]:016x}" == "49abf7774bcab32b"


def test_runs_are_hashed_in_their_places() -> None:
    words = words_of(pl.Series(["a b a b", "", "b a", "a"]))
    pairs = grams(words, 2)
    assert pairs.lengths.tolist() == [3, 0, 1, 0]
    ab, ba, again, other = pairs.hashes.tolist()
    assert ab == again
    assert ba == other != ab
    assert set(grams(words, 1).hashes.tolist()).isdisjoint(pairs.hashes.tolist())


def test_only_what_users_say_is_compared() -> None:
    prompts = [
        [{"role": "system", "content": "Be KIND"}, {"role": "user", "content": " Hi\tThere "}],
        [{"role": "user", "content": "One"}, {"role": "assistant", "content": "x"}, {"role": "user", "content": "TWO"}],
        [{"role": "system", "content": "Only"}, {"role": "assistant", "content": "Others"}],
        [{"role": "user", "content": ""}],
        [],
    ]
    found = matched_texts(pl.Series(prompts, dtype=MESSAGES))
    assert found.rows() == [("hi there", "hi there"), ("one\ntwo", "one"), ("only\nothers", "only"), ("", ""), ("", "")]


def test_a_text_is_cut_by_its_own_length_and_for_shorter_neighbours() -> None:
    text = {count: " ".join(f"w{i}" for i in range(count)) for count in (1, 3, 4, 5, 19, 20, 27, 28)}
    sets = shingled(pl.Series(list(text.values())), 0.7)
    sizes = {(int(place), int(size)) for place, size in zip(sets.texts, sets.sizes, strict=True)}
    expected = {(0, 1), (1, 3), (2, 3), (2, 4), (3, 4), (4, 18), (5, 18), (5, 19), (6, 25), (7, 26)}
    assert sizes == expected


@pytest.mark.parametrize(
    "text",
    [
        "word " * 200_000,
        "a" * 1_000_000,
        "🙂" * 250_000,
        "永" * 300_000,
        "",
        "\u202b" + "שלום עולם " * 30,
        "สวัสดีครับ" * 40,
        "ありがとうございます" * 30,
        "e\u0301" * 1000,
        "\u200d\ufe0f" * 10,
    ],
    ids=["words", "word", "emoji", "chinese", "empty", "hebrew", "thai", "japanese", "marks", "invisible"],
)
def test_any_text_is_near_itself_and_no_other(text: str, tmp_path: Any) -> None:  # noqa: ANN401
    others = ["something else", "別の文章です", "שלום"]
    found = joined([text], [*others, text], 0.7)
    assert found == ({(0, 3): 1.0} if text.strip("\u200d\ufe0f") else {})
    assert paired([*others, text], Bands(0.7, 64, 4), tmp_path) == {}


def prompts(*texts: str) -> str:
    return lines(*(record(prompt=text) for text in texts))


CHAT = {**SIDECAR["fields"], "prompt": {"messages": "prompt"}}
LONG = "Please tell me in a few plain words how a rainbow comes about after the rain has gone, and why it is round"


def test_the_stage_names_near_prompts_and_roots(project: Built) -> None:
    chat = json.dumps(
        {
            **record(),
            "prompt": [
                {"role": "user", "content": LONG + " today"},
                {"role": "assistant", "content": "Light."},
                {
                    "role": "user",
                    "content": "I see. And what of the second one, which is fainter and stands above the first?",
                },
            ],
        }
    )
    project.source("s", {"x.jsonl": prompts(LONG, LONG.upper() + " ever", "What now?")})
    project.source("chats", {"y.jsonl": chat + "\n"}, fields=CHAT).run(*BEFORE, "near")
    keys = project.comparisons().select("prompt", "match_key", "root_id").unique("match_key")
    first = {row["prompt"][0]["content"]: row for row in keys.to_dicts()}
    one, other, chatted = first[LONG], first[LONG.upper() + " ever"], first[LONG + " today"]
    found = project.table("near/near")
    named = {(kind, frozenset((a, b))): (frozenset((x, y)), s) for kind, a, b, x, y, s in found.iter_rows()}
    roots = {(a["root_id"], b["root_id"]) for a, b in ((one, other), (one, chatted), (other, chatted))}
    expected = {("root", frozenset(pair)): frozenset(pair) for pair in roots}
    expected["prompt", frozenset((one["match_key"], other["match_key"]))] = frozenset(
        (one["root_id"], other["root_id"])
    )
    assert {key: pair for key, (pair, _) in named.items()} == expected
    # 23 words give 21 runs of three, 24 give 22: all 21 are shared, of 22 or of 23.
    similarities = sorted(s for (kind, _), (_, s) in named.items() if kind == "root")
    assert similarities == [round(21 / 23, 6), round(21 / 22, 6), round(21 / 22, 6)]
    assert project.account("near")["components"] == {"components": 1, "prompts": 2, "largest": 2}


def test_two_prompts_of_one_root_are_no_neighbours(project: Built) -> None:
    turns = [{"role": "user", "content": LONG}, {"role": "assistant", "content": "So."}]
    longer = [*turns, {"role": "user", "content": "Thanks"}]
    content = lines(record(prompt=turns[:1]), record(prompt=longer))
    project.source("s", {"x.jsonl": content}, fields=CHAT).run(*BEFORE, "near")
    assert project.table("near/near").is_empty()
    assert project.account("near")["prompts"] == 2
    assert project.account("near")["roots"] == 1


def test_no_file_or_row_order_changes_a_byte(project: Built) -> None:
    texts = [f"{LONG} {'and more ' * (i % 3)}{i if i < 40 else i % 7}" for i in range(80)]
    written = set()
    for order in range(3):
        random.Random(order).shuffle(texts)  # noqa: S311
        cut_at = 20 * order
        files = {
            "x.jsonl": prompts(*texts[:cut_at]) or prompts("nothing"),
            "y.jsonl": prompts(*texts[cut_at:], "nothing"),
        }
        project.source("s", files).run(*BEFORE, "near")
        written.add((project.stage("near") / "near.parquet").read_bytes())
    assert len(written) == 1


TEMPLATE = (
    "Please write a short and friendly letter to my old neighbour who moved away last spring and whom I miss a lot, "
)


def test_a_crowd_of_neighbours_that_decide_nothing_hides_none_that_does(project: Built) -> None:
    """Of one template far more prompts are dropped than may be listed; the few that stand still withhold each other."""
    crowd = [record(prompt=f"{TEMPLATE} {i}", annotator=f"a{i}") for i in range(2_500)]
    project.source("crowd", {"x.jsonl": lines(*crowd)}, license="CC-BY-NC-4.0")
    project.source("s", {"x.jsonl": lines(*(record(prompt=f"{TEMPLATE} x{i}") for i in range(20)))})
    project.run(*BEFORE, "near", "split")
    rows = prompts_of(project)
    assert rows.height == 20
    assert met_reasons(rows, expected_reasons(rows)) >= {"near_heldout", None}
    assert rows.filter(pl.col("drop_reason").is_null())["side"].unique().to_list() == ["heldout"]


def test_a_crowd_of_released_prompts_hides_none_that_is_still_held_out(project: Built) -> None:
    texts = [f"{TEMPLATE} {i}" for i in range(400)]
    fresh = " ".join([*TEMPLATE.split()[:12], *(f"other{i}" for i in range(4))])
    project.source("s", {"x.jsonl": lines(*(record(prompt=text) for text in [*texts, fresh]))}).run(
        *BEFORE, "near", "split"
    )
    rows = prompts_of(project).filter(side="heldout")
    given = rows.filter(pl.col("turns") != brute.normal(fresh)).select("match_key", "root_id", side=pl.lit("train"))
    project.gave_away("v1", *given.unique().iter_rows()).run("near", "split")
    rows = prompts_of(project)
    kept = rows.filter(pl.col("drop_reason").is_null())
    theirs = [*kept.filter(side="heldout")["turns"]]
    assert [*brute.near_some([*kept.filter(pl.col("side") != "heldout")["turns"]], theirs, 0.7)] == []
    assert set(rows.filter(side="heldout")["drop_reason"]) >= {"seen_in_training"}


def test_roots_have_a_list_of_their_own(project: Built) -> None:
    """Long conversations that are near each other as wholes take no place of openings that are."""
    opening = " ".join(TEMPLATE.split()[:20])

    def chat(i: int, n: int) -> list[dict[str, str]]:
        turns = [{"role": "user", "content": f"{opening} {i}"}]
        return [*turns, {"role": "assistant", "content": "So."}, {"role": "user", "content": f"more {i} {n}"}][
            : 1 + 2 * (n > 0)
        ]

    rows = [record(prompt=chat(i, n)) for i in range(60) for n in range(3)]
    project.source("s", {"x.jsonl": lines(*rows)}, fields=CHAT).run(*BEFORE, "near", "split")
    told = prompts_of(project)
    assert met_reasons(told, expected_reasons(told)) >= {"near_heldout", None}
