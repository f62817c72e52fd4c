"""Candidates to comparisons: ids from content, annotators to pseudonyms; raw annotator and event ids end here."""

import polars as pl

from pipeline.core.digests import NORMALISATION, digest, framed, keyed_digest
from pipeline.core.sidecar.sidecars import Source
from pipeline.core.turns import messages_of, spoken
from schemas.columns import CONSENT_REFS, dtypes
from schemas.comparisons import COMPARISONS

_SHOWN = ("preference", "annotator", "own")


def identify(candidates: pl.DataFrame, source: Source, key: str) -> pl.DataFrame:
    """Return the comparisons of writable candidates, with `event`, `source_row` and `sides` beside them."""
    named = candidates.with_columns(
        annotator=pseudonym(key, source.namespace, pl.col("annotator")),
        consent_refs=_with_pseudonyms(key, source),
        event=pl.when(pl.col("event_id").is_not_null()).then(
            keyed_digest(key, pl.lit("event"), pl.lit(source.name), pl.col("fan_out"), pl.col("event_id"))
        ),
        source=pl.lit(source.name),
        license=pl.lit(source.sidecar.license),
    )
    prompts = prompt_ids(named["prompt"])
    with_content = pl.concat([named, prompts], how="horizontal").with_columns(
        response_a_id=response_id(pl.col("response_a")), response_b_id=response_id(pl.col("response_b"))
    )
    shown = [pl.col(name) for name in _SHOWN]
    verdict = [pl.col("event_id"), pl.col("exact_prompt"), pl.col("response_a"), pl.col("response_b"), *shown]
    identified = with_content.with_columns(
        comparison_id=keyed_digest(key, pl.lit("comparison"), pl.col("source"), pl.col("fan_out"), *verdict),
        pair_id=pair_id(pl.col("prompt_id"), pl.col("response_a_id"), pl.col("response_b_id")),
    )
    return identified.select(*dtypes(COMPARISONS), "event", "source_row", "sides", "fan_out")


def pseudonym(key: str, namespace: str, raw: pl.Expr) -> pl.Expr:
    """Name a raw id as nobody without the key can; null names nobody."""
    named = keyed_digest(key, pl.lit("annotator"), pl.lit(namespace), raw)
    return pl.when(raw.is_not_null()).then(named)


def _with_pseudonyms(key: str, source: Source) -> pl.Expr:
    """Name consent references by pseudonym; add the record of the whole source, which is no person's."""
    field = pl.element().struct.field
    subject = pseudonym(key, source.namespace, field("subject")).alias("subject")
    refs = pl.col("consent_refs").list.eval(pl.struct(field("role"), subject, field("consent_id"))).cast(CONSENT_REFS)
    consent = source.sidecar.consent
    if consent is None or consent.record is None:
        return refs
    whole = {"role": "publisher", "subject": f"source:{source.name}", "consent_id": consent.record}
    return refs.list.concat(pl.lit(pl.Series([[whole]], dtype=CONSENT_REFS)))


def response_id(response: pl.Expr) -> pl.Expr:
    """Digest a response's exact text after an outer strip: `x²` is not `x2`, and indentation is code."""
    return digest(pl.lit("response"), response.str.strip_chars())


def pair_id(prompt: pl.Expr, response_a: pl.Expr, response_b: pl.Expr) -> pl.Expr:
    """Digest prompt and responses so that swapped presentation gives the same pair."""
    return digest(
        pl.lit("pair"), prompt, pl.min_horizontal(response_a, response_b), pl.max_horizontal(response_a, response_b)
    )


def prompt_ids(prompts: pl.Series) -> pl.DataFrame:
    """Return `prompt_id`, `match_key`, `root_id` and `exact_prompt` (the messages as one text) of each prompt.

    Where no message is the user's, all messages stand in for the user turns.
    """
    long = messages_of(prompts)
    turns = long.group_by("place", maintain_order=True).agg(
        exact=framed(pl.col("role"), pl.col("content")).str.join(""),
        normal=framed(pl.col("role"), pl.col("normal")).str.join(""),
    )
    users = (
        long.filter(spoken())
        .group_by("place", maintain_order=True)
        .agg(match=framed(pl.col("matched")).str.join(""), root=framed(pl.col("matched").first()))
    )
    places = pl.DataFrame({"place": range(len(prompts))}, schema={"place": pl.UInt32})
    found = places.join(turns, on="place", how="left", maintain_order="left")
    found = found.join(users, on="place", how="left", maintain_order="left").with_columns(
        pl.all().exclude("place").fill_null("")
    )
    version = pl.lit(NORMALISATION)
    return found.select(
        prompt_id=digest(pl.lit("prompt"), version, pl.col("normal")),
        match_key=digest(pl.lit("match"), version, pl.col("match")),
        root_id=digest(pl.lit("root"), version, pl.col("root")),
        exact_prompt=pl.col("exact"),
    )
