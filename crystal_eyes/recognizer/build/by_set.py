"""How many heads of each set are named right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crystal_eyes.evaluation.top_k import rank_of_truth, top_k_accuracy
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads
from crystal_eyes.recognizer.calibration import Calibration

MEASURES = ("top_1", "top_5", "series_top_1")
COLUMNS = ("set", "characters", "heads", "tested", *MEASURES)


@dataclass(frozen=True)
class Tested:
    """Heads that a classifier was not fitted on."""

    known: KnownCharacters
    heads: LabeledHeads
    rows: np.ndarray  # int [n]: of the table
    temperature: float  # not fitted on these heads


def accuracy_by_set(table: pd.DataFrame, used: np.ndarray, tested: Iterable[Tested]) -> pd.DataFrame:
    """COLUMNS, first a row of all sets, whose name is empty. characters and heads: those in the bundle; tested: their number.

    The most likely series has the largest sum of its characters' probabilities; heads of unknown series do not count for it.
    table: a catalogue's; used: int rows of the heads in the bundle.
    """
    series = table.groupby("character")["series"].first()
    parts = [_answers(one, table["character"].to_numpy(str)[one.rows], series) for one in tested]
    ranks, of_series = (np.concatenate(column) for column in zip(*parts))
    rows = np.concatenate([one.rows for one in tested])
    sets = table["set"].to_numpy(str)
    own = table.iloc[used]
    lines = [_line("", own, ranks, of_series)]
    if len(names := np.unique(sets[used])) > 1:
        lines += [
            _line(name, own[own["set"] == name], ranks[sets[rows] == name], of_series[sets[rows] == name]) for name in names
        ]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _answers(one: Tested, truth: np.ndarray, series: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """int [n]: the rank of the truth; float [n]: 1 where the most likely series is right, nan where the truth is unknown."""
    logits = one.known.logits(one.heads)
    ranks = rank_of_truth(np.argsort(-logits, axis=1, kind="stable")[:, :5], one.known.labels(truth))
    names, of_class = np.unique(series[one.known.names].to_numpy(str), return_inverse=True)
    sums = Calibration(one.temperature).probabilities(logits) @ np.eye(len(names), dtype=np.float32)[of_class]
    sums[:, names == ""] = -1
    right = series[truth].to_numpy(str)
    return ranks, np.where(right == "", np.nan, names[sums.argmax(axis=1)] == right)


def _line(name: str, own: pd.DataFrame, ranks: np.ndarray, of_series: np.ndarray) -> Sequence[str | int | float]:
    measured = [top_k_accuracy(ranks, k) for k in (1, 5)] if len(ranks) else [np.nan, np.nan]
    known = of_series[~np.isnan(of_series)]
    return [name, own["character"].nunique(), len(own), len(ranks), *measured, float(known.mean()) if len(known) else np.nan]
