"""The rules of the source tree: where code belongs, what it may import, how it is spelled."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import yaml

from pipeline.cache.key import PACKAGES
from pipeline.parameters.steps import STEPS

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = "crystal_eyes"
# in the order of the data: a package imports only those before it, and the helpers; all may measure what they make
ROOMS = ("evaluation", "data", "detector", "encoder", "fleet", "classifiers", "recognizer", "audit", "collection", "web")
HELPERS = {
    "artifacts", "boxes", "console", "errors", "image_stats", "images", "machine", "names", "onnx_session", "onnx_storage",
    "options", "paths", "picture_files", "products", "progress", "s3_errors", "stores", "vector_store", "vectors",
}  # fmt: skip
MOST_LINES = 300


def paths(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found
    return found


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_file(module: str) -> Path | None:
    """The file of a module of this repository."""
    stem = ROOT.joinpath(*module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


@cache
def imports(path: Path, within_functions: bool = True) -> set[str]:
    """Modules that a file imports, by full name; `from package import module` counts as that module.

    within_functions: also those that are imported only once a function is called.
    """
    found, todo = set(), list(tree(path).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            home = path.relative_to(ROOT).parent.parts
            base = [*home[: len(home) - node.level + 1]] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                found.add(f"{module}.{alias.name}" if module_file(f"{module}.{alias.name}") else module)
        elif within_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not within_functions:
                continue
            todo += ast.iter_child_nodes(node)
    return found


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def importing(names: set[str], *folders: str) -> dict[str, set[str]]:
    """Files below the folders that import one of these top-level packages, and which."""
    return {named(path): used for path in paths(*folders) if (used := tops(path) & names)}


# where code lives and what it imports


def test_arrows_point_from_the_pipeline_to_the_library_and_never_back():
    # Recognizer.load takes models:/ too: the one place, inside a function
    assert importing({"mlflow"}, LIBRARY) == {}
    by_name = [named(path) for path in paths(LIBRARY) if re.search(r"import_module\(\"(mlflow|wandb)", path.read_text("utf-8"))]
    assert by_name == ["crystal_eyes/artifacts.py"]
    assert importing({"wandb", "pipeline", "steps", "torchvision"}, LIBRARY) == {}
    assert importing({"torch", "geffnet", "faiss", "sklearn", "onnxruntime", "steps"}, "pipeline") == {}


def test_the_command_line_of_the_library_is_two_files():
    assert set(importing({"argparse"}, LIBRARY)) == {"crystal_eyes/arguments.py", "crystal_eyes/cli.py"}


def test_no_step_imports_another():
    def allowed(path: Path) -> set[str]:
        return {"steps", f"steps.compute.{path.stem}", "steps.compute"}

    wrong = {named(path): others for path in paths("steps")
             if (others := {name for name in imports(path) if name.split(".")[0] == "steps"} - allowed(path))}  # fmt: skip
    assert wrong == {}


def test_what_computes_a_result_reports_nothing():
    assert importing({"mlflow", "matplotlib", "wandb", "pipeline", "argparse"}, "steps/compute") == {}


def test_every_step_computes_and_reports_in_files_of_their_own():
    entry_points = {path.name for path in (ROOT / "steps").glob("*.py")}
    assert entry_points == {path.name for path in (ROOT / "steps" / "compute").glob("*.py")}


def test_only_pipeline_and_steps_know_the_steps_parameters():
    wrong = [named(path) for path in paths(LIBRARY, "steps/compute") if "pipeline.parameters.steps" in imports(path)]
    assert wrong == []


def room(module: str) -> str | None:
    """The package or helper of the library that a module belongs to."""
    parts = module.split(".")
    return parts[1] if parts[0] == LIBRARY and len(parts) > 1 else None


def test_the_library_is_in_the_order_of_the_data():
    folders = {path.parent.name for path in (ROOT / LIBRARY).glob("*/__init__.py")}
    assert folders == set(ROOMS)
    assert {path.stem for path in (ROOT / LIBRARY).glob("*.py")} == HELPERS | {"__init__", "arguments", "cli"}
    wrong = []
    for place, name in enumerate(ROOMS):
        allowed = {*ROOMS[: place + 1], *HELPERS}
        for path in paths(f"{LIBRARY}/{name}"):
            wrong += [f"{named(path)} imports {other}" for other in sorted(imports(path))
                      if room(other) not in {*allowed, None}]  # fmt: skip
    for helper in HELPERS:
        path = ROOT / LIBRARY / f"{helper}.py"
        wrong += [f"{named(path)} imports {other}" for other in sorted(imports(path)) if room(other) not in {*HELPERS, None}]
    assert wrong == []


def test_no_two_modules_import_each_other():
    """No import cycles of any length, not counting imports inside functions, which run when everything is loaded."""
    edges = {path: {file for name in imports(path, within_functions=False) if (file := module_file(name)) and file != path}
             for path in paths(LIBRARY, "pipeline", "steps", "benchmarks")}  # fmt: skip
    left = dict(edges)
    while leaves := {path for path, targets in left.items() if not targets & left.keys()}:
        left = {path: targets for path, targets in left.items() if path not in leaves}
    assert {named(path): sorted(named(t) for t in targets & left.keys()) for path, targets in left.items()} == {}


def test_ultralytics_is_imported_where_the_detector_is_trained_and_nowhere_else():
    users = importing({"ultralytics"}, LIBRARY, "pipeline", "steps", "benchmarks")
    assert users and all(name.startswith("crystal_eyes/detector/training/") for name in users)


def test_nothing_reads_or_writes_a_pickle():
    pickles = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
    assert importing(pickles, LIBRARY, "pipeline", "steps", "benchmarks") == {}
    unsafe = [named(path) for path in paths(LIBRARY, "pipeline", "steps", "benchmarks") for node in ast.walk(tree(path))
              if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "torch.save")
              and "weights_only=True" not in ast.unparse(node)]  # fmt: skip
    # ultralytics pickles whole networks: the one that it has just written in this very run is read back
    assert len(unsafe) == 1 and unsafe[0].startswith("crystal_eyes/detector/training/")
    assert [named(path) for path in paths(LIBRARY, "pipeline", "steps") if "allow_pickle=True" in path.read_text("utf-8")] == []


# size and language


def test_no_file_is_too_long():
    long = {named(path): count for path in paths(LIBRARY, "pipeline", "steps", "benchmarks")
            if (count := len(path.read_text("utf-8").splitlines())) > MOST_LINES}  # fmt: skip
    assert long == {}


def texts(path: Path) -> list[ast.Constant]:
    """The strings of a file, except for its docstrings."""
    docstrings = {id(node.value) for node in ast.walk(tree(path)) if isinstance(node, ast.Expr)}
    return [node for node in ast.walk(tree(path))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings]  # fmt: skip


def test_the_library_does_not_mention_the_command_line():
    """The pipeline and the command line add remedies such as `-P weights=...`."""
    speaking = [f"{named(path)}:{node.lineno}: {node.value.splitlines()[0]}" for path in paths(LIBRARY)
                if path.name != "cli.py" for node in texts(path)
                if re.search(r"(?<!\w)-P\b|mlflow run|\bmake (main|env|page)\b|entry point", node.value)]  # fmt: skip
    assert speaking == []


BRITISH = (
    "colour grey normalis neighbour centre licence recogniser optimis initialis behaviour labell serialis organis favour "
    "summaris judge enrol(?!l) distil(?!l)"
)
BRITISH_WORD = re.compile(BRITISH.replace(" ", "|"), re.IGNORECASE)
# words that files and stores of before hold; each use of them in code says so
PERSISTED = re.compile(
    r"""["'](colour|grey)["']            # keys of calibration.json and kinds of metrics
    |(colour|enrol)_(?=[\w{"'])           # metrics colour_top_5, enrol_top_1 and so on
    |["']neighbours?["']                 # of calibration.json too
    |labeller|labelled_(pictures|heads)  # a parameter and metrics of the detector
    """,
    re.VERBOSE,
)


def test_the_spelling_is_american():
    """One spelling, so that a search finds everything; the interface's is American (neighbors, distill, enroll)."""
    wrong = []
    for path in paths(LIBRARY, "pipeline", "steps", "benchmarks", "tests"):
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if found := BRITISH_WORD.findall(PERSISTED.sub("", line)):
                wrong.append(f"{named(path)}:{number}: {', '.join(found)}")
    assert not wrong, f"{len(wrong)} lines:\n" + "\n".join(wrong)


# MLproject and pins


def test_mlproject_names_every_entry_point_and_repeats_no_parameter():
    """MLflow appends undeclared parameters to the command, and each entry point knows its own with their defaults."""
    drivers = {name: f"pipeline.{name}" for name in ("main", "release", "sweep")}
    modules = drivers | {name: f"steps.{name}" for name in STEPS}
    entry_points = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]
    assert entry_points == {name: {"command": f"python -m {module}"} for name, module in modules.items()}
    assert all(module_file(module) for module in modules.values())


def pins() -> list[str]:
    return yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"][-1]["pip"]


def test_every_library_that_is_imported_is_pinned():
    names = {pin.split("=")[0].lower() for pin in pins()}
    own = {"benchmarks", "crystal_eyes", "notebooks", "pipeline", "steps", "tests"}
    used = {name for path in paths(LIBRARY, "pipeline", "steps", "tests") for name in tops(path)}
    third_party = used - own - set(sys.stdlib_module_names)
    # brought by a pinned library that is unusable without it
    brought = {
        "fastapi",
        "fontTools",
        "gradio_client",
        "httpx",
        "nbformat",
        "psutil",
        "pyarrow",
        "starlette",
        "uvicorn",
        "xdist",
    }
    missing = {n for n in third_party - brought if PACKAGES.get(n, n).lower().replace("_", "-") not in names}
    assert third_party and missing == set()


def test_every_pin_is_exact():
    assert [pin for pin in pins() if not re.fullmatch(r"[\w.-]+(==[\w.]+|>=[\w.]+,<[\w.]+)", pin)] == []
