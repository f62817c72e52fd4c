"""Where things stand in a project, and where a stage's tables go."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import PairtrailError


@dataclass(frozen=True, slots=True)
class Project:
    """A Pairtrail project: its root, and the places that the stages agree on."""

    root: Path

    @property
    def params(self) -> Path:
        """The file of parameters."""
        return self.root / "params.yaml"

    @property
    def raw(self) -> Path:
        """The sources."""
        return self.root / "data/raw"

    @property
    def policy(self) -> Path:
        """The behaviour policies."""
        return self.root / "data/policy"

    @property
    def rubric(self) -> Path:
        """The rubrics."""
        return self.root / "data/rubric"

    @property
    def benchmarks(self) -> Path:
        """The benchmarks, which are compared with the prompts and never trained on."""
        return self.root / "data/benchmarks"

    @property
    def ledger(self) -> Path:
        """What is only ever added to: consent, and later suppression, adjudication and reads of heldout."""
        return self.root / "data/ledger"

    @property
    def pins(self) -> Path:
        """The ledger that pins sources, categories and roots to a side."""
        return self.ledger / "pins"

    @property
    def released(self) -> Path:
        """The prompts of train and validation of every release, a file each."""
        return self.ledger / "released"

    @property
    def epochs(self) -> Path:
        """The ledger of epochs: under which salt and shares the roots were ever divided."""
        return self.ledger / "epochs.jsonl"

    @property
    def releases(self) -> Path:
        """What git keeps of every release: facts, checksums, signed statement, notes; no data."""
        return self.root / "releases"

    @property
    def spill(self) -> Path:
        """The folder for texts that do not fit into memory; ignored by git and DVC, emptied at each use."""
        return self.root / ".spill"

    @property
    def rotation(self) -> Path:
        """The folder where `pairtrail keys rotate` prepares what it will change; ignored by git and DVC."""
        return self.root / ".pairtrail/rotation"

    @property
    def rotation_ready(self) -> Path:
        """The file that says that a rotation is prepared whole, so that it must be finished before anything else."""
        return self.rotation / "ready.json"

    @property
    def shards(self) -> Path:
        """The ingested comparisons, one shard per raw file."""
        return self.stage("ingest") / "comparisons"

    def stage(self, name: str) -> Path:
        """Return the folder that a stage writes."""
        return self.root / "data" / name

    def decisions(self, name: str) -> Path:
        """Return a stage's decisions."""
        return self.stage(name) / "decisions.parquet"

    def counts(self, name: str) -> Path:
        """Return a stage's account."""
        return self.stage(name) / "counts.json"

    def needs(self, path: Path, stage: str) -> Path:
        """Return `path` if it exists; else say which stage writes it."""
        if not path.exists():
            msg = f"{path.relative_to(self.root)} does not exist; run `pairtrail {stage}` first, or `dvc repro` for all"
            raise PairtrailError(msg)
        return path


def find_project(start: Path, *, rotating: bool = False) -> Project:
    """Return the project that `start` lies in: the nearest folder upwards with a params.yaml.

    Only `rotating` finds one whose ledger, key and params.yaml may be of two keys, as a rotation was cut off.
    """
    for folder in (start, *start.parents):
        if (folder / "params.yaml").is_file():
            project = Project(folder)
            if not rotating and project.rotation_ready.exists():
                msg = (
                    "the pseudonym key was being changed when something cut that off, and ledger and key may not "
                    "belong together.\nRun `pairtrail keys rotate` again, which finishes it; then run this again."
                )
                raise PairtrailError(msg)
            return project
    msg = f"no params.yaml in {start.name}/ or above it; run this inside a Pairtrail project"
    raise PairtrailError(msg)
