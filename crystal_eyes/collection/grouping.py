"""Groups embeddings by character, without labels.

Each head is linked to the heads most similar to it. Groups begin as single heads, and two linked groups that are each other's
best partner become one, in two stages. First where all heads of both are alike on average (average linkage): that gives pure
groups, but several of a character who is drawn in several ways. Then where the strongest links between the two are strong
enough on average. How many links count depends on the smaller group: a single chance link between two large groups is not
enough, as it would be for single linkage, and heads at the far ends of two groups do not keep them apart. Compared with average
linkage alone and with HDBSCAN in docs/results.md. Memory grows with heads times NEIGHBORS, never with heads times heads.
"""

from collections.abc import Callable

import numpy as np

NEIGHBORS = 30  # links of a head
# chosen on characters that no encoder was trained on, among others (benchmarks/collection/groups.py)
LINKS = 2  # for each head of the smaller group, links in either direction count twice this often
ALIKE = 0.62  # cosine: mean over all pairs of heads from which two groups are one in the first stage
LIKENESS = 0.68  # cosine: mean of the links that count from which two groups are one in the second stage
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

    def average(pairs: np.ndarray, links: Links, labels: np.ndarray) -> np.ndarray:
        return _average(pairs, embeddings, labels)

    labels = _merged(labels, links, decided, average, ALIKE)
    return _ordered(_merged(labels, links, decided, _strongest, LIKENESS), decided)


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


def _merged(
    labels: np.ndarray,
    links: Links,
    decided: np.ndarray,
    likeness: Callable[[np.ndarray, Links, np.ndarray], np.ndarray],
    least: float,
) -> np.ndarray:
    """int64 [n]: the labels, from 0, after all merges of groups whose likeness is at least `least`.

    likeness: float [p] of pairs of groups, given as int64 [2, p], the links between groups, and the labels.
    """
    source, target, cosines = links
    useful = cosines > 0  # a link that is missing counts as 0
    source, target, cosines = source[useful], target[useful], cosines[useful]
    while len(source):
        groups = int(labels.max()) + 1
        apart = labels[source] != labels[target]
        if not apart.all():  # for good: groups only grow
            source, target, cosines = source[apart], target[apart], cosines[apart]
        one, two = labels[source], labels[target]
        keys = np.unique(np.minimum(one, two) * groups + np.maximum(one, two))
        pairs = np.stack([keys // groups, keys % groups])
        owner = np.full(groups, -1)
        owner[labels[decided >= 0]] = decided[decided >= 0]
        found = likeness(pairs, (one, two, cosines), labels)
        allowed = (found >= least) & ((owner[pairs] < 0).any(axis=0))  # of two decided groups none is the other's
        if not allowed.any():
            break
        partner = _partners(pairs[:, allowed], found[allowed], groups)
        mutual = (partner >= 0) & (partner[partner] == np.arange(groups))
        joined = np.where(mutual, np.minimum(partner, np.arange(groups)), np.arange(groups))
        _, labels = np.unique(joined[labels], return_inverse=True)
    return labels


def _average(pairs: np.ndarray, embeddings: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float32 [p]: the mean cosine between a head of one group and a head of the other, which is that of the groups' means."""
    sizes = np.bincount(labels)
    order = np.argsort(labels, kind="stable")
    means = np.add.reduceat(embeddings[order], np.cumsum(sizes) - sizes, axis=0) / sizes[:, None].astype(np.float32)
    found = np.zeros(pairs.shape[1], np.float32)
    for start in range(0, len(found), PAIRS):
        one, two = pairs[:, start : start + PAIRS]
        found[start : start + PAIRS] = np.einsum("nd,nd->n", means[one], means[two])
    return found


def _strongest(pairs: np.ndarray, links: Links, labels: np.ndarray) -> np.ndarray:
    """float [p]: the mean of the links between two groups that count: the strongest ones."""
    one, two, cosines = links
    sizes = np.bincount(labels)
    key = np.minimum(one, two) * len(sizes) + np.maximum(one, two)
    order = np.lexsort((-cosines, key))
    cosines = cosines[order]
    _, starts, counts = np.unique(key[order], return_index=True, return_counts=True)
    smaller, possible = sizes[pairs].min(axis=0), 2 * sizes[pairs].prod(axis=0)  # there is at most a link in each direction
    wanted = np.minimum(2 * LINKS * smaller, possible)
    rank = np.arange(len(cosines)) - np.repeat(starts, counts)
    counted = np.where(rank < np.repeat(wanted, counts), cosines, 0)
    return (np.add.reduceat(counted, starts) if len(starts) else np.zeros(0)) / np.maximum(wanted, 1)


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
