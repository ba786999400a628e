"""What runs show in MLflow's UI: names, datasets, descriptions, links of reused steps, the experiment, the verdict."""

import json

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.utils.name_utils import _generate_random_name

from pipeline.cache.key import ROOT, CacheKey
from pipeline.cache.records import KEY, find, record
from pipeline.datasets import log_catalogue, log_prepared
from pipeline.experiment import NAME, name_experiment
from pipeline.parameters.steps import Embed, Prepare
from pipeline.presentation import show_step
from pipeline.report import verdict
from pipeline.reused import REUSED, link_reused
from pipeline.run_names import dataset_name, is_generated, main_name, step_name
from tests.runs import Project

DEFAULTS = {"dataset": "", "illustrations": "", "recipe": "best", "seed": 0, "characters": 80, "pictures": 45,
            "faiss_neighbors": 10, "weights": "pretrained", "plan": False}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A separate store, in use while the module runs."""
    before, uri = mlflow.get_tracking_uri(), Project.on(ROOT, tmp_path_factory.mktemp("store")).tracking_uri
    mlflow.set_tracking_uri(uri)
    yield MlflowClient()
    mlflow.set_tracking_uri(before)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "recipe best, cast 80x45"),
        ({"faiss_neighbors": 3}, "faiss_neighbors=3, recipe best, cast 80x45"),
        ({"dataset": "/data/idols/", "recipe": "2020", "seed": 4}, "seed 4, recipe 2020, idols"),
        ({"dataset": "sets/heads.csv"}, "recipe best, heads"),
        ({"illustrations": "/data/whole"}, "recipe best, whole"),
        ({"weights": "/far/away/lite0.pth"}, "weights=lite0.pth, recipe best, cast 80x45"),
        ({"characters": 8, "pictures": 6, "plan": True}, "plan, recipe best, cast 8x6"),
    ],
)
def test_runs_of_main_are_named_by_what_distinguishes_them(changes, expected):
    assert main_name({**DEFAULTS, **changes}, DEFAULTS) == expected


def test_the_length_of_a_name_is_limited():
    assert len(main_name({**DEFAULTS, **{f"option_{n}": n for n in range(100)}}, DEFAULTS)) <= 120


@pytest.mark.parametrize(
    ("entry_point", "parameters", "expected"),
    [
        ("prepare", {"dataset": "", "characters": 8, "pictures": 6, "seed": 0}, "prepare, cast 8x6"),
        ("prepare", {"dataset": "/data/idols"}, "prepare, idols"),
        ("train", {"recipe": "best", "seed": 0}, "train, best"),
        ("train", {"recipe": "best", "seed": "1"}, "train seed 1, best"),
        ("classify", {"classifier": "lda", "seed": 3}, "classify lda"),
        ("evaluate", {"bundle": "runs:/1/bundle"}, "evaluate"),
    ],
)
def test_steps_are_named_by_what_distinguishes_them(entry_point, parameters, expected):
    assert step_name(entry_point, parameters) == expected


def test_names_that_mlflow_generates_are_distinguished_from_given_ones():
    with_random_name = _generate_random_name()
    assert is_generated(with_random_name) and is_generated("") and is_generated(None)
    assert not is_generated("main, best") and not is_generated("my-run")


def test_a_dataset_is_named_by_its_folder_or_table():
    assert dataset_name({"dataset": "a/b.parquet"}) == "b" and dataset_name({"dataset": "a/v1.2"}) == "v1.2"


def test_every_step_shows_the_dataset_that_its_catalogue_was_made_from(client):
    prepared = Prepare(dataset="/data/idols")
    with mlflow.start_run() as made:
        mlflow.log_params(vars(prepared))
        show_step(made, "prepare", prepared, {"dataset": "/data/idols"}, {"dataset": "12"})
        log_prepared(vars(prepared), "abcdef0123456789")
    catalogue = f"runs:/{made.info.run_id}/catalogue"
    parameters = Embed(onnx="/some/encoder.onnx", catalogue=catalogue)
    with mlflow.start_run() as used:
        given = {"onnx": parameters.onnx, "catalogue": catalogue}
        show_step(used, "embed", parameters, given, {"onnx": "1", "catalogue": "abcdef0123456789"})
    shown = []
    for run in (client.get_run(made.info.run_id), client.get_run(used.info.run_id)):
        (one,) = run.inputs.dataset_inputs
        shown.append((one.dataset.name, one.dataset.digest, one.tags[0].value))
    assert shown == [("idols", "abcdef01", "prepare"), ("idols", "abcdef01", "embed")]
    run = client.get_run(used.info.run_id)
    assert run.info.run_name == "embed" and run.data.tags["entry_point"] == "embed"
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith(Embed.__doc__) and f"/runs/{made.info.run_id}" in note and "`/some/encoder.onnx`" in note


def test_a_catalogue_in_a_plain_folder_is_named_by_it(client, tmp_path):
    with mlflow.start_run() as run:
        log_catalogue(str(tmp_path / "catalogue"), "0123456789", "embed")
    (one,) = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert one.dataset.name == "catalogue"


def test_a_name_that_the_user_gave_is_kept(client):
    with mlflow.start_run(run_name="mine") as run:
        show_step(run, "prepare", Prepare(), {}, {})
    assert client.get_run(run.info.run_id).info.run_name == "mine"


def test_a_reused_step_shows_its_figures_below_the_main_that_reused_it_and_matches_nothing(client):
    key = CacheKey("embed", {"embed_batch": "64"}, {}, {}, {})
    with mlflow.start_run(run_name="embed") as run:
        mlflow.log_metrics({"map_at_r_unseen": 0.25, "system/cpu": 3.0})
        mlflow.log_param("embed_batch", 64)
        log_catalogue("/data/catalogue", "0123456789", "embed")
    record(client, run.info.run_id, key, {})
    made = client.get_run(run.info.run_id)
    with mlflow.start_run() as parent:
        for _ in range(2):  # the same step twice in one main
            link_reused(made, parent)
    (link,) = client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert link.info.run_name == "embed (reused)" and link.info.status == "FINISHED"
    assert link.data.metrics == {"map_at_r_unseen": 0.25} and link.data.params == {"embed_batch": "64"}
    assert link.inputs.dataset_inputs[0].dataset.name == "catalogue"
    assert link.data.tags[REUSED] == made.info.run_id and made.info.run_id in link.data.tags["mlflow.note.content"]
    assert KEY not in link.data.tags and find(client, "0", key)[0].info.run_id == made.info.run_id


def test_a_step_below_its_own_main_gets_no_link(client):
    with mlflow.start_run() as parent:
        with mlflow.start_run(nested=True) as child:
            pass
        link_reused(client.get_run(child.info.run_id), parent)
    below = client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert [run.info.run_id for run in below] == [child.info.run_id]


@pytest.mark.parametrize(
    ("logged", "expected"), [("''", "cast 80x45"), ("'/data/my idols'", "my idols"), ("/data/my idols", "my idols")]
)
def test_a_dataset_is_recognized_as_mlflow_run_logs_it(client, logged, expected):
    with mlflow.start_run() as made:
        mlflow.log_params({**vars(Prepare()), "dataset": logged})
    with mlflow.start_run() as used:
        log_catalogue(f"runs:/{made.info.run_id}/catalogue", "abcdef0123456789", "main")
    (one,) = client.get_run(used.info.run_id).inputs.dataset_inputs
    assert one.dataset.name == expected


def test_the_default_experiment_gets_the_projects_name_unless_others_use_it_too(tmp_path):
    before = mlflow.get_tracking_uri()
    try:
        for others in (False, True):
            mlflow.set_tracking_uri(Project.on(ROOT, tmp_path / str(others)).tracking_uri)
            client = MlflowClient()
            client.create_run("0", tags={"mlflow.source.name": "/another/project" if others else f"{ROOT}/pipeline/main.py"})
            run = client.create_run("0", tags={"mlflow.source.name": f"file://{ROOT}"})
            name_experiment(run)
            name_experiment(run)  # of the next main
            experiment = client.get_experiment("0")
            assert experiment.name == ("Default" if others else NAME)
            assert ("mlflow.note.content" in experiment.tags) == (not others)
    finally:
        mlflow.set_tracking_uri(before)


def test_finished_steps_are_found_in_the_default_experiment_too(client):
    key = CacheKey("embed", {"embed_batch": json.dumps(1)}, {}, {}, {})
    own = client.create_experiment("ablation")
    run = client.create_run("0")
    client.set_terminated(run.info.run_id)
    record(client, run.info.run_id, key, {})
    assert find(client, own, key)[0].info.run_id == run.info.run_id


TABLE = pd.DataFrame({"classifier": ["lda", "ridge", "perceptron"], "top_1": [0.8, 0.7, 0.6], "top_5": [0.95, 0.94, 0.7],
                      "top_5_low": [0.92, 0.91, 0.6], "top_5_high": [0.97, 0.96, 0.8]})  # fmt: skip


@pytest.mark.parametrize(
    ("naming", "expected", "unexpected"),
    [
        ("lda", "Best classifier: lda (top-5 0.950, top-1 0.800), which the bundle uses.", "-P naming"),
        ("ridge", "the bundle uses ridge (top-5 0.940, top-1 0.700). The difference is within the 95 % interval.", "faiss"),
        ("perceptron", "the bundle uses perceptron (top-5 0.700, top-1 0.600). To use it: -P naming=lda", "interval"),
        ("faiss", "the bundle uses faiss, which was not compared. To use it: -P naming=lda", "interval"),
    ],
)
def test_the_verdict_names_the_best_classifier_beside_that_of_the_bundle(naming, expected, unexpected):
    found = verdict(TABLE, naming, ["lda", "ridge"])
    assert expected in found and unexpected not in found
    assert "-P naming" not in verdict(TABLE, naming)  # no classifier that a bundle could use
