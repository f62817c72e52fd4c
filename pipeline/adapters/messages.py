"""Adapter `messages`: a prompt, a chosen and a rejected response, each a text or a list of `{role, content}`.

Written against TRL's preference sets (explicit and implicit prompt, as documented for 0.24), RewardBench (rows of
version 1, 2024, and of version 2, 2025), UltraFeedback Binarized (2023), and the lines of OpenAI's preference
fine-tuning (API description 2.3.0).
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.candidates import Batch, RawFile
from pipeline.core.mapping.fieldmap import Joined
from pipeline.core.mapping.messages import calls_tool, with_tools
from pipeline.core.mapping.verdicts import NoVerdict, Seen, Verdict, fills, read_verdicts
from pipeline.core.params import STRICT, build

GIVEN = fills("prompt", "response_a", "response_b", "preference", "presented_order")
NEEDS = ("annotator", "annotator_kind")
FILLS = tuple(GIVEN)
USES = ("join",)

_MOST_PAIRS = 1_000
_ROLES = {"developer": "system", "function": "tool"}


@dataclass(frozen=True, slots=True)
class Options:
    """What the sidecar's `options` may say: the paths of what is read; null where the records have no such thing."""

    __pydantic_config__ = STRICT
    prompt: str | None = "prompt"
    chosen: str = "chosen"
    rejected: str = "rejected"
    tools: str | None = "tools"

    def __post_init__(self) -> None:
        """Refuse paths into side files."""
        for option in fields(self):
            if ":" in (getattr(self, option.name) or ""):
                msg = f"options: `{option.name}` is a path of the record itself, without a side"
                raise PairtrailError(msg)


@dataclass(frozen=True, slots=True)
class _Answer:
    """One response with what was said before it, and why it cannot be written."""

    before: Any
    text: Any
    fault: str | None = None


def read(file: RawFile) -> Iterator[Batch]:
    """Yield a file's batches: each chosen response against each rejected one; response a is the chosen one."""
    options = build(Options, file.source.sidecar.options, f"{file.source.name}: options")
    return read_verdicts(file, partial(find, options=options), GIVEN)


def find(seen: Seen, options: Options) -> list[Verdict] | NoVerdict:
    """Find a record's verdicts: one, or where responses are lists of texts, one for each two of them."""
    record = Joined([seen.content])
    prompt, tools = (None if path is None else record.at(path)[0] for path in (options.prompt, options.tools))
    chosen, rejected = (_responses(record.at(path)[0]) for path in (options.chosen, options.rejected))
    if not chosen or not rejected:
        return NoVerdict("one_response")
    if len(chosen) * len(rejected) > _MOST_PAIRS:
        return [Verdict({}, fault="too_many_responses")]
    return [_compared(prompt, tools, one, other) for one in chosen for other in rejected]


def _responses(value: Any) -> list[Any]:  # noqa: ANN401
    """Read a list of texts as several responses, and anything else as one."""
    return value if type(value) is list and all(type(one) is str for one in value) else [value]


def _compared(prompt: Any, tools: Any, chosen: Any, rejected: Any) -> Verdict:  # noqa: ANN401
    a, b = _answer(prompt, chosen), _answer(prompt, rejected)
    values = {"prompt": with_tools(a.before, tools), "response_a": a.text, "response_b": b.text, "preference": "a"}
    called = "not_one_text" if _is_talk(prompt) and any(map(calls_tool, prompt)) else None
    differ = "contexts_differ" if a.before != b.before else None
    return Verdict(values, fault=called or a.fault or b.fault or differ)


def _answer(prompt: Any, given: Any) -> _Answer:  # noqa: ANN401
    """Part a response from what was said before it: the prompt, or all messages but the last."""
    before = [{"role": "user", "content": prompt}] if type(prompt) is str else _named(prompt)
    if not _is_talk(given):
        return _Answer(before, given)
    talk = _named(given)
    rest = talk[-1:]
    if _is_talk(prompt):
        # Some repeat the prompt in both responses.
        rest = talk[len(before) :] if talk[: len(before)] == before else talk
    elif prompt is None or (type(prompt) is str and len(talk) > 1):
        before = talk[:-1]
    return _Answer(before, rest[-1]["content"] if rest else None, _fault(prompt, given, before, rest))


def _fault(prompt: Any, given: list[Any], before: Any, rest: list[Any]) -> str | None:  # noqa: ANN401
    if len(rest) != 1 or any(map(calls_tool, given)):
        return "not_one_text"
    if type(prompt) is str and {"role": "user", "content": prompt.strip()} not in map(_stripped, before):
        return "contexts_differ"
    return None if rest[0]["role"] == "assistant" else "no_assistant_turn"


def _stripped(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    return {**message, "content": content.strip() if type(content) is str else content}


def _is_talk(value: Any) -> bool:  # noqa: ANN401
    return type(value) is list and all(type(message) is dict for message in value)


def _named(value: Any) -> Any:  # noqa: ANN401
    """Name the roles of a list of messages; anything else is judged as it stands."""
    if not _is_talk(value):
        return value
    roles = [message.get("role") for message in value]
    named = [_ROLES.get(role, role) if type(role) is str else role for role in roles]
    return [{"role": role, "content": message.get("content")} for role, message in zip(named, value, strict=True)]


_SHAPES = (
    Options(),
    Options(prompt="input.messages", chosen="preferred_output", rejected="non_preferred_output", tools="input.tools"),
)
_FIELDS = {"model_a": "chosen_model", "model_b": "rejected_model", "category": "subset"}


def guess(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Tell a prompt with chosen and rejected responses, in one of the known shapes, from other records."""
    for options in _SHAPES:
        if records and all(_fits(record, options) for record in records):
            shown = {field.name: getattr(options, field.name) for field in fields(options) if options != _SHAPES[0]}
            seen = {name: path for name, path in _FIELDS.items() if all(path in record for record in records)}
            return {"options": shown, "fields": seen}
    return None


def _fits(record: dict[str, Any], options: Options) -> bool:
    prompt, chosen, rejected = (Joined([record]).at(str(path))[0] for path in _paths(options))
    if "instruction" in record or "conversations" in record:
        return False
    talks = [_is_talk(value) and bool(value) and "role" in value[0] for value in (chosen, rejected)]
    texts = [bool(_responses(value)) and type(_responses(value)[0]) is str for value in (chosen, rejected)]
    return all(talks) or (all(texts) and (type(prompt) is str or _is_talk(prompt)))


def _paths(options: Options) -> tuple[str | None, str, str]:
    return options.prompt, options.chosen, options.rejected
