"""Adapter `oasst`: Open-Assistant's message trees, whose sibling replies volunteers ranked.

Written against the export format of the Open-Assistant data module, 2023 (releases OASST1 and OASST2): message trees
with nested `replies`, or the same messages one by one with a `message_tree_id`, as the Parquet releases hold them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, pairwise
from typing import Any, Literal

from pipeline.core.digests import digest_text
from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.candidates import Batch, RawFile
from pipeline.core.mapping.grouping import Key, read_groups
from pipeline.core.mapping.verdicts import NoVerdict, Seen, Verdict, fills, read_verdicts
from pipeline.core.params import STRICT, build

_Message = dict[str, Any]
_Found = tuple[Verdict, list[_Message]]
"""A verdict and the messages, besides those before it, that it draws on."""

GIVEN = fills("prompt", "response_a", "response_b", "preference", "presented_order", "model_a", "model_b")
NEEDS = ("annotator", "annotator_kind")
FILLS = tuple(GIVEN)
USES, SORTS = ("join",), True

_MOST_SIBLINGS = 50
# Trees cannot be deeper, as the reader's limit is 64 levels, of which a message takes two.
_MOST_BEFORE = 32
_ROLES = {"prompter": "user"}
_TREE_KEYS = {"message_tree_id", "prompt"}
_MESSAGE_KEYS = {"message_tree_id", "message_id", "parent_id", "role", "text", "rank"}


@dataclass(frozen=True, slots=True)
class Options:
    """What the sidecar's `options` may say."""

    __pydantic_config__ = STRICT
    layout: Literal["trees", "messages"] = "trees"
    pairs: Literal["all", "adjacent"] = "all"


def read(file: RawFile) -> Iterator[Batch]:
    """Yield a file's batches: each pair of ranked sibling replies of the assistant is a comparison."""
    options = build(Options, file.source.sidecar.options, f"{file.source.name}: options")
    if options.layout == "trees":
        return read_verdicts(file, partial(of_tree, pairs=options.pairs), GIVEN)
    if file.source.consent_refs:
        msg = (
            f"{file.source.name}: consent_refs: they would name the author of response a alone; read the trees instead"
        )
        raise PairtrailError(msg)
    return read_groups(file, _tree_of, partial(of_messages, pairs=options.pairs), GIVEN, lambda _: "not_ranked")


def of_tree(seen: Seen, pairs: str) -> list[Verdict] | NoVerdict:
    """Find a tree's verdicts; a tree without two ranked siblings of the assistant is `not_ranked`."""
    root = seen.content.get("prompt")
    if root is None:
        return [Verdict({}, fault="missing_field")]
    return list(_below(root, [], pairs)) or NoVerdict("not_ranked")


def _below(message: Any, before: list[_Message], pairs: str) -> Iterator[Verdict]:  # noqa: ANN401
    replies = message.get("replies") if type(message) is dict else "no message"
    if replies is None:
        replies = []
    if type(replies) is not list:
        yield Verdict({}, fault="wrong_type")
        return
    path = [*before, message]
    yield from (verdict for verdict, _ in _of_siblings(path, replies, pairs))
    for reply in replies:
        yield from _below(reply, path, pairs)


def _tree_of(seen: Seen) -> Key | Verdict:
    """Name the tree of a message that stands alone."""
    ids = [seen.content.get(name) for name in ("message_tree_id", "message_id")]
    if None in ids:
        return Verdict({}, fault="missing_field")
    if {type(one) for one in (*ids, seen.content.get("parent_id"))} <= {str, type(None)}:
        return (ids[0],)
    return Verdict({}, fault="wrong_type")


