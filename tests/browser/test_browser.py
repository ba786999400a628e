"""The page as a person sees it, in Chromium."""

import json
import shutil
from dataclasses import replace

import pytest

from crystal_eyes.recognizer import Recognizer, bundle, gallery
from tests.browser.conftest import SETTINGS, lying, serving

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
INPUT = "#ce-pictures input[type=file]"


@pytest.fixture(params=[WIDE, PHONE], ids=["wide", "phone"])
def window(request):
    return request.param


@pytest.fixture
def visit(browser, page):
    """Opens the page in a window of this size; no request may go elsewhere and no script may fail meanwhile."""
    contexts, requests, errors = [], [], []

    def visit(size=WIDE, server=page):
        contexts.append(browser.new_context(viewport=size))
        tab = contexts[-1].new_page()
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(server.url)
        tab.wait_for_selector(".ce-examples img")
        tab.wait_for_selector(INPUT, state="attached")
        return tab

    visit.requests = requests
    yield visit
    for context in contexts:
        context.close()
    assert errors == []
    own = (page.url, "data:", "blob:", "http://127.0.0.1:")
    assert requests and [url for url in requests if not url.startswith(own)] == []


def fits(tab) -> bool:
    """Nothing but the rows of thumbnails, which scroll by themselves, is wider than the window."""
    wide = "[...document.querySelectorAll('.gradio-container *')].filter(e => !e.closest('.ce-nearest'))"
    wide += ".some(e => e.getBoundingClientRect().right > innerWidth + 1)"
    return tab.evaluate(f"document.documentElement.scrollWidth <= innerWidth && !{wide}")


def test_uploaded_pictures_are_answered_each(visit, window, page, example, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    tab = visit(window)
    tab.set_input_files(INPUT, [example("two heads"), tmp_path / "broken.png"])
    tab.wait_for_selector(".ce-failed")
    assert tab.locator(".ce-head").count() == 2 and "2 heads" in tab.inner_text(".ce-title >> nth=0")
    assert "can't be used: damaged" in tab.inner_text(".ce-failed")
    head = tab.locator(".ce-head").first
    assert "Character" in head.locator(".ce-name").first.inner_text() and head.locator(".ce-bars li").count() == 5
    assert "catalogue" in head.locator(".ce-sentence").inner_text()
    assert all(width > 0 for width in head.locator("img").evaluate_all("all => all.map(one => one.naturalWidth)"))
    picture, box = (tab.locator(one).first.bounding_box() for one in (".ce-frame img", ".ce-box"))
    assert box["width"] > 20 and picture["x"] <= box["x"] and box["x"] + box["width"] <= picture["x"] + picture["width"] + 1
    assert fits(tab)
    assert lying(page) == []


def test_an_example_is_one_click_away_and_more_heads_than_are_shown_are_counted(visit, window):
    tab = visit(window)
    assert fits(tab)
    tab.click("[data-example='0']")
    tab.wait_for_selector(".ce-head")
    assert "3 heads found, the 2 surest are shown" in tab.inner_text(".ce-title")
    assert tab.locator(".ce-head").count() == SETTINGS.most_heads
    assert "Lisa Wischofsky" in tab.inner_text(".ce-credits")
    assert fits(tab)


def test_one_question_after_the_other(visit, page, example):
    tab = visit()
    for name in ("one head", "line art", "two heads"):
        tab.set_input_files(INPUT, example(name))
        tab.wait_for_selector(f".ce-title:has-text('{name}')")
        tab.wait_for_selector(INPUT, state="attached")
    assert tab.locator(".ce-title").count() == 1 and lying(page) == []


def test_a_picture_is_pasted(visit, example):
    tab = visit()
    data = list(example("one head").read_bytes())
    tab.evaluate(
        """data => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(data)], "pasted.webp", {type: "image/webp"}));
            document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true}));
        }""",
        data,
    )
    tab.wait_for_selector(".ce-title:has-text('pasted.webp')")
    assert tab.locator(".ce-head").count() == 1


def test_a_picture_is_photographed(visit, page):
    tab = visit()
    tab.click("[data-act=camera]")
    tab.wait_for_function("document.querySelector('.ce-live video').videoWidth > 0")
    tab.click("[data-act=shoot]")
    tab.wait_for_selector(".ce-title:has-text('photo.jpg')")
    assert "No head was found" in tab.inner_text(".ce-note")
    assert not tab.is_visible(".ce-live") and tab.evaluate("document.querySelector('.ce-live video').srcObject") is None
    assert lying(page) == []


def test_a_file_over_the_limit_is_told_so_and_the_next_one_is_answered(visit, page, example, tmp_path):
    (tmp_path / "big.png").write_bytes(bytes(2**20 + 1))
    tab = visit()
    tab.set_input_files(INPUT, tmp_path / "big.png")
    assert "maximum allowed size of 1.0 Mb" in tab.wait_for_selector("[data-testid=toast-body]").inner_text()
    tab.set_input_files(INPUT, example("one head"))
    tab.wait_for_selector(".ce-head")
    assert lying(page) == []


def test_who_is_sent_away_is_told_so_and_can_try_again(visit, recognizer, example):
    with serving(recognizer, replace(SETTINGS, waiting=0)) as server:
        tab = visit(server=server)
        for _ in range(2):
            tab.set_input_files(INPUT, example("one head"))
            assert "busy" in tab.wait_for_selector("[data-testid=toast-body]").inner_text()
            tab.click("[data-testid=toast-close]")
            tab.wait_for_selector(INPUT, state="attached")


def test_names_of_a_bundle_do_not_run(visit, bundle_folder, example, tmp_path):
    folder = tmp_path / "hostile"
    shutil.copytree(bundle_folder, folder)
    listing = json.loads((folder / bundle.LISTING).read_text())
    names = {}
    for file in (bundle.CHARACTERS, gallery.ROWS):
        rows = json.loads((folder / file).read_text())
        for row in rows:
            attacks = ("<img src=x onerror='window.hit=1'>", "${window.hit=1}", "{{{constructor}}}", "`+(window.hit=1)+`")
            row[0] = names.setdefault(row[0], f"{attacks[len(names) % 4]} {len(names)}")
        (folder / file).write_text(json.dumps(rows))
    bundle.write_listing(folder, listing["source"], list(listing["files"]))
    with serving(Recognizer.load(folder)) as server:
        tab = visit(server=server)
        tab.set_input_files(INPUT, {"name": "<b onclick='window.hit=1'>.webp", "mimeType": "image/webp",
                                    "buffer": example("one head").read_bytes()})  # fmt: skip
        tab.wait_for_selector(".ce-head")
        shown = {tab.locator(".ce-name").nth(row).inner_text().split("\n")[0] for row in range(5)}
        assert all(any(name in text for name in names.values()) for text in shown), shown
        assert tab.locator(".ce-answers img[src=x], .ce-answers b[onclick]").count() == 0
        assert tab.evaluate("window.hit") is None


def test_the_browser_is_told_to_load_from_here_alone(visit):
    tab = visit()
    script = """new Promise(done => {
        const picture = new Image();
        picture.onload = picture.onerror = () => done(picture.width);
        picture.src = "https://example.com/a.png";
    })"""
    heard = []
    tab.on("console", lambda message: heard.append(message.text))
    assert tab.evaluate(script) == 0
    assert any("Content Security Policy" in text for text in heard)
    visit.requests[:] = [url for url in visit.requests if "example.com" not in url]
    assert tab.evaluate("[...document.fonts].filter(one => one.status !== 'unloaded').length") == 0
