"""Messages: lists of `{role, content}`, built from raw lists or plain texts."""

import json
from typing import Any

import polars as pl

from pipeline.core.mapping.candidates import Found
from pipeline.core.mapping.lists import regrouped
from pipeline.core.sidecar.specs import Messages
from schemas.columns import MESSAGES
from schemas.vocabulary import ROLES


def user_messages(texts: pl.Series) -> pl.Series:
    """Make each text a prompt of one user message; null stays null."""
    message = pl.struct(pl.lit("user").alias("role"), pl.lit(texts).alias("content"))
    built = pl.select(pl.when(pl.lit(texts.is_not_null())).then(pl.concat_list(message)).cast(MESSAGES).alias("prompt"))
    return built.to_series()


def messages_column(values: list[Any], spec: Messages) -> tuple[pl.Series, Found]:
    """Read raw message lists; a list of anything but messages is `wrong_type`, a strange role `unknown_role`."""
    wrong = [value is not None and not _is_messages(value, spec) for value in values]
    lists = [None if bad or value is None else value for value, bad in zip(values, wrong, strict=True)]
    role, names = spec.role, spec.roles
    roles = [[message[role] for message in value or ()] for value in lists]
    if names:
        roles = [[names.get(said, said) for said in found] for found in roles]
    known = set(ROLES)
    strange = [not known.issuperset(found) for found in roles]
    column = _regrouped(lists, roles, spec.content)
    if any(strange):
        column = pl.select(pl.when(~pl.lit(pl.Series(strange))).then(pl.lit(column)).alias("prompt")).to_series()
    return column, [
        ("wrong_type", pl.Series(wrong, dtype=pl.Boolean)),
        ("unknown_role", pl.Series(strange, dtype=pl.Boolean)),
    ]


def with_tools(messages: Any, tools: Any) -> Any:  # noqa: ANN401
    """Write the tools that a model could call into the system's message, or into one of its own where there is none.

    Prompts that differ in their tools alone are different prompts. A text stays as it is, a list is written as JSON.
    """
    if type(messages) is not list or tools in (None, "", [], {}, "[]"):
        return messages
    structured = type(tools) in {list, dict}
    text = json.dumps(tools, ensure_ascii=False, sort_keys=True, default=str) if structured else tools
    first = messages[0] if messages and type(messages[0]) is dict else {}
    system = first.get("content")
    if first.get("role") == "system" and type(system) is str and type(text) is str:
        return [{"role": "system", "content": f"{system}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def calls_tool(message: Any) -> bool:  # noqa: ANN401
    """Say whether a raw message calls a tool, in OpenAI's words: that is more than its text."""
    return type(message) is dict and bool(message.get("tool_calls") or message.get("function_call"))


def _is_messages(value: Any, spec: Messages) -> bool:  # noqa: ANN401
    return type(value) is list and all(
        type(message) is dict and type(message.get(spec.role)) is str and type(message.get(spec.content)) is str
        for message in value
    )


def _regrouped(lists: list[list[dict[str, str]] | None], roles: list[list[str]], content: str) -> pl.Series:
    members = {
        "role": pl.Series([role for found in roles for role in found], dtype=pl.String),
        "content": pl.Series([message[content] for value in lists for message in value or []], dtype=pl.String),
    }
    return regrouped([None if value is None else len(value) for value in lists], members, MESSAGES).alias("prompt")
