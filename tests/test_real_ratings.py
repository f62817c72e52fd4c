"""ConTurE's rated dialogues: which of them can be compared at all, counted here with plain Python and found again."""

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.building import Built
from tests.real_building import real_project

pytestmark = pytest.mark.real

Dialogues = list[dict[str, Any]]


@pytest.fixture(scope="module")
def built(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return real_project(real, tmp_path_factory.mktemp("conture"), "conture").run()


@pytest.fixture(scope="module")
def dialogues(real: Path) -> Dialogues:
    loaded: Dialogues = json.loads((real / "conture/data.json").read_text(encoding="utf-8"))
    return loaded


def folded(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip()


def contexts(dialogues: Dialogues, form: Callable[[str], str]) -> dict[tuple[str, ...], list[tuple[int, int]]]:
    """Everything that was said before each response, with the dialogue and turn that it was said in."""
    found: dict[tuple[str, ...], list[tuple[int, int]]] = defaultdict(list)
    for place, dialogue in enumerate(dialogues):
        said: tuple[str, ...] = ()
        for number, turn in enumerate(dialogue["turns"]):
            found[(*said, form(turn["user"]))].append((place, number))
            said = (*said, form(turn["user"]), form(turn["chatbot"]))
    return found


def partnerless(dialogues: Dialogues, form: Callable[[str], str]) -> int:
    shared = [those for those in contexts(dialogues, form).values() if len({place for place, _ in those}) > 1]
    return len(dialogues) - len({place for those in shared for place, _ in those})


def test_the_facts(dialogues: Dialogues) -> None:
    assert len(dialogues) == 119
    assert sum("overall impression" in turn for dialogue in dialogues for turn in dialogue["turns"]) == 1_066
    assert sum(len(dialogue["dialog_ratings"]) for dialogue in dialogues) == 348


def test_fifty_dialogues_have_no_partner_where_case_is_folded_and_four_more_where_it_counts(
    built: Built, dialogues: Dialogues
) -> None:
    """A partner is another dialogue in which the same was said before a response.

    The fact folds case; a prompt is another prompt here where its case differs.
    """
    assert partnerless(dialogues, lambda text: folded(text).lower()) == 50
    assert partnerless(dialogues, folded) == partnerless(dialogues, str) == 54
    records = built.table("ingest/records").group_by("outcome", "reason").len().rows()
    assert sorted(records) == [("gave_comparisons", None, 65), ("no_comparison", "no_partner", 54)]


def test_no_response_after_the_first_turn_has_a_partner(dialogues: Dialogues) -> None:
    shared = [those for those in contexts(dialogues, lambda text: folded(text).lower()).values() if len(those) > 1]
    assert {number for those in shared for _, number in those} == {0}


def test_the_comparisons_are_those_of_the_first_turns(built: Built, dialogues: Dialogues) -> None:
    rated: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for dialogue in dialogues:
        first = dialogue["turns"][0]
        rated[first["user"]][first["chatbot"].strip()].add(first["overall impression"])
    # No response to one prompt was rated in two ways.
    assert {len(numbers) for responses in rated.values() for numbers in responses.values()} == {1}
    expected: Counter[tuple[Any, ...]] = Counter()
    for prompt, responses in rated.items():
        scored = sorted(
            (text, number) for text, [number] in ((text, [*numbers]) for text, numbers in responses.items())
        )
        for place, (a, x) in enumerate(scored):
            for b, y in scored[place + 1 :]:
                verdict = "tie" if x == y else "a" if x > y else "b"
                expected[prompt, a, b, verdict, float(Fraction(abs(x - y), 2)), f"{x} - {y}"] += 1
    columns = ["response_a", "response_b", "preference", "strength", "strength_raw"]
    rows = built.comparisons().select("prompt", *columns).rows()
    assert Counter((prompt[0]["content"], a.strip(), b.strip(), *rest) for prompt, a, b, *rest in rows) == expected
    assert sum(expected.values()) == len(rows) == 271
