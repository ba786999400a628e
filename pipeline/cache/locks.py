"""Locks that all machines see which share a store: in its database if that is PostgreSQL, besides the files of this machine."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

from crystal_eyes.stores import is_postgresql, login
from pipeline.cache.workspace import only_one

POLL = 0.5  # seconds between two tries
TRY = "SELECT pg_try_advisory_lock(:number)"
SETTINGS = {
    # the database notices within a minute that a holder's machine is gone
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "idle_session_timeout": "0",  # and never ends the session of a holder that is busy
}


@contextmanager
def only_one_of_store(name: str, waiting: str, store: str) -> Iterator[None]:
    """Hold the lock `name` among the processes of this machine, and of all machines if the store (a URI) is PostgreSQL.

    A second process prints `waiting` and waits. A killed process releases it.
    """
    with only_one(name, waiting), database_lock(name, waiting, store):
        yield


@contextmanager
def database_lock(name: str, waiting: str, store: str) -> Iterator[None]:
    """Hold an advisory lock of the store's database; does nothing if the store is not PostgreSQL. Raises UserError.

    The lock belongs to a session, so the database releases it when the process or its machine dies. It tries again and again
    instead of waiting inside the database, so that Ctrl-C and SIGTERM are noticed at once.
    """
    if not is_postgresql(store):
        yield
        return
    from sqlalchemy import text  # takes time, and other stores don't need it

    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    with login(store) as connection:
        for setting, value in SETTINGS.items():  # one that this PostgreSQL doesn't know is left out
            known = "SELECT set_config(name, :value, false) FROM pg_settings WHERE name = :setting"
            connection.execute(text(known), {"setting": setting, "value": value})
        while not connection.execute(text(TRY), {"number": number}).scalar():
            if waiting:
                print(waiting, flush=True)
                waiting = ""
            time.sleep(POLL)
        yield
