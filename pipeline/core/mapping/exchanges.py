"""Exchanges: the prompt and the response that tracing tools keep as free-form input and output.

What is not understood is handed on as it is, so that the field map judges it; nothing is guessed from a key's name.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.core.mapping.fieldmap import Joined
from pipeline.core.mapping.messages import with_tools
from pipeline.core.mapping.sides import SideRecord
from pipeline.core.mapping.verdicts import Seen
from pipeline.core.raw.decoding import json_decoder
from pipeline.core.sidecar.specs import side_of

# How chat APIs and LangChain name the roles; what is not named here stands for itself.
_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "developer": "system", "function": "tool"}
_CLASSES = {"HumanMessage": "user", "AIMessage": "assistant", "SystemMessage": "system", "ToolMessage": "tool"}
_DEPTH = 64
_decode = json_decoder(_DEPTH)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One response to one prompt, and the model that generated it, as stated.

    `said` is the prompt without the tools that stand beside its messages: what an output that goes on with it repeats.
    """

    prompt: list[dict[str, str]]
    response: str
    model: Any
    said: Any = field(default=None, compare=False)


def stated_at(seen: Seen, path: str) -> Any:  # noqa: ANN401
    """Return what stands at a path of the record, or of a side record (`side:path`); None where nothing does."""
    side, inner = side_of(path)
    found = seen.sides.get(side) if side is not None else None
    record = seen.content if side is None else None if found is None else found.content
    return None if record is None else Joined([record]).at(inner)[0]


class Places(Protocol):
    """Where prompt, response and model stand in a side record, as an adapter's options state it."""

    @property
    def prompt(self) -> str:
        """The path of the input."""

    @property
    def response(self) -> str:
        """The path of the output."""

    @property
    def model(self) -> str:
        """The path of the model's name."""

    @property
    def json_texts(self) -> bool:
        """Whether a text that holds a JSON list or object is read as that."""


def exchange_in(side: SideRecord | None, places: Places) -> Exchange | str:
    """Read what a side record holds; where it is no single response to a prompt, return the reason."""
    if side is None:
        return "no_side_record"
    told = Joined([side.content])
    given, answered, model = (told.at(path)[0] for path in (places.prompt, places.response, places.model))
    return exchange_of(given, answered, model, json_texts=places.json_texts)


def exchange_of(given: Any, answered: Any, model: Any, *, json_texts: bool = False) -> Exchange | str:  # noqa: ANN401
    """Read an input and an output; where they are no prompt or no single response, return the reason."""
    if given is None or answered is None:
        return "missing_field"
    said, tools = _asked(given, json_texts=json_texts)
    prompt = with_tools(said, tools)
    response = response_of(answered, said, json_texts=json_texts)
    if not _is_prompt(prompt) or type(response) is not str:
        return "wrong_type"
    return Exchange(prompt, response, model, said)


def prompt_of(given: Any, *, json_texts: bool = False) -> Any:  # noqa: ANN401
    """Read an input as messages: a text, a message, a list of messages, or either under `messages` beside `tools`."""
    return with_tools(*_asked(given, json_texts=json_texts))


def _asked(given: Any, *, json_texts: bool) -> tuple[Any, Any]:  # noqa: ANN401
    """Read an input as its messages, and the tools beside them."""
    if json_texts and (inside := _decoded(given)) is not None and _is_prompt(prompt_of(inside)):
        return _asked(inside, json_texts=False)
    if type(given) is dict and type(given.get("messages")) is list:
        return _messages(given["messages"]), given.get("tools")
    return given if type(given) is dict and "messages" in given else _messages(given), None


def _messages(given: Any) -> Any:  # noqa: ANN401
    if type(given) is str:
        return [{"role": "user", "content": given}]
    if type(given) is dict:
        return [alone] if (alone := _message(given)) is not None else given
    if type(given) is list and len(given) == 1 and type(given[0]) is list:
        return _messages(given[0])
    read = [_message(one) for one in given] if type(given) is list else [None]
    return given if None in read else read


def response_of(answered: Any, prompt: Any, *, json_texts: bool = False) -> Any:  # noqa: ANN401
    """Read an output as one text: a text, a message of the assistant, or the only one of a known wrapping."""
    if json_texts and (inside := _decoded(answered)) is not None and type(read := response_of(inside, prompt)) is str:
        return read
    if type(answered) is list:
        return _last_of(answered, prompt)
    if type(answered) is not dict:
        return answered
    if (message := _message(answered)) is not None:
        return message["content"] if message["role"] == "assistant" else answered
    for name in ("output", "messages", "message", "choices", "generations"):
        if name in answered:
            return response_of(answered[name], prompt)
    text = answered.get("text")
    return text if type(text) is str else answered


def _last_of(answered: list[Any], prompt: Any) -> Any:  # noqa: ANN401
    """Return the one new entry of a list; several turns or samples are no single response."""
    read = [_message(one) for one in answered]
    told = len(prompt) if type(prompt) is list and read[: len(prompt)] == prompt else 0
    return response_of(answered[-1], prompt) if len(answered) == told + 1 else answered


def _message(raw: Any) -> dict[str, Any] | None:  # noqa: ANN401
    """Read a message as chat APIs write it, as LangChain does, or as LangChain serialises its classes."""
    if type(raw) is not dict:
        return None
    if type(inner := raw.get("kwargs")) is dict and type(names := raw.get("id")) is list and names:
        role = _CLASSES.get(names[-1]) if type(names[-1]) is str else None
        return None if role is None else {"role": role, "content": _text(inner)}
    role = raw.get("role", raw.get("type"))
    if type(role) is not str or "content" not in raw:
        return None
    return {"role": _ROLES.get(role, role), "content": _text(raw)}


def _text(message: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return a message's text; None where it calls a tool, and a list with an image in it as it is: they are more."""
    content, more = message.get("content"), message.get("additional_kwargs")
    calling = (message, more) if type(more) is dict else (message,)
    if any(one.get(name) for one in calling for name in ("tool_calls", "function_call")):
        return None
    if type(content) is not list:
        return content
    parts: list[Any] = [
        part.get("text") if type(part) is dict and part.get("type") == "text" else part for part in content
    ]
    return "".join(parts) if all(type(part) is str for part in parts) else content


def _is_prompt(prompt: Any) -> bool:  # noqa: ANN401
    return type(prompt) is list and all(
        type(one) is dict and type(one.get("role")) is str and type(one.get("content")) is str for one in prompt
    )


def _decoded(text: Any) -> Any:  # noqa: ANN401
    """Decode a text that holds a JSON list or object; None where it is anything else."""
    if type(text) is not str or not text.lstrip().startswith(("[", "{")):
        return None
    value, _ = _decode(b'{"":' + text.encode() + b"}")
    return value[""] if value is not None and list(value) == [""] else None
