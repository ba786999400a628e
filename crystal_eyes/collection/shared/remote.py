"""The newest version of a shared collection as a folder on this machine, and a changed folder as its next version.

collection.json  what the newest version consists of: written last, in one step, so that readers see a version as a whole
pieces/          the pieces of its files, and of those of the version before
lock             held by the process that changes the collection

On this machine, in the user's cache folder: a folder for each version that is in use, and one in which the next is prepared,
which an interrupted run goes on with.
"""

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from crystal_eyes.collection.shared.bucket import Bucket, ChangedError, Object
from crystal_eyes.collection.shared.lease import LEASE, only_writer
from crystal_eyes.collection.shared.pieces import Piece, Version, assemble, digest_of, in_parallel, read, version_of
from crystal_eyes.errors import UserError
from crystal_eyes.paths import cache_home

POINTER, PIECES = "collection.json", "pieces/"
WORK, BASE, USED = "work", "base.json", "used"
ATTEMPTS = 5  # to read a collection while others change it


def is_shared(place: str | Path) -> bool:
    """Whether a collection is on shared storage."""
    return str(place).lower().startswith("s3:/")


class Remote:
    """A shared collection. Raises UserError where its storage can't be used, in all methods."""

    def __init__(self, address: str):
        self.bucket = Bucket(re.sub("^s3:/+", "s3://", address, flags=re.IGNORECASE))  # a Path has one slash
        self.address = self.bucket.address
        name = hashlib.blake2b(f"{self.bucket.endpoint} {self.address}".encode(), digest_size=12).hexdigest()
        self._home = cache_home() / "collections" / name

    @contextmanager
    def newest(self) -> Iterator[Path | None]:
        """Context: a folder with the files of the newest version, which is not changed; None: there is no collection."""
        for attempt in range(ATTEMPTS):
            pointer = self.bucket.get(POINTER)
            if pointer is None:
                yield None
                return
            folder = self._home / f"version-{digest_of(pointer.data)}"
            try:
                if not folder.is_dir():
                    self._fetch(pointer, folder)
            except MissingError:
                if attempt == ATTEMPTS - 1 or (again := self.bucket.get(POINTER)) and again.data == pointer.data:
                    raise
                continue
            if used := _use(folder):
                with used:
                    self._remove_others(folder)
                    yield folder
                return
        raise UserError(f"the collection {self.address} changes all the time: try again")

    @contextmanager
    def writing(self, make: Callable[[Path], None], say: Callable[[str], None] = print) -> Iterator[Path]:
        """Context: a folder with a collection to change, which becomes the next version if the context ends without an error.

        make: makes an empty collection in a new folder. Raises UserError: another process changes it.
        """
        with self._alone(), only_writer(self.bucket) as require:
            pointer, folder = self.bucket.get(POINTER), self._home / WORK
            base = (folder / BASE).read_bytes() if (folder / BASE).is_file() else None
            if pointer is None:
                others = [one for one in self.bucket.names(most=5) if one != LEASE and not one.startswith(PIECES)]
                if others:
                    raise UserError(f"{self.address} is not a collection and not empty ({others[0]}): choose a new folder")
                if base and version_of(folder).to_bytes() != base:  # the storage was emptied while a run was under way
                    say(f"{self.address} holds no collection any more: all that this machine has of it is sent again")
                    base = b""
            if not folder.is_dir() or base != (pointer.data if pointer else b""):
                if base:
                    say(f"{self.address} was changed elsewhere since the last run here: going on from there")
                self._begin(folder, pointer, make)
            yield folder
            require()
            self._publish(folder, pointer)

    def _begin(self, folder: Path, pointer: Object | None, make: Callable[[Path], None]) -> None:
        part = folder.with_name(f"{WORK}.part")
        if pointer:
            self._assemble(pointer, part)
            (part / BASE).write_bytes(pointer.data)
        else:
            shutil.rmtree(part, ignore_errors=True)
            make(part)
            (part / BASE).write_bytes(b"")
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)

    def _publish(self, folder: Path, before: Object | None) -> None:
        version = version_of(folder)
        data = version.to_bytes()
        if before and before.data == data:
            return
        there = set(self.bucket.names(PIECES))
        missing = {one.digest: one for one in version.pieces if f"{PIECES}{one.digest}" not in there}

        def send(piece: Piece) -> None:
            content = read(folder, piece)
            if content is None:
                raise UserError(f"{folder / piece.file} was changed while it was sent: run it again")
            self.bucket.put(f"{PIECES}{piece.digest}", content)

        in_parallel(send, missing.values(), "send the collection")
        try:
            self.bucket.put(POINTER, data, before.tag if before else None)
        except ChangedError:
            raise UserError(f"another process has changed the collection {self.address} meanwhile: run it again") from None
        (folder / BASE).write_bytes(data)
        kept = {one.digest for one in version.pieces}
        if before:  # some are reading it
            kept |= {one.digest for one in Version.from_bytes(before.data, self.address).pieces}
        for name in there:
            if name.removeprefix(PIECES) not in kept:
                self.bucket.delete(name)

    def _fetch(self, pointer: Object, folder: Path) -> None:
        with self._locked("fetching", fcntl.LOCK_EX):
            if folder.is_dir():  # another process was faster
                return
            part = folder.with_name(f"{folder.name}.part")
            for other in self._home.glob("version-*.part"):  # that an interrupted process left
                if other != part:
                    shutil.rmtree(other, ignore_errors=True)
            self._assemble(pointer, part)
            (part / POINTER).write_bytes(pointer.data)
            (part / USED).touch()
            part.rename(folder)

    def _assemble(self, pointer: Object, folder: Path) -> None:
        """Write a version's files to a folder, from other folders of this machine as far as they have its pieces."""
        here: dict[str, tuple[Path, Piece]] = {}
        for path in [*self._home.glob(f"version-*/{POINTER}"), self._home / WORK / BASE]:
            with suppress(OSError, UserError):
                for piece in Version.from_bytes(path.read_bytes(), self.address).pieces:
                    here[piece.digest] = path.parent, piece

        def fetch(piece: Piece) -> bytes:
            data = read(*here[piece.digest]) if piece.digest in here else None
            if data is None:
                found = self.bucket.get(f"{PIECES}{piece.digest}")
                data = found.data if found else None
            if data is None or digest_of(data) != piece.digest:
                raise MissingError(f"the collection {self.address} is damaged: {PIECES}{piece.digest} is missing or changed")
            return data

        assemble(Version.from_bytes(pointer.data, self.address), folder, fetch)

    def _remove_others(self, folder: Path) -> None:
        """Remove versions that no process uses any more."""
        for path in self._home.glob(f"version-*/{USED}"):
            if path.parent != folder and (used := _use(path.parent, fcntl.LOCK_EX | fcntl.LOCK_NB)):
                with used:
                    shutil.rmtree(path.parent, ignore_errors=True)

    @contextmanager
    def _locked(self, what: str, operation: int) -> Iterator[None]:
        """Context: no other process of this machine does the same. Raises BlockingIOError."""
        self._home.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._home / f"{what}.lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, operation)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Context: no other process changes the collection. Raises UserError: one does."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self._locked("changing", fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                raise UserError(
                    f"another process of this machine is changing the collection {self.address}: wait until it has finished"
                ) from None
            yield


def _use(folder: Path, operation: int = fcntl.LOCK_SH) -> BinaryIO | None:
    """An open file that says that a version is in use; None: it is gone, or others use it."""
    try:
        used = open(folder / USED, "rb")
    except OSError:
        return None
    try:
        fcntl.flock(used, operation)
        if (folder / USED).exists():  # it was not removed meanwhile
            return used
    except BlockingIOError:
        pass
    used.close()
    return None


class MissingError(UserError):
    """A piece is missing or has another content."""
