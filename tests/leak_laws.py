"""What split is given beside its rows, drawn from alphabets so small that everything touches; and its own three laws.

The laws are told again here from the given pairs, prompts and pins, row by row, and not as the stage finds them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

import polars as pl
from hypothesis import strategies as st

from pipeline.core.digests import digest_text, keyed_digest_text

ROOTS = [digest_text("root", str(number)) for number in range(9)]
# Two prompts grow from each root.
MATCHES = {digest_text("match", root, str(turn)): root for root in ROOTS for turn in range(2)}
CATEGORIES = [None, "code", "poetry"]
SOURCES = ["free", "bound", "silent"]
STRICTEST_LAST = ["train", "validation", "heldout"]


class _Case(Protocol):
    @property
    def comparisons(self) -> pl.DataFrame: ...
    @property
    def references(self) -> dict[str, pl.DataFrame]: ...


@dataclass(frozen=True)
class Leaks:
    """Near neighbours, released keys, pins and contaminated keys, as plain values."""

    near: list[tuple[str, str]] = field(default_factory=list)
    released: list[tuple[str, str]] = field(default_factory=list)
    pins: list[tuple[str, str, str]] = field(default_factory=list)
    contaminated: list[str] = field(default_factory=list)


def root_of(key: str) -> str:
    return MATCHES.get(key, key)


def _other(keys: list[str]) -> st.SearchStrategy[tuple[str, str]]:
    two = st.lists(st.sampled_from(keys), min_size=2, max_size=2, unique=True)
    return two.map(lambda pair: (min(pair), max(pair)))


_keys = st.sampled_from([*ROOTS, *MATCHES])
_selected = st.one_of(
    st.tuples(st.just("source"), st.sampled_from(SOURCES)),
    st.tuples(st.just("category"), st.sampled_from(["code", "poetry"])),
    st.tuples(st.just("root"), st.sampled_from(ROOTS)),
)
leaks = st.builds(
    Leaks,
    near=st.lists(st.one_of(_other(ROOTS), _other(list(MATCHES))), max_size=12, unique=True),
    released=st.lists(st.tuples(_keys, st.sampled_from(STRICTEST_LAST[:2])), max_size=5, unique=True),
    pins=st.lists(
        st.builds(lambda named, side: (*named, side), _selected, st.sampled_from(STRICTEST_LAST)), max_size=2
    ),
    contaminated=st.lists(_keys, max_size=2, unique=True),
)


def frames(given: Leaks, comparisons: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The references as the readers would give them, of the drawn comparisons."""
    pairs = [pair for a, b in given.near for pair in ((a, b), (b, a))]
    pins = [(f"pin {place}", *pin, True) for place, pin in enumerate(given.pins)]
    strings = dict.fromkeys(["place", "selector", "value", "side"], pl.String)
    sides: dict[str, str] = {}
    for row in comparisons.select("root_id", "source", "category").to_dicts():
        for side in matching(row, given.pins):
            sides[row["root_id"]] = max(sides.get(row["root_id"], side), side, key=STRICTEST_LAST.index)
    return {
        "near": standing([(a, b, root_of(b)) for a, b in pairs], comparisons),
        "released": _frame(given.released, key=pl.String, side=pl.String),
        "releases": _frame([("v1", len(given.released))], release=pl.String, prompts=pl.Int64),
        "pins": _frame(pins, **strings, matched=pl.Boolean),
        "pinned_roots": _frame(list(sides.items()), root_id=pl.String, side=pl.String),
        "contaminated": _frame([(key,) for key in given.contaminated], key=pl.String),
        "epochs": pl.DataFrame(
            [{"epoch": 1, "heldout": 0.3, "validation": 0.3, "normalisation": "as drawn", "recorded": 1}]
        ),
    }


