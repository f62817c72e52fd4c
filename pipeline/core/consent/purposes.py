"""Purposes as the bits of one number, so that what several consents all allow is their bitwise `and`."""

import polars as pl

from schemas.vocabulary import PURPOSES


def as_bits(purposes: pl.Expr) -> pl.Expr:
    """Turn a list of known purposes into bits; null stays null."""
    bits = {purpose: 1 << place for place, purpose in enumerate(PURPOSES)}
    return purposes.list.eval(pl.element().unique().replace_strict(bits, return_dtype=pl.Int64)).list.sum()


def from_bits(bits: pl.Series) -> pl.Series:
    """Turn bits into sorted lists of purposes; null and 0 are none."""
    frame = pl.DataFrame({"bits": bits.fill_null(0)})
    distinct = frame["bits"].unique().to_list()
    lists = pl.Series("purposes", [sorted(_purposes_of(one)) for one in distinct], dtype=pl.List(pl.String))
    named = pl.DataFrame({"bits": distinct, "purposes": lists}, schema_overrides={"bits": pl.Int64})
    return frame.cast(pl.Int64).join(named, on="bits", how="left", maintain_order="left")["purposes"]


def _purposes_of(bits: int) -> list[str]:
    return [purpose for place, purpose in enumerate(PURPOSES) if bits >> place & 1]
