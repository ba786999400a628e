"""The web server: its port, startup and shutdown."""

import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn

from crystal_eyes.collection import Collection
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer.bundle import Bundle
from crystal_eyes.web.app import create_app
from crystal_eyes.web.guard import allowed_hosts
from crystal_eyes.web.live import LiveRecognizer
from crystal_eyes.web.settings import Settings
from crystal_eyes.web.uploads import Uploads

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
        address, port = self._listening.getsockname()[:2]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"http://{host}:{port}/"
        app = create_app(self.live, settings, self.uploads, allowed_hosts(host, address))
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_graceful_shutdown=5,  # seconds; open pages hold connections, which must not delay the shutdown
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        super().run(sockets=sockets or [self._listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:  # OverflowError: not from 0 to 65535
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"the web page can't listen on {host}, port {port} ({reason}): choose another port") from None


def serve(bundle: str | Path, settings: Settings, loaded: Callable[[Bundle], None] = lambda _: None) -> None:
    """Serve the page until it is interrupted; prints its address. Call it from the main thread.

    loaded: called with the bundle before that. Raises UserError: no intact bundle, or the port can't be opened.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end in good order
    server = Server(bundle, settings)
    loaded(server.live.get().bundle)
    print(f"Crystal Eyes is at {server.url} (press Ctrl+C to stop)", flush=True)
    with suppress(KeyboardInterrupt):  # uvicorn has shut down by then
        server.run()