def of_messages(members: list[Seen], pairs: str) -> Iterator[Verdict]:
    """Find the verdicts in one tree's messages; each draws on its siblings and on the messages before them."""
    known: dict[str, Seen | None] = {}
    replies: dict[str, list[Seen]] = {}
    for seen in members:
        # Two contents under one id name nothing.
        known[seen.content["message_id"]] = None if seen.content["message_id"] in known else seen
        if (parent := seen.content.get("parent_id")) is not None:
            replies.setdefault(parent, []).append(seen)
    for parent in sorted(replies):
        place = {id(seen.content): seen for seen in replies[parent]}
        before = _path(parent, known)
        path = None if before is None else [seen.content for seen in before]
        for verdict, drawn in _of_siblings(path, [seen.content for seen in replies[parent]], pairs):
            yield replace(verdict, of=(*(place[id(message)] for message in drawn), *(before or ())))


def _path(message_id: str, known: dict[str, Seen | None]) -> list[Seen] | None:
    """Return the messages from the root down to one; None where one is not there, or where there is no root."""
    path: list[Seen] = []
    step: str | None = message_id
    while step is not None:
        seen = known.get(step)
        if seen is None or len(path) == _MOST_BEFORE:
            return None
        path.append(seen)
        step = seen.content.get("parent_id")
    return path[::-1]


def _of_siblings(path: list[_Message] | None, siblings: list[Any], pairs: str) -> Iterator[_Found]:
    """Compare the ranked siblings; what prompters wrote is no response, whatever its rank."""
    ranked: list[_Message] = []
    for one in siblings:
        if type(one) is not dict or one.get("rank") is None or one.get("role") == "prompter":
            continue
        if type(one["rank"]) is int and one.get("role") == "assistant":
            ranked.append(one)
        else:
            yield Verdict({}, fault="unknown_role" if type(one["rank"]) is int else "wrong_type"), [one]
    if len(ranked) > _MOST_SIBLINGS:
        yield Verdict({}, fault="too_many_responses"), ranked
        return
    ranked.sort(key=lambda one: (one["rank"], *_by_text(one)))
    for better, worse in combinations(ranked, 2) if pairs == "all" else pairwise(ranked):
        yield _compared(path, better, worse)


def _compared(path: list[_Message] | None, better: _Message, worse: _Message) -> _Found:
    """Compare two siblings: which is response a hangs on their texts; equal ranks are a tie."""
    a, b = sorted((better, worse), key=_by_text)
    values = {
        "prompt": None if path is None else [_shown(message) for message in path],
        "response_a": a.get("text"),
        "response_b": b.get("text"),
        "preference": "tie" if a["rank"] == b["rank"] else "a" if a is better else "b",
        "model_a": a.get("model_name"),
        "model_b": b.get("model_name"),
    }
    ids = [one.get("message_id") for one in (a, b)]
    fault = None if all(type(one) is str for one in ids) else "missing_field" if None in ids else "wrong_type"
    withdrawn = not all(_stands(message) for message in (*(path or ()), a, b))
    return Verdict(values, key=digest_text(*map(str, ids)), fault="withdrawn" if withdrawn else fault), [a, b]


def _by_text(message: _Message) -> tuple[str, str]:
    return str(message.get("text")), str(message.get("message_id"))


def _shown(message: _Message) -> _Message:
    role = message.get("role")
    return {"role": _ROLES.get(role, role) if type(role) is str else role, "content": message.get("text")}


def _stands(message: _Message) -> bool:
    """Say whether a message is neither deleted nor found to be spam; whoever says anything strange withholds it."""
    return message.get("deleted") in (None, False) and message.get("review_result") in (None, True)


def guess(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Tell trees, and messages that name their tree, from other records."""
    people = {"annotator": {"constant": None}, "annotator_kind": {"constant": "human"}}
    if not records:
        return None
    if all(record.keys() >= _TREE_KEYS and _is_root(record["prompt"]) for record in records):
        return {"options": {"layout": "trees"}, "fields": {**people, "language": "prompt.lang"}}
    if all(record.keys() >= _MESSAGE_KEYS for record in records):
        return {"options": {"layout": "messages"}, "fields": {**people, "language": "lang"}}
    return None


def _is_root(prompt: Any) -> bool:  # noqa: ANN401
    return type(prompt) is dict and prompt.keys() >= {"message_id", "text", "role"}
