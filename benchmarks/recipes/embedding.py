"""Embeddings of a catalogue's heads, and of line art that is generated from them."""

import numpy as np
import pandas as pd
import torch

from benchmarks.recipes.measures import LabeledEmbeddings
from crystal_eyes.data.catalogue import Catalogue, artworks
from crystal_eyes.encoder.dataset import DecodedHeads
from crystal_eyes.encoder.loop import embed_heads
from crystal_eyes.encoder.network import Encoder
from crystal_eyes.encoder.sketches import lines
from crystal_eyes.images import fit, flatten


def labeled(encoder: Encoder, source: Catalogue, table: pd.DataFrame) -> LabeledEmbeddings:
    """The heads of a table, as serving sees them."""
    embeddings = embed_heads(encoder, source, table, encoder.description.image_size, torch.device("cpu"))
    return LabeledEmbeddings(
        embeddings, table["character"].to_numpy(str), artworks(table).astype(str), table["set"].to_numpy(str)
    )


def line_art(encoder: Encoder, source: Catalogue, table: pd.DataFrame) -> np.ndarray:
    """float32 [rows, d]: of line art generated from the heads of a table."""
    heads, size = DecodedHeads(source, table), encoder.description.image_size
    found = []
    for start in range(0, len(table), 64):
        rows = range(start, min(start + 64, len(table)))
        drawn = np.stack([fit(lines(flatten(heads[row])), size) for row in rows])
        with torch.inference_mode():
            found.append(encoder(torch.from_numpy(drawn)).numpy())
    return np.concatenate(found)
