"""Adapter `arena`: battles of two models as Chatbot Arena and LMArena log and publish them.

Written against the training file of the Kaggle competition "LMSYS - Chatbot Arena Human Preference Predictions" (2024,
55k battles), the cards of `arena-human-preference-140k` (2025) and `chatbot_arena_conversations` (2023), and the vote
log of FastChat 0.2.36 as its own `clean_battle_data.py` reads it.
"""

from collections.abc import Iterator
from typing import Any

from pipeline.core.mapping.candidates import Batch, RawFile
from pipeline.core.mapping.verdicts import NoVerdict, Seen, Verdict, fills, read_verdicts
from pipeline.core.params import written
from pipeline.core.raw.decoding import json_decoder

_VOTES = {"leftvote": "a", "rightvote": "b", "tievote": "tie", "bothbad_vote": "both_bad"}
_WINNERS = {"model_a": "a", "model_b": "b", "tie": "tie", "both_bad": "both_bad", "tie (bothbad)": "both_bad"}
_OF_ONE_RESPONSE = {"upvote", "downvote", "flag"}
_YES, _NO = {"1", "1.0", "true"}, {"0", "0.0", "false", ""}
_SIDES = ("a", "b")
_PAIR = ("conversation_a", "conversation_b", "winner", "model_a", "model_b")
_KAGGLE = ("prompt", "response_a", "response_b", "winner_model_a", "winner_model_b", "winner_tie")
_DEPTH = 8

_NAMES = ("prompt", "response_a", "response_b", "model_a", "model_b", "presented_order", "event_id")
_PREFERENCE = {"values": {**_VOTES, **_WINNERS}}
GIVEN = fills(*_NAMES, preference=_PREFERENCE)
# The log's own slices; what the sidecar says of them goes before it.
_SLICES = ("category", "language", "safety")

NEEDS = ("annotator", "annotator_kind")
FILLS = tuple(GIVEN)
USES = ()

_Messages = list[dict[str, Any]]


def read(file: RawFile) -> Iterator[Batch]:
    """Yield a file's battles; each record is one vote, or an event that is none."""
    mapped = dict(file.variants())[None]
    slices = [name for name in _SLICES if name not in mapped]
    return read_verdicts(file, find, fills(*_NAMES, *slices, preference=_PREFERENCE))


def find(seen: Seen) -> list[Verdict] | NoVerdict:
    """Tell by its keys which of the published shapes a record has, and read its verdict."""
    record = seen.content
    if "conversation_a" in record:
        return _conversations(record)
    if "response_a" in record:
        return _battle(record)
    return _logged(record)


def _logged(record: dict[str, Any]) -> list[Verdict] | NoVerdict:
    """Read an event of FastChat's log: only four of its types judge two responses."""
    kind, states, models = record.get("type"), record.get("states"), record.get("models")
    if type(kind) is not str:
        return [Verdict({}, fault="missing_field" if kind is None else "wrong_type")]
    if kind not in _VOTES:
        return NoVerdict("one_response" if kind in _OF_ONE_RESPONSE else "nothing_said")
    if type(states) is not list or len(states) != len(_SIDES) or not all(type(state) is dict for state in states):
        return [Verdict({}, fault="wrong_type")]
    shown = models if type(models) is list and len(models) == len(_SIDES) else [None, None]
    named = [state.get("model_name") or model for state, model in zip(states, shown, strict=True)]
    values = {"preference": kind, "presented_order": "ab", "model_a": named[0], "model_b": named[1]}
    return [_compared(_spoken(states[0]), _spoken(states[1]), values | _slices(record))]


def _spoken(state: dict[str, Any]) -> _Messages | None:
    """Return what was said after the template's own examples; the user speaks first where the roles have no names."""
    offset, messages, roles = state.get("offset", 0), state.get("messages"), state.get("roles")
    if type(messages) is not list or type(offset) is not int or not 0 <= offset <= len(messages):
        return None
    said = messages[offset:]
    if not all(type(one) is list and len(one) == len(_SIDES) and type(one[0]) is str for one in said):
        return None
    told = roles if type(roles) is list and all(type(role) is str for role in roles) else []
    if len(told) == len({*told}) == len(_SIDES):
        names = {told[0]: "user", told[1]: "assistant"}
        return [{"role": names.get(who, who), "content": text} for who, text in said]
    return [{"role": ("user", "assistant")[place % 2], "content": one[1]} for place, one in enumerate(said)]


