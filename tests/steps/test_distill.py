"""The step distill on two encoders of a tiny main."""

import json

import pytest
from mlflow.artifacts import download_artifacts

from crystal_eyes.encoder import load_encoder
from tests.runs import TINY_TRAINING


@pytest.fixture(scope="module")
def inputs(tiny_main) -> dict[str, str]:
    """What distill is given: the encoder of the main, and one of another seed."""
    project = tiny_main.project
    children = project.client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{tiny_main.run_id}'")
    own = {run.info.run_name: run.info.run_id for run in children}
    catalogue = f"runs:/{own['prepare']}/catalogue"
    project.run("train", {**TINY_TRAINING, "catalogue": catalogue, "seed": 1})
    other = f"runs:/{project.runs('train')[0].info.run_id}/encoder"
    return {"catalogue": catalogue, "encoder": f"runs:/{own['train']}/encoder", "other": other}


def test_distill_gives_an_encoder_that_export_takes(tiny_main, inputs):
    project = tiny_main.project
    output = project.run("distill", {**inputs, "distill_epochs": 2})
    (run,) = project.runs("distill")
    assert "epoch 2/2: loss" in output and f"kept epoch {run.data.metrics['best_epoch']:.0f}" in output
    steps = [point.step for point in project.client.get_metric_history(run.info.run_id, "loss")]
    assert steps == [1, 2] and run.data.metrics["loss"] > 0
    where = run.info.artifact_uri.removeprefix("file://")
    assert load_encoder(f"{where}/encoder").description.image_size == TINY_TRAINING["image_size"]
    asked = {"encoder": f"runs:/{run.info.run_id}/encoder", "catalogue": inputs["catalogue"]}
    assert "differs from torch by at most" in project.run("export", asked)


def test_no_epochs_are_nothing_to_do(tiny_main, inputs):
    output = tiny_main.project.run("distill", {**inputs, "distill_epochs": 0}, code=1)
    assert output.strip().splitlines()[-1] == "distill: distill_epochs=0: there is nothing to do, give at least 1"


def test_encoders_of_other_sizes_are_refused(tiny_main, inputs, tmp_path):
    other = download_artifacts(inputs["other"], dst_path=str(tmp_path), tracking_uri=tiny_main.tracking_uri)
    description = json.loads(open(f"{other}/encoder.json").read())
    open(f"{other}/encoder.json", "w").write(json.dumps(description | {"image_size": 48}))
    output = tiny_main.project.run("distill", {**inputs, "other": other, "distill_epochs": 1}, code=1)
    assert "see pictures of other sizes" in output.strip().splitlines()[-1] and "Traceback" not in output
