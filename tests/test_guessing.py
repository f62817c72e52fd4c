"""Guesses about unknown logs: right, or blank; and never a fault, whatever the records hold."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters import Claim, adapter_named, adapter_names, claims
from pipeline.adapters import __name__ as adapters_package
from pipeline.adapters.records import guess
from pipeline.core.guessing.labels import labels, preferences_of
from pipeline.core.guessing.paths import Pair, found_paths, pairs_among, words
from pipeline.core.mapping.fieldmap import Joined
from pipeline.core.sidecar.fields import FIELDS
from pipeline.lineage.drafting import draft, whole
from pipeline.lineage.looking import Looked

GUESSERS = [name for name in adapter_names() if hasattr(adapter_named(name), "guess")]
LONG = "a response that is long enough to be told from a name of a model or a label"


def rows(count: int = 30, **columns: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Records with these columns; a list is gone through again and again."""
    texts = {"prompt": "Why is that so?", "response_a": LONG, "response_b": f"{LONG}!"}
    return [
        {
            name: value[place % len(value)] if isinstance(value, list) else value
            for name, value in {**texts, **columns}.items()
        }
        for place in range(count)
    ]


def fields_of(records: list[dict[str, Any]]) -> dict[str, Any]:
    said = guess(records)
    assert said
    found: dict[str, Any] = said["fields"]
    return found


LABELS: list[tuple[list[Any], dict[str, str | None]]] = [
    (["left", "right", "tie"], {"left": "a", "right": "b", "tie": "tie"}),
    (["A", "B", "C"], {"A": None, "B": None, "C": None}),
    (["A", "B"], {"A": "a", "B": "b"}),
    (["model_a", "model_b", "tie (bothbad)"], {"model_a": "a", "model_b": "b", "tie (bothbad)": "both_bad"}),
    (["Response 1", "Response 2", "Equal"], {"Response 1": "a", "Response 2": "b", "Equal": "tie"}),
    (["first", "second", "neither"], {"first": "a", "second": "b", "neither": None}),
    (["answer_0", "answer_1"], {"answer_0": "a", "answer_1": "b"}),
    (["answer_1"], {"answer_1": None}),
    (["answer_1", "model_2"], {"answer_1": None, "model_2": None}),
    (["left", "second"], {"left": None, "second": None}),
    ([1, 2], {"1": None, "2": None}),
    ([0, 1, 2], {"0": None, "1": None, "2": None}),
    ([-1, 1], {"-1": None, "1": None}),
    ([True, False], {"true": None, "false": None}),
    (["A>B", "B>A", "A=B"], {"A>B": None, "B>A": None, "A=B": None}),
    (["y", "n"], {"y": None, "n": None}),
    (["1>2", "2>1"], {"1>2": None, "2>1": None}),
    (["not a", "not b"], {"not a": None, "not b": None}),
    (["good", "bad"], {"good": None, "bad": None}),
]


@pytest.mark.parametrize(("values", "targets"), LABELS, ids=str)
def test_a_label_has_a_target_where_that_is_certain(values: list[Any], targets: dict[str, str | None]) -> None:
    found = labels(values * 5)
    assert found == dict.fromkeys(sorted(targets), 5)
    assert preferences_of(found, None) == targets


def test_the_names_of_the_responses_tell_what_a_single_number_means() -> None:
    one, zero = Pair(("argument",), "-", "-", ("1", "2")), Pair(("answer",), "-", "-", ("0", "1"))
    assert preferences_of(["answer_1", "tie"], one) == {"answer_1": "a", "tie": "tie"}
    assert preferences_of(["answer_1", "tie"], zero) == {"answer_1": "b", "tie": "tie"}
    assert preferences_of(["x", "y"], Pair((), "x", "y", ("x", "y"))) == {"x": "a", "y": "b"}
    assert preferences_of(["answer_2", "answer_0"], one) == {"answer_2": None, "answer_0": None}
    assert preferences_of(["a1", "a2"], one) == {"a1": "a", "a2": "b"}
    assert preferences_of(["m1", "m2"], one) == {"m1": None, "m2": None}


