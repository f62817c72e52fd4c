"""Import closures: which of the project's own files a stage's result hangs on."""

import ast
from functools import cache
from hashlib import sha256
from pathlib import Path

PACKAGES = ("pipeline", "schemas")
# Its modules are found by file name at run time, so all of them belong to whoever imports the package.
_BY_NAME = "pipeline.adapters"
CODE = Path(__file__).resolve().parents[2]


def closure(module: str) -> list[str]:
    """Return the files (relative to the project's code, sorted) that importing `module` can load."""
    found: set[str] = set()
    waiting = {module}
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= _imports(name) - found
    return sorted(_file(name).relative_to(CODE).as_posix() for name in found)


def code_digest(modules: list[str]) -> str:
    """Return one SHA-256 over the names and contents of the files that the modules hang on."""
    files = sorted({file for module in modules for file in closure(module)})
    whole = sha256()
    for file in files:
        whole.update(f"{file}\n{sha256((CODE / file).read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


@cache
def _imports(module: str) -> set[str]:
    names = {module.rpartition(".")[0]} if "." in module else set()
    for node in ast.walk(ast.parse(_file(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    if module == _BY_NAME:
        names |= {f"{module}.{path.stem}" for path in _file(module).parent.glob("*.py") if path.stem != "__init__"}
    return {name for name in names if name.split(".")[0] in PACKAGES and _exists(name)}


def _exists(module: str) -> bool:
    return _file(module).is_file()


def _file(module: str) -> Path:
    path = CODE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
