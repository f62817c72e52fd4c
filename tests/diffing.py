"""Published datasets written from plain values, and a slow diff of those values: plain Python, row by row."""

import json
from dataclasses import dataclass, field, replace
from hashlib import md5
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl
from hypothesis import strategies as st

from pipeline.core.project import Project
from schemas.columns import dtypes
from schemas.decisions import DEDUPE, SPLIT, VALIDATE
from schemas.published import PUBLISHED
from schemas.vocabulary import SIDES

Key: TypeAlias = tuple[str, str, str]
KINDS_OF_LABELS = ("template_id", "safety", "adjudication_id", "prompt_id", "category", "language")
_SCHEMAS = {"validate": VALIDATE, "dedupe": DEDUPE, "split": SPLIT}


def named(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Row:
    """A pair or tie; what is said of its two responses stands left and right, whichever was chosen."""

    key: Key
    side: str = "train"
    chosen: str | None = "left"
    prompt: tuple[str, ...] = ("Why?",)
    texts: tuple[str, str] = ("yes", "no")
    strength: float | None = 0.5
    purposes: tuple[str, ...] = ("ai-alignment",)
    license: str = "CC0-1.0"
    labels: tuple[str | None, ...] = (None,) * len(KINDS_OF_LABELS)
    models: tuple[str | None, str | None] = (None, None)
    counts: tuple[int, int, int, int] = (1, 0, 0, 0)
    agreement: float | None = None
    fold: str = "human"
    sources: tuple[str, ...] = ("s",)

    @property
    def table(self) -> str:
        return "ties" if self.chosen is None else "pairs"

    @property
    def root(self) -> str:
        return named(f"root {self.key[0]}"[:6])

    def label(self, name: str) -> str | None:
        return self.labels[KINDS_OF_LABELS.index(name)]

    def published(self) -> dict[str, Any]:
        """The row as its table has it: chosen first, or a tie's responses in the order of their texts."""
        first = (
            ["left", "right"].index(self.chosen) if self.chosen else int(self.texts[0].strip() > self.texts[1].strip())
        )
        order = (first, 1 - first)
        names = ("chosen", "rejected") if self.chosen else ("a", "b")
        texts = names if self.chosen else ("response_a", "response_b")
        counts = [*(self.counts[place] for place in order), *self.counts[2:]]
        p = (counts[0] + (counts[2] + counts[3]) / 2) / max(sum(counts), 1)
        return {
            **dict(zip(("pair_id", "policy_version", "rubric_version"), self.key, strict=True)),
            **dict(zip(KINDS_OF_LABELS, self.labels, strict=True)),
            **{name: self.texts[place] for name, place in zip(texts, order, strict=True)},
            **{f"model_{name}": self.models[place] for name, place in zip(names, order, strict=True)},
            "root_id": self.root,
            "prompt": [{"role": "user", "content": text} for text in self.prompt],
            "votes": dict(zip((*names, "tie", "both_bad"), counts, strict=True)),
            f"p_{names[0]}": round(p, 9),
            **({"strength": self.strength} if self.chosen else {}),
            "agreement": self.agreement,
            "fold": self.fold,
            "license": self.license,
            "purposes": list(self.purposes),
            "sources": list(self.sources),
            "comparison_ids": [],
        }


@dataclass(frozen=True)
class Vote:
    """A verdict on a row."""

    key: Key
    source: str = "s"
    preference: str = "a"
    strength: float | None = None
    number: int | None = 1


@dataclass
class World:
    """A build: rows, votes by comparison, and for comparisons that are none the stage and reason that dropped them."""

    rows: dict[Key, Row] = field(default_factory=dict)
    votes: dict[str, Vote] = field(default_factory=dict)
    dropped: dict[str, tuple[str, str]] = field(default_factory=dict)
    events: dict[str, tuple[str, ...]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def write(self, root: Path) -> Project:
        project = Project(root)
        for place, schema in PUBLISHED.items():
            side, table = place.removesuffix(".parquet").split("/")
            told = self._votes(side) if table == "votes" else self._rows(side, table)
            types = dtypes(schema)
            frame = pl.DataFrame([{name: row.get(name) for name in types} for row in told], schema=types)
            path = project.stage("publish") / place
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.sort("pair_id", "policy_version", "rubric_version").write_parquet(path)
        for stage, schema in _SCHEMAS.items():
            types = dtypes(schema)
            frame = pl.DataFrame(self._decided(stage, list(types)), schema=types).sort("comparison_id")
            project.decisions(stage).parent.mkdir(parents=True, exist_ok=True)
            frame.write_parquet(project.decisions(stage))
        manifest = {"key_fingerprint": "k", "normalisation": "n", "split": {"epoch": 1}, "policies": {}, "rubrics": {}}
        (project.stage("publish") / "manifest.json").write_text(json.dumps({**manifest, **self.facts}))
        return project

    def _rows(self, side: str, table: str) -> list[dict[str, Any]]:
        marked = {"canary": "one"} if side == "heldout" else {}
        return [{**row.published(), **marked} for row in self.rows.values() if (row.side, row.table) == (side, table)]

    def _votes(self, side: str) -> list[dict[str, Any]]:
        return [
            {
                **dict(zip(("pair_id", "policy_version", "rubric_version"), vote.key, strict=True)),
                "comparison_id": name,
                "table": self.rows[vote.key].table,
                "folded": True,
                "preference": vote.preference,
                "strength": vote.strength,
                "annotator_number": vote.number,
                "annotator_kind": "human",
                "source": vote.source,
            }
            for name, vote in self.votes.items()
            if self.rows[vote.key].side == side
        ]

    def _decided(self, stage: str, columns: list[str]) -> list[dict[str, Any]]:
        """Every comparison that reached the stage: those that an earlier one dropped did not."""
        order = list(_SCHEMAS)
        reached = [
            *self.votes,
            *(name for name, (by, _) in self.dropped.items() if order.index(by) >= order.index(stage)),
        ]
        found = []
        for name in reached:
            by, reason = self.dropped.get(name, (None, None))
            row: dict[str, Any] = {
                "comparison_id": name,
                "drop_reason": reason if by == stage else None,
                "side": "train",
            }
            row |= {"purposes": [], "consent_events": list(self.events.get(name, ()))}
            found.append({column: row.get(column) for column in columns})
        return found


Change: TypeAlias = tuple[str, Key, str | None, frozenset[str], str | None, str | None, str, str | None, str | None]


def slow_diff(old: World, new: World) -> set[Change]:
    """All changes: kind, key, comparison, reasons, side before and after, sources, category, language."""
    left, came = fates(old, new), fates(new, old, otherwise="new")
    found: set[Change] = set()
    for key in {*old.rows, *new.rows}:
        before, after = old.rows.get(key), new.rows.get(key)
        voted = bool(leaving(key, old, new) or leaving(key, new, old))
        if before and after:
            told = standing(before, after, voted=voted)
        elif before:
            told = {"removed": {why(left, leaving(key, old, new))}}
            others = [other for other in new.rows if other[0] == key[0] and other not in old.rows]
            if others:
                policy, rubric = (any(other[place] == key[place] for other in others) for place in (1, 2))
                told["rubric_changed"] = (
                    {"rubric_version"}
                    if policy
                    else {"policy_version"}
                    if rubric
                    else {"policy_version", "rubric_version"}
                )
        else:
            assert after
            told = {"added": {why(came, leaving(key, new, old))}}
            stood = sorted({row.side for row in old.rows.values() if row.root == after.root} - {after.side})
            if stood:
                told["moved_root"] = {f"{stood[0]} to {after.side}"}
        row = after or before
        assert row
        sides = (before.side if before else None, after.side if after else None)
        for kind, reasons in told.items():
            labels = (row.label("category"), row.label("language"))
            found.add((kind, key, None, frozenset(reasons), *sides, " + ".join(row.sources), *labels))
    return found | vote_changes(old, new, left, came)


def fates(old: World, new: World, otherwise: str = "not_ingested") -> dict[str, str]:
    """Why votes of one build are none of the other, or of another row."""
    found = {}
    for name, vote in old.votes.items():
        if name not in new.votes:
            found[name] = ": ".join(new.dropped[name]) if name in new.dropped else otherwise
        elif new.votes[name].key != vote.key:
            found[name] = "other_row"
    return found


def leaving(key: Key, old: World, new: World) -> list[str]:
    return [
        name
        for name, vote in old.votes.items()
        if vote.key == key and (name not in new.votes or new.votes[name].key != key)
    ]


def why(fate: dict[str, str], names: list[str]) -> str:
    reasons = {fate[name] for name in names}
    return reasons.pop() if len(reasons) == 1 else "several" if reasons else "unknown"


def standing(before: Row, after: Row, *, voted: bool) -> dict[str, set[str]]:  # noqa: C901  # a rule each
    told: dict[str, set[str]] = {}
    votes = {"votes_changed" if voted else "same_votes"}
    if before.side != after.side:
        told["moved_side"] = {f"{before.side} to {after.side}"}
    if before.table != after.table:
        told["moved_table"] = {"majority_won" if before.table == "ties" else "majority_lost"}
    if before.chosen and after.chosen:
        if before.chosen != after.chosen:
            told["relabelled"] = votes
        elif before.strength != after.strength:
            told["strength_changed"] = votes
    edited = {name for name, ends in (("prompt", "prompt"), ("responses", "texts")) if differ(before, after, ends)}
    if edited:
        told["text_edited"] = edited
    lost, gained = ({*one.purposes} - {*other.purposes} for one, other in ((before, after), (after, before)))
    if lost or gained:
        told["purposes_changed"] = {"exchanged" if lost and gained else "lost" if lost else "gained"}
    if before.license != after.license:
        told["license_changed"] = {f"{before.license} to {after.license}"}
    labels = {name for name in KINDS_OF_LABELS if before.label(name) != after.label(name)}
    labels |= {"model"} if before.models != after.models else set()
    labels |= {"canary"} if (before.side == "heldout") != (after.side == "heldout") else set()
    if labels:
        told["labels_changed"] = labels
    if not voted and (folded := folds(before, after)):
        told["folded_otherwise"] = folded
    return told


def differ(before: Row, after: Row, name: str) -> bool:
    return bool(getattr(before, name) != getattr(after, name))


def folds(before: Row, after: Row) -> set[str]:
    found = {name for name in ("agreement", "fold", "sources") if differ(before, after, name)}
    if before.counts != after.counts:
        found.add("votes")
    shares = [
        round((row.counts[0] + (row.counts[2] + row.counts[3]) / 2) / max(sum(row.counts), 1), 9)
        if sum(row.counts)
        else None
        for row in (before, after)
    ]
    return found | ({"p"} if shares[0] != shares[1] else set())


def vote_changes(old: World, new: World, left: dict[str, str], came: dict[str, str]) -> set[Change]:
    found: set[Change] = set()

    def tell(kind: str, name: str, reasons: set[str], world: World) -> None:
        vote = world.votes[name]
        row = world.rows[vote.key]
        sides = [one.rows[one.votes[name].key].side if name in one.votes else None for one in (old, new)]
        labels = (row.label("category"), row.label("language"))
        found.add((kind, vote.key, name, frozenset(reasons), sides[0], sides[1], vote.source, *labels))

    for kinds, fate, world, other in (
        (("votes_removed", "withheld"), left, old, new),
        (("votes_added", "freed"), came, new, old),
    ):
        for name, reason in fate.items():
            if world.votes[name].key in other.rows:
                tell(kinds[0], name, {reason}, world)
            if name in other.dropped:
                tell(kinds[1], name, {reason}, world)
    for name in {*old.votes} & {*new.votes}:
        before, after = old.votes[name], new.votes[name]
        if before.key == after.key:
            said = {one for one in ("source", "preference", "strength") if getattr(before, one) != getattr(after, one)}
            said |= {"table"} if old.rows[before.key].table != new.rows[after.key].table else set()
            if said:
                tell("votes_restated", name, said, new)
        if old.events.get(name, ()) != new.events.get(name, ()):
            tell("consent_changed", name, {"same_purposes"}, new)
    return found


def changes_of(frame: pl.DataFrame) -> set[Change]:
    """The changes that the diff found, in the form of the slow one."""
    return {
        (row["kind"], (row["pair_id"], row["policy_version"], row["rubric_version"]), row["comparison_id"],
         frozenset(row["reason"].split(" + ")), row["side_before"], row["side_after"], row["sources"], row["category"],
         row["language"])
        for row in frame.to_dicts()
    }  # fmt: skip


PAIRS = [named(f"pair {number}") for number in range(3)]
KEYS = [(pair, policy, rubric) for pair in PAIRS for policy in ("p-1", "p-2") for rubric in ("r-1", "r-2")]
VERDICTS = {named(f"comparison {pair} {number}"): pair for pair in PAIRS for number in range(3)}
FATES = [("validate", "consent_withdrawn"), ("dedupe", "repeated"), ("split", "near_heldout")]
_EITHER: st.SearchStrategy[bool] = st.booleans()
_SOME_KEYS: st.SearchStrategy[list[Key]] = st.lists(st.sampled_from(KEYS), unique=True, max_size=5)
_LABEL = st.sampled_from([None, "one", "two"])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "side": st.sampled_from(SIDES),
    "chosen": st.sampled_from(["left", "right", None]),
    "prompt": st.sampled_from([("Why?",), ("Why? ",), ("Why", "?")]),
    "texts": st.sampled_from([("yes", "no"), ("yes ", "no"), ("yes", "\tno")]),
    "strength": st.sampled_from([None, 0.0, 0.25]),
    "purposes": st.sampled_from([(), ("x",), ("x", "y"), ("y",)]),
    "license": st.sampled_from(["CC0-1.0", "CC-BY-4.0"]),
    "labels": st.tuples(*[_LABEL] * len(KINDS_OF_LABELS)),
    "models": st.tuples(_LABEL, _LABEL),
    "counts": st.tuples(*[st.integers(1, 2)] * 4),
    "agreement": st.sampled_from([None, 0.5]),
    "fold": st.sampled_from(["human", "model"]),
    "sources": st.sampled_from([("s",), ("s", "t")]),
}


def _one_of(keys: list[Key]) -> st.SearchStrategy[Key]:
    return st.sampled_from(keys)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, World]:
    """Two builds whose rows and votes are often the same, or differ in one way."""
    old, new = World(), World()
    keys: list[Key] = draw(_SOME_KEYS)
    for key in keys:
        row = Row(key, **{name: draw(values) for name, values in FIELDS.items()})
        how: str = draw(st.sampled_from(["same", "one", "old", "new", "other"]))
        changed: str = draw(st.sampled_from(sorted(FIELDS)))
        fields = {
            "one": {changed: draw(FIELDS[changed])},
            "other": {name: draw(values) for name, values in FIELDS.items()},
        }
        if how != "new":
            old.rows[key] = row
        if how != "old":
            new.rows[key] = replace(row, **fields.get(how, {}))
    for name, pair in VERDICTS.items():
        same = draw(_EITHER)
        for world in (old, new):
            rows = [key for key in world.rows if key[0] == pair]
            if world is new and same and name in old.votes and old.votes[name].key in rows:
                world.votes[name], world.events[name] = old.votes[name], old.events[name]
            elif len(rows) > 0 and draw(_EITHER):
                said = draw(st.sampled_from([("s", "a"), ("t", "a"), ("s", "b")]))
                strength, number = draw(st.sampled_from([None, 0.5])), draw(st.integers(1, 2))
                world.votes[name] = Vote(draw(_one_of(rows)), *said, strength, number)
                world.events[name] = draw(st.sampled_from([(), ("e",), ("e", "f")]))
            elif draw(_EITHER):
                world.dropped[name] = draw(st.sampled_from(FATES))
    return old, new
