"""Adapter `sharegpt`: the preference and KTO sets that LLaMA-Factory trains on, in ShareGPT or Alpaca shape.

Written against the data formats that LLaMA-Factory documented in 2025 (`data/README.md`): `conversations` with
`chosen` and `rejected` messages; `instruction` and `input` with `chosen` and `rejected` texts; both with a KTO label.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, product
from typing import Any, Literal

from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.apart import told_apart
from pipeline.core.mapping.candidates import Batch, RawFile
from pipeline.core.mapping.grouping import Key, read_groups
from pipeline.core.mapping.messages import calls_tool, with_tools
from pipeline.core.mapping.verdicts import NoVerdict, Seen, Verdict, fills, read_verdicts
from pipeline.core.params import STRICT, build
from pipeline.core.sidecar.specs import AnySpec
from schemas.vocabulary import ROLES

GIVEN = fills("prompt", "response_a", "response_b", "preference", "presented_order")
NEEDS = ("annotator", "annotator_kind")
FILLS = tuple(GIVEN)
USES = ("join",)

_MOST_PAIRS = 1_000
_TAGS = {
    **dict(zip(ROLES, ROLES, strict=True)),
    "human": "user",
    "gpt": "assistant",
    "function_call": "assistant",
    "observation": "tool",
}
_SIDES = ("_a", "_b")
_MEDIA = ("images", "videos", "audios")
# Stands in a verdict whose only fault is the one that it names.
_NOTHING_MISSING: dict[str, Any] = {"prompt": [], "response_a": "", "response_b": ""}
# What must be the same in two labels, as consent must, so that together they are one verdict.
_SAME = ("annotator", "annotator_kind", "policy_version", "rubric_version")


@dataclass(frozen=True, slots=True)
class Options:
    """What the sidecar's `options` may say."""

    __pydantic_config__ = STRICT
    messages: str = "conversations"
    role: str = "from"
    content: str = "value"
    tags: dict[str, Literal["system", "user", "assistant", "tool"]] = field(default_factory=dict)
    label: str | None = None


def read(file: RawFile) -> Iterator[Batch]:
    """Yield a file's batches: a chosen and a rejected response per record, or labels that meet at one prompt."""
    options = build(Options, file.source.sidecar.options, f"{file.source.name}: options")
    if options.label is None:
        return read_verdicts(file, partial(of_pair, options=options), GIVEN)
    specs = dict(file.variants())[None]
    _refuse_sided(file.source.name, specs)
    consent = [spec for ref in file.source.consent_refs for spec in (ref.subject, ref.consent_id)]
    same = [*(specs[name] for name in _SAME if name in specs), *consent]
    key_of = partial(_asked, options=options, label=options.label, same=same)
    pair = partial(of_labels, options=options, label=options.label)
    return read_groups(file, key_of, pair, GIVEN, lambda _: "one_label")


def _refuse_sided(name: str, specs: Mapping[str, AnySpec]) -> None:
    """Refuse fields that a label's record states of itself, and that would be read as said of the comparison."""
    sided = [field for field, spec in specs.items() if spec.paths() and (field == "event_id" or field[-2:] in _SIDES)]
    if sided:
        msg = f"{name}: {', '.join(sorted(sided))}: a labelled record speaks of one response alone; take it out"
        raise PairtrailError(msg)


def of_pair(seen: Seen, options: Options) -> list[Verdict] | NoVerdict:
    """Compare a record's chosen with its rejected response; response a is the chosen one."""
    given = [seen.content.get(name) for name in ("chosen", "rejected")]
    if given == [None, None]:
        return NoVerdict("one_response")
    (chosen, fault), (rejected, other) = (_response(value, options) for value in given)
    prompt = _talk(seen.content, options)
    values = {"prompt": prompt, "response_a": chosen, "response_b": rejected, "preference": "a"}
    return [Verdict(values, fault=_beyond_text(seen.content, options) or fault or other)]


def _response(value: Any, options: Options) -> tuple[Any, str | None]:  # noqa: ANN401
    """Take the text out of a message, which must be the assistant's."""
    if type(value) is not dict:
        return value, None
    message = _named(value, options)
    return message["content"], None if message["role"] == "assistant" else "no_assistant_turn"


def _asked(seen: Seen, options: Options, label: str, same: list[AnySpec]) -> Key | NoVerdict | Verdict:
    """Name the prompt that a label is about, and whose label it is."""
    stated = seen.content.get(label)
    if stated is None:
        return NoVerdict("not_judged")
    talk = _answered(seen.content, options)
    fault = _beyond_text(seen.content, options) or _unfit(talk) or (None if type(stated) is bool else "wrong_type")
    if fault is not None:
        return Verdict(_NOTHING_MISSING, fault=fault)
    return (json.dumps(talk[:-1], ensure_ascii=False, sort_keys=True, default=str), told_apart(seen, same))


