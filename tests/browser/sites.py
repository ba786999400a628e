"""Builds the page of `crystal-eyes web` and serves sites, each on a free port."""

import functools
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WEB = Path(__file__).parents[2] / "web"
# two headers that a server has to send so that browsers allow threads
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}

OFFLINE = "works offline too"  # what a site says once it is kept


def npm(*command: str) -> None:
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def build(folder: Path, root: str = ".") -> None:
    """Build the page, or that below `root` of web/, into a folder. Needs Node.js."""
    if not (WEB / "node_modules").is_dir():
        npm("npm", "ci", "--ignore-scripts")
    npm("npx", "--no-install", "vite", "build", root, "--config", str(WEB / "vite.config.ts"), "--outDir", str(folder))


@functools.cache
def can_build() -> bool:
    """Whether the page can be built: there is Node.js, and its packages are installed or can be."""
    if shutil.which("npm") is None:
        return False
    return (WEB / "node_modules").is_dir() or subprocess.run(["npm", "ping"], capture_output=True).returncode == 0


@contextmanager
def serving_folder(folder: Path, headers: dict[str, str] | None = None) -> Iterator[tuple[str, list[str]]]:
    """The address of a static server for a folder, and the paths that were asked of it."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def said(tab, text, where="#status"):
    tab.locator(where).filter(has_text=text).first.wait_for()


def answered(tab, path):
    """The article with the answer for a picture."""
    before = tab.locator("article").count()
    tab.set_input_files("#pictures", path)
    tab.locator("article").nth(before).wait_for()  # the newest is the first
    return tab.locator("article").first
