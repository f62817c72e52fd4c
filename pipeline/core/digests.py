"""Identities from content: every normalisation and every digest of the project, written down once.

A digest is SHA-256 (or HMAC-SHA256 with the pseudonym key) over length-prefixed parts, cut to 128 bits and written as
32 hexadecimal digits. Length prefixes keep `("ab", "c")` and `("a", "bc")` apart whatever the parts contain.
Changing a normalisation re-splits the data, so `NORMALISATION` names its version and is part of the split's epoch.
"""

import hmac
from collections.abc import Sequence
from hashlib import sha256

import polars as pl
import polars_hash as plh

NORMALISATION = "nfkc-fold-1"
ID_LENGTH = 32

# Unicode White_Space beyond the plain space, less what NFKC already turns into one.
_WHITE_SPACE = dict.fromkeys(
    ["\t", "\n", "\v", "\f", "\r", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u1680", "\u2028", "\u2029"], " "
)


def normalise(texts: pl.Series) -> pl.Series:
    """Apply NFKC, turn every run of white space into one space, and strip: the text form of prompts."""
    folded = _nfkc(texts).str.replace_many(_WHITE_SPACE)
    while folded.str.contains("  ", literal=True).any():
        folded = folded.str.replace_all("  ", " ", literal=True)
    return folded.str.strip_chars(" ")


def _nfkc(texts: pl.Series) -> pl.Series:
    """Normalise only the texts that are not ASCII: NFKC leaves ASCII as it is and runs at 87 MB/s."""
    wide = (texts.str.len_bytes() != texts.str.len_chars()).fill_null(value=False)
    if not wide.any():
        return texts
    return texts.clone().scatter(wide.arg_true(), texts.filter(wide).str.normalize("NFKC"))


def framed(*parts: pl.Expr) -> pl.Expr:
    """Join text parts so that no two lists of parts give one text: each as `length:part,`, null as `~,`."""
    return pl.concat_str([_frame(part) for part in parts])


def _frame(part: pl.Expr) -> pl.Expr:
    return pl.concat_str(part.str.len_bytes().cast(pl.String), pl.lit(":"), part, pl.lit(",")).fill_null("~,")


def digest(*parts: pl.Expr) -> pl.Expr:
    """Plain 128-bit digest of text parts; for content that anyone may recompute."""
    return _hashing(framed(*parts)).sha2_256().str.head(ID_LENGTH)


def keyed_digest(key: str, *parts: pl.Expr) -> pl.Expr:
    """128-bit HMAC-SHA256 of text parts; where a plain digest would let anyone recover a guessable text."""
    return _hashing(framed(*parts)).hmac_sha256(key=key).str.head(ID_LENGTH)


def _hashing(texts: pl.Expr) -> plh.CryptographicHashingNameSpace:
    return plh.CryptographicHashingNameSpace(texts)


def digest_text(*parts: str | None) -> str:
    """Do for plain strings what `digest` does for expressions."""
    return sha256(_framed_text(parts)).hexdigest()[:ID_LENGTH]


def keyed_digest_text(key: str, *parts: str | None) -> str:
    """Do for plain strings what `keyed_digest` does for expressions."""
    return hmac.digest(key.encode(), _framed_text(parts), "sha256").hex()[:ID_LENGTH]


def keyed_digest_bytes(key: str, content: bytes) -> str:
    """128-bit HMAC-SHA256 of bytes as they are; the record digest."""
    return hmac.digest(key.encode(), content, "sha256").hex()[:ID_LENGTH]


def keyed_digests(key: str, contents: list[bytes]) -> list[str]:
    """Do for many byte strings what `keyed_digest_bytes` does for one, at a third of the time where they are UTF-8."""
    try:
        texts = pl.Series("content", contents, dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        return [keyed_digest_bytes(key, content) for content in contents]
    return pl.select(_hashing(pl.lit(texts)).hmac_sha256(key=key).str.head(ID_LENGTH)).to_series().to_list()


def _framed_text(parts: Sequence[str | None]) -> bytes:
    encoded = [None if part is None else part.encode() for part in parts]
    return b"".join(b"~," if part is None else b"%d:%b," % (len(part), part) for part in encoded)
