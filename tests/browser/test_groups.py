"""The page on which the groups of a collection are named, in Chromium and from programs."""

import shutil
import threading
from dataclasses import replace

import httpx
import pytest

from crystal_eyes.collection import Collection
from crystal_eyes.collection import groups as module
from crystal_eyes.recognizer.bundle import read_bundle
from crystal_eyes.recognizer.characters import characters_of
from crystal_eyes.web import live_groups
from tests.browser.conftest import SETTINGS, serving
from tests.browser.test_browser import WIDE, fits, visit, window  # noqa: F401
from tests.unit.collection.conftest import draw
from tests.unit.collection.test_groups import trained

CHARACTERS, PICTURES = 3, 4


@pytest.fixture(scope="module")
def indexed(recognizer, tmp_path_factory):
    """A collection of twelve heads of three characters."""
    folder = tmp_path_factory.mktemp("to name & <b>more")
    for character in range(CHARACTERS):
        for number in range(PICTURES):
            draw(folder / "pictures" / f"{character} {number}<i>.png", character, number)
    with Collection.open(folder / "mine", recognizer, create=True) as collection:
        collection.add([folder / "pictures"], print)
    return folder / "mine"


@pytest.fixture
def served(indexed, bundle_folder, tmp_path, monkeypatch):
    """A copy of it, and of the bundle, served. The tests' encoder is untrained: see tests/unit/collection/test_groups.py."""
    monkeypatch.setattr(module, "_Heads", trained(module._Heads))
    shutil.copytree(indexed, tmp_path / "mine")
    shutil.copytree(bundle_folder, tmp_path / "bundle")
    with serving(tmp_path / "bundle", replace(SETTINGS, collection=tmp_path / "mine")) as server:
        server.own = tmp_path
        yield server


def opened(visit, size, served):  # noqa: F811
    tab = visit(size, served)
    tab.goto(f"{served.url}collection")
    tab.click("a[href=groups]")
    tab.wait_for_selector(".group")
    return tab


def names(folder, recognizer) -> list[tuple[str, int]]:
    with Collection.open(folder, recognizer) as collection:
        return sorted((group.name, len(group.heads)) for group in collection.groups(again=False).all())


def test_a_group_is_named_with_one_click_or_typed_and_is_enrolled(visit, window, served, recognizer):  # noqa: F811
    tab = opened(visit, window, served)
    assert tab.locator(".group").count() == CHARACTERS and "12 heads" in tab.inner_text(".hero") and fits(tab)
    assert "Note that the thresholds for groups were chosen with the encoder" in tab.inner_text(".hero")
    for number in range(2):
        tab.locator(".crops img").nth(number).evaluate("one => one.decode()")  # fails where there is no picture
    suggested = tab.locator(".suggested").first
    name = suggested.get_attribute("data-name")
    suggested.click()
    tab.wait_for_selector(".done")
    assert f"These 4 heads are {name} now." in tab.inner_text(".done") and "knows" in tab.inner_text(".done")
    form = tab.locator("form.name:visible").first
    form.locator("[name=name]").fill("<b>New One")
    form.locator("[name=series]").fill("Her Game")
    form.locator("button").click()
    tab.wait_for_selector('.done:has-text("New One")')
    assert "was added to" in tab.inner_text(".done") and fits(tab)
    assert tab.locator(".group .title").all_inner_texts()[1].startswith("<b>New One")
    assert {("<b>New One", 4), (name, 4)} < set(names(served.own / "mine", recognizer))
    known = {str(one): one for one in characters_of(read_bundle(served.own / "bundle"))}
    assert known["<b>New One (Her Game)"].heads == 4


def test_groups_are_merged_and_heads_taken_out(visit, window, served, recognizer):  # noqa: F811
    tab = opened(visit, window, served)
    tab.locator(".pick").nth(0).check()
    assert "select another one" in tab.inner_text(".bar") and not tab.locator("[data-do=merge]").is_visible()
    tab.locator(".pick").nth(1).check()
    assert fits(tab)
    tab.click("[data-do=merge]")
    tab.wait_for_selector(".done")
    assert "2 groups are one now, with 8 heads" in tab.inner_text(".done") and tab.locator(".group").count() == 2
    heads = tab.locator(".group").nth(1).locator(".crops input")
    for number in range(2):
        heads.nth(number).check(force=True)
    tab.click("[data-do=split]")
    tab.wait_for_selector('.done:has-text("2 heads are a group of their own")')
    assert tab.locator(".group").count() == 3 and tab.locator(".bar").is_hidden()
    assert names(served.own / "mine", recognizer) == [("", 2), ("", 2), ("", 8)]