NO_LABELS: list[list[Any]] = [
    [],
    [None, ""],
    ["Anna", "Ben"],
    ["somebody@example.org"] * 9,
    ["a text that is far too long to be a label"] * 9,
    [["a"]] * 9,
    [{"a": 1}] * 9,
    [str(number) * 3 for number in range(100)],
    ["What is so?"] * 9,
]


@pytest.mark.parametrize("values", NO_LABELS, ids=str)
def test_what_could_be_a_text_or_a_person_is_no_label(values: list[Any]) -> None:
    assert labels(values) is None


PAIRS = [
    (["response_a", "response_b"], ("response_a", "response_b")),
    (["responseA", "responseB"], ("responseA", "responseB")),
    (["left.text", "right.text"], ("left.text", "right.text")),
    (["answers.0.text", "answers.1.text"], ("answers.0.text", "answers.1.text")),
    (["out 1", "out 2", "prompt"], ("out 1", "out 2")),
    (["chosen", "rejected"], ("chosen", "rejected")),
    (["out1", "out2", "out3"], None),
    (["a", "b", "c"], None),
    (["response_a", "completion_b"], None),
]


@pytest.mark.parametrize(("paths", "pair"), PAIRS, ids=str)
def test_pairs_differ_in_a_mark_and_are_not_three(paths: list[str], pair: tuple[str, str] | None) -> None:
    assert [(one.a, one.b) for one in pairs_among(paths)] == ([pair] if pair else [])


def test_paths_are_those_that_a_sidecar_can_name() -> None:
    record = {"a": {"b": 1, "c.d": 2}, "e:f": 3, "g": [1, 2], "h": [1, 2, 3], "who@example.org": 4, "{x}": 5, "n": None}
    counts = found_paths([record, record])
    assert counts == {"a.b": 2, "g": 2, "g.0": 2, "g.1": 2, "h": 2}
    assert all(Joined([record]).at(path) != [None] for path in counts)
    assert len(found_paths([{f"k{number}": 1} for number in range(10_000)])) < 1_000
    assert words("gpt4Label_A") == ("gpt", "4", "label", "a")


