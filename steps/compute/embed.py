"""Embeds every head of a catalogue with an ONNX encoder."""

from dataclasses import dataclass
from pathlib import Path

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.embeddings import embed_catalogue
from crystal_eyes.encoder.runtime import OnnxEncoder


@dataclass(frozen=True)
class EmbeddedCatalogue:
    folder: Path
    skipped: list[tuple[str, str]]  # (file, reason)


def embed(onnx: Path, catalogue: Path, batch: int, workspace: Path) -> EmbeddedCatalogue:
    """Write workspace/embeddings. onnx: the encoder's file. Raises UserError where it is not an encoder."""
    folder = workspace / "embeddings"
    return EmbeddedCatalogue(folder, embed_catalogue(OnnxEncoder(onnx), Catalogue(catalogue), folder, batch))
