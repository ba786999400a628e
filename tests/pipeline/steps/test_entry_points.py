"""Every entry point through the real `mlflow run`, on a tiny cast: what a user then finds in the UI."""

import json
import subprocess

import mlflow
import numpy as np
import onnx
import pandas as pd
import pytest
from PIL import Image

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.embeddings import read_embeddings
from crystal_eyes.encoder.runtime import OnnxEncoder
from tests.runs import ROOT, TINY, TINY_TRAINING


@pytest.fixture
def child(tiny_main):
    """The runs of the steps of the tiny main, by name."""
    return tiny_main.project.children(tiny_main.run_id)


@pytest.fixture
def artifact(tiny_main):
    return lambda run, name: mlflow.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path=name, tracking_uri=tiny_main.tracking_uri
    )


def mlflow_run(tiny_main, entry_point: str, **parameters) -> str:
    arguments = [text for name, value in parameters.items() for text in ("-P", f"{name}={value}")]
    done = subprocess.run(
        ["mlflow", "run", ".", "-e", entry_point, "--env-manager", "local", *arguments],
        cwd=ROOT, env=tiny_main.project.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_main_ran_every_step_once_as_its_child(child):
    assert sorted(child) == [
        "bundle", "classify faiss", "classify logistic_regression", "classify perceptron", "distill", "embed", "evaluate",
        "export", "prepare", "train", "train seed 1",
    ]  # fmt: skip
    assert {run.info.status for run in child.values()} == {"FINISHED"}
    assert {run.data.tags["mlflow.project.env"] for run in child.values() if "mlflow.project.env" in run.data.tags} <= {"local"}


def test_main_named_the_default_experiment_after_the_project(tiny_main):
    assert tiny_main.project.client.get_experiment(tiny_main.experiment_id).name == "crystal-eyes"


def test_main_prints_the_comparison_last_and_says_how_to_look_at_it(tiny_main):
    tail = tiny_main.output.split("classify faiss: done")[-1]
    assert "top-5" in tail and "perceptron" in tail and "faiss" in tail
    assert f"mlflow ui --backend-store-uri {tiny_main.tracking_uri}" in tail


def test_main_logs_the_comparison_with_links_to_the_children(tiny_main, child, artifact):
    run = tiny_main.project.client.get_run(tiny_main.run_id)
    table = pd.read_csv(artifact(run, "comparison.csv")).set_index("classifier")
    for name in ("perceptron", "faiss"):
        metrics = child[f"classify {name}"].data.metrics
        assert table.loc[name, "top_5"] == pytest.approx(metrics["top_5"])
        assert f"/runs/{child[f'classify {name}'].info.run_id}?" in run.data.tags["mlflow.note.content"]
    difference = run.data.metrics["perceptron_minus_faiss_top_5"]
    assert difference == pytest.approx(table.loc["perceptron", "top_5"] - table.loc["faiss", "top_5"])
    assert Image.open(artifact(run, "comparison.png")).width > 200
    assert (
        len(json.loads(open(artifact(run, "comparison.json")).read())["data"]) == 3
    )  # those asked for, and the one that names


def test_prepare_logs_counts_sheet_and_everything_dropped(tiny_main, child, artifact):
    run = child["prepare"]
    assert run.data.metrics["characters"] == 8
    assert run.data.metrics["pictures"] + run.data.metrics["pictures_dropped"] == 64
    assert len(pd.read_csv(artifact(run, "dropped.csv"))) == run.data.metrics["pictures_dropped"]
    for name in ("contact_sheet.png", "pictures_per_character.png"):
        assert Image.open(artifact(run, name)).width > 200
    assert "CC BY 4.0" in open(artifact(run, "credits.txt")).read()
    assert len(Catalogue(artifact(run, "catalogue"))) == run.data.metrics["pictures"]
    # artists and licenses are printed too
    assert "art: " in tiny_main.output


def test_train_logs_every_epoch(tiny_main, child):
    for metric in ("loss", "map_at_r", "precision_at_1", "pictures_per_second", "learning_rate"):
        history = tiny_main.project.client.get_metric_history(child["train"].info.run_id, metric)
        assert [entry.step for entry in history] == [1] and np.isfinite(history[0].value)


def test_export_says_all_that_a_server_needs(child, artifact):
    path = artifact(child["export"], "onnx/encoder.onnx")
    said = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert said["image_size"] == "32" and said["color_order"] == "RGB" and said["embedding_size"] == "16"
    assert said["backbone"] == TINY["backbone"]
    assert child["distill"].info.run_id not in str(said)  # equal inputs give equal bytes
    outputs = json.loads(child["prepare"].data.tags["crystal_eyes.outputs"])
    assert said["training_catalogue"] == outputs["catalogue"]
    assert child["export"].data.metrics["largest_difference"] < 1e-4


def test_embed_writes_unit_embeddings_in_the_order_of_its_table(child, artifact):
    embeddings, table = read_embeddings(artifact(child["embed"], "embeddings"))
    catalogue = Catalogue(artifact(child["prepare"], "catalogue"))
    assert table.column("file").to_pylist() == catalogue.table()["file"].tolist()
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


def test_classify_logs_accuracies_intervals_costs_and_pictures(child, artifact):
    run = child["classify perceptron"]
    metrics = run.data.metrics
    assert metrics["top_1"] <= metrics["top_3"] <= metrics["top_5"]
    for k in (1, 3, 5):
        assert metrics[f"top_{k}_low"] <= metrics[f"top_{k}"] <= metrics[f"top_{k}_high"]
    assert metrics["fit_seconds"] > 0 and metrics["queries_per_second"] > 0 and metrics["model_bytes"] > 0
    table = pd.read_csv(artifact(run, "per_character.csv"))
    assert np.average(table["top_1"], weights=table["pictures"]) == pytest.approx(metrics["top_1"])
    assert Image.open(artifact(run, "answers.png")).width > 200
    assert {"character", "taken_for", "times"} <= set(pd.read_csv(artifact(run, "confused_pairs.csv")).columns)


@pytest.mark.parametrize("classifier", ["linear_svc", "k_neighbors", "random_forest", "nearest_centroid"])
def test_the_other_classifiers_run_from_plain_paths(tiny_main, child, artifact, classifier):
    parameters = {
        "embeddings": artifact(child["embed"], "embeddings"),
        "catalogue": artifact(child["prepare"], "catalogue"),
        "classifier": classifier,
    }
    output = tiny_main.project.call("classify", parameters)
    assert f"{classifier}: fitting" in output and "top-5" in output


def test_a_step_alone_takes_runs_and_registered_models(tiny_main, child, artifact):
    client = tiny_main.project.client
    client.create_registered_model("encoder")
    source = child["export"].info.artifact_uri + "/onnx"
    client.create_model_version("encoder", source, child["export"].info.run_id)
    catalogue = f"runs:/{child['prepare'].info.run_id}/catalogue"
    output = mlflow_run(tiny_main, "embed", onnx="models:/encoder/1", catalogue=catalogue)
    assert "succeeded" in output
    (newest,) = (run for run in tiny_main.project.runs("embed") if run.data.params["onnx"] == "models:/encoder/1")
    mine, theirs = (artifact(run, "embeddings/embeddings.npy") for run in (newest, child["embed"]))
    assert open(mine, "rb").read() == open(theirs, "rb").read()
    assert OnnxEncoder(artifact(child["export"], "onnx/encoder.onnx")).embedding_size == 16


def test_train_logs_to_weights_and_biases_offline(tiny_main, child, tmp_path):
    parameters = {**TINY_TRAINING, "catalogue": f"runs:/{child['prepare'].info.run_id}/catalogue", "wandb": "offline"}
    tiny_main.project.run("train", parameters, WANDB_DIR=str(tmp_path))
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    (run,) = (run for run in tiny_main.project.runs("train") if folder.name.endswith(run.data.tags.get("wandb_run_id", "?")))
    assert run.info.run_id.encode() in next(folder.glob("*.wandb")).read_bytes()
