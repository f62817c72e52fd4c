"""Measure what reading and folding a consent ledger costs, against Polars alone reading the same lines.

    python -m bench.ledger                                     # a year: 1,000,000 events of 200,000 subjects
    python -m bench.ledger --events 100000 --subjects 20000

Each step is a process of its own. The floor is `polars.read_ndjson` of the same file, which checks nothing.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl

from bench.measuring import measured
from bench.run import HEAD, ROOT, row
from pipeline.core.consent.events import read_events
from pipeline.core.consent.lines import KEYS
from pipeline.core.consent.states import consents

PURPOSES = [["ai-alignment"], ["ai-alignment", "ai-evaluation"], ["ai-evaluation"]]
STEPS = ("floor", "read", "fold")


def events(number: int, subjects: int) -> Iterator[dict[str, Any]]:
    """Make up a year: everybody consents once, then renews, consents anew or withdraws now and then."""
    drawn = random.Random(1)  # noqa: S311
    for place in range(number):
        who = place if place < subjects else drawn.randrange(subjects)
        day, hour, minute = drawn.randint(1, 28), drawn.randint(0, 23), drawn.randint(0, 59)
        yield {
            "consent_id": f"c-{who:06d}",
            "subject": sha256(str(who).encode()).hexdigest()[:32],
            "status_time": f"2025-{1 + place * 12 // number:02d}-{day:02d}T{hour:02d}:{minute:02d}:00Z",
            **said(drawn, first=place < subjects),
        }


def said(drawn: random.Random, *, first: bool) -> dict[str, Any]:
    """Say what one event states beside who and when."""
    kind = "given" if first else drawn.choices(["given", "renewed", "withdrawn"], [6, 2, 2])[0]
    if kind == "withdrawn":
        return {"status": "ConsentWithdrawn", "withdrawal_method": "mail"}
    if kind == "renewed":
        return {"status": "RenewedConsentGiven", "valid_until": "2028-01-01"}
    plain = {"notice_version": "3", "language": "de", "controller": "Example Ltd", "collection_method": "web form"}
    given = {"status": "ConsentGiven", "purposes": drawn.choice(PURPOSES), "legal_basis": ["eu-gdpr:A6-1-a"]}
    return {**given, "jurisdiction": "DE", "valid_until": "2027-01-01", **plain}


def write(ledger: Path, number: int, subjects: int, *, nulls: bool) -> None:
    """Write the ledger; with `nulls` every key stands in every line, as some programs write."""
    blank = dict.fromkeys(KEYS) if nulls else {}
    (ledger / "consent").mkdir(parents=True)
    with (ledger / "consent" / "year.jsonl").open("w", encoding="utf-8") as file:
        for event in events(number, subjects):
            file.write(json.dumps({**blank, **event}, separators=(",", ":")) + "\n")


def take(step: str, ledger: Path) -> None:
    """Do one step, and say how much came of it."""
    if step == "floor":
        print(f"{pl.read_ndjson(ledger / 'consent' / 'year.jsonl', schema=KEYS).height:,} lines")
        return
    found = read_events(ledger)
    print(f"{found.height:,} events" if step == "read" else f"{consents(found).height:,} consents")


def main() -> None:
    """Parse the arguments and measure; with `--step` take one step, in a process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--subjects", type=int, default=200_000)
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--ledger", type=Path, help="where the ledger lies of which one step is taken")
    given = parser.parse_args()
    if given.step:
        take(given.step, given.ledger)
        return
    for nulls in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), given.events, given.subjects, nulls=nulls)
            print(f"## {given.events:,} events{', every key in every line' if nulls else ''}\n\n{HEAD.format('step')}")
            floor = None
            for step in STEPS:
                command = [sys.executable, "-m", "bench.ledger", "--step", step, "--ledger", folder]
                found = measured(command, ROOT)
                floor = floor or found.seconds
                print(row({"fold": "read and fold"}.get(step, step), found, floor), flush=True)
            print()


if __name__ == "__main__":
    main()