def _unfit(talk: Any) -> str | None:  # noqa: ANN401
    """Say why a labelled conversation cannot be written; it is grouped by its text, before the field map judges it."""
    if type(talk) is not list:
        return "missing_field" if talk is None else "wrong_type"
    if talk and type(talk[-1]) is dict and talk[-1]["content"] is None:
        return "missing_field"
    if not all(type(one) is dict and type(one["content"]) is str for one in talk):
        return "wrong_type"
    if not all(one["role"] in ROLES for one in talk):
        return "unknown_role"
    return None if talk and talk[-1]["role"] == "assistant" else "no_assistant_turn"


def of_labels(members: list[Seen], options: Options, label: str) -> Iterator[Verdict]:
    """Compare each response that was labelled true with each that was labelled false."""
    good, bad = ([seen for seen in members if seen.content[label] is value] for value in (True, False))
    if len(good) * len(bad) > _MOST_PAIRS:
        yield Verdict({}, fault="too_many_responses", of=tuple(members))
        return
    for better, worse in product(good, bad):
        *prompt, chosen = _answered(better.content, options)
        rejected = _answered(worse.content, options)[-1]
        a, b = sorted((chosen["content"], rejected["content"]))
        preference = "a" if chosen["content"] == a else "b"
        values = {"prompt": prompt, "response_a": a, "response_b": b, "preference": preference}
        yield Verdict(values, of=(better, worse))


def _answered(record: dict[str, Any], options: Options) -> Any:  # noqa: ANN401
    """Return a labelled record's messages, the response last."""
    talk = _talk(record, options)
    if _is_alpaca(record, options) and type(talk) is list:
        return [*talk, {"role": "assistant", "content": record.get("output")}]
    return talk


def _talk(record: dict[str, Any], options: Options) -> Any:  # noqa: ANN401
    """Return a record's conversation as messages, with its system prompt and tools before it."""
    talk = _alpaca(record, options) if _is_alpaca(record, options) else record.get(options.messages)
    if type(talk) is not list:
        return talk
    talk = [_named(message, options) if type(message) is dict else message for message in talk]
    system = record.get("system")
    if system not in (None, "") and not (talk and type(talk[0]) is dict and talk[0]["role"] == "system"):
        talk = [{"role": "system", "content": system}, *talk]
    return with_tools(talk, record.get("tools"))


def _beyond_text(record: dict[str, Any], options: Options) -> str | None:
    """Name the fault of a record with images, videos or sounds, or whose messages call tools beside their text."""
    talk = record.get(options.messages)
    said = [*(talk if type(talk) is list else ()), record.get("chosen"), record.get("rejected")]
    return "not_one_text" if any(map(record.get, _MEDIA)) or any(map(calls_tool, said)) else None


def _is_alpaca(record: dict[str, Any], options: Options) -> bool:
    return record.get(options.messages) is None and "instruction" in record


def _named(message: dict[str, Any], options: Options) -> dict[str, Any]:
    role = message.get(options.role)
    tags = {**_TAGS, **options.tags}
    return {"role": tags.get(role, role) if type(role) is str else role, "content": message.get(options.content)}


def _alpaca(record: dict[str, Any], options: Options) -> list[Any]:
    """Build messages of history, instruction and input, the last two joined by a line end as LLaMA-Factory does."""
    history = record.get("history") or []
    turns = history if type(history) is list else [history]
    if not all(type(turn) is list and len(turn) == 2 for turn in turns):  # noqa: PLR2004
        return [None]
    asked = [part for part in (record.get("instruction"), record.get("input")) if part not in (None, "")]
    text = "\n".join(asked) if all(type(part) is str for part in asked) else asked
    said = [text for turn in turns for text in turn] + [text]
    return [{options.role: role, options.content: content} for role, content in zip(cycle(("user", "assistant")), said)]


def guess(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Tell conversations or instructions with a chosen and a rejected response, or with a label, from other records."""
    if not records:
        return None
    for options in (Options(), Options(messages="messages", role="role", content="content")):
        talks = [record.get(options.messages) for record in records]
        if not all(type(talk) is list and talk and _is_said(talk[0], options) for talk in talks):
            continue
        named = {name: getattr(options, name) for name in ("messages", "role", "content") if options != Options()}
        if all(_is_said(record.get(name), options) for record in records for name in ("chosen", "rejected")):
            return {"options": named, "fields": {}}
        return _labelled(records, named)
    if not all(type(record.get("instruction")) is str for record in records):
        return None
    if all(type(record.get(name)) is str for record in records for name in ("chosen", "rejected")):
        return {"options": {}, "fields": {}}
    return _labelled(records, {}) if all(type(record.get("output")) is str for record in records) else None


def _is_said(message: Any, options: Options) -> bool:  # noqa: ANN401
    return type(message) is dict and type(message.get(options.role)) is str and options.content in message


def _labelled(records: list[dict[str, Any]], named: dict[str, Any]) -> dict[str, Any] | None:
    for label in ("label", "kto_tag"):
        if all(type(record.get(label)) is bool for record in records):
            return {"options": {**named, "label": label}, "fields": {}}
    return None
