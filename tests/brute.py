"""Near neighbours by plain Python over all pairs: written apart from the pipeline, which it is held against."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

SPACELESS = (
    (0x0E00, 0x0EFF),  # Thai and Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # ideographic marks
    (0x3041, 0x3096),  # Hiragana
    (0x30A1, 0x30FA),  # Katakana
    (0x3400, 0x4DBF),  # ideographs
    (0x4E00, 0x9FFF),
)
Sets = dict[int, set[tuple[str, ...]]]


def normal(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip().lower()


def words(text: str) -> list[str]:
    found = []
    text = re.sub("[\xad\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff]", "", text)
    # Python's own \w leaves out marks, such as the vowels of Thai and Hindi.
    letters = "".join(one if one == "_" or unicodedata.category(one)[0] in "LMN" else " " for one in text)
    for run in letters.split():
        word = ""
        for character in run:
            if any(low <= ord(character) <= high for low, high in SPACELESS):
                found += [word, character]
                word = ""
            else:
                word += character
        found.append(word)
    found = [word for word in found if word]
    return found or [character for character in text if not character.isspace()]


def runs(said: list[str], n: int) -> set[tuple[str, ...]]:
    return {tuple(said[i : i + n]) for i in range(len(said) - n + 1)}


def sets(text: str, threshold: float) -> Sets:
    """The sets of one text, by the length of their runs: its own, and the shorter one for shorter neighbours."""
    said = words(text)
    count = len(said)
    found: Sets = {}
    for n, least, most in ((3, 20, count), (2, 4, 19), (1, 1, 3)):
        cut = runs(said, n)
        # Longer texts have them too, if they have so few that they could be similar to a text of `most` words.
        if count >= least and (count <= most or len(cut) <= (most - n + 1) / threshold + 1e-9):
            found[n] = cut
    return found


def similarity(one: Sets, other: Sets) -> float:
    # By the runs of the shorter one: those of one of the two at least, not such as both have for shorter neighbours.
    shared = [(one[n], other[n]) for n in one if n in other and n in {max(one), max(other)}]
    return max((len(a & b) / len(a | b) for a, b in shared if a | b), default=0.0)


def near(left: list[str], right: list[str], threshold: float) -> dict[tuple[int, int], float]:
    """All pairs of a left and a right text that are near, by their places, with their similarity."""
    ours, theirs = ([sets(text, threshold) for text in texts] for texts in (left, right))
    return {
        (i, j): round(found, 6)
        for i, one in enumerate(ours)
        for j, other in enumerate(theirs)
        if (found := similarity(one, other)) >= threshold - 1e-9
    }


def near_some(left: Iterable[str], right: list[str], threshold: float) -> Iterator[tuple[str, str, float]]:
    """The same for many texts: only texts that share a run are compared, which all near ones do."""
    theirs = [sets(text, threshold) for text in right]
    holding = defaultdict(list)
    for place, held in enumerate(theirs):
        for run in {run for found in held.values() for run in found}:
            holding[run].append(place)
    for text in left:
        ours = sets(text, threshold)
        shared = Counter(place for found in ours.values() for run in found for place in holding.get(run, ()))
        for place in shared:
            found = similarity(ours, theirs[place])
            if found >= threshold - 1e-9:
                yield text, right[place], found
