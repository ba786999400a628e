"""Several processes that answer the requests to one port; a process that dies is replaced."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from dataclasses import dataclass

from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from crystal_eyes.errors import one_line
from crystal_eyes.web.app import create_app
from crystal_eyes.web.live import LiveRecognizer
from crystal_eyes.web.settings import Settings
from crystal_eyes.web.uploads import MAX_HELD, Uploads

PAUSE = 2.0  # seconds before a worker that could not start is replaced
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Worker:
    """What each process is started with; called in it, it loads the networks and returns the application."""

    bundle: str  # as Recognizer.load takes it
    settings: Settings
    hosts: tuple[str, ...]  # whose Host headers are answered
    threads: int  # of one call of a network
    workers: int

    def __call__(self) -> ASGIApp:
        threading.Thread(target=_end_with_parent, daemon=True).start()
        try:
            live = LiveRecognizer(self.bundle, self.threads)
        except Exception as error:  # the bundle has been damaged since the start: the other workers still have it in memory
            LOG.error("a worker can't start: %s", one_line(error) or error)
            time.sleep(PAUSE)
            raise SystemExit(1) from None
        return create_app(live, self.settings, Uploads(self.settings, MAX_HELD // self.workers), self.hosts)


class Workers(Multiprocess):
    """uvicorn's supervisor: `run()` starts the workers, replaces those that die, and ends them on SIGINT or SIGTERM."""

    def init_processes(self) -> None:
        # Ctrl+C in a terminal reaches the workers too: until they can end in good order, it is this process that ends them
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            super().init_processes()
        finally:
            signal.signal(signal.SIGINT, handler)

    def keep_subprocess_alive(self) -> None:
        before = [process.pid for process in self.processes]
        super().keep_subprocess_alive()
        for old, process in zip(before, self.processes):
            if process.pid != old:
                LOG.warning("worker %s died, worker %s takes its place", old, process.pid)


def _end_with_parent() -> None:
    """End this process once the one that started it is gone, even if that was killed."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
