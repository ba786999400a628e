"""Groups embeddings by character, without labels.

Each head is linked to the heads most similar to it. Groups begin as single heads, and two linked groups that are each other's
best partner become one, in two stages. First where all heads of both are alike on average (average linkage): that gives pure
groups, but several of a character who is drawn in several ways. Then where the strongest links between the two are strong
enough on average. How many links count depends on the smaller group: a single chance link between two large groups is not
enough, as it would be for single linkage, and heads at the far ends of two groups do not keep them apart. Compared with average
linkage alone and with HDBSCAN in docs/results.md. Memory grows with heads times NEIGHBORS, never with heads times heads.
"""

from typing import Protocol

import numpy as np

NEIGHBORS = 30  # links of a head
# sha256 of the encoder that ALIKE and LIKENESS were chosen with; another release needs them chosen again
CHOSEN_WITH = "651f2f9e57f04a51e8e14c24b3122d31bd624594896c2cf174f8e285d3c1ce53"
# chosen on characters that no encoder was trained on, among others (benchmarks/collection/groups.py)
LINKS = 2  # for each head of the smaller group, links in either direction count twice this often
ALIKE = 0.64  # cosine: mean over all pairs of heads from which two groups are one in the first stage
LIKENESS = 0.69  # cosine: mean of the links that count from which two groups are one in the second stage
BLOCK = 256  # heads that are compared with all others at a time: 3 kB for each of the others
PAIRS = 32_768  # pairs of groups that are compared at a time

Links = tuple[np.ndarray, np.ndarray, np.ndarray]  # from and to: int64 [m], cosines: float32 [m]


def group(embeddings: np.ndarray, decided: np.ndarray | None = None) -> np.ndarray:
    """int64 [n]: the group of each head, from 0, the largest first; -1 for heads that are in no group.

    embeddings: float32 [n, d], unit length. decided: int [n], what is known already: heads with the same number are one
    character, with different numbers they are not; below 0: unknown.
    """
    count = len(embeddings)
    decided = np.full(count, -1) if decided is None else np.asarray(decided, np.int64)
    # what is decided begins as one group
    first = {number: row for row, number in reversed(list(enumerate(decided.tolist()))) if number >= 0}
    start = np.array([first.get(number, row) for row, number in enumerate(decided.tolist())], np.int64)
    _, labels = np.unique(start, return_inverse=True)
    links = nearest(embeddings, min(NEIGHBORS, max(0, count - 1)))

    labels = _merged(labels, links, decided, _Average(embeddings, labels), ALIKE)
    return _ordered(_merged(labels, links, decided, _Strongest(labels), LIKENESS), decided)


def nearest(embeddings: np.ndarray, k: int) -> Links:
    """The k most similar others of each head, compared exactly, BLOCK heads at a time. embeddings: float32 [n, d]."""
    count = len(embeddings)
    others, cosines = np.zeros((count, k), np.int64), np.zeros((count, k), np.float32)
    for start in range(0, count if k else 0, BLOCK):
        part = slice(start, start + BLOCK)
        likeness = embeddings[part] @ embeddings.T
        rows = np.arange(len(likeness))
        likeness[rows, start + rows] = -np.inf
        best = np.argpartition(likeness, -k, axis=1)[:, -k:] if k < count else np.argsort(likeness, axis=1)
        others[part], cosines[part] = best, np.take_along_axis(likeness, best, axis=1)
    return np.repeat(np.arange(count), k), others.ravel(), cosines.ravel()


class _Likeness(Protocol):
    """How alike two groups are. It is kept up to date as groups become one, so that a merge costs what it changes."""

    def __call__(self, pairs: np.ndarray, links: Links) -> np.ndarray:
        """float [p] of pairs of groups, int64 [2, p], in the order of their keys. links: all between these pairs, by groups."""

    def merge(self, kept: np.ndarray, gone: np.ndarray) -> None:
        """These groups, int64 [m], take over the heads of those."""


