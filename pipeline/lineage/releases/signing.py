"""Signing: Ed25519 keys, and DSSE envelopes around in-toto statements (github.com/secure-systems-lab/dsse, v1)."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project

KEY_FILE = Path(".pairtrail/signing.pem")
KEY_VARIABLE = "PAIRTRAIL_SIGNING_KEY"
KEY_FILE_VARIABLE = "PAIRTRAIL_SIGNING_KEY_FILE"
PAYLOAD = "application/vnd.in-toto+json"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LARGEST = 64 * 2**20


def keys_folder(project: Project) -> Path:
    """Return where git keeps the public keys of those who may sign."""
    return project.releases / "keys"


def init_key(project: Project, name: str) -> Path:
    """Make a signing key outside git, readable by its owner alone, and put its public half beside the releases."""
    if not _NAME.fullmatch(name):
        msg = f"`{name}` cannot name a key: lower-case letters, digits and . _ - only, 64 at most"
        raise PairtrailError(msg)
    public = keys_folder(project) / f"{name}.pem"
    if public.exists():
        msg = f"releases/keys/{public.name} exists already; name this one otherwise, such as {name}-2"
        raise PairtrailError(msg)
    private = project.root / KEY_FILE
    private.parent.mkdir(mode=0o700, exist_ok=True)
    signer = CryptoSigner.generate_ed25519()
    try:
        handle = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        msg = f"{KEY_FILE} exists already; a project's clone has one signing key (move it away to make another)"
        raise PairtrailError(msg) from None
    with os.fdopen(handle, "wb") as stream:
        stream.write(signer.private_bytes)
    public.parent.mkdir(parents=True, exist_ok=True)
    raw = bytes.fromhex(signer.public_key.keyval["public"])
    public.write_bytes(
        Ed25519PublicKey.from_public_bytes(raw).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return public


def load_signer(project: Project, stated: Path | None) -> CryptoSigner:
    """Return who signs: by the key file stated, else the environment's, else .pairtrail/signing.pem."""
    where, pem = _private_pem(project, stated)
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, Ed25519PrivateKey):
        msg = f"{where}: no Ed25519 private key in PEM without a password, such as `pairtrail release key NAME` makes"
        raise PairtrailError(msg)
    return CryptoSigner(private)


def _private_pem(project: Project, stated: Path | None) -> tuple[str, bytes]:
    if stated is None and (text := os.environ.get(KEY_VARIABLE)):
        return KEY_VARIABLE, text.encode()
    named = os.environ.get(KEY_FILE_VARIABLE)
    path = stated or (Path(named) if named else project.root / KEY_FILE)
    if not path.is_file():
        msg = (
            f"no signing key: no {_shown(project, path)} is there, and neither {KEY_VARIABLE} nor\n{KEY_FILE_VARIABLE} "
            "gives one; make one with `pairtrail release key NAME`, or name it with --key"
        )
        raise PairtrailError(msg)
    if path.stat().st_mode & 0o077:
        msg = f"{_shown(project, path)}: others may read the signing key; run `chmod 600` on it"
        raise PairtrailError(msg)
    return path.name, path.read_bytes()


def _shown(project: Project, path: Path) -> str:
    """Name a key file so that it can be found: the clone's own by its folder, too."""
    return str(KEY_FILE) if path == project.root / KEY_FILE else path.name


def trusted_keys(project: Project) -> dict[str, Key]:
    """Return the public keys that the project trusts, by their names."""
    return read_keys(sorted(keys_folder(project).glob("*.pem")))


def signer_name(project: Project, signer: CryptoSigner) -> str:
    """Return whose key somebody signs with. Raises PairtrailError where its public half is not in releases/keys."""
    names = {key.keyid: name for name, key in trusted_keys(project).items()}
    if signer.public_key.keyid not in names:
        msg = "the signing key's public half is not in releases/keys: commit it first (`pairtrail release key NAME`)"
        raise PairtrailError(msg)
    return names[signer.public_key.keyid]


def read_keys(paths: list[Path]) -> dict[str, Key]:
    """Read public keys, by the names of their files. Raises PairtrailError where one is none."""
    return {path.stem: _public_key(path) for path in sorted(paths)}


def _public_key(path: Path) -> Key:
    try:
        found = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PublicKey):
        msg = f"{path}: no Ed25519 public key in PEM (BEGIN PUBLIC KEY), such as stands in releases/keys"
        raise PairtrailError(msg)
    return SSlibKey.from_crypto(found)


@dataclass(frozen=True, slots=True)
class Signed:
    """What an envelope holds, and whose keys signed it: `by` names the trusted ones whose signature is right."""

    statement: dict[str, Any]
    by: dict[str, str]
    """The name of each trusted key that signed, by its id."""
    wrong: list[str]
    """Ids of trusted keys whose signature is not right."""
    unknown: list[str]
    """Ids of keys that nobody here trusts."""


def sign(statement: dict[str, Any], signer: CryptoSigner) -> dict[str, Any]:
    """Put a statement into an envelope with one signature."""
    payload = json.dumps(statement, sort_keys=True, ensure_ascii=False).encode()
    envelope = Envelope(payload, PAYLOAD, {})
    envelope.sign(signer)
    return envelope.to_dict()


def add_signature(path: Path, signer: CryptoSigner) -> dict[str, Any]:
    """Return the envelope of a file with one more signature."""
    envelope = _envelope(path)
    envelope.sign(signer)
    return envelope.to_dict()


def signed(path: Path, keys: Mapping[str, Key]) -> Signed:
    """Read an envelope and hold each signature against the trusted keys. Raises PairtrailError where it is none."""
    envelope = _envelope(path)
    trusted = {key.keyid: (name, key) for name, key in keys.items()}
    right = {keyid for keyid, (_, key) in trusted.items() if _is_right(envelope, key)}
    met = set(envelope.signatures)
    by = {keyid: trusted[keyid][0] for keyid in sorted(right)}
    return Signed(
        _object(envelope.payload, path.name), by, sorted(met & set(trusted) - right), sorted(met - set(trusted))
    )


def statement_in(raw: bytes) -> dict[str, Any]:
    """Return the statement of an envelope, whoever signed it."""
    return _object(_parsed(raw, "the statement").payload, "the statement")


def _object(payload: bytes, name: str) -> dict[str, Any]:
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        msg = f"{name}: its payload is no JSON object"
        raise PairtrailError(msg)
    return content


def _is_right(envelope: Envelope, key: Key) -> bool:
    if key.keyid not in envelope.signatures:
        return False
    try:
        key.verify_signature(envelope.signatures[key.keyid], envelope.pae())
    except UnverifiedSignatureError:
        return False
    return True


def _envelope(path: Path) -> Envelope:
    if not path.is_file():
        msg = f"{path.name}: it is gone"
        raise PairtrailError(msg)
    if path.stat().st_size > _LARGEST:
        msg = f"{path.name}: larger than any statement of a release"
        raise PairtrailError(msg)
    return _parsed(path.read_bytes(), path.name)


def _parsed(raw: bytes, name: str) -> Envelope:
    try:
        envelope = Envelope.from_dict(json.loads(raw))
    except (ValueError, KeyError, TypeError, AttributeError, FormatError, RecursionError):
        msg = f"{name}: no DSSE envelope"
        raise PairtrailError(msg) from None
    if envelope.payload_type != PAYLOAD:
        msg = f"{name}: it does not hold an in-toto statement"
        raise PairtrailError(msg)
    return envelope
