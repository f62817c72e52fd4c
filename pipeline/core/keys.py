"""The pseudonym key: without it nobody can tell who is behind an annotator or a comparison id."""

import os
import re
import secrets
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from pipeline.core.errors import PairtrailError

# It protects nobody and says so: anyone may rebuild the synthetic sample with it, and no other source may use it.
PUBLIC_KEY = "public-key-of-the-synthetic-sample-it-protects-nobody"
KEY_FILE = Path(".pairtrail/pseudonym.key")
KEY_VARIABLE = "PAIRTRAIL_KEY"
KEY_FILE_VARIABLE = "PAIRTRAIL_KEY_FILE"
_SHORTEST = 32
_FINGERPRINT = re.compile("[0-9a-f]{16}")


def fingerprint(key: str) -> str:
    """Name a key without giving it away: 16 hexadecimal digits of its SHA-256."""
    return sha256(b"pairtrail key fingerprint:" + key.encode()).hexdigest()[:16]


def load_key(root: Path, expected: str, not_synthetic: list[str]) -> str:
    """Return the key whose fingerprint `params.yaml` names: of all places that may hold one, the first that holds it.

    So a key in the environment that is another one (the old one, after a rotation) hides no right one behind it.
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
    others = []
    for where, key in _keys(root, expected):
        if fingerprint(key) == expected:
            return key
        others.append(f"the key from {where} has fingerprint {fingerprint(key)}")
    if not others:
        msg = (
            f"no pseudonym key: neither {KEY_VARIABLE} nor {KEY_FILE_VARIABLE} gives one, and {KEY_FILE} does not "
            "exist.\nAsk the dataset's owner for it, or make one for a new dataset with `pairtrail keys init`."
        )
        raise PairtrailError(msg)
    msg = (
        f"{', '.join(others)}, but params.yaml (ingest.key_fingerprint) names {expected}.\n"
        f"With another key every annotator and comparison id would change. Give the key that the dataset was built "
        f"with ({KEY_VARIABLE}, {KEY_FILE_VARIABLE}, {KEY_FILE} or {kept_key_file('FINGERPRINT')})."
    )
    raise PairtrailError(msg)


def kept_key_file(named: str) -> Path:
    """Return where a rotation keeps an old key, by its fingerprint: releases made with it can then be built again."""
    return KEY_FILE.with_stem(f"{KEY_FILE.stem}-{named}")


def _keys(root: Path, expected: str) -> Iterator[tuple[str, str]]:
    """Yield each key that there is, with its place, in the order in which they are tried."""
    if key := os.environ.get(KEY_VARIABLE):
        yield KEY_VARIABLE, _sound(key.strip(), KEY_VARIABLE)
    paths = [root / KEY_FILE]
    if stated := os.environ.get(KEY_FILE_VARIABLE):
        paths.insert(0, Path(stated))
    if _FINGERPRINT.fullmatch(expected):
        paths.append(root / kept_key_file(expected))
    yield from ((path.name, read_key(path)) for path in paths if path.is_file())


def read_key(path: Path) -> str:
    """Read a key file. Raises PairtrailError where others may read it, or where it holds no key."""
    if path.stat().st_mode & 0o077:
        msg = f"{path.name}: others may read the key file; run `chmod 600` on it"
        raise PairtrailError(msg)
    return _sound(path.read_text(encoding="latin-1").strip(), path.name)


def _sound(key: str, where: str) -> str:
    if len(key) < _SHORTEST or not key.isascii() or not key.isprintable():
        msg = f"the key from {where} is not one that `pairtrail keys init` makes ({_SHORTEST} or more plain characters)"
        raise PairtrailError(msg)
    return key


def new_key() -> str:
    """Make a random key: 64 hexadecimal digits."""
    return secrets.token_hex(32)


def init_key(root: Path) -> tuple[Path, str]:
    """Write a new random key outside git with mode 0600; return its path and fingerprint. Never overwrites."""
    path = root / KEY_FILE
    path.parent.mkdir(mode=0o700, exist_ok=True)
    key = new_key()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        msg = (
            f"{KEY_FILE} exists already; a second key would orphan every pseudonym made with the first.\n"
            "`pairtrail keys rotate` changes the key of a project and all that hangs on it."
        )
        raise PairtrailError(msg) from None
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(key + "\n")
    return path, fingerprint(key)
