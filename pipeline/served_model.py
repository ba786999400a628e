"""The registered model as MLflow serves it: images as base64 in, named heads out. MLflow loads it from this source file."""

import base64
import binascii

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from crystal_eyes.images import PictureError
from crystal_eyes.recognizer import Recognizer

MAX_BYTES = 50_000_000  # of an image


class ServedModel(PythonModel):
    def load_context(self, context: PythonModelContext) -> None:
        self.recognizer = Recognizer.load(context.artifacts["bundle"])

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, object] | None = None
    ) -> list[dict]:
        """model_input: a table with the column `picture`, base64. One {"heads": [...], "error": ""} per row."""
        return [self._answer(text) for text in model_input["picture"]]

    def _answer(self, text: str) -> dict:
        try:
            if len(text) * 3 // 4 > MAX_BYTES:
                raise PictureError(f"too large: more than {MAX_BYTES // 1_000_000} MB")
            data = base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
            return {"heads": [head.as_dict() for head in self.recognizer.recognize(data)], "error": ""}
        except binascii.Error:
            return {"heads": [], "error": "not base64"}
        except PictureError as error:
            return {"heads": [], "error": str(error)}


mlflow.models.set_model(ServedModel())
