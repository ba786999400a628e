"""The server of the page."""

import asyncio
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

import gradio as gr
import uvicorn
from fastapi import FastAPI

from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.web import FOLDER
from crystal_eyes.web.blocks import build
from crystal_eyes.web.front import FOLDER as SOURCE
from crystal_eyes.web.gate import Gate
from crystal_eyes.web.settings import Settings
from crystal_eyes.web.uploads import Uploads

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Noto Sans CJK JP", "sans-serif"]
MONO = ["ui-monospace", "Consolas", "Menlo", "monospace"]
WORDS = {"upload_text.drop_file": "Drop pictures here", "upload_text.click_to_upload": "choose files, or paste with Ctrl+V"}


class Server(uvicorn.Server):
    """The page's server: `run()` serves until it is interrupted or `should_exit` is set. Nothing that came in is left then.

    Raises UserError where the port can't be had.
    """

    def __init__(self, recognizer: Recognizer, settings: Settings):
        self.uploads = Uploads(Path(mkdtemp(dir=FOLDER.name)), settings)

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            sweeping = asyncio.create_task(self.uploads.keep_sweeping())
            yield
            sweeping.cancel()
            shutil.rmtree(self.uploads.folder, ignore_errors=True)

        gr.mount_gradio_app(
            app := FastAPI(lifespan=lifespan, openapi_url=None),
            blocks := build(recognizer, settings, self.uploads),
            path="/",
            footer_links=["api"],
            run_history=False,
            ssr_mode=False,
            mcp_server=False,
            pwa=False,
            enable_monitoring=False,
            show_error=False,
            max_file_size=settings.max_upload,
            theme=gr.themes.Soft(primary_hue="violet", font=FONTS, font_mono=MONO),
            css=(SOURCE / "style.css").read_text("utf-8"),
            i18n=gr.I18n(en=WORDS),
        )
        self._listening = _listen(settings.host, settings.port)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"http://{host}:{self._listening.getsockname()[1]}/"
        # 5 s: people whose pages are open hold a connection each, which must not hold up the end
        self.blocks = blocks
        super().__init__(uvicorn.Config(Gate(app, self.uploads), log_level="warning", timeout_graceful_shutdown=5))

    def run(self) -> None:
        super().run(sockets=[self._listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(f"the page can't listen on {host} port {port} ({error.strerror}): give another port") from None


def serve(recognizer: Recognizer, settings: Settings | None = None) -> None:
    """Serve the page until it is interrupted; says where on stdout. Needs the main thread.

    Raises UserError where the port can't be had.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end that tidies up
    server = Server(recognizer, settings or Settings())
    print(f"Crystal Eyes is at {server.url} (Ctrl+C ends it)", flush=True)
    with suppress(KeyboardInterrupt):  # uvicorn has ended in good order by then
        server.run()
