"""Wrong labels that an audit names, from embeddings alone: python benchmarks/audit/labels.py CATALOGUE EMBEDDINGS [plantings]

Gives 5 % of the heads of a catalogue another label, once of the same set and once of any character, and prints precision and
recall of what crystal_eyes.audit.labels calls wrong, for each part of the encoder's split, and for all heads. EMBEDDINGS: npy,
float32 [rows of the catalogue, d], unit length; plantings: how often each part is planted (default 4; all heads once).
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crystal_eyes.audit.labels import check_labels
from crystal_eyes.data.catalogue import Catalogue

SHARE = 0.05


def planted(truth: np.ndarray, sets: np.ndarray, seed: int, same_set: bool) -> np.ndarray:
    """The labels [n] with SHARE of them changed."""
    rng, labels = np.random.default_rng(seed), truth.copy()
    everybody = np.unique(truth)
    of_set = {name: np.unique(truth[sets == name]) for name in np.unique(sets)}
    for row in rng.permutation(len(truth))[: round(SHARE * len(truth))]:
        names = of_set[sets[row]] if same_set else everybody
        names = names[names != truth[row]]
        labels[row] = rng.choice(names if len(names) else everybody[everybody != truth[row]])
    return labels


def main(catalogue: str, embeddings: str, plantings: int = 4) -> None:
    table, vectors = Catalogue(catalogue).table(), np.load(embeddings)
    for part in ("validation", "test", "train", "all"):
        rows = table if part == "all" else table[table["encoder_split"] == part]
        rows = rows[rows.groupby("character")["file"].transform("size") >= 2]
        truth, sets = rows["character"].to_numpy(str), rows["set"].to_numpy(str)
        for same_set in (True, False):
            measured = []
            for seed in range(1 if part == "all" else plantings):
                labels = planted(truth, sets, seed, same_set)
                wrong = check_labels(vectors[rows.index], np.unique(labels, return_inverse=True)[1]).wrong
                right = int((wrong & (labels != truth)).sum())
                measured.append((right / max(1, int(wrong.sum())), right / int((labels != truth).sum())))
            precision, recall = np.mean(measured, axis=0)
            whose = "of the same set" if same_set else "of any character"
            print(f"{part}: {len(rows)} heads, labels {whose}: precision {precision:.3f}, recall {recall:.3f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
