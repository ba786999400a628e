"""The recognizer of the running page, which is reloaded when its bundle changes."""

import logging
import threading
import time
from pathlib import Path

from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.bundle import listing_version
from crystal_eyes.recognizer.places import RELEASED
from crystal_eyes.recognizer.recognizer import bundle_folder

RETRY_SECONDS = 2.0  # between attempts to load a bundle that is being written
LOG = logging.getLogger(__name__)


class LiveRecognizer:
    """Loads a bundle, and loads it again when its bundle.json has changed, as after an enrollment. Thread-safe."""

    def __init__(self, source: str | Path, threads: int | None = None):
        """source, threads: as Recognizer.load takes them. Raises UserError: no intact bundle there."""
        self._threads = threads
        self._is_released = str(source) == RELEASED
        self._folder = bundle_folder(source)
        self._lock = threading.Lock()
        self._version = listing_version(self._folder)
        self._recognizer = Recognizer.load(self._folder, threads)
        self._next_attempt = 0.0

    def get(self) -> Recognizer:
        """The recognizer of the bundle as it is now, or the previous one while the bundle can't be loaded.

        Callers keep what they got for the length of one request. Blocks while a changed bundle is loaded.
        """
        with self._lock:
            if self._is_released:  # its folder becomes another one with the first enrollment
                self._folder = bundle_folder(RELEASED)
            version = listing_version(self._folder)  # read before the load: a change during the load is noticed next time
            if version != self._version and time.monotonic() >= self._next_attempt:
                try:
                    self._recognizer, self._version = Recognizer.load(self._folder, self._threads), version
                except Exception as error:  # half-written or damaged, in whatever way: the page keeps working
                    LOG.warning("the changed bundle can't be loaded, still using the previous one: %s", error)
                    self._next_attempt = time.monotonic() + RETRY_SECONDS
            return self._recognizer
