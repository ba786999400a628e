"""What a cache key covers: the code that computes, and nothing that only reports."""

import dataclasses
import platform
from importlib import metadata
from pathlib import Path

import pytest

from pipeline.cache import key
from pipeline.cache.key import ROOT, CacheKey, cache_key, code_of
from pipeline.cache.records import differences
from pipeline.parameters.steps import Classify, Embed, Prepare, Train

TRAIN = "steps/compute/train.py"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small repository: write(file, text) puts a file there."""
    monkeypatch.setattr(key, "ROOT", tmp_path)

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    write("own/__init__.py", "")
    write("own/used.py", "x = 1\n")
    write("own/other.py", "import numpy\n")
    return write


BASE = '''"""A module."""
import torch
from own import used
from library import option


class Options:
    """Options."""

    rate: float = option(0.5, "how fast", low=0.0)


def work():
    """Works."""
    return used.x
'''


def digest_of(write, text: str) -> str:
    write("own/main.py", text)
    return code_of(["own/main.py"])[0]["own/main.py"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import torch\n", "import torch  # a comment\n"),
        ('"""Works."""', '"""Works hard."""'),
        ('"""A module."""\n', '"""Another\n\ndocstring."""\n'),
        ('    """Works."""\n', ""),
        ('"how fast"', '"how quickly"'),
        ("def work():", "def work( ):"),
    ],
)
def test_docstrings_comments_and_help_texts_do_not_count(tree, old, new):
    assert old in BASE
    assert digest_of(tree, BASE) == digest_of(tree, BASE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"), [("0.5", "0.6"), ("low=0.0", "low=0.1"), ("return used.x", "return -used.x"), ("rate", "pace")]
)
def test_code_counts(tree, old, new):
    assert old in BASE
    assert digest_of(tree, BASE) != digest_of(tree, BASE.replace(old, new))


def test_imports_are_followed_wherever_they_stand_but_not_those_for_type_checkers(tree):
    tree("own/a.py", "def later():\n    from own import other\n")
    tree("own/b.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from own import other\n    import pandas\n")
    assert "own/other.py" in code_of(["own/a.py"])[0] and "numpy" in code_of(["own/a.py"])[1]
    sources, libraries = code_of(["own/b.py"])
    assert sources.keys() == {"own/b.py"} and libraries.keys() == {"python"}


def test_a_changed_file_far_down_the_imports_counts(tree):
    tree("own/main.py", "from own import middle\n")
    tree("own/middle.py", "from own.used import x\n")
    before = code_of(["own/main.py"])
    tree("own/used.py", "x = 2\n")
    after = code_of(["own/main.py"])
    assert before[0].keys() == after[0].keys() and before != after
    assert [name for name in before[0] if before[0][name] != after[0][name]] == ["own/used.py"]


def test_a_training_depends_on_what_trains_it_and_on_nothing_else():
    sources, libraries = code_of([TRAIN])
    names = ("losses", "augmentation", "sampling", "network", "loop", "whitening", "refit")
    encoder = {f"crystal_eyes/encoder/{name}.py" for name in names}
    assert encoder <= sources.keys() and {"crystal_eyes/images.py", "crystal_eyes/data/catalogue.py"} <= sources.keys()
    assert {"torch", "geffnet", "pytorch_metric_learning", "PIL", "numpy"} <= libraries.keys()
    reports = {"matplotlib", "fontTools", "anyascii", "mlflow", "wandb", "sklearn", "onnxruntime", "faiss"}
    assert not reports & libraries.keys()
    not_used = (
        "layouts",
        "contact_sheets",
        "selection",
        "pipeline/",
        "classifiers",
        "recognizer",
        "detector",
        "web/",
        "distill",
    )
    assert not [name for name in sources if any(part in name for part in not_used)]
    assert {name for name in sources if name.startswith("steps/")} == {TRAIN}


@pytest.mark.parametrize("step", sorted(path.stem for path in (ROOT / "steps/compute").glob("[a-z]*.py")))
def test_no_step_depends_on_reports_or_on_the_pipeline(step):
    sources, libraries = code_of([f"steps/compute/{step}.py"])
    assert not {"matplotlib", "mlflow", "wandb", "plotly"} & libraries.keys()
    assert not [name for name in sources if name.startswith("pipeline/") or "contact_sheets" in name]


def test_preparing_depends_on_the_layouts_the_crop_rule_and_the_drawing_of_the_cast():
    sources, libraries = code_of(["steps/compute/prepare.py"])
    used = {f"crystal_eyes/data/{name}.py" for name in ("layouts/danbooru", "cropping", "selection", "splits", "cast/drawing")}
    assert used <= sources.keys() and {"dicebear", "resvg_py"} <= libraries.keys()
    assert not {"torch", "onnxruntime"} & libraries.keys()


def test_a_classifier_is_known_by_its_own_options_and_code():
    faiss, perceptron = (Classify(classifier=name) for name in ("faiss", "perceptron"))
    assert "faiss_neighbors" in faiss.key_values() and "perceptron_epochs" not in faiss.key_values()
    assert faiss.extra_sources() != perceptron.extra_sources()
    assert all(Path(ROOT / name).is_file() for name in faiss.extra_sources() + perceptron.extra_sources())
    changed = dataclasses.replace(perceptron, faiss_neighbors=3)
    assert changed.key_values() == perceptron.key_values()
    on_top = Classify(classifier="tip_adapter").key_values()
    assert {"tip_adapter_alpha", "perceptron_epochs"} <= on_top.keys()


def test_the_same_values_give_the_same_key_and_others_another(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")

    def digest(**values) -> str:
        return cache_key("embed", Embed(**{"onnx": str(tmp_path / "a"), "catalogue": str(tmp_path / "b"), **values})).digest

    assert digest() == digest(embed_batch=16)
    assert len({digest(), digest(embed_batch=32), digest(onnx=str(tmp_path / "b"))}) == 3
    (tmp_path / "c").write_bytes(b"a")
    assert digest(onnx=str(tmp_path / "c")) == digest()  # another name for the same contents


def test_pending_inputs_equal_no_digest():
    pending = cache_key("prepare", Prepare()), cache_key("train", Train(catalogue="pending:/catalogue").resolved())
    assert pending[0].inputs == {"dataset": ""} and pending[1].inputs["catalogue"] == "pending:/catalogue"


def test_every_part_of_a_key_changes_its_digest_and_is_explained():
    parts = {"parameters": {"epochs": "5"}, "inputs": {"dataset": "a"}, "sources": {"x.py": "1"}, "libraries": {"torch": "2.0"}}
    old = CacheKey("train", **parts)
    assert CacheKey("train", **parts).digest == old.digest != CacheKey("distill", **parts).digest
    said = {
        "parameters": ({"epochs": "6"}, "parameter epochs: 5 -> 6"),
        "inputs": ({"dataset": "b"}, "input dataset has changed"),
        "sources": ({"x.py": "2"}, "file x.py has changed"),
        "libraries": ({"torch": "2.1"}, "library torch: 2.0 -> 2.1"),
    }
    for part, (value, line) in said.items():
        new = CacheKey("train", **{**parts, part: value})
        assert new.digest != old.digest and differences(old, new) == [line]
        gone = CacheKey("train", **{**parts, part: {}})
        assert gone.digest != old.digest
        assert all(("was removed" in line) or ("-> absent" in line) for line in differences(old, gone))


def test_libraries_count_by_their_versions(tree):
    tree("own/main.py", "import skops.io\nimport yaml\nimport json\n")
    _, libraries = code_of(["own/main.py"])
    expected = {"skops": metadata.version("skops"), "yaml": metadata.version("pyyaml"), "python": platform.python_version()}
    assert libraries == expected  # and a key with another version is another key: see above


@pytest.mark.parametrize("pattern", [
    "steps/*.py", "pipeline/**/*.py", "crystal_eyes/data/layouts/*.py",
    "crystal_eyes/data/cast/*.py", "crystal_eyes/classifiers/*.py", "crystal_eyes/recognizer/**/*.py",
    "crystal_eyes/web/*.py", "crystal_eyes/detector/**/*.py", "crystal_eyes/cli.py",
])  # fmt: skip
def test_changes_of_reports_parameters_layouts_and_other_steps_repeat_no_training(pattern):
    files = {path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern) if path.stem != "__init__"}
    assert files
    for step in ("train", "distill"):
        assert not code_of([f"steps/compute/{step}.py"])[0].keys() & files


def test_changes_of_shared_code_repeat_both_training_steps_and_others_only_one():
    train, distill = (code_of([f"steps/compute/{step}.py"])[0].keys() for step in ("train", "distill"))

    def files(*names: str) -> set[str]:
        return {f"crystal_eyes/encoder/{name}.py" for name in names}

    assert files("loop", "augmentation", "network", "dataset", "refit") <= train & distill
    assert files("losses", "sampling") <= train - distill and files("distillation") <= distill - train
