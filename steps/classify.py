"""classify: fit one classifier on the training part, measure it on the test part."""

import time
from collections.abc import Mapping
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from PIL import Image

from crystal_eyes import classifiers
from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.embeddings import read_embeddings
from crystal_eyes.errors import UserError
from crystal_eyes.evaluation.confusions import confused_pairs, per_character
from crystal_eyes.evaluation.metrics import bootstrap_interval, rank_of_truth, top_k_accuracy
from crystal_eyes.images import flatten, open_picture
from pipeline.contact_sheets import contact_sheet
from pipeline.metric_names import metric_name
from pipeline.parameters.steps import Classify
from pipeline.step import run_step

CANDIDATES = 5
PAIRS = 12  # most confused pairs shown
GRID = 24  # right and wrong answers shown, half each


def classify(config: Classify, inputs: Mapping[str, Path | None], workspace: Path) -> dict[str, Path]:
    embeddings, arrow = read_embeddings(inputs["embeddings"])
    table = arrow.to_pandas()
    train = np.flatnonzero(table["classifier_split"] == "train")
    names, labels = np.unique(table["character"].iloc[train].to_numpy(dtype=str), return_inverse=True)
    known = table["character"].isin(names)
    test = np.flatnonzero((table["classifier_split"] == "test") & known)
    if len(names) < 2 or not len(test):
        raise UserError(f"{len(names)} characters to learn, {len(test)} pictures to test on: run prepare on more pictures")

    classifier = classifiers.create(config)
    print(f"{config.classifier}: fits {len(train)} embeddings of {len(names)} characters", flush=True)
    start = time.perf_counter()
    classifier.fit(embeddings[train], labels)
    fit_seconds = time.perf_counter() - start
    start = time.perf_counter()
    candidates, scores = classifier.top_k(embeddings[test], CANDIDATES)
    query_seconds = time.perf_counter() - start
    folder = workspace / "classifier"
    classifier.save(folder)
    pd.Series(names, name="character").to_csv(folder / "characters.csv", index_label="label")

    tested = table.iloc[test].reset_index(drop=True)
    truth = tested["character"].to_numpy(dtype=str)
    ranks = rank_of_truth(candidates, np.searchsorted(names, truth))
    answers = names[candidates[:, 0]]
    log_accuracy(ranks, tested, config.seed)
    model_bytes = sum(f.stat().st_size for f in folder.iterdir() if f.name != "characters.csv")
    mlflow.log_metrics({"fit_seconds": fit_seconds, "queries_per_second": len(test) / query_seconds,
                        "model_bytes": model_bytes, "characters": len(names), "pictures_tested": len(test)})  # fmt: skip
    learned = table["character"][table["encoder_split"] == "train"].unique()
    mlflow.log_text(per_character(truth, ranks, learned).to_csv(index=False), "per_character.csv")
    pairs = confused_pairs(truth, answers)
    mlflow.log_text(pairs.to_csv(index=False), "confused_pairs.csv")
    catalogue = Catalogue(inputs["catalogue"])
    if len(pairs):
        mlflow.log_image(pairs_sheet(catalogue, tested, answers, pairs.head(PAIRS)), "confused_pairs.png")
    mlflow.log_image(answers_sheet(catalogue, tested, answers, scores[:, 0], config.seed), "answers.png")
    return {"classifier": folder}


def log_accuracy(ranks: np.ndarray, tested: pd.DataFrame, seed: int) -> None:
    """top-1/3/5 with intervals; the same for characters that no part of the encoder's training saw, and for each set."""
    characters = tested["character"].to_numpy()
    for k in (1, 3, 5):
        low, high = bootstrap_interval(ranks < k, characters, seed)
        mlflow.log_metrics({f"top_{k}": top_k_accuracy(ranks, k), f"top_{k}_low": low, f"top_{k}_high": high})
        print(f"top-{k} {top_k_accuracy(ranks, k):.3f} (95 % interval {low:.3f} to {high:.3f})")
        unseen = (tested["encoder_split"] == "test").to_numpy()
        if unseen.any():
            mlflow.log_metric(f"top_{k}_unseen", top_k_accuracy(ranks[unseen], k))
        if tested["set"].nunique() > 1:
            for name, rows in tested.groupby("set"):
                mlflow.log_metric(metric_name(f"top_{k}/{name or 'none'}"), top_k_accuracy(ranks[rows.index], k))


def picture(catalogue: Catalogue, row: pd.Series) -> Image.Image:
    return flatten(open_picture(catalogue.read(int(row["offset"]), int(row["length"]), row["digest"])))


def pairs_sheet(catalogue: Catalogue, tested: pd.DataFrame, answers: np.ndarray, pairs: pd.DataFrame) -> Image.Image:
    """Two pairs a row: up to two pictures of each character, the mistaken ones first, side by side."""
    cells = []
    for pair in pairs.itertuples():
        for name, other in ((pair.character, pair.taken_for), (pair.taken_for, pair.character)):
            mine = tested["character"] == name
            mistaken = mine & (answers == other)
            rows = [*np.flatnonzero(mistaken), *np.flatnonzero(mine & ~mistaken)][:2]
            for row in rows:
                text = [name, f"{pair.times} x confused" if mistaken[row] else ""]
                cells.append((picture(catalogue, tested.iloc[row]), text, "wrong" if mistaken[row] else ""))
            cells += [(Image.new("RGB", (1, 1), "white"), [], "")] * (2 - len(rows))
    return contact_sheet(cells, columns=8)


def answers_sheet(
    catalogue: Catalogue, tested: pd.DataFrame, answers: np.ndarray, scores: np.ndarray, seed: int
) -> Image.Image:
    """Random right answers, then random wrong ones, with what was answered."""
    right = (tested["character"] == answers).to_numpy()
    order = np.random.default_rng(seed).permutation(len(tested))
    rows = [*order[right[order]][: GRID // 2], *order[~right[order]][: GRID // 2]]
    cells = []
    for row in rows:
        text = [tested["character"].iloc[row], f"{answers[row]}", f"score {scores[row]:.2f}"]
        cells.append((picture(catalogue, tested.iloc[row]), text, "right" if right[row] else "wrong"))
    return contact_sheet(cells, columns=8)


if __name__ == "__main__":
    run_step("classify", Classify, classify)
