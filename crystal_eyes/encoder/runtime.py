"""The encoder as it serves: an ONNX file run by onnxruntime on the CPU."""

from pathlib import Path

import numpy as np

from crystal_eyes.errors import UserError
from crystal_eyes.onnx_session import open_session


class OnnxEncoder:
    """uint8 RGB pictures [n, size, size, 3] to unit-length float32 embeddings [n, d]."""

    def __init__(self, path: str | Path, threads: int | None = None):
        try:
            self.session = open_session(Path(path).read_bytes(), threads)
            self.metadata = self.session.get_modelmeta().custom_metadata_map
            self.image_size = int(self.metadata["image_size"])
            self.embedding_size = int(self.metadata["embedding_size"])
        except Exception as error:  # onnxruntime has its own exception types, none of them public
            reason = str(error).splitlines()[0]
            raise UserError(f"{path} is no encoder of ours ({reason}): give what the export entry point wrote") from None

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"pictures": pictures})[0]
