"""Open-set recognition: telling strangers from known characters. Scores are unlikeness: larger for strangers."""

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve


def open_set(known: np.ndarray, right: np.ndarray, strangers: np.ndarray) -> dict[str, float]:
    """known [n] and strangers [m]: their unlikeness; right: bool [n], whether the known head's first answer is its character.

    auroc; fpr_95: share of strangers accepted at the threshold that accepts 95 % of the known; oscr: area under the curve of
    known heads accepted and named correctly over strangers accepted (Dhamija et al., Reducing Network Agnostophobia, 2018).
    """
    labels = np.r_[np.ones(len(known)), np.zeros(len(strangers))]
    familiar = -np.r_[known, strangers]
    false, true, _ = roc_curve(labels, familiar, drop_intermediate=False)
    limits = np.unique(familiar)[::-1]
    correct = np.array([((-known >= limit) & right).mean() for limit in limits])
    kept = np.array([(-strangers >= limit).mean() for limit in limits])
    return {
        "auroc": float(roc_auc_score(labels, familiar)),
        "fpr_95": float(false[np.argmax(true >= 0.95)]),
        "oscr": float(np.trapezoid(np.r_[0, correct], np.r_[0, kept])),
    }


def auroc(known: np.ndarray, strangers: np.ndarray) -> float:
    """The probability that a stranger is more unlike than a known head, from their unlikeness [n] and [m]."""
    return float(roc_auc_score(np.r_[np.zeros(len(known)), np.ones(len(strangers))], np.r_[known, strangers]))