def _conversations(record: dict[str, Any]) -> list[Verdict] | NoVerdict:
    """Read two conversations and a winner."""
    if record.get("winner") in (None, ""):
        return NoVerdict("not_judged")
    values = {
        "preference": record["winner"],
        # The 2023 layout is made from FastChat's log, where a stood on the left; the later ones do not say.
        "presented_order": "ab" if "tstamp" in record else None,
        "model_a": record.get("model_a"),
        "model_b": record.get("model_b"),
        "event_id": _vote(record),
    }
    sides = [_messages(record.get(f"conversation_{side}")) for side in _SIDES]
    earlier = _earlier(record, sides[0] or [])
    if earlier is None:
        return [_unlike(sides[0] or [], values)]
    whole = [
        None if side is None or before is None else [*before, *side]
        for before, side in zip(earlier, sides, strict=True)
    ]
    return [_compared(whole[0], whole[1], values | _slices(record))]


def _vote(record: dict[str, Any]) -> Any:  # noqa: ANN401
    """Name the vote: by its own id, else by its place in its session, as one session holds several votes."""
    session, order = record.get("evaluation_session_id"), record.get("evaluation_order")
    if record.get("id") is None and type(session) is str and type(order) is int:
        return f"{session}/{order}"
    return record.get("id")


def _earlier(record: dict[str, Any], conversation: _Messages) -> list[_Messages | None] | None:
    """Return, by side, the session's rounds before this vote's; None where the record does not hold them.

    After each vote new models are drawn, and `conversation_a` begins anew, but the models are shown all of it.
    """
    asked = sum(message["role"] == "user" for message in conversation)
    rounds, order = record.get("full_conversation"), record.get("evaluation_order")
    if rounds is None:
        return None if type(order) is int and order > max(asked, 1) else [[], []]
    if type(rounds) is not list or not all(type(one) is dict for one in rounds):
        return [None, None]
    before = rounds[: max(len(rounds) - asked, 0)]
    return [_messages([one.get(name) for one in before for name in ("user", f"model_side_{side}")]) for side in _SIDES]


def _messages(value: Any) -> _Messages | None:  # noqa: ANN401
    if type(value) is not list or not all(type(one) is dict for one in value):
        return None
    return [{"role": one.get("role"), "content": _text(one.get("content"))} for one in value]


def _text(content: Any) -> Any:  # noqa: ANN401
    """Join a message's typed parts where all are texts; anything else (an image, a null) is judged as it stands."""
    if type(content) is not list or not content or not all(type(part) is dict for part in content):
        return content
    texts = [part.get("text") for part in content if part.get("type") == "text" and part.get("image") is None]
    return "\n".join(texts) if len(texts) == len(content) and all(type(text) is str for text in texts) else content


def _battle(record: dict[str, Any]) -> list[Verdict] | NoVerdict:
    """Read a row of prompt, two responses and a winner; the Kaggle file writes all turns of each as a JSON list."""
    coded = "winner_model_a" in record
    winner = _flagged(record) if coded else record.get("winner")
    if winner in (None, ""):
        return NoVerdict("not_judged")
    turns: list[list[Any]] = []
    for name in ("prompt", "response_a", "response_b"):
        found, fault = _turns(record.get(name), coded=coded)
        if found is None:
            return [Verdict({}, fault=fault)]
        turns.append(found)
    prompts, *responses = turns
    if any(len(side) > len(prompts) for side in responses):
        return [Verdict({}, fault="wrong_type")]
    named = {f"model_{side}": record.get(f"model_{side}") for side in _SIDES}
    values = {"preference": winner, "event_id": _vote(record), **named, **_slices(record)}
    return [_compared(_woven(prompts, responses[0]), _woven(prompts, responses[1]), values)]


