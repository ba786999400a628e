"""Which finished run is taken for a key: on a real store, with steps that write a line."""

from pathlib import Path

import pytest
from mlflow.entities import Run

from pipeline.cache.digests import digest_path
from pipeline.cache.key import CacheKey
from pipeline.cache.records import changed_outputs, find, nearest, record
from tests.runs import Project, artifacts, tracking_store

KEY = CacheKey("train", {"epochs": "5"}, {"catalogue": "abc"}, {"steps/train.py": "1"}, {"torch": "2.0", "python": "3.11"})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    project = Project.on(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("records"))
    with tracking_store(project.tracking_uri):
        yield project.client


@pytest.fixture
def client(store):
    """A client of an empty store."""
    for run in store.search_runs(["0"]):
        store.delete_run(run.info.run_id)
    return store


def finished(client, key: CacheKey = KEY, text: str = "weights", status: str = "FINISHED", recorder=None) -> Run:
    """A run that has written an output, recorded it and ended."""
    run = client.create_run("0")
    folder = artifacts(run) / "encoder"
    folder.mkdir(parents=True)
    (folder / "weights.txt").write_text(text)
    record(recorder or client, run.info.run_id, key, {"encoder": digest_path(folder)})
    if status != "RUNNING":
        client.set_terminated(run.info.run_id, status)
    return client.get_run(run.info.run_id)


def found(client, key: CacheKey = KEY) -> str | None:
    run, _ = find(client, "0", key)
    return run and run.info.run_id


def weights(run: Run) -> Path:
    return artifacts(run) / "encoder" / "weights.txt"


def test_a_finished_run_of_an_equal_key_is_taken_and_no_other(client):
    run = finished(client)
    assert found(client) == run.info.run_id
    for part in ("parameters", "inputs", "sources", "libraries"):
        assert found(client, CacheKey(**{**vars(KEY), part: {"other": "1"}})) is None
    assert found(client, CacheKey(**{**vars(KEY), "entry_point": "distill"})) is None


def test_the_newest_of_equal_runs_is_taken(client):
    finished(client)
    newest = finished(client)
    assert found(client) == newest.info.run_id


@pytest.mark.parametrize("status", ["FAILED", "KILLED", "RUNNING"])
def test_a_run_that_did_not_finish_never_matches(client, status):
    finished(client, status=status)
    assert found(client) is None
    older = finished(client)
    finished(client, status=status)
    assert found(client) == older.info.run_id


class BreaksOff:
    """A client whose process dies at its n-th tag."""

    def __init__(self, client, after: int):
        self.client, self.left = client, after

    def set_tag(self, *arguments) -> None:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        self.client.set_tag(*arguments)


def test_a_run_that_is_recorded_only_in_part_never_matches(client):
    written = 0
    while True:
        try:
            finished(client, recorder=BreaksOff(client, written))
            break
        except KeyboardInterrupt:
            (run,) = client.search_runs(["0"], max_results=1, order_by=["attributes.start_time DESC"])
            client.set_terminated(run.info.run_id, "FINISHED")
            assert found(client) is None and nearest(client, "0", KEY) == (None, [])
            written += 1
    assert written > 2 and found(client)


@pytest.mark.parametrize("damage", ["changed", "deleted", "added"])
def test_an_output_that_is_not_what_was_logged_is_not_taken_and_named(client, damage):
    run = finished(client)
    if damage == "changed":
        weights(run).write_text("weightz")
    elif damage == "deleted":
        weights(run).unlink()
    else:
        weights(run).with_name("more.txt").write_text("")
    assert changed_outputs(run) == ["encoder"]
    assert find(client, "0", KEY) == (None, [f"output encoder of run {run.info.run_id} was changed or deleted"])


def test_an_older_intact_run_replaces_a_damaged_one(client):
    older, newer = finished(client), finished(client)
    weights(newer).unlink()
    assert found(client) == older.info.run_id


def test_a_deleted_run_is_not_taken(client):
    client.delete_run(finished(client).info.run_id)
    assert found(client) is None


def test_of_unequal_runs_the_one_that_differs_least_explains_and_of_equals_the_newest(client):
    far = CacheKey("train", {"epochs": "9"}, {"catalogue": "xyz"}, KEY.sources, {**KEY.libraries, "torch": "1.0"})
    near = CacheKey("train", KEY.parameters, KEY.inputs, KEY.sources, {**KEY.libraries, "torch": "1.0"})
    finished(client, near)
    expected = finished(client, near)
    finished(client, far)
    run, lines = nearest(client, "0", KEY)
    assert run.info.run_id == expected.info.run_id and lines == ["library torch: 1.0 -> 2.0"]
    assert nearest(client, "0", CacheKey(**{**vars(KEY), "entry_point": "distill"})) == (None, [])


def test_another_experiment_reuses_what_the_default_one_holds_and_never_the_reverse(client):
    run, experiment = finished(client), client.create_experiment("another")
    found_there, _ = find(client, experiment, KEY)
    assert found_there.info.run_id == found(client) == run.info.run_id
    other = CacheKey(**{**vars(KEY), "parameters": {"epochs": "9"}})
    there = client.create_run(experiment)
    (artifacts(there) / "encoder").mkdir(parents=True)
    record(client, there.info.run_id, other, {"encoder": digest_path(artifacts(there) / "encoder")})
    client.set_terminated(there.info.run_id)
    assert find(client, experiment, other)[0].info.run_id == there.info.run_id and found(client, other) is None
