"""Recording an epoch: saying, before anything is built, that the split is meant to be another one from now on."""

from dataclasses import asdict

from pipeline.core.epochs import PLACE, foreign, recorded_epochs, stated_epoch, told_differences
from pipeline.core.errors import PairtrailError
from pipeline.core.ledgers import append_entries
from pipeline.core.project import Project
from pipeline.core.sides import division
from pipeline.lineage.consent.depending import depend_on_ledger


def record_epoch(project: Project, reason: str) -> str:
    """Write down what the section `split` of params.yaml states as its epoch; return what was done.

    Raises PairtrailError where the epoch was recorded with other values, or is not above those recorded.
    """
    if not reason.strip():
        msg = "why is the split to be this one? A blank reason tells nobody; nothing was recorded"
        raise PairtrailError(msg)
    now, known = stated_epoch(division(project), reason), recorded_epochs(project)
    highest = max(known, default=None)
    if now.epoch in known and (differing := told_differences(now, known[now.epoch])):
        msg = (
            f"{PLACE}: epoch {now.epoch} is recorded with other values: {differing}. "
            f"{foreign(now, known[now.epoch])}Raise split.epoch in params.yaml first, and then record that"
        )
        raise PairtrailError(msg)
    if highest is not None and now.epoch < highest:
        msg = f"{PLACE}: epoch {highest} is recorded, so a new one must be above it; params.yaml says {now.epoch}"
        raise PairtrailError(msg)
    if now.epoch in known:
        return f"epoch {now.epoch} is recorded already in {PLACE}, with these values"
    append_entries(project.epochs, [asdict(now)])
    depend_on_ledger(project)
    shares = f"heldout {now.heldout}, validation {now.validation}"
    return f"epoch {now.epoch} recorded in {PLACE}: {shares}; commit it together with params.yaml"
