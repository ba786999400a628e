"""evaluate: a bundle names the heads of a catalogue's test part that no calibration saw."""

from collections.abc import Mapping
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.errors import UserError
from crystal_eyes.evaluation.metrics import bootstrap_interval
from crystal_eyes.progress import track
from crystal_eyes.recognizer.build.bundling import parts
from crystal_eyes.recognizer.recognizer import BATCH, Recognizer, pixels
from pipeline.parameters.steps import Evaluate
from pipeline.step import run_step


def evaluate(config: Evaluate, inputs: Mapping[str, Path | None], workspace: Path) -> dict[str, Path]:
    recognizer, catalogue = Recognizer.load(inputs["bundle"]), Catalogue(inputs["catalogue"])
    table = catalogue.table()
    table = table.iloc[parts(table)["report"]].reset_index(drop=True)
    if table.empty:
        raise UserError(f"{config.catalogue} has no test heads to report on: run prepare on more pictures")
    names = np.array([name for name, _ in recognizer.naming.characters])
    answers = []
    batches = range(0, len(table), BATCH)
    for start in track(batches, len(batches), "evaluate", "batches"):
        rows = table.iloc[start : start + BATCH]
        places = zip(rows["offset"], rows["length"], rows["digest"])
        embeddings = recognizer.embed([pixels(catalogue.read(*place)) for place in places])
        likely = recognizer.naming(embeddings, rows["monochrome"].to_numpy(bool)).probabilities
        answers.append(names[np.argsort(-likely, axis=1, kind="stable")[:, :5]])
    hits = np.concatenate(answers) == table["character"].to_numpy(dtype=str)[:, None]
    for k in (1, 3, 5):
        hit = hits[:, :k].any(axis=1)
        low, high = bootstrap_interval(hit, table["character"].to_numpy(), seed=0)
        mlflow.log_metrics({f"top_{k}": float(hit.mean()), f"top_{k}_low": low, f"top_{k}_high": high})
        print(f"top-{k} {hit.mean():.3f} (95 % interval {low:.3f} to {high:.3f})")
    strange = ~table["character"].isin(names)
    mlflow.log_metrics({"heads": len(table), "heads_of_others": int(strange.sum())})
    folder = workspace / "answers"
    folder.mkdir(exist_ok=True)
    first = pd.DataFrame({"file": table["file"], "character": table["character"], "answer": np.concatenate(answers)[:, 0],
                          "right": hits[:, 0], "among_5": hits.any(axis=1)})  # fmt: skip
    first.to_parquet(folder / "answers.parquet", index=False)
    return {"answers": folder}


if __name__ == "__main__":
    run_step("evaluate", Evaluate, evaluate)
