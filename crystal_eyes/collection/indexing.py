"""One indexing run: looks at files that are new or have changed, and forgets those that are gone."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from crystal_eyes.collection import videos
from crystal_eyes.collection.archives import PictureArchive
from crystal_eyes.collection.changes import (
    Change,
    KnownFile,
    forget,
    known_files,
    known_folders,
    pictures_in,
    same_picture,
    touch,
)
from crystal_eyes.collection.results import Report, Results
from crystal_eyes.collection.sources import SourceFile, Sources
from crystal_eyes.collection.storage import Storage
from crystal_eyes.errors import UserError
from crystal_eyes.images import PictureError
from crystal_eyes.progress import track
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.pictures import MAX_BYTES
from crystal_eyes.vectors import unit

DIGEST = 16  # bytes


class Indexing:
    """A run over some sources. say: called with each line about something that is not as it should be."""

    def __init__(self, storage: Storage, recognizer: Recognizer, sources: Sources, say: Callable[[str], None]):
        self.storage, self.recognizer, self.sources, self.say = storage, recognizer, sources, say
        self.report = Report()
        self._results = Results(storage, self.report, self._unreadable)
        self._with_files: set[Path] = set()  # roots
        self._gone: list[int] = []  # files
        self._videos_skipped = 0

    def run(self, show_progress: bool = True) -> Report:
        """Raises UserError: nothing that was given exists; OSError: the disk is full."""
        self._find_missing()
        total = self._count()
        found = self.recognizer.embed_many(self._pictures())
        try:
            for result in track(found, total, "index", "pictures") if show_progress and total else found:
                self._results.take(result)
            self._results.flush()
        finally:
            self._results.save()
        self.report.forgotten += forget(self.storage, self._gone)
        for line in self.sources.remarks():
            self.say(line)
        if self._videos_skipped:
            self.say(f"skipped {self._videos_skipped} videos: to index them, {videos.EXTRA}")
        return self.report

    # what is to be done

    def _count(self) -> int:
        """About how many pictures there are to look at."""
        total = 0
        for folder, files in self.sources.folders():
            known = known_files(self.storage, folder)
            for file in files:
                if not _is_unchanged(known.get(file.path.name), file):
                    total += self._size(file)
        return total

    def _size(self, file: SourceFile) -> int:
        try:
            if file.kind == "archive":
                archive = PictureArchive(file.path)
                archive.close()
                return len(archive.names)
            if file.kind == "video":
                return round(videos.duration(file.path)) if videos.available() else 0
        except (UserError, OSError):  # said when it is its turn
            return 0
        return 1

    def _pictures(self) -> Iterator[bytes | np.ndarray]:
        """The pictures to look at; for each a change waits in _results."""
        visited: set[Path] = set()
        for folder, files in self.sources.folders():
            visited.add(folder)
            known = known_files(self.storage, folder)
            names = {file.path.name for file in files}
            given = {path.name for path in self.sources.files if path.parent == folder}
            is_whole = any(folder.is_relative_to(root) for root in self.sources.roots)
            self._gone += [one.id for name, one in known.items() if name not in names and (is_whole or name in given)]
            self._with_files |= {root for root in self.sources.roots if files and folder.is_relative_to(root)}
            for file in files:
                yield from self._in_file(file, known.get(file.path.name))
        self._find_gone(visited)

    def _find_missing(self) -> None:
        """Note the files that were given and are gone. Raises UserError: the collection does not know what was given either."""
        known = known_folders(self.storage) if self.sources.missing else []
        for path in self.sources.missing:
            below = [one for one in known if one.is_relative_to(path)]
            one = known_files(self.storage, path.parent).get(path.name) if path.parent.is_dir() else None
            if one and not below:
                self._gone.append(one.id)
            elif below:
                self._keep(path, below, "does not exist")
            else:
                raise UserError(f"{path} does not exist: give folders, pictures, archives or videos")

    def _find_gone(self, visited: set[Path]) -> None:
        """Note the files of folders that are gone. A folder that was given and is gone or empty as a whole is kept: it may be
        on a disk that is not mounted at the moment."""
        known = known_folders(self.storage)
        unreadable = [Path(error.filename) for error in self.sources.unreadable if error.filename]
        for root in self.sources.roots:
            below = [one for one in known if one.is_relative_to(root)]
            if below and root not in self._with_files and root not in unreadable:
                kept = {file.id for folder in below for file in known_files(self.storage, folder).values()}
                self._gone = [id for id in self._gone if id not in kept]
                self._keep(root, below, "holds none of its files any more")
                continue
            for folder in below:
                if folder not in visited and not any(folder.is_relative_to(one) for one in unreadable):
                    self._gone += [file.id for file in known_files(self.storage, folder).values()]
        self._gone = list(dict.fromkeys(self._gone))

    def _keep(self, path: Path, folders: list[Path], why: str) -> None:
        self.report.kept += 1
        count = pictures_in(self.storage, folders)
        self.say(f"{path} {why} (is its disk mounted?): the collection keeps the {count} pictures that it has of it")

    # one file

    def _in_file(self, file: SourceFile, known: KnownFile | None) -> Iterator[bytes | np.ndarray]:
        if _is_unchanged(known, file):
            self.report.unchanged += 1
            self.report.unreadable_before += bool(known and known.error)
            return
        if file.kind == "video" and not videos.available():
            self._videos_skipped += 1
            return
        try:
            if file.kind == "picture":
                yield from self._in_picture(file, known)
                return
            if known and not known.complete and (known.size, known.mtime_ns) == file[1:]:
                digest, resumes = known.digest, True  # an interrupted run began it
            else:
                digest, resumes = _digest_of(file.path), False
                if known and known.complete and known.digest == digest:
                    touch(self.storage, known.id, file)
                    self.report.unchanged += 1
                    return
            before = Change(file, digest, starts=not resumes, is_picture=False)
            self._results.wait(before)
            inside = self._in_archive if file.kind == "archive" else self._in_video
            try:
                yield from inside(before, known if resumes else None)
            except UserError as error:
                self._unreadable(str(error))
                self._results.wait(Change(file, digest, ends=True, is_picture=False, error=str(error)))
            else:
                self._results.wait(Change(file, digest, ends=True, is_picture=False))
        except OSError as error:  # tried again by the next run
            if self._results.failed:  # it was not the file, but the collection's disk
                raise
            self._unreadable(f"{file.path}: {error.strerror or error}")

    def _in_picture(self, file: SourceFile, known: KnownFile | None) -> Iterator[bytes]:
        with open(file.path, "rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        digest = _digest(data)
        if known and known.digest == digest:
            touch(self.storage, known.id, file)
            self.report.unchanged += 1
            return
        change = Change(file, digest, starts=True, ends=True, picture_digest=digest)
        if len(data) > MAX_BYTES:
            self._refuse(change, f"too large: more than {MAX_BYTES // 1_000_000} MB")
        elif not self._is_known(change, digest):
            self._results.wait(change)
            yield data

    def _in_archive(self, before: Change, known: KnownFile | None) -> Iterator[bytes]:
        archive = PictureArchive(before.file.path)
        try:
            done = self._done("member", known)
            for line in archive.remarks():
                self.say(line)
            for name in archive:
                if name in done:
                    continue
                change = Change(before.file, before.digest, member=name)
                try:
                    data = archive.read(name)
                except PictureError as error:
                    self._refuse(change, str(error))
                    continue
                change.picture_digest = _digest(data)
                if not self._is_known(change, change.picture_digest):
                    self._results.wait(change)
                    yield data
        finally:
            archive.close()

    def _in_video(self, before: Change, known: KnownFile | None) -> Iterator[np.ndarray]:
        after = max(self._done("time", known), default=-1.0)
        for moment, picture in videos.frames(before.file.path, after):
            self._results.wait(Change(before.file, before.digest, time=moment))
            yield picture

    def _done(self, column: str, known: KnownFile | None) -> set:
        """Of which pictures of a file an interrupted run saved the heads."""
        if known is None:
            return set()
        return {value for (value,) in self.storage.query(f"SELECT {column} FROM pictures WHERE file = ?", (known.id,))}

    def _is_known(self, change: Change, digest: bytes) -> bool:
        """Whether the heads of a picture could be taken from a copy of it."""
        found = None if self._results.is_long else same_picture(self.storage, digest)
        if found is None:
            return False
        change.heads, change.embeddings = found[0], unit(found[1])
        self._results.wait(change)
        return True

    def _refuse(self, change: Change, why: str) -> None:
        change.error = why
        self._results.wait(change)
        self._unreadable(f"{change.place}: {why}")

    def _unreadable(self, line: str) -> None:
        self.report.unreadable += 1
        self.say(line)


def _is_unchanged(known: KnownFile | None, file: SourceFile) -> bool:
    return known is not None and known.complete and (known.size, known.mtime_ns) == (file.size, file.mtime_ns)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST).digest()


def _digest_of(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST)).digest()
