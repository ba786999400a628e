"""A real Ray cluster on this machine does what this machine does alone: the same rows, digests and embeddings."""

import shutil
import signal
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

pytest.importorskip("ray")

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.data.layouts import load_dataset
from crystal_eyes.data.options import SelectionOptions, SplitOptions
from crystal_eyes.data.shards import MANIFEST, Shards
from crystal_eyes.data.storage import read_bytes
from crystal_eyes.encoder.embeddings import read_embeddings
from crystal_eyes.errors import UserError
from crystal_eyes.fleet import crop as fleet_crop
from crystal_eyes.fleet.cluster import connected
from crystal_eyes.fleet.embed import embed
from crystal_eyes.fleet.prepare import inspections, write_catalogue
from crystal_eyes.fleet.run import FleetRun
from steps.compute import crop as crop_here
from steps.compute import embed as embed_here
from steps.compute import prepare as prepare_here
from tests.runs import HEAD_DETECTOR, ROOT, Project, artifacts

EXAMPLES = ROOT / "crystal_eyes/web/examples"
ROWS = 10  # of a shard: several, and a last one that is not full
SPLITS = SplitOptions(train_per_character=4, test_per_character=2, validation_characters=0.25, test_characters=0.25)


@pytest.fixture(scope="module")
def cluster(bucket):
    """A cluster of this machine, to which this process is connected; its workers know the bucket."""
    with connected(""):
        yield


def prepared(dataset: Path, workspace: Path, shards: str = "") -> Path:
    workspace.mkdir(exist_ok=True)
    with FleetRun("", shards, workspace, "catalogue", ROWS) as run:
        selected = prepare_here.select_heads(dataset, 0.0, SelectionOptions(), 0, partial(inspections, run))
        return write_catalogue(run, prepare_here.split(selected, SPLITS, 0))


def prepared_here(dataset: Path, folder: Path) -> Path:
    selected = prepare_here.select_heads(dataset, 0.0, SelectionOptions(), 0)
    prepare_here.write_catalogue(folder, prepare_here.split(selected, SPLITS, 0))
    return folder


def embedded(catalogue: Path, onnx: Path, workspace: Path, shards: str = "", rows: int = ROWS) -> Path:
    workspace.mkdir(exist_ok=True)
    with FleetRun("", shards, workspace, "embeddings", rows) as run:
        folder, skipped = embed(run, onnx, catalogue, 4)
    assert skipped == []
    return folder


def rows_of(catalogue: Catalogue) -> pd.DataFrame:
    return catalogue.table().drop(columns="offset")


def names(folder: Path) -> list[str]:
    return [shard.file for shard in Shards(folder, folder.name).shards]


def test_a_dataset_becomes_the_same_catalogue_and_the_same_embeddings(cluster, characters_folder, exported, tmp_path):
    dataset = shutil.copytree(characters_folder, tmp_path / "dataset")
    shutil.copy(dataset / "Character 0/0.png", dataset / "Character 0/copy.png")  # a near-duplicate
    (dataset / "Character 1/broken.png").write_bytes(b"no picture")
    there = Catalogue(prepared(dataset, tmp_path / "prepare"))
    here = Catalogue(prepared_here(dataset, tmp_path / "here"))
    assert len(there.shards.shards) == 5 and len(there) == len(here) == 48
    pd.testing.assert_frame_equal(rows_of(there), rows_of(here))
    for place in zip(*(there.table()[name] for name in ("offset", "length", "digest"))):
        assert there.read(*place)  # which checks the digest

    alone = embed_here.embed(exported[1], here.folder, 4, tmp_path).folder
    expected, table = read_embeddings(alone)
    found, rows = read_embeddings(embedded(there.folder, exported[1], tmp_path / "embed"))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert rows.drop_columns(["offset"]).equals(table.drop_columns(["offset"]))
    again, _ = read_embeddings(embed_here.embed(exported[1], there.folder, 4, tmp_path / "prepare").folder)
    np.testing.assert_allclose(again, expected, atol=1e-6)


def test_heads_of_illustrations_are_the_same(cluster, tmp_path):
    for number, example in enumerate(sorted(EXAMPLES.glob("*.webp"))):
        home = tmp_path / "pictures" / f"Character {number % 2}"
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(example, home)
    Image.new("RGB", (300, 300), "white").save(tmp_path / "pictures/Character 0/empty.png")
    (tmp_path / "pictures/Character 1/broken.png").write_bytes(b"no picture")
    (tmp_path / "pictures/Character 1/gone.png").symlink_to(tmp_path / "nowhere.png")
    given = tmp_path / "pictures", HEAD_DETECTOR, 0.0, "all"
    here = crop_here.crop(*given, tmp_path)
    (tmp_path / "fleet").mkdir()
    with FleetRun("", "", tmp_path / "fleet", "heads", 2) as run:
        there = crop_here.CroppedHeads(*fleet_crop.crop(run, *given))
    assert there.heads == here.heads >= 6 and there.left_out == here.left_out and len(here.left_out) == 3
    assert [len(boxes) for _, boxes in there.found] == [len(boxes) for _, boxes in here.found]
    mine, theirs = (load_dataset(one.folder, 0.0).table for one in (here, there))
    pd.testing.assert_frame_equal(mine.drop(columns="path"), theirs.drop(columns="path"))
    assert [read_bytes(path) for path in theirs["path"]] == [Path(path).read_bytes() for path in mine["path"]]