def _flagged(record: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return the one winner whose column holds 1, None where none does, and what no map knows for anything else."""
    columns = {name: written(record.get(f"winner_{name}", 0)) for name in ("model_a", "model_b", "tie")}
    said = [name for name, stated in columns.items() if stated in _YES]
    if len(said) > 1 or not set(columns.values()) <= _YES | _NO:
        return list(columns.values())
    return said[0] if said else None


def _turns(value: Any, *, coded: bool) -> tuple[list[Any] | None, str | None]:  # noqa: ANN401
    """Return the turns that a field holds, or its fault."""
    if value is None or value == "":
        return None, "missing_field"
    if type(value) is not str:
        return (value, None) if type(value) is list else (None, "wrong_type")
    if not coded:
        return [value], None
    held, _ = json_decoder(_DEPTH)(b'{"turns":%b}' % value.strip().encode())
    if held is None or len(held) > 1:
        return None, "broken_json"
    return (held["turns"], None) if type(held["turns"]) is list else (None, "wrong_type")


def _woven(prompts: list[Any], responses: list[Any]) -> _Messages:
    sides = (("user", prompts), ("assistant", responses))
    turns = range(len(prompts))
    return [{"role": role, "content": texts[turn]} for turn in turns for role, texts in sides if turn < len(texts)]


def _compared(a: _Messages | None, b: _Messages | None, values: dict[str, Any]) -> Verdict:
    """Compare the last answers of two conversations, which must be the same before them."""
    if a is None or b is None:
        return Verdict({}, fault="wrong_type")
    if not all(side and side[-1]["role"] == "assistant" for side in (a, b)):
        return Verdict({**values, "prompt": a, "response_a": "", "response_b": ""}, fault="no_assistant_turn")
    if a[:-1] != b[:-1]:
        return _unlike(a, values)
    answers = {"response_a": a[-1]["content"], "response_b": b[-1]["content"]}
    return Verdict({**values, **answers, "prompt": a[:-1]})


def _unlike(conversation: _Messages, values: dict[str, Any]) -> Verdict:
    """Say that two responses answer two contexts: nobody compared them as answers to one prompt."""
    return Verdict({**values, "prompt": conversation, "response_a": "", "response_b": ""}, fault="contexts_differ")


def _slices(record: dict[str, Any]) -> dict[str, Any]:
    """Return what the log itself says of its slices."""
    return {"category": _category(record), "language": record.get("language"), "safety": _safety(record)}


def _category(record: dict[str, Any]) -> str | None:
    """Name the categories that are tagged `true`, all of them, as nobody says which is the first."""
    tags = record.get("category_tag")
    stated = tags.items() if type(tags) is dict else ()
    names = {name for key, tag in stated if type(tag) is dict and tag.get(name := key.partition("_v")[0]) is True}
    return "+".join(sorted(names | ({"code"} if record.get("is_code") is True else set()))) or None


def _safety(record: dict[str, Any]) -> str | None:
    """Call a request unsafe where one of the log's taggers flags it, benign where all that speak do not."""
    toxic = record.get("toxic_chat_tag")
    taggers = [record.get("openai_moderation"), *(toxic.values() if type(toxic) is dict else ())]
    flags = {
        tagger.get("flagged") for tagger in taggers if type(tagger) is dict and type(tagger.get("flagged")) is bool
    }
    return ("unsafe" if True in flags else "benign") if flags else None


def guess(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Say what a sidecar would, where the records have one of the published shapes."""
    shapes = (("type", "tstamp", "ip"), (*_PAIR, "judge"), _PAIR, _KAGGLE)
    shared = set.intersection(*map(set, records)) if records else set()
    if not any(shared.issuperset(shape) for shape in shapes):
        return None
    who = next((name for name in ("judge", "ip") if name in shared), None)
    fields: dict[str, Any] = {"annotator": who or {"constant": None}, "annotator_kind": {"constant": "human"}}
    if "tstamp" in shared:
        fields["created_at"] = {"path": "tstamp", "unit": "seconds"}
    elif "timestamp" in shared:
        fields["created_at"] = "timestamp"
    return {"options": {}, "fields": fields}
