"""The page that searches in a collection, in Chromium and from programs."""

import shutil
from dataclasses import replace

import httpx
import pytest

from crystal_eyes.collection import Collection
from crystal_eyes.web.rendering import EXAMPLES
from tests.browser.conftest import SETTINGS, send, serving
from tests.browser.test_browser import INPUT, fits, visit, window  # noqa: F401

PICTURES = {path.name: path for path in EXAMPLES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures & <b>more")
    for name, path in PICTURES.items():
        shutil.copyfile(path, folder / f"<i>{name}")
    return folder


@pytest.fixture(scope="module")
def served(folder, recognizer, bundle_folder, tmp_path_factory):
    into = tmp_path_factory.mktemp("collections") / "mine"
    with Collection.open(into, recognizer, create=True) as collection:
        collection.add([folder])
    with serving(bundle_folder, replace(SETTINGS, collection=into)) as server:
        yield server


def test_a_picture_finds_the_others_with_their_thumbnails(visit, window, served, example):  # noqa: F811
    tab = visit(window, served)
    tab.click("a[href=collection]")
    assert "mine" in tab.inner_text(".hero") and fits(tab)
    tab.wait_for_load_state()  # a picture that is chosen before the page's script runs is not noticed
    tab.set_input_files(INPUT, example("one head"))
    tab.wait_for_selector(".match")
    best = tab.locator(".match").first
    assert best.locator(".place").inner_text() == f"<i>{example('one head').name}"
    assert "%" in best.locator(".verdict").inner_text()
    for number in range(2):
        tab.locator(".match img").nth(number).evaluate("one => one.decode()")  # fails where there is no picture
    assert fits(tab)


def test_an_unusable_picture_is_a_sentence(visit, served, tmp_path):  # noqa: F811
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    tab = visit(server=served)
    tab.goto(f"{served.url}collection")
    tab.set_input_files(INPUT, tmp_path / "broken.png")
    tab.wait_for_selector(".failed")
    assert "can't be used: damaged" in tab.inner_text(".failed")


def test_programs_get_json_and_thumbnails_only_by_number(served, example, folder):
    answer = send(served, "a.webp", example("one head").read_bytes(), "search")
    (head,) = answer.json()["heads"]
    best = head["matches"][0]
    assert best["similarity"] > 0.99 and best["file"] == str(folder / f"<i>{example('one head').name}")
    assert httpx.get(f"{served.url}thumbnail/1").headers["content-type"] == "image/jpeg"
    for path in ("thumbnail/999999", "thumbnail/0", "thumbnail/../../etc/passwd", "thumbnail/%2e%2e%2fetc", "thumbnail/-1"):
        assert httpx.get(f"{served.url}{path}").status_code == 404, path
    assert httpx.get(f"{served.url}thumbnail/{10**30}").status_code == 404


def test_without_a_collection_there_is_no_such_page(page):
    assert httpx.get(f"{page.url}collection").status_code == 404
    assert "collection" not in httpx.get(page.url).text.split("</header>")[0]
