"""Evaluates a bundle on test heads of a catalogue that were not used for calibration."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.defaults import BATCH
from crystal_eyes.errors import UserError
from crystal_eyes.progress import track
from crystal_eyes.recognizer.build.roles import rows_by_role
from crystal_eyes.recognizer.pictures import pixels
from crystal_eyes.recognizer.recognizer import Recognizer

CANDIDATES = 5


@dataclass(frozen=True)
class Evaluated:
    folder: Path  # answers.parquet
    hits: np.ndarray  # bool [n, CANDIDATES], fewer in a smaller catalogue: whether a candidate is the head's character
    characters: np.ndarray  # str [n], the truth
    strangers: int  # heads of characters that the bundle does not know


def evaluate(bundle: Path, catalogue: Path, workspace: Path) -> Evaluated:
    """Raises UserError where the catalogue has no such heads."""
    recognizer, pictures = Recognizer.load(bundle), Catalogue(catalogue)
    table = pictures.table()
    table = table.iloc[rows_by_role(table)["report"]].reset_index(drop=True)
    if table.empty:
        raise UserError(f"{catalogue} has no test heads on which to evaluate a bundle")
    names = np.array([name for name, _ in recognizer.naming.characters])
    answers = []
    batches = range(0, len(table), BATCH)
    for start in track(batches, len(batches), "evaluate", "batches"):
        rows = table.iloc[start : start + BATCH]
        places = zip(rows["offset"], rows["length"], rows["digest"])
        embeddings = recognizer.embed([pixels(pictures.read(*place)) for place in places])
        probabilities = recognizer.naming(embeddings, rows["monochrome"].to_numpy(bool)).probabilities[:, : len(names)]
        answers.append(names[np.argsort(-probabilities, axis=1, kind="stable")[:, :CANDIDATES]])
    named, truth = np.concatenate(answers), table["character"].to_numpy(dtype=str)
    hits = named == truth[:, None]
    folder = workspace / "answers"
    folder.mkdir(exist_ok=True)
    first = pd.DataFrame({"file": table["file"], "character": table["character"], "answer": named[:, 0],
                          "right": hits[:, 0], "among_5": hits.any(axis=1)})  # fmt: skip
    first.to_parquet(folder / "answers.parquet", index=False)
    return Evaluated(folder, hits, truth, int((~np.isin(truth, names)).sum()))
