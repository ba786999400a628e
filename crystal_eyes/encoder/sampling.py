"""Selects the heads for the batches of an epoch."""

import numpy as np
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions

ALL_GROUPS = -1


def epoch_rows(
    labels: np.ndarray, groups: np.ndarray, same_group_share: float, per_class: int, batch: int, steps: int, seed: int
) -> np.ndarray:
    """int64 [steps * batch]: the rows of `steps` batches, each with per_class heads of batch / per_class characters.

    labels, groups: int [n]; a character's rows are all in one group, and each group has enough characters for a batch
    (group_by_set makes such groups). same_group_share: share of batches that draw from one group only; these groups are
    drawn in proportion to their number of characters, so every character is equally frequent.
    """
    rng = np.random.default_rng(seed)
    common_functions.NUMPY_RANDOM.seed(seed % 2**32)
    sizes = [len(np.unique(labels[groups == group])) for group in range(int(groups.max()) + 1)]
    drawn = rng.choice(len(sizes), steps, p=np.divide(sizes, sum(sizes)))
    drawn[rng.random(steps) >= same_group_share] = ALL_GROUPS
    rows = np.zeros((steps, batch), np.int64)
    for group in np.unique(drawn):
        candidates, batches = np.flatnonzero((groups == group) | (group == ALL_GROUPS)), np.flatnonzero(drawn == group)
        sampler = MPerClassSampler(labels[candidates], per_class, batch, length_before_new_iter=len(batches) * batch)
        rows[batches] = candidates[list(sampler)].reshape(len(batches), batch)
    return rows.ravel()


def group_by_set(labels: np.ndarray, sets: np.ndarray, characters: int) -> np.ndarray:
    """int64 [n]: the group of each row. A group is a set; sets with fewer than `characters` characters are merged into one.

    labels: int [n], with at least `characters` different ones; sets: str [n].
    """
    groups = np.unique(sets, return_inverse=True)[1]
    sizes = np.array([len(np.unique(labels[groups == group])) for group in range(groups.max() + 1)])
    small = sizes < characters
    if 0 < sizes[small].sum() < characters:
        small[np.argmin(np.where(small, np.inf, sizes))] = True
    return np.unique(np.where(small[groups], -1, groups), return_inverse=True)[1]
