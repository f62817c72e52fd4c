"""Epochs: under which salt, shares and normalisation the roots were divided, each written down before it is used.

A change of any of them moves roots between sides. So a build whose own differ from what its epoch was recorded with is
refused: what was held out would be trained on, and nobody would have said so.
"""

from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Annotated, Any

import polars as pl
from pydantic import Field, StringConstraints

from pipeline.core.digests import NORMALISATION
from pipeline.core.errors import PairtrailError
from pipeline.core.ledgers import read_entries, refuse_unpulled
from pipeline.core.params import STRICT, Stated
from pipeline.core.project import Project
from pipeline.core.sides import Division, division

PLACE = "data/ledger/epochs.jsonl"
RECORD = "`pairtrail epoch record --reason TEXT`"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of the ledger of epochs."""

    __pydantic_config__ = STRICT
    epoch: Annotated[int, Field(ge=0)]
    salt_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    heldout: float
    validation: float
    normalisation: str
    reason: Stated

    def values(self) -> dict[str, Any]:
        """Return what decides where a root stands."""
        return {name: value for name, value in asdict(self).items() if name != "reason"}


def stated_epoch(by: Division, reason: str) -> Epoch:
    """Return the epoch that params.yaml states, as it would be recorded."""
    salt = sha256(by.salt.encode()).hexdigest()
    return Epoch(by.epoch, salt, by.heldout, by.validation, NORMALISATION, reason)


def recorded_epochs(project: Project) -> dict[int, Epoch]:
    """Read the ledger of epochs, by number; one number with two contents is refused."""
    path = project.epochs
    refuse_unpulled(path, PLACE)
    if not path.exists():
        return {}
    epochs: dict[int, Epoch] = {}
    for entry in read_entries(path, Epoch, PLACE):
        if epochs.setdefault(entry.epoch, entry).values() != entry.values():
            msg = f"{PLACE}: epoch {entry.epoch} stands there with two contents; it is only added to: take it back"
            raise PairtrailError(msg)
    return epochs


def refuse_unrecorded(by: Division, epochs: dict[int, Epoch]) -> None:
    """Raise PairtrailError where the epoch of params.yaml is not the last one recorded, with just these values."""
    now, highest = stated_epoch(by, "-"), max(epochs, default=0)
    if now.epoch not in epochs:
        known = ", ".join(str(number) for number in sorted(epochs)) or "none"
        msg = (
            f"{PLACE}: epoch {now.epoch} of params.yaml is not recorded (recorded: {known}); where the split is meant "
            f"to be this one, run {RECORD}"
        )
        raise PairtrailError(msg)
    if now.epoch != highest:
        msg = (
            f"params.yaml: split.epoch is {now.epoch}, but epoch {highest} is recorded: an epoch that was left is not "
            f"taken up again; set {highest} again, or raise it to {highest + 1} and run {RECORD}"
        )
        raise PairtrailError(msg)
    if differing := told_differences(now, epochs[now.epoch]):
        msg = (
            f"params.yaml: split: epoch {now.epoch} was recorded with other values: {differing}; roots would change "
            f"sides. {foreign(now, epochs[now.epoch])}Take them back, or, where that is meant, raise split.epoch to "
            f"{highest + 1} and run {RECORD}"
        )
        raise PairtrailError(msg)


def foreign(now: Epoch, then: Epoch) -> str:
    """Say what to do first about a line of another salt, which may have come with the sample by a merge.

    Whoever raises the epoch for a line that no build of theirs was made under splits real data anew for nothing.
    """
    if now.salt_sha256 == then.salt_sha256:
        return ""
    return (
        f"If that line is not of your own builds (it came with the sample by a merge), delete {PLACE} and run "
        f"{RECORD}: your split stays as it is. Only if it is of your own builds: "
    )


def told_differences(now: Epoch, then: Epoch) -> str:
    """Say in which values two epochs differ; of a salt only that it does, as its digest would let guesses be tested."""
    before = then.values()
    return ", ".join(
        "another salt" if name == "salt_sha256" else f"{name} is {value}, not {before[name]}"
        for name, value in now.values().items()
        if value != before[name]
    )


def epochs(project: Project) -> pl.LazyFrame:
    """Read the epoch that the build is of, once it is sure that it was recorded so; and how many there have been."""
    by, known = division(project), recorded_epochs(project)
    refuse_unrecorded(by, known)
    facts = known[by.epoch].values() | {"recorded": len(known)}
    del facts["salt_sha256"]
    return pl.LazyFrame([facts])
