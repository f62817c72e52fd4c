"""Source `arena`: visitors vote between two assistants; JSON lines with nested fields, in several files."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import replace

from pipeline.demo.booth import Booth, as_entry, planted
from pipeline.demo.consents import enrolled
from pipeline.demo.ledger import Entry
from pipeline.demo.people import Annotator, better_of, chance, crew, pick, pick_some
from pipeline.demo.rawlog import Desk, parts, pour, remembering, sprinkled
from pipeline.demo.stories import ASKERS, VOTERS
from pipeline.demo.texts import Author, Item

_LARGEST_PART = 25_000
_CUT_AFTER = 5
_SHARED = 24
_REWRITTEN_BEFORE = 80
_GATED, _LIMITED = 0.08, 0.05
_COMPRESSED_PART = 2
_SYSTEM = ("system", "You are the arena's assistant. Answer in the language of the question.")


def write_arena(desk: Desk, author: Author, count: int) -> list[Item]:
    """Write the source; return items that people judged here and that models will judge elsewhere."""
    people = crew(author.rng, "arena", len(VOTERS))
    asking = crew(author.rng, "visitors", len(ASKERS), "visitor")
    for person in people:
        desk.ledger.annotators[f"arena/{person.name}"] = (person.accuracy, person.first_habit)
    voting = enrolled(desk.ledger, desk.source, people, VOTERS)
    booth = Booth(author, desk.ledger, *voting, *enrolled(desk.ledger, desk.source, asking, ASKERS))
    entries = sprinkled(remembering(_votes(booth, count), booth.late, 40, 400), planted(booth), 5)
    for number, part in parts(entries, min(-(-(count + 60) // 3), _LARGEST_PART)):
        with desk.text(f"battles-{number}.jsonl{'.gz' if number == _COMPRESSED_PART else ''}") as put:
            pour(part, put)
    with desk.text("battles-late.jsonl") as put:
        pour(iter(booth.late), put)
        desk.ledger.planted["redelivered"] += len(booth.late)
    _write_broken_files(desk, booth)
    return booth.shared


def _votes(booth: Booth, count: int) -> Iterator[Entry]:
    """Yield good votes: new openings, conversations that continue known ones, near duplicates, second looks."""
    rng, author = booth.author.rng, booth.author
    number = 0
    while booth.votes < count:
        item = author.item(turns=1 + chance(rng, 0.45) + chance(rng, 0.15))
        if len(item.prompt) > 1 and chance(rng, 0.2):
            item = replace(item, prompt=(_SYSTEM, *item.prompt))
        guidelines = "pairwise-1" if chance(rng, 0.3) else "pairwise-2"
        first, *others = pick_some(rng, booth.people, 1 + chance(rng, 0.2) + chance(rng, 0.05))
        others += [pick(rng, booth.gated)] if chance(rng, _GATED) else []
        for person in (first, *others):
            yield booth.entry(item, person, guidelines)
        if chance(rng, _LIMITED):
            asked = author.item()
            yield as_entry(booth.vote(asked, first, guidelines, pick(rng, booth.limited)), better_of(asked.qualities))
        yield from _grown(booth, item, first, guidelines, number)
        if guidelines == "pairwise-2" and len(item.prompt) == 1 and len(booth.shared) < _SHARED:
            booth.shared.append(item)
        number += 1


def _grown(booth: Booth, item: Item, person: Annotator, guidelines: str, number: int) -> Iterator[Entry]:
    """Yield what some items get besides their first votes."""
    rng, author, planted = booth.author.rng, booth.author, booth.ledger.planted
    match number % 20:
        case 3:
            planted["shared_openings"] += 1
            for turns in (2, 3):
                yield booth.entry(author.continued(item, turns), pick(rng, booth.people), guidelines)
        case 5 if number < _REWRITTEN_BEFORE:
            planted["rewritten_prompts"] += 1
            somebody = next(one for one in booth.people if one is not person)
            yield booth.entry(_rewritten(item), somebody, guidelines)
        case 8:
            one = author.item(clauses=3)
            other = author.answered(_edited(author, one))
            booth.ledger.near_duplicates(one.opening(), other.opening())
            for near in (one, other):
                yield booth.entry(near, pick(rng, booth.people), guidelines)
        case 13:
            planted["both_orders"] += 1
            yield booth.entry(_mirrored(item), person, guidelines)


def _edited(author: Author, item: Item) -> Item:
    """Change an opening a little: a politer one, or another number where there is one."""
    politer = f"{author.lexicons[item.language].polite}{item.opening()}"
    other = re.sub(r"\d+", lambda found: str(int(found[0]) + 1), item.opening(), count=1)
    edited = politer if other == item.opening() or chance(author.rng, 0.5) else other
    return replace(item, prompt=(("user", edited),))


def _mirrored(item: Item) -> Item:
    return replace(item, responses=item.responses[::-1], models=item.models[::-1], qualities=item.qualities[::-1])


def _rewritten(item: Item) -> Item:
    """Write the same prompt with other white space and full-width digits: equal once normalised."""
    wide = str.maketrans("0123456789", "".join(chr(ord("0") + 0xFEE0 + digit) for digit in range(10)))
    *before, (role, text) = item.prompt
    return replace(item, prompt=(*before, (role, f" {text.translate(wide).replace(' ', '  ')}\n")))


def _write_broken_files(desk: Desk, booth: Booth) -> None:
    """Write a file that is cut short behind its fifth record, an empty one, and one of another format."""
    people, author = booth.people, booth.author
    good = [booth.entry(author.item(), pick(author.rng, people), "pairwise-1") for _ in range(_CUT_AFTER)]
    packer = zlib.compressobj(wbits=31)
    content = packer.compress(b"".join(entry.content + b"\n" for entry in good)) + packer.flush(zlib.Z_SYNC_FLUSH)
    desk.broken("battles-cut.jsonl.gz", content, *good, Entry(b"", fault="unreadable_file"))
    desk.broken("battles-empty.jsonl", b"", Entry(b"", fault="empty_file"))
    page = b"PAR1" + bytes(range(64)) + b"PAR1"
    desk.broken("battles-misnamed.jsonl", page, Entry(page, fault="format_mismatch"))
