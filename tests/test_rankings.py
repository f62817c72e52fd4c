"""Rankings: which pairs they give, which response is a, and what is cut."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.digests import digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.rankings import MOST_RESPONSES, Pairing, Placed, answered, check_answers, ranked_verdicts
from pipeline.core.mapping.verdicts import NoVerdict, Verdict, gathered

rankings = st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 3), st.text(max_size=3)), max_size=8).map(
    lambda found: [Placed(name, place, text) for name, (place, text) in found.items()]
)


def verdicts(placed: list[Placed], pairing: Pairing | None = None, width: float | None = None) -> list[Verdict]:
    found = ranked_verdicts(placed, {}, pairing or Pairing(), width=width)
    assert isinstance(found, list)
    return found


def said(found: list[Verdict]) -> set[tuple[Any, ...]]:
    return {tuple(one.values[name] for name in ("response_a", "preference", "response_b")) for one in found}


THREE = [Placed("x", 1, "gold"), Placed("y", 2, "silver"), Placed("z", 2, "brass")]


def test_each_pair_is_compared_and_the_lesser_text_is_a() -> None:
    assert said(verdicts(THREE)) == {("gold", "a", "silver"), ("brass", "b", "gold"), ("brass", "tie", "silver")}
    assert {one.values.get("strength") for one in verdicts(THREE)} == {None}


def test_neighbours_and_ties_can_be_chosen() -> None:
    four = [*THREE, Placed("w", 9, "tin")]
    assert ("gold", "a", "tin") in said(verdicts(four))
    assert said(verdicts(four, Pairing("adjacent"))) == said(verdicts(four)) - {("gold", "a", "tin")}
    assert said(verdicts(THREE, Pairing(ties=False))) == {("gold", "a", "silver"), ("brass", "b", "gold")}


def test_the_difference_of_ratings_is_the_strength() -> None:
    rated = [Placed("x", -4, "good"), Placed("y", -1, "bad"), Placed("z", -4, "fine")]
    found = {one.values["response_a"] + one.values["response_b"]: one.values for one in verdicts(rated, width=4)}
    strengths = {
        name: tuple(of[key] for key in ("preference", "strength", "strength_raw", "strength_scale"))
        for name, of in found.items()
    }
    assert strengths == {
        "badgood": ("b", 0.75, "3", "0..4"),
        "badfine": ("b", 0.75, "3", "0..4"),
        "finegood": ("tie", 0.0, "0", "0..4"),
    }


@pytest.mark.parametrize(
    ("placed", "reason"),
    [
        (THREE[:1], "not_ranked"),
        ([], "not_ranked"),
        ([Placed("x", 1, "p"), Placed("y", 1, "q")], "one_label"),
    ],
)
def test_a_ranking_may_order_nothing(placed: list[Placed], reason: str) -> None:
    assert ranked_verdicts(placed, {}, Pairing(ties=False)) == NoVerdict(reason)


def test_what_no_sound_ranking_holds_is_one_fault() -> None:
    many = [Placed(str(number), number, "text") for number in range(MOST_RESPONSES + 1)]
    assert [one.fault for one in verdicts(many)] == ["too_many_responses"]
    assert len(verdicts(many[1:])) == MOST_RESPONSES * (MOST_RESPONSES - 1) / 2
    assert [one.fault for one in verdicts([*THREE, THREE[0]])] == ["conflicting_ratings"]
    assert ranked_verdicts("wrong_type", {}, Pairing()) == [Verdict({}, fault="wrong_type")]


@given(rankings, st.sampled_from(["all", "adjacent"]), st.booleans(), st.integers(1, 40), st.randoms())
def test_a_ranking_gives_what_an_independent_count_says(
    placed: list[Placed],
    pairs: Any,  # noqa: ANN401
    ties: bool,  # noqa: FBT001
    most: int,
    random: Any,  # noqa: ANN401
) -> None:
    steps = sorted({one.place for one in placed})
    near = {
        frozenset((x.name, y.name))
        for x, y in combinations(placed, 2)
        if (ties or x.place != y.place)
        and (pairs == "all" or not any(min(x.place, y.place) < step < max(x.place, y.place) for step in steps))
    }
    found = ranked_verdicts(placed, {}, Pairing(pairs, ties, most))
    if not near:
        assert isinstance(found, NoVerdict)
        return
    assert isinstance(found, list)
    assert len(found) == len({one.key for one in found}) == len(near)
    assert [one.fault for one in found].count(None) == min(most, len(near))
    shuffled = random.sample(placed, len(placed))
    assert ranked_verdicts(shuffled, {}, Pairing(pairs, ties, most)) == found


def test_the_cap_cuts_all_annotators_alike() -> None:
    reversed_ = [Placed(one.name, -one.place, one.text) for one in THREE]
    both = [verdicts(placed, Pairing(most=1)) for placed in (THREE, reversed_)]
    assert [[one.key for one in found if one.fault is None] for found in both] == [[both[0][0].key]] * 2
    assert [[one.fault for one in found] for found in both] == [[None, "over_cap", "over_cap"]] * 2


@given(st.permutations(["u", "v", "w", "x", "y"]))
def test_the_cap_goes_by_the_texts_and_not_by_their_names(names: list[str]) -> None:
    texts = ["iron", "lead", "zinc", "gold", "salt"]
    placed = [Placed(name, texts.index(text), text) for name, text in zip(names, texts, strict=True)]
    kept = [one for one in verdicts(placed, Pairing(most=3)) if one.fault is None]
    digests = {digest_text(*sorted(pair)): set(pair) for pair in combinations(texts, 2)}
    least = [digests[digest] for digest in sorted(digests)[:3]]
    assert [{one.values["response_a"], one.values["response_b"]} for one in kept] == least


def test_an_answer_brings_the_strength_that_the_options_state() -> None:
    paths = {"a": "data.x", "b": "data.y"}
    record = {"data": {"x": "left text"}}
    found = answered("much", {"much": 1, "bit": 0.5}, record, paths, {})
    stated = {"strength": 1, "strength_raw": "much", "strength_scale": "bit=0.5, much=1"}
    assert found == {"response_a": "left text", "response_b": None, "preference": "much", **stated}
    assert answered(["much"], {"much": 1}, record, paths, {}).get("strength") is None


def test_options_that_contradict_are_refused() -> None:
    with pytest.raises(PairtrailError, match=r"`x` is no key of `values` \(known: y\)"):
        check_answers({"y": "a"}, {"x": 1})
    with pytest.raises(PairtrailError, match="from 0 to 1"):
        check_answers({"y": "a"}, {"y": float("nan")})
    with pytest.raises(PairtrailError, match="at least 1"):
        Pairing(most=0)


def test_a_record_without_verdicts_has_the_first_documented_reason() -> None:
    assert gathered([]) == NoVerdict("not_judged")
    assert gathered([NoVerdict("cancelled"), NoVerdict("not_submitted")]) == NoVerdict("not_submitted")
    assert gathered([NoVerdict("cancelled"), [Verdict({})]]) == [Verdict({})]
