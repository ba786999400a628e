"""A collection on shared storage, as the class Collection."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from crystal_eyes.collection.collection import Collection
from crystal_eyes.collection.results import Report
from crystal_eyes.collection.shared.remote import POINTER, Remote
from crystal_eyes.collection.storage import Storage
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.stored import encoder_of


class Copy(Storage):
    """A copy of a version on this machine, which nobody changes."""

    address = ""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Raises UserError."""
        raise UserError(
            f"the groups of {self.address}, which is on shared storage, can't be changed: index into a folder to do so"
        )
        yield


class SharedCollection(Collection):
    """The newest version as it was when the collection was opened or changed."""

    def __init__(self, remote: Remote, recognizer: Recognizer | None = None):
        """Raises UserError: there is no collection, or the storage can't be used."""
        self._remote, self._used = remote, ExitStack()
        try:
            super().__init__(self._newest(), recognizer)
        except BaseException:
            self._used.close()
            raise

    @classmethod
    def at(cls, address: str, recognizer: Recognizer | None, create: bool) -> "SharedCollection":
        """As Collection.open."""
        remote = Remote(address)
        with remote.newest() as folder:
            is_new = folder is None
        if is_new and create:
            recognizer = recognizer or Recognizer.load()
            with remote.writing(maker(recognizer)):
                pass  # an empty one, so that everybody can read it
        return cls(remote, recognizer)

    @property
    def place(self) -> str:
        return self._remote.address

    def _newest(self) -> Storage:
        folder = self._used.enter_context(self._remote.newest())
        if folder is None:
            raise UserError(f"{self._remote.address} is not a collection: it contains no {POINTER}")
        copy = Copy(folder)
        copy.address = self._remote.address
        return copy

    def close(self) -> None:
        super().close()
        self._used.close()

    def add(
        self, sources: Sequence[str | Path], say: Callable[[str], None] = print, show_progress: bool = False,
        cluster: str | None = None,
    ) -> Report:  # fmt: skip
        """As Collection.add; others see what was added when all of it is there. Raises UserError: as Collection.add, or the
        storage can't be used; what was found is kept on this machine for the next time.
        """
        with self._changing(say) as work:
            report = work.add(sources, say, show_progress, cluster)
        return report

    def forget(self, sources: Sequence[str | Path]) -> int:
        """As Collection.forget."""
        with self._changing(print) as work:
            count = work.forget(sources)
        return count

    @contextmanager
    def _changing(self, say: Callable[[str], None]) -> Iterator[Collection]:
        recognizer = self.recognizer
        with self._remote.writing(maker(recognizer), say) as folder, Collection(Storage(folder), recognizer) as work:
            yield work
        self.close()
        self._used = ExitStack()
        super().__init__(self._newest(), recognizer)


def maker(recognizer: Recognizer) -> Callable[[Path], None]:
    """Makes an empty collection in a folder."""
    encoder, size = encoder_of(recognizer.bundle), recognizer.embed([]).shape[1]
    return lambda folder: Storage.create(folder, encoder, size).close()
