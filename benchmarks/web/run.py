"""Time and memory of recognition in the browser.

    crystal-eyes web --output site
    python benchmarks/web/run.py site "crystal_eyes/web/examples/3 one head.webp" [--times 20] [--pictures 100]

Opens the site in Chromium from a server that allows threads and from one that does not, and asks both alternately. Prints the
time from a file to its answer in ms (median, 10th and 90th percentile) of one picture of 1000 x 1000 pixels, the CPU time of
one, which a busy machine changes less, and the memory of the renderer processes after many pictures of different sizes.
"""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.browser.sites import ISOLATED, serving_folder

CHROMIUM = "/usr/bin/chromium"
SIDE = 1000
PATIENCE = 600_000  # ms
LAST = "performance.getEntriesByName('recognize').at(-1)"


def recognize(tab: Page, path: Path) -> float:
    """Milliseconds from the file to its answer."""
    before: Any = tab.evaluate(f"{LAST}?.startTime ?? -1")
    tab.set_input_files("#pictures", path)
    while tab.evaluate(f"{LAST}?.startTime ?? -1") == before:
        tab.wait_for_timeout(20)
    return float(tab.evaluate(f"{LAST}.duration"))


def open_site(browser: Any, url: str) -> Page:
    tab: Page = browser.new_page()
    tab.set_default_timeout(PATIENCE)
    tab.goto(url)
    tab.wait_for_selector("#pictures:not([disabled])")
    return tab


def renderers() -> list[psutil.Process]:
    """The processes that render pages; not the one that renders Chromium's own window."""
    found = []
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # one that ends, as when a tab is closed
            command = one.cmdline()
            if "--type=renderer" in command and "--top-chrome-webui" not in command:
                found.append(one)
    return found


def memory() -> float:
    """MB of all renderers (proportional set size)."""
    return sum(one.memory_full_info().pss for one in renderers()) / 1e6


def cpu_time() -> float:
    """Milliseconds that all renderers have computed."""
    return 1e3 * sum(one.cpu_times().user + one.cpu_times().system for one in renderers())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=100)
    options = parser.parse_args()
    picture = Image.open(options.picture).convert("RGB")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "picture.jpg")
        picture.resize((SIDE, SIDE)).save(path, quality=90)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with serving_folder(options.site, ISOLATED) as (with_threads, _), serving_folder(options.site) as (without, _):
            tabs = {"threads": open_site(browser, with_threads), "no threads": open_site(browser, without)}
            times: dict[str, list[float]] = {name: [] for name in tabs}
            for number in range(options.times + 2):
                for name, tab in tabs.items():
                    spent = recognize(tab, path)
                    if number > 1:  # warm
                        times[name].append(spent)
            for name, spent in times.items():
                before = cpu_time()
                for _ in spent:
                    recognize(tabs[name], path)
                cpu = (cpu_time() - before) / len(spent)
                median = " ".join(f"{value:.0f}" for value in np.percentile(spent, (50, 10, 90)))
                print(f"{name}: {median} ms, {cpu:.0f} ms of CPU time", flush=True)
            tabs["no threads"].close()
            print(f"memory {memory():.0f} MB", flush=True)
            rng = np.random.default_rng(0)
            for number in range(options.pictures):
                size = tuple(int(side) for side in rng.integers(300, 1600, 2))
                picture.resize(size).save(path)
                recognize(tabs["threads"], path)
                if number % 25 == 24:
                    print(f"memory after {number + 1} more {memory():.0f} MB", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
