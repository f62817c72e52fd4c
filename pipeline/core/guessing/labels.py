"""Values that are labels: few, short and repeated; and what a verdict's labels stand for, where that is certain."""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from string import ascii_lowercase
from typing import Any

from pipeline.core.guessing.paths import Pair, words
from pipeline.core.params import written

_LABEL = re.compile(r"[\w+<>=-][\w .:()/<>=+-]{0,23}")
_MOST_LABELS = 12
_MOST_WORDS = 4
_REPEATED = 3
_TIES = {"tie", "tied", "equal", "equally good", "draw", "same", "about the same", "no preference", "both good"}
_BAD = {"both bad", "tie both bad"}
# What a label may call the response beside its mark.
_NOUNS = {"response", "answer", "output", "completion", "reply", "candidate", "draft", "option", "model", "assistant"}
# What else verdicts and scales say, word by word; any other word may be a person's name, or somebody's text.
_SAID = {
    *("ab", "ba", "c", "d", "e", "n", "no", "yes", "neither", "none", "both", "not", "is", "the", "as", "than", "and"),
    *("good", "bad", "better", "best", "worse", "worst", "much", "more", "less", "slightly", "somewhat", "strongly"),
    *("clearly", "significantly", "marginally", "negligibly", "moderately", "very", "far"),
    *("weak", "weaker", "moderate", "strong", "stronger", "low", "medium", "high", "slight", "clear"),
    *("tie", "tied", "ties", "equal", "equally", "draw", "same", "about", "preference", "similar", "unsure", "unclear"),
    *("unknown", "skip", "skipped", "win", "wins", "won", "loss", "lose", "loses", "prefer", "preferred"),
}
_SIDES = (("a", "b"), ("left", "right"), ("first", "second"), ("one", "two"), ("x", "y"))


def labels(values: Iterable[Any]) -> dict[str, int] | None:
    """Count the distinct values, sorted, where they are labels; None where they could be a text or name a person.

    Words that are not known from verdicts must repeat, so that no short text passes for a label.
    """
    counted: Counter[str] = Counter()
    for value in values:
        if isinstance(value, str | int | float):
            counted[written(value)] += value != ""
        elif value is not None:
            return None
        if len(counted) > _MOST_LABELS + 1:
            return None
    found = {label: counted[label] for label in sorted(counted) if counted[label]}
    plain = all(_LABEL.fullmatch(label) and len(words(label)) <= _MOST_WORDS for label in found)
    if not found or len(found) > _MOST_LABELS or not plain:
        return None
    known = [_is_small(label) or _meaning(label, ascii_lowercase) is not None for label in found]
    return found if all(known) or sum(found.values()) >= _REPEATED * len(found) else None


def are_known(found: Iterable[str]) -> bool:
    """Say whether all labels are words of verdicts and scales, or small numbers: these alone are ever written out."""
    return all(label.isascii() and _is_known(label) for label in found)


def _is_known(label: str) -> bool:
    if _is_small(label) or _meaning(label, ascii_lowercase) is not None:
        return True
    known = _SAID | _NOUNS | {side for pair in _SIDES for side in pair}
    spelt = words(label)
    return bool(spelt) and all(word in known or _is_small(word) for word in spelt)


def _is_small(label: str) -> bool:
    return label in {"true", "false"} or bool(re.fullmatch(r"-?(\d|10)(\.\d)?", label))


def _meaning(label: str, initials: Collection[str]) -> str | tuple[tuple[str, ...], str] | None:
    """Return `tie`, `both_bad`, or what a label calls a response and its mark; None for anything else."""
    spelt = words(label.replace("bothbad", "both bad").replace("bothgood", "both good"))
    if " ".join(spelt) in _TIES:
        return "tie"
    if " ".join(spelt) in _BAD:
        return "both_bad"
    called, mark = spelt[:-1], spelt[-1] if spelt else ""
    numbered_letter = len(called) == 1 and called[0] in initials and mark.isdigit()
    if not (set(called) <= _NOUNS or numbered_letter) or (mark.isdigit() and not called):
        return None
    return (called, mark) if mark in {"0", "1", "2", *(side for pair in _SIDES for side in pair)} else None


def preferences_of(found: Iterable[str], pair: Pair | None) -> dict[str, str | None]:
    """Map a verdict's labels to preferences; what is not certain has no target.

    Bare numbers never are: logs write 1 for the first response, for the second, and for yes. `pair` are the paths of
    the responses: `a1` is the first argument where they are called so, and else it may be anything.
    """
    initials = {word[0] for word in pair.stem} if pair else set()
    meanings = {label: _meaning(label, initials) for label in found}
    sides = {meaning for meaning in meanings.values() if isinstance(meaning, tuple)}
    called, seen = {noun for noun, _ in sides}, {mark for _, mark in sides}
    # Beside another letter, `a` and `b` may be grades.
    graded = any(meaning is None and len(label) == 1 and label.isalpha() for label, meaning in meanings.items())
    scheme = _scheme(seen, pair.marks if pair else None) if len(called) == 1 and not graded else None
    targets: dict[str, str | None] = {}
    for label, meaning in meanings.items():
        if isinstance(meaning, tuple):
            targets[label] = {scheme[0]: "a", scheme[1]: "b"}[meaning[1]] if scheme else None
        else:
            targets[label] = meaning
    return targets


def _scheme(seen: set[str], marks: tuple[str, str] | None) -> tuple[str, str] | None:
    """Return the marks of the first and the second response that all labels fit."""
    if any(mark.isdigit() for mark in seen):
        # Whether 1 is the first or the second shows in a 0, a 2, or the names of the responses.
        fitting = {("0", "1")} if "0" in seen else {("1", "2")} if "2" in seen else {marks} & {("0", "1"), ("1", "2")}
        return next((pair for pair in fitting if pair and seen <= set(pair)), None)
    # `y` is a no's opposite more often than the second of two.
    return next((pair for pair in _SIDES if seen <= set(pair) and (pair != ("x", "y") or marks == pair)), None)
