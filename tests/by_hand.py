"""What a build must publish and how two must differ, worked out in plain Python, with nothing of the pipeline.

Ids, sides, near neighbours, folding, withholding and the counts of a diff are written here anew, as the docs tell them,
for prompts of one user turn in plain ASCII; so that what is compared with the pipeline did not come from it.
"""

import hmac
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple, TypeAlias

SALT, EPOCH, SHARE, NEAR = "salt", "1", 0.2, 0.7


class Verdict(NamedTuple):
    """One annotator's verdict on the two responses to a prompt, as the raw record states it."""

    prompt: str
    annotator: str
    preference: str
    rubric: str = "r-1"
    policy: str = "p-1"


Key: TypeAlias = tuple[str, str, str]
"""Of a row: prompt, policy, rubric."""


class Row(NamedTuple):
    """A published row: its side, its table, the response that was chosen, and the votes for a, b and neither."""

    side: str
    table: str
    chosen: str | None
    votes: tuple[int, int, int]


@dataclass(frozen=True)
class Build:
    """What stands in the project when a release is built."""

    version: str
    as_of: str
    files: Mapping[str, tuple[Verdict, ...]]
    rubrics: tuple[str, ...] = ("r-1",)
    policies: tuple[str, ...] = ("p-1",)
    withdrawn: frozenset[str] = frozenset()

    @property
    def ingested(self) -> frozenset[Verdict]:
        """Every verdict once: a verdict that is delivered again is the same one."""
        return frozenset(verdict for file in self.files.values() for verdict in file)

    @property
    def accepted(self) -> frozenset[Verdict]:
        return frozenset(
            one
            for one in self.ingested
            if one.rubric in self.rubrics and one.policy in self.policies and one.annotator not in self.withdrawn
        )


class Published(NamedTuple):
    """What a build publishes: rows by their keys, and the votes behind them."""

    rows: dict[Key, Row]
    votes: frozenset[Verdict]

    @property
    def given_away(self) -> frozenset[str]:
        """The prompts that may be trained on from now on."""
        return frozenset(key[0] for key, row in self.rows.items() if row.side != "heldout")


def _framed(*parts: str) -> bytes:
    return b"".join(b"%d:%b," % (len(part.encode()), part.encode()) for part in parts)


def match_key(prompt: str) -> str:
    return _digest("match", prompt)


def root(prompt: str) -> str:
    return _digest("root", prompt)


def _digest(kind: str, prompt: str) -> str:
    return sha256(_framed(kind, "nfkc-fold-1", _framed(prompt.lower()).decode())).hexdigest()[:32]


def record_digest(line: bytes, key: str) -> str:
    return hmac.new(key.encode(), line, "sha256").hexdigest()[:32]


def side(prompt: str, salt: str = SALT) -> str:
    hashed = hmac.new(salt.encode(), _framed("side", EPOCH, root(prompt)), "sha256").hexdigest()
    place = int(hashed[:13], 16) / 16**13
    return "heldout" if place < SHARE else "validation" if place < 2 * SHARE else "train"


def near(one: str, other: str) -> bool:
    """Jaccard's similarity of runs of two words, for prompts of 4 to 19 words."""
    runs, others = (set(pairwise(words)) for words in (one.split(), other.split()))
    return len(runs & others) >= NEAR * len(runs | others)


def published(build: Build, given_away: frozenset[str]) -> Published:
    """Fold what is accepted and not withheld; `given_away` are the prompts of train and validation of releases."""
    stays = {prompt for prompt in _prompts(build.accepted) if not withheld(prompt, build, given_away)}
    votes = frozenset(one for one in build.accepted if one.prompt in stays)
    by_row: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    for one in votes:
        by_row[one.prompt, one.policy, one.rubric][one.preference] += 1
    return Published({key: _folded(key[0], counts) for key, counts in by_row.items()}, votes)


def _folded(prompt: str, counts: Counter[str]) -> Row:
    votes = (counts["a"], counts["b"], counts["tie"])
    chosen = next((name for name in ("a", "b") if 2 * counts[name] > sum(votes)), None)
    return Row(side(prompt), "pairs" if chosen else "ties", chosen, votes)


def withheld(prompt: str, build: Build, given_away: frozenset[str]) -> str | None:
    """Say why split withholds a prompt: strictness grows from train over validation to heldout."""
    beside = {other for other in _prompts(build.ingested) - {prompt} if near(prompt, other)}
    stand = beside & _prompts(build.accepted)
    if side(prompt) == "heldout":
        return "seen_in_training" if given_away & {prompt, *beside} else None
    if any(side(one) == "heldout" and not _seen(one, build, given_away) for one in stand):
        return "near_heldout"
    tuned = side(prompt) == "train" and any(side(one) == "validation" for one in stand)
    return "near_validation" if tuned else None


def _seen(prompt: str, build: Build, given_away: frozenset[str]) -> bool:
    return any(near(prompt, one) for one in given_away & _prompts(build.ingested)) or prompt in given_away


def _prompts(verdicts: Iterable[Verdict]) -> set[str]:
    return {one.prompt for one in verdicts}


def changes(old: Build, new: Build, before: Published, after: Published) -> dict[str, dict[str, int]]:
    """Count what a diff must count: rows, votes, and the kinds of change of which there is any."""
    stand = before.rows.keys() & after.rows.keys()
    removed, added = before.rows.keys() - stand, after.rows.keys() - stand
    tables = {key for key in stand if before.rows[key].table != after.rows[key].table}
    turned = {key for key in stand - tables if before.rows[key].chosen != after.rows[key].chosen}
    left, came = before.votes - after.votes, after.votes - before.votes
    freed = came & old.ingested
    kinds = {
        "removed": len(removed),
        "added": len(added),
        "rubric_changed": sum(any(key[0] == other[0] for other in added) for key in removed),
        "relabelled": len(turned),
        "moved_table": len(tables),
        "votes_added": sum((one.prompt, one.policy, one.rubric) in stand for one in came),
        "votes_removed": sum((one.prompt, one.policy, one.rubric) in stand for one in left),
        "votes_restated": sum((one.prompt, one.policy, one.rubric) in tables for one in before.votes & after.votes),
        "withheld": len(left & new.ingested),
        "freed": len(freed),
    }
    return {
        "rows": {
            "before": len(before.rows),
            "after": len(after.rows),
            "stand": len(stand),
            "unchanged": len(stand - tables - turned),
            "removed": len(removed),
            "added": len(added),
        },
        "votes": {
            "before": len(before.votes),
            "after": len(after.votes),
            "stand": len(before.votes & after.votes),
            "withheld": len(left & new.ingested),
            "not_ingested": len(left - new.ingested),
            "freed": len(freed),
            "new": len(came - freed),
        },
        "kinds": {kind: count for kind, count in kinds.items() if count},
    }
