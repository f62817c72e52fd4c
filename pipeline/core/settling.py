"""Settling: what was renamed into a folder outlives a power cut."""

import os
from contextlib import suppress
from pathlib import Path


def settle(folder: Path) -> None:
    """Have a folder's names on disk, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
