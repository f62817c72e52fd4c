"""One run at a time at one place: two that write the same folder would empty each other's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.core.errors import PairtrailError

_FCNTL: Any = None
try:
    import fcntl
except ImportError:
    pass
else:
    _FCNTL = fcntl


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Hold `place` against other runs by a locked file beside it. Raises PairtrailError where another run is at work.

    The system lets go of the lock when a process dies, however it does: a file that a kill left behind holds nobody up.
    A platform without such locks goes without.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    if _FCNTL is None:
        yield
        return
    path = place.with_name(f".{place.name}.lock")
    with path.open("wb") as file:
        try:
            _FCNTL.flock(file, _FCNTL.LOCK_EX | _FCNTL.LOCK_NB)
            # Whoever held the file takes it away at the end: a lock on what lies there no more holds nobody off.
            held = path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))
        except BlockingIOError:
            held = False
        if not held:
            msg = f"another run is at work on {place.name}: wait until it has ended, then run this again"
            raise PairtrailError(msg)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
