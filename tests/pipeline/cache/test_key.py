"""What the cache key of a step covers: a small repository shows the rules, a copy of this one shows what they come to."""

import shutil
from importlib import metadata
from pathlib import Path

import pytest

from pipeline.cache import key
from pipeline.cache.key import CacheKey, code_of
from pipeline.cache.records import differences
from tests.runs import ROOT


def repository(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def small(tmp_path, monkeypatch) -> Path:
    """A repository of a step and a package that it uses a part of."""
    repository(tmp_path, {
        "steps/__init__.py": "",
        "steps/train.py": "import json\nimport numpy as np\nfrom library.loop import f\n",
        "steps/other.py": "from library import unused\n",
        "library/__init__.py": "",
        "library/loop.py": "from library.parts import loss\nfrom . import sibling\ndef f():\n    from library.late import x\n",
        "library/parts/__init__.py": "import yaml\n",
        "library/parts/loss.py": "",
        "library/sibling.py": "",
        "library/late.py": "def f():\n    import skops.io\n",
        "library/unused.py": "import pandas\n",
    })  # fmt: skip
    monkeypatch.setattr(key, "ROOT", tmp_path)
    return tmp_path


def test_the_files_that_a_step_imports_count_however_it_imports_them_and_no_others(small):
    files, _ = code_of("steps/train.py")
    assert set(files) == {
        "steps/train.py",
        *(f"library/{name}.py" for name in ("__init__", "loop", "sibling", "late", "parts/__init__", "parts/loss")),
    }


def test_the_libraries_that_these_files_import_count_by_their_versions(small):
    _, libraries = code_of("steps/train.py")
    assert libraries.keys() == {"python", "numpy", "yaml", "skops"}
    assert libraries["numpy"] == metadata.version("numpy") and libraries["yaml"] == metadata.version("pyyaml")


@pytest.mark.parametrize("name", ["steps/train.py", "library/late.py", "library/parts/__init__.py"])
def test_other_contents_of_one_file_are_another_key_and_named(small, name):
    before, after = code_of("steps/train.py"), None
    (small / name).write_text((small / name).read_text() + "# a thought\n")
    after = code_of("steps/train.py")
    assert before != after and {file for file in before[0] if before[0][file] != after[0][file]} == {name}
    old, new = (CacheKey("train", {}, {}, *code) for code in (before, after))
    assert old.digest != new.digest and differences(old, new) == [f"file {name} has other contents"]


def test_a_file_that_no_import_leads_to_is_no_part_of_the_key(small):
    before = code_of("steps/train.py")
    (small / "library" / "unused.py").write_text("import torch\n")
    assert code_of("steps/train.py") == before


def test_every_part_of_a_key_changes_its_digest_and_is_explained():
    parts = {"parameters": {"epochs": "5"}, "inputs": {"dataset": "a"}, "sources": {"x.py": "1"}, "libraries": {"torch": "2.0"}}
    old = CacheKey("train", **parts)
    assert CacheKey("train", **parts).digest == old.digest != CacheKey("distill", **parts).digest
    said = {
        "parameters": ({"epochs": "6"}, "parameter epochs: 5 -> 6"),
        "inputs": ({"dataset": "b"}, "input dataset has other contents"),
        "sources": ({"x.py": "2"}, "file x.py has other contents"),
        "libraries": ({"torch": "2.1"}, "library torch: 2.0 -> 2.1"),
    }
    for part, (value, line) in said.items():
        new = CacheKey("train", **{**parts, part: value})
        assert new.digest != old.digest and differences(old, new) == [line]
        gone = CacheKey("train", **{**parts, part: {}})
        assert gone.digest != old.digest
        assert all(("is gone" in line) or ("-> not there" in line) for line in differences(old, gone))


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """The Python files of this repository."""
    folder = tmp_path_factory.mktemp("copied")
    for name in ("crystal_eyes", "pipeline", "steps"):
        shutil.copytree(ROOT / name, folder / name, ignore=lambda home, names: [
            n for n in names if not (n.endswith(".py") or (Path(home) / n).is_dir())])  # fmt: skip
    return folder


@pytest.fixture
def here(copied, monkeypatch):
    monkeypatch.setattr(key, "ROOT", copied)
    return copied


STEPS = ("prepare", "train", "distill", "export", "embed", "classify", "bundle", "evaluate", "detector", "crop")


def runs_again(folder: Path, name: str) -> set[str]:
    """The steps whose key covers a file."""
    assert (folder / name).is_file()
    return {step for step in STEPS if name in code_of(f"steps/compute/{step}.py")[0]}


TRAINING = {"train", "distill"}


def test_a_copy_of_the_repository_has_the_same_keys(here, monkeypatch):
    copy = {step: code_of(f"steps/compute/{step}.py") for step in STEPS}
    monkeypatch.setattr(key, "ROOT", ROOT)
    assert copy == {step: code_of(f"steps/compute/{step}.py") for step in STEPS}


@pytest.mark.parametrize("name", ["loop", "augmentation", "sampling", "network"])
def test_what_training_computes_with_trains_again(here, name):
    assert runs_again(here, f"crystal_eyes/encoder/{name}.py") >= TRAINING


def test_another_loss_trains_again_and_another_distillation_only_distills_again(here):
    assert "train" in runs_again(here, "crystal_eyes/encoder/losses.py")
    again = runs_again(here, "crystal_eyes/encoder/distillation.py")
    assert "distill" in again and "train" not in again


@pytest.mark.parametrize("pattern", [
    "steps/*.py", "pipeline/**/*.py", "crystal_eyes/data/layouts/*.py", "crystal_eyes/data/contact_sheets.py",
    "crystal_eyes/data/cast/*.py", "crystal_eyes/classifiers/[!_]*.py", "crystal_eyes/recognizer/**/[!_]*.py",
    "crystal_eyes/web/*.py", "crystal_eyes/detector/**/*.py", "crystal_eyes/cli.py",
])  # fmt: skip
def test_reports_parameters_layouts_and_other_steps_train_nothing_again(here, pattern):
    files = [path.relative_to(here).as_posix() for path in here.glob(pattern) if path.name != "__init__.py"]
    assert files
    for name in files:
        assert not runs_again(here, name) & TRAINING, name


@pytest.mark.parametrize("step", STEPS)
def test_no_step_depends_on_the_versions_of_what_only_reports(here, step):
    _, libraries = code_of(f"steps/compute/{step}.py")
    assert not libraries.keys() & {"mlflow", "wandb", "matplotlib"}


def test_training_depends_on_torch_and_on_no_library_that_reads_or_draws_datasets(here):
    _, libraries = code_of("steps/compute/train.py")
    assert "torch" in libraries
    assert not libraries.keys() & {"anyascii", "fontTools", "dicebear", "resvg_py", "sklearn", "gradio", "ultralytics"}
