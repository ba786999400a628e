"""The real page, served in this process, and a browser."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from crystal_eyes.recognizer import Recognizer
from crystal_eyes.web.app import Server
from crystal_eyes.web.front import EXAMPLES
from crystal_eyes.web.settings import Settings

CHROMIUM = Path("/usr/bin/chromium")
SETTINGS = Settings(port=0, max_upload_mb=1, most_pictures=4, most_heads=2)


@contextmanager
def serving(recognizer: Recognizer, settings: Settings = SETTINGS) -> Iterator[Server]:
    """The page at server.url, on a free port."""
    server = Server(recognizer, replace(settings, port=0))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield server
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def recognizer(bundle_folder) -> Recognizer:
    return Recognizer.load(bundle_folder)


@pytest.fixture(scope="session")
def page(recognizer) -> Iterator[Server]:
    with serving(recognizer) as server:
        yield server


@pytest.fixture
def example() -> Callable[[str], Path]:
    """The path of an example by its title."""
    return lambda name: next(path for path in EXAMPLES if name in path.name)


def upload(server: Server, *files: tuple[str, bytes]) -> httpx.Response:
    return httpx.post(f"{server.url}gradio_api/upload", files=[("files", file) for file in files], timeout=60)


def ask(server: Server, files: list[dict]) -> list[dict]:
    """What `recognize` says to these files, by plain HTTP."""
    address = f"{server.url}gradio_api/call/recognize"
    asked = httpx.post(address, json={"data": [[{"meta": {"_type": "gradio.FileData"}, **file} for file in files]]}, timeout=60)
    asked.raise_for_status()
    event, data = httpx.get(f"{address}/{asked.json()['event_id']}", timeout=60).text.strip().splitlines()[-2:]
    assert event == "event: complete", data
    return json.loads(data.removeprefix("data: "))[0]


def send(server: Server, *files: tuple[str, bytes]) -> list[dict]:
    """Upload these files and ask about them."""
    sent = upload(server, *files)
    assert sent.status_code == 200, sent.text
    return ask(server, [{"path": path, "orig_name": name} for path, (name, _) in zip(sent.json(), files)])


def lying(server: Server) -> list[Path]:
    """Uploaded files that lie on the server."""
    return list(server.uploads.folder.iterdir())


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        pytest.skip("there is no chromium on this machine")
    with sync_playwright() as playwright:
        camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", *camera])
        yield browser
        browser.close()
