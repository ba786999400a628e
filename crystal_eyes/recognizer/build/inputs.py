"""The inputs of a bundle, with a check that they belong together."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from crystal_eyes.classifiers import registry
from crystal_eyes.classifiers.linear import Linear
from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.embeddings import load_heads, read_embeddings
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.errors import UserError
from crystal_eyes.images import flatten, open_picture
from crystal_eyes.progress import track
from crystal_eyes.recognizer.build.roles import rows_by_role

CHECKED = 8  # heads that are embedded again


@dataclass(frozen=True)
class BundleInputs:
    """The paths of the inputs."""

    detector: Path  # ONNX file of the head detector
    encoder: Path  # ONNX file
    embeddings: Path  # folder that embed_catalogue wrote with this encoder
    classifier: Path  # folder of a linear classifier that was fitted on the training part of the embeddings
    catalogue: Path
    catalogue_digest: str = ""  # what an encoder that was trained on this catalogue names; empty: not known

    def digests(self) -> dict[str, str]:
        """sha256 of each input's contents; the catalogue's are in the table of the embeddings."""
        named = {"detector": self.detector, "encoder": self.encoder, "embeddings": self.embeddings,
                 "classifier": self.classifier}  # fmt: skip
        return {name: content_digest(path) for name, path in named.items()}


@dataclass(frozen=True)
class BundleData:
    """The inputs, opened."""

    encoder: OnnxEncoder
    embeddings: np.ndarray  # float32 [n, d], unit length
    table: pd.DataFrame  # one row per embedding (catalogue.SCHEMA)
    characters: np.ndarray  # str [n]
    roles: dict[str, np.ndarray]  # rows by role (roles.py)
    catalogue: Catalogue
    classifier: Linear

    def pictures(self, rows: np.ndarray, label: str) -> Iterator[Image.Image]:
        """RGB pictures of rows of the table. label: shown with the progress."""
        some = self.table.iloc[rows]
        places = zip(some["offset"], some["length"], some["digest"])
        for place in track(places, len(some), label, "pictures") if len(some) else ():
            yield flatten(open_picture(self.catalogue.read(*place)))


def open_inputs(inputs: BundleInputs) -> BundleData:
    """Raises UserError if an input is unreadable, if the inputs don't belong together, or if there are too few heads."""
    embeddings, arrow = read_embeddings(inputs.embeddings)
    table, catalogue, encoder = arrow.to_pandas(), Catalogue(inputs.catalogue), OnnxEncoder(inputs.encoder)
    again, given = encoder(load_heads(catalogue, table.head(CHECKED), encoder.image_size)), embeddings[:CHECKED]
    if again.shape != given.shape or np.abs(again - given).max() > 0.01:  # every answer would be noise
        raise UserError(f"the embeddings {inputs.embeddings} were not made with the encoder {inputs.encoder}")
    roles, characters = rows_by_role(table), table["character"].to_numpy(dtype=str)
    if not len(roles["calibration"]) or not len(roles["report"]):
        raise UserError(f"the embeddings {inputs.embeddings} have too few test heads to calibrate and evaluate a bundle")
    fitted = registry.read(inputs.classifier)
    classifier = fitted.classifier
    if not isinstance(classifier, Linear):
        linear = ", ".join(registry.LINEAR)
        raise UserError(f"a bundle needs a linear classifier ({linear}), but {inputs.classifier} is {classifier.name}")
    known = np.unique(characters[roles["train"]])
    if not np.array_equal(known, fitted.characters) or classifier.weight.shape != (len(known), embeddings.shape[1]):
        raise UserError(
            f"the classifier {inputs.classifier} was not fitted on the embeddings {inputs.embeddings}: it has "
            f"{len(fitted.characters)} characters and {classifier.weight.shape[1]} dimensions, "
            f"but their training part has {len(known)} and {embeddings.shape[1]}"
        )
    classifier.round_to_stored()  # calibrated and measured is what the bundle's file holds
    return BundleData(encoder, embeddings, table, characters, roles, catalogue, classifier)


def content_digest(path: Path) -> str:
    """sha256 of a file; of a folder, that of the lines `DIGEST  NAME` of the files in it, sorted by name."""
    if path.is_dir():
        files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        return hashlib.sha256("".join(f"{content_digest(path / name)}  {name}\n" for name in files).encode()).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
