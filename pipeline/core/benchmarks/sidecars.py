"""The sidecar `benchmark.yaml`: where a benchmark's texts stand, and on what terms they may be used."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from pipeline.core.errors import PairtrailError
from pipeline.core.ledgers import refuse_unpulled
from pipeline.core.licenses import licenses_in
from pipeline.core.params import STRICT, Stated, build, read_yaml
from pipeline.core.project import Project
from pipeline.core.sidecar.sidecars import Format, leaves, matching

SIDECAR = "benchmark.yaml"


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A benchmark's statements, as its benchmark.yaml gives them; `unread` is how many records have no prompt."""

    __pydantic_config__ = STRICT
    files: list[Stated]
    prompt: Stated
    license: Stated
    attribution: Stated
    format: Format = "json"
    item: Stated | None = None
    ignore: list[Stated] = field(default_factory=list)
    unread: int = 0
    synthetic: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Benchmark:
    """A folder under data/benchmarks with its sidecar; itself and no other, so that what was read of it can be kept."""

    name: str
    folder: Path
    sidecar: Sidecar

    def files(self) -> list[Path]:
        """Return the benchmark's files, sorted by path."""
        return sorted({path for pattern in self.sidecar.files for path in matching(self.folder, pattern, SIDECAR)})

    def relative(self, path: Path) -> str:
        """Name one of its files relative to its folder."""
        return path.relative_to(self.folder).as_posix()

    def sha256(self) -> str:
        """Return one SHA-256 over the names and contents of its files."""
        whole = sha256()
        for path in self.files():
            whole.update(f"{self.relative(path)}\n{sha256(path.read_bytes()).hexdigest()}\n".encode())
        return whole.hexdigest()


def load_benchmark(path: Path) -> Benchmark:
    """Read and check one benchmark.yaml; raises PairtrailError with every fault found."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        msg = f"{path}: a mapping is needed, with files, prompt, license and attribution"
        raise PairtrailError(msg)
    folder = path.absolute().parent
    benchmark = Benchmark(folder.name, folder, build(Sidecar, content, str(path)))
    if faults := list(_faults(benchmark)):
        raise PairtrailError("\n".join([f"{path}:", *(f"  {fault}" for fault in faults)]))
    return benchmark


def load_benchmarks(project: Project) -> list[Benchmark]:
    """Read every benchmark, sorted by name; none where there is no folder. One without a sidecar is an error."""
    folders = benchmark_folders(project)
    for folder in folders:
        if not (folder / SIDECAR).is_file():
            msg = f"{folder}: no {SIDECAR}; a benchmark must state its files, prompt, license and attribution"
            raise PairtrailError(msg)
    return [load_benchmark(folder / SIDECAR) for folder in folders]


def benchmark_folders(project: Project) -> list[Path]:
    """Return the folders below data/benchmarks, each of which must be a benchmark.

    One that was never pulled would be compared with nothing, in silence, and so would a file that lies beside them.
    """
    place = project.benchmarks
    refuse_unpulled(place, "data/benchmarks")
    found = sorted(place.iterdir()) if place.is_dir() else []
    tracked = [path.with_suffix("") for path in found if path.suffix == ".dvc" and not path.is_dir()]
    faults = [f"data/benchmarks/{path.name}: not pulled; run `dvc pull`" for path in tracked if not path.exists()]
    faults += [
        f"data/benchmarks/{path.name}: no folder; a benchmark is a folder with its files and a {SIDECAR}"
        for path in found
        if not (path.is_dir() or path.suffix == ".dvc" or path.name.startswith("."))
    ]
    if faults:
        raise PairtrailError("\n".join(faults))
    return [path for path in found if path.is_dir()]


def _faults(benchmark: Benchmark) -> Iterator[str]:
    """Yield what is wrong with the files: each must be read or ignored by name, or it would be missed in silence."""
    folder, sidecar = benchmark.folder, benchmark.sidecar
    try:
        licenses_in(sidecar.license)
    except PairtrailError as error:
        yield f"`license`: {error}"
    if not sidecar.files:
        yield "`files` names no file"
    if sidecar.item == sidecar.prompt:
        yield "`item` and `prompt` are one path; an id is no text"
    if sidecar.unread < 0:
        yield f"`unread` is {sidecar.unread}; it counts records"
    for pattern in [*sidecar.files, *sidecar.ignore]:
        if leaves(pattern):
            yield f"glob `{pattern}` leaves the benchmark's folder"
        elif pattern in sidecar.files and not matching(folder, pattern, SIDECAR):
            yield f"glob `{pattern}` matches no file in {folder.name}/; if DVC tracks it, run `dvc pull`"
    for away in sorted(path for path in folder.rglob("*.dvc") if not path.with_suffix("").exists()):
        yield f"{benchmark.relative(away.with_suffix(''))}: not pulled; run `dvc pull`"
    ignored = {path for pattern in sidecar.ignore for path in matching(folder, pattern, SIDECAR)}
    for stray in (path for path in matching(folder, "**/*", SIDECAR) if path not in {*ignored, *benchmark.files()}):
        yield f"{benchmark.relative(stray)}: no glob names it; add it to `files`, or to `ignore`"
