"""The invented sample: raw logs in every format, what a pipeline must find planted in them, and the truth about it."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

from pipeline.core.errors import PairtrailError
from pipeline.demo.arena import write_arena
from pipeline.demo.booth import ARENA
from pipeline.demo.consents import told, write_consents
from pipeline.demo.crowd import CROWD, write_crowd
from pipeline.demo.helpdesk import HELPDESK, write_helpdesk
from pipeline.demo.judge import JUDGE, write_judge
from pipeline.demo.ledger import Ledger, Source
from pipeline.demo.people import random_for
from pipeline.demo.rawlog import Desk
from pipeline.demo.small import LEGACY, NONCOMMERCIAL, UNCONSENTED, write_legacy, write_noncommercial, write_unconsented
from pipeline.demo.stories import WHOLE_SOURCES
from pipeline.demo.texts import Author, load_lexicons
from pipeline.demo.truth import truth_of

FEWEST = 500
SHARES = {"arena": 0.58, "crowd": 0.18, "judge": 0.12, "helpdesk": 0.07, "legacy": 0.05}


def write_sample(out: Path, *, seed: int = 7, comparisons: int = 2000, words: int = 12) -> dict[str, Any]:
    """Write raw logs, sidecars, policies, rubrics, the consent ledger and `truth.json` below `out`; return the truth.

    Same arguments, same bytes. `comparisons` is about how many candidates there are; `words` is the mean length of a
    response (220 is a usual one). Records go out as they are made; only their digests are held.
    """
    if comparisons < FEWEST:
        msg = f"{comparisons} comparisons cannot hold everything that the sample plants; ask for {FEWEST} or more"
        raise PairtrailError(msg)
    for kept in (out / "raw", out / "ledger"):
        if kept.exists():
            msg = f"{kept} exists; name another folder or move it away: the sample is never mixed with your own"
            raise PairtrailError(msg)
    copytree(Path(__file__).parent / "static", out, dirs_exist_ok=True)
    ledger = Ledger()
    _write_sources(out / "raw", ledger, seed, comparisons, words)
    write_consents(out / "ledger/consent", ledger, random_for(seed, "consents"))
    truth = {"seed": seed, "asked_for": comparisons, "words": words, **truth_of(ledger), **told(ledger)}
    (out / "truth.json").write_text(json.dumps(truth, ensure_ascii=False, indent=1, sort_keys=True) + "\n", "utf-8")
    return truth


def _write_sources(raw: Path, ledger: Ledger, seed: int, comparisons: int, words: int) -> None:
    ledger.consents.update({(f"source:{name}", f"consent-{name}"): story for name, story in WHOLE_SOURCES.items()})
    lexicons, seen = load_lexicons(), set[bytes]()
    marks: list[str] = []
    counts = {name: round(share * comparisons) for name, share in SHARES.items()}

    def at(source: Source) -> tuple[Desk, Author]:
        return Desk(raw, ledger, source), Author(random_for(seed, source.name), words, lexicons, seen, marks)

    shared = write_arena(*at(ARENA), counts["arena"])
    write_crowd(*at(CROWD), counts["crowd"])
    write_judge(*at(JUDGE), counts["judge"], shared)
    write_helpdesk(*at(HELPDESK), counts["helpdesk"])
    write_legacy(*at(LEGACY), counts["legacy"])
    write_noncommercial(*at(NONCOMMERCIAL))
    write_unconsented(*at(UNCONSENTED))
    ledger.planted["marks"] = len(marks)