def _merged(labels: np.ndarray, links: Links, decided: np.ndarray, likeness: _Likeness, least: float) -> np.ndarray:
    """int64 [n]: the labels, from 0, after all merges of groups whose likeness is at least `least`."""
    source, target, cosines = links
    one, two = labels[source], labels[target]
    groups = int(labels.max(initial=-1)) + 1
    owner = np.full(groups, -1)
    owner[labels[decided >= 0]] = decided[decided >= 0]
    now = np.arange(groups)  # the group that each one is part of
    changed = np.ones(groups, bool)
    pairs, found = np.zeros((2, 0), np.int64), np.zeros(0)
    while True:
        useful = (one != two) & (cosines > 0)  # a link that is missing counts as 0; groups only grow
        if not useful.all():
            one, two, cosines = one[useful], two[useful], cosines[useful]
        anew, kept = changed[one] | changed[two], ~changed[pairs].any(axis=0)
        some = one[anew], two[anew], cosines[anew]
        keys = np.unique(_keys(some[0], some[1], groups))
        new = np.stack([keys // groups, keys % groups])
        pairs = np.concatenate([pairs[:, kept], new], axis=1)
        found = np.concatenate([found[kept], likeness(new, some)])
        allowed = (found >= least) & ((owner[pairs] < 0).any(axis=0))  # of two decided groups none is the other's
        if not allowed.any():
            break
        partner = _partners(pairs[:, allowed], found[allowed], groups)
        lower = np.flatnonzero(partner > np.arange(groups))
        lower = lower[partner[partner[lower]] == lower]  # each other's best
        higher = partner[lower]
        likeness.merge(lower, higher)
        owner[lower] = np.maximum(owner[lower], owner[higher])
        joined = np.arange(groups)
        joined[higher] = lower
        now, one, two = joined[now], joined[one], joined[two]
        changed[:] = False
        changed[lower] = changed[higher] = True
    return np.unique(now[labels], return_inverse=True)[1]


def _keys(one: np.ndarray, two: np.ndarray, groups: int) -> np.ndarray:
    """int64 [n]: a number for each pair of groups, in either order."""
    return np.minimum(one, two) * groups + np.maximum(one, two)


class _Average:
    """The mean cosine between a head of one group and a head of the other, which is that of the groups' means."""

    def __init__(self, embeddings: np.ndarray, labels: np.ndarray):
        self._sizes = np.bincount(labels).astype(np.float32)
        self._sums = np.zeros((len(self._sizes), embeddings.shape[1]), np.float32)
        for start in range(0, len(labels), PAIRS):
            np.add.at(self._sums, labels[start : start + PAIRS], embeddings[start : start + PAIRS])

    def __call__(self, pairs: np.ndarray, links: Links) -> np.ndarray:
        found = np.zeros(pairs.shape[1], np.float32)
        for start in range(0, len(found), PAIRS):
            one, two = pairs[:, start : start + PAIRS]
            dots = np.einsum("nd,nd->n", self._sums[one], self._sums[two])
            found[start : start + PAIRS] = dots / (self._sizes[one] * self._sizes[two])
        return found

    def merge(self, kept: np.ndarray, gone: np.ndarray) -> None:
        self._sums[kept] += self._sums[gone]
        self._sizes[kept] += self._sizes[gone]


class _Strongest:
    """The mean of the links between two groups that count: the strongest ones."""

    def __init__(self, labels: np.ndarray):
        self._sizes = np.bincount(labels)

    def __call__(self, pairs: np.ndarray, links: Links) -> np.ndarray:
        one, two, cosines = links
        key = _keys(one, two, len(self._sizes))
        order = np.lexsort((-cosines, key))
        cosines = cosines[order]
        _, starts, counts = np.unique(key[order], return_index=True, return_counts=True)
        smaller = self._sizes[pairs].min(axis=0)
        possible = 2 * self._sizes[pairs].prod(axis=0)  # there is at most a link in each direction
        wanted = np.minimum(2 * LINKS * smaller, possible)
        rank = np.arange(len(cosines)) - np.repeat(starts, counts)
        counted = np.where(rank < np.repeat(wanted, counts), cosines, 0)
        return (np.add.reduceat(counted, starts) if len(starts) else np.zeros(0)) / np.maximum(wanted, 1)

    def merge(self, kept: np.ndarray, gone: np.ndarray) -> None:
        self._sizes[kept] += self._sizes[gone]


def _partners(pairs: np.ndarray, means: np.ndarray, groups: int) -> np.ndarray:
    """int64 [groups]: the best partner of each group, of equal ones the lowest; -1: none. pairs: int64 [2, p], means [p]."""
    own, other = np.concatenate([pairs[0], pairs[1]]), np.concatenate([pairs[1], pairs[0]])
    order = np.lexsort((other, -np.concatenate([means, means]), own))
    own, other = own[order], other[order]
    best = np.flatnonzero(np.diff(own, prepend=-1))
    partner = np.full(groups, -1)
    partner[own[best]] = other[best]
    return partner


def _ordered(labels: np.ndarray, decided: np.ndarray) -> np.ndarray:
    """The labels by the size of their groups, of equal ones the first head's first; -1 for heads alone that nobody decided."""
    if not len(labels):
        return labels
    sizes = np.bincount(labels)
    first = np.full(len(sizes), len(labels))
    np.minimum.at(first, labels, np.arange(len(labels)))
    named = np.zeros(len(sizes), bool)
    named[labels[decided >= 0]] = True
    order = np.lexsort((first, -sizes))
    order = order[(sizes[order] > 1) | named[order]]
    number = np.full(len(sizes), -1)
    number[order] = np.arange(len(order))
    return number[labels]
