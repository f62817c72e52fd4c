"""The canary: one constant text in every held-out file, by which a row that went astray is known for what it is."""

from hashlib import sha256
from uuid import UUID, uuid5

from pipeline.core.digests import NORMALISATION
from pipeline.core.sides import Division

# Ours alone and fixed for good: another one would let every file that was published before pass unseen.
_NAMESPACE = UUID("64e21fa9-0290-5ba4-adb5-7f1e5c1bbaa8")
_DIGITS = 64


def canary(salt_sha256: str, epoch: int, normalisation: str = NORMALISATION) -> str:
    """Return the canary of an epoch: a UUIDv5 (RFC 9562, 5.5) of the salt's digest, the epoch and the normalisation.

    `salt_sha256` is the SHA-256 of the salt in hexadecimal digits, as `data/ledger/epochs.jsonl` records it: whoever
    looks for the canaries of past epochs has that ledger, with the normalisation of each, but not their salts. One that
    is not written in 64 lower-case digits is our fault, as its canary would be found nowhere.
    """
    if len(salt_sha256) != _DIGITS or set(salt_sha256) - set("0123456789abcdef"):
        msg = "a canary is made from the SHA-256 of the salt, as 64 lower-case hexadecimal digits"
        raise ValueError(msg)
    return str(uuid5(uuid5(_NAMESPACE, salt_sha256), f"heldout epoch {epoch} {normalisation}"))


def canary_of(division: Division) -> str:
    """Return the canary of the held-out set that a project divides its roots by."""
    return canary(sha256(division.salt.encode()).hexdigest(), division.epoch)
