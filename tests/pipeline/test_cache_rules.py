"""When a step is reused and when it runs: each rule of the cache, on a real store after a real main."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.runs import TINY, TINY_TRAINING, Project, draw_heads

STEPS = ["prepare", "train", "export", "embed", "classify perceptron", "classify faiss", "bundle"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Project, dict]:
    """A project of its own in which main has run once, and that main's parameters."""
    folder = tmp_path_factory.mktemp("rules")
    project = Project.copy(folder)
    parameters = {**TINY, "dataset": draw_heads(folder / "heads")}
    project.run("main", parameters)
    return project, parameters


def to_run(plan: dict) -> list[str]:
    return [step for step, (verdict, _) in plan.items() if verdict == "run"]


def reasons(plan: dict, step: str) -> str:
    return "\n".join(plan[step][1][1:])


@pytest.fixture
def touched(finished):
    """Append to a file of the project for one test."""
    project, _ = finished
    before = {}

    def touch(name: str, text: str) -> None:
        path = project.folder / name
        before.setdefault(path, path.read_bytes())
        path.write_bytes(path.read_bytes() + text.encode())

    yield touch
    for path, content in before.items():
        path.write_bytes(content)


def test_an_unchanged_main_starts_no_child_and_gives_the_same_comparison(finished):
    project, parameters = finished
    count = len(project.client.search_runs(["0"], max_results=1000))
    output = project.run("main", parameters)
    assert output.count(": reused run ") == len(STEPS)
    assert len(project.client.search_runs(["0"], max_results=1000)) == count + 1  # the main itself
    newest, older = project.client.search_runs(["0"], "tags.`mlflow.runName` = 'main'", max_results=2)
    assert newest.data.metrics == older.data.metrics
    plots = [Path(run.info.artifact_uri.removeprefix("file://")) / "comparison.png" for run in (newest, older)]
    assert plots[0].read_bytes() == plots[1].read_bytes()


def test_5_and_the_text_5_and_5_point_0_are_one(finished):
    project, parameters = finished
    plan = project.plan({**parameters, "epochs": "1.0", "seed": "0", "drop_rate": "0"})
    assert list(plan) == STEPS and to_run(plan) == []


def test_another_parameter_of_one_classifier_runs_that_classifier_alone(finished):
    project, parameters = finished
    plan = project.plan({**parameters, "faiss_neighbors": 3})
    assert to_run(plan) == ["classify faiss"]
    assert "parameter faiss_neighbors: 10 -> 3" in reasons(plan, "classify faiss")


def test_a_comment_in_the_training_code_runs_training_and_what_follows_from_it(finished, touched):
    project, parameters = finished
    touched("crystal_eyes/encoder/loop.py", "# a thought\n")
    plan = project.plan(parameters)
    assert to_run(plan) == STEPS[1:]
    assert "file crystal_eyes/encoder/loop.py has other contents" in reasons(plan, "train")
    assert "input encoder comes from a step that runs" in reasons(plan, "export")


def test_the_readme_runs_nothing(finished, touched):
    project, parameters = finished
    touched("README.md", "\nAnother line.\n")
    assert to_run(project.plan(parameters)) == []


def test_a_file_imported_only_inside_a_function_counts(finished, touched):
    project, parameters = finished
    assert "import skops" not in (project.folder / "steps/embed.py").read_text()
    touched("steps/embed.py", "\n\ndef later():\n    from crystal_eyes.evaluation import confusions\n    import skops\n")
    why = reasons(project.plan(parameters), "embed")
    assert "file crystal_eyes/evaluation/confusions.py is new" in why and "library skops: not there -> " in why


def test_a_picture_with_other_contents_runs_everything_and_is_named_as_the_dataset(finished, tmp_path):
    project, parameters = finished
    heads = shutil.copytree(parameters["dataset"], tmp_path / "heads")
    assert to_run(project.plan({**parameters, "dataset": heads})) == []  # a copy elsewhere is the same dataset
    picture = next(heads.rglob("*.png"))
    Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save(picture)
    plan = project.plan({**parameters, "dataset": heads})
    assert to_run(plan) == STEPS
    assert "input dataset has other contents" in reasons(plan, "prepare")


