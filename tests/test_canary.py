"""The canary never changes: held-out files of years ago must still be known by it."""

from hashlib import sha1, sha256
from uuid import UUID

import pytest

from pipeline.core.canary import canary

SALT = sha256(b"pairtrail-sample").hexdigest()
NAMESPACE = bytes.fromhex("64e21fa902905ba4adb57f1e5c1bbaa8")


def by_hand(namespace: bytes, name: str) -> bytes:
    """UUIDv5 by RFC 9562, 5.5: SHA-1 of namespace and name, cut to 128 bits, with version and variant written in."""
    whole = bytearray(sha1(namespace + name.encode(), usedforsecurity=False).digest()[:16])
    whole[6] = whole[6] & 0x0F | 0x50
    whole[8] = whole[8] & 0x3F | 0x80
    return bytes(whole)


def test_the_canary_is_what_it_was() -> None:
    assert canary(SALT, 1) == "ee94616c-3f66-518a-991b-7fc8c13688ef"


def test_the_canary_by_hand() -> None:
    assert UUID(canary(SALT, 7)).bytes == by_hand(by_hand(NAMESPACE, SALT), "heldout epoch 7 nfkc-fold-1")
    assert UUID(canary(SALT, 7, "older")).bytes == by_hand(by_hand(NAMESPACE, SALT), "heldout epoch 7 older")


def test_every_epoch_and_every_salt_has_its_own() -> None:
    other = sha256(b"another").hexdigest()
    assert len({canary(salt, epoch) for salt in (SALT, other) for epoch in range(1, 6)}) == 10


@pytest.mark.parametrize("salt", ["pairtrail-sample", SALT.upper(), SALT[:-1], ""])
def test_a_salt_that_is_no_digest_is_refused(salt: str) -> None:
    with pytest.raises(ValueError, match="64 lower-case"):
        canary(salt, 1)
