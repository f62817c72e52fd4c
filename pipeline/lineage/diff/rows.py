"""Rows compared: pairs and ties of two builds, joined by pair, policy and rubric."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_

import polars as pl

from pipeline.core.publishing.folding import KEY
from pipeline.lineage.diff.reading import BOTH, FOLDED, PROMPT, RESPONSES

NEW = "_new"
SEVERAL, UNKNOWN = "several", "unknown"
SLICED = ["sources", "category", "language"]


def joined(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Join the rows of both builds; `side` is null for an added row, `side_new` for a removed one."""
    return old.join(new, on=KEY, how="full", suffix=NEW, coalesce=True)


def differs(*names: str) -> pl.Expr:
    """Tell rows of which any of these columns is another one in the new build."""
    return reduce(or_, (pl.col(name).ne_missing(pl.col(f"{name}{NEW}")) for name in names))


def named(names: Mapping[str, pl.Expr]) -> pl.Expr:
    """Join the names whose expression holds."""
    told = [pl.when(holds).then(pl.lit(name)) for name, holds in names.items()]
    return pl.concat_str(told, separator=BOTH, ignore_nulls=True)


def row_changes(both: pl.DataFrame, labels: Sequence[str]) -> list[pl.DataFrame]:
    """Tell each change of rows: `both` as `joined`, with why votes left or came, and whether any did (`voted`)."""
    stands = both.filter(pl.col("side").is_not_null() & pl.col(f"side{NEW}").is_not_null())
    removed = both.filter(pl.col(f"side{NEW}").is_null())
    added = both.filter(pl.col("side").is_null())
    came = pl.coalesce("fate_came", pl.lit(UNKNOWN))
    left = pl.coalesce("fate_left", pl.lit(UNKNOWN))
    return [
        told("removed", removed, left),
        told("added", added, came),
        *_rejudged(removed, added),
        *(told(kind, stands.filter(holds), reason) for kind, (holds, reason) in _standing(labels).items()),
    ]


def _standing(labels: Sequence[str]) -> dict[str, tuple[pl.Expr, pl.Expr]]:
    """Return, by kind, when a row that stands in both changed so, and the reason that is told."""
    pairs = (pl.col("table") == "pairs") & (pl.col(f"table{NEW}") == "pairs")
    votes = pl.when("voted").then(pl.lit("votes_changed")).otherwise(pl.lit("same_votes"))
    won = pl.when(pl.col("table") == "ties").then(pl.lit("majority_won")).otherwise(pl.lit("majority_lost"))
    turned = differs("chosen_first")
    texts = {"prompt": differs(*PROMPT), "responses": differs(*RESPONSES)}
    return {
        "moved_side": (differs("side"), pl.format("{} to {}", "side", f"side{NEW}")),
        "moved_table": (differs("table"), won),
        "relabelled": (pairs & turned, votes),
        "text_edited": (differs(*PROMPT, *RESPONSES), named(texts)),
        "strength_changed": (pairs & ~turned & differs("strength"), votes),
        "purposes_changed": (differs("purposes"), _purposes()),
        "license_changed": (differs("license"), pl.format("{} to {}", "license", f"license{NEW}")),
        "labels_changed": _any_of(_by_name(labels)),
        "folded_otherwise": (~pl.col("voted") & _any_of(FOLDED)[0], _any_of(FOLDED)[1]),
    }


def _by_name(labels: Sequence[str]) -> dict[str, list[str]]:
    """Gather labels by the name that is told: what is said of the first and of the second response is one."""
    found: dict[str, list[str]] = {}
    for label in labels:
        found.setdefault(label.removesuffix("_first").removesuffix("_second"), []).append(label)
    return found


def _any_of(columns: Mapping[str, list[str]]) -> tuple[pl.Expr, pl.Expr]:
    """Tell rows of which any of some columns changed, and which, by the name that is told."""
    changed = {name: differs(*read) for name, read in columns.items()}
    return reduce(or_, changed.values()), named(changed)


def _purposes() -> pl.Expr:
    before, after = (pl.col(name).str.split(BOTH) for name in ("purposes", f"purposes{NEW}"))
    # No purpose is one empty text here, which is no loss and no gain.
    lost = before.list.set_difference(after).list.drop_nulls().list.eval(pl.element().filter(pl.element() != ""))
    gained = after.list.set_difference(before).list.drop_nulls().list.eval(pl.element().filter(pl.element() != ""))
    loses, gains = lost.list.len() > 0, gained.list.len() > 0
    return pl.when(loses & gains).then(pl.lit("exchanged")).when(loses).then(pl.lit("lost")).otherwise(pl.lit("gained"))


def _rejudged(removed: pl.DataFrame, added: pl.DataFrame) -> list[pl.DataFrame]:
    """Tell the removed rows whose pair came under another rubric or policy, or both."""
    versions = KEY[1:]
    again = removed.join(added.select(*KEY), on="pair_id", how="inner", suffix="_other")
    same = {name: (pl.col(name) == pl.col(f"{name}_other")).any().over(KEY) for name in versions}
    reason = (
        pl.when(same["policy_version"]).then(pl.lit("rubric_version"))
        .when(same["rubric_version"]).then(pl.lit("policy_version"))
        .otherwise(pl.lit(BOTH.join(versions)))
    )  # fmt: skip
    once = again.with_columns(reason=reason).unique(KEY, keep="any")
    return [told("rubric_changed", once, pl.col("reason"))]


def told(kind: str, changed: pl.DataFrame, reason: pl.Expr) -> pl.DataFrame:
    """Tell changed rows as changes; a row is described as it is now, or, where it is gone, as it was."""
    gone = pl.col(f"side{NEW}").is_null()
    sliced = [pl.when(gone).then(name).otherwise(f"{name}{NEW}").alias(name) for name in SLICED]
    return changed.select(
        kind=pl.lit(kind),
        **{name: pl.col(name) for name in KEY},
        comparison_id=pl.lit(None, pl.String),
        reason=reason,
        side_before=pl.col("side"),
        side_after=pl.col(f"side{NEW}"),
        root_id=pl.coalesce(f"root_id{NEW}", "root_id"),
        **dict(zip(SLICED, sliced, strict=True)),
    )
