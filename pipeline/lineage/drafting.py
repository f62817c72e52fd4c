"""The text of a new source.yaml: guesses with their evidence, and blanks for what nobody can guess."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

from pipeline.adapters import Claim, adapter_named, adapter_names
from pipeline.core.guessing.paths import found_paths
from pipeline.core.sidecar.waiting import what_goes_into
from pipeline.lineage.evidence import evidence, paths_of
from pipeline.lineage.looking import Looked

_WIDTH = 118
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*( [\w./-]+)*", re.ASCII)
_NOT_PLAIN = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
_MOST_NAMED = 30
_STATED = (
    *("license", "attribution", "collected_by", "approved_by", "approved_on"),
    *("policy_version", "rubric_version"),
)
_PARTS = ("fields", "fan_out", "options", "notes")


@dataclass(slots=True)
class Draft:
    """The lines of a sidecar so far, and the names of its guesses and blanks."""

    lines: list[str] = field(default_factory=list)
    guesses: list[str] = field(default_factory=list)
    blanks: list[str] = field(default_factory=list)

    def guess(self, name: str, key: str, content: Any, told: list[str], indent: int = 0) -> None:  # noqa: ANN401
        """Add a guess under its evidence."""
        self.guesses.append(name)
        self.lines += [] if indent else [""]
        self.say(f"Guess: {'; '.join(told)}." if told else "Guess.", indent)
        self.lines += written_out(key, content, indent)

    def blank(self, name: str, key: str, indent: int = 0) -> None:
        """Add a statement that its owner has to make."""
        self.blanks.append(name)
        self.lines += [] if indent else [""]
        self.say(f"Blank: {what_goes_into(name)}.", indent)
        self.lines.append(f"{' ' * indent}{key}:")

    def say(self, text: str, indent: int = 0) -> None:
        """Add a comment."""
        shown = "".join(letter if letter.isprintable() else " " for letter in text)
        self.lines += [f"{' ' * indent}# {line}" for line in wrap(shown, _WIDTH - indent, break_long_words=False)]


def draft(looked: Looked, claimed: list[Claim], glob: str) -> Draft:
    """Write what can be guessed of a file, by its most specific claim, and leave blank what cannot."""
    body = Draft()
    body.guess("synthetic", "synthetic", content=False, told=["the careful one: `false` keeps the records out of git"])
    _adapter(body, claimed)
    for name in _STATED:
        body.blank(name, name)
    body.lines.append("")
    body.say("Add `written_by` (who wrote the texts) and `filtered_by` (who selected them) where somebody knows.")
    body.lines.append("")
    body.say("Or `consent: none` where nobody can state a basis: its rows are then counted, and not used.")
    body.lines.append("consent:")
    for name in ("basis", "purposes", "roles", "statement"):
        body.blank(f"consent.{name}", name, 2)
    body.say("Add `record` where one record of data/ledger/consent covers all; or map `consent_refs`, below.", 2)
    told = f"{len(looked.records):,} of the first {looked.seen:,} records can be read so"
    body.guess("format", "format", looked.format, [told])
    body.lines += written_out("files", [glob], 0)
    if claimed:
        _claimed(body, claimed[0], looked)
    else:
        body.say(_unused(looked, set()))
        body.blank("fields", "fields")
    return body


def whole(body: Draft, file: str, sidecar: str) -> str:
    """Put the list of guesses, and what to do with it, above the body of a draft."""
    head = Draft()
    head.say(f"Begun by `pairtrail sources new` from the first records of {file}. No stage reads this source until:")
    head.say("1. each blank is filled in: nobody can guess it;")
    head.say("2. each guess is compared with its evidence, mended where it is wrong, and struck from `unconfirmed`;")
    head.say(f"3. `pairtrail check {sidecar}` says ok. All keys: docs/sources.md.")
    head.lines += ["unconfirmed:", *(f"  - {scalar(name)}" for name in body.guesses)]
    return "\n".join([*head.lines, *body.lines]) + "\n"


def _adapter(body: Draft, claimed: list[Claim]) -> None:
    if not claimed:
        body.say(f"No adapter knows the shape of these records (known: {', '.join(adapter_names())}).")
        body.blank("adapter", "adapter")
        return
    told = [f"it knows the shape of these records ({_kind(claimed[0].adapter)})"]
    if len(claimed) > 1:
        others = ", ".join(claim.adapter for claim in claimed[1:])
        told.append(f"less specific ones that would read them too: {others}")
    body.guess("adapter", "adapter", claimed[0].adapter, told)


def _kind(adapter: str) -> str:
    return f"docs/adapters/{adapter}.md"


def _claimed(body: Draft, claim: Claim, looked: Looked) -> None:
    """Write the fields, options and whatever else an adapter says of the records, and the blanks that it needs."""
    fields, notes = claim.says.get("fields") or {}, claim.says.get("notes") or {}
    entries = claim.says.get("fan_out") or []
    fanned = set.intersection(*(set(entry["fields"]) for entry in entries)) if entries else set()
    body.lines += ["", "fields:"]
    needed = [name for name in adapter_named(claim.adapter).NEEDS if name not in fanned]
    for name in [*needed, *(name for name in fields if name not in needed)]:
        if fields.get(name) is None:
            body.blank(f"fields.{name}", name, 2)
            continue
        noted = [notes[f"fields.{name}"]] if f"fields.{name}" in notes else []
        told = evidence(name, fields[name], looked) + noted + _lacking(fields[name])
        body.guess(f"fields.{name}", name, fields[name], told, 2)
    specs = [*fields.values(), *(spec for entry in entries for spec in entry["fields"].values())]
    if claim.adapter == "records":
        body.say(_unused(looked, {path for spec in specs for path in paths_of(spec)}), 2)
    _entries(body, entries, looked)
    options = claim.says.get("options") or {}
    body.lines += ["", "options:"] if options else []
    for name, content in options.items():
        body.guess(f"options.{name}", name, content, [f"see {_kind(claim.adapter)}"], 2)
    for name, content in claim.says.items():
        if name not in _PARTS:
            body.guess(name, name, content, [])


def _entries(body: Draft, entries: list[dict[str, Any]], looked: Looked) -> None:
    body.lines += ["", "fan_out:"] if entries else []
    for entry in entries:
        told = [one for name, spec in entry["fields"].items() for one in evidence(name, spec, looked) + _lacking(spec)]
        body.guesses.append(f"fan_out.{entry['key']}")
        body.say(f"Guess: {'; '.join(told)}.", 2)
        body.lines += [f"  - key: {scalar(entry['key'])}", *written_out("fields", entry["fields"], 4)]


def _lacking(content: Any) -> list[str]:  # noqa: ANN401
    """Say what is left to write where a guess knows a path and not what its values mean."""
    if not isinstance(content, dict):
        return []
    told = (
        ["write [lowest, highest] of the scale, not of what happens to occur"]
        if content.get("scale", 0) is None
        else []
    )
    if any(part in content and content[part] is None for part in ("values", "roles")):
        told.append("write what occurs, and what each stands for: it may name people, so it is not shown here")
    elif any(None in (content.get(part) or {}).values() for part in ("values", "roles")):
        told.append("say what each blank label stands for; records with one that you take out are quarantined")
    return told


def _unused(looked: Looked, used: set[str]) -> str:
    """Name the paths that at least half of the records have and no guess uses.

    What stands below another key is told by count, as are other names: keys may be people (`votes.anna`).
    """
    counts = found_paths(looked.records)
    free = [path for path, count in counts.items() if path not in used and 2 * count >= len(looked.records)]
    odd = len({key for record in looked.records for key in record} - {path.partition(".")[0] for path in counts})
    below = Counter(path.partition(".")[0] for path in free if "." in path)
    named = [
        f"{key} ({below[key]:,} below it)" if key in below else key
        for key in dict.fromkeys(path.partition(".")[0] for path in free)
    ]
    told = f"Paths that no guess uses: {', '.join(named[:_MOST_NAMED]) or 'none'}"
    more = f", and {len(named) - _MOST_NAMED:,} more" if len(named) > _MOST_NAMED else ""
    return f"{told}{more}{f'; {odd:,} names that are not plain' if odd else ''}."


def written_out(key: str, content: Any, indent: int) -> list[str]:  # noqa: ANN401
    """Write a key with its value as YAML; what is None is left blank, but for what `constant` says."""
    head = f"{' ' * indent}{scalar(key)}:"
    if isinstance(content, dict) and list(content) == ["constant"]:
        return [f"{head} {{constant: {'null' if content['constant'] is None else scalar(content['constant'])}}}"]
    if isinstance(content, dict) and content:
        return [head, *(line for name, one in content.items() for line in written_out(name, one, indent + 2))]
    if isinstance(content, list):
        return [f"{head} [{', '.join(map(scalar, content))}]"]
    return [head if content is None else f"{head} {scalar(content)}"]


def scalar(value: Any) -> str:  # noqa: ANN401
    """Write a value as YAML: a text as it stands where that is safe, else in quotes; a list or mapping as JSON."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_PLAIN:
        return value
    return f'"{"".join(_escaped(value))}"'


def _escaped(text: str) -> Iterator[str]:
    for letter in text:
        if letter in '"\\':
            yield f"\\{letter}"
        elif letter == "\n":
            yield "\\n"
        elif letter.isprintable():
            yield letter
        else:
            yield f"\\U{ord(letter):08x}"
