"""The bundle that a tiny run of main builds: what the registry contains and serves, and which version becomes champion."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import mlflow
import pytest

from crystal_eyes.artifacts import local_path
from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.build.inputs import content_digest
from crystal_eyes.recognizer.build.roles import rows_by_role
from crystal_eyes.recognizer.bundle import FORMAT, read_bundle
from steps.bundle import summary
from tests.runs import ROOT, TINY_MAIN, Project, draw_head


@pytest.fixture(scope="module")
def bundle_run(tiny_main):
    return tiny_main.project.runs("bundle")[-1]


@pytest.fixture(scope="module")
def bundle(bundle_run) -> Path:
    return Path(bundle_run.info.artifact_uri.removeprefix("file://")) / "bundle"


@pytest.fixture
def store(tiny_main, monkeypatch):
    """The tiny main's store is the one that URIs mean."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tiny_main.tracking_uri)
    yield tiny_main.project.client
    mlflow.set_tracking_uri(before)


def test_the_classifier_of_the_recipe_names_as_classify_fitted_it(store, bundle_run, bundle):
    described = json.loads((local_path(bundle_run.data.params["classifier"]) / "classifier.json").read_text())
    assert described["classifier"] == "logistic_regression"
    digest = read_bundle(bundle).listing["source"]["classifier"]
    assert digest == content_digest(local_path(bundle_run.data.params["classifier"]))


def test_the_bundle_names_the_characters_of_the_catalogue_with_their_series(bundle, tiny_main):
    found = read_bundle(bundle)
    names = dict(found.characters)
    assert len(names) == 8 and all(names.values())  # the cast has series
    recognizer = Recognizer(found, threads=1)
    assert set(recognizer.naming.gallery.characters) == set(names)
    head = recognizer.recognize(draw_head(0, 0).resize((192, 192)))[0]
    assert {one.character for one in head.candidates} <= set(names)


def test_the_summary_shows_the_figures_that_there_are():
    text = summary({"colour_top_1": 0.81234, "line_auroc": 0.7, "enrol_enrolled_top_5": 0.5, "other": 1.0})
    assert "color top 1 0.812" in text and "line auroc 0.700" in text and "enrolled top 5 0.500" in text
    assert "other" not in text and "line top 1" not in text


def test_figures_are_logged_by_kind_and_stand_on_the_card(bundle_run, bundle):
    metrics, card = bundle_run.data.metrics, (bundle / "README.md").read_text()
    for kind in ("colour", "line"):
        for name in ("top_1", "top_5", "ece_before", "ece_after", "called_unknown_at_5", "auroc"):
            assert 0 <= metrics[f"{kind}_{name}"] <= 1
        assert f"{metrics[f'{kind}_top_5']:.3f}" in card
    assert "one linear layer (logistic_regression)" in card
    assert "Lisa Wischofsky" in card and "statement about originality in the legal sense" in card
    text = card + (bundle / "bundle.json").read_text()
    assert str(ROOT) not in text and "runs:/" not in text


def test_the_registered_model_has_signature_example_and_aliases(store, bundle):
    version = store.get_model_version_by_alias("crystal-eyes", "champion")
    assert store.get_model_version_by_alias("crystal-eyes", "challenger").version == version.version
    assert version.description.startswith("# Crystal Eyes bundle")
    model = mlflow.models.get_model_info("models:/crystal-eyes@champion")
    assert [column.name for column in model.signature.inputs] == ["picture"]
    assert {column.name for column in model.signature.outputs} == {"heads", "error"}
    assert model.saved_input_example_info
    folder = Path(model.artifact_path.removeprefix("file://"))
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth")]


def test_the_alias_loads_as_a_recognizer_and_an_unknown_one_is_refused(store, bundle):
    mine, theirs = (Recognizer.load(source, threads=1) for source in (bundle, "models:/crystal-eyes@champion"))
    assert mine.naming.characters == theirs.naming.characters
    with pytest.raises(UserError, match="models:/crystal-eyes@emperor can't be fetched"):
        Recognizer.load("models:/crystal-eyes@emperor")


