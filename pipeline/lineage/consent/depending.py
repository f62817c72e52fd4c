"""A new file of a ledger must be one that stages depend on, or DVC would call an old build up to date."""

from pipeline.core.errors import PairtrailError
from pipeline.core.project import Project
from pipeline.lineage.syncing import sync


def depend_on_ledger(project: Project) -> None:
    """Write the ledgers' files into dvc.yaml, where the project has one."""
    if not (project.root / "dvc.yaml").exists():
        return
    try:
        sync(project)
    except PairtrailError as error:
        msg = f"it is in the ledger, but dvc.yaml could not be brought in line with it:\n{error}"
        raise PairtrailError(msg) from None
