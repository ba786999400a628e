"""Pictures looked at by the workers of a Ray cluster. Nobody imports this unless a cluster is asked for."""

import socket
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from crystal_eyes.collection import videos
from crystal_eyes.collection.changes import Change
from crystal_eyes.collection.looking import Part, found, look_into
from crystal_eyes.errors import UserError
from crystal_eyes.fleet.cluster import connected
from crystal_eyes.fleet.pool import Pool
from crystal_eyes.fleet.worker import Job, code_digest
from crystal_eyes.recognizer.bundle import DETECTOR, ENCODER, Bundle
from crystal_eyes.recognizer.embedding import Embedder

AT_ONCE = 32  # pictures of a task
PIECES = 100  # of an archive, at most: each worker that has one reads the archive's list of members
MOST_HELD = 20_000  # changes that wait for a task before them
Task = list[Part]


class LookAtPictures:
    """Finds and embeds the heads of one task's pictures."""

    def __init__(self, detector: bytes, encoder: bytes, known: np.ndarray, gpu: bool = False):
        """known: as changes.known_digests."""
        with tempfile.TemporaryDirectory() as folder:
            files = Path(folder, DETECTOR), Path(folder, ENCODER)
            for file, data in zip(files, (detector, encoder)):
                file.write_bytes(data)
            self.embedder = Embedder(*files, threads=1, gpu=gpu)
        self.embedder.at_once = 1  # a worker has one CPU
        self.on_gpu, self.known = self.embedder.on_gpu, known

    def __call__(self, task: Task) -> list[Change]:
        """The changes of its parts. Of a picture that is known by its digest the heads are missing."""
        changes: list[Change] = []
        waiting: deque[Change] = deque()

        def pictures() -> Iterator[bytes | np.ndarray]:
            for part in task:
                if part.file.kind == "video" and not videos.available():
                    raise UserError(f"machine {socket.gethostname()} can't read videos: {videos.EXTRA} on every machine")
                for change, picture in look_into(part, self._is_known):
                    changes.append(change)
                    if picture is not None:
                        waiting.append(change)
                        yield picture

        for result in self.embedder.embed_many(pictures()):
            found(waiting.popleft(), result)
        return changes

    def _is_known(self, change: Change) -> bool:
        short = np.frombuffer(change.picture_digest or b"", self.known.dtype, count=1)
        place = int(np.searchsorted(self.known, short)[0])
        return place < len(self.known) and bool(self.known[place] == short[0])


def look(
    address: str, bundle: Bundle, known: np.ndarray, samples: list[str], parts: Iterator[Part], total: int,
    accept: Callable[[Change], None],
) -> Generator[None]:  # fmt: skip
    """Have parts of files looked at; an item for each picture.

    address: of the cluster, see fleet.cluster. samples: paths that every machine has to see. total: about how many pictures
    there are. accept: called with the changes, in the order of the files, but for those that would wait too long for a part
    that takes long; those of one file are always in order. Raises UserError as Pool does; what was found is accepted before.
    """
    open_tasks: dict[int, set[Path]] = {}  # their files; those that were given and not accepted
    done: dict[int, list[Change]] = {}
    accepting = False

    def tasks() -> Iterator[Task]:
        for number, task in enumerate(_tasks(parts)):
            open_tasks[number] = {part.file.path for part in task}
            yield task

    def ready(in_order: bool) -> Iterator[Change]:
        blocked: set[Path] = set()  # files of which an earlier part is missing
        for number, files in list(open_tasks.items()):
            if number in done and not files & blocked:
                del open_tasks[number]
                yield from done.pop(number)
            elif in_order:
                return
            else:
                blocked |= files

    with connected(address):
        job = Job(LookAtPictures, samples, code_digest(), gpu=True)
        given = {name: (bundle.trained / file).read_bytes() for name, file in (("detector", DETECTOR), ("encoder", ENCODER))}
        pool = Pool(job, given | {"known": known}, tasks(), -(-total // AT_ONCE), _name)
        with closing(pool.results()) as results:
            try:
                for number, changes in results:
                    done[number] = changes
                    in_order = sum(map(len, done.values())) <= MOST_HELD
                    accepting = True
                    for change in ready(in_order):
                        accept(change)
                        if change.is_picture:
                            yield
                    accepting = False
            finally:
                if not accepting:  # else a task was accepted in part, and what follows it would look complete
                    for change in ready(in_order=False):
                        accept(change)


def _name(number: int, task: Task) -> str:
    first = task[0].file.path
    return str(first) if len(task) == 1 else f"{first} or one of the {len(task) - 1} files after it"


def _tasks(parts: Iterator[Part]) -> Iterator[Task]:
    task: Task = []
    count = 0  # pictures
    for whole in parts:
        for part in _pieces(whole):
            task.append(part)
            count += AT_ONCE if part.file.kind == "video" else max(1, len(part.names))
            if count >= AT_ONCE:
                yield task
                task, count = [], 0
    if task:
        yield task


def _pieces(part: Part) -> Iterator[Part]:
    names = part.names
    size = max(AT_ONCE, -(-len(names) // PIECES))
    for start in range(0, max(1, len(names)), size):
        some, is_last = names[start : start + size], start + size >= len(names)
        yield part._replace(names=some, starts=part.starts and not start, ends=is_last)
