"""Adapter `events`: what a product's users were shown and did, in Pairtrail's own contract for telemetry, version 1.

The contract is docs/adapters/events.md, and docs/events.schema.json for machines. A turn (one prompt of one user) is
the unit that is read together: what was shown, and the reactions to it, in any order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from pipeline.core.errors import PairtrailError
from pipeline.core.mapping.candidates import Batch, RawFile
from pipeline.core.mapping.exchanges import Exchange
from pipeline.core.mapping.grouping import Key, read_groups
from pipeline.core.mapping.rated import RATED, Rating, Score, compared, corrected, is_named, later, sound_items
from pipeline.core.mapping.verdicts import NoVerdict, Seen, Verdict, fills
from pipeline.core.params import STRICT, build
from pipeline.core.sidecar.sidecars import SIDECAR


@dataclass(frozen=True, slots=True)
class Options:
    """The sidecar's `options`: the rubric of each kind of reaction; a kind without one is not read."""

    __pydantic_config__ = STRICT
    choice: str | None = None
    thumbs: str | None = None
    edit: str | None = None
    regeneration: str | None = None

    def __post_init__(self) -> None:
        """Refuse rubrics under which a click and a judgement would be folded together."""
        stated = [rubric for kind in _REACTIONS if (rubric := getattr(self, kind)) is not None]
        if not stated or len(set(stated)) < len(stated):
            msg = f"options: name a rubric for at least one of {', '.join(_REACTIONS)}, and for each another one"
            raise PairtrailError(msg)
        if self.regeneration is not None and self.thumbs is None:
            msg = "options: `regeneration` says something only with a thumb on the new response, so name `thumbs` too"
            raise PairtrailError(msg)


_REACTIONS = tuple(field.name for field in fields(Options))
_THUMBS = {"up": 1.0, "down": 0.0}
_PAIR, _MOST_EVENTS = 2, 1_000
NEEDS: tuple[str, ...] = ()
FILLS, SORTS = RATED, True
USES: tuple[str, ...] = ()


def read(file: RawFile) -> Iterator[Batch]:
    """Yield what the turns of a file give; a turn stands in one file."""
    options = build(Options, file.source.sidecar.options, f"{file.source.folder / SIDECAR}: options")
    given = fills(*FILLS, "rubric_version", stated=("rubric_version",))
    yield from read_groups(file, partial(_key, options), partial(_pair, options), given, partial(_alone, options))


def _key(options: Options, seen: Seen) -> Key | NoVerdict | Verdict:
    """Name an event's turn; say why an event that breaks the contract cannot be read."""
    content, kind = seen.content, str(seen.content.get("event"))
    fault = _common_fault(content)
    if fault is None and kind != "shown" and getattr(options, kind) is None:
        return NoVerdict("not_a_comparison")
    fault = fault or (_shown_fault(content) if kind == "shown" else _reaction_fault(content, kind))
    return (content["turn"],) if fault is None else Verdict({}, fault=fault)


def _common_fault(content: dict[str, Any]) -> str | None:
    version, kind = content.get("version"), content.get("event")
    if version is None or kind is None:
        return "missing_field"
    if type(version) is not int or type(kind) is not str:
        return "wrong_type"
    if version != 1 or kind not in {"shown", *_REACTIONS}:
        return "unknown_value"
    return _text_fault(content, "id", "time", "turn") or _text_fault(content, "user", optional=True)


def _text_fault(content: dict[str, Any], *names: str, optional: bool = False, blank: bool = False) -> str | None:
    """Say whether a text is absent, no text, or blank where that names nothing."""
    values = [content.get(name) for name in names]
    if any(value is not None and type(value) is not str for value in values):
        return "wrong_type"
    stated = all(value is not None and (blank or value.strip()) for value in values)
    return None if optional or stated else "missing_field"


