"""The page as a person sees it, in Chromium."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from crystal_eyes.recognizer import bundle, gallery
from tests.browser.conftest import SETTINGS, serving
from tests.bundles import ORIGINAL, add_character
from tests.runs import draw_head

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
INPUT = "#pictures"


@pytest.fixture(params=[WIDE, PHONE], ids=["wide", "phone"])
def window(request):
    return request.param


@pytest.fixture
def visit(browser, page):
    """Opens the page in a window of this size; no request may go elsewhere, no script fail, no style or script be blocked."""
    contexts, requests, errors, blocked = [], [], [], []

    def visit(size=WIDE, server=page):
        contexts.append(browser.new_context(viewport=size))
        tab = contexts[-1].new_page()
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda message: blocked.append(message.text) if "Content Security" in message.text else None)
        tab.goto(server.url)
        return tab

    visit.requests, visit.blocked = requests, blocked
    yield visit
    for context in contexts:
        context.close()
    assert (errors, blocked) == ([], [])
    own = (page.url, "data:", "blob:", "http://127.0.0.1:")
    assert requests and [url for url in requests if not url.startswith(own)] == []


def fits(tab) -> bool:
    """Nothing is wider than the window, except the rows of thumbnails, which scroll."""
    wide = "[...document.querySelectorAll('main *')].filter(e => !e.closest('.nearest'))"
    wide += ".some(e => e.getBoundingClientRect().right > innerWidth + 1)"
    return tab.evaluate(f"document.documentElement.scrollWidth <= innerWidth && !{wide}")


def test_each_uploaded_picture_is_answered(visit, window, example, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    tab = visit(window)
    tab.set_input_files(INPUT, [example("two heads"), tmp_path / "broken.png"])
    tab.wait_for_selector(".failed")
    assert tab.locator(".head").count() == 2 and "2 heads" in tab.inner_text(".title >> nth=0")
    assert "can't be used: damaged" in tab.inner_text(".failed")
    head = tab.locator(".head").first
    assert "Character" in head.locator(".name").first.inner_text() and head.locator(".bars li").count() == 5
    assert "catalogue" in head.locator(".sentence").inner_text()
    assert head.locator(".nearest figure").count() == 6
    assert all(width > 0 for width in head.locator("img").evaluate_all("all => all.map(one => one.naturalWidth)"))
    picture, box = (tab.locator(one).first.bounding_box() for one in (".frame img", ".box"))
    assert box["width"] > 20 and picture["x"] <= box["x"] and box["x"] + box["width"] <= picture["x"] + picture["width"] + 1
    widths = head.locator(".track rect").evaluate_all("all => all.map(one => one.getBoundingClientRect().width)")
    assert widths == sorted(widths, reverse=True) and widths[0] > widths[-1] > 0
    assert fits(tab)


@pytest.mark.parametrize(
    ("size", "shown"), [((20, 30), (240, 360)), ((100, 1000), None), ((1000, 100), None), ((3000, 2000), None)]
)
def test_pictures_of_any_shape_fit_and_keep_their_proportions(visit, size, shown, tmp_path):
    Image.new("RGB", size, "white").save(tmp_path / "shape.png")
    tab = visit()
    tab.set_input_files(INPUT, tmp_path / "shape.png")
    box = tab.wait_for_selector(".frame img").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(size[0] / size[1], rel=0.1)
    if shown:
        assert (box["width"], box["height"]) == shown
    else:
        assert box["height"] <= 0.7 * WIDE["height"] + 1
    assert fits(tab)


def test_an_example_is_one_click_away_and_heads_beyond_the_limit_are_counted(visit, window):
    tab = visit(window)
    assert fits(tab)
    tab.click("[data-example='three heads']")
    tab.wait_for_selector(".head")
    assert "3 heads found, the 2 most confident are shown" in tab.inner_text(".title")
    assert tab.locator(".head").count() == SETTINGS.max_heads
    assert "Lisa Wischofsky" in tab.inner_text(".credits")
    assert fits(tab)


def test_consecutive_requests_are_answered(visit, example):
    tab = visit()
    for name in ("one head", "line art", "line art", "two heads"):
        tab.evaluate("document.querySelector('.answers').replaceChildren()")
        tab.set_input_files(INPUT, example(name))
        tab.wait_for_selector(f".title:has-text('{name}')")
    assert tab.locator(".title").count() == 1


def test_a_new_request_replaces_the_one_in_progress(visit, example):
    tab = visit()
    tab.set_input_files(INPUT, [example("three heads")] * 3)
    tab.set_input_files(INPUT, example("one head"))
    tab.wait_for_selector(".title:has-text('one head')")
    tab.wait_for_selector("main[aria-busy=false]")
    assert tab.locator(".title").count() == 1


def test_pictures_over_the_limit_are_skipped_and_counted(visit, example):
    tab = visit()
    tab.set_input_files(INPUT, [example("one head")] * (SETTINGS.max_pictures + 2))
    tab.wait_for_selector("main[aria-busy=false]")
    assert "2 more were skipped" in tab.inner_text(".said")
    assert tab.locator(".title").count() == SETTINGS.max_pictures


def test_the_switch_says_how_pictures_are_searched_and_searches_the_last_ones_again(visit, window, tmp_path):
    page = Image.new("RGB", (1600, 1000), (235, 240, 250))
    for number in range(8):
        page.paste(draw_head(number, 0).resize((40, 40)), (90 + 400 * (number % 4), 200 + 500 * (number // 4)))
    page.save(tmp_path / "page.png")
    tab = visit(window)
    assert fits(tab)

    def found() -> str:
        tab.wait_for_selector("main[aria-busy=false] .title:has-text('page.png')")
        return tab.inner_text(".title")

    tab.set_input_files(INPUT, tmp_path / "page.png")
    coarse = found()
    tab.select_option("#how", label="Look for small heads, too (slower)")
    tab.wait_for_selector(".title:has-text('heads found, the 2 most confident are shown')")
    assert found() != coarse
    tab.select_option("#how", label="Every picture is one head")
    tab.wait_for_selector(".title:has-text('1 head')")
    assert found().endswith("1 head") and fits(tab)
    tab.select_option("#how", label="Look for heads")
    tab.wait_for_selector(".title:not(:has-text('1 head'))")
    assert found() == coarse


def test_the_switch_alone_asks_nothing(visit):
    tab = visit()
    tab.select_option("#how", "detail=high")
    tab.wait_for_timeout(200)
    assert tab.locator(".title").count() == 0 and not [url for url in visit.requests if "card" in url]


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_a_picture_is_pasted_or_dropped_anywhere(visit, example, way):
    tab = visit()
    data = list(example("one head").read_bytes())
    tab.evaluate(
        """([way, data]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(data)], "mine.webp", {type: "image/webp"}));
            const options = {bubbles: true, cancelable: true};
            const event = way === "paste" ? new ClipboardEvent(way, {clipboardData: transfer, ...options})
                                          : new DragEvent(way, {dataTransfer: transfer, ...options});
            document.body.dispatchEvent(event);
        }""",
        [way, data],
    )
    tab.wait_for_selector(".title:has-text('mine.webp')")
    assert tab.locator(".head").count() == 1


def test_a_picture_is_photographed(visit):
    tab = visit()
    tab.click("[data-act=camera]")
    while not tab.evaluate(
        "document.querySelector('.live video').videoWidth"
    ):  # wait_for_function needs eval, which is blocked
        tab.wait_for_timeout(20)
    tab.click("[data-act=shoot]")
    tab.wait_for_selector(".title:has-text('photo.jpg')")
    assert "No head was found" in tab.inner_text(".note")
    assert not tab.is_visible(".live") and tab.evaluate("document.querySelector('.live video').srcObject") is None


def test_everything_can_be_reached_with_the_keyboard(visit):
    tab = visit()
    reached = []
    for _ in range(14):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("(e => e.id || e.dataset.act || e.dataset.example || e.tagName)(document.activeElement)"))
    assert reached[:9] == ["A", INPUT[1:], "paste", "camera", "how", "three heads", "two heads", "one head", "line art"]
    assert "SUMMARY" in reached
    tab.focus("[data-example='one head']")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".head")


def test_a_picture_over_the_size_limit_gets_a_sentence_and_the_next_one_is_answered(visit, example, tmp_path):
    (tmp_path / "big.png").write_bytes(bytes(2**20 + 1))
    tab = visit()
    tab.set_input_files(INPUT, tmp_path / "big.png")
    assert "limit is 1 MB" in tab.wait_for_selector(".failed .note").inner_text()
    tab.set_input_files(INPUT, example("one head"))
    tab.wait_for_selector(".head")


def test_a_busy_server_and_one_that_is_gone_get_a_sentence(visit, bundle_folder, example):
    with serving(bundle_folder, replace(SETTINGS, at_once=0, waiting=0)) as server:
        tab = visit(server=server)
        tab.set_input_files(INPUT, example("one head"))
        assert "busy" in tab.wait_for_selector(".failed .note").inner_text()
    tab.set_input_files(INPUT, example("one head"))
    tab.wait_for_selector(".failed .note:has-text('reached')")


def test_an_enrolled_character_is_counted_without_a_restart(visit, bundle_folder, tmp_path):
    folder = shutil.copytree(bundle_folder, tmp_path / "bundle")
    with serving(folder) as server:
        tab = visit(server=server)
        assert "8 characters in 4 series" in tab.inner_text(".hero")
        add_character(folder, "Nine", "New", np.eye(16, dtype=np.float32)[:1], [Image.new("RGB", (48, 48))])
        tab.reload()
        assert "9 characters in 5 series" in tab.inner_text(".hero")


def test_characters_are_listed_and_found_in_either_script(visit, window):
    tab = visit(window)
    tab.click("a[href=characters]")
    tab.wait_for_url("**/characters")  # loaded, so that its script has run
    rows = tab.locator("li:visible")
    assert rows.count() == 8 and fits(tab)
    tab.fill("#search", "character 1")
    assert rows.count() == 1 and tab.inner_text(".said") == "1 character"
    for words, found in ((ORIGINAL[1].replace("\uff11", "1"), ["Character 1"]), ("SERIES 3", ["Character 3"]), ("zz", [])):
        tab.fill("#search", words)
        assert [text.split(" \u30ad")[0].split(" 4 heads")[0] for text in rows.all_inner_texts()] == found
    assert tab.inner_text(".said") == "No characters" and tab.locator("h2:visible").count() == 0
    tab.fill("#search", "")
    assert rows.count() == 8 and tab.inner_text(".said") == ""


def test_names_in_a_bundle_do_not_run(visit, bundle_folder, example, tmp_path):
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
    with serving(folder) as server:
        tab = visit(server=server)
        tab.set_input_files(INPUT, {"name": "<b onclick='window.hit=1'>.webp", "mimeType": "image/webp",
                                    "buffer": example("one head").read_bytes()})  # fmt: skip
        tab.wait_for_selector(".head")
        shown = {tab.locator(".name").nth(row).inner_text().split("\n")[0] for row in range(5)}
        assert all(any(name in text for name in names.values()) for text in shown), shown
        assert tab.locator(".answers img[src=x], .answers b[onclick]").count() == 0
        assert tab.evaluate("window.hit") is None
        tab.click("a[href=characters]")
        assert tab.locator("li").count() == 8 and tab.evaluate("window.hit") is None


def test_the_browser_blocks_other_hosts_inline_scripts_and_inline_styles(visit):
    tab = visit()
    script = """new Promise(done => {
        document.body.insertAdjacentHTML("beforeend", "<p id=styled style='color: red' onclick='window.hit = 1'>text</p>");
        document.querySelector("#styled").click();
        const picture = new Image();
        picture.onload = picture.onerror = () => done(picture.width);
        picture.src = "https://example.com/a.png";
    })"""
    assert tab.evaluate(script) == 0
    assert tab.evaluate("window.hit") is None
    assert tab.evaluate("getComputedStyle(document.querySelector('#styled')).color") != "rgb(255, 0, 0)"
    assert len(visit.blocked) >= 3
    visit.blocked.clear()
    visit.requests[:] = [url for url in visit.requests if "example.com" not in url]
    assert tab.evaluate("[...document.fonts].filter(one => one.status !== 'unloaded').length") == 0


def test_another_site_can_neither_read_nor_embed(browser, page):
    context = browser.new_context()
    tab = context.new_page()
    embedding = f"<iframe src='{page.url}'></iframe>"
    tab.route("http://127.0.0.1:9/", lambda route: route.fulfill(body=embedding, content_type="text/html"))
    tab.goto("http://127.0.0.1:9/")
    script = "([address, mode]) => fetch(address, {method: 'POST', body: 'x', mode}).then(one => one.type, () => 'failed')"
    assert [tab.evaluate(script, [f"{page.url}recognize", mode]) for mode in ("cors", "no-cors")] == ["failed", "failed"]
    assert len(tab.frames) == 2 and "Crystal" not in tab.frames[1].content()
    context.close()