SHAPES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "our own names": (
        rows(preference=["a", "b", "tie"]),
        {"prompt": "prompt", "response_a": "response_a", "response_b": "response_b", "preference": "preference"},
    ),
    "a panel's ids are no verdicts": (rows(rater_1=[f"p{i}" for i in range(9)], rater_2="p77"), {}),
    "messages": (
        rows(prompt=None, chat=[[{"from": "human", "value": "Hi"}, {"from": "robot", "value": "Ho"}]]),
        {"prompt": {"messages": "chat", "role": "from", "content": "value", "roles": None}},
    ),
    "roles that are known": (
        rows(prompt=None, chat=[[{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]]),
        {
            "prompt": {
                "messages": "chat",
                "role": "from",
                "content": "value",
                "roles": {"human": "user", "gpt": "assistant"},
            }
        },
    ),
    "messages as ours": (rows(prompt=[[{"role": "user", "content": "Hi"}]]), {"prompt": {"messages": "prompt"}}),
    "names of people are no roles": (
        rows(prompt=None, chat=[[{"speaker": f"Anna {number}", "text": "Hi"}] for number in range(20)]),
        {"prompt": None},
    ),
    "an instruction and its input": (
        rows(prompt=None, instruction="Say so.", input=["", "x"]),
        {"prompt": {"template": "{instruction}\n\n{input}"}},
    ),
    "an input that is not always there": (
        rows(prompt=None, instruction="Say so.", input=[None, "x"]),
        {"prompt": "instruction"},
    ),
    "a prompt that is a number": (rows(prompt=["8", "9"]), {"prompt": None}),
    "a trainer's data": (
        [{"question": "Why so?", "chosen": LONG, "rejected": f"{LONG}!"}],
        {"response_a": "chosen", "response_b": "rejected", "preference": {"constant": "a"}, "prompt": "question"},
    ),
    "a judge": (rows(judge_model="m-1"), {"annotator": "judge_model", "annotator_kind": {"constant": "model"}}),
    "a worker": (rows(worker_id=[1, 2]), {"annotator": "worker_id", "annotator_kind": {"constant": "human"}}),
    "an annotator may be a model": (rows(annotator=["x", "y"]), {"annotator": "annotator", "annotator_kind": None}),
    "seconds": (rows(timestamp=[1_700_000_000, 1.7e9]), {"created_at": {"path": "timestamp", "unit": "seconds"}}),
    "milliseconds": (
        rows(ts=1, created=["1700000000123"]),
        {"created_at": {"path": "created", "unit": "milliseconds"}},
    ),
    "a time": (rows(date=["2026-01-02 03:04", "2026-01-02"]), {"created_at": "date"}),
    "no time": (rows(time=[12, 90], date="02/01/2026"), {"created_at": None}),
    "a scale": (rows(strength=[0, 3]), {"strength": {"path": "strength", "scale": None}}),
    "shares": (rows(margin=[0.25, 1.0]), {"strength": "margin"}),
    "words of strength": (
        rows(degree=["much", "slightly"]),
        {"strength": {"path": "degree", "values": {"much": None, "slightly": None}}},
    ),
    "a signed margin": (rows(margin=[-2, 2]), {"strength": None}),
    "a model is no verdict": (rows(made_by=["m1", "m2"], origin="a"), {"preference": None}),
    "models": (rows(model_a=["m1"], model_b=["m2"]), {"model_a": "model_a", "model_b": "model_b"}),
    "an id of verdicts": (rows(vote_id=[f"v{number}" for number in range(30)]), {"event_id": "vote_id"}),
    "an id that repeats": (rows(vote_id=["v1", "v2"]), {"event_id": None}),
    "what was shown": (rows(order=["ab", "ba"]), {"presented_order": "order"}),
    "a loser is no winner": (rows(loser=["left", "right"]), {"preference": None}),
    "one who decided is no verdict": (
        rows(decision_by=["left", "right"], best_reviewer=["A", "B"], chosen_user=["a", "b"]),
        {"preference": None},
    ),
    "a text is not shown": (
        rows(choice=["Karl has HIV", "Anna has not"]),
        {"preference": {"path": "choice", "values": None}},
    ),
    "a strength in unknown words is not shown": (
        rows(degree=["Maria Huber", "much"]),
        {"strength": {"path": "degree", "values": None}},
    ),
    "one annotator's key is no verdict": (
        rows(votes=[{"maria": "left"}, {"maria": "right"}], choice=[{"anna": "left"}, {"anna": "right"}]),
        {"preference": None},
    ),
    "a verdict's value": (
        rows(choice=[{"value": "left"}, {"value": "right"}]),
        {"preference": {"path": "choice.value", "values": {"left": "a", "right": "b"}}},
    ),
    "a winner beside what stood on top": (
        rows(winner=[1, 2], on_top=["model_a", "model_b"]),
        {"preference": {"path": "winner", "values": {"1": None, "2": None}}},
    ),
    "a winner beside what is safer": (
        rows(winner=[1, 2], less_safe=["a", "b"], safer=["a", "b"]),
        {"preference": {"path": "winner", "values": {"1": None, "2": None}}},
    ),
    "what is less safe": (rows(less_safe=["a", "b"]), {"preference": None}),
    "certain before named": (
        rows(label=["sport", "news"], value=["r1", "r2"]),
        {"preference": {"path": "value", "values": {"r1": "a", "r2": "b"}}},
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_is_guessed_or_left_blank(name: str) -> None:
    records, expected = SHAPES[name]
    found = fields_of(records)
    assert {field: found.get(field) for field in expected} == expected
    assert set(found) <= set(FIELDS)


NO_SHAPES: list[list[dict[str, Any]]] = [
    [],
    [{}],
    [{"label": True, "messages": [{"role": "user", "content": "Hi"}]}],
    [
        {
            "question_id": 1,
            "turns": ["Why is that so, as far as you know?", "And why is that not always the case, you think?"],
        }
    ],
    [{"left": "Model One 7B", "right": "Model Two 13B", "when": 3}] * 9,
    [{"out1": LONG, "out2": LONG, "out3": LONG}],
]


@pytest.mark.parametrize("records", NO_SHAPES, ids=str)
def test_what_compares_nothing_is_not_claimed(records: list[dict[str, Any]]) -> None:
    assert guess(records) is None


def test_votes_without_texts_are_claimed_for_a_join() -> None:
    assert fields_of([{"id": 1, "winner": side, "left": "m1"} for side in ("left", "right") * 9]) == {
        "preference": {"path": "winner", "values": {"left": "a", "right": "b"}}
    }


TRANSCRIPT = "\n\nHuman: Hi\n\nAssistant: "


def test_transcripts_are_claimed_before_the_field_map() -> None:
    records: list[dict[str, Any]] = [
        {"chosen": f"{TRANSCRIPT}yes{number}", "rejected": f"{TRANSCRIPT}no"} for number in range(20)
    ]
    found = claims(records)
    names = [claim.adapter for claim in found]
    assert (names[0], names[-1]) == ("hh_rlhf", "records")
    assert found[0].says["fields"] == {"annotator": {"constant": None}}
    named = claims([{**one, "worker": "w1"} for one in records])
    assert (named[0].adapter, named[0].says["fields"]) == ("hh_rlhf", {})
    assert adapter_named("hh_rlhf").guess([*records, *[{"chosen": "x", "rejected": "y"}] * 20]) is None  # type: ignore[attr-defined]
    one_broken = [{"chosen": 1, "rejected": None}, *records]
    assert claims(one_broken)[0].adapter == "hh_rlhf"


def test_the_most_specific_claim_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    class One:
        def __init__(self, *filled: str, says: dict[str, Any] | None = None) -> None:
            self.FILLS = filled
            self.guess = lambda _: says

    known: dict[str, Any] = {
        "few": One("prompt", says={}), "many": One("prompt", "preference", says={}), "none": One("prompt", "a", "b"),
        "also": One("prompt", says={}), "records": One(*"abcdefgh", says={}), "silent": object(),
    }  # fmt: skip
    monkeypatch.setattr(f"{adapters_package}.adapter_names", lambda: sorted(known))
    monkeypatch.setattr(f"{adapters_package}.adapter_named", known.__getitem__)
    assert [claim.adapter for claim in claims([{}])] == ["many", "also", "few", "records"]


WORDS = ["a", "b", "left", "tie", "1", "2", TRANSCRIPT, LONG, "2026-01-02", "user", "assistant"]
INNER = st.sampled_from(["role", "content", "from", "value", "text", "chosen", "rejected", "id", "a", "0", "x.y"])
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    PLAIN | st.text(max_size=30) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(INNER | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
NAMED = """prompt instruction input messages conversations chosen rejected response_a response_b answers winner
    preference label annotator1 annotator2 judge worker strength score timestamp model_a model_b order vote_id
    language rating     replies responses feedback annotations event runs"""
NAMES = st.sampled_from(NAMED.split())


@pytest.mark.parametrize("name", GUESSERS)
@given(records=st.lists(st.dictionaries(NAMES | st.text(max_size=4), JSON, max_size=8), max_size=4))
def test_no_record_breaks_a_guess_or_its_sidecar(name: str, records: list[dict[str, Any]]) -> None:
    """Whatever is claimed can be written out with its evidence, and it reads as YAML."""
    from pipeline.core.params import parse_yaml

    guessed: Any = adapter_named(name)
    said = guessed.guess(records)
    if said is not None:
        body = draft(Looked("json", records, len(records)), [Claim(name, said)], "x.jsonl")
        content = parse_yaml(whole(body, "x.jsonl", "data/raw/x/source.yaml"))
        assert content["adapter"] == name
        assert content["unconfirmed"] == body.guesses


@pytest.mark.parametrize("name", adapter_names())
def test_every_field_that_an_adapter_needs_is_there_or_blank(name: str) -> None:
    body = draft(Looked("json", [{}], 1), [Claim(name, {})], "x.jsonl")
    needed = [f"fields.{field}" for field in adapter_named(name).NEEDS]
    assert [blank for blank in body.blanks if blank.startswith("fields.")] == needed


@pytest.mark.parametrize("name", GUESSERS)
def test_a_guess_over_one_shape_does_not_hang_on_the_records_order(name: str) -> None:
    guessed: Any = adapter_named(name)
    for records, _ in SHAPES.values():
        assert guessed.guess(records) == guessed.guess(records[::-1])