def test_a_renamed_character_is_another_dataset(finished, tmp_path):
    project, parameters = finished
    heads = shutil.copytree(parameters["dataset"], tmp_path / "heads")
    (heads / "Character 3").rename(heads / "Character three")
    assert to_run(project.plan({**parameters, "dataset": heads})) == STEPS


def test_another_version_of_a_library_runs_the_steps_that_use_it(finished):
    project, parameters = finished
    (run,) = project.runs("train")
    libraries = json.loads(run.data.tags["crystal_eyes.libraries"])
    assert "torch" in libraries and "sklearn" not in libraries
    # what a run under another torch would have recorded
    project.client.set_tag(run.info.run_id, "crystal_eyes.libraries", json.dumps({**libraries, "torch": "1.0"}))
    project.client.set_tag(run.info.run_id, "crystal_eyes.key", "of another torch")
    try:
        plan = project.plan(parameters)
        assert to_run(plan) == STEPS[1:]
        assert f"library torch: 1.0 -> {libraries['torch']}" in reasons(plan, "train")
    finally:
        for tag in ("crystal_eyes.libraries", "crystal_eyes.key"):
            project.client.set_tag(run.info.run_id, tag, run.data.tags[tag])


@pytest.mark.parametrize("damage", ["changed", "deleted"])
def test_an_output_that_is_not_what_was_logged_is_made_again(finished, damage):
    project, parameters = finished
    (run,) = project.runs("export")
    path = Path(run.info.artifact_uri.removeprefix("file://")) / "onnx" / "encoder.onnx"
    content = path.read_bytes()
    try:
        path.write_bytes(content + b"x") if damage == "changed" else path.unlink()
        plan = project.plan(parameters)
        assert to_run(plan) == STEPS[2:]
        assert f"output onnx of run {run.info.run_id} was changed or deleted" in reasons(plan, "export")
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("status", ["FAILED", "KILLED", "RUNNING"])
def test_a_run_that_did_not_finish_never_matches(finished, status):
    project, parameters = finished
    (run,) = project.runs("embed")
    try:
        if status == "RUNNING":
            project.client.update_run(run.info.run_id, status="RUNNING")
        else:
            project.client.set_terminated(run.info.run_id, status)
        assert "embed" in to_run(project.plan(parameters))
    finally:
        project.client.set_terminated(run.info.run_id, "FINISHED", run.info.end_time)


def test_a_half_logged_run_never_matches(finished):
    project, parameters = finished
    (run,) = project.runs("embed")
    project.client.delete_tag(run.info.run_id, "crystal_eyes.key")
    try:
        assert "embed" in to_run(project.plan(parameters))
    finally:
        project.client.set_tag(run.info.run_id, "crystal_eyes.key", run.data.tags["crystal_eyes.key"])


def test_the_plan_runs_nothing_and_tells_the_first_time_why(tmp_path, finished):
    _, parameters = finished
    project = Project.copy(tmp_path)
    plan = project.plan(parameters)
    assert to_run(plan) == STEPS
    assert all("no finished run of it yet" in reasons(plan, step) for step in STEPS)
    assert [run.data.tags["mlflow.runName"] for run in project.client.search_runs(["0"])] == ["plan"]


def test_cache_off_runs_all_and_the_newest_of_equal_runs_is_taken(finished):
    project, parameters = finished
    assert to_run(project.plan({**parameters, "cache": "off"})) == STEPS
    (older,) = project.runs("prepare")
    # a step run by itself counts like one that main ran
    project.run("prepare", {"dataset": parameters["dataset"]})
    newer = project.runs("prepare")[0]
    assert newer.info.run_id != older.info.run_id
    assert newer.data.tags["crystal_eyes.outputs"] == older.data.tags["crystal_eyes.outputs"]  # same inputs, same digests
    plan = project.plan(parameters)
    assert to_run(plan) == [] and newer.info.run_id in plan["prepare"][1][0]


def test_a_training_by_hand_counts_for_main_with_what_the_recipe_gives_left_empty(finished):
    project, parameters = finished
    catalogue = f"runs:/{project.runs('prepare')[0].info.run_id}/catalogue"
    assert "drop_connect_rate" not in TINY_TRAINING  # -1 here, which main replaces by the recipe's before it asks
    project.run("train", {"catalogue": catalogue, **TINY_TRAINING})
    verdict, (line, *_) = project.plan(parameters)["train"]
    assert verdict == "reuse" and project.runs("train")[0].info.run_id in line
