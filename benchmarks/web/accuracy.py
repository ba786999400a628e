"""What the 8-bit weights of `crystal-eyes web` cost.

    python benchmarks/web/accuracy.py BUNDLE [--catalogue CATALOGUE] [--heads 1500] [--labels FOLDER [FOLDER ...]]

With --catalogue, heads of its test part, embedded with the bundle's encoder and with the one that the page expands, are named
by the means and by the nearest of the embeddings of the catalogue's training heads. These always come from the bundle's
encoder, as a site's means and reference heads do. The bundle's own classifier is left out, since it may have been fitted on the
test heads.
With --labels, both detectors are scored on the fixed test third of labeled pictures. Their boxes are compared, and the answers
for the heads that both find, whatever they are.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.detector.score import labeled
from crystal_eyes.boxes import as_boxes, iou
from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.detector.training.input_size import run_detector
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.evaluation.detection import PictureDetections, detection_metrics
from crystal_eyes.images import load_head
from crystal_eyes.progress import track
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.answers import who
from crystal_eyes.recognizer.bundle import DETECTOR, ENCODER, read_bundle
from web.write_vectors import expanded_bundle

BATCH = 32
SAME = 0.5  # IoU of two boxes of one head


def embed(encoder: OnnxEncoder, catalogue: Catalogue, rows: np.ndarray, what: str) -> np.ndarray:
    table = catalogue.table().iloc[rows]

    def batches() -> Iterator[np.ndarray]:
        for start in range(0, len(table), BATCH):
            some = table.iloc[start : start + BATCH]
            heads = [catalogue.read(int(one.offset), int(one.length), str(one.digest)) for one in some.itertuples()]
            yield np.stack([load_head(head, encoder.image_size) for head in heads])

    return np.concatenate([encoder(heads) for heads in track(batches(), -(-len(table) // BATCH), what, "batches")])


def compare_encoders(full: Path, packed: Path, catalogue: Catalogue, heads: int) -> None:
    table = catalogue.table()
    part, names = table["classifier_split"].to_numpy(str), table["character"].to_numpy(str)
    train, test = np.flatnonzero(part == "train"), np.flatnonzero(part == "test")
    test = np.sort(np.random.default_rng(0).permutation(test)[:heads])
    test = test[np.isin(names[test], names[train])]
    known, labels = np.unique(names[train], return_inverse=True)
    references = embed(OnnxEncoder(full, 1), catalogue, train, "training heads")
    means = np.zeros((len(known), references.shape[1]), np.float32)
    np.add.at(means, labels, references)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    found = {name: embed(OnnxEncoder(path, 1), catalogue, test, name) for name, path in (("full", full), ("8 bits", packed))}
    for name, embeddings in found.items():
        by_mean = known[(embeddings @ means.T).argmax(axis=1)] == names[test]
        by_nearest = names[train][(embeddings @ references.T).argmax(axis=1)] == names[test]
        print(f"{name}: top-1 by means {by_mean.mean():.4f}, by the nearest head {by_nearest.mean():.4f}, {len(test)} heads")
    cosines = (found["full"] * found["8 bits"]).sum(axis=1)
    print(f"cosine of both embeddings: median {np.median(cosines):.5f}, lowest {cosines.min():.5f}")


def compare_answers(full: Path, packed: Path, folders: list[Path]) -> None:
    """Print how the answers of two bundles differ, for the heads that both find."""
    recognizers = [Recognizer(read_bundle(path), threads=1) for path in (full, packed)]
    pictures = [one[0] for group in labeled(folders, "test").values() for one in group]
    rows: dict[str, list[tuple[bool, bool, bool, float]]] = {}  # by verdict
    for picture in track(pictures, len(pictures), "answers", "pictures"):
        heads, others = (one.recognize(picture) for one in recognizers)
        shared = iou(*(as_boxes([head.box for head in some]) for some in (heads, others)))
        for row, place in ((row, places.argmax()) for row, places in enumerate(shared) if places.max(initial=0) > SAME):
            old, new = heads[row], others[place]
            names, other_names = ([who(one) for one in head.candidates] for head in (old, new))
            first, after = old.candidates[0], {who(one): one.probability for one in new.candidates}
            change = abs(after.get(who(first), 0.0) - first.probability)
            rows.setdefault(old.verdict, []).append(
                (names[0] != other_names[0], names != other_names, old.verdict != new.verdict, change)
            )
    for verdict, some in rows.items():
        first, order, verdicts, changes = zip(*some)
        print(
            f"{len(some)} heads with the verdict {verdict}: {sum(first)} another first candidate, {sum(order)} others or "
            f"another order among the five, {sum(verdicts)} another verdict; change of the first one's probability: median "
            f"{np.median(changes):.4f}, highest {max(changes):.4f}"
        )


def compare_detectors(full: Path, packed: Path, folders: list[Path]) -> None:
    pictures = [(one.pixels, one.corrected) for group in labeled(folders, "test").values() for one in group]
    detectors = [HeadDetector(path, threads=1) for path in (full, packed)]
    found: list[list[PictureDetections]] = []
    for name, detector in zip(("16 bits", "packed"), detectors):
        found.append(run_detector(detector, pictures)[0])
        metrics = detection_metrics(found[-1], detector.confidence)
        print(f"detector, {name}: {', '.join(f'{key} {value:.4f}' for key, value in metrics.items())}")
    lost = added = 0
    moves: list[float] = []
    for old, new in zip(*([one.above(detector.confidence) for one in some] for some, detector in zip(found, detectors))):
        shared = iou(old.boxes, new.boxes)
        lost += int((shared.max(axis=1, initial=0) <= SAME).sum())
        added += int((shared.max(axis=0, initial=0) <= SAME).sum())
        pairs = [(row, places.argmax()) for row, places in enumerate(shared) if places.max(initial=0) > SAME]
        moves += [float(np.abs(old.boxes[row] - new.boxes[place]).max()) for row, place in pairs]
    print(f"{lost} heads lost, {added} added, {len(moves)} the same, moved by {np.median(moves):.2f} px in the median, "
          f"at most {max(moves):.2f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--catalogue", type=Path)
    parser.add_argument("--heads", type=int, default=1500)
    parser.add_argument("--labels", type=Path, nargs="+")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "packed"
        expanded_bundle(options.bundle, packed)
        if options.labels:
            compare_detectors(options.bundle / DETECTOR, packed / DETECTOR, options.labels)
            compare_answers(options.bundle, packed, options.labels)
        if options.catalogue:
            compare_encoders(options.bundle / ENCODER, packed / ENCODER, Catalogue(options.catalogue), options.heads)


if __name__ == "__main__":
    main()
