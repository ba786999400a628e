"""The results of an indexing run, from the recognizer to the disk."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crystal_eyes.collection.changes import Change, write
from crystal_eyes.collection.looking import found
from crystal_eyes.collection.storage import Storage
from crystal_eyes.images import PictureError
from crystal_eyes.recognizer.embedding import EmbeddedHeads

MAX_UNSAVED, MAX_UNSAVED_SECONDS = 256, 10.0  # pictures, and how long they wait for a transaction
LONG = 1000  # changes that wait


@dataclass
class Report:
    """What an indexing run did."""

    added: int = 0  # pictures that were looked at
    heads: int = 0  # found in them
    unchanged: int = 0  # files
    forgotten: int = 0  # pictures
    unreadable: int = 0  # pictures, archives and videos
    unreadable_before: int = 0  # files that an earlier run could not read, and that did not change
    kept: int = 0  # folders that are gone or empty as a whole


class Results:
    """Changes in the order of their files; those of pictures wait for what the recognizer finds in them."""

    def __init__(self, storage: Storage, report: Report, say: Callable[[str], None]):
        """say: called with a line about each picture and file that can't be read."""
        self._storage, self._report, self._say = storage, report, say
        self._waiting: deque[Change] = deque()
        self._unsaved: list[Change] = []
        self._saved = time.monotonic()
        self._unread: set[Path] = set()  # files of which nothing more is written

    @property
    def is_long(self) -> bool:
        """Whether so many changes wait that the recognizer should be given another picture."""
        return len(self._waiting) > LONG

    def wait(self, change: Change) -> None:
        self._waiting.append(change)
        self.flush()

    def flush(self) -> None:
        """Pass on the changes in front that wait for nothing."""
        while self._waiting and not self._waiting[0].needs_result:
            self._add(self._waiting.popleft())

    def take(self, result: EmbeddedHeads | PictureError | OSError) -> None:
        """What was found in the first picture that waits."""
        found(self._waiting[0], result)
        self.flush()

    def _add(self, change: Change) -> None:
        path = change.file.path
        if path in self._unread:
            return
        if change.unread:
            self._unread.add(path)
            self._say_unreadable(f"{change.place}: {change.unread}")
            return
        if change.unchanged:
            self._report.unchanged += 1
        elif change.error:
            self._say_unreadable(f"{change.place}: {change.error}" if change.is_picture else change.error)
        self._unsaved.append(change)
        self._report.added += change.is_picture and change.error is None
        self._report.heads += len(change.heads)
        if len(self._unsaved) >= MAX_UNSAVED or time.monotonic() - self._saved > MAX_UNSAVED_SECONDS:
            self.save()

    def _say_unreadable(self, line: str) -> None:
        self._report.unreadable += 1
        self._say(line)

    def save(self) -> None:
        """Write what has been passed on. Raises OSError or sqlite3.Error: the disk is full."""
        if self._unsaved:
            changes, self._unsaved = self._unsaved, []
            write(self._storage, changes)
        self._saved = time.monotonic()
