"""Raw JSON records to values or reasons: every reason, their order, and nothing that a hostile record could break."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.raw.decoding import Decoded, json_decoder

DEPTH = 64
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def decode(raw: bytes) -> Decoded:
    return json_decoder(DEPTH)(raw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": "\xff"}', "invalid_utf8"),
        (b'{"a": "\xed\xa0\x80"}', "invalid_utf8"),
        (b"", "broken_json"),
        (b'{"a": nope}', "broken_json"),
        (b'{"a": 1} {"b": 2}', "broken_json"),
        (b'{"a": 1}]', "broken_json"),
        (b'{"a": "line\nfeed"}', "broken_json"),
        (b"{'a': 1}", "broken_json"),
        (b"\0\0\0", "broken_json"),
        (b"[" * 65 + b"]" * 65, "too_deep"),
        (b'{"a": 1, "a": 1}', "duplicate_key"),
        (b'{"a": [{"b": 1, "\\u0062": 2}]}', "duplicate_key"),
        (b'{"a": NaN}', "not_finite"),
        (b'{"a": -Infinity}', "not_finite"),
        (b'{"a": [1e400]}', "not_finite"),
        (b'{"a": -1' + b"0" * 5000 + b"}", "not_finite"),
        (b'{"a": "\\ud83d"}', "lone_surrogate"),
        (b'{"a": "\\ude00\\ud83d"}', "lone_surrogate"),
        (b'{"a": "\\ud83d\\ud83d\\ude00"}', "lone_surrogate"),
        (b'{"a": "\\ud83d\\ude00\\ude00"}', "lone_surrogate"),
        (b'{"a": "\\ud83d\\\\ude00"}', "lone_surrogate"),
        (b'{"\\uDC00": 1}', "lone_surrogate"),
        (b'{"a": "\\u0000"}', "nul_character"),
        (b'{"a": "\\\\\\u0000"}', "nul_character"),
        (b'{"a\\u0000": 1}', "nul_character"),
        (b'{"a": "\0"}', "nul_character"),
        (b'{"a": 1}\0\0', "nul_character"),
        (b"[1, 2]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"null", "not_an_object"),
    ],
)
def test_each_reason(raw: bytes, reason: str) -> None:
    assert decode(raw) == (None, reason)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": "\\\\u0000"}', {"a": "\\u0000"}),
        (b'{"a": "\\\\ud83d"}', {"a": "\\ud83d"}),
        (b'{"a": 9223372036854775808}', {"a": 2**63}),
        (b'{"a": 1' + b"0" * 300 + b"}", {"a": 10**300}),
        (b'{"a": 1e-400}', {"a": 0.0}),
        (b'{"a": {"b": 1}, "b": 2}', {"a": {"b": 1}, "b": 2}),
        (b'{"a": "' + b"[{" * 100 + b'\\"[\\\\"}', {"a": "[{" * 100 + '"[\\'}),
        (b'{"a": [' + b"[]," * 100 + b"[]]}", {"a": [[]] * 101}),
        (b'{"a":' * 63 + b"{}" + b"}" * 63, None),
    ],
)
def test_what_looks_like_a_fault_and_is_none(raw: bytes, value: dict[str, Any] | None) -> None:
    found, reason = decode(raw)
    assert reason is None
    assert found == (value if value is not None else json.loads(raw))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": nope, "b": "\xff"}', "invalid_utf8"),
        (b'{"a": 1, "a": NaN, "b": nope}', "broken_json"),
        (b'{"a": 1, "a": NaN}', "duplicate_key"),
        (b'{"a": "\\u0000\\ud800", "b": NaN}', "not_finite"),
        (b'{"a": "\\u0000\\ud800"}', "lone_surrogate"),
        (b'["\\u0000"]', "nul_character"),
        (b'{"a": "\0", "a": 1}', "duplicate_key"),
    ],
)
def test_the_first_reason_that_applies_is_given(raw: bytes, reason: str) -> None:
    assert decode(raw)[1] == reason


def test_the_deepest_level_allowed_is_the_limit_itself() -> None:
    nested = b'{"a": ' + b"[" * 63 + b"]" * 63 + b"}"
    assert decode(nested)[1] is None
    assert decode(b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}")[1] == "too_deep"


@pytest.mark.parametrize("raw", [b"[" * 10**6, b'{"a":' * 10**6, b"[" * 10**6 + b"]" * 10**6, b'{"a":[' * 10**5])
def test_no_depth_ends_the_interpreter(raw: bytes) -> None:
    assert decode(raw)[1] == "too_deep"


def test_one_record_leaves_nothing_behind_for_the_next() -> None:
    decoder = json_decoder(DEPTH)
    assert decoder(b'{"a": 1, "a": NaN}')[1] == "duplicate_key"
    assert decoder(b'{"a": 1}') == ({"a": 1}, None)


@given(JSON, st.booleans())
def test_law_what_json_writes_is_read_back(value: Any, ascii_only: bool) -> None:  # noqa: ANN401, FBT001
    raw = json.dumps({"value": value}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found, reason = decode(raw)
    if "\\u0000" in raw.decode("utf-8", "replace").replace("\\\\", ""):
        assert reason == "nul_character"
    else:
        assert (found, reason) == ({"value": value}, None)


@given(st.binary(max_size=200) | st.text('{}[]",:\\u0d8\0 1eN', max_size=60).map(str.encode))
def test_law_any_bytes_give_a_value_or_a_reason(raw: bytes) -> None:
    value, reason = decode(raw)
    assert (value is None) != (reason is None)
    if reason is None:
        assert json.loads(raw) == value


@given(st.text(st.characters(categories=["Cs"]) | st.sampled_from("a\0\\u\U0001f600"), max_size=6))
def test_law_a_text_with_half_a_pair_or_nul_is_never_passed_on(text: str) -> None:
    raw = json.dumps({"a": text}).encode()
    value, reason = decode(raw)
    joined = json.loads(raw)["a"]
    clean = "\0" not in joined and not any("\ud800" <= character <= "\udfff" for character in joined)
    assert (reason is None) == clean
    assert (value == {"a": joined}) == clean
