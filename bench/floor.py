"""The floor: what Polars alone takes to turn JSON lines into Parquet, and to sort that by its id.

python -m bench.floor convert GLOB OUT.parquet
python -m bench.floor sort IN.parquet OUT.parquet
"""

import sys

import polars as pl


def main() -> None:
    """Do one of the two halves."""
    half, given, out = sys.argv[1:]
    if half == "convert":
        # Broken lines are left out, as nothing else would let Polars read on.
        pl.scan_ndjson(given, ignore_errors=True).sink_parquet(out)
    else:
        pl.scan_parquet(given).sort("vote").sink_parquet(out)


if __name__ == "__main__":
    main()
