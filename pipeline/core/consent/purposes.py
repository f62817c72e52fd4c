"""Codes as the bits of one number, so that what several consents all allow is their bitwise `and`."""

import polars as pl

from schemas.vocabulary import PURPOSES


def as_bits(codes: pl.Expr, known: tuple[str, ...] = PURPOSES) -> pl.Expr:
    """Turn a list of known codes, purposes where nothing else is said, into bits; null stays null."""
    bits = {code: 1 << place for place, code in enumerate(known)}
    return codes.list.eval(pl.element().unique().replace_strict(bits, return_dtype=pl.Int64)).list.sum()


def from_bits(bits: pl.Series, known: tuple[str, ...] = PURPOSES) -> pl.Series:
    """Turn bits into sorted lists of codes; null and 0 are none."""
    stated = bits.fill_null(0).cast(pl.Int64).alias("bits")
    distinct = stated.unique()
    lists = [sorted(code for place, code in enumerate(known) if one >> place & 1) for one in distinct]
    named = pl.DataFrame([distinct, pl.Series("codes", lists, dtype=pl.List(pl.String))])
    return stated.to_frame().join(named, on="bits", how="left", maintain_order="left")["codes"]
