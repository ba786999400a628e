"""The site that `crystal-eyes web` writes, in Chromium: answers as on the command line, and nothing leaves the page."""

import json
import re
import shutil

import pytest
from PIL import Image

from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.answers import who
from crystal_eyes.web.site import MANIFEST
from tests.browser.sites import ISOLATED, answered, can_build, serving_folder

pytestmark = pytest.mark.skipif(not can_build(), reason="without Node.js and npm's packages the page can't be built")
MAX_LOADED = 22_000_000  # bytes before the first answer


def test_a_picture_gets_the_names_that_python_finds(visit, address, released, example):
    tab, recognizer = visit(address), Recognizer(released)
    for name in ("two heads", "line art"):
        article, heads = answered(tab, example(name)), recognizer.recognize(example(name))
        assert article.locator(".head").count() == len(heads)
        for place, head in enumerate(heads):
            shown = article.locator(".head").nth(place)
            expected = head.nearest if head.verdict == "unknown" else head.candidates
            names = [text.rsplit(" · ", 1)[0] for text in shown.locator("li").all_inner_texts()]
            assert names[0] == who(expected[0]) and len(names) == len(expected)
            # numbers differ a little: the page's weights have 8 bits
            assert shown.locator(".sentence").inner_text().split(":")[0] == head.sentence().split(":")[0]
            rect = article.locator(".box").nth(place)
            left, top = (float(rect.get_attribute(side)) for side in ("x", "y"))
            near = 0.05 * (head.box[2] - head.box[0])
            assert abs(left - head.box[0]) < near and abs(top - head.box[1]) < near


def test_nothing_leaves_the_page_once_it_is_loaded(visit, site, example):
    with serving_folder(site) as (url, asked):
        tab, requests = visit(url), []
        loaded = len(asked)
        tab.context.on("request", lambda request: requests.append(request.url))
        answered(tab, example("one head"))
        # not even to its own server: the browser refuses what a changed script would try
        for attempt in ("fetch('index.html')", "fetch('https://example.org/', {method: 'POST', body: 'x', mode: 'no-cors'})"):
            assert tab.evaluate(f"{attempt}.then(() => 'sent', () => 'refused')") == "refused"
        worker = next(one for one in tab.workers if one.url.startswith("blob:"))
        assert worker.evaluate("url => fetch(url).then(() => 'sent', () => 'refused')", url) == "refused"
        assert len(asked) == loaded
        assert [one for one in requests if not one.startswith(("blob:", "data:"))] == []


def test_little_is_loaded_before_the_first_answer(visit, site, example):
    with serving_folder(site) as (url, asked):
        answered(visit(url), example("one head"))
        paths = {re.findall(r"[^?]*", path)[0].lstrip("/") or "index.html" for path in asked}
        assert sum((site / path).stat().st_size for path in paths if (site / path).is_file()) < MAX_LOADED


def test_threads_are_used_where_the_server_allows_them(visit, site, example):
    with serving_folder(site, ISOLATED) as (url, _):
        tab = visit(url)
        assert tab.evaluate("crossOriginIsolated")
        assert answered(tab, example("two heads")).locator(".head").count() == 2


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("notes.png", b"no picture at all", "This is not a PNG, JPEG, WebP, AVIF, GIF or BMP picture."),
        ("empty.png", b"", "The file is empty."),
        ("half.png", b"\x89PNG\r\n\x1a\n no more", "The picture is damaged, or too large for this browser."),
    ],
)
def test_what_is_no_picture_is_said_in_a_sentence(visit, address, tmp_path, name, data, sentence):
    (tmp_path / name).write_bytes(data)
    article = answered(visit(address), tmp_path / name)
    assert article.locator("p").inner_text() == sentence and article.get_attribute("role") == "alert"


def test_a_huge_picture_is_refused_and_a_large_one_is_answered(visit, address, example, tmp_path):
    tab = visit(address)
    Image.new("RGB", (8100, 8000), "white").save(tmp_path / "huge.png")
    assert "too large: 8100 × 8000 pixels" in answered(tab, tmp_path / "huge.png").inner_text()
    large = Image.open(example("one head")).resize((7700, 7700))
    large.save(tmp_path / "large.jpg")
    assert answered(tab, tmp_path / "large.jpg").locator(".head").count() == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda manifest: manifest.update(format=99), "This site's bundle has format 99, the page reads format 4"),
        (lambda manifest: manifest["files"].update({"bundle/known.bin": 7}), "bundle/known.bin has"),
    ],
)
def test_a_bundle_that_does_not_fit_is_said_in_a_sentence(visit, site, tmp_path, change, sentence):
    shutil.copytree(site, tmp_path / "site")
    manifest = json.loads((tmp_path / "site" / MANIFEST).read_text("utf-8"))
    change(manifest)
    (tmp_path / "site" / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    with serving_folder(tmp_path / "site") as (url, _):
        tab = visit(url, ready=False)
        tab.locator("#status").filter(has_text=sentence).wait_for()


def test_a_damaged_file_is_said_in_a_sentence(visit, site, tmp_path):
    shutil.copytree(site, tmp_path / "site")
    path = tmp_path / "site" / "bundle" / "encoder.bin"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with serving_folder(tmp_path / "site") as (url, _):
        visit(url, ready=False).locator("#status").filter(has_text="bundle/encoder.bin is damaged").wait_for()
