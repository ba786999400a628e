"""A real Ray cluster of two nodes indexes what this machine indexes: the same heads, in the same order, once each."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import psutil
import pytest

pytest.importorskip("ray")

from ray.cluster_utils import Cluster

from crystal_eyes.collection import Collection, results
from crystal_eyes.collection import cluster as on_cluster
from crystal_eyes.collection.changes import known_digests
from crystal_eyes.collection.cluster import LookAtPictures
from crystal_eyes.collection.sheet import SheetRow, write_sheet
from crystal_eyes.collection.sources import SourceFile, Sources
from crystal_eyes.data import storage
from crystal_eyes.errors import UserError
from crystal_eyes.fleet import cluster as own
from crystal_eyes.fleet.worker import Job, Worker, code_digest
from tests.runs import ROOT
from tests.unit.collection.conftest import Contents, draw, places, write_video

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def ray_cluster(bucket):
    """A cluster to which this process is connected: a node, and one that is declared with a GPU which nobody can use."""
    own.ray_constants.ENABLE_RAY_CLUSTER = False  # on loopback
    made = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0, "include_dashboard": False})
    made.add_node(**NODE)
    made.with_gpu = made.add_node(**NODE, num_gpus=1)
    with own.connected(made.address):
        yield made
    made.shutdown()


@pytest.fixture
def indexed(tmp_path, recognizer):
    """indexed(name, source, cluster): the collection of that name after a run, its report and what was said."""
    opened = []

    def index(name, source, cluster=None):
        opened.append(Collection.open(tmp_path / name, recognizer, create=True))
        said = []
        return opened[-1], opened[-1].add([source], said.append, cluster=cluster), said

    yield index
    for one in opened:
        one.close()


def rows(collection):
    """Everything that is kept of the heads, in their order, and their embeddings."""
    batches = list(collection.batches())
    kept = [
        (str(place), digest, tuple(box), round(float(confidence), 4), bool(whole), bool(line))
        for one in batches
        for place, digest, box, confidence, whole, line in zip(
            one.places, one.digests, one.boxes.tolist(), one.confidences, one.whole_picture, one.monochrome
        )
    ]
    return kept, np.concatenate([one.embeddings for one in batches])


def assert_same(there, here):
    (found, vectors), (expected, wanted) = rows(there), rows(here)
    assert found == expected
    np.testing.assert_allclose(vectors, wanted, atol=0.005)  # a step of the 8 bits in which they are kept


@pytest.fixture
def many(folder, archive, monkeypatch):
    """The folder with 40 more pictures and an archive, in tasks and transactions of two pictures."""
    for number in range(40):
        draw(folder / "many" / f"{number}.png", number % 8, number)
    archive("pictures/comic.cbz", {f"{number}.png": (number, 9) for number in range(12)})
    monkeypatch.setattr(on_cluster, "AT_ONCE", 2)
    monkeypatch.setattr(results, "MAX_UNSAVED", 2)
    return folder


def test_everything_is_found_as_on_one_machine_and_not_looked_at_again(ray_cluster, indexed, folder, archive, capfd):
    archive("pictures/comic.cbz", {f"{number:02}.png": (number % 8, 9) for number in range(70)} | {"z.png": b"no picture"})
    archive("pictures/nested.zip", {"inner.zip": b"", "a.png": (3, 9)})
    (folder / "cut.zip").write_bytes(b"PK no more")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    shutil.copy(folder / "0.png", folder / "copy.png")
    write_video(folder / "episode.mp4", 4)
    video = write_video(folder / "cut.mkv", 20)
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    here, expected, lines = indexed("here", folder)
    there, report, said = indexed("there", folder, ray_cluster.address)
    assert vars(report) == vars(expected) and report.unreadable == 4 and sorted(said) == sorted(lines)
    assert_same(there, here)
    note = "has a GPU, but its onnxruntime can't use it"
    assert capfd.readouterr().err.count(note) == 1
    os.utime(folder / "1.png")  # the same content
    _, again, said = indexed("there", folder, ray_cluster.address)
    files = sum(path.is_file() for path in folder.rglob("*"))
    assert (again.added, again.unchanged, again.unreadable_before, said) == (0, files, 3, [])


def test_pictures_that_change_names_keep_their_heads(ray_cluster, indexed, folder):
    for name in ("here", "there"):
        indexed(name, folder, ray_cluster.address if name == "there" else None)
    one, two = folder / "0.png", folder / "1.png"
    one.rename(folder / "x.png")
    two.rename(one)
    (folder / "x.png").rename(two)
    for number, path in enumerate((one, two)):
        os.utime(path, ns=(number, number))
    (folder / "more").rename(folder / "less")
    here, expected, _ = indexed("here", folder)
    there, report, _ = indexed("there", folder, ray_cluster.address)
    assert vars(report) == vars(expected)
    assert Contents(there) == Contents(here) and places(there) == sorted(str(path) for path in folder.rglob("*.png"))


def test_workers_do_not_look_at_what_the_collection_knows(indexed, folder, recognizer):
    collection, _, _ = indexed("here", folder)
    files = [(recognizer.bundle.trained / name).read_bytes() for name in ("detector.onnx", "encoder.onnx")]
    draw(folder / "new.png", 6, 3)
    (task,) = on_cluster._tasks(on_cluster.Part(one) for _, found in Sources([folder]).folders() for one in found)
    changes = LookAtPictures(*files, known_digests(collection.storage))(task)
    assert [one.file.path.name for one in changes if not one.needs_result] == ["new.png"] and len(changes) == 7


def test_a_machine_that_can_not_read_videos_is_one_line(folder, recognizer, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    files = [(recognizer.bundle.trained / name).read_bytes() for name in ("detector.onnx", "encoder.onnx")]
    video = on_cluster.Part(SourceFile(folder / "a.mp4", 1, 1))
    with pytest.raises(UserError, match=r"machine .* can't read videos: .*crystal-eyes\[video\]' on every machine"):
        LookAtPictures(*files, np.zeros(0, np.uint64))([video])


def saved(collection_folder):
    """How many pictures a collection has on the disk."""
    try:
        with closing(sqlite3.connect(collection_folder / "collection.db", 60)) as db:
            return db.execute("SELECT COUNT(*) FROM pictures").fetchone()[0]
    except sqlite3.OperationalError:  # there is none yet
        return 0


def at(collection_folder, count, do):
    """Do something as soon as a run has saved that many pictures. Returns a list that then says how many there were."""
    done = []

    def run():
        while (pictures := saved(collection_folder)) < count:
            time.sleep(0.01)
        do()
        done.append(pictures)

    threading.Thread(target=run, daemon=True).start()
    return done


def kill_worker():
    """Of those that this process looks after, one that has a task."""
    next(one for one in psutil.Process().children(True) if one.name().startswith("ray::Worker.do")).kill()


def test_killed_workers_lose_nothing_and_double_nothing(ray_cluster, indexed, many, tmp_path, monkeypatch):
    monkeypatch.setattr(on_cluster, "MOST_HELD", 0)  # as if each task took too long for the next: files are in any order
    here, expected, _ = indexed("here", many)
    indexed("there", many / "more", ray_cluster.address)
    first, second = (at(tmp_path / "there", count, kill_worker) for count in (6, 24))
    there, report, said = indexed("there", many, ray_cluster.address)
    assert first[0] < 20 and second[0] < 45 and said == []
    assert report.added == expected.added - 2 == 56
    assert Contents(there) == Contents(here)


def test_a_folder_that_a_machine_does_not_see_is_one_line(tmp_path):
    job = Job(LookAtPictures, [str(tmp_path / "a.png")], code_digest())
    with pytest.raises(UserError, match="does not see .*a.png: put the pictures into a folder that all machines share"):
        Worker().start(job, {}, gpu=False)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--engine", "ray", "--address", "127.0.0.1:1"], "no Ray cluster answers at 127.0.0.1:1"),
        (["--address", "127.0.0.1:6379"], "give it with --engine ray"),
    ],
)
def test_no_cluster_is_one_line(folder, tmp_path, bundle_folder, options, line):
    command = [sys.executable, "-m", "crystal_eyes.cli", "index", str(folder), "--into", str(tmp_path / "c"), *options]
    done = subprocess.run([*command, "--bundle", str(bundle_folder)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and line in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


RUN = """
import sys
from crystal_eyes import cli
from crystal_eyes.collection import cluster, results
cluster.AT_ONCE = results.MAX_UNSAVED = 2
sys.exit(cli.main(sys.argv[1:]))
"""


def test_a_run_that_was_interrupted_goes_on(many, tmp_path, indexed, bundle_folder):
    command = [sys.executable, "-c", RUN, "index", str(many), "--into", str(tmp_path / "there"), "--engine", "ray"]
    given = {"cwd": ROOT, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "start_new_session": True}
    process = subprocess.Popen([*command, "--bundle", str(bundle_folder)], stderr=subprocess.PIPE, text=True, **given)
    stopped = at(tmp_path / "there", 6, lambda: os.killpg(process.pid, signal.SIGINT))  # as Ctrl-C does
    error = process.communicate(timeout=120)[1]
    assert stopped and process.returncode == 130 and "Traceback" not in error, error
    before = saved(tmp_path / "there")
    here, expected, _ = indexed("here", many)
    assert 6 <= before < expected.added
    there, report, _ = indexed("there", many)
    assert report.added == expected.added - before and Contents(there) == Contents(here)


def test_pictures_in_s3_are_found_as_in_a_folder(ray_cluster, bucket, indexed, folder, archive, tmp_path, recognizer):
    if bucket is None:
        pytest.skip("there is no S3 server")
    archive("pictures/comic.cbz", {"a.png": (0, 9)})
    (folder / "broken.png").write_bytes(b"no picture")
    shutil.copytree(folder, bucket / "pictures")
    place = "s3://heads/pictures"
    plain, _, _ = indexed("plain", folder)
    for name, cluster in (("here", None), ("there", ray_cluster.address)):
        there, report, said = indexed(name, place, cluster)
        assert (report.added, report.unreadable, len(said)) == (6, 1, 2)
        assert said[0].startswith(f"{place}/broken.png: ") and "skipped 1 archive or video in S3" in said[1]
        expected = [(one[0].replace(str(folder), place), *one[1:]) for one in rows(plain)[0] if "!" not in one[0]]
        assert sorted(rows(there)[0]) == sorted(expected)
        assert vars(indexed(name, place, cluster)[1])["unchanged"] == 7
    (match, *_) = there.search(folder / "1.png", 1)[0].matches
    assert str(match.place) == match.as_dict()["file"] == f"{place}/1.png"
    assert write_sheet(tmp_path / "sheet.png", [SheetRow(None, "", [match])]) == []
    draw(bucket / "pictures" / "1.png", 7, 0)
    shutil.rmtree(bucket / "pictures" / "more")
    time.sleep(2)  # the server looks into the folder once a second
    there, report, _ = indexed("there", place, ray_cluster.address)
    assert (report.added, report.forgotten, report.unchanged) == (1, 2, 4)
    assert there.forget([place]) == 5
    with pytest.raises(UserError, match="s3://heads/nothing does not exist"):
        indexed("there", "s3://heads/nothing")


def test_s3_that_can_not_be_used_is_one_line(bucket, indexed, monkeypatch):
    if bucket is None:
        pytest.skip("there is no S3 server")
    with pytest.raises(UserError, match="s3://nowhere/pictures: the bucket does not exist"):
        indexed("there", "s3://nowhere/pictures")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    storage._s3.cache_clear()
    try:
        with pytest.raises(UserError, match="s3://heads/pictures: the storage does not accept the credentials"):
            indexed("there", "s3://heads/pictures")
    finally:
        storage._s3.cache_clear()


def test_a_node_that_is_removed_loses_nothing_and_doubles_nothing(ray_cluster, indexed, many, tmp_path):
    here, expected, _ = indexed("here", many)
    removed = at(tmp_path / "there", 10, lambda: ray_cluster.remove_node(ray_cluster.with_gpu))
    there, report, said = indexed("there", many, ray_cluster.address)
    assert removed[0] < 40 and vars(report) == vars(expected) and said == []
    assert_same(there, here)
