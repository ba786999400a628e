"""One indexing run: looks at files that are new or have changed, and forgets those that are gone."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from crystal_eyes.collection import videos
from crystal_eyes.collection.archives import PictureArchive
from crystal_eyes.collection.changes import (
    Change,
    KnownFile,
    forget,
    known_digests,
    known_files,
    known_folders,
    pictures_in,
    same_picture,
)
from crystal_eyes.collection.looking import Part, digest_of_file, found, look_into, unchanged, unread
from crystal_eyes.collection.opening import read_picture
from crystal_eyes.collection.places import address, is_stored
from crystal_eyes.collection.results import Report, Results
from crystal_eyes.collection.sources import SourceFile, Sources, missing_error
from crystal_eyes.collection.storage import Storage
from crystal_eyes.errors import UserError
from crystal_eyes.images import PictureError
from crystal_eyes.progress import track
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.vectors import unit


class Indexing:
    """A run over some sources.

    say: called with each line about something that is not as it should be. cluster: address of the Ray cluster whose machines
    look at the pictures, see fleet.cluster; None: this machine does.
    """

    def __init__(
        self, storage: Storage, recognizer: Recognizer, sources: Sources, say: Callable[[str], None],
        cluster: str | None = None,
    ):  # fmt: skip
        self.storage, self.recognizer, self.sources, self.say = storage, recognizer, sources, say
        self.cluster = cluster
        self.report = Report()
        self._results = Results(storage, self.report, say)
        self._with_files: set[Path] = set()  # roots
        self._gone: list[int] = []  # files
        self._videos_skipped = 0
        self._samples: dict[Path, str] = {}  # by what was given: a file that is to be looked at

    def run(self, show_progress: bool = True) -> Report:
        """Raises UserError: nothing that was given exists; OSError: the disk is full."""
        self._find_missing()
        total = self._count()
        is_here = self.cluster is None or not total
        try:
            with closing(self._look() if is_here else self._look_on_cluster(total)) as looked:
                for _ in track(looked, total, "index", "pictures") if show_progress and total else looked:
                    pass
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
                    root = next((one for one in self.sources.roots if folder.is_relative_to(one)), folder)
                    self._samples.setdefault(root, address(file.path))
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

    def _look(self) -> Generator[None]:
        """Look at all pictures; an item for each in which heads were searched."""
        for result in self.recognizer.embed_many(self._pictures()):
            self._results.take(result)
            yield

    def _look_on_cluster(self, total: int) -> Generator[None]:
        from crystal_eyes.collection.cluster import look  # which imports Ray

        def accept(change: Change) -> None:
            if change.needs_result and not self._copied(change):  # its copy was replaced meanwhile
                change = self._look_here(change)
            self._results.wait(change)

        bundle, known = self.recognizer.bundle, known_digests(self.storage)
        return look(self.cluster or "", bundle, known, list(self._samples.values()), self._parts(), total, accept)

    def _look_here(self, change: Change) -> Change:
        try:
            (result,) = self.recognizer.embed_many([read_picture(change.place)])
        except PictureError as error:
            result = error
        except OSError as error:
            return unread(change.file, error)
        found(change, result)
        return change

    def _pictures(self) -> Iterator[bytes | np.ndarray]:
        """The pictures to look at; for each a change waits in _results."""
        for part in self._parts():
            for change, picture in look_into(part, self._copied):
                self._results.wait(change)
                if picture is not None:
                    yield picture

    def _parts(self) -> Iterator[Part]:
        """What is to be looked at."""
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
                yield from self._parts_of(file, known.get(file.path.name))
        self._find_gone(visited)

    def _find_missing(self) -> None:
        """Note the files that were given and are gone. Raises UserError: the collection does not know what was given either."""
        known = known_folders(self.storage) if self.sources.missing else []
        for path in self.sources.missing:
            below = [one for one in known if one.is_relative_to(path)]
            one = known_files(self.storage, path.parent).get(path.name) if is_stored(path) or path.parent.is_dir() else None
            if one and not below:
                self._gone.append(one.id)
            elif below:
                self._keep(path, below, "does not exist")
            else:
                raise missing_error(path)

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
            if not below and root not in self._with_files and root not in unreadable:
                self.say(f"{address(root)} contains no pictures, archives or videos")
            for folder in below:
                if folder not in visited and not any(folder.is_relative_to(one) for one in unreadable):
                    self._gone += [file.id for file in known_files(self.storage, folder).values()]
        self._gone = list(dict.fromkeys(self._gone))

    def _keep(self, path: Path, folders: list[Path], why: str) -> None:
        self.report.kept += 1
        count = pictures_in(self.storage, folders)
        self.say(f"{address(path)} {why} (is its disk mounted?): the collection keeps the {count} pictures that it has of it")

    # one file

    def _parts_of(self, file: SourceFile, known: KnownFile | None) -> Iterator[Part]:
        if _is_unchanged(known, file):
            self.report.unchanged += 1
            self.report.unreadable_before += bool(known and known.error)
        elif file.kind == "picture":
            yield Part(file, known)
        elif file.kind == "video" and not videos.available():
            self._videos_skipped += 1
        else:
            try:
                parts = self._in_file(file, known)
            except OSError as error:
                parts = unread(file, error)
            if isinstance(parts, Change):
                self._results.wait(parts)
            else:
                yield from parts

    def _in_file(self, file: SourceFile, known: KnownFile | None) -> list[Part] | Change:
        """The parts of an archive or a video, or why it is not looked at. Raises OSError: it can't be read at the moment."""
        if known and not known.complete and (known.size, known.mtime_ns) == file[1:]:
            digest, resumes = known.digest, True  # an interrupted run began it
        else:
            digest, resumes = digest_of_file(file.path), False
            if known and known.complete and known.digest == digest:
                return unchanged(file, known)
        known = known if resumes else None
        if file.kind == "video":
            after = max(self._done("time", known), default=-1.0)
            return [Part(file, digest=digest, after=after, starts=not resumes)]
        try:
            archive = PictureArchive(file.path)
        except UserError as error:
            return Change(file, digest, not resumes, ends=True, is_picture=False, error=str(error))
        archive.close()
        for line in archive.remarks():
            self.say(line)
        done = self._done("member", known)
        return [Part(file, digest=digest, names=tuple(name for name in archive if name not in done), starts=not resumes)]

    def _done(self, column: str, known: KnownFile | None) -> set:
        """Of which pictures of a file an interrupted run saved the heads."""
        if known is None:
            return set()
        return {value for (value,) in self.storage.query(f"SELECT {column} FROM pictures WHERE file = ?", (known.id,))}

    def _copied(self, change: Change) -> bool:
        """Whether the heads of a picture could be taken from a copy of it."""
        if self._results.is_long or not change.picture_digest:
            return False
        copy = same_picture(self.storage, change.picture_digest)
        if copy is None:
            return False
        change.heads, change.embeddings = copy[0], unit(copy[1])
        return True


def _is_unchanged(known: KnownFile | None, file: SourceFile) -> bool:
    return known is not None and known.complete and (known.size, known.mtime_ns) == (file.size, file.mtime_ns)
