"""What stands in a column, whatever its type: texts, or messages."""

import json
from typing import Any

import polars as pl

from pipeline.core.guessing.columns import ROLES
from schemas.columns import MESSAGES

_ROLES = {
    **ROLES,
    **dict.fromkeys(("chatgpt", "bing", "bard", "claude", "[/inst]", "function_call"), "assistant"),
    "[inst]": "user",
    "developer": "system",
}
_ROLE_KEYS, _CONTENT_KEYS, _LIST_KEYS = ("role", "from"), ("content", "value"), ("messages", "conversations")
# How a list or an object begins where it stands as JSON in a text.
JSON = r"^\s*[\[{]"
# Stands before a list or an object that is no text and was written as one, as its column holds texts.
MARK = "\x00"


def typed(met: pl.DataType) -> pl.DataType:
    """Return the type that a column is read by, given that of its first values.

    Where that says too little (no list had an element yet) it is read as texts. Messages get all keys that messages
    may have, as later ones may use others.
    """
    found = _settled(met)
    return found if found is not None and found.is_nested() else pl.String()


def _settled(met: pl.DataType) -> pl.DataType | None:
    if isinstance(met, pl.List):
        inner = _settled(met.inner) if isinstance(met.inner, pl.DataType) else None
        return None if inner is None else pl.List(inner)
    if isinstance(met, pl.Struct):
        fields = {field.name: _settled(field.dtype) for field in met.fields if isinstance(field.dtype, pl.DataType)}
        kept = {name: kind for name, kind in fields.items() if kind is not None}
        if set(fields) & {*_ROLE_KEYS}:
            kept = {**dict.fromkeys((*_ROLE_KEYS, *_CONTENT_KEYS), pl.String()), **kept}
        if lists := [kept[name] for name in _LIST_KEYS if name in kept]:
            kept = {**dict.fromkeys(_LIST_KEYS, lists[0]), **kept}
        return pl.Struct(kept) if kept else None
    return None if met == pl.Null else met


def texts_in(column: pl.Series) -> pl.Series:
    """Return the texts of a column; null where something else stands."""
    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        texts = column.cast(pl.String)
        return texts.set(texts.str.starts_with(MARK).fill_null(value=False), None)
    return pl.repeat(None, len(column), dtype=pl.String, eager=True).alias(column.name)


def messages_in(column: pl.Series) -> pl.Series:
    """Return the messages of a column; null where something else stands.

    Messages are a list of them, a single one, a list of texts (the user's turns), any of these under `messages`, or
    any of these as JSON in a text.
    """
    if isinstance(column.dtype, pl.Struct):
        fields = {field.name for field in column.dtype.fields}
        if inner := [messages_in(column.struct.field(name)) for name in _LIST_KEYS if name in fields]:
            return pl.select(pl.coalesce(inner)).to_series()
        alone = column.to_frame("said").select(pl.when(pl.col("said").is_not_null()).then(pl.concat_list("said")))
        return messages_in(alone.to_series())
    if isinstance(column.dtype, pl.List):
        return _in_lists(column)
    if column.dtype != pl.String:
        return _decoded([None] * len(column))
    whole = column.str.strip_prefix(MARK)
    looked_at = whole.set(~whole.str.contains(JSON).fill_null(value=False), None)
    return _decoded([None if text is None else _read(text) for text in looked_at])


def _in_lists(column: pl.Series) -> pl.Series:
    inner = column.dtype.inner if isinstance(column.dtype, pl.List) else None
    if inner == pl.String:
        turn = pl.struct(role=pl.lit("user"), content=pl.element())
        return pl.select(pl.lit(column).list.drop_nulls().list.eval(turn).cast(MESSAGES)).to_series()
    fields = {field.name: field.dtype for field in inner.fields} if isinstance(inner, pl.Struct) else {}
    roles = [pl.element().struct.field(name) for name in _ROLE_KEYS if fields.get(name) == pl.String]
    contents = [name for name in _CONTENT_KEYS if name in fields]
    if not roles or not contents or any(fields[name] != pl.String for name in contents):
        return _decoded(column.to_list())
    role = pl.coalesce(roles).str.strip_chars().str.to_lowercase().replace(_ROLES)
    content = pl.coalesce(pl.element().struct.field(name) for name in contents)
    said = pl.select(pl.lit(column).list.drop_nulls().list.eval(pl.struct(role=role, content=content))).to_series()
    return _with_parts(said.cast(MESSAGES))


