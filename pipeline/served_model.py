"""The registered model as MLflow serves it: pictures in base64 in, named heads out. Loaded by MLflow from its source."""

import base64
import binascii

import mlflow
import pandas as pd

from crystal_eyes.images import PictureError
from crystal_eyes.recognizer import Recognizer

MOST_BYTES = 50_000_000  # of a picture


class ServedModel(mlflow.pyfunc.PythonModel):
    def load_context(self, context) -> None:
        self.recognizer = Recognizer.load(context.artifacts["bundle"])

    def predict(self, context, model_input: pd.DataFrame, params=None) -> list[dict]:
        """model_input: a table with the column `picture`, base64. For each row {"heads": [...], "error": ""}."""
        return [self._answer(text) for text in model_input["picture"]]

    def _answer(self, text: str) -> dict:
        try:
            if len(text) * 3 // 4 > MOST_BYTES:
                raise PictureError(f"too large: more than {MOST_BYTES // 1_000_000} MB")
            data = base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
            return {"heads": [head.as_dict() for head in self.recognizer.recognize(data)], "error": ""}
        except binascii.Error:
            return {"heads": [], "error": "not base64"}
        except PictureError as error:
            return {"heads": [], "error": str(error)}


mlflow.models.set_model(ServedModel())
