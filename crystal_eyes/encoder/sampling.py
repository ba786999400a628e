"""Which heads make the batches of an epoch."""

import numpy as np
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions

EVERY = -1  # the group of all rows


def epoch_rows(
    labels: np.ndarray, groups: np.ndarray, one_group: float, per_class: int, batch: int, steps: int, seed: int
) -> np.ndarray:
    """int64 [steps * batch]: rows of steps batches, each per_class heads of batch / per_class characters.

    labels, groups: int [n], a character's rows all in one group, and in each group enough characters for a batch (joined sees
    to it). one_group: the share of batches that are of one group, drawn by how many characters it has; the others are of
    all. So each character comes as often as any other.
    """
    rng = np.random.default_rng(seed)
    common_functions.NUMPY_RANDOM.seed(seed % 2**32)
    sizes = [len(np.unique(labels[groups == group])) for group in range(int(groups.max()) + 1)]
    drawn = rng.choice(len(sizes), steps, p=np.divide(sizes, sum(sizes)))
    drawn[rng.random(steps) >= one_group] = EVERY
    rows = np.zeros((steps, batch), np.int64)
    for group in np.unique(drawn):
        mine, turns = np.flatnonzero((groups == group) | (group == EVERY)), np.flatnonzero(drawn == group)
        sampler = MPerClassSampler(labels[mine], per_class, batch, length_before_new_iter=len(turns) * batch)
        rows[turns] = mine[list(sampler)].reshape(len(turns), batch)
    return rows.ravel()


def joined(labels: np.ndarray, sets: np.ndarray, characters: int) -> np.ndarray:
    """int64 [n]: the group of each row, its set; sets of fewer than so many characters are one group together.

    labels: int [n]; sets: str [n]. There are at least so many characters in all.
    """
    groups = np.unique(sets, return_inverse=True)[1]
    sizes = np.array([len(np.unique(labels[groups == group])) for group in range(groups.max() + 1)])
    small = sizes < characters
    if 0 < sizes[small].sum() < characters:
        small[np.argmin(np.where(small, np.inf, sizes))] = True
    return np.unique(np.where(small[groups], -1, groups), return_inverse=True)[1]