def _frame(rows: Iterable[tuple[Any, ...]], **schema: Any) -> pl.DataFrame:  # noqa: ANN401
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def standing(pairs: list[tuple[str, str, str]], comparisons: pl.DataFrame) -> pl.DataFrame:
    """Near neighbours, and whether any of the comparisons is of the near one."""
    present = {*comparisons["root_id"], *comparisons["match_key"]}
    rows = [(key, near, root, near in present) for key, near, root in pairs]
    return _frame(rows, key=pl.String, near_key=pl.String, near_root=pl.String, stands=pl.Boolean)


def with_fewer(references: dict[str, pl.DataFrame], comparisons: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The references where dedupe kept these comparisons alone."""
    pairs = references["near"].drop("stands").rows()
    return references | {"near": standing(pairs, comparisons)}


def matching(row: dict[str, Any], pins: Iterable[tuple[str, str, str]]) -> set[str]:
    """To which sides a row is pinned."""
    columns = {"source": "source", "category": "category", "root": "root_id"}
    return {side for selector, value, side in pins if row[columns[selector]] == value}


def own_side(root: str) -> str:
    """By hand what the laws' parameters give: epoch 1, 0.3 held out, 0.3 for validation."""
    place = int(keyed_digest_text("salt", "side", "1", root)[:13], 16) / 16**13
    return "heldout" if place < 0.3 else "validation" if place < 0.6 else "train"


def _kept(run: Any, stage: ModuleType, given: _Case) -> list[dict[str, Any]]:  # noqa: ANN401
    decisions = run(stage, given.comparisons, given.references)
    if "side" not in decisions.columns:
        return []
    rows = given.comparisons.join(decisions, on="comparison_id").filter(pl.col("drop_reason").is_null())
    return rows.select("root_id", "match_key", "source", "category", "side").to_dicts()


def neighbours_stand_apart(run: Any, stage: ModuleType, given: _Case) -> None:  # noqa: ANN401
    """Among the kept rows, none of train is near one of heldout or validation, and none of validation near heldout."""
    kept = _kept(run, stage, given)
    pairs = set(given.references["near"].select("key", "near_key").iter_rows()) if kept else set()
    for one in kept:
        for other in kept:
            sides = (one["side"], other["side"])
            if STRICTEST_LAST.index(sides[0]) < STRICTEST_LAST.index(sides[1]):
                assert not pairs & {
                    (one[mine], other[theirs])
                    for mine in ("match_key", "root_id")
                    for theirs in ("match_key", "root_id")
                }


def what_was_seen_is_not_held_out(run: Any, stage: ModuleType, given: _Case) -> None:  # noqa: ANN401
    """No kept row of heldout was released in train or validation, nor is near what was; none is contaminated."""
    kept = _kept(run, stage, given)
    released = set(given.references["released"]["key"]) if kept else set()
    pairs = set(given.references["near"].select("key", "near_key").iter_rows()) if kept else set()
    bad = set(given.references["contaminated"]["key"]) if kept else set()
    for row in kept:
        keys = {row["match_key"], row["root_id"]}
        if row["side"] == "heldout":
            assert not keys & released
            assert not {(key, gone) for key in keys for gone in released} & pairs
        else:
            assert not keys & bad


def pins_move_only_their_own(run: Any, stage: ModuleType, given: _Case) -> None:  # noqa: ANN401
    """A root stands on the strictest side that it is pinned to, else on its own; no other row is moved along."""
    decisions = run(stage, given.comparisons, given.references)
    if "side" not in decisions.columns:
        return
    pins = given.references["pins"].select("selector", "value", "side").rows()
    rows = given.comparisons.join(decisions, on="comparison_id").to_dicts()
    for row in rows:
        of_root = [side for other in rows if other["root_id"] == row["root_id"] for side in matching(other, pins)]
        assert row["side"] == max(of_root, default=own_side(row["root_id"]), key=STRICTEST_LAST.index)
        if row["side"] != own_side(row["root_id"]) and row["side"] not in matching(row, pins):
            assert row["drop_reason"] is not None


LEAK_LAWS = (neighbours_stand_apart, what_was_seen_is_not_held_out, pins_move_only_their_own)
