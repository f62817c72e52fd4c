"""Invented prompts and responses in four languages, from word lists of our own; better responses say more."""

import json
from dataclasses import dataclass, field, replace
from math import exp
from pathlib import Path
from random import Random

from pipeline.demo.ledger import Message, Prompt, digest, folded
from pipeline.demo.people import MODELS, between, chance, noise, pick, pick_some

LANGUAGES = ("en", "de", "es", "ja")
_PARAGRAPH = 4


@dataclass(frozen=True, slots=True)
class Lexicon:
    """One language's sentences, with `{thing}`, `{place}`, `{who}` and `{n}` to be filled in."""

    space: str
    polite: str
    places: list[str]
    topics: dict[str, list[str]]
    goals: list[str]
    circumstances: list[str]
    wishes: list[str]
    followups: list[str]
    good: list[str]
    weak: list[str]
    unsafe: list[str]
    who: list[str]
    refuse: list[str]
    partial: list[str]
    comply: list[str]


def load_lexicons() -> dict[str, Lexicon]:
    """Read the word lists that lie beside this file."""
    folder = Path(__file__).parent / "lexicon"
    return {name: Lexicon(**json.loads((folder / f"{name}.json").read_text("utf-8"))) for name in LANGUAGES}


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt with two responses, where they come from, and how good they are."""

    prompt: Prompt
    responses: tuple[str, str]
    models: tuple[str, str]
    qualities: tuple[float, float]
    language: str
    topic: str
    thing: str
    behaviours: tuple[str, str] = ("comply", "comply")

    def opening(self) -> str:
        """Return the first message of the user."""
        return next(text for role, text in self.prompt if role == "user")


@dataclass(slots=True)
class Author:
    """Who writes the items of one source; `seen` is shared, so that no two sources write the same prompt by chance."""

    rng: Random
    words: int
    lexicons: dict[str, Lexicon]
    seen: set[bytes]
    marks: list[str] = field(default_factory=list)

    def item(self, *, language: str | None = None, turns: int = 1, clauses: int = 0) -> Item:
        """Write an item with a new prompt; without a number of clauses, its opening has one to three."""
        name = language or pick(self.rng, LANGUAGES)
        topic = pick(self.rng, sorted(self.lexicons[name].topics))
        thing = pick(self.rng, self.lexicons[name].topics[topic])
        count = clauses or 1 + chance(self.rng, 0.7) + chance(self.rng, 0.3)
        opening = ("user", self.lexicons[name].space.join(self.clauses(name, thing, count)))
        item = Item((opening,), ("", ""), ("", ""), (0.0, 0.0), name, topic, thing)
        return self.continued(item, turns)

    def ticket(self) -> Item:
        """Write an item whose prompt is a subject and, after a blank line, the details (or none)."""
        item = self.item()
        lexicon = self.lexicons[item.language]
        count = 1 + chance(self.rng, 0.9) + chance(self.rng, 0.4)
        subject, *details = self.clauses(item.language, item.thing, count)
        text = f"{subject}\n\n{lexicon.space.join(details)}".strip()
        return replace(item, prompt=(("user", text),))

    def unsafe_item(self, language: str) -> Item:
        """Write a request that would harm somebody; its answers come later."""
        lexicon = self.lexicons[language]
        while True:
            text = self.filled(pick(self.rng, lexicon.unsafe), lexicon, "")
            identity = digest(folded(text).lower())
            if identity not in self.seen:
                self.seen.add(identity)
                one, two = pick_some(self.rng, sorted(MODELS), 2)
                return Item((("user", text),), ("", ""), (one, two), (0.0, 0.0), language, "harm", "")

    def behaving(self, item: Item, *, unsafe: bool) -> Item:
        """Write the responses again, so that they show the item's behaviours; they differ."""
        lexicon = self.lexicons[item.language]
        pools = {"refuse": lexicon.refuse, "partial": lexicon.partial, "comply": lexicon.comply}

        def written(place: int) -> str:
            behaviour = item.behaviours[place]
            if behaviour == "comply" and not unsafe:
                return self.response(lexicon, item.qualities[place], item.thing)
            count = max(1, self.words // 12)
            return lexicon.space.join(
                self.filled(pick(self.rng, pools[behaviour]), lexicon, item.thing) for _ in range(count)
            )

        first = second = written(0)
        while second == first:
            second = written(1)
        return replace(item, responses=(first, second))

    def clauses(self, language: str, thing: str, count: int) -> list[str]:
        """Write the sentences of a prompt that nobody has written before."""
        lexicon = self.lexicons[language]
        while True:
            parts = [pick(self.rng, choices) for choices in (lexicon.goals, lexicon.circumstances, lexicon.wishes)]
            written = [self.filled(part, lexicon, thing) for part in parts[:count]]
            identity = digest(folded("".join(written)).lower())
            if identity not in self.seen:
                self.seen.add(identity)
                return written
            count = 3

    def continued(self, item: Item, turns: int) -> Item:
        """Let a conversation grow from an item's first message, to two new responses."""
        lexicon = self.lexicons[item.language]
        messages: list[Message] = [("user", item.opening())]
        for _ in range(turns - 1):
            messages.append(("assistant", self.response(lexicon, 0.5, item.thing)))
            messages.append(("user", self.filled(pick(self.rng, lexicon.followups), lexicon, item.thing)))
        return self.answered(replace(item, prompt=tuple(messages)))

    def answered(self, item: Item) -> Item:
        """Let two models answer; the responses differ."""
        one, two = pick_some(self.rng, sorted(MODELS), 2)
        qualities = (MODELS[one] + 0.8 * noise(self.rng), MODELS[two] + 0.8 * noise(self.rng))
        lexicon = self.lexicons[item.language]
        first = second = self.response(lexicon, qualities[0], item.thing)
        while second == first:
            second = self.response(lexicon, qualities[1], item.thing)
        return replace(item, responses=(first, second), models=(one, two), qualities=qualities)

    def response(self, lexicon: Lexicon, quality: float, thing: str) -> str:
        """Write sentences until there are enough words; each is a good one the likelier, the better the response."""
        target = self.words * (0.6 + 0.8 * self.rng.random())
        share = 1 / (1 + exp(-1.8 * quality))
        sentences: list[str] = []
        while target > 0:
            pool = lexicon.good if self.rng.random() < share else lexicon.weak
            sentence = self.filled(pick(self.rng, pool), lexicon, thing)
            target -= sentence.count(" ") + 1 if lexicon.space else len(sentence) / 3
            sentences.append(sentence)
        starts = range(0, len(sentences), _PARAGRAPH)
        return "\n\n".join(lexicon.space.join(sentences[start : start + _PARAGRAPH]) for start in starts)

    def filled(self, sentence: str, lexicon: Lexicon, thing: str) -> str:
        """Fill a sentence's gaps."""
        place, who = pick(self.rng, lexicon.places), pick(self.rng, lexicon.who)
        return sentence.format(thing=thing, place=place, who=who, n=between(self.rng, 2, 99))

    def marked(self, item: Item) -> Item:
        """Write a recognisable word into every text of an item that is to be quarantined or dropped."""
        mark = self.mark()
        messages = tuple((role, f"{content} {mark}") for role, content in item.prompt)
        one, two = item.responses
        return replace(item, prompt=messages, responses=(f"{one} {mark}", f"{two} {mark}"))

    def mark(self) -> str:
        """Return a word that stands nowhere else."""
        self.marks.append(f"zzmark{len(self.marks) + 1}")
        return self.marks[-1]
