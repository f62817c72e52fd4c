"""Comparisons -> decisions: one file per stage, run in the order of `STAGES`."""

from importlib import import_module
from types import ModuleType

STAGES = ("ingest", "validate", "dedupe", "near", "decontaminate", "split", "publish")


def stage_module(name: str) -> ModuleType:
    """Return a stage's module."""
    return import_module(f"{__name__}.{name}")
