"""Ids are what they were: golden values, computed here with nothing but hashlib and unicodedata."""

import hashlib
import hmac
import re
import unicodedata

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.digests import (
    digest,
    digest_text,
    keyed_digest,
    keyed_digest_bytes,
    keyed_digest_text,
    keyed_digests,
    normalise,
)
from pipeline.core.mapping.identify import pair_id, prompt_ids, response_id
from schemas.columns import MESSAGES

KEY = "k" * 40
texts = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cn"]), max_size=30)


def framed(parts: list[str | None]) -> bytes:
    encoded = [None if part is None else part.encode() for part in parts]
    return b"".join(b"~," if part is None else str(len(part)).encode() + b":" + part + b"," for part in encoded)


def folded(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip()


@given(st.lists(st.one_of(st.none(), texts), min_size=1, max_size=4))
def test_expressions_strings_and_hashlib_agree(parts: list[str | None]) -> None:
    plain = hashlib.sha256(framed(parts)).hexdigest()[:32]
    keyed = hmac.new(KEY.encode(), framed(parts), "sha256").hexdigest()[:32]
    literals = [pl.lit(part, dtype=pl.String) for part in parts]
    assert pl.select(digest(*literals)).item() == digest_text(*parts) == plain
    assert pl.select(keyed_digest(KEY, *literals)).item() == keyed_digest_text(KEY, *parts) == keyed


@given(st.lists(texts, min_size=2, max_size=3), st.lists(texts, min_size=2, max_size=3))
def test_different_parts_never_share_a_frame(one: list[str], other: list[str]) -> None:
    assert (framed([*one]) == framed([*other])) == (one == other)
    assert digest_text("ab", "c") != digest_text("a", "bc")


@given(st.lists(texts, max_size=5))
def test_normalisation_is_nfkc_then_folded_white_space(given_texts: list[str]) -> None:
    series = pl.Series(given_texts, dtype=pl.String)
    assert normalise(series).to_list() == [folded(text) for text in given_texts]
    assert series.to_list() == given_texts


def test_record_digests_are_hmac_of_the_bytes() -> None:
    assert keyed_digest_bytes(KEY, b"\xff{}") == hmac.new(KEY.encode(), b"\xff{}", "sha256").hexdigest()[:32]


def test_golden_ids_never_change() -> None:
    prompt = [
        {"role": "system", "content": "Be\tkind."},
        {"role": "user", "content": "  Why is the \uff33ky  blue? "},
        {"role": "assistant", "content": "Light."},
        {"role": "user", "content": "More!"},
    ]
    found = prompt_ids(pl.Series([prompt], dtype=MESSAGES)).to_dicts()[0]
    answer = pl.select(response_id(pl.lit("\n x\u00b2 "))).item()
    pair = pl.select(pair_id(pl.lit("p"), pl.lit("b"), pl.lit("a"))).item()
    assert found["prompt_id"] == "97c0725ddafda38ba5fa0199eeca7a97"
    assert found["match_key"] == "90d3014ceae14fb112f80d57cf7bf21d"
    assert found["root_id"] == "bfd71b31b6541317a10b6448debf2a9e"
    assert answer == "dec5755243e908564307372de26220bf"
    assert (
        pair == pl.select(pair_id(pl.lit("p"), pl.lit("a"), pl.lit("b"))).item() == "a717fac602cb912596563080d052bcb9"
    )


def by_hand(*parts: str) -> str:
    return hashlib.sha256(framed([*parts])).hexdigest()[:32]


def test_ids_by_hand() -> None:
    prompt = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "A  B"},
        {"role": "assistant", "content": "c"},
    ]
    turns = "".join(
        framed([role, text]).decode() for role, text in (("system", "S"), ("user", "A B"), ("assistant", "c"))
    )
    found = prompt_ids(pl.Series([prompt], dtype=MESSAGES)).to_dicts()[0]
    assert found["prompt_id"] == by_hand("prompt", "nfkc-fold-1", turns)
    assert found["match_key"] == by_hand("match", "nfkc-fold-1", framed(["a b"]).decode())
    assert found["root_id"] == by_hand("root", "nfkc-fold-1", framed(["a b"]).decode())


def test_what_makes_a_prompt_the_same() -> None:
    def ids(content: str, role: str = "user") -> dict[str, str]:
        row: dict[str, str] = prompt_ids(pl.Series([[{"role": role, "content": content}]], dtype=MESSAGES)).to_dicts()[
            0
        ]
        return row

    plain = ids("Hi there")
    assert ids(" Hi \n there\u3000")["prompt_id"] == plain["prompt_id"]
    assert ids("hi THERE")["prompt_id"] != plain["prompt_id"]
    assert ids("hi THERE")["match_key"] == plain["match_key"]
    assert ids("hi THERE")["root_id"] == plain["root_id"]
    assert ids("Hi there", "assistant")["prompt_id"] != plain["prompt_id"]


def test_responses_keep_their_indentation_and_their_squares() -> None:
    def one(text: str) -> str:
        return str(pl.select(response_id(pl.lit(text))).item())

    assert one(" x ") == one("x")
    assert one("x\u00b2") != one("x2")
    assert one("a\n  b") != one("a\n b")


@given(st.lists(st.binary(max_size=9) | st.text(max_size=9).map(str.encode), max_size=6))
def test_many_records_are_digested_as_one_is(raws: list[bytes]) -> None:
    assert keyed_digests(KEY, raws) == [hmac.new(KEY.encode(), raw, "sha256").hexdigest()[:32] for raw in raws]
