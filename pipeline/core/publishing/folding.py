"""Folding: the comparisons of one pair, policy and rubric become one row that says who chose what, and how clearly.

Inside, the two responses are `a` and `b` in the order of their ids, whichever way a source listed them.
"""

from collections.abc import Sequence

import polars as pl

KEY = ["pair_id", "policy_version", "rubric_version"]
LABELS = ("category", "language", "template_id", "safety")
SIDED = ("model", "behaviour")
THIN = (
    "comparison_id",
    *KEY,
    "root_id",
    "prompt_id",
    "response_a_id",
    "response_b_id",
    "preference",
    "strength",
    "presented_order",
    "annotator",
    "annotator_kind",
    *(f"{name}_{which}" for name in SIDED for which in "ab"),
    *LABELS,
    "created_at",
    "source",
    "license",
)
"""The columns that folding reads: no text."""

# Means of floats differ in the last bits with the order of summation.
_DECIMALS = 9


def oriented(comparisons: pl.DataFrame, sided: Sequence[str] = SIDED) -> pl.DataFrame:
    """Turn each verdict so that a has the lesser response id, what is `sided` with it, and sort by comparison id."""
    swap = pl.col("response_a_id") > pl.col("response_b_id")
    other = {"a": "b", "b": "a", "ab": "ba", "ba": "ab"}
    turned = [
        pl.when(swap).then(pl.col(name).replace(other)).otherwise(name).alias(name)
        for name in ("preference", "presented_order")
    ]
    for name in (*sided, "response"):
        a, b = (f"{name}_a_id", f"{name}_b_id") if name == "response" else (f"{name}_a", f"{name}_b")
        turned += [pl.when(swap).then(b).otherwise(a).alias(a), pl.when(swap).then(a).otherwise(b).alias(b)]
    return comparisons.with_columns(turned).sort("comparison_id")


def deciding(verdicts: pl.DataFrame, *, humans_decide: bool) -> pl.Series:
    """Mark the verdicts that are folded: all, or where any human judged a row, the humans' only."""
    human = pl.col("annotator_kind") == "human"
    folded = human | ~human.any().over(KEY) if humans_decide else pl.lit(value=True)
    return verdicts.with_columns(folded=folded)["folded"]


def votes_of(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Give each annotator one vote per row: the sign of the sum of their verdicts; null annotators each stand alone.

    A person and a model that a source calls by one name are two.
    `strength` is the mean signed strength towards a; null when any of the verdicts that chose a side states none.
    """
    sign = pl.col("preference").replace_strict({"a": 1, "b": -1, "tie": 0, "both_bad": 0}, return_dtype=pl.Int64)
    voter = pl.coalesce(pl.col("annotator"), pl.col("comparison_id"))
    signed = verdicts.with_columns(sign=sign, voter=voter).with_columns(
        towards_a=pl.when(pl.col("sign") == 0).then(0.0).otherwise(pl.col("sign") * pl.col("strength"))
    )
    total = pl.col("sign").sum()
    vote = (
        pl.when(total > 0).then(pl.lit("a")).when(total < 0).then(pl.lit("b"))
        .when((pl.col("preference") == "both_bad").all()).then(pl.lit("both_bad")).otherwise(pl.lit("tie"))
    )  # fmt: skip
    return signed.group_by(*KEY, "voter", "annotator_kind").agg(vote=vote, strength=_mean_or_null("towards_a"))


def _mean_or_null(column: str) -> pl.Expr:
    """Mean, null when any value is null: an unknown strength is not a zero and not ignorable."""
    return pl.when(pl.col(column).null_count() == 0).then(pl.col(column).sort().mean()).round(_DECIMALS)


def counted(votes: pl.DataFrame, majority: str) -> pl.DataFrame:
    """Count the votes of each row; `chosen` is a, b or null (a tie).

    `majority` is `all` (a side needs more than half of all votes) or `decided` (more than the other side).
    `agreement` is P_i of Fleiss, Measuring nominal scale agreement among many raters (1971), eq. 2.
    """
    n_a, n_b, n_tie, n_bad = ((pl.col("vote") == name).sum().cast(pl.Int64) for name in ("a", "b", "tie", "both_bad"))
    rows = votes.group_by(KEY).agg(
        n_a=n_a, n_b=n_b, n_tie=n_tie, n_bad=n_bad, n=pl.len().cast(pl.Int64), strength=_mean_or_null("strength")
    )
    a, b, n = pl.col("n_a"), pl.col("n_b"), pl.col("n")
    needed = n / 2 if majority == "all" else None
    wins_a, wins_b = (a > needed, b > needed) if needed is not None else (a > b, b > a)
    agreeing = pl.sum_horizontal(pl.col(name) * (pl.col(name) - 1) for name in ("n_a", "n_b", "n_tie", "n_bad"))
    return rows.with_columns(
        chosen=pl.when(wins_a).then(pl.lit("a")).when(wins_b).then(pl.lit("b")),
        p_a=((a + (pl.col("n_tie") + pl.col("n_bad")) / 2) / n).round(_DECIMALS),
        agreement=pl.when(n > 1).then(agreeing / (n * (n - 1))).round(_DECIMALS),
    )


def described(verdicts: pl.DataFrame, licenses: Sequence[str]) -> pl.DataFrame:
    """Gather what the folded verdicts say besides their votes; a label on which they differ is null."""
    strictness = pl.Enum(list(licenses))
    sided = [f"{name}_{which}" for name in SIDED for which in "ab"]
    gathered = verdicts.group_by(KEY).agg(
        *(_agreed(name) for name in (*LABELS, *sided)),
        pl.col("side").first(),
        pl.col("root_id").first(),
        pl.col("prompt_id").first(),
        pl.col("response_a_id").first(),
        pl.col("response_b_id").first(),
        pl.col("comparison_id").min().alias("text_id"),
        pl.col("comparison_id").sort().alias("comparison_ids"),
        pl.col("source").unique().sort().alias("sources"),
        pl.col("license").cast(strictness).max().cast(pl.String),
        fold=pl.when((pl.col("annotator_kind") == "human").any()).then(pl.lit("human")).otherwise(pl.lit("model")),
        verdicts=pl.len(),
    )
    allowed = (
        verdicts.select(*KEY, "purposes").explode("purposes").group_by(*KEY, "purposes").len("allowing")
        .join(gathered.select(*KEY, "verdicts"), on=KEY).filter(pl.col("allowing") == pl.col("verdicts"))
        .group_by(KEY).agg(pl.col("purposes").sort())
    )  # fmt: skip
    return gathered.join(allowed, on=KEY, how="left").with_columns(pl.col("purposes").fill_null([]))


def _agreed(name: str) -> pl.Expr:
    stated = pl.col(name).drop_nulls()
    return pl.when(stated.n_unique() == 1).then(stated.min()).alias(name)


def fold(verdicts: pl.DataFrame, *, majority: str, licenses: Sequence[str]) -> pl.DataFrame:
    """Fold oriented, deciding verdicts to one row per pair, policy and rubric, sorted by that key; no text yet."""
    rows = counted(votes_of(verdicts), majority).join(described(verdicts, licenses), on=KEY, how="inner")
    table = pl.when(pl.col("chosen").is_null()).then(pl.lit("ties")).otherwise(pl.lit("pairs"))
    return rows.with_columns(table=table).sort(KEY)
