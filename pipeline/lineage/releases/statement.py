"""The statement that a release signs: in-toto Statement v1 with SLSA provenance v1 (slsa.dev/spec/v1.0/provenance).

Subjects are the published files and what releases/VERSION says of them; resolved dependencies are the build commit and
each input file by its SHA-256. No clock, host or user; the salt of the split stays out, as it tells where any root
would stand.
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from pipeline.core.errors import PairtrailError
from pipeline.core.progress import track
from pipeline.core.publishing.content import file_digest
from pipeline.lineage.revisions import Revision, inputs_of

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
WITHDRAWAL = "urn:pairtrail:withdrawal:1"
_BUILD = "urn:pairtrail:dvc-repro:1"
_SECRET = {"split": ("salt",)}
# Code is told by the commit, and by the digest of each stage's own.
_CODE = ("pipeline/", "schemas/")
_LIBRARIES = ("dvc", "polars", "pyarrow", "polars-hash", "rensa")


def provenance(
    build: Revision, subjects: Mapping[str, str], inputs: Mapping[str, str], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the statement of a release: `subjects` and `inputs` are SHA-256 digests by name."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": subject(subjects),
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": _BUILD,
                "externalParameters": {
                    "release": {name: facts[name] for name in ("name", "version", "previous", "level")},
                    "stages": {name: _asked(stage) for name, stage in build.lock().items()},
                },
                "internalParameters": {name: facts[name] for name in ("code_digest", "schema_digest")},
                "resolvedDependencies": [
                    {"name": "build commit", "digest": {"gitCommit": build.commit}},
                    *({"name": place, "digest": {"sha256": digest}} for place, digest in sorted(inputs.items())),
                ],
            },
            "runDetails": {
                "builder": {"id": "urn:pairtrail:release:1", "version": {name: version(name) for name in _LIBRARIES}}
            },
        },
    }


def withdrawal(release: str, reason: str) -> dict[str, Any]:
    """Write the statement that a release is withdrawn: `release` is the SHA-256 of its release.json."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": subject({"release.json": release}),
        "predicateType": WITHDRAWAL,
        "predicate": {"reason": reason},
    }


def subject(digests: Mapping[str, str]) -> list[dict[str, Any]]:
    """Write digests as in-toto's list of subjects."""
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(digests.items())]


def _asked(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a stage was asked: its command, and its parameters but the secret ones."""
    stated = stage.get("params", {}).get("params.yaml", {})
    return {"cmd": stage["cmd"], "params": dict(_told(stated))}


def _told(stated: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in stated.items():
        hidden = _SECRET.get(name, ())
        yield name, {key: one for key, one in value.items() if key not in hidden} if isinstance(value, dict) else value


def input_digests(build: Revision) -> dict[str, str]:
    """Return the SHA-256 of each input file of the build: raw files, sidecars, ledgers, policy, rubric, params, locks.

    Raises PairtrailError where one is not at hand, or is not the one that the build read.
    """
    root = build.project.root
    wanted = {one.path: one for one in inputs_of(build.lock()) if not one.path.startswith(_CODE)}
    places = sorted({*wanted, "params.yaml", "dvc.yaml", "dvc.lock"})
    if away := [place for place in places if not (root / place).is_file()]:
        msg = f"{', '.join(away[:20])}: not here, so nobody can sign for it; `dvc pull` the inputs of the build first"
        raise PairtrailError(msg)
    if odd := [one.path for one in wanted.values() if (root / one.path).stat().st_size != one.size]:
        msg = f"{', '.join(odd[:20])}: not of the size that the build read; run `dvc repro`, look, and commit"
        raise PairtrailError(msg)
    return {place: file_digest(root / place) for place in track(places, "inputs", len(places))}


def named_digests(statement: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of each subject of a statement, by name."""
    return {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}


def resolved(statement: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of each input file that a statement of provenance names, by its place."""
    found = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    return {one["name"]: one["digest"]["sha256"] for one in found if "sha256" in one["digest"]}