def test_mlflow_serves_it_and_every_bad_picture_gets_a_sentence(tiny_main, bundle, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["mlflow", "models", "serve", "-m", "models:/crystal-eyes@champion", "--env-manager", "local", "-p", str(port)]
    log = tmp_path / "server.log"
    # what a user's shell has: not what libraries of earlier tests put into this process's environment
    given = tiny_main.project.environment
    environment = {name: given[name] for name in ("PATH", "HOME", "MLFLOW_TRACKING_URI", "CRYSTAL_EYES_CACHE") if name in given}
    inherited = sorted(given.keys() - environment.keys())
    with log.open("w") as stream:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True,
                                  stdout=stream, stderr=subprocess.STDOUT)  # fmt: skip
    try:
        good = draw_head(0, 0).resize((192, 192))
        good.save(tmp_path / "head.png")
        data = (tmp_path / "head.png").read_bytes()
        rows = [base64.b64encode(data).decode(), base64.b64encode(data[:200]).decode(), "no base64!", ""]
        body = json.dumps({"dataframe_split": {"columns": ["picture"], "data": [[row] for row in rows]}}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"})
        answer, opener = None, urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(240):
            try:
                answer = json.loads(opener.open(request, timeout=60).read())["predictions"]
                break
            except urllib.error.HTTPError as error:
                raise AssertionError(error.read().decode()) from None
            except OSError as error:
                said = f"{error!r}\n{log.read_text()}"
                assert server.poll() is None, said
                time.sleep(0.5)
        assert answer is not None, f"the server did not come up: {said}; not given to it: {inherited}"
        expected = [head.as_dict() for head in Recognizer.load(bundle, threads=1).recognize(data)]
        assert [one["candidates"][0]["character"] for one in answer[0]["heads"]] == [
            one["candidates"][0]["character"] for one in expected
        ]
        assert answer[0]["error"] == "" and len(answer[0]["heads"]) == 1
        assert [one["heads"] for one in answer[1:]] == [[], [], []]
        assert answer[1]["error"].startswith("damaged") and answer[2]["error"] == "not base64"
        assert answer[3]["error"] == "empty file"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.fixture
def own(tiny_main, tmp_path) -> Project:
    """The tiny main's project with a copy of its store and registry."""
    project = Project.on(ROOT, tmp_path)
    shutil.copy(tiny_main.tracking_uri.removeprefix("sqlite:///"), tmp_path / "mlflow.db")
    return project


PARAMETERS = TINY_MAIN


def test_an_unchanged_main_registers_nothing_new(own):
    output = own.run("main", PARAMETERS)
    assert "crystal-eyes version 1 is already the champion" in output and "bundle: reused" in output
    assert len(own.client.search_model_versions("name = 'crystal-eyes'")) == 1


def test_the_champion_moves_only_to_a_challenger_that_is_not_worse_and_main_says_why(own):
    def alias(name: str) -> int:
        return int(own.client.get_model_version_by_alias("crystal-eyes", name).version)

    parameters = {**PARAMETERS, "references": 1, "thumbnails": "false"}  # the same names, another gallery
    output = own.run("main", parameters)
    assert "crystal-eyes version 2 is the challenger" in output
    assert "crystal-eyes version 2 is the new champion: its top-5" in output and "on the same heads" in output
    assert alias("champion") == alias("challenger") == 2
    evaluated = own.runs("evaluate")
    assert len(evaluated) == 2 and evaluated[0].data.metrics["top_5"] == evaluated[1].data.metrics["top_5"]

    # version 1 as champion again, and what was measured of it better
    own.client.set_registered_model_alias("crystal-eyes", "champion", "1")
    made_of = own.client.get_model_version("crystal-eyes", "1").tags["bundle_run"]
    (theirs,) = [run for run in evaluated if run.data.params["bundle"] == f"runs:/{made_of}/bundle"]
    own.client.log_metric(theirs.info.run_id, "top_5", 1.0)
    output = own.run("main", parameters)
    assert "crystal-eyes version 1 remains the champion: the challenger's top-5" in output
    assert (alias("champion"), alias("challenger")) == (1, 2)

    # a champion that this version can't read any more is none
    own.client.set_registered_model_alias("crystal-eyes", "champion", "2")
    source = own.client.get_model_version_download_uri("crystal-eyes", "2").removeprefix("file://")
    listing = Path(source) / "artifacts" / "bundle" / "bundle.json"
    listing.write_text(listing.read_text().replace(f'"format": {FORMAT}', '"format": 1'))
    output = own.run("main", PARAMETERS)
    assert "crystal-eyes version 1 is the new champion: version 2 can no longer be used" in output
    assert "has format 1, this version reads 2" in output and alias("champion") == 1


def test_evaluate_measures_the_heads_that_the_bundle_was_not_calibrated_on(tiny_main):
    (bundle,), (prepare,), (run,) = (tiny_main.project.runs(step) for step in ("bundle", "prepare", "evaluate"))
    table = Catalogue(Path(prepare.info.artifact_uri.removeprefix("file://")) / "catalogue").table()
    assert run.data.metrics["heads"] == len(rows_by_role(table)["report"])
    # the same heads, named from embeddings by the bundle step
    counts = {kind: bundle.data.metrics[f"{kind}_heads"] for kind in ("colour", "line_drawn") if
              f"{kind}_heads" in bundle.data.metrics}  # fmt: skip
    expected = sum(bundle.data.metrics[f"{kind}_top_5"] * count for kind, count in counts.items()) / sum(counts.values())
    assert run.data.metrics["top_5"] == pytest.approx(expected, abs=1e-6)
