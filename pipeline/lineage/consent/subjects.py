"""Subjects: what a file calls a person becomes the ledger's pseudonym; raw ids end here."""

import re
from dataclasses import dataclass
from functools import cached_property

from pipeline.core.digests import keyed_digest_text
from pipeline.core.keys import load_key
from pipeline.core.params import read_yaml
from pipeline.core.project import Project
from pipeline.core.sidecar.sidecars import Source
from pipeline.core.sidecar.sources import load_sources
from pipeline.lineage.consent.faults import UnfitError

_WHOLE = re.compile(r"source:(.+)", re.DOTALL)


@dataclass(frozen=True)
class Subjects:
    """The subjects of a project; `source` is whose ids a file's are, where its records do not say."""

    project: Project
    source: str | None

    def of_person(self, raw: str, source: str | None = None) -> str:
        """Return the pseudonym of a raw id, as ingest makes it: in the namespace of its source."""
        name = source or self.source
        if name is None:
            msg = "a person's id without its source: name the source whose ids these are (--source, or a column)"
            raise UnfitError(msg)
        return keyed_digest_text(self._key, "annotator", self._named(name).namespace, raw)

    def of_source(self, name: str) -> str:
        """Return the subject of a record about a whole source, which names no person."""
        return f"source:{self._named(name).name}"

    def as_told(self, told: str) -> str:
        """Return the subject that a text names: `source:NAME` a whole source, anything else a person."""
        whole = _WHOLE.fullmatch(told)
        return self.of_source(whole[1]) if whole else self.of_person(told)

    def _named(self, name: str) -> Source:
        if name not in self._sources:
            msg = f"no such source; known: {', '.join(self._sources)}"
            raise UnfitError(msg)
        return self._sources[name]

    @cached_property
    def _sources(self) -> dict[str, Source]:
        return {source.name: source for source in load_sources(self.project.raw)}

    @cached_property
    def _key(self) -> str:
        real = [source.name for source in self._sources.values() if not source.sidecar.synthetic]
        return load_key(self.project.root, str(read_yaml(self.project.params)["ingest"]["key_fingerprint"]), real)
