"""Collections on shared storage, with an S3 server on loopback."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from crystal_eyes import cli
from crystal_eyes.collection import Collection
from crystal_eyes.collection.shared import lease, pieces, remote
from crystal_eyes.collection.shared.bucket import Bucket
from crystal_eyes.errors import UserError
from tests.runs import ROOT
from tests.unit.collection.conftest import Contents, draw

boto3 = pytest.importorskip("boto3")
ADDRESS = "s3://pictures/some/collection"


@pytest.fixture(scope="module")
def server():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(server, monkeypatch, tmp_path):
    """An empty bucket, and the environment of a user who may use it."""
    for name, value in {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL_S3": server,
                        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
                        "CRYSTAL_EYES_CACHE": str(tmp_path / "cache")}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(pieces, "SIZE", 20_000)  # several pieces a file
    client = boto3.client("s3")
    client.create_bucket(Bucket="pictures")
    yield client
    empty(client)


def keys(client) -> list[str]:
    return [one["Key"] for one in client.list_objects_v2(Bucket="pictures").get("Contents", [])]


def empty(client) -> None:
    try:
        for key in keys(client):
            client.delete_object(Bucket="pictures", Key=key)
        client.delete_bucket(Bucket="pictures")
    except client.exceptions.NoSuchBucket:
        pass


@pytest.fixture
def another_machine(monkeypatch, tmp_path):
    """another_machine(2): from now on, the cache of a second machine."""
    return lambda number: monkeypatch.setenv("CRYSTAL_EYES_CACHE", str(tmp_path / f"machine {number}"))


def local(tmp_path, folder, recognizer) -> Contents:
    shutil.rmtree(tmp_path / "local", ignore_errors=True)
    with Collection.open(tmp_path / "local", recognizer, create=True) as collection:
        collection.add([folder], print)
        return Contents(collection)


def test_what_one_machine_indexes_another_one_finds_and_goes_on_with(client, folder, recognizer, tmp_path, another_machine):
    with Collection.open(ADDRESS, recognizer, create=True) as collection:
        assert len(collection) == 0
        assert collection.add([folder], print).added == 6 and len(collection) == 6
    another_machine(2)
    with Collection.open(ADDRESS, recognizer) as collection:
        assert Contents(collection) == local(tmp_path, folder, recognizer)
        assert collection.search(folder / "0.png", 3)[0].matches[0].place.file == folder / "0.png"
        draw(folder / "new.png", 5, 0)
        report = collection.add([folder], print)
        assert (report.added, report.unchanged, len(collection)) == (1, 6, 7)
    another_machine(1)
    with Collection.open(ADDRESS, recognizer) as collection:
        assert Contents(collection) == local(tmp_path, folder, recognizer)
        assert collection.forget([folder / "more"]) == 2 and len(collection) == 5
    assert not [key for key in keys(client) if key.endswith("/lock")]


def test_only_what_changed_is_sent_and_fetched_and_nothing_piles_up(client, folder, recognizer, tmp_path, monkeypatch):
    with Collection.open(ADDRESS, recognizer, create=True) as collection:
        collection.add([folder], print)
        draw(folder / "later.png", 0, 7)
        before, sent, fetched = {key for key in keys(client) if "/pieces/" in key}, [], []
        put, get = Bucket.put, Bucket.get
        monkeypatch.setattr(Bucket, "put", lambda self, name, *more: sent.append(name) or put(self, name, *more))
        monkeypatch.setattr(Bucket, "get", lambda self, name: fetched.append(name) or get(self, name))
        collection.add([folder], print)
        assert not {f"some/collection/{name}" for name in sent} & before
        assert not [name for name in fetched if "pieces/" in name]  # this machine has sent them
    assert len(list((tmp_path / "cache").glob("collections/*/version-*"))) == 1


def test_pieces_that_nobody_needs_any_more_are_deleted(client, folder, recognizer):
    counts = []
    with Collection.open(ADDRESS, recognizer, create=True) as collection:
        for number in range(4):
            draw(folder / f"later {number}.png", number, 7)
            collection.add([folder], print)
            counts.append(len([key for key in keys(client) if "/pieces/" in key]))
    assert max(counts) <= 2 * counts[0] + 4


def test_a_reader_keeps_its_version_and_a_new_one_sees_the_next(client, folder, recognizer, another_machine):
    with Collection.open(ADDRESS, recognizer, create=True) as collection:
        collection.add([folder], print)
    another_machine(2)
    reader = Collection.open(ADDRESS, recognizer)
    another_machine(1)
    draw(folder / "new.png", 5, 0)
    with Collection.open(ADDRESS, recognizer) as collection:
        collection.add([folder], print)
    another_machine(2)
    with Collection.open(ADDRESS, recognizer) as newer:
        assert (len(reader), len(newer)) == (6, 7)
        assert len(reader.search(folder / "0.png", 3)[0].matches) == 3  # its files are still there
    reader.close()


def test_a_version_is_seen_as_a_whole_or_not_at_all(client, folder, recognizer, another_machine, monkeypatch):
    with Collection.open(ADDRESS, recognizer, create=True) as collection:
        collection.add([folder], print)
    draw(folder / "new.png", 5, 0)
    put, count = Bucket.put, 0

    def failing(self, name, *more):
        nonlocal count
        count += "pieces/" in name
        if count == 2:
            raise UserError("the network is gone")
        return put(self, name, *more)

    monkeypatch.setattr(Bucket, "put", failing)
    with Collection.open(ADDRESS, recognizer) as collection, pytest.raises(UserError, match="network is gone"):
        collection.add([folder], print)
    monkeypatch.setattr(Bucket, "put", put)
    machine = os.environ["CRYSTAL_EYES_CACHE"]
    another_machine(2)
    with Collection.open(ADDRESS, recognizer) as collection:
        assert len(collection) == 6
    monkeypatch.setenv("CRYSTAL_EYES_CACHE", machine)
    with Collection.open(ADDRESS, recognizer) as collection:
        report = collection.add([folder], print)
        assert (report.added, len(collection)) == (0, 7)  # it was looked at before


def test_a_bucket_that_is_gone_in_the_middle_is_one_line_and_the_next_run_goes_on(client, folder, recognizer, tmp_path):
    (folder / "9 broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    said = []

    def say(line: str) -> None:
        said.append(line)
        if "broken" in line:
            empty(client)

    with Collection.open(ADDRESS, recognizer, create=True) as collection:
        with pytest.raises(UserError, match="the bucket does not exist: create it"):
            collection.add([folder], say)
        client.create_bucket(Bucket="pictures")
        report = collection.add([folder], say)
        assert (report.added, len(collection)) == (0, 6)
        assert "holds no collection any more" in said[-1] or "holds no collection any more" in said[-2]
        assert Contents(collection).heads == local(tmp_path, folder, recognizer).heads


def test_a_second_writer_is_refused_and_a_dead_one_is_not_waited_for(client, folder, recognizer, another_machine, monkeypatch):
    with Collection.open(ADDRESS, recognizer, create=True) as collection:
        with remote.Remote(ADDRESS).writing(lambda _: None):
            for machine, why in ((None, "of this machine is changing"), (2, "process .* on .*wait until it has finished")):
                if machine:
                    another_machine(machine)
                with pytest.raises(UserError, match=why):
                    collection._remote = remote.Remote(ADDRESS)
                    collection.add([folder], print)
        client.put_object(Bucket="pictures", Key="some/collection/lock", Body=b'{"host": "elsewhere", "process": 1}')
        with pytest.raises(UserError, match="process 1 on elsewhere"):
            collection.add([folder], print)
        monkeypatch.setattr(lease, "EXPIRES", -1.0)
        assert collection.add([folder], print).added == 6


def test_a_writer_that_was_taken_for_dead_does_not_overwrite(client, folder, recognizer):
    with Collection.open(ADDRESS, recognizer, create=True) as collection:
        with pytest.raises(UserError, match="meanwhile: run it again"), remote.Remote(ADDRESS).writing(lambda _: None) as work:
            with Collection.open(work, recognizer) as changed:
                changed.add([folder], print)
            client.put_object(Bucket="pictures", Key="some/collection/collection.json", Body=b"{}")
        with pytest.raises(UserError, match="can't be read: it is damaged"):
            Collection.open(ADDRESS, recognizer)
        assert len(collection) == 0


def test_a_killed_run_is_resumed(client, folder, bundle_folder, recognizer, tmp_path):
    run = """
