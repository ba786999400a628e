"""Accuracy per character, and the pairs of characters that a classifier confuses."""

import numpy as np
import pandas as pd


def per_character(truth: np.ndarray, ranks: np.ndarray, learned: np.ndarray) -> pd.DataFrame:
    """One row per character, hardest first: tested pictures, top-1, top-3, top-5 accuracy, whether the encoder saw it.

    truth: names [n]; ranks: int [n], position of the truth among the candidates; learned: names the encoder was trained on.
    """
    table = pd.DataFrame({"character": truth, "seen": np.isin(truth, learned)})
    for k in (1, 3, 5):
        table[f"top_{k}"] = ranks < k
    grouped = table.groupby("character").agg(
        seen_by_encoder=("seen", "all"), pictures=("seen", "size"),
        top_1=("top_1", "mean"), top_3=("top_3", "mean"), top_5=("top_5", "mean"),
    )  # fmt: skip
    return grouped.sort_values(["top_1", "top_5", "pictures"], ascending=[True, True, False]).reset_index()


def confused_pairs(truth: np.ndarray, answers: np.ndarray) -> pd.DataFrame:
    """Pairs of characters that were confused, in either direction, most frequent first.

    truth, answers: names [n]. Columns: character, taken_for, times, share (times / tested pictures of both).
    """
    wrong = truth != answers
    pairs = pd.DataFrame({"character": truth[wrong], "taken_for": answers[wrong]})
    ordered = np.sort(pairs[["character", "taken_for"]].to_numpy(dtype=object).astype(str), axis=1)
    pairs["character"], pairs["taken_for"] = ordered[:, 0], ordered[:, 1]
    counted = pairs.value_counts().rename("times").reset_index()
    tested = pd.Series(truth).value_counts()
    both = sum(counted[side].map(tested).fillna(0).astype(int) for side in ("character", "taken_for"))
    counted["share"] = counted["times"] / both
    return counted.sort_values(["times", "share", "character"], ascending=[False, False, True], ignore_index=True)
