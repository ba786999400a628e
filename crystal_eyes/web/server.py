"""The web server: its port, startup and shutdown, in one process or in several."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn

from crystal_eyes.collection import Collection
from crystal_eyes.errors import UserError, said
from crystal_eyes.recognizer.bundle import Bundle, read_bundle
from crystal_eyes.recognizer.places import RELEASED
from crystal_eyes.recognizer.recognizer import bundle_folder
from crystal_eyes.web.app import create_app
from crystal_eyes.web.guard import allowed_hosts
from crystal_eyes.web.live import LiveRecognizer
from crystal_eyes.web.settings import Settings
from crystal_eyes.web.uploads import Uploads
from crystal_eyes.web.workers import Worker, Workers

MAX_CONNECTIONS = 500  # open at once, below the usual limit of 1024 files for a process


class Server(uvicorn.Server):
    """`run()` serves until it is interrupted or `should_exit` is set.

    Raises UserError: no intact bundle, no collection of its encoder, or the port can't be opened.
    """

    def __init__(self, bundle: str | Path, settings: Settings):
        """bundle: as Recognizer.load takes it."""
        self.uploads = Uploads(settings)
        self.live = LiveRecognizer(bundle)
        if settings.collection:
            Collection.open(settings.collection, self.live.get()).close()
        self._listening = _listen(settings.host, settings.port)
        self.url, hosts = _names(self._listening, settings.host)
        super().__init__(_config(create_app(self.live, settings, self.uploads, hosts)))

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        super().run(sockets=sockets or [self._listening])


def _config(app: Any, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=5,  # seconds; open pages hold connections, which must not delay the shutdown
        **more,
    )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:  # OverflowError: not from 0 to 65535
        place = f"{host}, port {port}"
        raise UserError(f"the web page can't listen on {place} ({said(error)}): choose another host or port") from None


def _names(listening: socket.socket, host: str) -> tuple[str, list[str]]:
    """The address of the page, and the Host headers that are answered. host: as the user named it."""
    address, port = listening.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/", allowed_hosts(name, address)


def serve(bundle: str | Path, settings: Settings, loaded: Callable[[Bundle], None] = lambda _: None, workers: int = 1) -> None:
    """Serve the page until it is interrupted; prints its address. Call it from the main thread.

    loaded: called with the bundle before that. workers: processes that answer requests, each with its own networks and its
    share of the cores; 1: this process answers. Raises UserError: no intact bundle, the port can't be opened, or more workers
    than cores.
    """
    if workers > 1:
        return _serve_many(bundle, settings, loaded, workers)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end in good order
    server = Server(bundle, settings)
    loaded(server.live.get().bundle)
    _say_where(server.url)
    with suppress(KeyboardInterrupt):  # uvicorn has shut down by then
        server.run()


def _serve_many(bundle: str | Path, settings: Settings, loaded: Callable[[Bundle], None], workers: int) -> None:
    cores = os.cpu_count() or 1
    if workers > cores:
        raise UserError(
            f"{workers} workers are too many for the {cores} {'core' if cores == 1 else 'cores'} of this machine, each worker "
            f"keeps one busy: choose at most {cores}"
        )
    folder = bundle_folder(bundle)
    read = read_bundle(folder)
    if settings.collection:
        with Collection.open(settings.collection) as collection:
            collection.require(read)
    listening = _listen(settings.host, settings.port)
    url, hosts = _names(listening, settings.host)
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", str(threads))  # of the workers; this process computes nothing
    source = RELEASED if str(bundle) == RELEASED else str(folder)  # the folder of the released one changes with enrollment
    worker = Worker(source, replace(settings, at_once=1), tuple(hosts), threads, workers)
    many = Workers(_config(worker, factory=True, workers=workers, timeout_worker_healthcheck=60), [listening])
    loaded(read)
    _say_where(url)
    many.run()


def _say_where(url: str) -> None:
    print(f"Crystal Eyes is at {url} (press Ctrl+C to stop)", flush=True)
