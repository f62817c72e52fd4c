"""Components: prompts that are joined by near neighbours, directly or by way of others. For reports only."""

import numpy as np
import polars as pl


def components(pairs: pl.DataFrame) -> dict[str, int]:
    """Count the components of pairs (`a`, `b`): how many there are, the prompts in them, and in the largest."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if pairs.is_empty():
        return {"components": 0, "prompts": 0, "largest": 0}
    names = pl.concat([pairs["a"], pairs["b"]]).unique().sort()
    one, other = (names.search_sorted(pairs[side]).to_numpy() for side in "ab")
    edges = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(len(names), len(names)))
    count, labels = connected_components(edges, directed=False)
    return {"components": int(count), "prompts": len(names), "largest": int(np.bincount(labels).max())}
