"""The Ray cluster: the one at an address, or one on this machine that ends with the work."""

import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# before the first import: no usage reports
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

from crystal_eyes.errors import UserError

try:
    import ray
    from ray._private import ray_constants
except ImportError as error:
    raise UserError(f"Ray can't be used ({error}): pip install 'crystal-eyes[fleet]'") from None

SECONDS = 10.0  # for the cluster to answer at all
# the start of a connection of HTTP/2, which Ray speaks, and the kind of frame that a server of it sends first
GREETING, SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", 4
OBJECTS = 256 * 2**20  # bytes of the object store: tasks are names, results are files


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be a driver of the cluster at HOST:PORT; "": of one on this machine, on loopback, with all its cores.

    Raises UserError where there is no cluster. A process that is connected already stays so.
    """
    if ray.is_initialized():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if address:
            _join(address)
        else:
            _start()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray takes it over, and exits without a word
        yield
    finally:
        ray.shutdown()


def _start() -> None:
    # private, and the only way: Ray turns 127.0.0.1 into the machine's address, and then listens on all of them
    ray_constants.ENABLE_RAY_CLUSTER = False
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        ray.init(
            address="local", num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
            object_store_memory=OBJECTS,
        )  # fmt: skip
    except Exception as error:  # of no common type: no memory, no space for its files, too slow
        raise UserError(f"Ray does not start on this machine: {' '.join(str(error).split())[:300]}") from None


def _join(address: str) -> None:
    found = re.fullmatch(r"(?P<host>[^:/]+):(?P<port>\d{1,5})", address)
    if not found:
        raise UserError(f"{address} is not the address of a Ray cluster: give HOST:PORT, as `ray start --head` prints it")
    try:
        with socket.create_connection((found["host"], int(found["port"])), timeout=SECONDS) as server:
            if os.environ.get("RAY_USE_TLS", "0") == "0":  # Ray itself would wait for minutes
                server.sendall(GREETING)
                if server.recv(9)[3:4] != bytes([SETTINGS]):
                    raise OSError("it is another service")
    except (OSError, OverflowError) as error:
        raise UserError(f"no Ray cluster answers at {address} ({error}): start one with `ray start --head`") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # ConnectionError, RuntimeError (other versions), and its own
        reason = " ".join(str(error).split())[:200]
        if "RAY_AUTH_MODE" not in os.environ:
            reason += "; if it has a token, set RAY_AUTH_MODE=token"
        raise UserError(
            f"the Ray cluster at {address} can't be joined from this machine, which has to be one of it: {reason}"
        ) from None
