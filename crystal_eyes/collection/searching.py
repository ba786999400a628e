"""Searches in a collection: the heads that show the same character as a given head, or a character of the bundle."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crystal_eyes.collection.places import Place
from crystal_eyes.collection.storage import Storage, StoredHead
from crystal_eyes.recognizer.calibration import known_probability, verdict
from crystal_eyes.recognizer.enrolled_unlikeness import cohort_of
from crystal_eyes.recognizer.naming import Naming, cosines, mean_embedding
from crystal_eyes.recognizer.recognizer import CANDIDATES as NAMED
from crystal_eyes.vectors import Part, nearest, unit

ATTEMPTS = 10  # to search a collection while it changes
AT_ONCE = 200  # heads that are looked up together
ALIKE = {"known": "close", "unsure": "perhaps", "unknown": "unlike"}  # by the recognizer's verdict


@dataclass(frozen=True)
class Match:
    """A picture of the collection that may show the character, by the head in it that is most like the one searched."""

    head: int  # its id
    place: Place
    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the upright picture
    whole_picture: bool  # the picture is itself a head crop
    similarity: float  # cosine of the embeddings, from -1 to 1
    likeness: float  # from 0 to 1: probability that it is the same character, if as many strangers are compared as heads of it
    verdict: str  # close: at most 2 in 100 heads of other characters are; perhaps; unlike: at most 5 in 100 of the same are
    also: tuple[Place, ...] = ()  # copies of the picture; other moments of the video

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return self.place.as_dict() | {
            "box": list(self.box), "whole_picture": self.whole_picture, "similarity": self.similarity,
            "likeness": self.likeness, "verdict": self.verdict, "also": [one.as_dict() for one in self.also],
        }  # fmt: skip


class Searcher:
    """Searches one collection. Safe to use from several threads."""

    def __init__(self, storage: Storage, threads: int):
        self._storage = storage
        self._pool = ThreadPoolExecutor(threads)

    def close(self) -> None:
        self._pool.shutdown(wait=False)

    def nearest(self, query: np.ndarray, count: int) -> tuple[list[StoredHead], np.ndarray]:
        """The heads most similar to an embedding float32 [d], best first, in at least `count` pictures if there are as many
        among the vectors.CANDIDATES best; and their cosines float32 [n].
        """
        for _ in range(ATTEMPTS - 1):
            state = self._storage.state()
            found = self._nearest(query, count)
            if self._storage.state() is state:
                break
        else:  # it changes all the time: rows that were given to another head meanwhile are few
            found = self._nearest(query, count)
        return found

    def _nearest(self, query: np.ndarray, count: int) -> tuple[list[StoredHead], np.ndarray]:
        state = self._storage.state()
        stored, signs = self._storage.vectors.open(state.rows)
        rows, similarities = nearest([Part(stored, signs, state.dead)], np.asarray(query, np.float32), self._pool)
        heads: list[StoredHead] = []
        order: list[int] = []
        pictures: set[Any] = set()
        for start in range(0, len(rows), AT_ONCE):
            by_row = self._storage.heads_at(rows[start : start + AT_ONCE].tolist())
            for place in range(start, min(start + AT_ONCE, len(rows))):
                if head := by_row.get(int(rows[place])):
                    heads.append(head)
                    order.append(place)
                    pictures.add(_same(head))
            if len(pictures) >= count:
                break
        return heads, similarities[order]

    def embeddings(self, heads: list[StoredHead]) -> np.ndarray:
        """float32 [n, d]."""
        return unit(self._storage.embeddings([head.row for head in heads]))


def by_head(searcher: Searcher, naming: Naming, query: np.ndarray, monochrome: bool, count: int) -> list[Match]:
    """At most `count` pictures that may show the character of a head, best first.

    query: float32 [d]; monochrome: whether the head is line art or gray. The head is compared as a character that was
    enrolled from it alone: see enrolled_unlikeness.
    """
    heads, similarities = searcher.nearest(query, count)
    if not heads:
        return []
    line = np.array([head.monochrome or monochrome for head in heads], bool)
    means = naming.means[: naming.trained]
    cohort = cohort_of(cosines(searcher.embeddings(heads), means))
    p_values, shares = naming.enrolled_unlikeness(similarities, similarities[:, None], cohort, line)
    verdicts = [ALIKE[verdict(p, share)] for p, share in zip(p_values, shares)]
    return distinct(heads, similarities, known_probability(p_values, shares), verdicts)[:count]


def by_label(searcher: Searcher, naming: Naming, label: int, count: int) -> list[Match]:
    """At most `count` pictures that may show a character of the bundle, the most probable first.

    Heads near to the mean of its reference heads are named as the recognizer names them.
    """
    references = naming.gallery.embeddings[naming.gallery_labels == label]
    mean = mean_embedding(np.concatenate([references, naming.means[label][None]]))
    heads, similarities = searcher.nearest(mean, max(5 * count, AT_ONCE))
    if not heads:
        return []
    named = naming(searcher.embeddings(heads), np.array([head.monochrome for head in heads], bool))
    probabilities = named.probabilities[:, label]
    first = named.probabilities.argmax(axis=1) == label
    among = np.array([label in row for row in np.argsort(-named.probabilities, axis=1)[:, :NAMED]])
    verdicts = []
    for row in range(len(heads)):
        its = verdict(float(named.p_values[row]), float(named.stranger_shares[row]))
        is_perhaps = among[row] and its != "unknown"
        verdicts.append(ALIKE[its] if first[row] else "perhaps" if is_perhaps else "unlike")
    order = np.lexsort((-similarities, -probabilities))
    ordered = [heads[row] for row in order]
    return distinct(ordered, similarities[order], probabilities[order], [verdicts[row] for row in order])[:count]


def distinct(heads: list[StoredHead], similarities: np.ndarray, likeness: np.ndarray, verdicts: list[str]) -> list[Match]:
    """One match a picture, by its first head; copies of a picture are one, and moments of a video too."""
    found: dict[Any, Match] = {}
    also: dict[Any, dict[Place, None]] = {}  # in their order, each once
    for row, head in enumerate(heads):
        key = _same(head)
        if key not in found:
            found[key] = Match(head.id, head.place, head.box, head.whole_picture, min(1.0, float(similarities[row])),
                               float(likeness[row]), verdicts[row])  # fmt: skip
            also[key] = {}
        elif verdicts[row] != "unlike" and head.place != found[key].place:
            also[key][head.place] = None
    return [replace(match, also=tuple(also[key])) for key, match in found.items()]


def percent(likeness: float) -> str:
    """Rounded down: a likeness is never certain."""
    return f"{int(100 * likeness)}%"


def _same(head: StoredHead) -> Any:
    """Equal for heads whose pictures are shown as one."""
    return head.place.file if head.place.time is not None else head.digest or head.picture
