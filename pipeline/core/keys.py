"""The pseudonym key: without it nobody can tell who is behind an annotator or a comparison id."""

import os
import secrets
from hashlib import sha256
from pathlib import Path

from pipeline.core.errors import PairtrailError

# It protects nobody and says so: anyone may rebuild the synthetic sample with it, and no other source may use it.
PUBLIC_KEY = "public-key-of-the-synthetic-sample-it-protects-nobody"
KEY_FILE = Path(".pairtrail/pseudonym.key")
KEY_VARIABLE = "PAIRTRAIL_KEY"
KEY_FILE_VARIABLE = "PAIRTRAIL_KEY_FILE"
_SHORTEST = 32


def fingerprint(key: str) -> str:
    """Name a key without giving it away: 16 hexadecimal digits of its SHA-256."""
    return sha256(b"pairtrail key fingerprint:" + key.encode()).hexdigest()[:16]


def load_key(root: Path, expected: str, not_synthetic: list[str]) -> str:
    """Return the key whose fingerprint `params.yaml` names.

    `not_synthetic` lists the sources that hold real data: for these the sample's public key is refused.
    """
    if expected == fingerprint(PUBLIC_KEY):
        if not_synthetic:
            msg = (
                f"params.yaml names the sample's public key, but these sources are not synthetic: "
                f"{', '.join(not_synthetic)}.\nMake a key of your own with `pairtrail keys init`."
            )
            raise PairtrailError(msg)
        return PUBLIC_KEY
    key, where = _find_key(root)
    if fingerprint(key) != expected:
        msg = (
            f"the key from {where} has fingerprint {fingerprint(key)}, but params.yaml (ingest.key_fingerprint) names "
            f"{expected}.\nWith another key every annotator and comparison id would change. Give the key that the "
            f"dataset was built with ({KEY_VARIABLE}, {KEY_FILE_VARIABLE} or {KEY_FILE})."
        )
        raise PairtrailError(msg)
    return key


def _find_key(root: Path) -> tuple[str, str]:
    if key := os.environ.get(KEY_VARIABLE):
        return _sound(key.strip(), KEY_VARIABLE), KEY_VARIABLE
    path = Path(os.environ.get(KEY_FILE_VARIABLE) or root / KEY_FILE)
    if not path.is_file():
        msg = (
            f"no pseudonym key: {KEY_VARIABLE} and {KEY_FILE_VARIABLE} are not set and {KEY_FILE} does not exist.\n"
            "Ask the dataset's owner for it, or make one for a new dataset with `pairtrail keys init`."
        )
        raise PairtrailError(msg)
    if path.stat().st_mode & 0o077:
        msg = f"{path.name}: others may read the key file; run `chmod 600` on it"
        raise PairtrailError(msg)
    return _sound(path.read_text(encoding="latin-1").strip(), path.name), path.name


def _sound(key: str, where: str) -> str:
    if len(key) < _SHORTEST or not key.isascii() or not key.isprintable():
        msg = f"the key from {where} is not one that `pairtrail keys init` makes ({_SHORTEST} or more plain characters)"
        raise PairtrailError(msg)
    return key


def init_key(root: Path) -> tuple[Path, str]:
    """Write a new random key outside git with mode 0600; return its path and fingerprint. Never overwrites."""
    path = root / KEY_FILE
    path.parent.mkdir(mode=0o700, exist_ok=True)
    key = secrets.token_hex(32)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        msg = f"{KEY_FILE} exists already; a second key would orphan every pseudonym made with the first"
        raise PairtrailError(msg) from None
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(key + "\n")
    return path, fingerprint(key)
