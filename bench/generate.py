"""Write feedback logs of a realistic size for the benchmark: votes on pairs of responses, as JSON lines, in one source.

    python -m bench.generate --comparisons 500000 --files 100 --broken 0.01 --out FOLDER

Lengths are those of chat logs (about 3.8 kB a record: a prompt of one to five messages and two responses), one record
in seven is not ASCII, pairs are judged by one to three people, and a prompt is asked again now and then. The same
arguments give the same bytes.
"""

import argparse
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
_CORPUS_WORDS = 8_000_000
_VOCABULARY = 30_000
_MODELS = [f"model-{letter}" for letter in "abcdefghijkl"]
_WIDE = ["Größe", "naïve", "日本語の文章です", "señal", "½ cup", "emoji 🙂", "Ωmega", "ﬁnal"]
_BROKEN = ('{"prompt": [', "\udcff\udcfe", '{"winner": NaN}', "[1, 2, 3]", '{"prompt": 7, "prompt": 8}')

SIDECAR = """\
synthetic: true
adapter: records
license: CC0-1.0
attribution: made up by bench/generate.py
collected_by: bench/generate.py
approved_by: bench/generate.py
approved_on: 2026-01-01
policy_version: assistant-1
rubric_version: pairwise-1
consent:
  basis: eu-gdpr:A6-1-a
  purposes: [ai-alignment, ai-evaluation]
  roles: []
  statement: made up
  record: consent-votes
format: json
files: ["votes-*.jsonl"]
fields:
  prompt: {messages: prompt}
  response_a: response_a
  response_b: response_b
  model_a: model_a
  model_b: model_b
  preference: {path: winner, values: {a: a, b: b, tie: tie, neither: both_bad}}
  strength: {path: how_much, scale: [0, 3]}
  presented_order: order
  annotator: user.id
  annotator_kind: {constant: human}
  category: category
  language: language
  created_at: {path: at, unit: milliseconds}
  duration_s: seconds
  event_id: vote
"""

CONSENT = {
    "consent_id": "consent-votes",
    "subject": "source:votes",
    "status_time": "2026-01-01T00:00:00Z",
    "status": "ConsentGiven",
    "legal_basis": ["eu-gdpr:A6-1-a"],
    "purposes": ["ai-alignment", "ai-evaluation"],
}


class Maker:
    """Votes from a seed: texts are cut from one long text of made-up words."""

    def __init__(self, seed: int) -> None:
        """Make the words, some common and most rare, and the long text."""
        self._random = random.Random(seed)  # noqa: S311
        numbers = np.random.default_rng(seed)
        letters = np.array(list("etaoinshrdlcumwfgypbvk"))
        lengths = numbers.integers(2, 11, _VOCABULARY)
        words = ["".join(numbers.choice(letters, length)) for length in lengths]
        # A word's frequency falls with its rank (Zipf): the rank's logarithm is uniform.
        ranks = np.exp(numbers.random(_CORPUS_WORDS) * np.log(_VOCABULARY)).astype(np.int64)
        self._text = " ".join(np.array(words)[ranks].tolist())
        self._votes = 0

    def text(self, mean: int) -> str:
        """Cut a text of about `mean` characters, with paragraphs."""
        size = max(8, int(self._random.lognormvariate(0, 0.6) * mean * 0.83))
        start = self._random.randrange(len(self._text) - size)
        cut = self._text[start : start + size].strip()
        return cut if self._random.random() > 0.3 else cut.replace(" a", "\n\na", 3)  # noqa: PLR2004

    def prompt(self) -> list[dict[str, str]]:
        """Make one to five messages that begin and end with the user's."""
        turns = self._random.choices([1, 3, 5], [70, 22, 8])[0]
        roles = ["user", "assistant"] * 3
        return [{"role": role, "content": self.text(600 if role == "assistant" else 350)} for role in roles[:turns]]

    def votes(self, count: int) -> Iterator[dict[str, Any]]:
        """Yield votes, one to three on each pair."""
        choose = self._random
        made, asked = 0, [self.prompt()]
        while made < count:
            if choose.random() < 0.8:  # noqa: PLR2004
                asked = [*asked[-200:], self.prompt()]
            pair = self._pair(choose.choice(asked))
            for _ in range(min(choose.choices([1, 2, 3], [75, 15, 10])[0], count - made)):
                made += 1
                self._votes += 1
                yield {"vote": f"v{self._votes}", **pair, **self._verdict()}

    def _pair(self, prompt: list[dict[str, str]]) -> dict[str, Any]:
        wide = self._random.random() < 1 / 7
        extra = f" {self._random.choice(_WIDE)}" if wide else ""
        return {
            "prompt": prompt,
            "response_a": self.text(1400) + extra,
            "response_b": self.text(1400),
            "model_a": self._random.choice(_MODELS),
            "model_b": self._random.choice(_MODELS),
            "category": self._random.choice(["code", "chat", "maths", "writing"]),
            "language": "en",
        }

    def _verdict(self) -> dict[str, Any]:
        choose = self._random
        winner = choose.choices(["a", "b", "tie", "neither"], [38, 36, 18, 8])[0]
        return {
            "winner": winner,
            "how_much": choose.randint(0, 3) if winner in "ab" else 0,
            "order": choose.choice(["ab", "ba"]),
            "user": {"id": choose.randrange(5_000), "agent": "browser"},
            "at": 1_767_225_600_000 + choose.randrange(10**10),
            "seconds": round(choose.uniform(2, 90), 2),
        }


def write_votes(raw: Path, comparisons: int, files: int, broken: float, seed: int = 7) -> None:
    """Write `files` files into raw/votes and their sidecar; a share of `broken` lines stands between the records."""
    folder = raw / "votes"
    folder.mkdir(parents=True)
    maker = Maker(seed)
    choose = random.Random(seed + 1)  # noqa: S311
    for number in range(files):
        share = comparisons * (number + 1) // files - comparisons * number // files
        with (folder / f"votes-{number:04}.jsonl").open("w", encoding="utf-8", errors="surrogateescape") as file:
            for vote in maker.votes(share):
                if broken and choose.random() < broken:
                    file.write(choose.choice(_BROKEN) + "\n")
                file.write(json.dumps(vote, ensure_ascii=False) + "\n")
    (folder / "source.yaml").write_text(SIDECAR, encoding="utf-8")


def write_project(folder: Path, comparisons: int, files: int, broken: float) -> None:
    """Write a project: the logs, consent to their use, and this repository's params, policies and rubrics."""
    write_votes(folder / "data" / "raw", comparisons, files, broken)
    consents = folder / "data" / "ledger" / "consent"
    consents.mkdir(parents=True)
    (consents / "votes.jsonl").write_text(json.dumps(CONSENT) + "\n", encoding="utf-8")
    for kind in ("policy", "rubric"):
        shutil.copytree(ROOT / "data" / kind, folder / "data" / kind)
    shutil.copy(ROOT / "params.yaml", folder)


def main() -> None:
    """Parse the arguments and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=500_000)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--broken", type=float, default=0.0, help="the share of broken records between the sound ones")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    write_project(given.out, given.comparisons, given.files, given.broken)


if __name__ == "__main__":
    main()
