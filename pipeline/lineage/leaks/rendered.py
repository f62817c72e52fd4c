"""Prompts that a chat template rendered into one text, taken apart again where the template is known by its marks.

Marks such as `Q:` may stand in any text, so that several templates may fit one: it is read by each of them.
"""

from dataclasses import dataclass

import polars as pl

from schemas.columns import MESSAGES


@dataclass(frozen=True, slots=True)
class Template:
    """How turns are marked: a pattern that begins one and captures its role, a pattern for marks that say nothing."""

    begins: str
    marks: str
    roles: tuple[tuple[str, str], ...]
    """The role that each captured word, in lower case, stands for; another one is no turn of the user's."""


_PLAIN = (("user", "user"), ("assistant", "assistant"), ("system", "system"), ("tool", "tool"), ("model", "assistant"))
_SPOKEN = (
    *(("instruction", "user"), ("input", "user"), ("human", "user"), ("user", "user")),
    *(("response", "assistant"), ("assistant", "assistant"), ("ai", "assistant")),
)
_HEADINGS = r"(?:^|\n)\s*### ?(Instruction|Input|Response|System|Human|User|Assistant):"
TEMPLATES = {
    "ChatML": Template(r"<\|im_start\|>\s*(\w+)", r"<\|im_end\|>|<\|endoftext\|>", _PLAIN),
    "Llama 3": Template(r"<\|start_header_id\|>\s*(\w+)\s*<\|end_header_id\|>", r"<\|eot_id\|>", _PLAIN),
    "Gemma": Template(r"<start_of_turn>\s*(\w+)", r"<end_of_turn>|<eos>", _PLAIN),
    "Zephyr and Phi": Template(r"<\|(system|user|assistant)\|>", r"</s>|<\|end\|>|<\|endoftext\|>", _PLAIN),
    "Llama 2 and Mistral": Template(
        r"(\[/?INST\])", r"(?s)<<SYS>>.*?<</SYS>>|</?s>", (("[inst]", "user"), ("[/inst]", "assistant"))
    ),
    "transcript": Template(
        r"(?:^|\n\n)(Human|Assistant):", r"<\|endoftext\|>", (("human", "user"), ("assistant", "assistant"))
    ),
    # What stands between the two marks is one turn: the input is what the instruction is about.
    "Alpaca": Template(_HEADINGS, r"### ?Input:|</s>|<\|endoftext\|>", _SPOKEN),
    "Vicuna": Template(r"(?:^|\s|</s>)(USER|ASSISTANT):", r"</s>\s*$", _PLAIN),
    "speakers on lines": Template(
        r"(?:^|\n)\s*(Human|User|Assistant|AI|System):", r"</s>|<\|endoftext\|>", (*_PLAIN, *_SPOKEN)
    ),
    "questions and answers": Template(
        r"(?:^|\n)\s*(Q|A|Question|Answer):", r"</s>|<\|endoftext\|>", (("q", "user"), ("question", "user"))
    ),
}
# The same with the input as a turn of its own.
_ALPACA_APART = Template(_HEADINGS, r"</s>|<\|endoftext\|>", _SPOKEN)
# Cannot stand in a text that anybody wrote by hand; where it does, it divides a turn in two and hides nothing.
_MARK = "\x00"


def unrendered(texts: pl.Series) -> tuple[pl.Series, pl.DataFrame]:
    """Take texts apart: the messages of each by the first template that fits, null for none; and all other readings.

    The latter: `place`, `said`; by each further template that fits, and of Alpaca's instruction and input each alone.
    """
    given = texts.alias("text").to_frame().with_row_index("place")
    every = pl.concat(_by(template, given) for template in TEMPLATES.values())
    first = every["place"].is_first_distinct()
    further = pl.concat([every.filter(~first), _alone(_by(_ALPACA_APART, given))])
    return given.join(every.filter(first), on="place", how="left", maintain_order="left")["said"], further


def _alone(cut: pl.DataFrame) -> pl.DataFrame:
    """Make each turn of the user's, where there are several, a conversation of its own."""
    asked = pl.element().filter(pl.element().struct.field("role") == "user")
    several = cut.with_columns(pl.col("said").list.eval(asked)).filter(pl.col("said").list.len() > 1)
    return several.explode("said").with_columns(pl.concat_list("said").cast(MESSAGES))


def _by(template: Template, given: pl.DataFrame) -> pl.DataFrame:
    """Cut the texts that hold a turn of the user's; what stands before the first turn is none."""
    fitting = given.filter(pl.col("text").str.contains(template.begins))
    marked = (
        pl.col("text")
        .str.replace_all(_MARK, " ", literal=True)
        .str.replace_all(template.marks, "")
        .str.replace_all(template.begins, f"{_MARK}${{1}}{_MARK}")
        .str.split(_MARK)
    )
    part = pl.element()
    turn = pl.struct(
        role=part.slice(1).gather_every(2).str.to_lowercase().replace(dict(template.roles)),
        content=part.slice(2).gather_every(2).str.strip_chars(),
    )
    cut = fitting.select("place", said=marked.list.eval(turn).cast(MESSAGES))
    asked = pl.element().struct.field("role") == "user"
    return cut.filter(pl.col("said").list.eval(asked).list.any())