def _shown_fault(content: dict[str, Any]) -> str | None:
    responses = content.get("responses")
    if content.get("prompt") is None or responses is None or responses == []:
        return "missing_field"
    if type(responses) is not list or not all(type(one) is dict for one in responses):
        return "wrong_type"
    faults = [_text_fault(one, "id") or _text_fault(one, "text", blank=True) for one in responses]
    faults += ["too_many_responses"] if len(responses) > _PAIR else []
    twice = len({str(one.get("id")) for one in responses}) < len(responses)
    return next(filter(None, faults), "no_shown_event" if twice else None)


def _reaction_fault(content: dict[str, Any], kind: str) -> str | None:
    if (fault := _text_fault(content, "shown")) is not None or kind == "choice":
        return fault or ("missing_field" if content.get("choice") is None else None)
    if (fault := _text_fault(content, "response")) is not None or kind == "edit":
        return fault
    if kind == "thumbs":
        return _text_fault(content, "thumbs") or (None if content["thumbs"] in _THUMBS else "unknown_value")
    return _text_fault(content, "new", optional=True)


@dataclass(frozen=True, slots=True)
class _Turn:
    """The events of one turn: what was shown, by id (twice where it was delivered twice), and what was done."""

    options: Options
    shown: dict[str, list[Seen]]
    reactions: list[Seen]

    def event(self, shown: Any) -> dict[str, Any] | None:  # noqa: ANN401
        """Return what was shown under an id; None where nothing was, or two things."""
        held = self.shown.get(shown, [])
        return held[0].content if held and all(one.content == held[0].content for one in held) else None

    def of(self, kind: str) -> list[Seen]:
        return [seen for seen in self.reactions if seen.content["event"] == kind]

    def values(self, seen: Seen) -> dict[str, Any]:
        told = {"user": "annotator", "id": "event_id", "time": "created_at", "reason": "rationale"}
        own = {field: seen.content.get(name) for name, field in told.items()}
        return {**own, "annotator_kind": "human", "rubric_version": getattr(self.options, seen.content["event"])}

    def exchange(self, shown: Any, response: Any = None) -> Exchange | None:  # noqa: ANN401
        """Return a response that was shown (the only one where none is named), with its prompt."""
        event = self.event(shown)
        held = [] if event is None else event["responses"]
        found = [(one["text"], one.get("model")) for one in held if response is None or one["id"] == response]
        return Exchange(event["prompt"], *found[0]) if event is not None and len(found) == 1 else None

    def reacted_to(self, seen: Seen) -> Exchange | None:
        return self.exchange(seen.content["shown"], seen.content["response"])

    def drawn(self, verdict: Verdict) -> Verdict:
        """Name what was shown among what a verdict draws on; a fault is its reaction's alone."""
        if not verdict.values:
            return verdict
        named = [seen.content.get(name) or "" for seen in verdict.of for name in ("shown", "new")]
        of = [*verdict.of, *(one for name in named for one in self.shown.get(name, []))]
        return replace(verdict, key=of[0].content["event"], of=tuple(dict.fromkeys(of)))


def _turn(options: Options, members: list[Seen]) -> _Turn:
    shown: dict[str, list[Seen]] = {}
    for seen in members:
        if seen.content["event"] == "shown":
            shown.setdefault(seen.content["id"], []).append(seen)
    return _Turn(options, shown, [seen for seen in members if seen.content["event"] != "shown"])


def _pair(options: Options, members: list[Seen]) -> Iterator[Verdict]:
    if len(members) > _MOST_EVENTS:
        yield from (_astray(seen, "too_many_responses") for seen in members)
        return
    turn = _turn(options, members)
    yield from (_astray(seen) for name, held in turn.shown.items() if not turn.event(name) for seen in held)
    verdicts = (_choices(turn), _edits(turn), _thumbs(turn), _regenerations(turn))
    yield from (turn.drawn(verdict) for found in verdicts for verdict in found)


def _astray(seen: Seen, fault: str = "no_shown_event") -> Verdict:
    return Verdict({}, fault=fault, of=(seen,))