def test_going_on_skips_finished_shards_and_does_damaged_ones_again(cluster, catalogue_folder, exported, tmp_path):
    folder = embedded(catalogue_folder, exported[1], tmp_path / "run")
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
    manifest = (folder / MANIFEST).read_bytes()
    damaged, gone = names(folder)[:2]
    (folder / damaged).write_bytes(b"x" * (folder / damaged).stat().st_size)
    (folder / gone).unlink()
    (folder / MANIFEST).unlink()
    assert (embedded(catalogue_folder, exported[1], tmp_path / "run") / MANIFEST).read_bytes() == manifest
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
    written = {name for name in after if after[name] != before[name]}
    assert after.keys() == before.keys() and written == {damaged, gone}


def test_a_killed_worker_loses_nothing_and_writes_nothing_twice(cluster, catalogue_folder, exported, tmp_path):
    quiet = embedded(catalogue_folder, exported[1], tmp_path / "quiet", rows=1)
    killed = []

    def kill() -> None:
        while len(killed) < 3:
            workers = [one for one in psutil.Process().children(True) if one.name().startswith("ray::Worker")]
            done = len(list((tmp_path / "killed/embeddings").glob("*.parquet")))
            if workers and done > 5 * (len(killed) + 1):
                workers[0].send_signal(signal.SIGKILL)
                killed.append(done)
            time.sleep(0.005)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    folder = embedded(catalogue_folder, exported[1], tmp_path / "killed", rows=1)
    assert killed and names(folder) == names(quiet) and len(names(folder)) == 48
    assert {path.name for path in folder.glob("*.parquet")} == set(names(folder))


def test_a_place_takes_the_shards_of_one_run_and_says_when_they_are_mixed(cluster, catalogue_folder, exported, tmp_path):
    place = tmp_path / "place"
    folder = embedded(catalogue_folder, exported[1], tmp_path / "a", str(place))
    assert [path.name for path in folder.iterdir()] == [MANIFEST] and len(read_embeddings(folder)[1]) == 48
    with pytest.raises(UserError, match="is of another run.*give an empty place"):
        embedded(catalogue_folder, exported[1], tmp_path / "b", str(place))
    assert not (tmp_path / "b/embeddings" / MANIFEST).exists()


def test_a_file_that_is_no_encoder_is_one_line(catalogue_folder, tmp_path):
    with pytest.raises(UserError, match="is not a Crystal Eyes encoder"):
        embedded(catalogue_folder, catalogue_folder / "catalogue.parquet", tmp_path / "run")


def test_entry_points_work_in_s3_and_go_on_after_the_bucket_was_gone(cluster, bucket, characters_folder, exported, tmp_path):
    if bucket is None:
        pytest.skip("there is no S3 server")
    shutil.copytree(characters_folder, bucket / "all")
    project = Project.on(ROOT, tmp_path)
    given = {"dataset": "s3://heads/all", "engine": "ray", "shards": "s3://heads/catalogue", "test_per_character": 2,
             "train_per_character": 4, "validation_characters": 0.25, "test_characters": 0.25}  # fmt: skip
    assert "catalogue: 48 pictures of 8 characters; 0 left out" in project.call("prepare", given)
    folder = artifacts(project.runs("prepare")[0]) / "catalogue"
    assert [path.name for path in folder.iterdir()] == [MANIFEST] and len(list((bucket / "catalogue").glob("*.parquet"))) == 1
    here = Catalogue(prepared_here(characters_folder, tmp_path / "here"))
    pd.testing.assert_frame_equal(rows_of(Catalogue(folder)), rows_of(here))

    target = bucket / "embeddings"

    def take_away() -> None:
        while len(list(target.glob("*.parquet"))) < 3:
            time.sleep(0.01)
        bucket.rename(bucket.with_name("elsewhere"))
        bucket.touch()  # otherwise the server makes it again

    thread = threading.Thread(target=take_away, daemon=True)
    thread.start()
    with pytest.raises(UserError, match="s3://heads/embeddings") as caught:
        embedded(here.folder, exported[1], tmp_path / "run", "s3://heads/embeddings", rows=1)
    thread.join()
    assert "\n" not in str(caught.value) and not (tmp_path / "run/embeddings" / MANIFEST).exists()
    bucket.unlink()
    bucket.with_name("elsewhere").rename(bucket)
    time.sleep(2)  # until the server looks again
    before = {path.name: path.stat().st_mtime_ns for path in target.glob("*.parquet")}
    found = embedded(here.folder, exported[1], tmp_path / "run", "s3://heads/embeddings", rows=1)
    after = {path.name: path.stat().st_mtime_ns for path in target.glob("*.parquet")}
    assert set(names(found)) == set(after) and len(names(found)) == 48 and 3 <= len(before) < 48
    kept = [name for name in before if before[name] == after[name]]
    assert len(kept) >= len(before) - 4  # but those whose record was not written