import os, signal, sys
from crystal_eyes import cli
from crystal_eyes.collection import looking, results
results.MAX_UNSAVED, original, seen = 1, looking._picture, []
def dying(*given):
    seen.append(1)
    if len(seen) > 42: os.kill(os.getpid(), signal.SIGKILL)
    yield from original(*given)
looking._picture = dying
sys.exit(cli.main(sys.argv[1:]))
"""
    for number in range(42):
        draw(folder / f"many {number:02d}.png", number % 5, number)
    command = [sys.executable, "-c", run, "index", str(folder), "--into", ADDRESS, "--bundle", str(bundle_folder)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [key for key in keys(client) if key.endswith("/lock")]  # it could not clean up
    with Collection.open(ADDRESS, recognizer) as collection:
        assert len(collection) == 0
        report = collection.add([folder], print)
        assert 0 < report.added < 48 and len(collection) == 48
        assert Contents(collection).heads == local(tmp_path, folder, recognizer).heads


def test_damage_and_wrong_addresses_are_one_line(client, folder, recognizer, another_machine, monkeypatch):
    with pytest.raises(UserError, match="is not a collection: it contains no collection.json"):
        Collection.open("s3://pictures/nothing", recognizer)
    with pytest.raises(UserError, match="give s3://BUCKET/FOLDER"):
        Collection.open("s3://pictures", recognizer)
    with pytest.raises(UserError, match="s3://nowhere/x: the bucket does not exist"):
        Collection.open("s3://nowhere/x", recognizer, create=True)
    client.put_object(Bucket="pictures", Key="mine/letter.txt", Body=b"x")
    with pytest.raises(UserError, match="not empty .letter.txt.: choose a new folder"):
        Collection.open("s3://pictures/mine", recognizer, create=True)
    with Collection.open(ADDRESS, recognizer, create=True) as collection:
        collection.add([folder], print)
        with pytest.raises(UserError, match="shared storage, can't be changed"):
            collection.groups().name(1, "Miku")
    another_machine(2)
    piece = next(key for key in keys(client) if "/pieces/" in key)
    client.put_object(Bucket="pictures", Key=piece, Body=b"something else")
    with pytest.raises(UserError, match="is damaged: pieces/.* is missing or changed"):
        Collection.open(ADDRESS, recognizer)


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, "can't be reached"),
        ({"AWS_ENDPOINT_URL_S3": "nonsense"}, "can't be reached"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}, "no credentials"),
    ],
)
def test_storage_that_cannot_be_used_is_one_line_of_the_command(client, environment, why, monkeypatch, capsys, folder,
                                                               bundle_folder):  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for command in (["search", str(folder / "0.png"), "--in", ADDRESS], ["index", str(folder), "--into", ADDRESS]):
        assert cli.main([*command, "--bundle", str(bundle_folder)]) == 1
        lines = [line for line in capsys.readouterr().err.splitlines() if "as given" not in line]
        assert len(lines) == 1 and why in lines[0] and ADDRESS in lines[0], lines


def test_without_boto3_the_line_names_the_extra(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(UserError, match=r"pip install 'crystal-eyes\[s3\]'"):
        Collection.open(ADDRESS)


def test_the_commands_take_an_address(client, folder, bundle_folder, capsys):
    assert cli.main(["index", str(folder), "--into", ADDRESS, "--bundle", str(bundle_folder)]) == 0
    assert "the collection has 6 heads now" in capsys.readouterr().out
    assert cli.main(["search", str(folder / "0.png"), "--in", ADDRESS, "--bundle", str(bundle_folder)]) == 0
    assert "0.png" in capsys.readouterr().out
    assert cli.main(["group", ADDRESS, "--bundle", str(bundle_folder)]) == 0


def test_storage_without_conditional_writes_is_not_changed(client, monkeypatch):
    put = Bucket.put
    monkeypatch.setattr(Bucket, "put", lambda self, name, data, tag="": put(self, name, data))
    with pytest.raises(UserError, match="ignores the conditions"), lease.only_writer(Bucket(ADDRESS)):
        pass
    assert keys(client) == []


def test_renewing_keeps_the_lease_and_a_lost_one_is_noticed(client, monkeypatch):
    monkeypatch.setattr(lease, "RENEWED", 0.05)
    bucket = Bucket(ADDRESS)
    with lease.only_writer(bucket) as require:
        first = bucket.get(lease.LEASE)
        time.sleep(0.5)
        require()
        assert bucket.get(lease.LEASE).data == first.data
        bucket.put(lease.LEASE, b"{}")
        deadline = time.monotonic() + 10
        with pytest.raises(UserError, match="meanwhile"):
            while time.monotonic() < deadline:
                require()
                time.sleep(0.05)


def test_a_version_is_made_of_the_bytes_of_its_files(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "SIZE", 1000)
    data = {name: np.random.default_rng(size).bytes(size) for name, size in zip(pieces.FILES, (999, 1000, 2500))}
    for name, content in data.items():
        (tmp_path / name).write_bytes(content)
    version = pieces.version_of(tmp_path)
    assert pieces.Version.from_bytes(version.to_bytes(), "x") == version and len(version.pieces) == 5
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / pieces.FILES[2]).write_bytes(b"longer and other" * 500)
    pieces.assemble(version, tmp_path / "new", lambda piece: pieces.read(tmp_path, piece))
    assert {name: (tmp_path / "new" / name).read_bytes() for name in pieces.FILES} == data
