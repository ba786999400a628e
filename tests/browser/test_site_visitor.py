"""What a visitor does with the site of `crystal-eyes web`: without a connection, in another language, with own characters."""

import json
import re

import pytest
from PIL import Image

from crystal_eyes import cli
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.answers import who
from crystal_eyes.recognizer.bundle import copy_bundle, read_bundle
from tests.browser.sites import ISOLATED, OFFLINE, answered, can_build, said, serving_folder

pytestmark = pytest.mark.skipif(not can_build(), reason="without Node.js and npm's packages the page can't be built")


def add(tab, name, pictures, series=""):
    tab.click("#view-mine")
    tab.fill("#name", name)
    tab.fill("#series", series)
    tab.set_input_files("#heads", pictures)
    tab.click("#add button")


def test_the_site_works_without_a_connection_after_the_first_visit(visit, site, example):
    with serving_folder(site, ISOLATED) as (url, _):
        tab = visit(url)
        said(tab, OFFLINE)
        installable = tab.context.new_cdp_session(tab)
        assert installable.send("Page.getAppManifest")["errors"] == []
        problems = installable.send("Page.getInstallabilityErrors")["installabilityErrors"]
        assert [one for one in problems if one["errorId"] != "in-incognito"] == []  # as every window of a test is
    tab.reload()  # now there is no server
    tab.wait_for_selector("#pictures:not([disabled])")
    assert answered(tab, example("two heads")).locator(".head").count() == 2
    assert tab.evaluate("crossOriginIsolated")  # the headers that allow threads are kept too


def test_how_original_a_design_is_is_answered_as_check_does(visit, address, released, example):
    tab = visit(f"{address}#design")
    article = answered(tab, example("two heads"))
    for place, head in enumerate(Recognizer(released).recognize(example("two heads"))):
        shown = article.locator(".head").nth(place)
        for line, one in zip(shown.locator("li").all_inner_texts(), head.nearest, strict=True):
            name, similarity = line.split(" · similarity ")
            # characters that are equally similar may change places: the page's weights have 8 bits
            assert abs(float(similarity) - one.similarity) < 0.03
            assert name in {who(other) for other in head.nearest} or abs(float(similarity) - head.nearest[-1].similarity) < 0.03
        for name, share in (("inside", head.p_value), ("outside", head.stranger_share)):
            found = re.search(r"(fewer than 1|\d+) in 100", shown.locator(f".{name}").inner_text())
            # the page cuts out the head by a box that its detector's 8-bit weights move a little
            assert found and abs(float(found[1].replace("fewer than 1", "0.5")) - 100 * share) < 8
        assert "3,306 characters" in shown.locator(".means").inner_text() or head.verdict != "unknown"
        assert "no legal statement" in shown.inner_text()
    tab.click("#view-who")  # the same picture in the other view
    assert tab.locator("article .head").count() == 2 and "in 100 heads" in tab.locator(".sentence").first.inner_text()


def test_how_a_picture_is_searched_can_be_chosen(visit, address, released, example, tmp_path):
    """The answers that are shown follow the choice, and are those of `recognize --detail high` and `recognize --head`."""
    crowd = Image.new("RGB", (1600, 1200), "white")
    head = Image.open(example("one head")).resize((80, 80))
    for place in range(6):
        crowd.paste(head, (120 + 230 * place, 100 + 170 * place))
    crowd.save(tmp_path / "crowd.png")
    recognizer, counts = Recognizer(released), {}
    tab = visit(address)
    answered(tab, tmp_path / "crowd.png")
    for choice, how in {"normal": {}, "high": {"detail": "high"}, "head": {"head": True}}.items():
        tab.select_option("#search", choice)
        counts[choice] = len(recognizer.find(crowd, **how))
        count = {0: "no head found", 1: "1 head"}.get(counts[choice], f"{counts[choice]} heads")
        said(tab, f"crowd.png: {count}", "h2")
    assert counts["high"] > counts["normal"] and counts["head"] == 1
    tab.select_option("#search", "normal")
    Image.new("RGB", (600, 500), "lightblue").save(tmp_path / "nothing.png")
    assert "no head found" in answered(tab, tmp_path / "nothing.png").inner_text()
    said(tab, "If it shows small heads", "article")


def test_the_page_speaks_the_language_of_the_browser_or_the_one_that_was_chosen(visit, address, example, tmp_path):
    tab = visit(address, locale="ja-JP")
    assert tab.locator("html").get_attribute("lang") == "ja" and tab.inner_text("#view-who") == "これは誰？"
    (tmp_path / "notes.png").write_text("no picture")
    assert "画像ではありません" in answered(tab, tmp_path / "notes.png").inner_text()
    answered(tab, example("one head"))
    tab.select_option("#language", "en")
    assert "3 one head.webp: 1 head" in tab.inner_text("#answers") and "This is not a PNG" in tab.inner_text("#answers")
    tab.reload()
    assert tab.inner_text("#view-who") == "Who is this?"
    assert visit(address, ready=False, locale="fr-FR").inner_text("#view-who") == "Who is this?"


