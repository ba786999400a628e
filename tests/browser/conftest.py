"""The real page, served in this process, and one browser for all tests."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.bundle import read_bundle
from crystal_eyes.recognizer.places import released_folder
from crystal_eyes.web.rendering import EXAMPLES
from crystal_eyes.web.server import Server
from crystal_eyes.web.settings import Settings
from crystal_eyes.web.site import write_site
from tests.browser.sites import build, serving_folder

CHROMIUM = Path("/usr/bin/chromium")
SITE_PATIENCE = 90_000  # ms, on a machine that does much else
SETTINGS = Settings(port=0, max_upload_mb=1, max_pictures=3, max_heads=2)


@contextmanager
def serving(bundle: Path, settings: Settings = SETTINGS) -> Iterator[Server]:
    """The page at server.url, on a free port. Every upload must be released when it ends."""
    server = Server(bundle, replace(settings, port=0))
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
    assert (server.uploads.requests, server.uploads.held) == (0, 0)


@pytest.fixture(scope="session")
def recognizer(bundle_folder) -> Recognizer:
    return Recognizer.load(bundle_folder)


@pytest.fixture(scope="session")
def page(bundle_folder) -> Iterator[Server]:
    with serving(bundle_folder) as server:
        yield server


@pytest.fixture
def example() -> Callable[[str], Path]:
    """The path of an example by its title."""
    return lambda name: next(path for path in EXAMPLES if name in path.name)


def send(server: Server, name: str, data: bytes, to: str = "recognize", **headers: str) -> httpx.Response:
    """POST a picture. to: the route, also with a query of its own."""
    route = httpx.URL(f"{server.url}{to}")
    return httpx.post(route.copy_merge_params({"name": name}), content=data, headers=headers, timeout=60)


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


@pytest.fixture(scope="session")
def page_files(made_once):
    return made_once("site_page", build)


@pytest.fixture(scope="session")
def released():
    if released_folder() is None:
        pytest.skip("this checkout has no released recognizer")
    return read_bundle(released_folder())


@pytest.fixture(scope="session")
def site(made_once, page_files, released):
    """A site with the released recognizer."""
    return made_once("site", lambda folder: write_site(released, folder, page_files))


@pytest.fixture(scope="session")
def small_site(made_once, page_files, bundle_folder):
    """A site with a bundle of a few characters, which is loaded quickly."""
    return made_once("small_site", lambda folder: write_site(read_bundle(bundle_folder), folder, page_files))


@pytest.fixture(scope="session")
def address(site):
    with serving_folder(site) as (url, _):
        yield url


@pytest.fixture
def visit(browser):
    """Opens a site; no script may fail."""
    contexts, errors = [], []

    def visit(url, ready=True, **options):
        contexts.append(browser.new_context(**options))
        tab = contexts[-1].new_page()
        tab.set_default_timeout(SITE_PATIENCE)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(url)
        if ready:
            tab.wait_for_selector("#pictures:not([disabled])")
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert errors == []
