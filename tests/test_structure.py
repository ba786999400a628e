"""The rules that keep the house a house."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from pipeline.chain import Main
from pipeline.parameters.steps import STEPS
from pipeline.sweep import Sweep

ROOT = Path(__file__).resolve().parents[1]
MODULES = {"main": "pipeline.main", "sweep": "pipeline.sweep", **{name: f"steps.{name}" for name in STEPS}}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    return found


def tops(folder: str) -> dict[Path, set[str]]:
    return {path: {name.split(".")[0] for name in imports(path)} for path in (ROOT / folder).rglob("*.py")}


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("crystal_eyes", {"mlflow", "wandb", "pipeline", "steps", "torchvision"}),
        ("pipeline", {"torch", "geffnet", "faiss", "sklearn", "onnxruntime", "steps"}),
        ("steps", {"steps"}),
    ],
)
def test_arrows_point_one_way(folder, forbidden):
    wrong = {path.relative_to(ROOT).as_posix(): names & forbidden for path, names in tops(folder).items() if names & forbidden}
    # Recognizer.load takes models:/ too: the one place, and inside a function
    assert wrong.pop("crystal_eyes/artifacts.py", {"mlflow"}) == {"mlflow"}
    assert tops(folder) and wrong == {}


def test_ultralytics_is_imported_where_the_detector_is_trained_and_nowhere_else():
    using = {path.relative_to(ROOT).as_posix() for folder in ("crystal_eyes", "pipeline", "steps")
             for path, names in tops(folder).items() if "ultralytics" in names}  # fmt: skip
    assert using == {"crystal_eyes/detector/training/trainer.py"}


def test_nothing_of_ours_reads_or_writes_a_pickle():
    wrong = [path for folder in ("crystal_eyes", "pipeline", "steps") for path, names in tops(folder).items()
             if names & {"pickle", "joblib", "dill", "cloudpickle", "shelve"}]  # fmt: skip
    assert wrong == []


def project_text() -> str:
    """MLproject as it follows from the configurations."""
    lines = ["name: crystal-eyes", "", "conda_env: conda.yaml", ""]
    lines += ["# The defaults repeat pipeline/parameters/steps.py; tests/test_structure.py prints the right text."]
    lines += ["entry_points:"]
    for name, config in {"main": Main, "sweep": Sweep, **STEPS}.items():
        lines += [f"  {name}:", "    parameters:"]
        for field in dataclasses.fields(config):
            text = f'"{str(field.default).lower() if field.type is bool else field.default}"'
            number = field.type in (int, float)
            kind, default = ("float", field.default) if number else ("string", text)
            lines.append(f"      {field.name}: {{type: {kind}, default: {default}}}")
        lines += ["    command: >-", f"      python -m {MODULES[name]}"]
        lines += [f"      --{field.name} {{{field.name}}}" for field in dataclasses.fields(config)]
    return "\n".join(lines) + "\n"


def test_mlproject_repeats_the_configurations():
    expected = project_text()
    assert (ROOT / "MLproject").read_text() == expected, f"MLproject should be:\n{expected}"


def test_every_library_that_is_imported_is_pinned():
    pins = {pin.split("=")[0].lower() for pin in yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"][-1]["pip"]}
    from pipeline.cache.key import PACKAGES

    ours = {"benchmarks", "crystal_eyes", "pipeline", "steps", "tests"}
    import sys

    used = {n for f in ("crystal_eyes", "pipeline", "steps", "tests") for names in tops(f).values() for n in names}
    third = used - ours - set(sys.stdlib_module_names)
    # brought by a pinned library that is unusable without it
    brought = {"fontTools", "nbformat", "psutil", "pyarrow"}
    missing = {n for n in third - brought if PACKAGES.get(n, n).lower().replace("_", "-") not in pins}
    assert third and missing == set()


def test_every_pin_is_exact():
    pins = yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"][-1]["pip"]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+(==[\w.]+|>=[\w.]+,<[\w.]+)", pin)] == []