def test_what_cannot_be_done_is_said_where_it_was_asked(visit, served, recognizer):  # noqa: F811
    tab = opened(visit, WIDE, served)
    for text in ("One", "Two"):
        form = tab.locator("form.name:visible").first
        form.locator("[name=name]").fill(text)
        form.locator("button").click()
        tab.wait_for_selector(f'.done:has-text("{text}")')
    for number in range(2):
        tab.locator(".pick").nth(number).check()
    tab.click("[data-do=merge]")
    tab.wait_for_selector(".failed")
    assert "have different names" in tab.locator(".group").nth(1).locator(".failed").inner_text()
    assert names(served.own / "mine", recognizer) == [("", 4), ("One", 4), ("Two", 4)]


def test_all_heads_of_a_group_are_on_a_page_of_its_own(visit, served, monkeypatch):  # noqa: F811
    monkeypatch.setattr("crystal_eyes.web.rendering.MOST_HEADS", (2, 400))
    tab = opened(visit, WIDE, served)
    assert tab.locator(".group").first.locator(".crops img").count() == 2
    tab.locator(".rest a").first.click()
    tab.wait_for_selector("a[href=groups]")
    assert tab.locator(".crops img").count() == 4
    tab.locator(".crops input").first.check(force=True)
    tab.click("[data-do=split]")
    tab.wait_for_selector(".done")
    assert [one.locator("img").count() for one in tab.locator(".group").all()] == [3, 1]


def test_a_page_waits_while_groups_are_found_and_shows_them_then(visit, served, monkeypatch):  # noqa: F811
    go_on, groups = threading.Event(), Collection.groups
    monkeypatch.setattr(live_groups, "PATIENCE", 0.0)
    monkeypatch.setattr(Collection, "groups", lambda *given, **more: go_on.wait(60) and groups(*given, **more))
    answer = httpx.get(f"{served.url}groups", timeout=60)
    assert "are being found" in answer.text and answer.headers["retry-after"] == "3"
    tab = visit(WIDE, served)
    tab.goto(f"{served.url}groups")  # which asks again by itself
    go_on.set()
    tab.wait_for_selector(".group", timeout=60_000)


def test_wrong_requests_are_refused_with_a_sentence(served, recognizer):
    def post(asked, **headers):
        return httpx.post(f"{served.url}groups", json=asked, headers=headers, timeout=60)

    for wrong in ([], {"do": "x"}, {"do": "name", "group": "1"}, {"do": "merge", "groups": []},
                  {"do": "split", "heads": [None]}, {"do": "name", "group": 1, "name": 5},
                  {"do": "name", "group": True, "name": "x"}):  # fmt: skip
        assert post(wrong).status_code == 400, wrong
    assert httpx.post(f"{served.url}groups", content=b"{" * 200_000).status_code == 400
    for asked in ({"do": "name", "group": 99, "name": "x"}, {"do": "name", "group": 1, "name": " "}):
        assert post(asked).status_code == 409
    assert "no head 99" in post({"do": "name", "group": 99, "name": "x"}).text
    assert post({"do": "name", "group": 1, "name": "x"}, **{"sec-fetch-site": "cross-site"}).status_code == 403
    assert names(served.own / "mine", recognizer) == [("", 4)] * 3
    for path, status in (("groups?page=x", 400), ("groups?group=999", 404), ("head/999", 404), (f"head/{10**30}", 404)):
        assert httpx.get(f"{served.url}{path}").status_code == status, path
    assert httpx.get(f"{served.url}groups?page=99").status_code == 200


def test_other_machines_may_look_but_not_name(indexed, recognizer, bundle_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_Heads", trained(module._Heads))
    shutil.copytree(indexed, tmp_path / "mine")
    with serving(bundle_folder, replace(SETTINGS, collection=tmp_path / "mine", host="0.0.0.0")) as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        page = httpx.get(f"{url}groups", timeout=60).text
        assert "Perhaps" in page and "<form" not in page and "checkbox" not in page
        answer = httpx.post(f"{url}groups", json={"do": "name", "group": 1, "name": "x"})
        assert answer.status_code == 403 and "no login" in answer.text
    assert names(tmp_path / "mine", recognizer) == [("", 4)] * 3
