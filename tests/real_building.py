"""Projects over published logs: raw files that link to them, under the sidecars of tests/real_sources."""

import shutil
from pathlib import Path

from pipeline.core.keys import fingerprint
from tests.building import ROOT, Built, build, put_version

SOURCES = ROOT / "tests" / "real_sources"
LICENSES = ["CC0-1.0", "MIT", "Apache-2.0", "CC-BY-4.0"]


def real_project(real: Path, root: Path, *names: str) -> Built:
    """Make a project of these sources with a key of its own, ready to run."""
    project = build(root / "project")
    key = "0" * 64
    key_file = project.root / ".pairtrail" / "pseudonym.key"
    key_file.parent.mkdir()
    key_file.write_text(key, encoding="ascii")
    key_file.chmod(0o600)
    (project.ledger / "consent").mkdir(parents=True)
    shutil.copy(SOURCES / "consent.jsonl", project.ledger / "consent")
    for name in names:
        folder = project.raw / name
        folder.mkdir(parents=True)
        (folder / "source.yaml").write_text((SOURCES / name / "source.yaml").read_text("utf-8"), encoding="utf-8")
        for file in sorted((real / name.removesuffix("_kto")).iterdir()):
            (folder / file.name).symlink_to(file)
    for kind, version in (("policy", "assistant-1"), ("rubric", "pairwise-1")):
        put_version(project.root, kind, version)
    return project.set_params(
        ingest={"key_fingerprint": fingerprint(key), "record_bytes": 2**24},
        validate={"policies": ["assistant-1"], "rubrics": ["pairwise-1"], "licenses": LICENSES},
        publish={"licenses_strictest_last": LICENSES},
    )
