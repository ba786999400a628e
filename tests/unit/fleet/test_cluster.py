"""What is said where there is no cluster, and that nobody who asks for none imports Ray."""

import socket
import subprocess
import sys
import threading

import pytest

from crystal_eyes.errors import UserError
from pipeline.cache.key import code_of
from pipeline.parameters.steps import Crop, Embed, Prepare
from tests.runs import ROOT

ELSEWHERE = {"ray", "boto3", "botocore", "s3fs", "aiobotocore"}


def test_the_single_machine_path_imports_nothing_of_a_cluster(tmp_path):
    code = f"""
import sys
import threading
import steps.crop, steps.prepare, steps.embed, pipeline.main, crystal_eyes.cli
from steps.compute import prepare
from crystal_eyes.data.options import SelectionOptions, SplitOptions
from tests.runs import draw_heads
from pathlib import Path
selected = prepare.select_heads(draw_heads(Path({str(tmp_path / "heads")!r})), 0.0, SelectionOptions(), 0)
prepare.write_catalogue(Path({str(tmp_path / "catalogue")!r}), prepare.split(selected, SplitOptions(4, 2, 0.25, 0.25), 0))
print(sorted(set(sys.modules) & {ELSEWHERE!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stdout + done.stderr


def test_a_cluster_changes_no_key_of_this_machine():
    for kind, entry_point in ((Crop, "crop"), (Prepare, "prepare"), (Embed, "embed")):
        here, there = kind(), kind(engine="ray", address="10.0.0.1:6379", shards="s3://work/x")
        assert there.key_values() == here.key_values() | {"engine": "ray"} and "engine" not in here.key_values()
        assert here.extra_sources() == [] and "address" not in there.key_values()
        assert not {"ray", "boto3"} & code_of([f"steps/compute/{entry_point}.py"])[1].keys()
        assert "ray" in code_of([f"steps/compute/{entry_point}.py", *there.extra_sources()])[1]
    with pytest.raises(UserError, match="address=10.0.0.1:6379: it needs engine=ray"):
        Embed(address="10.0.0.1:6379").resolved()


@pytest.mark.parametrize("address", ["nonsense", "ray://127.0.0.1:1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:{free}"])
def test_no_cluster_at_an_address_is_one_line_within_seconds(address):
    pytest.importorskip("ray")
    from crystal_eyes.fleet.cluster import connected

    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    with pytest.raises(UserError, match="Ray cluster") as caught, connected(address.format(free=free)):
        pass
    assert "\n" not in str(caught.value)


def test_a_service_that_is_no_cluster_is_one_line():
    pytest.importorskip("ray")
    from crystal_eyes.fleet.cluster import connected

    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as client:
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with (
            pytest.raises(UserError, match="no Ray cluster answers.*another service"),
            connected(f"127.0.0.1:{server.getsockname()[1]}"),
        ):
            pass


def test_a_missing_extra_is_one_line(tmp_path):
    code = "import sys; sys.modules['ray'] = None; import crystal_eyes.fleet.run"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "UserError: Ray can't be used" in done.stderr.splitlines()[-1] and "crystal-eyes[fleet]" in done.stderr
