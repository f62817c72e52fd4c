"""Croissant 1.1: the published files and their columns as JSON-LD, with the Responsible AI vocabulary 1.0.

A plain dictionary. Terms and context are those of MLCommons, Croissant Format Specification 1.1, and of its reference
implementation where that asks for more. Heldout is not in it: consumers do not have it.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.core.licenses import licenses_in
from pipeline.core.publishing.croissant.context import CONTEXT
from pipeline.core.publishing.croissant.fields import PLACES, Node, record_sets
from pipeline.core.publishing.croissant.responsible import responsible
from pipeline.core.publishing.labels import languages, tags
from schemas.published import PUBLISHED

CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
ENCODINGS = ["application/vnd.apache.parquet", "application/x-parquet"]
"""The registered media type, and the one that the reference implementation reads."""

_DESCRIPTION = (
    "Preference pairs: a prompt with a chosen and a rejected response, folded from the votes of annotators; with the "
    "ties, on which no side was chosen, and the single verdicts as votes. Described are the sides train and "
    "validation. A third side, heldout, exists and is not in here: it is for measuring, and consumers do not have it."
)


def croissant(manifest: Mapping[str, Any], version: str | None = None, published: str | None = None) -> Node:
    """Describe the published files; `version` and the day of publication (`published`) are a release's.

    Without a release neither is known, and the address of the dataset never is: content tells none of them.
    """
    told = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": "preference-pairs",
        "description": _DESCRIPTION,
        "conformsTo": CONFORMS_TO,
        "version": version,
        "datePublished": published,
        "license": [_license(expression) for expression in sorted(manifest["licenses"])],
        "creator": _creators(manifest),
        "creditText": "; ".join(sorted({facts["attribution"] for facts in _used(manifest)})),
        "keywords": tags(manifest),
        "inLanguage": languages(manifest["languages"]["stated"]),
        **responsible(manifest),
        "distribution": [_file(place, manifest["files"][place]) for place in PLACES],
        "recordSet": record_sets(),
    }
    return {name: value for name, value in told.items() if value}


def _used(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what is known of the sources that published verdicts come from."""
    return [facts for name, facts in manifest["sources"].items() if name in manifest["verdicts"]]


def _license(expression: str) -> str | Node:
    """Return the address of a licence that SPDX lists, and the expression where it is more, or none of SPDX's."""
    named = licenses_in(expression)
    if len(named) == 1 and " " not in named[0] and not named[0].startswith("LicenseRef-"):
        return f"https://spdx.org/licenses/{named[0]}.html"
    return {"@type": "sc:CreativeWork", "name": expression}


def _creators(manifest: Mapping[str, Any]) -> list[Node]:
    """Name who collected the sources; what a sidecar names counts as an organisation, which a person can be for."""
    names = sorted({facts["collected_by"] for facts in _used(manifest)})
    return [{"@type": "sc:Organization", "name": name} for name in names]


def _file(place: str, facts: Mapping[str, Any]) -> Node:
    return {
        "@type": "cr:FileObject",
        "@id": place,
        "name": place,
        "description": PUBLISHED[place].description,
        "contentUrl": place,
        "contentSize": f"{facts['bytes']} B",
        "encodingFormat": ENCODINGS,
        "sha256": facts["sha256"],
    }
