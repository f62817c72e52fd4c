"""Conflicts: pairs whose votes choose both responses, and circles of preference; told, and never resolved.

A conflict is no fault of a row: people differ. So nothing is dropped for it, and each trainer or auditor decides.

Votes are counted as publish counts them by default: where any human judged a pair, humans alone, else models and rules.
A model that contradicts the people who judge its pair is no conflict among those who decide; counted together, every
flaw of a judging model would be called a dispute among people.
"""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from pipeline.core.digests import digest
from pipeline.core.publishing.folding import KEY, counted, deciding, oriented, votes_of
from pipeline.core.spill import Spill
from pipeline.core.tables import write_sorted
from schemas.columns import dtypes
from schemas.decisions import CONFLICTS

_GRAPH = ["prompt_id", "policy_version", "rubric_version"]
_SMALLEST_CYCLE = 3


class Conflicts:
    """The table of conflicts among what a stage kept, gathered while the stage works on the pairs a part at a time."""

    def __init__(self, folder: Path, parts: int) -> None:
        """Begin with nothing; in `folder` rows wait for the other rows of their pair or prompt."""
        self._found = Spill(folder / "found", "pair_id", parts)
        self._edges = Spill(folder / "edges", "prompt_id", parts)
        self._opposite = self._cycles = self._in_cycles = 0

    def add(self, kept: pl.DataFrame) -> None:
        """Count the votes on the pairs of a part, which holds all verdicts on each of them."""
        rows = _counted(kept)
        opposite = rows.filter((pl.col("votes_a") > 0) & (pl.col("votes_b") > 0))
        self._opposite += opposite.height
        self._found.add(_as_conflicts(opposite, "opposite", cycle=pl.lit(None, pl.String)))
        self._edges.add(rows.filter(pl.col("votes_a") != pl.col("votes_b")))

    def write(self, built: Path) -> dict[str, dict[str, int]]:
        """Write conflicts.parquet, and return what the stage's account says of it."""
        for edges in self._edges.parts():
            circular = in_cycles(edges)
            self._cycles += circular["cycle"].n_unique()
            self._in_cycles += circular.height
            self._found.add(_as_conflicts(circular, "cycle", cycle=pl.col("cycle")))
        write_sorted(self._sorted(), built / "conflicts.parquet", CONFLICTS)
        told = {"opposite_pairs": self._opposite, "cycles": self._cycles, "pairs_in_cycles": self._in_cycles}
        return {"conflicts": told}

    def _sorted(self) -> Iterator[pl.DataFrame]:
        for part in self._found.parts():
            yield part.sort(*KEY, "kind")


def _counted(kept: pl.DataFrame) -> pl.DataFrame:
    """Count the votes of each pair, policy and rubric; a and b in the order of the response ids."""
    turned = oriented(kept.with_columns(strength=pl.lit(None, pl.Float64)), sided=())
    verdicts = turned.filter(deciding(turned, humans_decide=True))
    ids = verdicts.group_by(KEY).agg(
        pl.col("prompt_id", "response_a_id", "response_b_id").first(), comparison_ids=pl.col("comparison_id").sort()
    )
    votes = counted(votes_of(verdicts), majority="decided").rename(
        {"n_a": "votes_a", "n_b": "votes_b", "n_tie": "votes_tie", "n_bad": "votes_both_bad"}
    )
    rows = votes.join(ids, on=KEY, how="inner")
    return rows.select(name for name in dtypes(CONFLICTS) if name not in {"kind", "cycle"})


def _as_conflicts(rows: pl.DataFrame, kind: str, *, cycle: pl.Expr) -> pl.DataFrame:
    return rows.with_columns(kind=pl.lit(kind), cycle=cycle).select(*dtypes(CONFLICTS))


def in_cycles(edges: pl.DataFrame) -> pl.DataFrame:
    """Return the edges that lie on a circle of preference, with their `cycle`; all edges of a prompt must be given.

    An edge leads to the response with more votes. It lies on a circle where both its ends are of one strongly connected
    component (each response of it is, by some way, preferred to each other one). Circles that share a response are of
    one component, so they are one `cycle`, named by a digest of its prompt, policy, rubric and sorted responses.
    """
    wins_a = pl.col("votes_a") > pl.col("votes_b")
    directed = edges.with_columns(
        loser=pl.when(wins_a).then("response_b_id").otherwise("response_a_id"),
        winner=pl.when(wins_a).then("response_a_id").otherwise("response_b_id"),
    )
    nodes = _components(directed)
    named = nodes.group_by("component").agg(
        pl.len().alias("size"),
        cycle=digest(
            pl.lit("cycle"), *(pl.col(name).first() for name in _GRAPH), pl.col("response_id").sort().str.join(",")
        ),
    )
    circular = nodes.join(named.filter(pl.col("size") >= _SMALLEST_CYCLE), on="component", how="inner")
    of_end = circular.select(*_GRAPH, "response_id", "cycle")
    both = directed.join(of_end, left_on=[*_GRAPH, "loser"], right_on=[*_GRAPH, "response_id"], how="inner").join(
        of_end, left_on=[*_GRAPH, "winner"], right_on=[*_GRAPH, "response_id"], how="inner", suffix="_of_winner"
    )
    return both.filter(pl.col("cycle") == pl.col("cycle_of_winner")).select(*edges.columns, "cycle")


def _components(directed: pl.DataFrame) -> pl.DataFrame:
    """Give each response of each graph the number of its strongly connected component, all graphs at once."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = [directed.select(*_GRAPH, response_id=end) for end in ("loser", "winner")]
    nodes = pl.concat(ends).unique().with_row_index("node")
    losers, winners = (end.join(nodes, on=end.columns, how="left", maintain_order="left")["node"] for end in ends)
    ones = pl.repeat(1, directed.height, dtype=pl.Int8, eager=True)
    graph = coo_array((ones.to_numpy(), (losers.to_numpy(), winners.to_numpy())), shape=(nodes.height, nodes.height))
    _, numbers = connected_components(graph.tocsr(), directed=True, connection="strong")
    return nodes.with_columns(component=pl.Series(numbers, dtype=pl.Int32))