def _with_parts(said: pl.Series) -> pl.Series:
    """Read contents that are a list of parts, which stand as JSON where others are texts."""
    holds = said.list.eval(pl.element().struct.field("content").str.contains(JSON)).list.any().fill_null(value=False)
    if not holds.any():
        return said
    read = len(said) - 1 + holds.cast(pl.Int64).cum_sum()
    places = pl.select(pl.when(holds).then(read).otherwise(pl.int_range(len(said)))).to_series()
    return said.append(_decoded(said.filter(holds).to_list())).gather(places)


def once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members. Raises KeyError for a key that is there twice: readers differ on which counts."""
    made = dict(members)
    if len(made) != len(members):
        raise KeyError
    return made


def _read(text: str) -> Any:  # noqa: ANN401
    try:
        return json.loads(text, strict=False, object_pairs_hook=once)
    except (KeyError, ValueError, RecursionError):
        return None


def _decoded(values: list[Any]) -> pl.Series:
    """Do the same for plain values, one by one: what no column's type tells."""
    return pl.Series("said", [_messages(value) for value in values], dtype=MESSAGES)


def _messages(value: Any) -> list[dict[str, str]] | None:  # noqa: ANN401
    if isinstance(value, dict):
        inner = next((value[name] for name in _LIST_KEYS if value.get(name) is not None), None)
        return _messages(inner if inner is not None else [value])
    if not isinstance(value, list) or not value:
        return None
    if len(value) == 1 and isinstance(value[0], list):
        return _messages(value[0])
    found = [_message(one) for one in value if one is not None]
    return None if None in found else [message for message in found if message is not None]


def _message(value: Any) -> dict[str, str] | None:  # noqa: ANN401
    if isinstance(value, str):
        return {"role": "user", "content": _sound(value)}
    if not isinstance(value, dict) or not any(isinstance(value.get(key), str) for key in _ROLE_KEYS):
        return None
    role = next(value[key] for key in _ROLE_KEYS if isinstance(value.get(key), str)).strip().lower()
    content = next((value[key] for key in _CONTENT_KEYS if value.get(key) is not None), "")
    return {"role": _ROLES.get(role, _sound(role)), "content": _sound(_content(content))}


def _content(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, str):
        inside = _read(value) if value.lstrip()[:1] in ("[", "{") else None
        return _parts(inside) or value
    return _parts(value) or json.dumps(value, ensure_ascii=False)


def _parts(value: Any) -> str | None:  # noqa: ANN401
    """Join the texts of a list of parts, as messages with pictures have them; None where it is none."""
    texts = [part.get("text") for part in value if isinstance(part, dict)] if isinstance(value, list) else []
    return "\n".join(text for text in texts if isinstance(text, str)) or None


def _sound(text: str) -> str:
    """Replace halves of surrogate pairs, which no column can hold."""
    return text.encode("utf-8", "replace").decode()


def asked_in(history: pl.Series) -> pl.Series:
    """Return what was asked in a history, which is a list of [asked, answered]: a list of texts, empty for none."""
    if history.dtype == pl.List(pl.List(pl.String)):
        first = pl.element().list.first()
        return pl.select(pl.lit(history).list.eval(first).list.drop_nulls().fill_null([])).to_series()
    held = history.str.strip_prefix(MARK) if history.dtype == pl.String else texts_in(history)
    values = [_read(text) if text else None for text in held]
    turns = [value if isinstance(value, list) else [] for value in values]
    asked = [[turn[0] for turn in one if isinstance(turn, list) and turn] for one in turns]
    texts = [[_sound(text) for text in one if isinstance(text, str)] for one in asked]
    return pl.Series("asked", texts, dtype=pl.List(pl.String))
