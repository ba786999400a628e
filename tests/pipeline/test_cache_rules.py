"""When main reuses a step and when it runs it: plans on the store of a finished run of main.

tests/pipeline/cache tests the rules themselves: what a key covers, and which run matches it.
"""

import shutil

import numpy as np
import pytest
from PIL import Image

from pipeline.cache import key
from pipeline.parameters.steps import STEPS
from tests.runs import ROOT, TINY_MAIN, TINY_TRAINING, Project, artifacts, draw_heads

CAST = {name: TINY_MAIN[name] for name in ("characters", "pictures")}  # the parameters of prepare that the tiny main sets
FROM_TRAINING_ON = {"train", "train seed 1", "distill", "export", "embed", "classify perceptron", "classify faiss", "bundle"}


@pytest.fixture
def project(tiny_main, tmp_path) -> Project:
    return tiny_main.project.fork(tmp_path)


def to_run(plan: dict) -> set[str]:
    return {step for step, (verdict, _) in plan.items() if verdict == "run"}


def reasons(plan: dict, step: str) -> str:
    return "\n".join(plan[step][1][1:])


def test_an_unchanged_main_runs_no_step_again_and_gives_the_same_comparison(project):
    def results() -> dict[str, list[str]]:
        return {step: [run.info.run_id for run in project.runs(step)] for step in STEPS}

    before = results()
    output = project.run("main", TINY_MAIN)
    assert output.count(": reused run ") >= len(FROM_TRAINING_ON) + 1 and ": running" not in output
    assert results() == before
    newest, older = project.client.search_runs(["0"], "tags.bundle_run LIKE '_%'", order_by=["attributes.start_time DESC"])
    assert newest.data.metrics == older.data.metrics
    assert (artifacts(newest) / "comparison.png").read_bytes() == (artifacts(older) / "comparison.png").read_bytes()


def test_the_number_5_and_the_texts_5_and_5_point_0_are_equal(project):
    assert to_run(project.plan({**TINY_MAIN, "epochs": "1.0", "seed": "0", "drop_rate": "0"})) == set()


def test_another_parameter_of_one_classifier_runs_that_classifier_alone(project):
    plan = project.plan({**TINY_MAIN, "faiss_neighbors": 3})
    assert to_run(plan) == {"classify faiss"}
    assert "parameter faiss_neighbors: 10 -> 3" in reasons(plan, "classify faiss")


@pytest.fixture
def touch(monkeypatch, tmp_path):
    """Add a line of code to a Python file in a copy of the source tree, which keys are then computed from."""
    code = tmp_path / "code"
    for name in ("crystal_eyes", "pipeline", "steps"):
        shutil.copytree(ROOT / name, code / name, ignore=shutil.ignore_patterns("__pycache__", "*.webp", "*.onnx"))
    monkeypatch.setattr(key, "ROOT", code)

    def touch(name: str) -> None:
        path = code / name
        path.write_text(path.read_text("utf-8") + "\nUNUSED = 1\n", "utf-8")

    return touch


def test_a_change_in_the_training_code_runs_training_and_what_follows_from_it(project, touch):
    assert to_run(project.plan(TINY_MAIN)) == set()  # the same code elsewhere is the same
    touch("crystal_eyes/encoder/augmentation.py")
    plan = project.plan(TINY_MAIN)
    assert to_run(plan) >= FROM_TRAINING_ON and plan["prepare"][0] == "reuse"
    assert "file crystal_eyes/encoder/augmentation.py has changed" in reasons(plan, "train")
    assert "input encoder comes from a step that has to run" in reasons(plan, "export")


def test_a_change_of_what_is_reported_or_of_the_command_line_runs_nothing(project, touch):
    for name in ("steps/train.py", "steps/classify.py", "pipeline/report.py", "pipeline/parameters/steps.py",
                 "crystal_eyes/cli.py", "crystal_eyes/web/app.py"):  # fmt: skip
        touch(name)
    assert to_run(project.plan(TINY_MAIN)) == set()


def test_a_dataset_is_known_by_its_contents_and_names_not_by_its_place(project, tmp_path):
    heads = draw_heads(tmp_path / "heads")
    parameters = {**TINY_MAIN, "dataset": heads}
    project.call("prepare", {**CAST, "dataset": heads})
    assert project.plan(parameters)["prepare"][0] == "reuse"

    copy = shutil.copytree(heads, tmp_path / "copy")
    parameters["dataset"] = copy
    assert project.plan(parameters)["prepare"][0] == "reuse"

    picture = next(copy.rglob("*.png"))
    Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(picture)
    plan = project.plan(parameters)
    assert to_run(plan) == set(plan)
    assert "input dataset has changed" in reasons(plan, "prepare")
    shutil.copy(heads / picture.relative_to(copy), picture)
    assert project.plan(parameters)["prepare"][0] == "reuse"

    (copy / "Character 3").rename(copy / "Character three")
    assert project.plan(parameters)["prepare"][0] == "run"


def test_the_plan_runs_nothing_and_tells_the_first_time_why(tmp_path):
    project = Project.on(ROOT, tmp_path)
    plan = project.plan(TINY_MAIN)
    assert to_run(plan) == set(plan) >= FROM_TRAINING_ON | {"prepare"}
    assert all("it has no finished run yet" in reasons(plan, step) for step in plan)
    assert len(project.client.search_runs(["0"])) == 1  # the plan's own


def test_with_the_cache_off_everything_runs(project):
    plan = project.plan({**TINY_MAIN, "cache": "off"})
    assert to_run(plan) == set(plan)


def test_a_step_run_by_hand_counts_for_main_and_gives_the_same_bytes(project):
    (older,) = project.runs("prepare")
    project.call("prepare", CAST)
    newer = project.runs("prepare")[0]
    assert newer.info.run_id != older.info.run_id
    assert newer.data.tags["crystal_eyes.outputs"] == older.data.tags["crystal_eyes.outputs"]
    plan = project.plan(TINY_MAIN)
    assert to_run(plan) == set() and newer.info.run_id in plan["prepare"][1][0]


def test_a_training_by_hand_counts_for_main_with_what_the_recipe_gives_left_empty(project):
    catalogue = f"runs:/{project.runs('prepare')[0].info.run_id}/catalogue"
    assert "drop_connect_rate" not in TINY_TRAINING  # main and the step fill it in from the recipe in the same way
    before = project.runs("train")
    project.call("train", {"catalogue": catalogue, **TINY_TRAINING})
    newest = project.runs("train")[0]
    verdict, (line, *_) = project.plan(TINY_MAIN)["train"]
    assert newest.info.run_id not in {run.info.run_id for run in before}
    assert verdict == "reuse" and newest.info.run_id in line


def test_an_output_that_was_damaged_is_made_again_and_so_is_what_follows(project):
    other = {**TINY_MAIN, "seed": 7}  # nothing of it is in the store but what is made here
    project.call("prepare", {**CAST, "seed": 7})
    assert project.plan(other)["prepare"][0] == "reuse"
    (path,) = (artifacts(project.runs("prepare")[0]) / "catalogue").glob("*.parquet")
    path.write_bytes(path.read_bytes() + b"x")
    plan = project.plan(other)
    assert plan["prepare"][0] == "run" and "was changed or deleted" in reasons(plan, "prepare")
