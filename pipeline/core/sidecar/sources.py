"""Sources: the folders below data/raw, read and checked by their sidecars."""

from pathlib import Path

from pipeline.core.errors import PairtrailError
from pipeline.core.params import build, read_yaml
from pipeline.core.sidecar.faults import faults_of
from pipeline.core.sidecar.sidecars import SIDECAR, ConsentRef, Sidecar, Source
from pipeline.core.sidecar.waiting import waiting


def load_source(path: Path) -> Source:
    """Read and check one source.yaml; raises PairtrailError with every fault found."""
    source = read_source(path)
    if faults := list(faults_of(source)):
        raise PairtrailError("\n".join([f"{path}:", *(f"  {fault}" for fault in faults)]))
    return source


def read_source(path: Path) -> Source:
    """Read one source.yaml; raises PairtrailError where it waits for its owner, or has not the shape of a sidecar."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        msg = f"{path}: a mapping is needed, with adapter, files, license, ..."
        raise PairtrailError(msg)
    if waits := waiting(content):
        raise PairtrailError("\n".join([f"{path}:", *(f"  {one}" for one in waits)]))
    sidecar = build(Sidecar, content, str(path))
    raw_refs = content["fields"].get("consent_refs", [])
    if not isinstance(raw_refs, list):
        msg = f"{path}: fields.consent_refs: a list is needed, each with role, subject and consent_id"
        raise PairtrailError(msg)
    refs = [build(ConsentRef, ref, f"{path}: fields.consent_refs") for ref in raw_refs]
    folder = path.absolute().parent
    return Source(folder.name, folder, sidecar, refs)


def source_folders(raw: Path) -> list[Path]:
    """Return the folders below data/raw, each of which must be a source."""
    return sorted(path for path in raw.iterdir() if path.is_dir()) if raw.is_dir() else []


def load_sources(raw: Path) -> list[Source]:
    """Read every source below data/raw, sorted by name; a folder without a sidecar is an error."""
    folders = source_folders(raw)
    for folder in folders:
        if not (folder / SIDECAR).is_file():
            msg = f"{folder}: no {SIDECAR}; a source must state its adapter, licence, consent, policy and rubric"
            raise PairtrailError(msg)
    if not folders:
        msg = f"{raw}: no sources; put your logs into a folder below it, with a {SIDECAR}, or run `pairtrail demo`"
        raise PairtrailError(msg)
    return [load_source(folder / SIDECAR) for folder in folders]