def _choices(turn: _Turn) -> Iterator[Verdict]:
    for seen in turn.of("choice"):
        event = turn.event(seen.content["shown"])
        if event is None or len(event["responses"]) != _PAIR:
            yield _astray(seen)
            continue
        a, b = event["responses"]
        said = {"prompt": event["prompt"], "preference": seen.content["choice"], "presented_order": "ab"}
        texts = {"response_a": a["text"], "response_b": b["text"], "model_a": a.get("model"), "model_b": b.get("model")}
        yield Verdict({**turn.values(seen), **texts, **said}, of=(seen,))


def _edits(turn: _Turn) -> Iterator[Verdict]:
    for seen in turn.of("edit"):
        old = turn.reacted_to(seen)
        yield corrected(seen, old, seen.content.get("text"), turn.values(seen)) if old else _astray(seen)


def _ratings(turn: _Turn) -> dict[str | None, list[Rating]]:
    """Gather the thumbs of each user (None: of nobody who is named)."""
    found: dict[str | None, list[Rating]] = {}
    for seen in turn.of("thumbs"):
        if (exchange := turn.reacted_to(seen)) is not None:
            content, user = seen.content, seen.content.get("user")
            given = (_THUMBS[content["thumbs"]], None, exchange, content["id"], content["time"])
            found.setdefault(user if is_named(user) else None, []).append(Rating(seen, exchange.response, *given))
    return found


def _thumbs(turn: _Turn) -> Iterator[Verdict]:
    yield from (_astray(seen) for seen in turn.of("thumbs") if turn.reacted_to(seen) is None)
    for user, ratings in _ratings(turn).items():
        if user is not None:
            shared = turn.values(ratings[0].seen) | {"rationale": None}
            yield from compared(ratings, shared, Score())


def _regenerations(turn: _Turn) -> Iterator[Verdict]:
    """Prefer a new response to the one that it was asked for in place of, if its user thumbed it up and not that."""
    thumbs = _ratings(turn)
    for seen in turn.of("regeneration"):
        old, new = turn.reacted_to(seen), turn.exchange(seen.content.get("new"))
        if old is None or (new is None and seen.content.get("new") is not None):
            yield _astray(seen)
        elif new is not None and is_named(seen.content.get("user")):
            yield from _regenerated(turn, seen, old, new, thumbs.get(seen.content["user"], []))


def _regenerated(turn: _Turn, seen: Seen, old: Exchange, new: Exchange, thumbs: list[Rating]) -> Iterator[Verdict]:
    ups = [one for one in thumbs if (one.item, one.number) == (new.response, _THUMBS["up"])]
    against = {(new.response, _THUMBS["down"]), (old.response, _THUMBS["up"])}
    if ups and not against & {(one.item, one.number) for one in thumbs}:
        values = turn.values(seen) | {"created_at": later(seen.content["time"], *(one.created_at for one in ups))}
        verdict = corrected(seen, old, new.response, values, model=new.model)
        of = (seen, *(one.seen for one in ups))
        yield replace(verdict, fault=None if old.prompt == new.prompt else "contexts_differ", of=of)


def _alone(options: Options, members: list[Seen]) -> dict[int, str]:
    """Say of each event why it gives nothing: of what was shown, what holds of the first reaction to it."""
    turn = _turn(options, members)
    why = {seen.row: "nothing_said" for seen in turn.reactions}
    for user, ratings in _ratings(turn).items():
        label = "one_label" if user is not None and sound_items(ratings) > 1 else "no_partner"
        why |= {rating.seen.row: label for rating in ratings}
    reacted: dict[str, str] = {}
    for seen in turn.reactions:
        reacted[seen.content["shown"]] = min(why[seen.row], reacted.get(seen.content["shown"], why[seen.row]))
    return why | {seen.row: reacted.get(seen.content["id"], "not_judged") for seen in members if seen.row not in why}


def guess(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Name the kinds of reactions among records that all keep the contract; their rubrics are their owner's to name."""
    keys, kinds = {"version", "event", "id", "time", "turn"}, ("shown", *_REACTIONS)
    if not records or not all(keys <= set(one) and one["event"] in kinds and one["version"] == 1 for one in records):
        return None
    found = {one["event"]: f"{one['event']}-1" for one in records if one["event"] != "shown"}
    return {"options": dict(sorted(found.items())), "fields": {}}
