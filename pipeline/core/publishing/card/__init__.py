"""The card: a README.md beside the published files that people read and that `datasets.load_dataset` obeys.

It is made of the manifest alone. What a record or a sidecar stated goes through `markdown.plain`, and the front matter
through a YAML writer, so that no value can break the page.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.core.publishing.card.front import front_matter
from pipeline.core.publishing.card.judging import annotators, consent, votes
from pipeline.core.publishing.card.markdown import bullets, section
from pipeline.core.publishing.card.origins import hands, languages, licenses, provenance, sources, versions
from pipeline.core.publishing.card.sides import dropped, files, heldout, sides, withheld
from pipeline.core.publishing.limits import limits, misuses, uses

_LOADING = """\
```python
from datasets import load_dataset

sides = load_dataset("path/to/this/folder", "pairs")  # or "ties", "votes"; train and validation

import polars as pl

pairs = pl.read_parquet("path/to/this/folder/train/pairs.parquet")
```"""
_VERSIONS = """\
A release has a version MAJOR.MINOR.PATCH. MAJOR: a row was removed, moved to another side, swapped or its text edited,
or the key or the epoch changed. MINOR: rows or votes were added. PATCH: the rows are the same."""


def card(manifest: Mapping[str, Any]) -> str:
    """Write the card from the manifest."""
    parts = (
        _story(manifest),
        section("How to load it", _LOADING),
        section("What it is for", bullets(uses(manifest))),
        section("What it is not for", bullets(misuses(manifest))),
        section("Known limits", bullets(limits(manifest))),
        sources(manifest),
        hands(manifest),
        licenses(manifest),
        languages(manifest),
        annotators(manifest),
        votes(manifest),
        consent(manifest),
        provenance(manifest),
        versions(manifest),
        sides(manifest),
        withheld(manifest),
        heldout(manifest),
        dropped(manifest),
        files(manifest),
        section("What a version says", _VERSIONS),
    )
    return "\n".join([*front_matter(manifest), *(line for part in parts for line in part)])


def _story(manifest: Mapping[str, Any]) -> list[str]:
    made = "All texts are synthetic.\n" if manifest["synthetic"] else ""
    return [
        "# Preference pairs\n",
        "Each row of `pairs` is a prompt with a chosen and a rejected response, folded from the votes of annotators.",
        "Pairs without a majority stand in `ties`, the single verdicts in `votes`. How it was built, row by row",
        "counted, is in `manifest.json`; `croissant.json` describes files and columns for machines. Held-out rows are",
        f"not among these splits: never tune on them.\n{made}",
    ]
