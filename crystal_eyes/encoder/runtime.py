"""The exported encoder: an ONNX file run by onnxruntime."""

from pathlib import Path

import numpy as np

from crystal_eyes.errors import UserError
from crystal_eyes.onnx_session import open_session


class OnnxEncoder:
    """uint8 RGB heads [n, size, size, 3] to unit-length float32 embeddings [n, d].

    threads: threads of one call; None: as many as there are cores. gpu: on a GPU, if onnxruntime can use one. Raises UserError
    where the file is not an encoder.
    """

    def __init__(self, path: str | Path, threads: int | None = None, gpu: bool = False):
        try:
            self.session = open_session(Path(path).read_bytes(), threads, gpu)
            self.metadata = self.session.get_modelmeta().custom_metadata_map
            self.image_size = int(self.metadata["image_size"])
            self.embedding_size = int(self.metadata["embedding_size"])
        except Exception as error:  # onnxruntime has its own exception types, none of them public
            reason = str(error).splitlines()[0]
            raise UserError(f"{path} is not a Crystal Eyes encoder ({reason})") from None

    def __call__(self, heads: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"pictures": heads})[0]
