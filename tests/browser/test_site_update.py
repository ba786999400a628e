"""A site of `crystal-eyes web` that is written anew replaces what visitors have of the old one."""

import json
import os
import re
import shutil
import time

import pytest

from crystal_eyes.web.site import MANIFEST, PAGE, write_files
from tests.browser.conftest import SITE_PATIENCE
from tests.browser.sites import OFFLINE, can_build, said, serving_folder

pytestmark = pytest.mark.skipif(not can_build(), reason="without Node.js and npm's packages the page can't be built")
FORGET_THE_BUNDLE = """async () => {
    for (const name of await caches.keys()) {
        const cache = await caches.open(name);
        for (const request of await cache.keys()) if (request.url.includes("bundle/")) await cache.delete(request);
    }
}"""


def change_page(site):
    """The element #new is what the new version has."""
    text = (site / PAGE).read_text("utf-8")
    (site / PAGE).write_text(text.replace("<nav", '<nav id="new"'), "utf-8")


def wait_for_update(tab, site):
    """Until the browser keeps the version that is in a folder, and no other one."""
    version = re.findall(r'VERSION = "(\w+)"', (site / "files.js").read_text("utf-8"))[0]
    end = time.monotonic() + SITE_PATIENCE / 1000
    # not wait_for_function, which does not wait for promises
    while [name.split()[-1] for name in tab.evaluate("caches.keys()")] != [version]:
        assert time.monotonic() < end, "the new version did not take over"
        tab.wait_for_timeout(100)


def see_new_page(tab):
    """The next visit, without a connection."""
    tab.context.set_offline(True)
    tab.reload()
    tab.wait_for_selector("#new")


@pytest.mark.parametrize("dates", ["new dates", "old dates"])  # where all files have one, servers call them unchanged
def test_an_update_replaces_what_was_kept_and_loads_only_what_changed(visit, small_site, tmp_path, dates):
    site = shutil.copytree(small_site, tmp_path / "site")
    with serving_folder(site) as (url, asked):
        tab = visit(url)
        said(tab, OFFLINE)
        written = (site / PAGE).stat().st_mtime
        change_page(site)
        write_files(site)
        if dates == "old dates":
            os.utime(site / PAGE, (written, written))
        asked.clear()
        tab.reload()  # still the old page; the new one is loaded meanwhile
        said(tab, OFFLINE)
        wait_for_update(tab, site)
        see_new_page(tab)
        tab.wait_for_selector("#pictures:not([disabled])")
        assert len(tab.evaluate("caches.keys()")) == 1
        assert not [path for path in asked if "bundle/" in path or "runtime/" in path]


def test_a_reload_that_bypasses_what_is_kept_updates_it(visit, small_site, tmp_path):
    site = shutil.copytree(small_site, tmp_path / "site")
    with serving_folder(site) as (url, _):
        tab = visit(url)
        said(tab, OFFLINE)
        change_page(site)
        write_files(site)
        tab.context.new_cdp_session(tab).send("Page.reload", {"ignoreCache": True})  # as with the shift key
        tab.wait_for_selector("#new")
        said(tab, OFFLINE)
        wait_for_update(tab, site)
        see_new_page(tab)
        tab.wait_for_selector("#pictures:not([disabled])")


def test_a_version_that_fails_is_replaced_by_the_next_one(visit, small_site, tmp_path):
    """What is kept may be less than the whole site, so that an old page meets a new bundle."""
    site = shutil.copytree(small_site, tmp_path / "site")
    with serving_folder(site) as (url, _):
        tab = visit(url)
        said(tab, OFFLINE)
        tab.evaluate(FORGET_THE_BUNDLE)
        change_page(site)
        manifest = json.loads((site / MANIFEST).read_text("utf-8")) | {"format": 99}
        (site / MANIFEST).write_text(json.dumps(manifest), "utf-8")
        write_files(site)
        tab.reload()
        said(tab, "has format 99")
        wait_for_update(tab, site)
        see_new_page(tab)
