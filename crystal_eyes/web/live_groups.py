"""The groups of the collection that a page shows, kept between requests."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from crystal_eyes.collection import Collection
from crystal_eyes.collection.groups import Groups
from crystal_eyes.collection.storage import DATABASE
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.web.live import LiveRecognizer

PATIENCE = 3.0  # seconds that a request waits for groups that are being found


class BusyError(Exception):
    """The groups are being found: ask again."""


class LiveGroups:
    """Finds the groups in the background, and again when the collection has changed. Thread-safe."""

    def __init__(self, live: LiveRecognizer, folder: Path):
        self._live, self._folder = live, folder
        self._lock = threading.RLock()
        self._found: Groups | None = None
        self._version = 0  # of the collection that was found
        self._finding: Future[tuple[int, Groups]] | None = None

    @contextmanager
    def open(self) -> Iterator[tuple[Groups, Recognizer]]:
        """Context: the groups as they are now, which nobody else reads or changes meanwhile, and the recognizer that suggests
        names.

        Raises BusyError; UserError: the collection is gone, or was made again with another encoder.
        """
        with self._lock:
            recognizer = self._live.get()
            Collection.open(self._folder, recognizer).close()
            if self._found is None or self._version != self._stamp():
                self._find(recognizer)
            assert self._found is not None
            yield self._found, recognizer

    def changed(self) -> None:
        """Say that whoever opened the groups has changed them: they are up to date."""
        self._version = self._stamp()

    def _find(self, recognizer: Recognizer) -> None:
        if self._finding is None:
            self._finding = Future()
            threading.Thread(target=self._run, args=(self._finding, recognizer), daemon=True).start()
        try:
            version, found = self._finding.result(PATIENCE)
        except TimeoutError:
            raise BusyError from None
        except Exception:
            self._finding = None
            raise
        if self._found:
            self._found.close()
        self._finding, self._found, self._version = None, found, version

    def _run(self, finding: "Future[tuple[int, Groups]]", recognizer: Recognizer) -> None:
        try:
            version = self._stamp()  # before: what changes meanwhile is noticed next time
            finding.set_result((version, Collection.open(self._folder, recognizer).groups(again=False)))
        except BaseException as error:
            finding.set_exception(error)

    def _stamp(self) -> int:
        try:
            return (self._folder / DATABASE).stat().st_mtime_ns
        except OSError:  # opening it says what is wrong
            return 0
