"""classify: fits one classifier on the training part and evaluates it on the test part."""

from collections.abc import Mapping
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from PIL import Image

from crystal_eyes.classifiers.registry import create, option_fields
from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.evaluation.confusions import confused_pairs, per_character
from crystal_eyes.evaluation.top_k import bootstrap_interval, top_k_accuracy
from crystal_eyes.images import flatten, open_picture
from pipeline.contact_sheets import contact_sheet
from pipeline.metric_names import metric_name
from pipeline.parameters.steps import Classify
from pipeline.step import run_step
from steps.compute import classify as compute

MAX_PAIRS = 12  # most confused pairs shown
MAX_ANSWERS = 24  # right and wrong answers shown, half each


def classify(parameters: Classify, inputs: Mapping[str, Path], workspace: Path) -> dict[str, Path]:
    options = {name: getattr(parameters, name) for name in option_fields(parameters.classifier)}
    classifier = create(parameters.classifier, options, parameters.seed)
    done = compute.classify(inputs["embeddings"], classifier, workspace)
    report(done, Catalogue(inputs["catalogue"]), parameters.seed)
    return {"classifier": done.folder}


def report(done: compute.Classified, catalogue: Catalogue, seed: int) -> None:
    """Log metrics, tables and pictures of the answers."""
    log_accuracy(done.ranks, done.tested, seed)
    model_bytes = sum(file.stat().st_size for file in done.folder.iterdir() if file.name != "characters.csv")
    mlflow.log_metrics({"fit_seconds": done.fit_seconds, "queries_per_second": len(done.tested) / done.query_seconds,
                        "model_bytes": model_bytes, "characters": len(done.names),
                        "pictures_tested": len(done.tested)})  # fmt: skip
    truth, answers = done.tested["character"].to_numpy(dtype=str), done.names[done.candidates[:, 0]]
    mlflow.log_text(per_character(truth, done.ranks, done.trained_encoder).to_csv(index=False), "per_character.csv")
    pairs = confused_pairs(truth, answers)
    mlflow.log_text(pairs.to_csv(index=False), "confused_pairs.csv")
    if len(pairs):
        mlflow.log_image(pairs_sheet(catalogue, done.tested, answers, pairs.head(MAX_PAIRS)), "confused_pairs.png")
    mlflow.log_image(answers_sheet(catalogue, done.tested, answers, done.scores[:, 0], seed), "answers.png")


def log_accuracy(ranks: np.ndarray, tested: pd.DataFrame, seed: int) -> None:
    """top-1/3/5 with intervals; the same for characters that the encoder never saw, and for each set."""
    characters = tested["character"].to_numpy()
    for k in (1, 3, 5):
        low, high = bootstrap_interval(ranks < k, characters, seed)
        mlflow.log_metrics({f"top_{k}": top_k_accuracy(ranks, k), f"top_{k}_low": low, f"top_{k}_high": high})
        print(f"top-{k} {top_k_accuracy(ranks, k):.3f} (95 % interval {low:.3f} to {high:.3f})")
        unseen = (tested["encoder_split"] == "test").to_numpy()
        if unseen.any():
            mlflow.log_metric(f"top_{k}_unseen", top_k_accuracy(ranks[unseen], k))
        sets = tested["set"].to_numpy(dtype=str)
        if len(names := np.unique(sets)) > 1:
            for name in names.tolist():
                mlflow.log_metric(metric_name(f"top_{k}/{name or 'none'}"), top_k_accuracy(ranks[sets == name], k))


def picture(catalogue: Catalogue, row: pd.Series) -> Image.Image:
    return flatten(open_picture(catalogue.read(int(row["offset"]), int(row["length"]), row["digest"])))


def pairs_sheet(catalogue: Catalogue, tested: pd.DataFrame, answers: np.ndarray, pairs: pd.DataFrame) -> Image.Image:
    """Two pairs per row: up to two pictures of each character side by side, confused ones first."""
    cells = []
    for pair in pairs.itertuples():
        both = str(pair.character), str(pair.taken_for)
        for name, other in (both, both[::-1]):
            own = tested["character"] == name
            confused = own & (answers == other)
            rows = [*np.flatnonzero(confused), *np.flatnonzero(own & ~confused)][:2]
            for row in rows:
                text = [name, f"{pair.times} x confused" if confused[row] else ""]
                cells.append((picture(catalogue, tested.iloc[row]), text, "wrong" if confused[row] else ""))
            cells += [(Image.new("RGB", (1, 1), "white"), [], "")] * (2 - len(rows))
    return contact_sheet(cells, columns=8)


def answers_sheet(
    catalogue: Catalogue, tested: pd.DataFrame, answers: np.ndarray, scores: np.ndarray, seed: int
) -> Image.Image:
    """Random right answers, then random wrong ones, with the answer and its score."""
    right = (tested["character"] == answers).to_numpy()
    order = np.random.default_rng(seed).permutation(len(tested))
    rows = [*order[right[order]][: MAX_ANSWERS // 2], *order[~right[order]][: MAX_ANSWERS // 2]]
    cells = []
    for row in rows:
        text = [str(tested["character"].iloc[row]), str(answers[row]), f"score {scores[row]:.2f}"]
        cells.append((picture(catalogue, tested.iloc[row]), text, "right" if right[row] else "wrong"))
    return contact_sheet(cells, columns=8)


if __name__ == "__main__":
    run_step("classify", Classify, classify)
