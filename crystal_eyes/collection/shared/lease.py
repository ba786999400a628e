"""One writer at a time: an object that the writer renews while it lives."""

import json
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from crystal_eyes.collection.shared.bucket import Bucket, ChangedError, Object
from crystal_eyes.errors import UserError

LEASE = "lock"  # the object
EXPIRES, RENEWED = 120.0, 30.0  # seconds


@contextmanager
def only_writer(bucket: Bucket) -> Iterator[Callable[[], None]]:
    """Context: this process alone changes the collection. It gives a function that raises UserError where that is over, as for
    a process that was suspended. Raises UserError: another process changes it.
    """
    own = json.dumps({"host": socket.gethostname(), "process": os.getpid(), "id": uuid.uuid4().hex}).encode()
    tag = _acquire(bucket, own)
    lost, ended = threading.Event(), threading.Event()

    def renew() -> None:
        nonlocal tag
        while not ended.wait(RENEWED):
            try:
                tag = bucket.put(LEASE, own, tag)
            except ChangedError:
                lost.set()
                return
            except UserError:  # the network is gone: perhaps it comes back in time
                continue

    def require() -> None:
        if lost.is_set():
            raise UserError(f"another process has changed the collection {bucket.address} meanwhile: run it again")

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield require
    finally:
        ended.set()
        thread.join()
        with suppress(UserError):  # it expires by itself
            found = bucket.get(LEASE)
            if found and found.data == own:
                bucket.delete(LEASE)


def _acquire(bucket: Bucket, own: bytes) -> str:
    for _ in range(2):
        with suppress(ChangedError):
            tag = bucket.put(LEASE, own, None)
            try:
                bucket.put(LEASE, own, None)
            except ChangedError:
                return tag
            bucket.delete(LEASE)
            raise UserError(
                f"{bucket.address}: this storage ignores the conditions of a write (If-None-Match), so two processes could "
                "overwrite each other's changes: index into a folder, or use another storage"
            )
        if found := bucket.get(LEASE):
            host, process = _holder(found)
            if found.age < EXPIRES and not (host == socket.gethostname() and not _lives(process)):
                raise UserError(
                    f"another process is changing the collection {bucket.address} (process {process} on {host}): wait until it "
                    f"has finished; one that was killed is forgotten after {EXPIRES:.0f} seconds"
                )
            with suppress(ChangedError):
                return bucket.put(LEASE, own, found.tag)
    raise UserError(f"another process is changing the collection {bucket.address}: wait until it has finished")


def _holder(found: Object) -> tuple[str, int]:
    try:
        values = json.loads(found.data)
        return str(values["host"]), int(values["process"])
    except (ValueError, KeyError, TypeError):
        return "unknown", 0


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return process > 0