def test_a_character_that_was_added_is_named_and_goes_to_python_and_back(visit, address, released, example, tmp_path, capsys):
    tab, one = visit(address), example("one head")
    before = answered(tab, one)
    assert "Somebody New" not in before.inner_text()
    add(tab, "Somebody  New ", [one, example("three heads"), one], "Her Game")
    said(tab, "Somebody New (Her Game) was added from 1 head.", "#outcome")
    assert "left out 1 three heads.webp: 3 heads found" in tab.inner_text("#outcome")
    assert "duplicate of 3 one head.webp" in tab.inner_text("#outcome")
    tab.click("#view-who")
    said(tab, "Close to Somebody New (Her Game)", "article")  # pictures that are shown are answered again
    add(tab, "Somebody New", [one])
    said(tab, "all of these pictures were added before", "#outcome")
    with tab.expect_download() as download:
        tab.click("#save")
    download.value.save_as(tmp_path / "mine.json")
    tab.click("#view-who")
    tab.reload()
    tab.wait_for_selector("#pictures:not([disabled])")
    assert "Close to Somebody New (Her Game)" in answered(tab, one).inner_text()
    tab.click("#view-mine")
    tab.click("#own button")
    said(tab, "was removed", "#outcome")
    tab.click("#view-who")
    said(tab, "Unlike everything in this catalogue", "article")

    copy_bundle(released.folder, tmp_path / "bundle")
    bundle = ["--bundle", str(tmp_path / "bundle")]
    assert cli.main(["enroll", *bundle, "--from", str(tmp_path / "mine.json")]) == 0
    assert "Somebody New was added" in capsys.readouterr().out
    (head,) = Recognizer(read_bundle(tmp_path / "bundle")).recognize(one)
    assert head.verdict == "known" and who(head.candidates[0]) == "Somebody New (Her Game)"
    assert cli.main(["enroll", *bundle, "--to", str(tmp_path / "theirs.json")]) == 0

    other = visit(f"{address}#mine", ready=False)
    other.wait_for_selector("#open:not([disabled])", state="attached")
    other.set_input_files("#open", tmp_path / "theirs.json")
    said(other, "Somebody New (Her Game) was added from 1 head.", "#outcome")
    other.click("#view-who")
    assert "Close to Somebody New (Her Game)" in answered(other, one).inner_text()


def test_what_cannot_be_added_is_said_in_a_sentence(visit, address, example, tmp_path):
    tab, one = visit(address), example("one head")
    (tmp_path / "notes.png").write_text("no picture")
    for name, picture, sentence in [
        ("\u2800", one, "The name is empty"),
        ("Kyoko (River City Girls)", one, "is already in the catalogue"),
        ("New", example("two heads"), "No usable head of New (2 heads found): each picture must show exactly one head."),
        ("New", tmp_path / "notes.png", "No usable head of New (This is not a PNG"),
    ]:
        add(tab, name, [picture])
        said(tab, sentence, "#outcome [role=alert]")
    for text, sentence in [
        ("no JSON", "mine.json is not a file of characters that Crystal Eyes has written."),
        (json.dumps({"kind": "crystal-eyes characters", "format": 9}), "has format 9, this page reads format 1"),
    ]:
        (tmp_path / "mine.json").write_text(text)
        tab.set_input_files("#open", tmp_path / "mine.json")
        said(tab, sentence, "#outcome [role=alert]")
    assert tab.locator("#own li").count() == 0


def test_a_full_storage_is_said_in_a_sentence_and_changes_nothing(visit, site, example):
    with serving_folder(site) as (url, _):
        tab = visit(url)
        said(tab, OFFLINE)
        tab.context.new_cdp_session(tab).send("Storage.overrideQuotaForOrigin", {"origin": url.rstrip("/"), "quotaSize": 1})
        add(tab, "New", [example("one head")])
        said(tab, "storage for the page is full, and nothing was changed", "#outcome [role=alert]")
        assert tab.locator("#own li").count() == 0


def test_a_browser_that_cannot_keep_the_site_says_so_and_recognizes(visit, site, example):
    with serving_folder(site) as (url, _):
        tab = visit(f"{url}manifest.json", ready=False)
        tab.context.new_cdp_session(tab).send("Storage.overrideQuotaForOrigin", {"origin": url.rstrip("/"), "quotaSize": 1})
        tab.goto(url)
        said(tab, "needs a connection the next time too")
        assert answered(tab, example("one head")).locator(".head").count() == 1


def test_everything_is_reached_by_keyboard_and_fits_a_phone(visit, address, example):
    tab = visit(address, viewport={"width": 320, "height": 640}, color_scheme="dark", reduced_motion="reduce")
    answered(tab, example("two heads"))
    reached = []
    for _ in range(6):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id"))
    assert reached == ["language", "view-who", "view-design", "view-mine", "pictures", "search"]
    for view in ("who", "design", "mine"):
        tab.focus(f"#view-{view}")
        tab.keyboard.press("Enter")
        tab.wait_for_selector(f"#view-{view}[aria-current]")  # the page follows its address a moment later
        assert tab.locator(f"#view-{view}").get_attribute("aria-current") == "page"
        assert tab.evaluate("document.documentElement.scrollWidth") <= 320
        unnamed = "[...document.querySelectorAll('input, select, button')].filter(one => one.checkVisibility() && "
        assert tab.evaluate(unnamed + "!one.labels?.[0]?.textContent.trim() && !one.textContent.trim()).length") == 0
    assert tab.evaluate("getComputedStyle(document.querySelector('nav a')).transitionDuration") == "0s"
    dark = tab.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert sum(int(part) for part in re.findall(r"\d+", dark)[:3]) < 150
