"""The card's front matter, which the Hugging Face Hub and `datasets.load_dataset` read; it follows from facts."""

from collections.abc import Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import SingleQuotedScalarString as Quoted

from pipeline.core.publishing.labels import hub_license, languages, size_category, tags

TABLES = ("pairs", "ties", "votes")
# Held-out rows are no split that a trainer loads by accident.
LOADED = ("train", "validation")


def front_matter(manifest: Mapping[str, Any]) -> list[str]:
    """Write the front matter, by a YAML writer, so that no value ends it."""
    yaml: Any = YAML()
    stream = StringIO()
    yaml.dump(_metadata(manifest), stream)
    return ["---", *stream.getvalue().splitlines(), "---", ""]


def _metadata(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Hub's fields; one of which nothing is known is left out."""
    pairs = sum(manifest["files"][f"{side}/pairs.parquet"]["rows"] for side in LOADED)
    fields = {
        "pretty_name": "Preference pairs",
        **hub_license(manifest["licenses"]),
        # The Hub reads YAML 1.1, in which `no` is false.
        "language": [Quoted(code) for code in languages(manifest["languages"]["stated"])],
        "task_categories": ["text-generation"],
        "tags": tags(manifest),
        "size_categories": [size_category(pairs)],
        "configs": [config for name in TABLES if (config := _config(name, manifest))],
    }
    return {name: value for name, value in fields.items() if value}


def _config(name: str, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """Name a table's splits; one without rows is left out, as `load_dataset` fails on it."""
    places = {side: f"{side}/{name}.parquet" for side in LOADED}
    files = [{"split": side, "path": place} for side, place in places.items() if manifest["files"][place]["rows"]]
    default = {"default": True} if name == "pairs" else {}
    return {"config_name": name, **default, "data_files": files} if files else None
