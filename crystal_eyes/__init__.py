"""Crystal Eyes finds the heads of drawn characters in a picture and names them.

The data flows from pictures to heads to embeddings to characters. Importing the package loads nothing:

    from crystal_eyes import Recognizer
    for head in Recognizer.load("bundle").recognize("picture.png"):
        print(head.box, head.candidates[0].character, head.verdict)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crystal_eyes.recognizer import Head, Recognizer

    __version__: str

__all__ = ["Head", "Recognizer", "__version__"]


def __getattr__(name: str) -> Any:
    if name in ("Head", "Recognizer"):
        # by name: an import statement would make the recognizer part of every step's cache key
        return getattr(importlib.import_module("crystal_eyes.recognizer"), name)
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("crystal-eyes")
        except metadata.PackageNotFoundError:  # a checkout that is not installed
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
